//! What the options of a training do to the run that comes out, with the real program.

use std::f64::consts::PI;
use std::fs;
use std::path::Path;

use gpu_train::plan::Loss;
use serde_json::Value;

mod common;

use common::program::{
    assert_differ, assert_same, event, number, numbers, read, refuse, succeed, tensors, train,
    train_aloud, words,
};
use common::sources::{imbalanced, prices};

const MOONS: &str = "synthetic:moons:200";

fn model(dir: &Path, run: &str) -> std::path::PathBuf {
    dir.join(run).join("model.safetensors")
}

/// The lines of `metrics.jsonl`.
fn epochs(dir: &Path, run: &str) -> Vec<Value> {
    let text = read(dir.join(run).join("metrics.jsonl"));
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn key(lines: &[Value], key: &str) -> Vec<f64> {
    lines.iter().map(|line| number(line, key)).collect()
}

/// Runs that end with exit code 1, saved.
fn fail(dir: &Path, line: &str, words_of: &[&str]) {
    let line = format!("train {line} --device cpu --quiet");
    refuse(dir, &words(&line), 1, words_of);
}

#[test]
fn schedules_set_the_learning_rate_of_every_step() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    // 160 training samples in batches of 40: 4 steps in each of 6 epochs.
    let (n, base) = (24.0, 0.1);
    type Rate = fn(f64, f64) -> f64;
    // t: steps before this one, e: epochs before this one, both from 0.
    let cases: [(&str, Rate); 7] = [
        ("constant", |_, _| 1.0),
        ("step:2:0.5", |_, e| 0.5f64.powf((e / 2.0).floor())),
        ("exponential:0.9", |_, e| 0.9f64.powf(e)),
        ("polynomial:2", |t, _| (1.0 - t / 24.0).powi(2)),
        ("cosine", |t, _| (1.0 + (PI * t / 24.0).cos()) / 2.0),
        // A climb from 1/25 to 1 over 0.25 n - 1 steps, then down to 1/250,000.
        ("one-cycle:0.25", |t, _| {
            let between = |a: f64, b: f64, part: f64| b + (a - b) / 2.0 * (1.0 + (PI * part).cos());
            let top = 0.25 * 24.0 - 1.0;
            if t <= top {
                between(0.04, 1.0, t / top)
            } else {
                between(1.0, 0.04 / 1e4, (t - top) / (23.0 - top))
            }
        }),
        ("constant --warmup 25%", |t, _| ((t + 1.0) / 6.0).min(1.0)),
    ];
    for (ix, (schedule, rate)) in cases.iter().enumerate() {
        let out = format!("run{ix}");
        let line =
            format!("{MOONS} --opt sgd --lr {base} --batch 40 --epochs 6 --schedule {schedule}");
        train(dir, &line, &out);
        let seen = numbers(&read(dir.join(&out).join("steps.csv")), "lr");
        assert_eq!(seen.len(), n as usize, "{schedule}");
        for (t, lr) in seen.iter().enumerate() {
            let t = t as f64;
            let wanted = base * rate(t, (t / 4.0).floor());
            assert!(
                (lr - wanted).abs() <= 1e-6 * wanted,
                "{schedule}, step {t}: {lr}, not {wanted}"
            );
        }
    }
    // Plateau listens to the validation loss: replayed from the log.
    fs::write(dir.join("hard.csv"), imbalanced(200, 2, 3)).unwrap();
    let line = "hard.csv --opt sgd --lr 1 --batch 20 --epochs 25 --schedule plateau:1:0.5";
    train(dir, line, "plateau");
    let lines = epochs(dir, "plateau");
    let (mut lr, mut best, mut bad) = (1.0, f64::INFINITY, 0);
    for line in &lines {
        assert!(
            (number(line, "lr") - lr).abs() < 1e-5 * lr,
            "{line}, not {lr}"
        );
        let loss = number(line, "val_loss");
        if loss < best * (1.0 - 1e-4) {
            (best, bad) = (loss, 0);
        } else {
            bad += 1;
        }
        if bad > 1 {
            (lr, bad) = (lr * 0.5, 0);
        }
    }
    assert!(lr < 1.0, "the rate never fell: {lines:?}");
}

