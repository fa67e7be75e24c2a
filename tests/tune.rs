//! `gpu-train tune` as a person uses it: what a study leaves, that a trial is what it is alone, that a
//! study goes on, and what is refused.

mod common;

use std::fs;

use common::process::{self, Listener};
use common::program::{event, events, gpu_train, refuse, succeed};
use common::study::{SEARCH, assert_alone, trials, words};
use serde_json::Value;

/// Every optimiser, with pruning and refilled places in the middle.
const EVERYTHING: [&str; 8] = [
    "--space",
    "opt=sgd|momentum|nesterov|adagrad|rmsprop|adam|adamw",
    "--space",
    "lr=log:1e-4..1e-1",
    "--space",
    "dropout=0..0.5",
    "--space",
    "momentum=0.5..0.95 if opt=momentum|nesterov",
];

fn a_trial_is_what_it_is_alone(device: &str) {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let mut args = words(&[
        SEARCH,
        "--enqueue opt=momentum --enqueue opt=nesterov --trials 24 --population 8 --sampler random --batch 32 --pruner asha",
        "--model linear:16,relu,dropout:0.1 --out study --ema 0.9",
        "--space l2=0..0.01 --space weight-decay=log:1e-6..1e-2 --space clip-norm=0..1:0.5",
        "--space schedule=constant|cosine --space label-smoothing=0..0.1 --metric val-loss",
    ]);
    args.extend(EVERYTHING);
    let at = args.iter().position(|a| *a == "cpu").expect("a device");
    args[at] = device;
    let text = succeed(dir, &args);
    let trials = trials(dir, "study");
    assert_eq!(trials.len(), 24);
    let state = |t: &&Value| t["state"].as_str().expect("a state").to_string();
    let count = |of: &str| trials.values().filter(|t| state(t) == of).count();
    assert!(count("PRUNED") >= 4, "{text}");
    assert!(count("COMPLETE") >= 4, "{text}");
    let mut optimizers: Vec<&str> = Vec::new();
    for trial in trials.values().filter(|t| state(t) != "FAIL") {
        optimizers.push(trial["params"]["opt"].as_str().expect("an optimiser"));
        assert_alone(dir, trial, device, "val_loss");
    }
    optimizers.sort_unstable();
    optimizers.dedup();
    assert_eq!(optimizers.len(), 7, "{optimizers:?}");
}

#[test]
fn a_trial_is_what_it_is_alone_on_the_cpu() {
    a_trial_is_what_it_is_alone("cpu");
}

#[test]
fn a_trial_is_what_it_is_alone_on_the_gpu() {
    common::require_device();
    a_trial_is_what_it_is_alone("gpu");
}

#[test]
fn a_resumed_study_is_the_uninterrupted_one() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let small = "--batch 32 --model linear:8,relu --space lr=log:1e-3..1e-1 --space dropout=0..0.3 \
        --space opt=sgd|adam --population 4 --pruner none --model linear:8,relu,dropout:0.1";
    let small = small.replacen("--model linear:8,relu ", "", 1);
    for sampler in ["tpe", "random", "sobol", "evolution", "gp", "cmaes"] {
        let sampler_words = format!("--sampler {sampler}");
        let whole = format!("whole-{sampler}");
        let parts = format!("parts-{sampler}");
        succeed(
            dir,
            &words(&[SEARCH, &small, &sampler_words, "--trials 16 --out", &whole]),
        );
        let url = format!("sqlite:///{sampler}.db");
        let storage = ["--storage", &url];
        let half = words(&[
            SEARCH,
            &small,
            &sampler_words,
            "--trials 8 --out half",
            storage[0],
            storage[1],
        ]);
        succeed(dir, &half);
        fs::remove_dir_all(dir.join("half")).unwrap();
        let rest = words(&[
            SEARCH,
            &small,
            &sampler_words,
            "--trials 16 --out",
            &parts,
            storage[0],
            storage[1],
        ]);
        succeed(dir, &rest);
        let (a, b) = (trials(dir, &whole), trials(dir, &parts));
        assert_eq!(a.len(), 16);
        for (number, trial) in &a {
            for key in ["params", "values", "intermediate", "state"] {
                assert_eq!(
                    trial[key], b[number][key],
                    "{sampler}: trial {number}, {key}"
                );
            }
        }
        let points: std::collections::BTreeSet<String> =
            a.values().map(|t| t["params"].to_string()).collect();
        assert_eq!(points.len(), 16, "{sampler} repeats itself");
    }
}

