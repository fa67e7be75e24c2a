//! `gpu-train data`: what was understood of a source, before any training.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::artefacts::check_png;
use super::ui::{Ui, thousands};
use crate::data::Targets;
use crate::data::load::{self, Loaded};
use crate::data::options::DataOptions;
use crate::data::source::Content;
use crate::data::stats::sample_stats;
use crate::data::table::ColumnReport;
use crate::files::write_whole;
use crate::report::contact_sheet;
use crate::{Error, Result};

/// Classes whose counts are printed; the others are summed up.
const SHOWN: usize = 40;

#[derive(clap::Args)]
pub struct Args {
    /// As `gpu-train train` takes it
    #[arg(value_name = "DATA")]
    data: String,
    #[command(flatten)]
    options: DataOptions,
    /// Write a contact sheet of thumbnails, a row a class [default: NAME-sheet.png for pictures]
    #[arg(long, value_name = "FILE.png", help_heading = "Output")]
    sheet: Option<PathBuf>,
    /// No contact sheet
    #[arg(long, help_heading = "Output", conflicts_with = "sheet")]
    no_sheet: bool,
    /// One JSON object on standard output; prose goes to standard error
    #[arg(long, help_heading = "Output")]
    pub json: bool,
}

pub fn run(args: &Args) -> Result<()> {
    let ui = Ui {
        json: args.json,
        quiet: false,
        silent: false,
    };
    if let Some(path) = &args.sheet {
        check_png("sheet", path)?;
    }
    // A table's columns are described as they lie in the file, before they are encoded.
    let source = load::read(&args.data, &args.options)?;
    let columns = match &source.content {
        Content::Table(raw) => Some(raw.describe()),
        Content::Samples { .. } => None,
    };
    let png = match args.no_sheet {
        true => None,
        false => contact_sheet::draw(&source, &args.data)
            .map_err(|what| Error::Data(format!("cannot draw the contact sheet: {what}")))?,
    };
    let loaded = load::prepare(&args.data, source, &args.options, false)?;
    let data = &loaded.data;
    ui.say(&format!(
        "{}: {} samples of {}",
        args.data,
        thousands(data.len() as f64),
        data.shape
    ));
    for note in &loaded.notes {
        ui.say(&format!("  {note}"));
    }
    let parts = parts(&ui, &loaded);
    let target = target(&ui, &loaded);
    let inputs = match &columns {
        Some(columns) => table_columns(&ui, columns),
        None => channels(&ui, &loaded),
    };
    let sheet = sheet(&ui, args, &loaded, png)?;
    ui.event(&json!({
        "event": "data",
        "data": args.data,
        "samples": data.len(),
        "shape": data.shape,
        "parts": parts,
        "target": target,
        "inputs": inputs,
        "notes": loaded.notes,
        "sheet": sheet,
    }));
    Ok(())
}

fn parts(ui: &Ui, loaded: &Loaded) -> Value {
    let parts = &loaded.data.parts;
    let counts = [
        ("training", parts.train.len()),
        ("validation", parts.val.len()),
        ("test", parts.test.len()),
    ];
    let words: Vec<String> = counts
        .iter()
        .filter(|(_, n)| *n > 0)
        .map(|(name, n)| format!("{name} {}", thousands(*n as f64)))
        .collect();
    ui.say(&format!("parts: {}", words.join(", ")));
    json!({"train": parts.train.len(), "val": parts.val.len(), "test": parts.test.len()})
}

/// Classes with their counts in each part, or the range of a value.
fn target(ui: &Ui, loaded: &Loaded) -> Value {
    let data = &loaded.data;
    let parts = &data.parts;
    match &data.targets {
        Targets::Values { values, name } => {
            let finite = values.iter().copied().map(f64::from);
            let low = finite.clone().fold(f64::INFINITY, f64::min);
            let high = finite.clone().fold(f64::NEG_INFINITY, f64::max);
            let mean = finite.sum::<f64>() / values.len().max(1) as f64;
            ui.say(&format!(
                "predicts the value {name}: {low} to {high}, mean {mean:.6}"
            ));
            json!({"name": name, "min": low, "max": high, "mean": mean})
        }
        Targets::Classes { names, .. } => {
            let lists = [&parts.train, &parts.val, &parts.test].map(|part| data.counts(part));
            let width = names
                .iter()
                .map(|n| n.chars().count())
                .max()
                .unwrap_or(0)
                .clamp(5, 40);
            ui.say(&format!(
                "{:<width$}  {:>9}  {:>10}  {:>9}",
                "class", "training", "validation", "test"
            ));
            for (ix, name) in names.iter().enumerate().take(SHOWN) {
                let [train, val, test] = [0, 1, 2].map(|part| thousands(lists[part][ix] as f64));
                ui.say(&format!("{name:<width$}  {train:>9}  {val:>10}  {test:>9}"));
            }
            if names.len() > SHOWN {
                ui.say(&format!("... and {} more classes", names.len() - SHOWN));
            }
            let counts = lists[0].iter().copied();
            let (least, most) = (counts.clone().min().unwrap_or(0), counts.max().unwrap_or(0));
            if most >= 3 * least.max(1) {
                ui.say(&format!(
                    "the largest class has {:.1} times the samples of the smallest: --class-weights balanced evens them out",
                    most as f64 / least.max(1) as f64
                ));
            }
            let of = |ix: usize| json!({"class": names[ix], "train": lists[0][ix], "val": lists[1][ix], "test": lists[2][ix]});
            json!({"classes": (0..names.len()).map(of).collect::<Vec<_>>()})
        }
    }
}

