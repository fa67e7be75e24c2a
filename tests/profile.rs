//! `--profile` through the real program: every call is counted, and nothing else changes.

mod common;

use std::path::Path;

use common::program::{assert_same, event, number, succeed, words};
use serde_json::Value;
use tempfile::tempdir;

const DATA: &str = "synthetic:moons:500";
const RUN: &str = "--model linear:16,relu,dropout:0.1 --batch 32 --epochs 3 --val-split 0.2 --seed 5 --no-compare --json --quiet";

fn train(dir: &Path, device: &str, out: &str, more: &str) -> String {
    let line = format!("train {DATA} {RUN} --device {device} --out {out} {more}");
    succeed(dir, &words(&line))
}

fn check(device: &str) {
    let dir = tempdir().unwrap();
    let dir = dir.path();
    let plain = train(dir, device, "plain", "");
    let said = train(dir, device, "timed", "--profile");
    assert!(!plain.contains("\"profile\""));
    // Bit for bit the same model, and the same course to it.
    for file in ["model.safetensors", "steps.csv"] {
        assert_same(&dir.join("plain").join(file), &dir.join("timed").join(file));
    }
    let profile = event(&said, "profile");
    let start = event(&said, "start");
    let steps = std::fs::read_to_string(dir.join("timed/steps.csv")).unwrap();
    let steps = steps.lines().count() as f64 - 1.0;
    assert_eq!(steps, 3.0 * 10.0);
    assert_eq!(number(&profile, "steps"), steps);
    let rows = profile["dispatches"].as_array().unwrap();
    let per_range = |row: &&Value| {
        row["kernel"]
            .as_str()
            .unwrap()
            .starts_with("reduce_metrics")
    };
    let of_steps: Vec<&Value> = rows.iter().filter(|row| !per_range(row)).collect();
    assert_eq!(of_steps.len() as f64, number(&start, "dispatches_per_step"));
    let calls: f64 = of_steps.iter().map(|row| number(row, "calls")).sum();
    assert_eq!(calls, steps * of_steps.len() as f64);
    let reductions = number(rows.iter().find(per_range).unwrap(), "calls");
    // Once a submit: at least once an epoch, at most once a step.
    assert!((3.0..=steps).contains(&reductions), "{reductions}");
    let evaluation = &profile["evaluation"];
    assert!(number(evaluation, "calls") > 0.0);
    let all = || rows.iter().chain([evaluation]);
    let shares: f64 = all().map(|row| number(row, "share")).sum();
    assert!((shares - 1.0).abs() < 1e-9, "{shares}");
    let seconds: f64 = all().map(|row| number(row, "seconds")).sum();
    assert!(seconds > 0.0);
    for row in all() {
        let share = number(row, "seconds") / seconds;
        assert!((number(row, "share") - share).abs() < 1e-9, "{row}");
        assert!(
            number(row, "gflops") >= 0.0 && number(row, "percent_of_roof") >= 0.0,
            "{row}"
        );
        let variant = row["variant"].as_str().unwrap();
        let kernel = row["kernel"].as_str().unwrap();
        let tiled = ["matmul", "linear_xent", "weight_update"];
        let is_tiled = device == "gpu" && tiled.iter().any(|name| kernel.starts_with(name));
        assert_eq!(!variant.is_empty(), is_tiled, "{row}");
    }
    let host = &profile["host"];
    assert_eq!(number(host, "epochs"), 3.0);
    let wall = number(host, "wall_seconds");
    let parts = ["packing_seconds", "submitting_seconds", "blocked_seconds"];
    let parts: f64 = parts.iter().map(|part| number(host, part)).sum();
    assert!(parts > 0.0 && parts <= wall, "{host}");
    assert!((0.0..=1.0).contains(&number(host, "host_share")), "{host}");
    let trained: f64 = rows.iter().map(|row| number(row, "seconds")).sum();
    assert!(
        (number(host, "device_busy_seconds") - trained).abs() < 1e-6,
        "{host}"
    );
}

#[test]
fn the_cpu_path_is_timed_and_trains_the_same_bits() {
    check("cpu");
}

#[test]
fn an_adapter_is_timed_by_its_timestamps_and_trains_the_same_bits() {
    check("gpu");
}

#[test]
fn people_read_a_table_and_the_hosts_share() {
    let dir = tempdir().unwrap();
    let line = format!("train {DATA} --epochs 1 --device cpu --no-compare --profile --out run");
    let said = succeed(dir.path(), &words(&line));
    for part in [
        "roof of cpu",
        "profile of",
        "GFLOP/s",
        "weight_update",
        "evaluation",
        "host: ",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
}