#[test]
fn every_loss_trains_classes_and_values() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    fs::write(dir.join("prices.csv"), prices(200, ',', 1)).unwrap();
    for loss in Loss::ALL {
        let name = loss.name();
        let line = format!("synthetic:blobs:200 --loss {name} --epochs 30 --lr 0.01");
        let result = train(dir, &line, name);
        assert!(number(&result, "test_accuracy") > 0.9, "{name}: {result}");
        let seen = event(&succeed(dir, &["eval", name, "--json"]), "eval");
        assert_eq!(seen["loss"], result["test_loss"], "{name}");
        let line = format!("prices.csv --loss {name} --epochs 40 --lr 0.01");
        if loss == Loss::CrossEntropy {
            let line = format!("train {line} --out none");
            refuse(
                dir,
                &words(&line),
                2,
                &["cross-entropy is for classes", "mse"],
            );
            continue;
        }
        let out = format!("{name}-values");
        let result = train(dir, &line, &out);
        assert!(number(&result, "test_r2") > 0.95, "{name}: {result}");
        let seen = event(&succeed(dir, &["eval", &out, "--json"]), "eval");
        assert_eq!(seen["loss"], result["test_loss"], "{name}");
    }
    let smoothed = train(
        dir,
        "synthetic:blobs:200 --label-smoothing 0.2 --epochs 2",
        "smoothed",
    );
    assert!(smoothed["test_accuracy"].is_number());
}

#[test]
fn class_weights_raise_the_recall_of_a_rare_class() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    fs::write(dir.join("rare.csv"), imbalanced(600, 12, 1)).unwrap();
    let text = succeed(dir, &words("data rare.csv"));
    assert!(text.contains("--class-weights balanced"), "{text}");
    let recall = |options: &str, out: &str| {
        train(
            dir,
            &format!("rare.csv --epochs 20 --lr 0.01 {options}"),
            out,
        );
        let seen = event(&succeed(dir, &["eval", out, "--json"]), "eval");
        let classes = seen["classes"].as_array().unwrap();
        let rare = classes.iter().find(|c| c["class"] == "rare").unwrap();
        number(rare, "recall")
    };
    let plain = recall("", "plain");
    let balanced = recall("--class-weights balanced", "balanced");
    assert!(balanced > plain + 0.3, "{plain} without, {balanced} with");
    // The weights by hand: n / (classes x count), with 40 and 440 in the training part.
    let by_hand = recall("--class-weights 6,0.5454545454545454", "by-hand");
    assert_eq!(by_hand, balanced);
}

