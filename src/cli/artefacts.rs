//! The pictures and the page of a run: curves, confusion or scatter, ROC, comparison of members, and
//! report.html.

use super::runs;
use super::setup::Setup;
use super::ui::thousands;
use crate::data::{Samples, Targets};
use crate::metrics::{ClassificationReport, Ranking, RegressionReport, count_confusion, roc_curve};
use crate::plan::Loss;
use crate::report::confusion::{self, Confusion};
use crate::report::curves::{self, Curves, Point};
use crate::report::html::{Fact, HtmlReport, Layer, Mistakes, Picture, Setting, Verdict, render};
use crate::report::roc::{self, Roc};
use crate::report::scatter::{self, Scatter};
use crate::report::tensorboard::{EventWriter, seconds_since_epoch};
use crate::report::thumbnail::thumbnail;
use crate::train::State;
use crate::train::history::{History, RunResult, StepLine};
use crate::train::run_folder::RunFolder;
use crate::train::stopping::Reason;
use crate::{Error, Result};

/// Worst mistakes that the page shows.
const MISTAKES: usize = 24;
/// Pixels of a thumbnail's side.
const THUMBNAIL: u32 = 84;
/// Columns of a table that the page shows of a row.
const COLUMNS: usize = 8;

/// The chosen member's answers to the test part, and the numbers that they come to.
pub struct Tested {
    /// \[N, C\]: probabilities, raw outputs, or values in their own units.
    outputs: Vec<f32>,
    pub report: Report,
}

/// Of classes, or of values.
pub enum Report {
    Classes(Box<ClassificationReport>),
    Values(RegressionReport),
}

impl Tested {
    /// `outputs` \[N, C\] as the executor made them of the test part.
    pub fn new(setup: &Setup, mut outputs: Vec<f32>) -> Tested {
        let data = &setup.loaded.data;
        let test = &data.parts.test;
        let report = match &data.targets {
            Targets::Classes { names, .. } => {
                let labels: Vec<u32> = test.iter().map(|&ix| data.label(ix as usize)).collect();
                let predicted: Vec<u32> = outputs.chunks(names.len()).map(argmax).collect();
                let counts = count_confusion(&labels, &predicted, names.len());
                let ranking = Ranking {
                    labels: &labels,
                    scores: &outputs,
                };
                let report = ClassificationReport::new(names, &counts, Some(ranking));
                Report::Classes(Box::new(report))
            }
            Targets::Values { values, .. } => {
                let scale = setup.loaded.target;
                outputs.iter_mut().for_each(|y| *y = scale.original(*y));
                let truths: Vec<f64> = test
                    .iter()
                    .map(|&ix| f64::from(values[ix as usize]))
                    .collect();
                let predicted: Vec<f64> = outputs.iter().map(|&y| f64::from(y)).collect();
                Report::Values(RegressionReport::new(&truths, &predicted))
            }
        };
        Tested { outputs, report }
    }
}

/// The index of the largest value, the first among equals.
fn argmax(values: &[f32]) -> u32 {
    let mut best = 0;
    for (ix, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = ix;
        }
    }
    best as u32
}

/// A finished run, ready to be drawn.
pub struct Run<'a> {
    pub folder: &'a RunFolder,
    pub setup: &'a Setup,
    pub state: &'a State,
    pub result: &'a RunResult,
    /// The chosen member.
    pub member: usize,
    pub tested: Option<&'a Tested>,
    /// "cpu (2 threads)".
    pub device: &'a str,
}

fn drawing(what: &str) -> impl FnOnce(String) -> Error {
    let what = what.to_string();
    move |e| Error::Data(format!("cannot draw {what}: {e}"))
}

/// Writes every picture and the page.
pub fn write(run: &Run) -> Result<()> {
    let mut pictures = vec![("Training", curves(run.folder, run.setup, Some(run))?)];
    if run.setup.is_population() {
        let history = History::read(run.folder.path())?;
        let lines = runs::lines(&history, "");
        let title = format!("{}: {} members", history.name(), lines.len());
        let png = runs::draw(&title, &lines, runs::metric(&history))?;
        run.folder.write("members.png", &png)?;
        pictures.push(("Members: training solid, validation dashed", png));
    }
    if let Some(tested) = run.tested {
        pictures.extend(test_pictures(run, tested)?);
    }
    let page = page(run, &pictures)?;
    run.folder.write("report.html", page.as_bytes())
}

