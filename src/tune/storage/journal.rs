//! Optuna's journal: one line of JSON an operation, appended under a lock. What a study is follows
//! from replaying the lines in their order; ids are places in that order.

mod line;

use std::collections::hash_map::RandomState;
use std::fs::{File, OpenOptions};
use std::hash::BuildHasher;
use std::io::{Read, Seek, SeekFrom, Write as _};
use std::path::PathBuf;
use std::time::SystemTime;

use serde_json::{Value, json};

use line::Operation;

use super::lock::Lock;
use super::memory::Memory;
use super::write::{AttributeKind, Write};
use super::{
    OnWait, Storage, Study, check_study, json, no_study, retry, study_exists, time, write,
};
use crate::tune::trial::{Attributes, Direction, Trial, TrialState};
use crate::{Error, Result};

/// A journal file and what it amounts to.
pub struct Journal {
    path: PathBuf,
    worker: String,
    on_wait: OnWait,
    /// Bytes and lines that were replayed.
    offset: u64,
    lines: u64,
    memory: Memory,
}

impl Journal {
    /// Opens a journal; a missing one is made.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Data`] for a file that is no journal.
    pub fn open(path: &str, on_wait: OnWait) -> Result<Journal> {
        if path.is_empty() {
            return Err(Error::Usage("journal: names no file".to_string()));
        }
        // Python writes a unique id of the process and the thread's id.
        let random = || RandomState::new().hash_one(path);
        let mut journal = Journal {
            path: PathBuf::from(path),
            worker: format!("{:016x}{:016x}-{}", random(), random(), std::process::id()),
            on_wait,
            offset: 0,
            lines: 0,
            memory: Memory::default(),
        };
        journal.file("create")?;
        journal.replay()?;
        Ok(journal)
    }

    fn file(&self, action: &str) -> Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        options
            .open(&self.path)
            .map_err(|error| Error::io(&self.path, action, error))
    }

    /// Replays the whole lines that are new. A last line without an end is being written.
    fn replay(&mut self) -> Result<()> {
        let path = self.path.clone();
        let wrong = |error| Error::io(&path, "read", error);
        let mut file = self.file("read")?;
        file.seek(SeekFrom::Start(self.offset)).map_err(wrong)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(wrong)?;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if !line.ends_with(b"\n") {
                break;
            }
            let text = String::from_utf8_lossy(line);
            let known = json::parse(&text)
                .ok()
                .and_then(|log| line::replay(&mut self.memory, &log));
            known.ok_or_else(|| {
                Error::Data(format!(
                    "{}: line {} is no operation of a journal that is known here: {}",
                    self.path.display(),
                    self.lines + 1,
                    text.trim_end()
                ))
            })?;
            self.offset += line.len() as u64;
            self.lines += 1;
        }
        Ok(())
    }

    /// Does something while nobody else can write.
    fn locked<T>(&mut self, work: impl FnOnce(&mut Journal) -> Result<T>) -> Result<T> {
        let _lock = Lock::acquire(&self.path, &self.worker, &self.on_wait)?;
        self.replay()?;
        work(self)
    }

    /// Appends lines and replays them. The lock is held.
    fn append(&mut self, logs: impl IntoIterator<Item = (Operation, Value)>) -> Result<()> {
        let mut text = String::new();
        for (operation, mut log) in logs {
            log["op_code"] = json!(operation as u8);
            log["worker_id"] = json!(self.worker);
            text.push_str(&json::to_string(&log));
            text.push('\n');
        }
        if text.is_empty() {
            return Ok(());
        }
        let path = self.path.clone();
        let wrong = |error| Error::io(&path, "write", error);
        let mut file = self.file("write")?;
        cut_torn_line(&mut file, self.offset).map_err(wrong)?;
        file.write_all(text.as_bytes()).map_err(wrong)?;
        file.sync_data().map_err(wrong)?;
        self.replay()
    }
}