fn table_columns(ui: &Ui, columns: &[ColumnReport]) -> Value {
    let width = columns
        .iter()
        .map(|c| c.name.chars().count())
        .max()
        .unwrap_or(0)
        .clamp(6, 40);
    ui.say(&format!(
        "{:<width$}  {:>8}  {:>12}  {:>12}  {:>12}  {:>12}",
        "column", "missing", "least", "most", "mean", "deviation"
    ));
    let number = |x: f64| {
        format!("{x:.6}")
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_string()
    };
    for c in columns {
        let (name, missing) = (&c.name, c.missing);
        match (&c.numbers, &c.categories) {
            (Some(s), _) => ui.say(&format!(
                "{name:<width$}  {missing:>8}  {:>12}  {:>12}  {:>12}  {:>12}",
                number(s.min),
                number(s.max),
                number(s.mean),
                number(s.std)
            )),
            (None, categories) => {
                let list = categories.as_deref().unwrap_or_default();
                let top: Vec<String> = list
                    .iter()
                    .take(4)
                    .map(|(n, c)| format!("{n} {c}"))
                    .collect();
                let more = match list.len().saturating_sub(4) {
                    0 => String::new(),
                    n => format!(" and {n} more"),
                };
                ui.say(&format!(
                    "{name:<width$}  {missing:>8}  {} categories: {}{more}",
                    list.len(),
                    top.join(", ")
                ));
            }
        }
    }
    let of = |c: &ColumnReport| {
        let mut column = json!({"column": c.name, "missing": c.missing});
        if let Some(s) = &c.numbers {
            column["min"] = s.min.into();
            column["max"] = s.max.into();
            column["mean"] = s.mean.into();
            column["std"] = s.std.into();
        }
        if let Some(list) = &c.categories {
            column["categories"] = list
                .iter()
                .map(|(n, c)| json!({"name": n, "count": c}))
                .collect();
        }
        column
    };
    columns.iter().map(of).collect()
}

/// Range, mean and deviation of each channel of the training part.
fn channels(ui: &Ui, loaded: &Loaded) -> Value {
    let data = &loaded.data;
    let (len, channels) = (data.shape.len(), data.shape.channels);
    let stats = sample_stats(&data.samples, len, len / channels, &data.parts.train);
    let mut list = Vec::new();
    for (ix, s) in stats.iter().enumerate() {
        let what = match (channels, data.shape.is_vector()) {
            (_, true) => "inputs".to_string(),
            (1, _) => "pixels".to_string(),
            (_, _) => format!("channel {ix}"),
        };
        ui.say(&format!(
            "{what}: {} to {}, mean {:.4}, deviation {:.4} (training part)",
            s.min, s.max, s.mean, s.std
        ));
        list.push(json!({"min": s.min, "max": s.max, "mean": s.mean, "std": s.std}));
    }
    list.into()
}

/// Writes the contact sheet, where the samples are pictures; where it lies.
fn sheet(ui: &Ui, args: &Args, loaded: &Loaded, png: Option<Vec<u8>>) -> Result<Option<String>> {
    let Some(png) = png else {
        return match &args.sheet {
            Some(path) => Err(Error::Usage(format!(
                "--sheet {}: the samples are no pictures but {}",
                path.display(),
                loaded.data.shape
            ))),
            None => Ok(None),
        };
    };
    let path = match &args.sheet {
        Some(path) => path.clone(),
        None => PathBuf::from(format!("{}-sheet.png", loaded.data.name)),
    };
    write_whole(&path, &png)?;
    ui.say(&format!("contact sheet: {}", path.display()));
    Ok(Some(path.display().to_string()))
}