#[test]
fn weights_to_start_from_and_layers_that_stay() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    train(
        dir,
        "synthetic:blobs:200 --model linear:16,relu,linear:8,relu --epochs 3",
        "first",
    );
    let before = tensors(&model(dir, "first"));
    // Everything taken; layer 0 frozen: its tensors do not move, the others do.
    let said = train_aloud(
        dir,
        "synthetic:blobs:200 --model linear:16,relu,linear:8,relu --epochs 2 --init first --freeze 0,2",
        "tuned",
    );
    for word in [
        "weights from first: 0.weight, 0.bias, 2.weight, 2.bias, 4.weight, 4.bias",
        "frozen: 0, 2",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(said.contains("(36 of them train)"), "{said}");
    let after = tensors(&model(dir, "tuned"));
    for (name, tensor) in &before {
        assert_eq!(after[name] == *tensor, !name.starts_with('4'), "{name}");
    }
    // Another head: what fits is taken and said, the rest is drawn and said.
    let line = "synthetic:spiral:200 --model linear:16,relu,linear:8,relu --epochs 1 --freeze 0 --init-partial --init first/model.safetensors";
    let said = train_aloud(dir, line, "partial");
    for word in [
        "0.weight, 0.bias, 2.weight, 2.bias",
        "drawn anew: 4.weight is [4, 8] there and [3, 8] here",
        "4.bias",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let partial = tensors(&model(dir, "partial"));
    assert_eq!(partial["0.weight"], before["0.weight"]);
    assert_ne!(partial["2.weight"], before["2.weight"]);
    // Without the head, and with more layers than the file has.
    let line = "synthetic:blobs:200 --model linear:16,relu --epochs 1 --init-partial --init first";
    let said = train_aloud(dir, line, "shorter");
    assert!(said.contains("not used: 4.bias, 4.weight"), "{said}");
    let line =
        "train synthetic:spiral:200 --model linear:16,relu,linear:8,relu --init first --out none";
    refuse(
        dir,
        &words(line),
        2,
        &["4.weight", "[4, 8]", "[3, 8]", "--init-partial"],
    );
    let line = "train synthetic:spiral:200 --init nowhere --out none";
    refuse(dir, &words(line), 2, &["nowhere"]);
    assert!(!dir.join("none").exists());
    // The file is what counts: the run folder and its model are the same start.
    train(
        dir,
        "synthetic:blobs:200 --model linear:16,relu,linear:8,relu --epochs 2 --init first/model.safetensors --freeze 0,2",
        "same",
    );
    let names = ["0.weight", "2.weight", "4.weight", "4.bias"];
    let same = tensors(&model(dir, "same"));
    names
        .iter()
        .for_each(|name| assert_eq!(same[*name], after[*name]));
}

#[test]
fn initialisers_draw_what_they_say() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    // One step at a rate that moves nothing that a bound could see.
    let weights = |name: &str| {
        let line = format!(
            "synthetic:blobs:100 --model linear:200,relu,linear:100,relu --epochs 1 --batch full --opt sgd --lr 1e-30 --initializer {name}"
        );
        train(dir, &line, name);
        tensors(&model(dir, name))["2.weight"].1.clone()
    };
    let (fan_in, fan_out) = (200.0f64, 100.0f64);
    for (name, std, bound) in [
        (
            "pytorch",
            (1.0 / (3.0 * fan_in)).sqrt(),
            Some((1.0 / fan_in).sqrt()),
        ),
        (
            "xavier-uniform",
            (2.0 / (fan_in + fan_out)).sqrt(),
            Some((6.0 / (fan_in + fan_out)).sqrt()),
        ),
        ("xavier-normal", (2.0 / (fan_in + fan_out)).sqrt(), None),
        (
            "he-uniform",
            (2.0 / fan_in).sqrt(),
            Some((6.0 / fan_in).sqrt()),
        ),
        ("he-normal", (2.0 / fan_in).sqrt(), None),
        ("zeros", 0.0, Some(0.0)),
    ] {
        let values = weights(name);
        let n = values.len() as f64;
        let seen = (values.iter().map(|&w| f64::from(w).powi(2)).sum::<f64>() / n).sqrt();
        // The deviation of 20,000 draws has a relative error of 1 / sqrt(2 n) = 0.5 % for normal ones.
        assert!(
            (seen - std).abs() <= 0.02 * std,
            "{name}: {seen}, not {std}"
        );
        let most = values
            .iter()
            .fold(0.0f64, |m, &w| m.max(f64::from(w).abs()));
        match bound {
            Some(bound) => assert!(
                most <= bound * 1.000_001 && most >= 0.99 * bound,
                "{name}: {most}"
            ),
            None => assert!(most > 3.0 * std, "{name}: {most}"),
        }
    }
}

#[test]
fn an_average_of_weights_is_what_is_saved_and_tested() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let base = format!("{MOONS} --model softmax --opt sgd --lr 0.5 --batch full --no-shuffle");
    // Two updates; the average starts from the first weights, as the ordinary weights do.
    let weights = |options: &str, out: &str| {
        let result = train(dir, &format!("{base} {options}"), out);
        let seen = event(&succeed(dir, &["eval", out, "--json"]), "eval");
        assert_eq!(
            seen["loss"], result["test_loss"],
            "{out}: the saved weights were tested"
        );
        tensors(&model(dir, out))["0.weight"].1.clone()
    };
    let w1 = weights("--epochs 1", "one");
    let w2 = weights("--epochs 2", "two");
    let a1 = weights("--epochs 1 --ema 0.75", "average-one");
    let a2 = weights("--epochs 2 --ema 0.75", "average-two");
    for ix in 0..w1.len() {
        // e2 = 0.75 e1 + 0.25 w2, whatever the first one is.
        let wanted = 0.75 * a1[ix] + 0.25 * w2[ix];
        assert!((a2[ix] - wanted).abs() < 1e-6, "{} is not {wanted}", a2[ix]);
    }
    assert_ne!(a2, w2);
}

