//! Seeds and folds trained together, their spread, and the mean of what they answer.

mod common;

use std::fs;
use std::path::Path;

use common::program::{events, refuse, succeed};
use serde_json::Value;

fn train(dir: &Path, more: &str, out: &str) -> Value {
    train_for(dir, 3, more, out)
}

fn train_for(dir: &Path, epochs: u32, more: &str, out: &str) -> Value {
    let args = "train synthetic:moons:401 --device cpu --batch 32 --quiet --json --lr 0.01";
    let args = format!("{args} --epochs {epochs}");
    let words = args.split_whitespace().chain(more.split_whitespace());
    let words: Vec<&str> = words.chain(["--out", out]).collect();
    events(&succeed(dir, &words), "result").remove(0)
}

#[test]
fn seeds_are_the_runs_that_they_are_alone() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let all = train(dir, "--members 4 --seed 7", "all");
    let members = all["members"].as_array().expect("members");
    let mut accuracies = Vec::new();
    for (ix, member) in members.iter().enumerate() {
        let seed = 7 + ix;
        assert_eq!(member["name"], format!("seed {seed}"));
        // Members are told apart by a validation part.
        let alone = train(
            dir,
            &format!("--seed {seed} --val-split 0.1"),
            &format!("alone-{ix}"),
        );
        assert_eq!(member["test_accuracy"], alone["test_accuracy"]);
        let bytes = |path: String| fs::read(dir.join(path)).expect("a model");
        let mine = bytes(format!("all/members/{ix:03}.safetensors"));
        assert!(
            mine == bytes(format!("alone-{ix}/model.safetensors")),
            "seed {seed}"
        );
        accuracies.push(member["test_accuracy"].as_f64().expect("a number"));
    }
    let spread = &all["test_accuracy_spread"];
    let mean = accuracies.iter().sum::<f64>() / 4.0;
    let squares: f64 = accuracies.iter().map(|a| (a - mean).powi(2)).sum();
    let close = |key: &str, value: f64| {
        let told = spread[key].as_f64().expect("a number");
        assert!((told - value).abs() < 1e-12, "{key}: {told}, {value}");
    };
    close("mean", mean);
    close("standard_deviation", (squares / 3.0).sqrt());
    assert_eq!(spread["members"], 4);
}

#[test]
fn an_ensemble_answers_with_the_mean() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    train(dir, "--members 3", "all");
    let ask = |model: &str, more: &[&str]| -> Vec<f64> {
        let args = [
            &["predict", model, "synthetic:moons:401:5", "--json"][..],
            more,
        ]
        .concat();
        let text = succeed(dir, &args);
        let event = &events(&text, "prediction")[0];
        let of = event["probabilities"].as_object().expect("probabilities");
        of.values().map(|p| p.as_f64().expect("a number")).collect()
    };
    let members: Vec<Vec<f64>> = (0..3)
        .map(|ix| ask(&format!("all/members/{ix:03}.safetensors"), &[]))
        .collect();
    let together = ask("all", &["--ensemble"]);
    for (ix, p) in together.iter().enumerate() {
        let mean = members.iter().map(|m| m[ix]).sum::<f64>() / 3.0;
        assert!((p - mean).abs() < 1e-6, "{p} {mean}");
    }
    let loss = |model: &str, more: &[&str]| {
        let text = succeed(dir, &[&["eval", model, "--json"][..], more].concat());
        events(&text, "eval")[0]["loss"].as_f64().expect("a loss")
    };
    // Jensen: the loss of the mean is at most the mean of the losses.
    let each: Vec<f64> = (0..3)
        .map(|ix| loss(&format!("all/members/{ix:03}.safetensors"), &[]))
        .collect();
    let together = loss("all", &["--ensemble"]);
    assert!(
        together <= each.iter().sum::<f64>() / 3.0 + 1e-6,
        "{together} {each:?}"
    );
    assert!(together >= each.iter().copied().fold(f64::MAX, f64::min) * 0.5);
    train(dir, "", "alone");
    refuse(
        dir,
        &["eval", "alone", "--ensemble"],
        2,
        &["no run folder with members"],
    );
}

#[test]
fn folds_hold_every_sample_once() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    // 321 samples to be dealt out: no fold of 4 is like another by more than one.
    let result = train(
        dir,
        "--folds 4 --class-weights balanced --normalize standard",
        "folds",
    );
    assert_eq!(result["members"].as_array().expect("members").len(), 4);
    assert_eq!(result["val_accuracy_spread"]["members"], 4);
    // Each member has its own normalisation, which its model file holds.
    let head = |ix: usize| {
        let bytes =
            fs::read(dir.join(format!("folds/members/{ix:03}.safetensors"))).expect("a model");
        let len = u64::from_le_bytes(bytes[..8].try_into().expect("eight")) as usize;
        let header: Value = serde_json::from_slice(&bytes[8..8 + len]).expect("JSON");
        let info = header["__metadata__"]["gpu-train"]
            .as_str()
            .expect("text")
            .to_string();
        let info: Value = serde_json::from_str(&info).expect("JSON");
        info["normalization"].to_string()
    };
    assert_ne!(head(0), head(1));
    // A run of folds is resumed as any other.
    let more = [
        "train", "--resume", "folds", "--epochs", "5", "--quiet", "--json",
    ];
    succeed(dir, &more);
    let whole = train_for(
        dir,
        5,
        "--folds 4 --class-weights balanced --normalize standard",
        "whole",
    );
    assert_eq!(whole["epochs"], 5);
    for ix in 0..4 {
        let of = |run: &str| {
            fs::read(dir.join(format!("{run}/members/{ix:03}.safetensors"))).expect("a model")
        };
        assert!(of("folds") == of("whole"), "fold {ix}");
    }
    for (words, said) in [
        ("--folds 1", "2 or more"),
        ("--folds 500", "samples to be dealt out"),
        ("--folds 3 --members 2", "members already"),
        ("--members 0", "one at least"),
        ("--members 99999999", "at most 4096"),
    ] {
        let args = format!("train synthetic:moons:100 --device cpu {words}");
        let args: Vec<&str> = args.split_whitespace().collect();
        refuse(dir, &args, 2, &[said]);
    }
}

#[test]
fn a_run_of_which_every_member_diverged_fails() {
    let temp = tempfile::tempdir().unwrap();
    let line = "train synthetic:moons:401 --members 3 --epochs 2 --opt sgd --lr 1e20 --device cpu --batch 32 --quiet --out all";
    let words: Vec<&str> = line.split_whitespace().collect();
    refuse(temp.path(), &words, 1, &["diverged"]);
}

#[test]
fn a_member_that_diverged_is_left_out() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let members = "epochs = 2\nopt = \"sgd\"\n[[member]]\nlr = 0.1\n[[member]]\nlr = 1e20\n[[member]]\nlr = 0.05\n";
    fs::write(dir.join("three.toml"), members).unwrap();
    let line = "train synthetic:moons:401 --config three.toml --device cpu --batch 32 --quiet --json --out all";
    let words: Vec<&str> = line.split_whitespace().collect();
    succeed(dir, &words);
    for (file, is_there) in [("000", true), ("001", false), ("002", true)] {
        let path = dir.join(format!("all/members/{file}.safetensors"));
        assert_eq!(path.is_file(), is_there, "{file}");
    }
    let text = succeed(dir, &["eval", "all", "--ensemble", "--json"]);
    let eval = events(&text, "eval").remove(0);
    assert_eq!(eval["members"], 2);
    assert!(eval["accuracy"].as_f64() > Some(0.5), "{eval}");
}
