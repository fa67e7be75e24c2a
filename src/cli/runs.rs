//! `gpu-train runs` and `gpu-train compare`: the run folders side by side.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::artefacts::check_png;
use super::ui::Ui;
use crate::files::write_whole;
use crate::report::compare::{self as chart, Series};
use crate::report::curves::Point;
use crate::report::metric::Metric;
use crate::train::history::History;
use crate::{Error, Result, suggest};

#[derive(clap::Args)]
pub struct ListArgs {
    /// The folder that holds run folders
    #[arg(value_name = "DIR", default_value = "runs")]
    dir: PathBuf,
    /// Sort by name, epochs, loss, quality (accuracy or R²), validation, seconds or parameters; the best first
    #[arg(long, value_name = "COLUMN", default_value = "name")]
    sort: String,
    /// Turn the order round
    #[arg(long)]
    reverse: bool,
    /// One JSON object a run on standard output
    #[arg(long)]
    pub json: bool,
}

#[derive(clap::Args)]
pub struct CompareArgs {
    /// Run folders
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// The picture
    #[arg(long, value_name = "FILE.png", default_value = "compare.png")]
    out: PathBuf,
    /// One JSON object a run on standard output; prose goes to standard error
    #[arg(long)]
    pub json: bool,
}

/// One line of the table.
struct Row {
    history: History,
    name: String,
}

impl Row {
    fn epochs(&self) -> u32 {
        self.history.epochs.last().map_or(0, |line| line.epoch)
    }

    fn loss(&self) -> Option<f64> {
        self.history.result.as_ref()?.test.map(|t| t.loss)
    }

    /// Accuracy, or R².
    fn quality(&self) -> Option<f64> {
        self.history.result.as_ref()?.test?.quality()
    }

    fn validation(&self) -> Option<f64> {
        match &self.history.result {
            Some(result) => result.val?.quality(),
            None => self.history.best(0)?.val?.quality(),
        }
    }

    fn seconds(&self) -> f64 {
        match &self.history.result {
            Some(result) => result.train_seconds,
            None => self
                .history
                .epochs
                .iter()
                .fold(0.0, |all, line| all + line.seconds),
        }
    }

    fn parameters(&self) -> usize {
        self.history.result.as_ref().map_or(0, |r| r.parameters)
    }

    fn stopped(&self) -> &str {
        let result = self.history.result.as_ref();
        result.map_or("unfinished", |r| r.stopped.as_str())
    }
}

pub fn list(args: &ListArgs) -> Result<()> {
    let ui = Ui {
        json: args.json,
        quiet: false,
        silent: false,
    };
    if !args.dir.exists() && args.dir == Path::new("runs") {
        ui.say("no runs here yet: `gpu-train mnist` makes the first, in runs/mnist-1");
        return Ok(());
    }
    let entries = std::fs::read_dir(&args.dir).map_err(|e| Error::io(&args.dir, "read", e))?;
    let mut folders: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("config.toml").is_file())
        .collect();
    folders.sort_by_key(|path| natural(&path.display().to_string()));
    let mut rows = Vec::new();
    for path in folders {
        match History::read(&path) {
            Ok(history) => rows.push(Row {
                name: history.name(),
                history,
            }),
            Err(e) => super::ui::err(&format!("left out: {e}")),
        }
    }
    sort(&mut rows, &args.sort)?;
    if args.reverse {
        rows.reverse();
    }
    if rows.is_empty() {
        ui.say(&format!("no runs in {}", args.dir.display()));
        return Ok(());
    }
    print(&ui, &rows);
    Ok(())
}

fn sort(rows: &mut [Row], by: &str) -> Result<()> {
    let highest = |x: Option<f64>| -x.unwrap_or(f64::NEG_INFINITY);
    let lowest = |x: Option<f64>| x.unwrap_or(f64::INFINITY);
    let key: fn(&Row) -> f64 = match by.to_lowercase().as_str() {
        "name" => return Ok(()),
        "epochs" => |row| -f64::from(row.epochs()),
        "seconds" => |row| row.seconds(),
        "parameters" => |row| row.parameters() as f64,
        "loss" => {
            rows.sort_by(|a, b| lowest(a.loss()).total_cmp(&lowest(b.loss())));
            return Ok(());
        }
        "quality" | "accuracy" | "r2" => {
            rows.sort_by(|a, b| highest(a.quality()).total_cmp(&highest(b.quality())));
            return Ok(());
        }
        "validation" => {
            rows.sort_by(|a, b| highest(a.validation()).total_cmp(&highest(b.validation())));
            return Ok(());
        }
        other => {
            let known = [
                "name",
                "epochs",
                "loss",
                "quality",
                "accuracy",
                "r2",
                "validation",
                "seconds",
                "parameters",
            ];
            return Err(Error::Usage(format!(
                "--sort {other}: no such column{}",
                suggest::hint(other, known)
            )));
        }
    };
    rows.sort_by(|a, b| key(a).total_cmp(&key(b)));
    Ok(())
}

/// Digits in a name as numbers, so that run-10 comes behind run-9.
fn natural(name: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text_end = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (text, tail) = rest.split_at(text_end);
        let end = tail
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (digits, tail) = tail.split_at(end);
        parts.push((text.to_string(), digits.parse().unwrap_or(0)));
        rest = tail;
    }
    parts
}

