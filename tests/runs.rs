//! Run folders side by side, the learning-rate range test, and the help of every command.

use std::fs;
use std::path::Path;

use gpu_train::models::PRESETS;
use serde_json::Value;

mod common;

use common::program::{
    event, events, gpu_train, is_picture, number, refuse, succeed, train, words,
};
use common::sources::prices;

/// Three finished runs of different sizes, one that was killed, one whose files are damaged, and a
/// folder that is no run.
fn some_runs(dir: &Path) {
    train(
        dir,
        "synthetic:moons:200 --epochs 30 --lr 0.02 --val-split 0.2",
        "runs/moons-2",
    );
    train(
        dir,
        "synthetic:moons:200 --epochs 2 --lr 0.0001 --model linear:4,relu",
        "runs/moons-10",
    );
    train(
        dir,
        "synthetic:moons:200 --epochs 5 --model deep",
        "runs/moons-1",
    );
    let copy = |from: &str, to: &str, files: &[&str]| {
        fs::create_dir(dir.join(to)).unwrap();
        for file in files {
            fs::copy(dir.join(from).join(file), dir.join(to).join(file)).unwrap();
        }
    };
    copy(
        "runs/moons-1",
        "runs/killed",
        &["config.toml", "metrics.jsonl", "steps.csv"],
    );
    let log = dir.join("runs/killed/metrics.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    let two: usize = text.split_inclusive('\n').take(2).map(str::len).sum();
    fs::write(&log, &text[..two + 20]).unwrap();
    copy("runs/moons-1", "runs/damaged", &["config.toml"]);
    fs::write(dir.join("runs/damaged/config.toml"), "epochs = \"many\"").unwrap();
    fs::create_dir(dir.join("runs/notes")).unwrap();
}

fn names(text: &str) -> Vec<String> {
    let runs = events(text, "run");
    runs.iter()
        .map(|r| r["run"].as_str().unwrap().replace("runs/", ""))
        .collect()
}

#[test]
fn run_folders_in_a_table() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    some_runs(dir);
    let output = gpu_train(dir, &words("runs --json"));
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(names(&text), ["killed", "moons-1", "moons-2", "moons-10"]);
    assert!(
        said.contains("left out: ") && said.contains("damaged"),
        "{said}"
    );
    let runs = events(&text, "run");
    let killed = &runs[0];
    assert_eq!(
        (&killed["stopped"], &killed["epochs"]),
        (&"unfinished".into(), &2.into())
    );
    assert_eq!(killed["test"], Value::Null);
    assert_eq!(
        (&runs[1]["epochs"], &runs[1]["model"]),
        (&5.into(), &PRESETS[2].1.into())
    );
    assert!(
        number(&runs[2], "validation") > 0.9 && number(&runs[2], "test") > 0.9,
        "{}",
        runs[2]
    );

    let sorted = |by: &str| names(&succeed(dir, &words(&format!("runs --json --sort {by}"))));
    assert_eq!(
        sorted("accuracy")[3],
        "killed",
        "a run without a test is the last"
    );
    assert_eq!(sorted("loss")[..3], ["moons-2", "moons-1", "moons-10"]);
    assert_eq!(
        sorted("epochs"),
        ["moons-2", "moons-1", "killed", "moons-10"]
    );
    assert_eq!(sorted("validation")[0], "moons-2");
    assert_eq!(
        sorted("loss --reverse")[1..],
        ["moons-10", "moons-1", "moons-2"]
    );
    assert_eq!(
        sorted("parameters")[1..],
        ["moons-10", "moons-2", "moons-1"]
    );
    refuse(
        dir,
        &words("runs --sort acuracy"),
        2,
        &["did you mean accuracy"],
    );

    let table = succeed(dir, &["runs"]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(
        lines[0].starts_with("run ") && lines[0].contains("test loss"),
        "{table}"
    );
    assert_eq!(lines.len(), 5, "{table}");
    assert!(
        lines[1].ends_with("unfinished") && lines[2].ends_with("epochs"),
        "{table}"
    );
    fs::create_dir(dir.join("none")).unwrap();
    assert!(succeed(dir, &["runs", "none"]).contains("no runs in none"));
}

#[test]
fn curves_over_one_another() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    some_runs(dir);
    let said = succeed(dir, &words("compare runs/moons-1 runs/moons-2 runs/killed"));
    assert!(
        said.contains("curves: compare.png") && said.contains("runs/moons-2"),
        "{said}"
    );
    is_picture(&dir.join("compare.png"), 800);
    let text = succeed(
        dir,
        &words("compare runs/moons-1 runs/moons-2 --out two.png --json"),
    );
    assert_eq!(names(&text), ["moons-1", "moons-2"]);
    // Every run is drawn: another third one makes another picture.
    succeed(
        dir,
        &words("compare runs/moons-1 runs/moons-2 runs/moons-10 --out other.png"),
    );
    let pixels = |name: &str| image::open(dir.join(name)).unwrap().into_bytes();
    assert!(pixels("other.png") != pixels("compare.png"));

    refuse(
        dir,
        &words("compare runs/notes"),
        2,
        &["notes", "no run folder"],
    );
    refuse(
        dir,
        &words("compare runs/damaged"),
        2,
        &["damaged", "config.toml"],
    );
    refuse(
        dir,
        &words("compare runs/moons-1 --out c.svg"),
        2,
        &["c.svg", "PNG"],
    );
    fs::write(dir.join("prices.csv"), prices(60, ',', 1)).unwrap();
    train(dir, "prices.csv --epochs 2", "values");
    refuse(
        dir,
        &words("compare runs/moons-1 values"),
        2,
        &["classes", "value"],
    );
}