#[test]
fn accumulated_batches_are_one_large_batch() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let base = "synthetic:moons:200 --epochs 3 --opt sgd --lr 0.1";
    train(dir, &format!("{base} --batch 160"), "large");
    train(dir, &format!("{base} --batch 40 --accumulate 4"), "summed");
    train(dir, &format!("{base} --batch 40"), "small");
    let [large, summed, small] = ["large", "summed", "small"].map(|run| tensors(&model(dir, run)));
    for (name, (_, values)) in &large {
        // 160 f32 terms summed in another order, three updates.
        let apart = |other: &[f32]| {
            let pairs = values.iter().zip(other);
            pairs.fold(0.0f32, |most, (a, b)| most.max((a - b).abs()))
        };
        assert!(
            apart(&summed[name].1) < 1e-5,
            "{name}: {}",
            apart(&summed[name].1)
        );
        assert!(apart(&small[name].1) > 1e-3, "{name}");
    }
    assert_eq!(
        numbers(&read(dir.join("summed/steps.csv")), "step").len(),
        12
    );
}

#[test]
fn max_norm_holds_every_unit_down() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let largest = |options: &str, out: &str| {
        train(
            dir,
            &format!("{MOONS} --epochs 10 --lr 0.05 {options}"),
            out,
        );
        let mut most = 0.0f64;
        for (name, (shape, values)) in tensors(&model(dir, out)) {
            if name.ends_with("weight") {
                for row in values.chunks(shape[1]) {
                    let norm = row
                        .iter()
                        .map(|&w| f64::from(w).powi(2))
                        .sum::<f64>()
                        .sqrt();
                    most = most.max(norm);
                }
            }
        }
        most
    };
    let (free, held) = (largest("", "free"), largest("--max-norm 0.5", "held"));
    assert!(free > 1.0, "{free}");
    assert!(held <= 0.5 * (1.0 + 1e-5) && held > 0.49, "{held}");
}

#[test]
fn regularisers_shrink_the_weights() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let norm = |options: &str, out: &str| {
        train(
            dir,
            &format!("{MOONS} --epochs 20 --lr 0.02 {options}"),
            out,
        );
        let weights = tensors(&model(dir, out))["0.weight"].1.clone();
        let square: f64 = weights.iter().map(|&w| f64::from(w).powi(2)).sum();
        let small = weights.iter().filter(|w| w.abs() < 0.02).count();
        (square.sqrt(), small as f64 / weights.len() as f64)
    };
    let (plain, few) = norm("", "plain");
    for options in ["--l1 0.01", "--l2 0.01", "--opt adamw --weight-decay 0.5"] {
        let (held, small) = norm(options, &options.trim_start_matches('-').replace(' ', ""));
        assert!(held < 0.8 * plain, "{options}: {held} against {plain}");
        if options.starts_with("--l1") {
            assert!(small > few + 0.3, "L1 thins out: {small} against {few}");
        }
    }
    let line = format!("{MOONS} --epochs 2 --lr 0.02 --model linear:32,relu,dropout:0.5");
    train(dir, &line, "dropped");
    train(dir, &format!("{line} --dropout 0"), "kept");
    train(dir, &line.replace("0.5", "0"), "without");
    assert_differ(&model(dir, "dropped"), &model(dir, "kept"));
    assert_eq!(
        tensors(&model(dir, "kept")),
        tensors(&model(dir, "without"))
    );
}

