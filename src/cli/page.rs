//! `report.html`: a finished run in one page.

use super::mistakes::Wrong;
use super::setup::Setup;
use super::tested::{Report, Run};
use super::ui::thousands;
use crate::data::Targets;
use crate::report::html::{Fact, HtmlReport, Layer, Mistakes, Picture, Setting, Verdict, render};
use crate::train::history::History;
use crate::train::stopping::Reason;
use crate::{Error, Result};

/// Owned strings for the page's borrowed ones.
type Facts = Vec<(&'static str, String)>;

fn facts(list: &Facts) -> Vec<Fact<'_>> {
    list.iter()
        .map(|(name, value)| Fact { name, value })
        .collect()
}

/// The page of a run, with its captioned pictures.
pub fn render_run(run: &Run, pictures: &[(&'static str, Vec<u8>)]) -> Result<String> {
    let (setup, data) = (run.setup, &run.setup.loaded.data);
    let history = History::read(run.folder.path())?;
    let pictures: Vec<Picture> = pictures
        .iter()
        .map(|(caption, png)| Picture { caption, png })
        .collect();
    let results = results(run);
    let classes = match run.tested.map(|t| &t.report) {
        Some(Report::Classes(report)) => report
            .classes
            .iter()
            .map(|row| (row.class.as_str(), row.score))
            .collect(),
        _ => Vec::new(),
    };
    let stopped = run.state.members[run.member]
        .stopped
        .as_ref()
        .map_or_else(String::new, Reason::to_string);
    let summary = setup.sequential.summary(data.shape.len());
    let shapes: Vec<String> = summary.iter().map(|row| row.output.to_string()).collect();
    let layers: Vec<Layer> = summary
        .iter()
        .zip(&shapes)
        .map(|(row, shape)| Layer {
            name: &row.name,
            kind: &row.layer,
            shape,
            parameters: row.parameters as u64,
        })
        .collect();
    let (values, defaults) = (settings(run.setup)?, default_settings(run.setup)?);
    let settings: Vec<Setting> = values
        .iter()
        .map(|(name, value)| Setting {
            name,
            value,
            default: match name.as_str() {
                "source" | "device" | "log-every" => None,
                _ => defaults
                    .iter()
                    .find(|(key, _)| key == name)
                    .map(|(_, v)| v.as_str()),
            },
        })
        .collect();
    let wrong = Wrong::of(run);
    let verdicts = wrong.verdicts();
    let thumbnails = wrong.thumbnails(run);
    let with_pictures: Vec<(&[u8], Verdict)> = thumbnails
        .iter()
        .map(Vec::as_slice)
        .zip(verdicts.iter().copied())
        .collect();
    let (columns, rows) = wrong.rows(run);
    let with_rows: Vec<(&[String], Verdict)> = rows
        .iter()
        .map(Vec::as_slice)
        .zip(verdicts.iter().copied())
        .collect();
    let mistakes = match (with_pictures.is_empty(), with_rows.is_empty()) {
        (false, _) => Mistakes::Pictures(&with_pictures),
        (true, false) => Mistakes::Rows {
            columns: &columns,
            rows: &with_rows,
        },
        (true, true) => Mistakes::None,
    };
    let of_data = data_facts(run);
    let machine = machine_facts(run);
    Ok(render(&HtmlReport {
        title: &history.name(),
        results: &facts(&results),
        stopped: &stopped,
        pictures: &pictures,
        classes: &classes,
        mistakes,
        layers: &layers,
        settings: &settings,
        data: &facts(&of_data),
        machine: &facts(&machine),
    }))
}

fn results(run: &Run) -> Facts {
    let percent = |x: f64| format!("{:.2} %", x * 100.0);
    let mut list: Facts = Vec::new();
    match run.tested.map(|t| &t.report) {
        Some(Report::Classes(report)) => {
            list.push(("test accuracy", percent(report.accuracy)));
            list.push(("macro F1", format!("{:.4}", report.macro_average.f1)));
            if let Some(top) = &report.top_k {
                list.push(("top-5 accuracy", percent(top.accuracy)));
            }
            if let Some(auc) = report.roc_auc {
                list.push(("ROC-AUC", format!("{auc:.4}")));
            }
        }
        Some(Report::Values(report)) => {
            list.push(("test R²", format!("{:.4}", report.r2.unwrap_or(f64::NAN))));
            list.push(("RMSE", format!("{:.6}", report.rmse)));
            list.push(("MAE", format!("{:.6}", report.mae)));
        }
        None => {}
    }
    if let Some(member) = &run.result.member {
        list.push(("best member", member.clone()));
    }
    if let Some(test) = &run.result.test {
        list.push(("test loss", format!("{:.4}", test.loss)));
    }
    list.push(("epochs", run.result.epochs.to_string()));
    list.push((
        "training time",
        format!("{:.1} s", run.result.train_seconds),
    ));
    list.push(("parameters", thousands(run.result.parameters as f64)));
    list
}

/// Every line of the configuration.
fn settings(setup: &Setup) -> Result<Vec<(String, String)>> {
    lines_of(toml::Table::try_from(&setup.config))
}

/// What the configuration would be if nobody had said anything.
fn default_settings(setup: &Setup) -> Result<Vec<(String, String)>> {
    lines_of(toml::Table::try_from(setup.default_config()?))
}

fn lines_of(
    table: std::result::Result<toml::Table, toml::ser::Error>,
) -> Result<Vec<(String, String)>> {
    let table = table.map_err(|e| Error::Data(format!("cannot write report.html: {e}")))?;
    let word = |value: toml::Value| match value {
        toml::Value::String(text) => text,
        value => value.to_string(),
    };
    Ok(table
        .into_iter()
        .map(|(key, value)| (key, word(value)))
        .collect())
}

fn data_facts(run: &Run) -> Facts {
    let (setup, data) = (run.setup, &run.setup.loaded.data);
    let parts = &data.parts;
    let n = |part: &[u32]| thousands(part.len() as f64);
    let mut list: Facts = vec![
        ("source", setup.config.source.clone()),
        ("samples", data.shape.to_string()),
        ("training part", n(&parts.train)),
        ("validation part", n(&parts.val)),
        ("test part", n(&parts.test)),
        ("on the device", setup.residence_words()),
    ];
    list.push(match &data.targets {
        Targets::Classes { names, .. } => ("classes", names.len().to_string()),
        Targets::Values { name, .. } => ("value", name.clone()),
    });
    list.extend(setup.loaded.notes.iter().map(|note| ("note", note.clone())));
    list
}

fn machine_facts(run: &Run) -> Facts {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    vec![
        ("trained on", run.device.to_string()),
        (
            "machine",
            format!(
                "{} {}, {threads} threads",
                std::env::consts::OS,
                std::env::consts::ARCH
            ),
        ),
        (
            "program",
            format!("gpu-train {}", env!("CARGO_PKG_VERSION")),
        ),
    ]
}
