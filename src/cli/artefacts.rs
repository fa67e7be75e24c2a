//! The pictures of a run: curves, confusion or scatter, ROC, comparison of members.

use std::path::Path;

use super::setup::Setup;
use super::tested::{Report, Run, Tested};
use super::{page, runs};
use crate::data::Targets;
use crate::metrics::roc_curve;
use crate::report::confusion::{self, Confusion};
use crate::report::curves::{self, Curves, Point};
use crate::report::roc::{self, Roc};
use crate::report::scatter::{self, Scatter};
use crate::report::tensorboard::{EventWriter, seconds_since_epoch};
use crate::train::history::{History, RunResult, StepLine};
use crate::train::run_folder::RunFolder;
use crate::{Error, Result};

/// Refuses a file for a picture that is no PNG, or has no folder to lie in, before any work is done.
pub fn check_png(option: &str, path: &Path) -> Result<()> {
    let is_png = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("png"));
    if !is_png {
        return Err(Error::Usage(format!(
            "--{option} {}: the picture is a PNG: name a .png file",
            path.display()
        )));
    }
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.is_dir() => Err(Error::Usage(format!(
            "--{option} {}: there is no folder {}",
            path.display(),
            folder.display()
        ))),
        _ => Ok(()),
    }
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
        let mut lines = runs::lines(&history, "");
        // Where two run alike, the one that stopped sooner lies on top.
        lines.sort_by_key(|line| line.train.len());
        let title = format!("{}: {} members", history.name(), lines.len());
        let png = runs::draw(&title, &lines, runs::metric(&history))?;
        run.folder.write("members.png", &png)?;
        pictures.push(("Members: training solid, validation dashed", png));
    }
    if let Some(tested) = run.tested {
        pictures.extend(test_pictures(run, tested)?);
    }
    let page = page::render_run(run, &pictures)?;
    run.folder.write("report.html", page.as_bytes())
}

/// Draws `curves.png` of the first, or the chosen, member from the logs; its bytes.
pub fn curves(folder: &RunFolder, setup: &Setup, run: Option<&Run>) -> Result<Vec<u8>> {
    let history = History::read(folder.path())?;
    let member = run.map_or(0, |run| run.member);
    let line = runs::lines(&history, "").swap_remove(member);
    let train = setup.loaded.data.parts.train.len();
    let per_epoch = train.div_ceil(setup.config.batch as usize) as f64;
    let steps = history.steps(member)?;
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
        "" => "no hidden layer",
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
            let restored = run.state.members[run.member].restores();
            Some(Point {
                // Where the weights are from.
                epoch: f64::from(restored.map_or(run.result.epochs, |best| best.epoch)),
                loss: test.loss,
                metric: test.quality(),
            })
        }),
        rates: &rates,
        best: run.and_then(|run| {
            let restored = run.state.members[run.member].restores();
            restored.map(|best| f64::from(best.epoch))
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
    for name in ["curves", "confusion", "roc", "scatter", "members"] {
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