#[test]
fn early_stopping_takes_the_best_weights_back() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    // A rate that soon over-fits 60 samples of labels half drawn by chance.
    fs::write(dir.join("hard.csv"), imbalanced(150, 2, 3)).unwrap();
    let line = "hard.csv --epochs 200 --lr 0.01 --val-split 0.3 --early-stop 6";
    let said = train_aloud(dir, line, "run");
    let lines = epochs(dir, "run");
    let losses = key(&lines, "val_loss");
    assert!(lines.len() < 200, "it never stopped");
    let best = (0..losses.len())
        .min_by(|&a, &b| losses[a].total_cmp(&losses[b]))
        .unwrap();
    assert_eq!(lines.len(), best + 1 + 6, "{losses:?}");
    let why = format!(
        "stopped: the validation loss has not improved for 6 epochs; the best is {:.4}, of epoch {}",
        losses[best],
        best + 1
    );
    assert!(said.contains(&why), "{why}: {said}");
    assert!(
        said.contains(&format!("the weights are those of epoch {}", best + 1)),
        "{said}"
    );
    let result: Value = serde_json::from_str(&read(dir.join("run/result.json"))).unwrap();
    assert_eq!(
        (&result["stopped"], &result["epochs"]),
        (&"early-stop".into(), &lines.len().into())
    );
    // The same training cut at the best epoch has the same weights.
    let line = format!("hard.csv --epochs {} --lr 0.01 --val-split 0.3", best + 1);
    train(dir, &line, "cut");
    assert_eq!(tensors(&model(dir, "run")), tensors(&model(dir, "cut")));
    // A large --min-delta is never met: the first epoch is the only one that improves.
    let line = "hard.csv --epochs 200 --lr 0.01 --val-split 0.3 --early-stop 3 --min-delta 10";
    train(dir, line, "impatient");
    assert_eq!(epochs(dir, "impatient").len(), 4);
}

#[test]
fn a_run_stops_when_it_has_converged() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let line = "synthetic:linear:100 --model softmax --opt sgd --lr 0.1 --batch full --epochs 5000 --until-converged";
    let result = train(dir, line, "run");
    assert_eq!(result["stopped"], "converged");
    let losses = key(&epochs(dir, "run"), "train_loss");
    let n = losses.len();
    assert!((11..5000).contains(&n), "{n}");
    // The rule, told from the log: true at the end, at no epoch before.
    let least = |part: &[f64]| part.iter().copied().fold(f64::INFINITY, f64::min);
    let holds = |n: usize| {
        let (before, recent) = (least(&losses[..n - 10]), least(&losses[n - 10..n]));
        before - recent <= 1e-4 * before
    };
    assert!(holds(n) && (11..n).all(|n| !holds(n)), "{losses:?}");
    let looser = train(dir, &format!("{line} --tol 0.01"), "loose");
    assert!(number(&looser, "epochs") < n as f64, "{looser}");
    let said = train_aloud(dir, line, "said");
    assert!(
        said.contains("stopped: the training loss has converged"),
        "{said}"
    );
}

#[test]
fn time_and_target_end_a_run() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let result = train(dir, &format!("{MOONS} --epochs 1000000 --time 1s"), "timed");
    assert_eq!(result["stopped"], "time");
    let seconds = number(&result, "train_seconds");
    assert!((1.0..5.0).contains(&seconds), "{seconds}");
    let config = read(dir.join("timed/config.toml"));
    assert!(config.contains("time = \"1s\""), "{config}");

    let line = format!("{MOONS} --epochs 200 --lr 0.003 --val-split 0.4 --target-accuracy 0.95");
    let result = train(dir, &line, "reached");
    assert_eq!(result["stopped"], "target-accuracy");
    let accuracies = key(&epochs(dir, "reached"), "val_accuracy");
    let (last, before) = accuracies.split_last().unwrap();
    assert!(
        *last >= 0.95 && before.iter().all(|&a| a < 0.95),
        "{accuracies:?}"
    );

    let line = format!("{MOONS} --epochs 2 --lr 1e-6 --target-accuracy 0.99 --out missed");
    fail(dir, &line, &["0.99 was not reached", "missed"]);
    for file in [
        "model.safetensors",
        "result.json",
        "report.html",
        "curves.png",
    ] {
        assert!(dir.join("missed").join(file).is_file(), "{file}");
    }
}

#[test]
fn event_files_for_tensorboard() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let line = format!("{MOONS} --epochs 3 --val-split 0.2 --tensorboard");
    train(dir, &line, "run");
    let folder = dir.join("run/tensorboard");
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap()).collect();
    assert_eq!(files.len(), 1);
    let name = files[0].file_name().into_string().unwrap();
    assert!(name.starts_with("events.out.tfevents."), "{name}");
    let bytes = fs::read(files[0].path()).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    for tag in [
        "loss/train",
        "loss/val",
        "accuracy/train",
        "loss/test",
        "curves",
    ] {
        assert!(text.contains(tag), "{tag} is not in the event file");
    }
}

