//! The run folder: what a run leaves behind.
//!
//! `config.toml`, `metrics.jsonl` (a line an epoch), `steps.csv` (a row a step), `checkpoint`,
//! `model.safetensors` and pictures. The two logs are appended, and cut back to the checkpoint when
//! a run is resumed; every other file is written whole.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::checkpoint::{self, Position};
use super::{Config, EpochRecord, Snapshot, State, StepRecord};
use crate::data::fingerprint::Fingerprint;
use crate::files::write_whole;
use crate::{Error, Result};

/// An open run folder.
pub struct RunFolder {
    path: PathBuf,
    config: Config,
    data: Fingerprint,
    /// The kernel variant of each shape, where the executor has a choice.
    kernels: BTreeMap<String, String>,
    metrics: Log,
    steps: Log,
    /// Several members: the logs carry a member column.
    population: bool,
}

/// A file that only grows.
struct Log {
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
}

impl Log {
    /// Opens a log and cuts it to its first `bytes`. After a power cut it may be shorter than the
    /// checkpoint knows: then it is cut to whole lines.
    fn open(path: PathBuf, bytes: u64) -> Result<Log> {
        let failed = |e| Error::io(&path, "open", e);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        let mut bytes = bytes;
        if file.metadata().map_err(failed)?.len() < bytes {
            let mut text = Vec::new();
            file.read_to_end(&mut text).map_err(failed)?;
            let lines = text.iter().rposition(|&byte| byte == b'\n');
            bytes = lines.map_or(0, |end| end as u64 + 1);
        }
        file.set_len(bytes).map_err(failed)?;
        file.seek(SeekFrom::Start(bytes)).map_err(failed)?;
        Ok(Log {
            path,
            file: BufWriter::new(file),
            bytes,
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
    pub fn create(
        path: PathBuf,
        config: &Config,
        data: Fingerprint,
        kernels: BTreeMap<String, String>,
    ) -> Result<RunFolder> {
        write_config(&path, config)?;
        let mut folder = Self::open(path, config, data, kernels, [0, 0])?;
        folder.steps.append(match folder.population {
            true => "step,epoch,lr,loss,accuracy,member\n",
            false => "step,epoch,lr,loss,accuracy\n",
        })?;
        folder.steps.flush()?;
        Ok(folder)
    }

    /// Opens the folder of a run that goes on from `position`, with the logs cut back to it.
    pub fn resume(
        path: PathBuf,
        config: &Config,
        position: &Position,
        kernels: BTreeMap<String, String>,
    ) -> Result<RunFolder> {
        write_config(&path, config)?;
        // It has not come to its end after all; the model stays until there is a newer one.
        let result = path.join("result.json");
        if result.exists() {
            fs::remove_file(&result).map_err(|e| Error::io(&result, "remove", e))?;
        }
        let bytes = [position.metrics_bytes, position.steps_bytes];
        Self::open(path, config, position.data.clone(), kernels, bytes)
    }

    fn open(
        path: PathBuf,
        config: &Config,
        data: Fingerprint,
        kernels: BTreeMap<String, String>,
        [metrics, steps]: [u64; 2],
    ) -> Result<RunFolder> {
        Ok(RunFolder {
            metrics: Log::open(path.join("metrics.jsonl"), metrics)?,
            steps: Log::open(path.join("steps.csv"), steps)?,
            path,
            config: config.clone(),
            data,
            kernels,
            population: config.is_population(),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a checkpoint has been written.
    pub fn has_checkpoint(&self) -> bool {
        self.path.join("checkpoint").exists()
    }

    /// Logs steps.
    pub fn append_steps(&mut self, records: &[StepRecord]) -> Result<()> {
        for r in records {
            let accuracy = r
                .accuracy
                .map_or_else(String::new, |a| (a as f32).to_string());
            let (loss, lr) = (r.loss as f32, r.lr);
            let mut line = format!("{},{},{lr},{loss},{accuracy}", r.step, r.epoch);
            if self.population {
                line += &format!(",{}", r.member);
            }
            line.push('\n');
            self.steps.append(&line)?;
        }
        Ok(())
    }

    /// Logs an epoch.
    pub fn append_epoch(&mut self, records: &[EpochRecord]) -> Result<()> {
        for r in records {
            let mut line = r.json();
            if !self.population {
                line.as_object_mut().map(|object| object.remove("member"));
            }
            self.metrics.append(&format!("{line}\n"))?;
        }
        Ok(())
    }

    /// Writes the checkpoint that stands behind all that has been logged.
    pub fn checkpoint(&mut self, snapshot: &mut Snapshot) -> Result<()> {
        self.flush()?;
        let (metrics, steps) = (self.metrics.bytes, self.steps.bytes);
        let state: &State = snapshot.state;
        let position = Position {
            kernels: self.kernels.clone(),
            ..Position::new(&self.config, &self.data, state, metrics, steps)
        };
        checkpoint::write(&self.path.join("checkpoint"), snapshot, &position)
    }

    /// Brings the logs to the disk.
    pub fn flush(&mut self) -> Result<()> {
        self.metrics.flush()?;
        self.steps.flush()
    }

    /// Writes a file of the folder whole.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|e| Error::io(parent, "create", e))?;
        }
        write_whole(&path, bytes)
    }
}

fn write_config(folder: &Path, config: &Config) -> Result<()> {
    let text = toml::to_string(config)
        .map_err(|e| Error::Data(format!("cannot write config.toml: {e}")))?;
    let text = format!("# gpu-train {}\n{text}", env!("CARGO_PKG_VERSION"));
    write_whole(&folder.join("config.toml"), text.as_bytes())
}

impl EpochRecord {
    /// The record as `metrics.jsonl` and the `epoch` event have it.
    pub fn json(&self) -> serde_json::Value {
        let mut line = serde_json::json!({
            "epoch": self.epoch,
            "member": self.member,
            "lr": self.lr,
            "seconds": self.seconds,
            "samples_per_second": self.samples_per_second,
        });
        for (part, scores) in [("train", Some(&self.train)), ("val", self.val.as_ref())] {
            let Some(scores) = scores else { continue };
            let named = [
                ("loss", Some(scores.loss)),
                ("accuracy", scores.accuracy),
                ("mse", scores.mse),
                ("r2", scores.r2),
            ];
            for (name, value) in named {
                if let Some(value) = value {
                    line[format!("{part}_{name}")] = value.into();
                }
            }
        }
        line
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
            // The folder of runs too, where this would have been the first.
            if self.path.parent() == Some(Path::new("runs")) {
                let _ = fs::remove_dir("runs");
            }
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