#[test]
fn a_grid_is_walked_once() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let grid = "--sampler grid --space batch=16|32 --space opt=sgd|adam --space depth=1|2 --space width=8|16";
    succeed(dir, &words(&[SEARCH, grid, "--trials 50 --out study"]));
    let trials = trials(dir, "study");
    assert_eq!(trials.len(), 16);
    let points: std::collections::BTreeSet<String> =
        trials.values().map(|t| t["params"].to_string()).collect();
    assert_eq!(points.len(), 16);
    // Trials of one structure together are no reason for a second walk.
    succeed(
        dir,
        &words(&[SEARCH, grid, "--trials 50 --population 8 --out wide"]),
    );
    assert_eq!(common::study::trials(dir, "wide").len(), 16);
}

#[test]
fn a_trial_that_no_memory_holds_fails_and_the_search_goes_on() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let wide = "--space width=8|16000000 --space depth=2|3 --space lr=0.01|0.1 --batch 32 --sampler random \
        --enqueue width=16000000,depth=2 --trials 6 --out study";
    let text = succeed(dir, &words(&[SEARCH, wide]));
    let trials = trials(dir, "study");
    for trial in trials.values() {
        let fits = trial["params"]["width"] == 8;
        assert_eq!(
            trial["state"],
            if fits { "COMPLETE" } else { "FAIL" },
            "{trial}"
        );
    }
    assert_eq!(trials[&0]["state"], "FAIL");
    assert!(event(&text, "result")["complete"].as_u64() > Some(0));
}

#[test]
fn options_that_some_trials_have_are_theirs_alone() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let given = "--momentum 0.7 --beta1 0.8 --dropout 0.1 --trials 12 --sampler random --out study --pruner none";
    succeed(dir, &words(&[SEARCH, given]));
    let mut seen = std::collections::BTreeSet::new();
    for trial in trials(dir, "study").values() {
        assert_eq!(trial["state"], "COMPLETE", "{trial}");
        let config = trial["user_attrs"]["config"].as_str().expect("one");
        let opt = trial["params"]["opt"].as_str().expect("an optimiser");
        seen.insert(opt.to_string());
        assert_eq!(
            config.contains("momentum = 0.7"),
            opt == "momentum",
            "{config}"
        );
        assert_eq!(
            config.contains("beta1 = 0.8"),
            opt != "momentum",
            "{config}"
        );
        assert!(config.contains("dropout:0") && config.contains("dropout = 0.1"));
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
}

#[test]
fn a_trial_that_diverges_fails_and_the_search_goes_on() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let wild = "--opt sgd --model linear:64,relu --batch 16 --sampler random --population 4 --out study --trials 12 --space lr=log:1e-2..1e8";
    let text = succeed(dir, &words(&[SEARCH, wild]));
    let result = &events(&text, "result")[0];
    assert!(result["failed"].as_u64() > Some(0), "{result}");
    assert!(result["complete"].as_u64() > Some(0), "{result}");
    let failed = events(&text, "trial");
    let failed = failed.iter().find(|t| t["state"] == "FAIL").expect("one");
    assert!(
        failed["reason"]
            .as_str()
            .expect("a reason")
            .contains("diverged")
    );
    // Where all of them do, that is a failed check.
    let args = words(&[
        SEARCH,
        "--opt sgd --trials 3 --space lr=1e28..1e30 --batch 16 --out none",
    ]);
    refuse(dir, &args, 1, &["none of 3 trials", "diverged"]);
}

