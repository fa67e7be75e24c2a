//! What a run folder holds, compared and read in the middle of a run.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use gpu_train::train::State;
use gpu_train::train::checkpoint::Checkpoint;
use safetensors::SafeTensors;
use serde_json::Value;

use super::process::{End, kill_when};
use super::program::succeed;

/// Small enough to be quick, large enough that a kill lands inside.
pub const SMALL: &str = "synthetic:moons:1000 --device cpu --val-split 0.2 --batch 8 --lr 0.02 \
    --model linear:64,relu,dropout:0.2,linear:32,relu --quiet";

/// An epoch takes long enough to be stopped in the middle, and three batches make an update.
pub const SLOW: &str = "synthetic:moons:8000 --device cpu --batch 4 --accumulate 3 \
    --model linear:256,relu,linear:256,relu --opt momentum --ema 0.99 --quiet";

/// A checkpoint wherever one can be.
pub const OFTEN: &str = "--checkpoint-minutes 0.00001";

/// `train WORDS --out RUN`.
pub fn train<'a>(words: &'a [&str], run: &'a str) -> Vec<&'a str> {
    let words = words.iter().flat_map(|words| words.split_whitespace());
    ["train"]
        .into_iter()
        .chain(words)
        .chain(["--out", run])
        .collect()
}

/// `train --resume RUN --quiet WORDS`.
pub fn resume<'a>(run: &'a str, words: &'a str) -> Vec<&'a str> {
    let start = ["train", "--resume", run, "--quiet"];
    start.into_iter().chain(words.split_whitespace()).collect()
}

/// Kills a run when it is at `moment`. A run that was too quick is begun again.
pub fn killed(
    dir: &Path,
    words: &[&str],
    name: &str,
    moment: impl Fn(&RunFiles) -> bool,
) -> RunFiles {
    let run = RunFiles::new(dir, name);
    for _ in 0..20 {
        if kill_when(dir, &train(words, name), || moment(&run)) == End::Stopped {
            return run;
        }
        fs::remove_dir_all(dir.join(name)).unwrap();
    }
    panic!("{words:?} was never killed in time");
}

/// A run folder.
pub struct RunFiles {
    /// The folder that commands are started in.
    pub dir: PathBuf,
    pub name: String,
}

impl RunFiles {
    pub fn new(dir: &Path, name: &str) -> RunFiles {
        RunFiles {
            dir: dir.to_path_buf(),
            name: name.to_string(),
        }
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.join(&self.name).join(file)
    }

    pub fn has(&self, file: &str) -> bool {
        self.path(file).is_file()
    }

