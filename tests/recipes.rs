//! Every embedded recipe reaches the result that its comment promises.

use std::fs;
use std::path::{Path, PathBuf};

use gpu_train::data::synthetic::{LINEAR_BIAS, LINEAR_NOISE, LINEAR_WEIGHTS};
use serde_json::Value;

mod common;

use common::program::{event, events, is_picture, number, read, succeed, tensors, words};

fn recipe_text(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/recipes");
    read(folder.join(format!("{name}.toml")))
}

/// The line `# expected: test WHAT LOW to HIGH`.
struct Expected {
    key: String,
    low: f64,
    high: f64,
}

impl Expected {
    fn of(name: &str) -> Expected {
        let text = recipe_text(name);
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("# expected: "));
        let line = line.unwrap_or_else(|| panic!("{name}: no expected result"));
        match words(line)[..] {
            ["test", what, low, "to", high] => Expected {
                key: format!("test_{what}"),
                low: low.parse().unwrap(),
                high: high.parse().unwrap(),
            },
            _ => panic!("{name}: {line}"),
        }
    }
}

/// A recipe's run: its folder's parent, all that it said as events, and its result.
struct Ran {
    temp: tempfile::TempDir,
    text: String,
    result: Value,
}

impl Ran {
    fn folder(&self) -> PathBuf {
        self.temp.path().join(self.result["run"].as_str().unwrap())
    }

    fn epochs(&self) -> Vec<Value> {
        events(&self.text, "epoch")
    }
}

/// Runs a recipe and holds its result to what its comment says.
fn run(name: &str) -> Ran {
    let temp = tempfile::tempdir().unwrap();
    let text = succeed(
        temp.path(),
        &["run", name, "--device", "cpu", "--json", "--quiet"],
    );
    let result = event(&text, "result");
    let expected = Expected::of(name);
    let seen = number(&result, &expected.key);
    let (low, high) = (expected.low, expected.high);
    assert!(
        (low..=high).contains(&seen),
        "{name}: {seen} is not {low} to {high}"
    );
    let ran = Ran { temp, text, result };
    for file in [
        "model.safetensors",
        "curves.png",
        "report.html",
        "config.toml",
    ] {
        assert!(ran.folder().join(file).is_file(), "{name}: {file}");
    }
    ran
}

