//! `gpu-train predict`: what a model makes of pictures, rows of tables, and test samples.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::ui::{Ui, err};
use super::{ensemble, loaded, memory, open};
use crate::data::table::{self, TableModel};
use crate::data::{Dataset, ImageShape, Parts, Samples, Targets};
use crate::data::{folder, picture};
use crate::files::write_whole;
use crate::models::file::Model;
use crate::plan::Loss;
use crate::train::predictions;
use crate::{Error, Result};

#[derive(clap::Args)]
pub struct Args {
    /// A run folder or a model.safetensors file
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// Pictures (PNG, JPEG, WebP, BMP, GIF, PNM), tables (.csv, .tsv) with the model's columns, or SOURCE:N for test sample N of mnist or of the model's own data
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
    /// Write a CSV file: file, class, and a column per class; or file and value
    #[arg(long, value_name = "FILE.csv")]
    out: Option<PathBuf>,
    /// Average the answers of all members of a run folder
    #[arg(long)]
    ensemble: bool,
    /// cpu, gpu (the best adapter), or an adapter's number or name
    #[arg(long, value_name = "WHICH", default_value = "cpu")]
    device: String,
    /// One JSON object an input on standard output; prose goes to standard error
    #[arg(long)]
    pub json: bool,
}

/// Inputs, ready for the model.
#[derive(Default)]
struct Inputs {
    /// What each is called.
    names: Vec<String>,
    notes: Vec<Vec<String>>,
    /// The truth in words, where it is known.
    truths: Vec<Option<String>>,
    bytes: Vec<u8>,
    floats: Vec<f32>,
}

pub fn run(args: &Args) -> Result<()> {
    let ui = Ui {
        json: args.json,
        quiet: false,
        silent: false,
    };
    if let Some(path) = &args.out {
        refuse_overwriting(path, &args.files)?;
    }
    let models = ensemble::read(&args.model, args.ensemble)?;
    let model = &models[0];
    let (inputs, unreadable) = read_inputs(&ui, model, &args.files)?;
    if inputs.names.is_empty() {
        return Err(summary(unreadable, args.files.len()));
    }
    let n = inputs.names.len();
    let Inputs {
        names,
        notes,
        truths,
        bytes,
        floats,
    } = inputs;
    if !bytes.is_empty() && !floats.is_empty() {
        return Err(Error::Data(
            "pictures and samples of numbers cannot be predicted in one go: name them in two commands".to_string(),
        ));
    }
    let samples = match floats.is_empty() {
        true => Samples::Bytes(bytes),
        false => Samples::Floats(floats),
    };
    let answers = models
        .iter()
        .map(|model| predict(model, samples.clone(), n, &args.device));
    let outputs = ensemble::mean(&answers.collect::<Result<Vec<_>>>()?);
    let width = model.info.outputs();
    let mut csv = csv_head(model);
    let rows = names
        .iter()
        .zip(&notes)
        .zip(&truths)
        .zip(outputs.chunks(width));
    for (((name, notes), truth), values) in rows {
        let said = Said::new(model, values);
        let truth_words = truth
            .as_ref()
            .map_or(String::new(), |t| format!("; labelled {t}"));
        ui.say(&format!("{name}: {}{truth_words}", said.words));
        if !notes.is_empty() {
            ui.say(&format!("  assumed: {}", notes.join("; ")));
        }
        let mut event = said.event;
        event["event"] = "prediction".into();
        event["file"] = name.as_str().into();
        event["assumed"] = json!(notes);
        if let Some(truth) = truth {
            event["label"] = truth.as_str().into();
        }
        ui.event(&event);
        csv += &csv_line(
            [name.as_str()]
                .into_iter()
                .chain(said.cells.iter().map(String::as_str)),
        );
    }
    if let Some(path) = &args.out {
        write_whole(path, csv.as_bytes())?;
        ui.say(&format!(
            "{n} prediction{} written to {}",
            if n == 1 { "" } else { "s" },
            path.display()
        ));
    }
    match unreadable.is_empty() {
        true => Ok(()),
        false => Err(summary(unreadable, args.files.len())),
    }
}