    pub fn bytes(&self, file: &str) -> Vec<u8> {
        let path = self.path(file);
        fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    pub fn append(&self, file: &str, text: &str) {
        let file = fs::OpenOptions::new().append(true).open(self.path(file));
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    pub fn len(&self, file: &str) -> u64 {
        fs::metadata(self.path(file)).map_or(0, |m| m.len())
    }

    pub fn lines(&self, file: &str) -> usize {
        let text = fs::read_to_string(self.path(file)).unwrap_or_default();
        text.lines().count()
    }

    /// The checkpoint, which has to be whole where there is one.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        let path = self.path("checkpoint");
        path.is_file()
            .then(|| Checkpoint::read(&path).unwrap_or_else(|e| panic!("{e}")))
    }

    pub fn state(&self) -> Option<State> {
        Some(self.checkpoint()?.position.state)
    }

    /// (epoch, step) that a resume would go on from.
    pub fn place(&self) -> (u32, usize) {
        let state = self.state();
        state.map_or((0, 0), |s| (s.epoch, s.step_in_epoch))
    }

    /// Rates that the steps were made with, each once.
    pub fn rates(&self) -> Vec<String> {
        let text = String::from_utf8(self.bytes("steps.csv")).expect("text");
        let mut rates: Vec<String> = text
            .lines()
            .skip(1)
            .filter_map(|line| Some(line.split(',').nth(2)?.to_string()))
            .collect();
        rates.sort();
        rates.dedup();
        rates
    }

    /// The lines of `metrics.jsonl` without what the clock says.
    fn metrics(&self) -> Vec<Value> {
        let text = String::from_utf8(self.bytes("metrics.jsonl")).expect("text");
        let untimed = |line: &str| {
            let mut value: Value = serde_json::from_str(line).expect("JSON");
            let object = value.as_object_mut().expect("an object");
            for key in ["seconds", "samples_per_second"] {
                assert!(object.remove(key).is_some(), "{line}");
            }
            value
        };
        text.lines().map(untimed).collect()
    }

    /// The checkpoint's arenas by name, and its state as JSON without what the clock says.
    fn arenas(&self) -> (Vec<(String, Vec<u8>)>, Value) {
        let bytes = self.bytes("checkpoint");
        let file = SafeTensors::deserialize(&bytes).expect("safetensors");
        let tensors = file.tensors().into_iter();
        let mut tensors: Vec<_> = tensors.map(|(n, v)| (n, v.data().to_vec())).collect();
        tensors.sort();
        let mut state = self.state().expect("it was read");
        (state.seconds, state.epoch_seconds) = (0.0, 0.0);
        (tensors, serde_json::to_value(&state).expect("plain data"))
    }

    /// Panics where this run, once finished, is not the other one to the last bit: model, logs,
    /// and everything that a checkpoint holds.
    pub fn assert_same(&self, other: &RunFiles, what: &str) {
        let members = |run: &RunFiles| -> Vec<String> {
            let Ok(entries) = fs::read_dir(run.path("members")) else {
                return Vec::new();
            };
            let name = |e: fs::DirEntry| format!("members/{}", e.file_name().to_string_lossy());
            let mut names: Vec<String> = entries.map(|e| name(e.expect("an entry"))).collect();
            names.sort();
            names
        };
        let steps = [self, other].map(|run| String::from_utf8(run.bytes("steps.csv")).unwrap());
        assert_eq!(
            steps[0].lines().count(),
            steps[1].lines().count(),
            "{what}: steps"
        );
        for (a, b) in steps[0].lines().zip(steps[1].lines()) {
            assert_eq!(a, b, "{what}: steps.csv");
        }
        assert_eq!(steps[0], steps[1], "{what}: steps.csv");
        assert_eq!(self.metrics(), other.metrics(), "{what}: metrics.jsonl");
        let ((mine, state), (theirs, expected)) = (self.arenas(), other.arenas());
        assert_eq!(state, expected, "{what}: the checkpoint's state");
        assert_eq!(mine.len(), theirs.len(), "{what}: arenas");
        for (mine, theirs) in mine.iter().zip(&theirs) {
            assert_eq!(mine.0, theirs.0, "{what}: arenas");
            assert!(mine.1 == theirs.1, "{what}: the checkpoint's {}", mine.0);
        }
        assert_eq!(members(self), members(other), "{what}: members");
        for file in members(self)
            .iter()
            .map(String::as_str)
            .chain(["model.safetensors"])
        {
            assert!(self.bytes(file) == other.bytes(file), "{what}: {file}");
        }
        for entry in fs::read_dir(self.path("")).expect("a folder") {
            let name = entry.expect("an entry").file_name();
            let name = name.to_string_lossy().into_owned();
            assert!(!name.ends_with(".partial"), "{what}: {name} was left");
        }
    }

    /// Panics where a killed run's folder cannot be used.
    pub fn assert_usable(&self) {
        let listed = succeed(&self.dir, &["runs", ".", "--json"]);
        let row = listed.lines().find(|line| line.contains(&self.name));
        assert!(row.is_some(), "{} is not among {listed}", self.name);
        if self.has("model.safetensors") {
            let text = succeed(&self.dir, &["eval", &self.name, "--device", "cpu"]);
            assert!(!text.is_empty());
        }
        if let Some(checkpoint) = self.checkpoint() {
            // The logs hold all that the checkpoint stands behind.
            let position = &checkpoint.position;
            assert!(self.len("steps.csv") >= position.steps_bytes);
            assert!(self.len("metrics.jsonl") >= position.metrics_bytes);
        }
    }
}