#[test]
fn the_list_is_whole() {
    let temp = tempfile::tempdir().unwrap();
    let text = succeed(temp.path(), &["recipes", "--json"]);
    let listed = events(&text, "recipe");
    let mut names: Vec<&str> = listed.iter().map(|r| r["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/recipes");
    let mut files: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    files.sort();
    assert_eq!(
        names, files,
        "a recipe that is not embedded, or the other way round"
    );
    let said = succeed(temp.path(), &["recipes"]);
    for recipe in &listed {
        let (name, about) = (
            recipe["name"].as_str().unwrap(),
            recipe["about"].as_str().unwrap(),
        );
        assert!(about.len() > 10, "{name} says nothing of itself");
        let line = said.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(line.ends_with(about), "{line}");
        assert!(Expected::of(name).low < Expected::of(name).high);
    }
    // The tests below run every one of them.
    assert_eq!(files.len(), 8);
}

#[test]
fn linear_regression_recovers_the_known_weights() {
    let ran = run("linear-regression");
    let model = tensors(&ran.folder().join("model.safetensors"));
    let (weights, bias) = (&model["0.weight"].1, model["0.bias"].1[0]);
    // Least squares over n samples of standard normal inputs: the standard error of every weight
    // and of the bias is noise / sqrt(n). Four of them hold all but one in 16,000 estimates.
    // Gradient descent from the first weights has come closer than that to least squares: the
    // slowest direction shrinks by (1 - 2 lr lambda) a step, lambda >= 0.8 being the least
    // eigenvalue of the inputs' second moments, so by (1 - 0.016)^1000 < 1e-6 in all.
    let n = 800.0f32;
    let bound = 4.0 * LINEAR_NOISE / n.sqrt() + 1e-4;
    for (seen, known) in weights.iter().zip(LINEAR_WEIGHTS) {
        assert!(
            (seen - known).abs() < bound,
            "{seen} is not {known} +- {bound}"
        );
    }
    assert!(
        (bias - LINEAR_BIAS).abs() < bound,
        "{bias} is not {LINEAR_BIAS}"
    );
    // What is left is the noise: its square, with a standard error of sqrt(2 / 200) of it.
    let mse = number(&ran.result, "test_mse");
    let noise = f64::from(LINEAR_NOISE).powi(2);
    assert!(
        (mse - noise).abs() < 4.0 * 0.1 * noise,
        "{mse} is not {noise}"
    );
    // Every step sees all samples, and every hundredth is said.
    let log = read(ran.folder().join("steps.csv"));
    assert_eq!(log.lines().count(), 1 + 1000);
    let said = succeed(
        ran.temp.path(),
        &words("run linear-regression --device cpu --out said"),
    );
    let lines: Vec<&str> = said
        .lines()
        .filter(|l| l.trim_start().starts_with("epoch "))
        .collect();
    assert_eq!(lines.len(), 10, "{said}");
    for (ix, line) in lines.iter().enumerate() {
        assert!(line.contains(&format!("{}", (ix + 1) * 100)), "{line}");
    }
}

#[test]
fn tiny_mlp() {
    let ran = run("tiny-mlp");
    assert_eq!(ran.epochs().len(), 10);
    // 784-10-10 has 785 x 10 + 11 x 10 weights and biases.
    assert_eq!(event(&ran.text, "start")["parameters"], 7960);
}

#[test]
fn mlp_64_and_dropout() {
    assert_eq!(run("mlp-64").epochs().len(), 5);
    let ran = run("mlp-dropout");
    assert_eq!(ran.epochs().len(), 5);
    assert_eq!(
        event(&ran.text, "start")["config"]["model"],
        "linear:128,relu,dropout:0.2"
    );
}

#[test]
fn mlp_validated() {
    let ran = run("mlp-validated");
    let epochs = ran.epochs();
    assert_eq!(epochs.len(), 10);
    for epoch in &epochs {
        assert!(number(epoch, "val_accuracy") > 0.9, "{epoch}");
    }
}

#[test]
fn optimisers_side_by_side() {
    let ran = run("optimisers");
    let members = ran.result["members"].as_array().unwrap();
    let names: Vec<&str> = members
        .iter()
        .map(|m| m["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["sgd", "momentum", "rmsprop", "adam"]);
    // Plain gradient descent at its usual rate is behind the other three.
    let accuracy = |ix: usize| number(&members[ix], "test_accuracy");
    for ix in 1..4 {
        assert!(accuracy(ix) > accuracy(0), "{members:?}");
    }
    let folder = ran.folder();
    is_picture(&folder.join("members.png"), 800);
    for member in 0..4 {
        let path = folder.join(format!("members/{member:03}.safetensors"));
        assert_eq!(tensors(&path)["0.weight"].0, [64, 784]);
    }
    let log = read(folder.join("steps.csv"));
    assert!(
        log.starts_with("step,epoch,lr,loss,accuracy,member\n"),
        "{}",
        &log[..60]
    );
    assert_eq!(ran.epochs().len(), 4 * 5);
}

#[test]
fn over_fitting_shown_and_cured() {
    let ran = run("over-fitting");
    let epochs = ran.epochs();
    let members = ran.result["members"].as_array().unwrap();
    // Validation losses of a member, epoch by epoch, and the last training loss.
    let curve = |ix: usize| -> (Vec<f64>, f64) {
        let own: Vec<&Value> = epochs.iter().filter(|e| e["member"] == ix).collect();
        let val = own.iter().map(|e| number(e, "val_loss")).collect();
        (val, number(own.last().unwrap(), "train_loss"))
    };
    let last = |ix: usize| *curve(ix).0.last().unwrap();
    let names: Vec<&str> = members
        .iter()
        .map(|m| m["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["nothing", "l1", "l2", "dropout", "early stopping"]);
    let (val, train) = curve(0);
    let least = val.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(train < 0.01, "training loss {train}");
    assert!(last(0) > 1.1 * least, "{} against {least}", last(0));
    for (ix, name) in names.iter().enumerate().skip(1) {
        let (cured, sick) = (last(ix), last(0));
        assert!(cured < 0.95 * sick, "{name}: {cured} against {sick}");
    }
    assert_eq!(members[4]["stopped"], "early-stop");
    assert!(
        curve(4).0.len() < val.len(),
        "early stopping stopped no earlier"
    );
    is_picture(&ran.folder().join("members.png"), 800);
    assert!(read(ran.folder().join("report.html")).contains("early stopping"));
}

#[test]
fn mnist_speedrun() {
    let ran = run("mnist-speedrun");
    let epochs = ran.epochs();
    assert_eq!(ran.result["stopped"], "target-accuracy", "{}", ran.result);
    let (last, before) = epochs.split_last().unwrap();
    assert!(number(last, "val_accuracy") >= 0.98, "{last}");
    for epoch in before {
        assert!(number(epoch, "val_accuracy") < 0.98, "{epoch}");
    }
}