/// One prediction, in each of the forms it is said in.
struct Said {
    words: String,
    event: serde_json::Value,
    cells: Vec<String>,
}

impl Said {
    fn new(model: &Model, values: &[f32]) -> Said {
        if let Some(target) = &model.info.target {
            let value = target.scale.original(values[0]);
            return Said {
                words: format!("{} {value}", target.name),
                event: json!({"value": value, "target": target.name}),
                cells: vec![value.to_string()],
            };
        }
        let classes = &model.info.classes;
        let probabilities = model.loss == Loss::CrossEntropy;
        let mut order: Vec<usize> = (0..classes.len()).collect();
        order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
        let show = |ix: usize| match probabilities {
            true => format!("{} {:.2} %", classes[ix], values[ix] * 100.0),
            false => format!("{} {:.4}", classes[ix], values[ix]),
        };
        let next: Vec<String> = order.iter().skip(1).take(2).map(|&ix| show(ix)).collect();
        let then = match next.is_empty() {
            true => String::new(),
            false => format!("; then {}", next.join(", ")),
        };
        let named: serde_json::Map<String, serde_json::Value> = classes
            .iter()
            .zip(values)
            .map(|(class, value)| (class.clone(), json!(value)))
            .collect();
        let best = &classes[order[0]];
        let kind = if probabilities {
            "probabilities"
        } else {
            "values"
        };
        let numbers = values.iter().map(f32::to_string);
        Said {
            words: format!("{}{then}", show(order[0])),
            event: json!({"class": best, kind: named}),
            cells: [best.clone()].into_iter().chain(numbers).collect(),
        }
    }
}

