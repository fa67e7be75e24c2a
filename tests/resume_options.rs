//! What a resumed run may change, what it may not, and what it must bear.

#![cfg(unix)]

mod common;

use std::fs;

use common::process::{End, kill_when, refuse};
use common::program::succeed;
use common::run_files::{RunFiles, SLOW, SMALL, resume, train};
use gpu_train::rng::{Purpose, Stream};
use serde_json::Value;

#[test]
fn more_epochs_are_the_longer_run_where_the_schedule_has_no_horizon() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    for schedule in ["constant", "step:2:0.5", "exponential:0.8", "plateau:1:0.5"] {
        for warmup in ["0", "150"] {
            let of_run = format!("--schedule {schedule} --warmup {warmup} --epochs");
            let [long, short] =
                ["10", "4"].map(|n| RunFiles::new(dir, &format!("{schedule}-{warmup}-{n}")));
            succeed(dir, &train(&[SMALL, &of_run, "10"], &long.name));
            succeed(dir, &train(&[SMALL, &of_run, "4"], &short.name));
            assert_eq!(short.lines("metrics.jsonl"), 4);
            succeed(dir, &resume(&short.name, "--epochs 10"));
            short.assert_same(&long, schedule);
            refuse(
                dir,
                &resume(&short.name, "--epochs 9"),
                &["epoch 10 already", "after 9"],
            );
        }
    }
    for (of_run, words) in [
        (
            "--schedule polynomial:2",
            "polynomial:2 was planned over 4 epochs",
        ),
        ("--schedule cosine", "cosine was planned over 4 epochs"),
        (
            "--schedule one-cycle",
            "one-cycle:0.3 was planned over 4 epochs",
        ),
        (
            "--warmup 10%",
            "constant with a warm-up in % was planned over 4 epochs",
        ),
    ] {
        let name = of_run.replace(['-', ' ', ':', '%'], "");
        let run = RunFiles::new(dir, &name);
        succeed(dir, &train(&[SMALL, of_run, "--epochs 4"], &name));
        let files = ["config.toml", "checkpoint", "steps.csv", "result.json"];
        let before = files.map(|file| run.bytes(file));
        refuse(dir, &resume(&name, "--epochs 10"), &[words, "one over 10"]);
        assert!(
            before == files.map(|file| run.bytes(file)),
            "a refusal wrote"
        );
        // As many epochs as before are no change, and a finished run stays what it is.
        let model = run.bytes("model.safetensors");
        succeed(dir, &resume(&name, "--epochs 4"));
        assert!(model == run.bytes("model.safetensors"));
    }
}

/// A validation loss that is no number is written as null and has to be read back.
#[test]
fn a_validation_loss_that_is_no_number_does_not_end_a_run() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let mut draw = Stream::new(5, Purpose::Synthetic, 0);
    let mut text = "x,y\n1e30,5\n".to_string();
    for _ in 0..199 {
        let x = draw.normal(1.0);
        text += &format!("{x},{}\n", 2.0 * x);
    }
    fs::write(dir.join("far.csv"), text).unwrap();
    // The far row has to fall into the validation part.
    let (run, of_run) = (0..40)
        .map(|seed| {
            let of_run = format!(
                "far.csv --target y --task regression --device cpu --val-split 0.3 --test-split 0 --split-seed {seed} --early-stop 9 --quiet --epochs"
            );
            let name = format!("short-{seed}");
            succeed(dir, &train(&[&of_run, "2"], &name));
            (RunFiles::new(dir, &name), of_run)
        })
        .find(|(run, _)| String::from_utf8(run.bytes("metrics.jsonl")).unwrap().contains("\"val_loss\":null"))
        .expect("a split with the far row among the validation samples");
    succeed(dir, &train(&[&of_run, "5"], "alone"));
    succeed(dir, &resume(&run.name, "--epochs 5"));
    run.assert_same(&RunFiles::new(dir, "alone"), "a loss that is no number");
}

#[test]
fn a_finished_run_that_goes_on_is_unfinished_until_its_end() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    succeed(dir, &train(&[SLOW, "--epochs 1"], "run"));
    let run = RunFiles::new(dir, "run");
    let stopped = || {
        let text = succeed(dir, &["runs", ".", "--json"]);
        let row: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        row["stopped"].as_str().unwrap().to_string()
    };
    assert_eq!(stopped(), "epochs");
    let long = resume("run", "--epochs 4");
    assert_eq!(
        kill_when(dir, &long, || run.place() >= (3, 0)),
        End::Stopped
    );
    assert_eq!(stopped(), "unfinished");
    run.assert_usable();
    succeed(dir, &resume("run", ""));
    assert_eq!(
        (stopped().as_str(), run.lines("metrics.jsonl")),
        ("epochs", 4)
    );
}

#[test]
fn what_would_change_bits_is_refused_with_the_difference() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    succeed(dir, &train(&[SMALL, "--epochs 2"], "run"));
    let run = RunFiles::new(dir, "run");
    let checkpoint = run.bytes("checkpoint");
    for (change, words) in [
        (
            "--model linear:8",
            ["model is \"linear:64,", "\"linear:8\" now"],
        ),
        ("--opt sgd", ["opt is \"adam\"", "\"sgd\" now"]),
        ("--lr 0.5", ["lr is 0.02", "0.5 now"]),
        ("--batch 16", ["batch is 8", "16 now"]),
        ("--seed 1", ["seed is 0", "1 now"]),
        (
            "--schedule cosine",
            ["schedule is \"constant\"", "\"cosine\" now"],
        ),
        ("--warmup 5", ["warmup is \"0\"", "\"5\" now"]),
        ("--accumulate 2", ["accumulate is 1", "2 now"]),
        ("--ema 0.9", ["ema is 0.0", "0.9 now"]),
        ("--dropout 0.4", ["dropout is unset", "0.4 now"]),
        ("--loss mse", ["loss is \"cross-entropy\"", "\"mse\" now"]),
        ("--l2 0.1", ["l2 is 0.0", "0.1 now"]),
        ("--clip-norm 1", ["clip-norm is 0.0", "1.0 now"]),
        ("--no-shuffle", ["no-shuffle is false", "true now"]),
        ("--early-stop 3", ["early-stop is unset", "3 now"]),
        ("--val-split 0.3", ["val-split is 0.2", "0.3 now"]),
        ("--split-seed 4", ["split-seed is 0", "4 now"]),
        ("--limit 500", ["limit is unset", "500 now"]),
        (
            "synthetic:spiral",
            ["source is \"synthetic:moons:1000\"", "spiral\" now"],
        ),
    ] {
        refuse(dir, &resume("run", change), &words);
    }
    assert!(checkpoint == run.bytes("checkpoint"));
    refuse(dir, &resume("nowhere", ""), &["nowhere", "no run folder"]);
}

/// The longest and the shortest time between checkpoints that can be asked for.
#[test]
fn any_time_between_checkpoints_will_do() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    succeed(dir, &train(&[SMALL, "--epochs 2"], "usual"));
    for minutes in ["1e-30", "1e30"] {
        let often = format!("--checkpoint-minutes {minutes}");
        succeed(dir, &train(&[SMALL, "--epochs 2", &often], minutes));
        RunFiles::new(dir, minutes).assert_same(&RunFiles::new(dir, "usual"), minutes);
    }
}