fn print(ui: &Ui, rows: &[Row]) {
    let width =
        |f: fn(&Row) -> usize, least: usize| rows.iter().map(f).max().unwrap_or(0).clamp(least, 36);
    let names = width(|r| r.name.chars().count(), 4);
    let models = width(|r| model(&r.history).chars().count(), 5);
    ui.say(&format!(
        "{:<names$}  {:<models$}  {:<9} {:>9}  {:>6}  {:>9}  {:>9}  {:>9}  {:>8}  {}",
        "run", "model", "opt", "lr", "epochs", "val", "test", "test loss", "seconds", "stopped"
    ));
    let share = |x: Option<f64>, percent: bool| match (x, percent) {
        (Some(x), true) => format!("{:.2} %", x * 100.0),
        (Some(x), false) => format!("R² {x:.4}"),
        (None, _) => "-".to_string(),
    };
    for row in rows {
        let c = &row.history.config;
        let percent = row
            .history
            .epochs
            .first()
            .is_none_or(|line| line.train.accuracy.is_some());
        let loss = row
            .loss()
            .map_or_else(|| "-".to_string(), |l| format!("{l:.4}"));
        ui.say(&format!(
            "{:<names$}  {:<models$}  {:<9} {:>9}  {:>6}  {:>9}  {:>9}  {loss:>9}  {:>8.1}  {}",
            row.name,
            cut(&model(&row.history), models),
            if c.member.is_empty() {
                c.opt.as_str()
            } else {
                "several"
            },
            rate(c.lr),
            row.epochs(),
            share(row.validation(), percent),
            share(row.quality(), percent),
            row.seconds(),
            row.stopped()
        ));
        ui.event(&json!({
            "event": "run",
            "run": row.history.path.display().to_string(),
            "source": c.source,
            "model": c.model,
            "opt": c.opt,
            "lr": c.lr,
            "batch": c.batch,
            "seed": c.seed,
            "members": row.history.members(),
            "epochs": row.epochs(),
            "validation": row.validation(),
            "test": row.quality(),
            "test_loss": row.loss(),
            "seconds": row.seconds(),
            "parameters": row.parameters(),
            "stopped": row.stopped(),
        }));
    }
}

fn model(history: &History) -> String {
    match history.config.model.as_str() {
        "" => "no hidden layer".to_string(),
        model => model.to_string(),
    }
}

/// A learning rate that fits its column.
fn rate(lr: f64) -> String {
    match lr {
        1e-6..1e6 => lr.to_string(),
        _ => format!("{lr:e}"),
    }
}

fn cut(text: &str, width: usize) -> String {
    match text.chars().count() > width {
        true => text
            .chars()
            .take(width.saturating_sub(3))
            .chain("...".chars())
            .collect(),
        false => text.to_string(),
    }
}

/// The curves of one run or member.
pub struct Line {
    pub name: String,
    pub train: Vec<Point>,
    pub validation: Vec<Point>,
}

/// The curves of every member of a run.
pub fn lines(history: &History, prefix: &str) -> Vec<Line> {
    (0..history.members())
        .map(|member| {
            let of_member = || {
                history
                    .epochs
                    .iter()
                    .filter(move |line| line.member == member)
            };
            let point = |epoch: u32, scores: &crate::train::score::Scores| Point {
                epoch: f64::from(epoch),
                loss: scores.loss,
                metric: scores.quality(),
            };
            Line {
                name: match (history.members(), prefix) {
                    (1, prefix) => prefix.to_string(),
                    (_, "") => history.member_name(member),
                    (_, prefix) => format!("{prefix}: {}", history.member_name(member)),
                },
                train: of_member().map(|l| point(l.epoch, &l.train)).collect(),
                validation: of_member()
                    .filter_map(|l| Some(point(l.epoch, l.val.as_ref()?)))
                    .collect(),
            }
        })
        .collect()
}

/// Draws lines over one another.
pub fn draw(title: &str, lines: &[Line], metric: Metric) -> Result<Vec<u8>> {
    let runs: Vec<Series> = lines
        .iter()
        .map(|line| Series {
            name: &line.name,
            train: &line.train,
            validation: &line.validation,
        })
        .collect();
    chart::draw(&chart::Comparison {
        title,
        metric,
        runs: &runs,
    })
    .map_err(|e| Error::Data(format!("cannot draw the comparison: {e}")))
}

/// What a run's second panel shows.
pub fn metric(history: &History) -> Metric<'static> {
    match history
        .epochs
        .first()
        .is_some_and(|line| line.train.accuracy.is_none())
    {
        true => Metric::R2,
        false => Metric::ACCURACY,
    }
}

pub fn compare(args: &CompareArgs) -> Result<()> {
    let ui = Ui {
        json: args.json,
        quiet: false,
        silent: false,
    };
    check_png("out", &args.out)?;
    let histories: Result<Vec<History>> = args.runs.iter().map(|run| History::read(run)).collect();
    let histories = histories?;
    let first = metric(&histories[0]);
    if let Some(other) = histories.iter().find(|h| metric(h) != first) {
        return Err(Error::Usage(format!(
            "{} and {} cannot be compared: one tells classes apart, the other predicts a value",
            histories[0].path.display(),
            other.path.display()
        )));
    }
    let mut all = Vec::new();
    for history in &histories {
        all.extend(lines(history, &history.name()));
    }
    let title = format!("{} runs", histories.len());
    write_whole(&args.out, &draw(&title, &all, first)?)?;
    let rows: Vec<Row> = histories
        .into_iter()
        .map(|history| Row {
            name: history.path.display().to_string(),
            history,
        })
        .collect();
    print(&ui, &rows);
    ui.say(&format!("curves: {}", args.out.display()));
    Ok(())
}
