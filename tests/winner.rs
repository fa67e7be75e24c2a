//! What `gpu-train tune` leaves of its best trial.

mod common;

use std::fs;

use common::process::{self, Listener};
use common::program::{assert_same, event, events, succeed};
use common::sources::{prices, shapes};
use common::study::{SEARCH, assert_alone, trials, words};
use serde_json::Value;

#[test]
fn a_study_leaves_a_winner_that_can_be_used() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let text = succeed(dir, &words(&[SEARCH, "--trials 12 --out study"]));
    let result = &events(&text, "result")[0];
    let trials = trials(dir, "study");
    let value = |t: &Value| {
        t["values"]
            .get(0)
            .and_then(Value::as_f64)
            .unwrap_or(f64::MIN)
    };
    let best = trials.values().map(value).fold(f64::MIN, f64::max);
    assert_eq!(result["best_value"].as_f64(), Some(best));
    let winner = &trials[&result["best_trial"].as_u64().expect("a number")];
    assert_eq!(value(winner), best);
    let reached = winner["intermediate"]
        .as_object()
        .expect("by epoch")
        .values();
    let reached = reached.filter_map(Value::as_f64).fold(f64::MIN, f64::max);
    assert_eq!(best, reached, "the value is the best epoch's");

    // The model is that epoch's, and its test the one that was told.
    let text = succeed(dir, &["eval", "study", "--json"]);
    let eval = &events(&text, "eval")[0];
    assert_eq!(eval["accuracy"], result["test_accuracy"]);
    assert_alone(dir, winner, "cpu", "val_accuracy");
    let text = succeed(
        dir,
        &[
            "train",
            "--config",
            "study/best.toml",
            "--json",
            "--quiet",
            "--out",
            "again",
        ],
    );
    assert_eq!(events(&text, "epoch").len(), 4);

    for file in [
        "tune.html",
        "tune.png",
        "history.png",
        "parallel.png",
        "trials.csv",
        "study.db",
    ] {
        let bytes =
            fs::read(dir.join("study").join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert!(!bytes.is_empty(), "{file}");
    }
    let csv = fs::read_to_string(dir.join("study/trials.csv")).unwrap();
    assert_eq!(csv.lines().count(), 13);
    assert!(
        csv.starts_with("number,state,val-accuracy,epochs,best_epoch,seconds,"),
        "{csv}"
    );
}

#[test]
fn of_equals_the_first_one_wins() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    // Trials 0 and 2 train together, and before 1.
    let search = "tune synthetic:blobs:300 --device cpu --quiet --json --epochs 3 --val-split 0.25 --trials 3 \
        --space batch=16|32 --space lr=log:1e-9..1e-1 --enqueue batch=16,lr=1e-9 --enqueue batch=32,lr=0.05 \
        --enqueue batch=16,lr=0.05 --pruner none --out study";
    let text = succeed(dir, &words(&[search]));
    let ended = events(&text, "trial");
    let order: Vec<_> = ended.iter().filter_map(|t| t["trial"].as_u64()).collect();
    assert_eq!(order, [0, 2, 1]);
    assert_eq!(ended[1]["values"], ended[2]["values"], "they are equals");
    let result = event(&text, "result");
    assert_eq!(result["best_trial"], 1);
    let config = fs::read_to_string(dir.join("study/best.toml")).unwrap();
    assert!(config.contains("batch = 32"), "{config}");
}

#[test]
fn the_winner_of_an_earlier_run_is_its_best_epoch_too() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let study = "--storage sqlite:///s.db --trials 8 --sampler random --batch 8 --pruner none \
        --space lr=log:1e-2..1 --space opt=sgd|adam --epochs 9";
    let search = SEARCH.replace("--epochs 4", "");
    let run = |out: &str| {
        let out = format!("--out {out}");
        event(&succeed(dir, &words(&[&search, study, &out])), "result")
    };
    let (first, second) = (run("first"), run("second"));
    assert_eq!(second["complete"], 0, "nothing was left to be tried");
    let epoch = first["best_epoch"].as_u64().expect("an epoch");
    assert!(epoch < 9, "a later epoch would be worse: {first}");
    for same in [
        "best_trial",
        "best_value",
        "best_epoch",
        "test_accuracy",
        "test_loss",
    ] {
        assert_eq!(first[same], second[same], "{same}");
    }
    let model = |out: &str| dir.join(out).join("model.safetensors");
    assert_same(&model("first"), &model("second"));
    // And the best of them are in the table that is told in the end.
    let aloud = search.replace("--quiet --json", "--out third");
    let said = succeed(dir, &words(&[&aloud, study]));
    let row = format!("%  trial {:>3}  lr ", first["best_trial"].as_u64().unwrap());
    assert!(said.contains(&row), "{row}: {said}");
}

