//! `gpu-train predict`: what a model makes of pictures.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::ui::{Ui, err};
use super::{memory, open, source};
use crate::data::{Dataset, Part, picture};
use crate::executor::floats;
use crate::files::write_whole;
use crate::models::file::Model;
use crate::plan::{Hyper, Loss, OptimizerKind, PassKind, pad4};
use crate::train::feed;
use crate::{Error, Result};

#[derive(clap::Args)]
pub struct Args {
    /// A run folder or a model.safetensors file
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// Picture files (PNG, JPEG, WebP, BMP, GIF, PNM), or mnist:N for test image N
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
    /// Write a CSV file: file, class, and a column per class
    #[arg(long, value_name = "FILE.csv")]
    out: Option<PathBuf>,
    /// cpu, gpu (the best adapter), or an adapter's number or name
    #[arg(long, value_name = "WHICH", default_value = "cpu")]
    device: String,
    /// One JSON object a file on standard output; prose goes to standard error
    #[arg(long)]
    pub json: bool,
}

/// One input, ready for the model.
struct Input {
    name: String,
    pixels: Vec<u8>,
    notes: Vec<String>,
    /// The true class, where it is known.
    label: Option<u32>,
}

pub fn run(args: &Args) -> Result<()> {
    let ui = Ui {
        json: args.json,
        quiet: false,
    };
    if let Some(path) = &args.out {
        refuse_overwriting(path)?;
    }
    let model = Model::read(&args.model)?;
    let (inputs, unreadable) = read_inputs(&model, &args.files)?;
    if inputs.is_empty() {
        return Err(summary(unreadable, args.files.len()));
    }
    let outputs = predict(&model, &inputs, &args.device)?;
    let classes = &model.info.classes;
    let probabilities = model.loss == Loss::CrossEntropy;
    let mut csv = csv_line(
        ["file", "class"]
            .into_iter()
            .chain(classes.iter().map(String::as_str)),
    );
    for (input, values) in inputs.iter().zip(outputs.chunks(classes.len())) {
        let mut order: Vec<usize> = (0..classes.len()).collect();
        order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
        let best = &classes[order[0]];
        let show = |ix: usize| {
            if probabilities {
                format!("{} {:.2} %", classes[ix], values[ix] * 100.0)
            } else {
                format!("{} {:.4}", classes[ix], values[ix])
            }
        };
        let next: Vec<String> = order.iter().skip(1).take(2).map(|&ix| show(ix)).collect();
        let truth = input.label.map_or(String::new(), |label| {
            format!("; labelled {}", classes[label as usize])
        });
        let then = if next.is_empty() {
            String::new()
        } else {
            format!("; then {}", next.join(", "))
        };
        ui.say(&format!("{}: {}{then}{truth}", input.name, show(order[0])));
        if !input.notes.is_empty() {
            ui.say(&format!("  assumed: {}", input.notes.join("; ")));
        }
        let named: serde_json::Map<String, serde_json::Value> = classes
            .iter()
            .zip(values)
            .map(|(class, value)| (class.clone(), json!(value)))
            .collect();
        let kind = if probabilities {
            "probabilities"
        } else {
            "values"
        };
        let mut event = json!({"event": "prediction", "file": input.name, "class": best, kind: named, "assumed": input.notes});
        if let Some(label) = input.label {
            event["label"] = classes[label as usize].as_str().into();
        }
        ui.event(&event);
        let numbers: Vec<String> = values.iter().map(f32::to_string).collect();
        csv += &csv_line(
            [input.name.as_str(), best]
                .into_iter()
                .chain(numbers.iter().map(String::as_str)),
        );
    }
    if let Some(path) = &args.out {
        write_whole(path, csv.as_bytes())?;
        ui.say(&format!(
            "{} prediction{} written to {}",
            inputs.len(),
            if inputs.len() == 1 { "" } else { "s" },
            path.display()
        ));
    }
    if unreadable.is_empty() {
        Ok(())
    } else {
        Err(summary(unreadable, args.files.len()))
    }
}