#[test]
fn a_learning_rate_is_suggested() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    for (line, low, high) in [
        ("synthetic:moons", 1e-3, 0.5),
        ("synthetic:moons --opt sgd --from 1e-4 --to 100", 1e-2, 20.0),
        ("mnist", 1e-4, 0.1),
    ] {
        let text = succeed(dir, &words(&format!("lr-find {line} --steps 100 --json")));
        let found = event(&text, "lr_find");
        let lr = number(&found, "suggestion");
        assert!((low..=high).contains(&lr), "{line}: {lr}");
        assert!(
            number(&found, "lowest") > lr,
            "the loss falls fastest before it is lowest: {found}"
        );
        let points = events(&text, "point");
        assert_eq!(points.len() as f64, number(&found, "steps"));
        assert!(
            points
                .windows(2)
                .all(|p| number(&p[0], "lr") < number(&p[1], "lr"))
        );
        is_picture(&dir.join("lr-find.png"), 300);
        fs::remove_file(dir.join("lr-find.png")).unwrap();
    }
    let said = succeed(dir, &words("lr-find synthetic:moons --plot sweep.png"));
    assert!(
        said.contains("suggested: --lr ") && dir.join("sweep.png").is_file(),
        "{said}"
    );
    // No training comes of it, and what it takes is refused.
    assert!(!dir.join("runs").exists());
    refuse(
        dir,
        &words("lr-find synthetic:moons --lr 0.1"),
        2,
        &["--lr", "--from"],
    );
    // The suggestion is worth something: a run at it learns.
    let text = succeed(dir, &words("lr-find synthetic:moons --json"));
    let lr = number(&event(&text, "lr_find"), "suggestion");
    let result = train(
        dir,
        &format!("synthetic:moons --epochs 20 --lr {lr}"),
        "run",
    );
    assert!(number(&result, "test_accuracy") > 0.95, "{result}");
}

/// The long options that a help text lists; descriptions are indented further, and wrapped.
fn options(help: &str) -> Vec<&str> {
    help.lines()
        .filter(|line| line.len() - line.trim_start().len() <= 6)
        .filter_map(|line| line.split_once("--"))
        .filter(|(before, _)| before.trim().is_empty() || before.trim().ends_with(','))
        .map(|(_, rest)| rest.split([' ', '=']).next().unwrap_or_default())
        .collect()
}

