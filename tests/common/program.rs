//! Runs the program as a person does, and reads what it says and writes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use safetensors::SafeTensors;
use serde_json::Value;

/// The binary, to be started in `dir`, without the user's cache folder: what was measured before, and
/// by whom, decides nothing in a test.
pub fn command(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpu-train"));
    command.current_dir(dir).env("GPU_TRAIN_CACHE", "");
    command
}

pub fn gpu_train(dir: &Path, args: &[&str]) -> Output {
    command(dir)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts")
}

/// Runs and expects success; standard output.
pub fn succeed(dir: &Path, args: &[&str]) -> String {
    let output = gpu_train(dir, args);
    assert!(
        output.status.success(),
        "{args:?}: {:?}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

/// Runs and expects this exit code and these words, in at most two lines without a backtrace.
pub fn refuse(dir: &Path, args: &[&str], code: i32, words: &[&str]) {
    let output = gpu_train(dir, args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
    for word in words {
        assert!(
            stderr.contains(word),
            "{args:?} does not say {word:?}: {stderr}"
        );
    }
    assert!(stderr.lines().count() <= 2, "{args:?}: {stderr}");
    assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
}

/// The events of one kind among the lines of a `--json` output.
pub fn events(text: &str, kind: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a JSON object a line"))
        .filter(|event| event["event"] == kind)
        .collect()
}

/// The one event of a kind.
pub fn event(text: &str, kind: &str) -> Value {
    let mut all = events(text, kind);
    assert_eq!(all.len(), 1, "{kind} events in {text}");
    all.remove(0)
}

/// A command line split at its blanks.
pub fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// Trains on the CPU path into the folder `out`; what it said, as events, and its result.
pub fn train(dir: &Path, line: &str, out: &str) -> Value {
    let line = format!("train {line} --out {out} --device cpu --json --quiet");
    event(&succeed(dir, &words(&line)), "result")
}

/// Trains as [`train`] does; what it says to people.
pub fn train_aloud(dir: &Path, line: &str, out: &str) -> String {
    let line = format!("train {line} --out {out} --device cpu");
    succeed(dir, &words(&line))
}

/// A number of an event.
pub fn number(event: &Value, key: &str) -> f64 {
    let value = event[key].as_f64();
    value.unwrap_or_else(|| panic!("{key} is no number: {event}"))
}

pub fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The tensors of a .safetensors file with their shapes.
pub fn tensors(path: &Path) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
    file.tensors()
        .into_iter()
        .map(|(name, view)| {
            let values = bytemuck::pod_collect_to_vec(view.data());
            (name, (view.shape().to_vec(), values))
        })
        .collect()
}

/// Column `name` of a table with a header, in words.
pub fn column(csv: &str, name: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let headers = reader.headers().expect("a header").clone();
    let place = headers.iter().position(|h| h == name);
    let place = place.unwrap_or_else(|| panic!("no column {name} in {headers:?}"));
    let rows = reader.records().map(|row| row.expect("a row"));
    rows.map(|row| row[place].to_string()).collect()
}

/// Column `name` of a table, in numbers.
pub fn numbers(csv: &str, name: &str) -> Vec<f64> {
    let cells = column(csv, name);
    cells
        .iter()
        .map(|cell| {
            cell.parse()
                .unwrap_or_else(|e| panic!("{name} {cell}: {e}"))
        })
        .collect()
}

/// Whether a PNG lies there, of at least this width.
pub fn is_picture(path: &Path, width: u32) {
    let picture = image::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(picture.width() >= width, "{}", path.display());
}

/// Two files are the same to the last byte.
pub fn assert_same(a: &Path, b: &Path) {
    let bytes = |path: &Path| fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(
        bytes(a) == bytes(b),
        "{} and {} differ",
        a.display(),
        b.display()
    );
}

/// Two files are not the same.
pub fn assert_differ(a: &Path, b: &Path) {
    let bytes = |path: &Path| fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(
        bytes(a) != bytes(b),
        "{} and {} are the same",
        a.display(),
        b.display()
    );
}