#[test]
fn several_metrics_have_a_front() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let two = "--metric val-accuracy --metric parameters --trials 20 --space width=log:4..64 --space lr=log:1e-3..1e-1 --out study";
    let text = succeed(dir, &words(&[SEARCH, two]));
    let front = events(&text, "result")[0]["front"]
        .as_array()
        .expect("a front")
        .clone();
    let trials = trials(dir, "study");
    let values = |t: &Value| -> (f64, f64) {
        let of = |ix: usize| t["values"][ix].as_f64().expect("a value");
        (of(0), of(1))
    };
    assert!(!front.is_empty() && front.len() < 20);
    let complete: Vec<&Value> = trials
        .values()
        .filter(|t| t["state"] == "COMPLETE")
        .collect();
    for (number, trial) in &trials {
        let (accuracy, size) = values(trial);
        let beaten = complete.iter().any(|other| {
            let (a, s) = values(other);
            a >= accuracy && s <= size && (a > accuracy || s < size)
        });
        let on_front = front.iter().any(|n| n.as_u64() == Some(*number));
        assert_eq!(on_front, !beaten, "trial {number}");
    }
    assert!(dir.join("study/pareto.png").is_file());
}

#[test]
fn folds_are_judged_by_their_mean() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let folded = "tune synthetic:moons:601 --device cpu --epochs 2 --json --quiet --trials 4 --folds 4 \
        --space lr=log:1e-3..1e-1 --batch 32 --pruner none --out study";
    let text = succeed(dir, &words(&[folded]));
    let trials = trials(dir, "study");
    let trial = &trials[&0];
    let config = trial["user_attrs"]["config"]
        .as_str()
        .expect("a configuration");
    fs::write(dir.join("alone.toml"), config).unwrap();
    succeed(
        dir,
        &[
            "train",
            "--config",
            "alone.toml",
            "--quiet",
            "--out",
            "alone",
        ],
    );
    let log = fs::read_to_string(dir.join("alone/metrics.jsonl")).unwrap();
    let lines: Vec<Value> = log
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(lines.len(), 8);
    for epoch in [1, 2] {
        let of = lines.iter().filter(|l| l["epoch"] == epoch);
        let all: Vec<f64> = of.map(|l| l["val_accuracy"].as_f64().unwrap()).collect();
        let mean = all.iter().sum::<f64>() / 4.0;
        assert_eq!(
            trial["intermediate"][epoch.to_string()].as_f64(),
            Some(mean)
        );
        if trial["user_attrs"]["best_epoch"] == epoch {
            let squares: f64 = all.iter().map(|a| (a - mean).powi(2)).sum();
            let deviation = trial["user_attrs"]["deviation"].as_f64().unwrap();
            assert!((deviation - (squares / 3.0).sqrt()).abs() < 1e-12);
        }
    }
    let result = event(&text, "result");
    let best = &trials[&result["best_trial"].as_u64().unwrap()];
    assert_eq!(result["deviation"], best["user_attrs"]["deviation"]);
    let csv = fs::read_to_string(dir.join("study/trials.csv")).unwrap();
    assert!(csv.starts_with("number,state,val-accuracy,deviation,epochs,"));
    // The winner is trained on all of them.
    assert!(
        events(&text, "result")[0]["test_accuracy"]
            .as_f64()
            .is_some()
    );
    assert!(dir.join("study/model.safetensors").is_file());
}

#[test]
fn a_structure_under_a_members_condition_is_kept_apart() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let spaces = "--space opt=adam|sgd --space lr=log:1e-3..1e-1 --out study --trials 16 --population 2 --sampler random --pruner none";
    let mut args = words(&[SEARCH, spaces]);
    args.extend(["--space", "batch=16|64 if opt=adam"]);
    succeed(dir, &args);
    let trials = trials(dir, "study");
    let optimizers: std::collections::BTreeSet<String> = trials
        .values()
        .map(|t| t["params"]["opt"].to_string())
        .collect();
    assert_eq!(optimizers.len(), 2);
    for trial in trials.values() {
        assert_alone(dir, trial, "cpu", "val_accuracy");
    }
}