#[test]
fn streamed_data_give_the_identical_model() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    for device in ["cpu", "gpu"] {
        let line = |out: &str, more: &str| {
            let line = format!(
                "train synthetic:spiral:3000 --epochs 3 --batch 64 --val-split 0.1 --device {device} --json --no-compare --out {out} {more}"
            );
            succeed(dir, &words(&line))
        };
        let whole = format!("{device}-whole");
        let text = line(&whole, "");
        assert!(
            event(&text, "start")["data"]
                .as_str()
                .unwrap()
                .contains("resident"),
            "{text}"
        );
        // A window of a few batches, and one smaller than a batch's samples would like.
        for size in ["8KB", "2000"] {
            let out = format!("{device}-{size}");
            let text = line(&out, &format!("--data-memory {size}"));
            let said = event(&text, "start")["data"].clone();
            assert!(said.as_str().unwrap().contains("streamed"), "{said}");
            assert_same(&model(dir, &whole), &model(dir, &out));
            let result = event(&text, "result");
            let seen = event(
                &succeed(dir, &["eval", &out, "--device", device, "--json"]),
                "eval",
            );
            assert_eq!(seen["loss"], result["test_loss"], "{device} {size}");
        }
    }
    // One step's samples are the least that a window holds, and it says so.
    let line =
        "train mnist --limit 1000 --epochs 1 --data-memory 1 --device cpu --json --out least";
    let said = event(&succeed(dir, &words(line)), "start")["data"].to_string();
    assert!(
        said.contains("streamed") && !said.contains("window of 0.0 MB"),
        "{said}"
    );
}

#[test]
fn layers_and_presets_train() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let models = [
        "deep",
        "mlp-bn",
        "mlp-dropout",
        "residual",
        "linear:16,layernorm,gelu",
        "linear:16,tanh,residual(linear:16,sigmoid,dropout:0.1,linear:16),leaky-relu",
    ];
    for (ix, layers) in models.iter().enumerate() {
        let out = format!("run{ix}");
        let result = train(
            dir,
            &format!("{MOONS} --epochs 40 --lr 0.01 --model {layers}"),
            &out,
        );
        assert!(
            number(&result, "test_accuracy") > 0.94,
            "{layers}: {result}"
        );
        let seen = event(&succeed(dir, &["eval", &out, "--json"]), "eval");
        assert_eq!(seen["loss"], result["test_loss"], "{layers}");
    }
    let said = train_aloud(dir, &format!("{MOONS} --epochs 1 --model mlp-bn"), "said");
    for word in ["batchnorm", "linear:128", "parameters", "MB on the device"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[test]
fn normalisation_is_fitted_on_the_training_part_and_kept() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    fs::write(dir.join("prices.csv"), prices(200, ',', 1)).unwrap();
    let mut losses = Vec::new();
    for how in ["standard", "0-1", "none"] {
        let line = format!("prices.csv --normalize {how} --epochs 60 --lr 0.02");
        let result = train(dir, &line, how);
        assert!(number(&result, "test_r2") > 0.95, "{how}: {result}");
        let seen = event(&succeed(dir, &["eval", how, "--json"]), "eval");
        assert_eq!(seen["loss"], result["test_loss"], "{how}");
        losses.push(number(&result, "test_loss"));
    }
    assert!(
        losses[0] != losses[1] && losses[1] != losses[2],
        "{losses:?}"
    );
    // Another test part, of other ranges, moves no weight.
    fs::write(dir.join("near.csv"), prices(30, ',', 2)).unwrap();
    let far = prices(30, ',', 2)
        .replace("big", "small")
        .replace("\n-", "\n-9");
    fs::write(dir.join("far.csv"), far).unwrap();
    for how in ["standard", "0-1"] {
        let [near, far] = ["near", "far"].map(|test| {
            let out = format!("{how}-{test}");
            let line = format!("prices.csv --test {test}.csv --normalize {how} --epochs 3");
            let result = train(dir, &line, &out);
            (tensors(&model(dir, &out)), number(&result, "test_loss"))
        });
        assert_eq!(near.0, far.0, "{how}");
        assert!(near.1 != far.1, "{how}");
    }
}