fn csv_head(model: &Model) -> String {
    match &model.info.target {
        Some(target) => csv_line(["file", target.name.as_str()].into_iter()),
        None => {
            let classes = model.info.classes.iter().map(String::as_str);
            csv_line(["file", "class"].into_iter().chain(classes))
        }
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

/// `--out` may replace an earlier table, and nothing else: not a picture, not a model, not what is to
/// be read.
fn refuse_overwriting(path: &Path, inputs: &[String]) -> Result<()> {
    let place = path.canonicalize().ok();
    let is_out = |input: &&String| place.is_some() && Path::new(input).canonicalize().ok() == place;
    if let Some(input) = inputs.iter().find(is_out) {
        return Err(Error::Usage(format!(
            "--out {}: that is the input {input}; choose another name",
            path.display()
        )));
    }
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
fn read_inputs(ui: &Ui, model: &Model, files: &[String]) -> Result<(Inputs, Vec<Error>)> {
    let mut inputs = Inputs::default();
    let mut unreadable = Vec::new();
    let mut own: Option<(String, Dataset)> = None;
    for file in files {
        let read = if let Some((source, number)) = numbered(model, file) {
            if own.as_ref().is_none_or(|(name, _)| *name != source) {
                let data = loaded::for_model(model, Some(&source), false)?;
                own = Some((source, data.data));
            }
            let data = own.as_ref().map(|(_, data)| data);
            sample(&mut inputs, file, number, data)
        } else if is_table(file) {
            rows(ui, &mut inputs, model, file)
        } else {
            one_picture(&mut inputs, model, file)
        };
        match read {
            Ok(()) => {}
            // A wrong number is a mistake in the command, a broken file is not.
            Err(e @ Error::Usage(_)) => return Err(e),
            Err(e) => unreadable.push(e),
        }
    }
    Ok((inputs, unreadable))
}

fn is_table(file: &str) -> bool {
    let extension = Path::new(file).extension().map(|e| e.to_ascii_lowercase());
    extension.is_some_and(|e| e == "csv" || e == "tsv")
}

/// `mnist:42`, or `SOURCE:42` where SOURCE is what the model was trained on.
fn numbered<'a>(model: &Model, file: &'a str) -> Option<(String, &'a str)> {
    let (source, number) = file.rsplit_once(':')?;
    let known = source == "mnist" || source == model.info.source;
    (known && !Path::new(file).exists()).then(|| (source.to_string(), number))
}

/// Test sample `number` of a data set.
fn sample(inputs: &mut Inputs, file: &str, number: &str, data: Option<&Dataset>) -> Result<()> {
    let Some(data) = data else {
        return Ok(());
    };
    let test = &data.parts.test;
    let found = number.parse::<usize>().ok().and_then(|n| test.get(n));
    let Some(&ix) = found else {
        return Err(Error::Usage(format!(
            "{file}: write SOURCE:N with N from 0 to {}, the number of a test sample",
            test.len().saturating_sub(1)
        )));
    };
    let (ix, len) = (ix as usize, data.shape.len());
    match &data.samples {
        Samples::Bytes(all) => inputs.bytes.extend_from_slice(&all[ix * len..][..len]),
        Samples::Floats(all) => inputs.floats.extend_from_slice(&all[ix * len..][..len]),
    }
    inputs.names.push(file.to_string());
    inputs.notes.push(Vec::new());
    inputs.truths.push(Some(match &data.targets {
        Targets::Classes { labels, names } => names[labels[ix] as usize].clone(),
        Targets::Values { values, .. } => values[ix].to_string(),
    }));
    Ok(())
}

/// All rows of a table.
fn rows(ui: &Ui, inputs: &mut Inputs, model: &Model, file: &str) -> Result<()> {
    let Some(TableModel { encoder, target }) = &model.info.table else {
        return Err(Error::Data(format!(
            "{file} is a table, and the model takes {}",
            model.info.input
        )));
    };
    let read = table::read_like(Path::new(file), encoder, target, false)?;
    let n = read.raw.len();
    let (matrix, notes) = encoder.encode(read.raw)?;
    for note in read.notes.iter().chain(&notes) {
        ui.say(&format!("{file}: {note}"));
    }
    inputs.floats.extend(matrix);
    for row in 0..n {
        inputs.names.push(format!("{file} row {}", row + 1));
        inputs.notes.push(Vec::new());
        inputs.truths.push(None);
    }
    Ok(())
}

/// One picture, brought into the form of the model's training pictures.
fn one_picture(inputs: &mut Inputs, model: &Model, file: &str) -> Result<()> {
    let (path, shape) = (Path::new(file), model.info.input);
    if model.info.table.is_some() || shape.is_vector() {
        return Err(Error::Data(format!(
            "{file}: the model was trained on {}: give it a table (.csv, .tsv)",
            if model.info.table.is_some() {
                "a table"
            } else {
                "vectors"
            }
        )));
    }
    // MNIST's digits are centred and light on dark; pictures of a folder are taken as they are.
    let (pixels, notes) = match model.info.data.size.is_some() || !shape_of_mnist(shape) {
        true => (folder::load_one(path, shape)?, Vec::new()),
        false => {
            let picture = picture::load(path, shape)?;
            (picture.pixels, picture.notes)
        }
    };
    inputs.bytes.extend(pixels);
    inputs.names.push(file.to_string());
    inputs.notes.push(notes);
    inputs.truths.push(None);
    Ok(())
}

fn shape_of_mnist(shape: ImageShape) -> bool {
    (shape.channels, shape.height, shape.width) == (1, 28, 28)
}

/// The model's outputs \[N, C\].
fn predict(model: &Model, samples: Samples, n: usize, device: &str) -> Result<Vec<f32>> {
    let info = &model.info;
    let data = Dataset {
        name: "inputs".to_string(),
        shape: info.input,
        samples,
        targets: match &info.target {
            Some(target) => Targets::Values {
                values: vec![0.0; n],
                name: target.name.clone(),
            },
            None => Targets::Classes {
                labels: vec![0; n],
                names: info.classes.clone(),
            },
        },
        parts: Parts {
            test: (0..n as u32).collect(),
            ..Parts::default()
        },
        names: Vec::new(),
    };
    let plan = memory::record(&loaded::spec(model, &data), &model.sequential)?;
    let mut backend = open::simple(device, &plan)?;
    let exec = &mut *backend.exec;
    let feed = loaded::feed(model, &data);
    loaded::prepare(&mut *exec, model, &feed)?;
    Ok(predictions(exec, &feed, &data.parts.test)?.swap_remove(0))
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