#[test]
fn a_population_evolves() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let search = SEARCH.replace("--epochs 4", "--epochs 10");
    let evolving = "--pruner pbt --trials 10 --batch 32 --out study --model linear:16,relu \
        --space lr=log:1e-6..1e-1 --space opt=sgd|adam";
    succeed(dir, &words(&[&search, evolving]));
    let trials = trials(dir, "study");
    let changed: Vec<&Value> = trials
        .values()
        .filter(|t| t["user_attrs"]["pbt"].is_array())
        .collect();
    assert!(changed.len() >= 2, "{}", changed.len());
    let mut leaps = 0;
    for trial in changed {
        assert_eq!(trial["state"], "COMPLETE");
        let changes = trial["user_attrs"]["pbt"].as_array().expect("a list");
        for change in changes {
            let of = |value: &Value| value.as_f64().expect("a number");
            let from = &trials[&change["from"].as_u64().expect("a number")];
            let epoch = change["epoch"].as_u64().expect("an epoch").to_string();
            // It went on from one that was better at that time.
            let (theirs, mine) = (
                &from["intermediate"][&epoch],
                &trial["intermediate"][&epoch],
            );
            assert!(of(theirs) >= of(mine));
            // With its weights it is about as good from the next epoch on.
            let next = (change["epoch"].as_u64().expect("an epoch") + 1).to_string();
            if of(theirs) > of(mine) + 0.1 && !trial["intermediate"][&next].is_null() {
                leaps += 1;
                let middle = (of(theirs) + of(mine)) / 2.0;
                assert!(of(&trial["intermediate"][&next]) > middle, "{trial}");
            }
        }
        // Its configuration is what it had at its best epoch.
        let config = trial["user_attrs"]["config"]
            .as_str()
            .expect("a configuration");
        let rates = changes.iter().map(|change| &change["params"]["lr"]);
        let had = rates.chain([&trial["params"]["lr"]]);
        let mut had = had.map(|lr| format!("lr = {}\n", lr));
        assert!(had.any(|lr| config.contains(&lr)), "{config} {changes:?}");
    }
    assert!(leaps > 0, "nobody was far behind");
}

#[test]
fn what_is_wrong_is_said() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let tune = "tune synthetic:moons:200 --device cpu --quiet --epochs 1";
    for (args, said) in [
        ("--space lr=1..0", &["lower bound", "^"][..]),
        ("--space lr=log:0..1", &["log scale"]),
        ("--space lrr=0..1", &["did you mean lr", "\n  ^^^\n"]),
        (
            "--space opt=adam|sdg",
            &["--space opt: sdg makes no trial", "sgd"],
        ),
        ("--space dropout=2..3", &["make a trial", "dropout"]),
        ("--space batch=-4..0", &["make a trial", "batch"]),
        ("--heartbeat 1e20", &["a day"]),
        ("--timeout 5x", &["--timeout 5x"]),
        (
            "--space momentum=0..0.9 --space dropout=0..x",
            &["no number"],
        ),
        ("--lr 0.1 --space lr=0.1..1", &["given and searched"]),
        ("--sampler tpee", &["did you mean tpe"]),
        ("--pruner medan", &["did you mean median"]),
        ("--metric accuracy", &["no such metric"]),
        ("--trials 0", &["nothing would be searched"]),
        ("--storage mysql://x/y", &["not supported"]),
        (
            "--storage sqlite:////nowhere/at/all.db",
            &["/nowhere/at/all.db"],
        ),
        ("--sampler grid --space lr=0.1..1", &["step"]),
        ("--time 5s", &["--timeout"]),
        ("--enqueue lr=5", &["none of", "\n     ^\n"]),
        ("--enqueue lrr=0.1", &["did you mean lr", "^^^"]),
        ("--folds 1", &["2"]),
        ("--folds -3", &["--folds -3"]),
        ("--population 99999999", &["at most 4096"]),
        ("--val-split 0", &["--val-split 0 leaves none"]),
        (
            "--refit --schedule plateau",
            &["plateau looks at a validation part"],
        ),
        (
            "--refit --metric val-accuracy --metric parameters",
            &["no single best trial"],
        ),
        ("--space momentum=0..0.9", &["momentum, nesterov"]),
        ("--opt sgd --beta1 0.8", &["adam, adamw"]),
        ("--model mlp --space dropout=0..0.5", &["mlp has none"]),
    ] {
        let args = words(&[tune, args]);
        let output = gpu_train(dir, &args);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        for word in said {
            assert!(text.contains(word), "{args:?} does not say {word}: {text}");
        }
        assert!(text.lines().count() <= 3, "{text}");
    }
    assert!(
        !dir.join("runs").exists(),
        "a refused study leaves no folder"
    );
    // A space that contradicts what the study holds.
    let study = "--storage sqlite:///s.db --trials 4 --batch 32";
    succeed(dir, &words(&[tune, study, "--space lr=log:1e-3..1e-1"]));
    let other = words(&[tune, study, "--space lr=1e-3..1e-1"]);
    refuse(dir, &other, 2, &["lr", "another --study"]);
    let way = words(&[tune, study, "--metric val-loss --space lr=log:1e-3..1e-1"]);
    refuse(dir, &way, 2, &["minimize", "--direction"]);
}