/// Draws `curves.png` of the first, or the chosen, member from the logs; its bytes.
pub fn curves(folder: &RunFolder, setup: &Setup, run: Option<&Run>) -> Result<Vec<u8>> {
    let history = History::read(folder.path())?;
    let member = run.map_or(0, |run| run.member);
    let line = runs::lines(&history, "").swap_remove(member);
    let train = setup.loaded.data.parts.train.len();
    let per_epoch = train.div_ceil(setup.config.batch as usize) as f64;
    let of_member = |step: &StepLine| step.member == member;
    let steps: Vec<StepLine> = history.steps()?.into_iter().filter(of_member).collect();
    let at = |step: &StepLine| step.step as f64 / per_epoch;
    let points: Vec<Point> = steps
        .iter()
        .map(|step| Point {
            epoch: at(step),
            loss: step.loss,
            metric: step.accuracy,
        })
        .collect();
    let rates: Vec<(f64, f64)> = steps.iter().map(|step| (at(step), step.lr)).collect();
    let config = &setup.members[member];
    let model = match config.model.as_str() {
        "" => "softmax",
        model => model,
    };
    let who = match setup.is_population() {
        true => format!(" ({})", setup.member_name(member)),
        false => String::new(),
    };
    let title = format!(
        "{}{who}: {model} · {} lr {} · batch {}",
        history.name(),
        config.opt,
        config.lr,
        config.batch
    );
    let png = curves::draw(&Curves {
        title: &title,
        metric: runs::metric(&history),
        steps: &points,
        epochs: &line.train,
        validation: &line.validation,
        test: run.and_then(|run| {
            let test = run.result.test?;
            Some(Point {
                epoch: f64::from(run.result.epochs),
                loss: test.loss,
                metric: test.quality(),
            })
        }),
        rates: &rates,
        best: run.and_then(|run| {
            let member = &run.state.members[run.member];
            let restored = member.early.is_some();
            restored.then_some(f64::from(member.best?.epoch))
        }),
    })
    .map_err(drawing("curves.png"))?;
    folder.write("curves.png", &png)?;
    Ok(png)
}

/// What the test part came to, as pictures.
fn test_pictures(run: &Run, tested: &Tested) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let data = &run.setup.loaded.data;
    let test = &data.parts.test;
    let mut pictures = Vec::new();
    let mut add = |file: &str, caption: &'static str, png: Vec<u8>| -> Result<()> {
        run.folder.write(file, &png)?;
        pictures.push((caption, png));
        Ok(())
    };
    match (&tested.report, &data.targets) {
        (Report::Classes(report), _) => {
            let names = data.classes();
            let counts = report.confusion.concat();
            let png = confusion::draw(&Confusion {
                title: &format!("{}: test part, {} samples", data.name, test.len()),
                names,
                counts: &counts,
            })
            .map_err(drawing("confusion.png"))?;
            add("confusion.png", "Confusion over the test part", png)?;
            let Some(auc) = report.roc_auc else {
                return Ok(pictures);
            };
            let positive: Vec<bool> = test
                .iter()
                .map(|&ix| data.label(ix as usize) == 1)
                .collect();
            let scores: Vec<f32> = tested.outputs.iter().skip(1).step_by(2).copied().collect();
            let points = roc_curve(&positive, &scores).unwrap_or_default();
            let points: Vec<(f64, f64)> = points.iter().map(|p| (p.fpr, p.tpr)).collect();
            let png = roc::draw(&Roc {
                title: &data.name,
                positive: &names[1],
                points: &points,
                auc,
            })
            .map_err(drawing("roc.png"))?;
            add("roc.png", "Receiver operating characteristic", png)?;
        }
        (Report::Values(report), Targets::Values { values, name }) => {
            let points: Vec<(f64, f64)> = test
                .iter()
                .zip(&tested.outputs)
                .map(|(&ix, &y)| (f64::from(values[ix as usize]), f64::from(y)))
                .collect();
            let png = scatter::draw(&Scatter {
                title: &data.name,
                target: name,
                points: &points,
                r2: report.r2.unwrap_or(f64::NAN),
                rmse: report.rmse,
            })
            .map_err(drawing("scatter.png"))?;
            add(
                "scatter.png",
                "Predicted against true values of the test part",
                png,
            )?;
        }
        (Report::Values(_), Targets::Classes { .. }) => {}
    }
    Ok(pictures)
}

/// Final numbers and pictures for TensorBoard.
pub fn to_board(board: &mut EventWriter, folder: &RunFolder, result: &RunResult) -> Result<()> {
    let (step, now) = (u64::from(result.epochs), seconds_since_epoch());
    if let Some(test) = &result.test {
        board.scalar("loss/test", step, now, test.loss as f32)?;
        if let Some(accuracy) = test.accuracy {
            board.scalar("accuracy/test", step, now, accuracy as f32)?;
        }
        if let Some(r2) = test.r2 {
            board.scalar("r2/test", step, now, r2 as f32)?;
        }
    }
    for name in ["curves", "confusion", "scatter", "members"] {
        let path = folder.path().join(format!("{name}.png"));
        let Ok(png) = std::fs::read(&path) else {
            continue;
        };
        let size = image::ImageReader::open(&path)
            .ok()
            .and_then(|reader| reader.into_dimensions().ok());
        if let Some((width, height)) = size {
            board.image(name, step, now, &png, [width, height])?;
        }
    }
    board.flush()
}

