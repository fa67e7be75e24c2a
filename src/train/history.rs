//! What a run folder's files say of its run, read back: for charts, tables of runs and comparisons.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Config;
use super::score::Scores;
use crate::{Error, Result};

/// Rows of a step log that a chart is drawn from.
const MAX_STEPS: usize = 100_000;

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochLine {
    pub epoch: u32,
    pub member: usize,
    pub lr: f64,
    pub train: Scores,
    pub val: Option<Scores>,
    pub seconds: f64,
}

/// One row of `steps.csv`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepLine {
    pub step: u64,
    pub epoch: u32,
    pub lr: f64,
    pub loss: f64,
    pub accuracy: Option<f64>,
    pub member: usize,
}

/// How a run ended: `result.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// Mean over the test part, and its scores; none without one.
    pub test: Option<Scores>,
    /// The numbers of the same weights over the validation part; none without one.
    #[serde(default)]
    pub val: Option<Scores>,
    /// Of a population the best member, by its name.
    #[serde(default)]
    pub member: Option<String>,
    /// Epochs that were trained, by the best member.
    pub epochs: u32,
    pub train_seconds: f64,
    /// Why it ended: epochs, early-stop, converged, time or target-accuracy.
    pub stopped: String,
    pub parameters: usize,
    /// What it was trained on.
    pub device: String,
    /// The kernel variant of each shape, where the executor had a choice.
    #[serde(default)]
    pub kernels: BTreeMap<String, String>,
}

/// A run as its folder tells it.
#[derive(Clone, Debug)]
pub struct History {
    pub path: PathBuf,
    pub config: Config,
    pub epochs: Vec<EpochLine>,
    /// None where the run has not come to its end.
    pub result: Option<RunResult>,
}

impl History {
    /// Reads a run folder.
    ///
    /// # Errors
    /// [`Error::Data`] where the folder holds no run, or a file of it is damaged.
    pub fn read(path: &Path) -> Result<History> {
        let config_path = path.join("config.toml");
        if !config_path.is_file() {
            return Err(Error::Data(format!(
                "{} is no run folder: it has no config.toml",
                path.display()
            )));
        }
        let text = read(&config_path)?;
        let config: Config = toml::from_str(&text)
            .map_err(|e| Error::Data(format!("{}: {}", config_path.display(), e.message())))?;
        let metrics = path.join("metrics.jsonl");
        let epochs = match metrics.is_file() {
            true => epoch_lines(&read(&metrics)?, &metrics)?,
            false => Vec::new(),
        };
        let result_path = path.join("result.json");
        let result = match result_path.is_file() {
            true => Some(
                serde_json::from_str(&read(&result_path)?)
                    .map_err(|e| Error::Data(format!("{}: {e}", result_path.display())))?,
            ),
            false => None,
        };
        Ok(History {
            path: path.to_path_buf(),
            config,
            epochs,
            result,
        })
    }

    /// A member's rows of `steps.csv`, for a chart: of a long run every second, fourth, ... row, at
    /// most 100,000. A row that was cut off ends the list.
    pub fn steps(&self, member: usize) -> Result<Vec<StepLine>> {
        let path = self.path.join("steps.csv");
        let failed = |e| Error::io(&path, "read", e);
        let file = BufReader::new(File::open(&path).map_err(failed)?);
        let (mut rows, mut every, mut seen) = (Vec::new(), 1, 0);
        for line in file.lines().skip(1) {
            let Some(row) = step_line(&line.map_err(failed)?) else {
                break;
            };
            if row.member != member {
                continue;
            }
            if seen % every == 0 {
                rows.push(row);
            }
            seen += 1;
            if rows.len() == MAX_STEPS {
                let mut place = 0;
                rows.retain(|_| {
                    place += 1;
                    place % 2 == 1
                });
                every *= 2;
            }
        }
        Ok(rows)
    }

    /// The folder's own name.
    pub fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        name.to_string_lossy().into_owned()
    }

    /// Members of the population; 1 where the run is of one model.
    pub fn members(&self) -> usize {
        self.config.n_members()
    }

    /// The name of a member.
    pub fn member_name(&self, ix: usize) -> String {
        self.config.member_name(ix)
    }

    /// The epoch with the lowest validation loss of a member, or training loss without validation.
    pub fn best(&self, member: usize) -> Option<&EpochLine> {
        let judged = |line: &&EpochLine| line.val.unwrap_or(line.train).loss;
        let of_member = self.epochs.iter().filter(|line| line.member == member);
        of_member.min_by(|a, b| judged(a).total_cmp(&judged(b)))
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", e))
}

fn epoch_lines(text: &str, path: &Path) -> Result<Vec<EpochLine>> {
    let mut lines = Vec::new();
    // A kill may have left half a line, which a resume cuts off.
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    for (ix, line) in complete.lines().enumerate() {
        let value: serde_json::Value = serde_json::from_str(line)
            .map_err(|e| Error::Data(format!("{} line {}: {e}", path.display(), ix + 1)))?;
        let number = |key: &str| value.get(key).and_then(serde_json::Value::as_f64);
        let scores = |part: &str| {
            Some(Scores {
                loss: number(&format!("{part}_loss"))?,
                accuracy: number(&format!("{part}_accuracy")),
                mse: number(&format!("{part}_mse")),
                r2: number(&format!("{part}_r2")),
            })
        };
        let missing = |key: &str| {
            Error::Data(format!(
                "{} line {}: {key} is missing",
                path.display(),
                ix + 1
            ))
        };
        lines.push(EpochLine {
            epoch: number("epoch").ok_or_else(|| missing("epoch"))? as u32,
            member: number("member").unwrap_or(0.0) as usize,
            lr: number("lr").unwrap_or(f64::NAN),
            train: scores("train").ok_or_else(|| missing("train_loss"))?,
            val: scores("val"),
            seconds: number("seconds").unwrap_or(0.0),
        });
    }
    Ok(lines)
}

fn step_line(line: &str) -> Option<StepLine> {
    let mut cells = line.split(',');
    Some(StepLine {
        step: cells.next()?.parse().ok()?,
        epoch: cells.next()?.parse().ok()?,
        lr: cells.next()?.parse().ok()?,
        loss: cells.next()?.parse().ok()?,
        accuracy: match cells.next()? {
            "" => None,
            cell => Some(cell.parse().ok()?),
        },
        member: match cells.next() {
            None => 0,
            Some(cell) => cell.parse().ok()?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_and_a_cut_one_is_left_out() {
        let row = step_line("7,1,0.001,0.5,0.25").unwrap();
        assert_eq!((row.step, row.accuracy, row.member), (7, Some(0.25), 0));
        let row = step_line("7,1,0.001,0.5,,2").unwrap();
        assert_eq!((row.accuracy, row.member), (None, 2));
        assert_eq!(step_line("7,1,0.0"), None);
        let text = "{\"epoch\":1,\"train_loss\":0.5,\"train_accuracy\":0.9,\"val_loss\":0.6}\n{\"epoch\":2,\"tra";
        let lines = epoch_lines(text, Path::new("metrics.jsonl")).unwrap();
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].train.accuracy, Some(0.9));
        assert_eq!(lines[0].val.map(|v| v.loss), Some(0.6));
        let error = epoch_lines("{}\n", Path::new("metrics.jsonl")).unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
    }
}