#[test]
fn help_names_every_option() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let general = succeed(dir, &["--help"]);
    let of_data = [
        "target",
        "ignore",
        "task",
        "missing",
        "size",
        "channels",
        "strict",
        "test",
        "test-split",
        "val-split",
        "join-val",
        "split-seed",
        "limit",
        "normalize",
        "target-scale",
    ];
    let of_training = [
        "folds",
        "model",
        "loss",
        "huber-delta",
        "initializer",
        "init",
        "init-partial",
        "freeze",
        "opt",
        "lr",
        "momentum",
        "beta1",
        "beta2",
        "eps",
        "alpha",
        "weight-decay",
        "schedule",
        "warmup",
        "accumulate",
        "ema",
        "l1",
        "l2",
        "dropout",
        "label-smoothing",
        "class-weights",
        "clip-norm",
        "max-norm",
        "early-stop",
        "min-delta",
        "until-converged",
        "tol",
        "time",
        "target-accuracy",
        "epochs",
        "batch",
        "seed",
        "no-shuffle",
        "device",
        "data-memory",
        "checkpoint-minutes",
        "log-every",
        "deterministic",
        "no-deterministic",
    ];
    let of_a_run = [
        "members",
        "resume",
        "compare",
        "no-compare",
        "config",
        "out",
        "tensorboard",
        "json",
        "quiet",
        "dump-plan",
        "profile",
        "remeasure",
    ];
    let trains = [&of_data[..], &of_training, &of_a_run].concat();
    let finds = [
        &of_data[..],
        &of_training,
        &["from", "to", "steps", "plot", "json"],
    ]
    .concat();
    let of_a_search = [
        "trials",
        "space",
        "sampler",
        "pruner",
        "metric",
        "direction",
        "population",
        "enqueue",
        "timeout",
        "storage",
        "study",
        "heartbeat",
        "refit",
        "config",
        "out",
        "json",
        "quiet",
    ];
    let mut searches = [&of_data[..], &of_training, &of_a_search].concat();
    // Those that end or watch a single run are refused by a search.
    let of_one_run = [
        "time",
        "target-accuracy",
        "checkpoint-minutes",
        "log-every",
        "no-deterministic",
    ];
    searches.retain(|option| !of_one_run.contains(option));
    let looks = [&of_data[..], &["sheet", "no-sheet", "json"]].concat();
    for (command, wanted) in [
        ("train", trains.clone()),
        ("run", trains),
        ("lr-find", finds),
        ("tune", searches),
        ("data", looks),
        ("recipes", vec!["json"]),
        ("runs", vec!["sort", "reverse", "json"]),
        ("compare", vec!["out", "json"]),
        ("eval", vec!["train-part", "ensemble", "device", "json"]),
        ("predict", vec!["ensemble", "out", "device", "json"]),
    ] {
        assert!(
            general.contains(&format!("  {command} ")),
            "{command}: {general}"
        );
        let help = succeed(dir, &[command, "--help"]);
        let listed = options(&help);
        for option in &wanted {
            assert!(
                listed.contains(option),
                "{command}: --{option} is missing:\n{help}"
            );
        }
        // The list here is whole too.
        for option in &listed {
            let known = wanted.contains(option) || ["help", "version"].contains(option);
            assert!(known, "{command}: --{option} is tested nowhere");
        }
        if ["train", "run", "lr-find"].contains(&command) {
            for (preset, layers) in PRESETS {
                let line = help
                    .lines()
                    .find(|l| l.split_whitespace().next() == Some(preset));
                assert!(line.is_some(), "{command}: {preset}:\n{help}");
                assert!(help.contains(layers), "{command}: {layers}:\n{help}");
            }
        }
    }
}
