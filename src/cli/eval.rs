//! `gpu-train eval`: how good a model is.

use std::path::PathBuf;

use serde_json::json;

use super::loaded::{self, Evaluated};
use super::tested::argmax;
use super::ui::Ui;
use super::{ensemble, memory, open};
use crate::data::Targets;
use crate::metrics::{ClassificationReport, Ranking, RegressionReport, count_confusion};
use crate::report::text;
use crate::train::{evaluate, predictions};
use crate::{Error, Result};

#[derive(clap::Args)]
pub struct Args {
    /// A run folder or a model.safetensors file
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// A data source as `gpu-train train` takes it; its test part, or all of it where it has none [default: the test part of what the model was trained on]
    #[arg(value_name = "DATA")]
    data: Option<String>,
    /// Evaluate on the training part instead of the test part
    #[arg(long)]
    train_part: bool,
    /// Average the answers of all members of a run folder
    #[arg(long)]
    ensemble: bool,
    /// cpu, gpu (the best adapter), or an adapter's number or name
    #[arg(long, value_name = "WHICH", default_value = "cpu")]
    device: String,
    /// One JSON object on standard output; prose goes to standard error
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &Args) -> Result<()> {
    let ui = Ui {
        json: args.json,
        quiet: false,
        silent: false,
    };
    let models = ensemble::read(&args.model, args.ensemble)?;
    let model = &models[0];
    let wanted = loaded::for_model(model, args.data.as_deref(), args.train_part)?;
    for note in &wanted.notes {
        ui.say(note);
    }
    let Evaluated {
        data,
        samples,
        part,
        ..
    } = &wanted;
    let spec = loaded::spec(model, data);
    let plan = memory::record(&spec, &model.sequential)?;
    let mut backend = open::simple(&args.device, &plan)?;
    let exec = &mut *backend.exec;
    let mut answers = Vec::with_capacity(models.len());
    let mut losses = Vec::with_capacity(models.len());
    for model in &models {
        let feed = loaded::feed(model, data);
        loaded::prepare(&mut *exec, model, &feed)?;
        losses.push(evaluate(exec, &feed, samples)?.swap_remove(0).loss);
        answers.push(predictions(exec, &feed, samples)?.swap_remove(0));
    }
    let outputs = ensemble::mean(&answers);
    let loss = match models.len() {
        1 => Some(losses[0]),
        _ => ensemble::loss(model, data, samples, &outputs),
    };
    if losses.iter().any(|loss| !loss.is_finite()) {
        return Err(Error::Check(format!(
            "the loss of {} on {} is no number: its weights hold NaN or infinity, or overflow",
            args.model.display(),
            data.name
        )));
    }
    let together = match models.len() {
        1 => String::new(),
        n => format!(", {n} members averaged,"),
    };
    ui.say(&format!(
        "{}{together} on {part} of {} ({} samples), on {}",
        args.model.display(),
        data.name,
        samples.len(),
        backend.name
    ));
    let mut event = json!({
        "event": "eval",
        "data": data.name,
        "part": wanted.part_code,
        "samples": samples.len(),
        "loss": loss,
        "members": models.len(),
    });
    let of = |ix: &u32| *ix as usize;
    let report = match &data.targets {
        Targets::Classes { .. } => {
            let labels: Vec<u32> = samples.iter().map(|ix| data.label(of(ix))).collect();
            let ranking = Ranking {
                labels: &labels,
                scores: &outputs,
            };
            let classes = &model.info.classes;
            let predicted: Vec<u32> = outputs.chunks(classes.len()).map(argmax).collect();
            let counts = count_confusion(&labels, &predicted, classes.len());
            let report = ClassificationReport::new(classes, &counts, Some(ranking));
            let loss = loss.map_or(String::new(), |loss| format!(", loss {loss:.4}"));
            ui.say(&format!("{}{loss}", text::class_summary(&report)));
            ui.say("");
            ui.say(text::class_table(&report).trim_end());
            ui.say("");
            ui.say(text::confusion(&report).trim_end());
            serde_json::to_value(&report)
        }
        Targets::Values { values, .. } => {
            let scale = model.info.target_scale();
            let truths: Vec<f64> = samples.iter().map(|ix| f64::from(values[of(ix)])).collect();
            let predicted = outputs.iter().map(|&y| f64::from(scale.original(y)));
            let report = RegressionReport::new(&truths, &predicted.collect::<Vec<_>>());
            ui.say(&text::regression_summary(&report));
            serde_json::to_value(report)
        }
    };
    let report = report.map_err(|e| Error::Data(format!("cannot write the report: {e}")))?;
    if let (Some(event), Some(report)) = (event.as_object_mut(), report.as_object()) {
        event.extend(report.iter().map(|(k, v)| (k.clone(), v.clone())));
    }
    ui.event(&event);
    Ok(())
}