/// The predictions of the readable files stand; this says which others there were.
fn summary(mut unreadable: Vec<Error>, files: usize) -> Error {
    if unreadable.len() == 1 {
        return unreadable.remove(0);
    }
    let count = unreadable.len();
    for e in &unreadable {
        err(&format!("{e}"));
    }
    Error::Data(format!("{count} of {files} files could not be read"))
}

/// `--out` may replace an earlier table, and nothing else: not a picture, not a model.
fn refuse_overwriting(path: &Path) -> Result<()> {
    let is_table = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("csv"));
    if path.is_file() && !is_table {
        return Err(Error::Usage(format!(
            "--out {}: the file exists and is no .csv; it is left as it is, choose another name",
            path.display()
        )));
    }
    Ok(())
}

/// The inputs that can be read, and why the others cannot.
fn read_inputs(model: &Model, files: &[String]) -> Result<(Vec<Input>, Vec<Error>)> {
    let mut data: Option<Dataset> = None;
    let mut inputs = Vec::with_capacity(files.len());
    let mut unreadable = Vec::new();
    for file in files {
        let Some(number) = file.strip_prefix("mnist:") else {
            match picture::load(Path::new(file), model.info.input) {
                Ok(picture) => inputs.push(Input {
                    name: file.clone(),
                    pixels: picture.pixels,
                    notes: picture.notes,
                    label: None,
                }),
                Err(e) => unreadable.push(e),
            }
            continue;
        };
        if data.is_none() {
            let loaded = source::load("mnist")?;
            source::check_fit(model, &loaded)?;
            data = Some(loaded);
        }
        let test = data.as_ref().map(|d| &d.test);
        let found = test.and_then(|test| {
            let ix: usize = number.parse().ok()?;
            (ix < test.len()).then(|| (test.image(ix).to_vec(), test.labels[ix]))
        });
        let Some((pixels, label)) = found else {
            return Err(Error::Usage(format!(
                "{file}: write mnist:N with N from 0 to {}, the number of a test image",
                test.map_or(0, |t| t.len().saturating_sub(1))
            )));
        };
        inputs.push(Input {
            name: file.clone(),
            pixels,
            notes: Vec::new(),
            label: Some(label),
        });
    }
    Ok((inputs, unreadable))
}

/// The model's predictions \[N, C\].
fn predict(model: &Model, inputs: &[Input], device: &str) -> Result<Vec<f32>> {
    let (n, classes) = (inputs.len(), model.info.classes.len());
    let spec = source::eval_spec(model, n, 256);
    let plan = memory::record(&spec, &model.sequential)?;
    let mut backend = open::simple(device, &plan)?;
    let exec = &mut *backend.exec;
    let data = Dataset {
        name: "pictures".to_string(),
        shape: model.info.input,
        classes: model.info.classes.clone(),
        train: Part::empty(),
        test: Part {
            pixels: inputs
                .iter()
                .flat_map(|i| i.pixels.iter().copied())
                .collect(),
            labels: vec![0; n],
        },
    };
    let norm = model.info.normalization.table();
    let rows = [Hyper::new(OptimizerKind::Sgd)];
    feed::load(exec, &data, &norm, &rows, &model.arena(&plan)?)?;
    let steps = feed::upload_eval(exec, 0..n)?;
    let mut outputs = Vec::with_capacity(n * classes);
    for step in 0..steps {
        exec.submit(PassKind::Eval, step..step + 1)?;
        exec.collect()?;
        let head = floats(exec.download(plan.eval.head)?);
        let rows = plan.eval.batch.min(n - step * plan.eval.batch);
        for row in head.chunks(pad4(classes)).take(rows) {
            outputs.extend_from_slice(&row[..classes]);
        }
    }
    Ok(outputs)
}

fn csv_line<'a>(fields: impl Iterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = fields
        .map(|field| {
            if field.contains([',', '"', '\n', '\r']) {
                format!("\"{}\"", field.replace('"', "\"\""))
            } else {
                field.to_string()
            }
        })
        .collect();
    quoted.join(",") + "\n"
}
