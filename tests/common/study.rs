//! Studies of `gpu-train tune`, and their trials trained alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::program::succeed;

/// A small study whose trials differ in everything that a member may have of its own.
pub const SEARCH: &str =
    "tune synthetic:moons:600 --device cpu --epochs 4 --val-split 0.25 --seed 5 --quiet --json";

pub fn words<'a>(parts: &[&'a str]) -> Vec<&'a str> {
    parts.iter().flat_map(|p| p.split_whitespace()).collect()
}

/// The trials of `trials.json` by number.
pub fn trials(dir: &Path, study: &str) -> BTreeMap<u64, Value> {
    let text = fs::read_to_string(dir.join(study).join("trials.json")).expect("trials.json");
    let all: Value = serde_json::from_str(&text).expect("JSON");
    let list = all["trials"].as_array().expect("a list").clone();
    let number = |t: &Value| t["number"].as_u64().expect("a number");
    list.into_iter().map(|t| (number(&t), t)).collect()
}

/// Trains a trial's configuration alone; a number of its log by epoch.
fn alone(dir: &Path, trial: &Value, device: &str, measure: &str) -> Vec<f64> {
    let config = trial["user_attrs"]["config"]
        .as_str()
        .expect("a configuration");
    let name = format!("trial-{}", trial["number"]);
    fs::write(dir.join("alone.toml"), config).expect("a file");
    let args = [
        "train",
        "--config",
        "alone.toml",
        "--quiet",
        "--out",
        &name,
        "--device",
        device,
    ];
    succeed(dir, &args);
    let log = fs::read_to_string(dir.join(&name).join("metrics.jsonl")).expect("a log");
    let number = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        line[measure].as_f64().expect("a number")
    };
    log.lines().map(number).collect()
}

/// Every judged epoch of a trial is, to the bit, that of the same configuration trained alone, by what its
/// log calls `measure`.
pub fn assert_alone(dir: &Path, trial: &Value, device: &str, measure: &str) {
    let alone = alone(dir, trial, device, measure);
    let reported = trial["intermediate"].as_object().expect("by epoch");
    assert!(!reported.is_empty());
    for (epoch, value) in reported {
        let epoch: usize = epoch.parse().expect("an epoch");
        let value = value.as_f64().expect("a number");
        assert_eq!(
            value,
            alone[epoch - 1],
            "trial {}, epoch {epoch}",
            trial["number"]
        );
    }
}
