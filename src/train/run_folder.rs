//! The run folder: what a run leaves behind.
//!
//! `config.toml`, `metrics.jsonl` (a line an epoch), `steps.csv` (a row a step), `checkpoint`,
//! `model.safetensors` and `curves.png`. The two logs are appended; every other file is written
//! whole.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::checkpoint::{self, Position};
use super::{Config, EpochRecord, Progress, StepRecord};
use crate::executor::Executor;
use crate::files::write_whole;
use crate::report::curves::{self, Curves, Point};
use crate::{Error, Result};

pub struct RunFolder {
    path: PathBuf,
    config: Config,
    metrics: Log,
    steps: Log,
    /// Several members: the logs carry a member column.
    population: bool,
    drawn_steps: Vec<Point>,
    drawn_epochs: Vec<Point>,
}

struct Log {
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
}

impl Log {
    fn create(path: PathBuf) -> Result<Log> {
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(&path)
            .map_err(|e| Error::io(&path, "create", e))?;
        Ok(Log {
            path,
            file: BufWriter::new(file),
            bytes: 0,
        })
    }

    fn append(&mut self, line: &str) -> Result<()> {
        self.bytes += line.len() as u64;
        self.file
            .write_all(line.as_bytes())
            .map_err(|e| Error::io(&self.path, "write", e))
    }

    fn flush(&mut self) -> Result<()> {
        self.file
            .flush()
            .map_err(|e| Error::io(&self.path, "write", e))
    }
}