impl Storage for Journal {
    fn create_study(&mut self, name: &str, directions: &[Direction]) -> Result<Study> {
        check_study(name, directions)?;
        self.locked(|journal| {
            let of_name = |journal: &mut Journal| {
                let studies = journal.memory.studies()?;
                Ok(studies.into_iter().find(|study| study.name == name))
            };
            if of_name(journal)?.is_some() {
                return Err(study_exists(name));
            }
            let directions: Vec<u8> = directions.iter().map(|d| *d as u8).collect();
            let log = json!({"study_name": name, "directions": directions});
            journal.append([(Operation::CreateStudy, log)])?;
            of_name(journal)?.ok_or_else(|| no_study(-1))
        })
    }

    fn studies(&mut self) -> Result<Vec<Study>> {
        self.replay()?;
        self.memory.studies()
    }

    fn study_attributes(&mut self, study: i64, kind: AttributeKind) -> Result<Attributes> {
        self.replay()?;
        self.memory.study_attributes(study, kind)
    }

    fn set_study_attribute(
        &mut self,
        study: i64,
        kind: AttributeKind,
        key: &str,
        json: &str,
    ) -> Result<()> {
        write::check_attribute(key, json)?;
        let value = json::parse(json)?;
        self.locked(|journal| {
            journal.memory.trials(study)?;
            let (operation, field) = match kind {
                AttributeKind::User => (Operation::StudyUserAttribute, "user_attr"),
                AttributeKind::System => (Operation::StudySystemAttribute, "system_attr"),
            };
            journal.append([(operation, json!({"study_id": study, field: {key: value}}))])
        })
    }

    fn create_trials_at(
        &mut self,
        study: i64,
        first: Option<u32>,
        templates: &[Trial],
    ) -> Result<Option<Vec<(i64, u32)>>> {
        self.locked(|journal| {
            journal.memory.check_templates(study, templates)?;
            let next = journal.memory.trials(study)?.len();
            if first.is_some_and(|first| first as usize != next) {
                return Ok(None);
            }
            let logs: Result<Vec<Value>> = templates
                .iter()
                .map(|t| line::of_template(study, t))
                .collect();
            journal.append(logs?.into_iter().map(|log| (Operation::CreateTrial, log)))?;
            let made = journal.memory.trials(study)?[next..].iter();
            Ok(Some(made.map(|t| (t.id, t.number)).collect()))
        })
    }

    fn claim_waiting(&mut self, study: i64) -> Result<Option<Trial>> {
        self.replay()?;
        if self.memory.first_waiting(study)?.is_none() {
            return Ok(None);
        }
        self.locked(|journal| {
            let Some(id) = journal.memory.first_waiting(study)?.map(|trial| trial.id) else {
                return Ok(None);
            };
            let log = json!({
                "trial_id": id,
                "state": TrialState::Running as u8,
                "values": null,
                "datetime_start": time::iso_utc(SystemTime::now()),
            });
            journal.append([(Operation::State, log)])?;
            Ok(Some(journal.memory.trial(id)?.clone()))
        })
    }

    fn write(&mut self, writes: &[Write]) -> Result<Vec<i64>> {
        self.locked(|journal| {
            let sorted = journal.memory.sort(writes)?;
            let logs: Result<Vec<_>> = sorted
                .taken
                .iter()
                .map(|write| line::of_write(write))
                .collect();
            journal.append(logs?)?;
            Ok(sorted.refused)
        })
    }

    fn put_back(
        &mut self,
        study: i64,
        trials: &[i64],
        reason: &str,
        max_retry: Option<usize>,
    ) -> Result<usize> {
        self.locked(|journal| {
            let broken = journal.memory.running(trials)?;
            let writes = broken.iter().flat_map(|t| retry::failing(t.id, reason));
            let again = broken.iter().filter_map(|t| retry::again(t, max_retry));
            let again: Vec<Trial> = again.collect();
            let queued = again.iter().map(|trial| {
                let log = line::of_template(study, trial)?;
                Ok((Operation::CreateTrial, log))
            });
            let logs = writes.map(|write| line::of_write(&write)).chain(queued);
            let logs: Vec<_> = logs.collect::<Result<_>>()?;
            journal.append(logs)?;
            Ok(again.len())
        })
    }