#[cfg(unix)]
#[test]
fn an_interrupt_while_the_winner_is_trained_again_loses_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let study = "tune synthetic:moons:20000 --device cpu --json --epochs 12 --batch 8 --pruner none --sampler random \
        --trials 1 --space lr=log:1e-5..1e-4 --metric val-loss --storage sqlite:///s.db";
    let found = event(&succeed(dir, &words(&[study, "--out first"])), "result");
    let mut child = process::start(dir, &words(&[study, "--out second"]));
    Listener::new(child.stderr.take()).until("trained again");
    process::signal(&child, "INT");
    let output = child.wait_with_output().expect("an end");
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(trials(dir, "second")[&0]["state"], "COMPLETE");
    assert!(!dir.join("second/model.safetensors").exists());
    // The same command goes on to the same end.
    let again = event(&succeed(dir, &words(&[study, "--out third"])), "result");
    assert_eq!(again["best_value"], found["best_value"]);
    let model = |out: &str| dir.join(out).join("model.safetensors");
    assert_same(&model("first"), &model("third"));
}

#[test]
fn a_refit_trains_on_the_validation_part_too() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    // A part that is split off, and one that the data have of their own.
    shapes(&dir.join("own"), [10, 4]);
    fs::rename(dir.join("own/test"), dir.join("own/val")).unwrap();
    let fixed = "--batch 8 --model softmax --device cpu --quiet";
    for (data, split, whole) in [
        ("synthetic:moons:200", "--val-split 0.25", "--val-split 0"),
        ("own", "--test-split 0.2", "--test-split 0.2 --join-val"),
    ] {
        let search = "--trials 2 --epochs 2 --space lr=0.01|0.1 --refit --json --out study";
        let text = succeed(dir, &words(&["tune", data, split, fixed, search]));
        let result = event(&text, "result");
        let best = &trials(dir, "study")[&result["best_trial"].as_u64().expect("a number")];
        // A trial's seed is its number.
        let by_hand = format!(
            "--lr {} --seed {} --epochs {} --out by-hand",
            best["params"]["lr"], result["best_trial"], result["best_epoch"]
        );
        succeed(dir, &words(&["train", data, whole, fixed, &by_hand]));
        assert_same(
            &dir.join("by-hand/model.safetensors"),
            &dir.join("study/model.safetensors"),
        );
        for folder in ["study", "by-hand"] {
            fs::remove_dir_all(dir.join(folder)).unwrap();
        }
    }
}

/// Scales, gaps and columns of a table follow from the training part, which a refit makes larger.
#[test]
fn a_refit_is_tested_as_it_was_trained() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    // A town for every fourth row, so that some towns are in one part alone; some far prices; some gaps.
    let mut text = String::new();
    for (row, line) in prices(120, ',', 3).lines().enumerate() {
        let (first, rest) = line.split_once(',').expect("columns");
        let (before, price) = rest.rsplit_once(',').expect("columns");
        text += &match row {
            0 => format!("town,{line}\n"),
            _ if row % 29 == 0 => format!("t{},{first},{before},{}\n", row / 4, row * 10),
            _ if row % 7 == 0 => format!("t{},,{rest}\n", row / 4),
            _ => format!("t{},{first},{before},{price}\n", row / 4),
        };
    }
    fs::write(dir.join("prices.csv"), text).unwrap();
    let search = "tune prices.csv --val-split 0.4 --device cpu --quiet --json --epochs 3 --trials 2 --batch 8 \
        --space lr=0.01|0.02 --refit --out study";
    let result = event(&succeed(dir, &words(&[search])), "result");
    let eval = event(&succeed(dir, &["eval", "study", "--json"]), "eval");
    for (mine, theirs) in [("test_loss", "loss"), ("test_r2", "r2")] {
        let (mine, theirs) = (&result[mine], &eval[theirs]);
        let [mine, theirs] = [mine, theirs].map(|n| n.as_f64().expect("a number"));
        assert!(
            (mine - theirs).abs() <= 1e-6 * theirs.abs(),
            "{mine} and {theirs}"
        );
    }
}
