//! How many trials of `gpu-train tune` train together, and when a search ends.

mod common;

use std::path::Path;

use common::program::{event, gpu_train, succeed};
use common::study::{trials, words};
use serde_json::Value;

const SEARCH: &str =
    "tune synthetic:moons:300 --device cpu --quiet --json --space lr=log:1e-3..1e-1";

fn search(dir: &Path, more: &str) -> Value {
    let out = match more.contains("--out") {
        true => "",
        false => "--out study",
    };
    event(&succeed(dir, &words(&[SEARCH, more, out])), "result")
}

fn mean_population(result: &Value) -> f64 {
    result["mean_population"].as_f64().expect("a mean")
}

#[test]
fn a_sampler_that_learns_asks_for_few_at_a_time() {
    for (options, size) in [
        ("--trials 40 --sampler tpe", 5.0),
        ("--trials 8 --sampler tpe", 4.0),
        ("--trials 40 --sampler random", 40.0),
        ("--trials 40 --sampler tpe --population 20", 20.0),
    ] {
        let temp = tempfile::tempdir().unwrap();
        let result = search(temp.path(), &format!("{options} --epochs 1 --pruner none"));
        assert_eq!(mean_population(&result), size, "{options}");
    }
}

#[test]
fn pruned_places_are_taken_again() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let result = search(
        dir,
        "--trials 32 --population 8 --sampler random --epochs 16 --pruner asha",
    );
    let all = trials(dir, "study");
    let epochs = |t: &Value| t["intermediate"].as_object().expect("by epoch").len();
    let spent: usize = all.values().map(epochs).sum();
    assert!(result["pruned"].as_u64() > Some(8), "{result}");
    // Four populations of 8 would be as small on average as they are pruned.
    let left_empty = spent as f64 / (4.0 * 16.0);
    let mean = mean_population(&result);
    assert!(mean > left_empty + 1.0 && mean > 5.0, "{mean} {left_empty}");
}

#[test]
fn what_an_adapter_does_not_hold_trains_in_smaller_populations() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    // The moments of 8 members are a third too large for one of its buffers.
    let limit = gpu_train::gpu::largest_buffer(&common::require_adapter().limits());
    let width = (limit as f64 / (8.0 * 6.0)).sqrt() as u64;
    let space = format!("--space lr=log:1e-4..1e-3 --model linear:{width},relu,linear:{width}");
    let output = gpu_train(
        dir,
        &words(&[
            "tune synthetic:moons:80 --device gpu --json --out study --epochs 1 --batch 32",
            "--trials 8 --population 8 --sampler random --pruner none",
            &space,
        ]),
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("memory holds 4 of these trials together, not 8"),
        "{said}"
    );
    let result = event(&String::from_utf8_lossy(&output.stdout), "result");
    assert_eq!(result["complete"], 8);
    assert_eq!(mean_population(&result), 4.0);
}

#[test]
fn a_timeout_ends_a_search() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let result = search(
        dir,
        "--trials 4096 --population 4 --sampler random --epochs 30 --pruner none --timeout 1s",
    );
    let complete = result["complete"].as_u64().expect("a count");
    assert!(complete > 0 && complete < 4096, "{result}");
    for trial in trials(dir, "study").values() {
        assert_ne!(trial["state"], "RUNNING", "{trial}");
    }
}

#[test]
fn hyperband_and_the_time_of_a_step() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let result = search(
        dir,
        "--trials 24 --population 8 --epochs 27 --pruner hyperband",
    );
    assert!(result["pruned"].as_u64() > Some(4), "{result}");
    let two = "--trials 6 --epochs 1 --metric val-accuracy --metric ms";
    search(dir, &format!("{two} --out two"));
    for trial in trials(dir, "two").values() {
        let values = trial["values"].as_array().expect("values");
        assert_eq!(values.len(), 2);
        assert!(values[1].as_f64() > Some(0.0), "{trial}");
    }
}
