//! `gpu-train eval`: how good a model is.

use std::path::PathBuf;

use serde_json::json;

use super::ui::Ui;
use super::{memory, open, source};
use crate::data::Part;
use crate::models::file::Model;
use crate::plan::{Hyper, OptimizerKind};
use crate::report::scores::{ClassScore, macro_average, per_class};
use crate::train::{Evaluation, evaluate, feed};
use crate::{Error, Result};

#[derive(clap::Args)]
pub struct Args {
    /// A run folder or a model.safetensors file
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// mnist [default: what the model was trained on]
    #[arg(value_name = "DATA")]
    data: Option<String>,
    /// Evaluate on the training part instead of the test part
    #[arg(long)]
    train_part: bool,
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
    };
    let model = Model::read(&args.model)?;
    let name = args.data.as_deref().unwrap_or(&model.info.source);
    let mut data = source::load(name)?;
    source::check_fit(&model, &data)?;
    // Only the part in question becomes resident.
    let part = if args.train_part { "training" } else { "test" };
    if args.train_part {
        data.test = std::mem::replace(&mut data.train, Part::empty());
    } else {
        data.train = Part::empty();
    }
    let n = data.test.len();
    let spec = source::eval_spec(&model, n, 500);
    let plan = memory::record(&spec, &model.sequential)?;
    let mut backend = open::simple(&args.device, &plan)?;
    let exec = &mut *backend.exec;
    let norm = model.info.normalization.table();
    let rows = [Hyper::new(OptimizerKind::Sgd)];
    feed::load(exec, &data, &norm, &rows, &model.arena(&plan)?)?;
    let result = evaluate(exec, 0..n)?.swap_remove(0);
    if !result.loss.is_finite() {
        return Err(Error::Check(format!(
            "the loss of {} on {} is no number: its weights hold NaN or infinity, or overflow",
            args.model.display(),
            data.name
        )));
    }

    let classes = &model.info.classes;
    let scores = per_class(&result.confusion, classes.len());
    let mean = macro_average(&scores);
    print(
        &ui,
        &result,
        classes,
        &scores,
        &mean,
        &format!(
            "{} on the {part} part of {} ({n} samples), on {}",
            args.model.display(),
            data.name,
            backend.name
        ),
    );
    let score = |s: &ClassScore| json!({"precision": s.precision, "recall": s.recall, "f1": s.f1, "support": s.support});
    let rows: Vec<&[u32]> = result.confusion.chunks(classes.len()).collect();
    ui.event(&json!({
        "event": "eval",
        "data": data.name,
        "part": if args.train_part { "train" } else { "test" },
        "samples": n,
        "loss": result.loss,
        "accuracy": result.accuracy,
        "macro": score(&mean),
        "classes": classes.iter().zip(&scores).map(|(name, s)| {
            let mut object = score(s);
            object["class"] = name.as_str().into();
            object
        }).collect::<Vec<_>>(),
        "confusion": rows,
    }));
    Ok(())
}

fn print(
    ui: &Ui,
    result: &Evaluation,
    classes: &[String],
    scores: &[ClassScore],
    mean: &ClassScore,
    heading: &str,
) {
    ui.say(heading);
    ui.say(&format!(
        "accuracy {:.2} %, loss {:.4}",
        result.accuracy * 100.0,
        result.loss
    ));
    let width = classes.iter().map(String::len).max().unwrap_or(0).max(7);
    ui.say("");
    ui.say(&format!(
        "{:<width$}  {:>9}  {:>9}  {:>9}  {:>7}",
        "class", "precision", "recall", "F1", "samples"
    ));
    let average = "average".to_string();
    let rows = classes.iter().zip(scores).chain([(&average, mean)]);
    for (name, s) in rows {
        ui.say(&format!(
            "{name:<width$}  {:>9.4}  {:>9.4}  {:>9.4}  {:>7}",
            s.precision, s.recall, s.f1, s.support
        ));
    }
    ui.say("");
    ui.say("confusion counts (rows: label, columns: prediction)");
    let cell = result
        .confusion
        .iter()
        .map(|n| n.to_string().len())
        .chain(classes.iter().map(String::len))
        .max()
        .unwrap_or(1);
    let line = |name: &str, cells: Vec<String>| format!("{name:<width$}  {}", cells.join(" "));
    let pad = |text: &str| format!("{text:>cell$}");
    ui.say(&line("", classes.iter().map(|c| pad(c)).collect()));
    for (name, row) in classes.iter().zip(result.confusion.chunks(classes.len())) {
        ui.say(&line(
            name,
            row.iter().map(|n| pad(&n.to_string())).collect(),
        ));
    }
}