/// Owned strings for the page's borrowed ones.
type Facts = Vec<(&'static str, String)>;

fn facts(list: &Facts) -> Vec<Fact<'_>> {
    list.iter()
        .map(|(name, value)| Fact { name, value })
        .collect()
}

fn page(run: &Run, pictures: &[(&'static str, Vec<u8>)]) -> Result<String> {
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
                "source" | "device" => None,
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

/// The samples that the model got most wrong, worst first.
struct Wrong {
    list: Vec<Mistake>,
}

struct Mistake {
    sample: usize,
    truth: String,
    prediction: String,
    probability: Option<f64>,
    name: String,
}

impl Wrong {
    fn of(run: &Run) -> Wrong {
        let Some(tested) = run.tested else {
            return Wrong { list: Vec::new() };
        };
        let data = &run.setup.loaded.data;
        let width = data.outputs();
        let mut all: Vec<(f64, Mistake)> = Vec::new();
        for (&ix, outputs) in data.parts.test.iter().zip(tested.outputs.chunks(width)) {
            let ix = ix as usize;
            let (badness, truth, prediction, probability) = match &data.targets {
                Targets::Classes { labels, names } => {
                    let (label, predicted) = (labels[ix] as usize, argmax(outputs) as usize);
                    if label == predicted {
                        continue;
                    }
                    let sure = f64::from(outputs[predicted] - outputs[label]);
                    let probability = run.setup.config.loss() == Loss::CrossEntropy;
                    let probability = probability.then(|| f64::from(outputs[predicted]));
                    (
                        sure,
                        names[label].clone(),
                        names[predicted].clone(),
                        probability,
                    )
                }
                Targets::Values { values, .. } => {
                    let (truth, predicted) = (values[ix], outputs[0]);
                    let off = f64::from((truth - predicted).abs());
                    (off, truth.to_string(), predicted.to_string(), None)
                }
            };
            let name = data.name_of(ix);
            all.push((
                badness,
                Mistake {
                    sample: ix,
                    truth,
                    prediction,
                    probability,
                    name,
                },
            ));
        }
        all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.sample.cmp(&b.1.sample)));
        let list = all.into_iter().take(MISTAKES).map(|(_, mistake)| mistake);
        Wrong {
            list: list.collect(),
        }
    }

    fn verdicts(&self) -> Vec<Verdict<'_>> {
        self.list
            .iter()
            .map(|m| Verdict {
                truth: &m.truth,
                prediction: &m.prediction,
                probability: m.probability,
                sample: &m.name,
            })
            .collect()
    }

    /// A PNG a mistake; none where the samples are no pictures.
    fn thumbnails(&self, run: &Run) -> Vec<Vec<u8>> {
        let data = &run.setup.loaded.data;
        if data.shape.is_vector() {
            return Vec::new();
        }
        let shape = [data.shape.channels, data.shape.height, data.shape.width];
        let of = |m: &Mistake| thumbnail(&bytes_of(data, m.sample), shape, THUMBNAIL).ok();
        self.list.iter().filter_map(of).collect()
    }

    /// The first columns of a table, and the rows of the mistakes; nothing for pictures.
    fn rows(&self, run: &Run) -> (Vec<String>, Vec<Vec<String>>) {
        let data = &run.setup.loaded.data;
        let (Samples::Floats(all), true) = (&data.samples, data.shape.is_vector()) else {
            return (Vec::new(), Vec::new());
        };
        let width = data.shape.len();
        let names = match &run.setup.loaded.table {
            Some(table) => table.encoder.input_names(),
            None => (0..width).map(|ix| format!("input {ix}")).collect(),
        };
        let row = |m: &Mistake| -> Vec<String> {
            let values = &all[m.sample * width..][..width.min(COLUMNS)];
            values.iter().map(f32::to_string).collect()
        };
        let rows = self.list.iter().map(row).collect();
        (names.into_iter().take(COLUMNS).collect(), rows)
    }
}

/// A sample's pixels; floats are stretched from their least to their most.
fn bytes_of(data: &crate::data::Dataset, ix: usize) -> Vec<u8> {
    let len = data.shape.len();
    match &data.samples {
        Samples::Bytes(all) => all[ix * len..][..len].to_vec(),
        Samples::Floats(all) => {
            let values = &all[ix * len..][..len];
            let low = values.iter().copied().fold(f32::INFINITY, f32::min);
            let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let scale = if high > low {
                255.0 / (high - low)
            } else {
                0.0
            };
            values.iter().map(|&v| ((v - low) * scale) as u8).collect()
        }
    }
}