    fn trials(&mut self, study: i64) -> Result<&[Trial]> {
        self.replay()?;
        self.memory.trials(study)
    }
}

/// Removes a last line without an end: its writer died over it, and nobody has replayed it.
fn cut_torn_line(file: &mut File, from: u64) -> std::io::Result<()> {
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.read_to_end(&mut tail)?;
    match tail.last() {
        None | Some(b'\n') => Ok(()),
        Some(_) => {
            let whole = tail
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |at| at + 1);
            file.set_len(from + whole as u64)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::tune::storage::{conformance, open};

    #[test]
    fn conforms() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("study.log");
        let url = conformance::url("journal:", &path);
        let mut storage = open(&url, |_| {}).unwrap();
        conformance::check(&mut *storage);
        assert!(!storage.has_heartbeat());
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no lock is left"
        );
        // Another program replays the same.
        let mut other = open(&url, |_| {}).unwrap();
        let studies = storage.studies().unwrap();
        assert_eq!(other.studies().unwrap(), studies);
        for study in studies {
            let trials = storage.trials(study.id).unwrap();
            assert_eq!(other.trials(study.id).unwrap(), trials, "{}", study.name);
        }
    }

    #[test]
    fn eight_workers_share_a_file() {
        let folder = tempfile::tempdir().unwrap();
        conformance::check_concurrent(&conformance::url("journal:", &folder.path().join("log")));
    }

    #[test]
    fn a_torn_line_is_passed_over_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let url = conformance::url("journal:", &path);
        let mut storage = open(&url, |_| {}).unwrap();
        storage.create_study("a", &[Direction::Minimize]).unwrap();
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [&whole[..], b"{\"op_code\":0,\"study_na"].concat()).unwrap();
        let mut other = open(&url, |_| {}).unwrap();
        assert_eq!(other.studies().unwrap().len(), 1);
        other.create_study("b", &[Direction::Maximize]).unwrap();
        assert_eq!(storage.studies().unwrap().len(), 2);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
    }

    #[test]
    fn lines_that_do_not_fit_are_passed_over_and_others_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let url = conformance::url("journal:", &path);
        let lines = [
            r#"{"op_code":0,"worker_id":"w","study_name":"a","directions":[1]}"#,
            r#"{"op_code":0,"worker_id":"v","study_name":"a","directions":[2]}"#,
            r#"{"op_code":4,"worker_id":"w","study_id":0,"datetime_start":"2026-01-02T03:04:05.000006+00:00"}"#,
            r#"{"op_code":4,"worker_id":"w","study_id":7,"datetime_start":null}"#,
            r#"{"op_code":7,"worker_id":"w","trial_id":0,"step":1,"intermediate_value":NaN}"#,
            r#"{"op_code":6,"worker_id":"w","trial_id":0,"state":1,"values":[-Infinity],"datetime_complete":"2026-01-02T03:04:06+00:00"}"#,
            r#"{"op_code":6,"worker_id":"v","trial_id":0,"state":3,"values":null,"datetime_complete":"2026-01-02T03:04:07+00:00"}"#,
            r#"{"op_code":10,"worker_id":"r","trial_ids":[0]}"#,
        ];
        fs::write(&path, lines.join("\n") + "\n").unwrap();
        let mut storage = open(&url, |_| {}).unwrap();
        let studies = storage.studies().unwrap();
        assert_eq!(studies.len(), 1);
        assert_eq!(studies[0].directions, [Direction::Minimize]);
        let trial = &storage.trials(0).unwrap()[0];
        assert_eq!(
            (trial.state, &trial.values[..]),
            (TrialState::Complete, &[f64::NEG_INFINITY][..])
        );
        assert!(trial.intermediate[&1].is_nan());
        assert_eq!(trial.completed, time::parse("2026-01-02 03:04:06"));

        fs::write(&path, lines.join("\n") + "\n{\"op_code\":77}\n").unwrap();
        let error = open(&url, |_| {}).err().unwrap().to_string();
        assert!(error.contains("line 9"), "{error}");
    }
}
