//! Several `gpu-train tune` at work on one study, and what comes of one that is gone.

mod common;

use std::path::Path;
use std::process::{Child, Output};

use common::process::{self, Listener};
use common::program::{event, events, refuse, succeed};
use common::study::{trials, words};
use serde_json::Value;

const STUDY: &str = "tune synthetic:moons:4000 --device cpu --quiet --json --batch 8 --space lr=log:1e-3..1e-1 \
    --pruner none --storage sqlite:///s.db";

/// Starts a worker.
fn start(dir: &Path, more: &str) -> Child {
    process::start(dir, &words(&[STUDY, more]))
}

fn result_of(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    event(&text, "result")
}

fn count(dir: &Path, study: &str, state: &str) -> usize {
    let all = trials(dir, study);
    all.values().filter(|t| t["state"] == state).count()
}

#[test]
fn what_a_killed_worker_had_is_trained_by_the_next_one() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let mut first = start(
        dir,
        "--trials 4 --epochs 400 --sampler random --heartbeat 0.5 --out first",
    );
    // Its study is there, and trials are at work.
    Listener::new(first.stdout.take()).until("trial_epoch");
    first.kill().expect("a kill");
    first.wait().expect("an end");
    // At once, so that nobody knows yet that it is gone.
    let more = "--trials 4 --epochs 1 --sampler random --heartbeat 0.5 --out second";
    let result = event(&succeed(dir, &words(&[STUDY, more])), "result");
    assert_eq!(result["complete"], 4, "{result}");
    assert_eq!(count(dir, "second", "COMPLETE"), 4);
    assert_eq!(count(dir, "second", "RUNNING"), 0);
    assert!(
        count(dir, "second", "FAIL") >= 1,
        "those that were broken off"
    );
}

#[test]
fn a_worker_that_lives_is_waited_for_however_long_its_epoch_is() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    // An epoch takes longer than a worker without heartbeats would be waited for, which is 3 s; the scores
    // at its end, in which nothing is said, take little.
    let long = STUDY.replace("moons:4000", "moons:60000");
    let more = "--trials 1 --epochs 1 --sampler random --heartbeat 0.2 --val-split 0.01 \
        --model linear:512,relu,linear:512,relu";
    let mut first = process::start(dir, &words(&[&long, more, "--out first"]));
    Listener::new(first.stdout.take()).until("trial_start");
    let result = event(
        &succeed(dir, &words(&[&long, more, "--out second"])),
        "result",
    );
    assert!(first.wait().expect("an end").success());
    assert_eq!(result["complete"], 0, "{result}");
    let all = trials(dir, "second");
    assert_eq!(all.len(), 1);
    assert_eq!(all[&0]["state"], "COMPLETE");
}

#[test]
fn two_workers_share_what_needs_no_answers() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let share = |out: &str| {
        let more = format!("--trials 16 --epochs 40 --sampler random --out {out}");
        start(dir, &more)
    };
    let mut first = share("a");
    let mut said = Listener::new(first.stdout.take());
    said.until("trial_epoch");
    let second = share("b").wait_with_output().expect("an end");
    assert!(first.wait().expect("an end").success());
    let results = [event(&said.all(), "result"), result_of(&second)];
    let done = results.each_ref().map(|r| r["complete"].as_u64().unwrap());
    assert_eq!(done.iter().sum::<u64>(), 16, "{done:?}");
    assert!(done.iter().all(|&n| n > 0), "{done:?}");
    // Both know the end, and so the same best trial.
    for study in ["a", "b"] {
        assert_eq!(count(dir, study, "COMPLETE"), 16, "{study}");
    }
    assert_eq!(results[0]["best_trial"], results[1]["best_trial"]);
    common::program::assert_same(
        &dir.join("a/model.safetensors"),
        &dir.join("b/model.safetensors"),
    );
}

#[test]
fn workers_make_no_more_trials_than_are_wanted() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let one = |k: usize| {
        let more = format!("--trials 12 --epochs 1 --population 1 --out {k}");
        start(dir, &more)
    };
    let workers: Vec<Child> = (0..4).map(one).collect();
    for worker in workers {
        result_of(&worker.wait_with_output().expect("an end"));
    }
    for study in ["0", "1", "2", "3"] {
        assert_eq!(count(dir, study, "COMPLETE"), 12, "{study}");
        assert_eq!(trials(dir, study).len(), 12);
    }
}

#[test]
fn what_is_queued_while_others_train_is_next() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    // As many at a time as a quarter of those that are left: one.
    let train = "--trials 4 --epochs 80 --sampler random --out first";
    let mut first = start(dir, train);
    let mut said = Listener::new(first.stdout.take());
    said.until("trial_epoch");
    // Its one trial has begun already: this worker does no more than queue another.
    succeed(
        dir,
        &words(&[STUDY, "--trials 1 --enqueue lr=0.0625 --out second"]),
    );
    assert!(first.wait().expect("an end").success());
    let started = events(&said.all(), "trial_start");
    let numbers: Vec<_> = started.iter().filter_map(|t| t["trial"].as_u64()).collect();
    assert_eq!(numbers, [0, 1, 2, 3], "none overtakes what is queued");
    let all = trials(dir, "first");
    let queued = all.values().filter(|t| t["params"]["lr"] == 0.0625);
    let states: Vec<&Value> = queued.map(|t| &t["state"]).collect();
    assert_eq!(states, ["COMPLETE"]);
}

#[test]
fn another_metric_or_other_data_are_another_study() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    succeed(dir, &words(&[STUDY, "--trials 2 --epochs 1 --out first"]));
    for (more, said) in [
        ("--metric train-accuracy", ["val-accuracy", "--metric"]),
        ("--val-split 0.3", ["other data", "validation samples"]),
        ("--folds 3", ["no folds then", "3 folds now"]),
        ("--limit 100", ["other data", "training samples"]),
    ] {
        let more = format!("--trials 2 --epochs 1 --out second {more}");
        refuse(dir, &words(&[STUDY, &more]), 2, &said);
    }
    let other = STUDY.replace("moons:4000", "circles:4000");
    let named = "--trials 2 --epochs 1 --study moons-4000 --out second";
    refuse(
        dir,
        &words(&[&other, named]),
        2,
        &["other data", "other contents"],
    );
    assert!(!dir.join("second").exists());
}