#[cfg(unix)]
#[test]
fn an_interrupted_study_queues_its_trials_again() {
    // The one asks for a few trials at a time; the other, whose study nobody else works on, for all of
    // them ahead, so that some wait for their turn.
    interrupt(
        "tpe",
        "--storage sqlite:///s.db",
        "--storage sqlite:///s.db",
    );
    interrupt("random", "", "--storage sqlite:///study/study.db");
}

#[cfg(unix)]
fn interrupt(sampler: &str, storage: &str, resumed: &str) {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let long = format!(
        "tune synthetic:moons:4000 --device cpu --epochs 60 --quiet --json --trials 8 --sampler {sampler} \
        --batch 8 --space width=8|16|32|64 --space lr=log:1e-3..1e-1 --pruner none --out study"
    );
    let mut child = process::start(dir, &words(&[&long, storage]));
    // Some epochs in.
    Listener::new(child.stdout.take()).until("trial_epoch");
    process::signal(&child, "INT");
    let output = child.wait_with_output().expect("an end");
    assert_eq!(output.status.code(), Some(130));
    let state = |t: &Value| t["state"].as_str().unwrap_or_default().to_string();
    let states: Vec<String> = trials(dir, "study").values().map(state).collect();
    let waiting = states.iter().filter(|s| *s == "WAITING").count();
    assert!(
        waiting > 0 && !states.contains(&"RUNNING".to_string()),
        "{states:?}"
    );
    let failed = states.iter().filter(|s| *s == "FAIL").count();
    assert_eq!(failed, waiting, "{states:?}");
    // The page tells no commands for a model that is not there.
    let page = fs::read_to_string(dir.join("study/tune.html")).expect("a page");
    let has_model = dir.join("study/model.safetensors").exists();
    assert_eq!(page.contains("gpu-train predict"), has_model);
    assert_eq!(dir.join("study/best.toml").exists(), has_model);
    // Those that were queued again are trained first, with the same values.
    let before = trials(dir, "study");
    let rest = long
        .replace("--epochs 60", "--epochs 1")
        .replace("--out study", "--out rest");
    succeed(dir, &words(&[&rest, resumed]));
    let after = trials(dir, "rest");
    assert_eq!(
        after.len(),
        8 + failed,
        "those that were broken off do not count"
    );
    for (number, trial) in before.iter().filter(|(_, t)| t["state"] == "WAITING") {
        assert_eq!(after[number]["state"], "COMPLETE");
        assert_eq!(after[number]["params"], trial["params"]);
    }
}