impl RunFolder {
    /// Opens the logs in a folder from [`reserve`] and writes the configuration.
    pub fn create(path: PathBuf, config: &Config, population: bool) -> Result<RunFolder> {
        let text = toml::to_string(config)
            .map_err(|e| Error::Data(format!("cannot write config.toml: {e}")))?;
        let text = format!("# gpu-train {}\n{text}", env!("CARGO_PKG_VERSION"));
        write_whole(&path.join("config.toml"), text.as_bytes())?;
        let metrics = Log::create(path.join("metrics.jsonl"))?;
        let mut steps = Log::create(path.join("steps.csv"))?;
        steps.append(if population {
            "step,epoch,lr,loss,accuracy,member\n"
        } else {
            "step,epoch,lr,loss,accuracy\n"
        })?;
        steps.flush()?;
        Ok(RunFolder {
            path,
            config: config.clone(),
            metrics,
            steps,
            population,
            drawn_steps: Vec::new(),
            drawn_epochs: Vec::new(),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a checkpoint has been written.
    pub fn has_checkpoint(&self) -> bool {
        self.path.join("checkpoint").exists()
    }

    pub fn append_steps(&mut self, records: &[StepRecord], steps_per_epoch: usize) -> Result<()> {
        for r in records {
            let mut line = format!(
                "{},{},{},{},{}",
                r.step, r.epoch, r.lr, r.loss as f32, r.accuracy as f32
            );
            if self.population {
                line += &format!(",{}", r.member);
            }
            line.push('\n');
            self.steps.append(&line)?;
            if r.member == 0 {
                self.drawn_steps.push(Point {
                    epoch: r.step as f64 / steps_per_epoch as f64,
                    loss: r.loss,
                    accuracy: Some(r.accuracy),
                });
            }
        }
        Ok(())
    }

    /// Logs an epoch and writes the checkpoint that stands behind it.
    pub fn append_epoch(
        &mut self,
        records: &[EpochRecord],
        progress: &Progress,
        exec: &mut dyn Executor,
    ) -> Result<()> {
        for r in records {
            let mut line = serde_json::json!({
                "epoch": r.epoch,
                "train_loss": r.train_loss,
                "train_accuracy": r.train_accuracy,
                "seconds": r.seconds,
                "samples_per_second": r.samples_per_second,
            });
            if self.population {
                line["member"] = r.member.into();
            }
            self.metrics.append(&format!("{line}\n"))?;
            if r.member == 0 {
                self.drawn_epochs.push(Point {
                    epoch: f64::from(r.epoch),
                    loss: r.train_loss,
                    accuracy: Some(r.train_accuracy),
                });
            }
        }
        self.checkpoint(progress, exec)
    }

    pub fn checkpoint(&mut self, progress: &Progress, exec: &mut dyn Executor) -> Result<()> {
        self.metrics.flush()?;
        self.steps.flush()?;
        let (metrics, steps) = (self.metrics.bytes, self.steps.bytes);
        let position = Position::new(&self.config, progress, metrics, steps);
        checkpoint::write(&self.path.join("checkpoint"), exec, &position)
    }

    /// Writes the model, and the curves with the final test point.
    pub fn finish(&mut self, model: &[u8], test: Option<(f64, f64)>) -> Result<()> {
        self.metrics.flush()?;
        self.steps.flush()?;
        write_whole(&self.path.join("model.safetensors"), model)?;
        let test = test.map(|(loss, accuracy)| Point {
            epoch: f64::from(self.config.epochs),
            loss,
            accuracy: Some(accuracy),
        });
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let c = &self.config;
        let title = format!(
            "{name}: {} · {} lr {} · batch {}",
            if c.model.is_empty() {
                "softmax"
            } else {
                &c.model
            },
            c.opt,
            c.lr,
            c.batch
        );
        let png = curves::draw(&Curves {
            title: &title,
            steps: &self.drawn_steps,
            epochs: &self.drawn_epochs,
            validation: &[],
            test,
        })
        .map_err(|e| Error::Data(format!("cannot draw curves.png: {e}")))?;
        write_whole(&self.path.join("curves.png"), &png)
    }
}

/// Makes the folder of a run: `out`, which must be new or empty, or else the next free
/// `runs/NAME-N`.
///
/// # Errors
/// [`Error::Usage`] where `out` holds something, [`Error::Io`] where it cannot be written.
pub fn reserve(out: Option<&Path>, name: &str) -> Result<Reserved> {
    let Some(out) = out else {
        return Ok(Reserved {
            path: next_free(Path::new("runs"), name)?,
            is_new: true,
        });
    };
    let is_new = !out.exists();
    if !is_new && !out.is_dir() {
        return Err(Error::Usage(format!(
            "--out {}: that is a file, not a folder; choose a new name",
            out.display()
        )));
    }
    fs::create_dir_all(out).map_err(|e| Error::io(out, "create the run folder", e))?;
    let mut entries = fs::read_dir(out).map_err(|e| Error::io(out, "read the run folder", e))?;
    if entries.next().is_some() {
        return Err(Error::Usage(format!(
            "--out {}: the folder is not empty; choose a new one, nothing is overwritten",
            out.display()
        )));
    }
    // An existing folder may refuse files: better known before the training than after it.
    let probe = out.join(".partial");
    fs::write(&probe, b"").map_err(|e| Error::io(out, "write to the run folder", e))?;
    fs::remove_file(&probe).map_err(|e| Error::io(out, "write to the run folder", e))?;
    Ok(Reserved {
        path: out.to_path_buf(),
        is_new,
    })
}

/// An empty folder for a run that has not begun.
pub struct Reserved {
    pub path: PathBuf,
    /// It was not there before.
    is_new: bool,
}

impl Reserved {
    /// Takes the folder away again, if it was made for this run; one that holds something stays.
    pub fn release(&self) {
        if self.is_new {
            let _ = fs::remove_dir(&self.path);
        }
    }
}

/// Makes `parent/NAME-N` for the first N that is free.
fn next_free(parent: &Path, name: &str) -> Result<PathBuf> {
    fs::create_dir_all(parent).map_err(|e| Error::io(parent, "create", e))?;
    for n in 1.. {
        let path = parent.join(format!("{name}-{n}"));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Error::io(&path, "create", e)),
        }
    }
    unreachable!("a folder is free before the numbers run out")
}
