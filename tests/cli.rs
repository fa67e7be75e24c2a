//! The binary as a person uses it: help, every bad use, a short real training, its results used.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

mod common;

use common::program::{command, events, gpu_train, refuse, succeed};

#[test]
fn help_names_every_command_and_option() {
    let dir = tempfile::tempdir().unwrap();
    let help = succeed(dir.path(), &["--help"]);
    for word in [
        "mnist",
        "eval",
        "predict",
        "bench",
        "verify",
        "devices",
        "Exit codes",
    ] {
        assert!(help.contains(word), "{word} is missing:\n{help}");
    }
    let help = succeed(dir.path(), &["mnist", "--help"]);
    for option in [
        "--opt",
        "--lr",
        "--epochs",
        "--batch",
        "--model",
        "--loss",
        "--l1",
        "--l2",
        "--weight-decay",
        "--label-smoothing",
        "--clip-norm",
        "--seed",
        "--momentum",
        "--beta1",
        "--beta2",
        "--eps",
        "--alpha",
        "--device",
        "--compare",
        "--no-compare",
        "--out",
        "--no-shuffle",
        "--config",
        "--json",
        "--quiet",
        "--dump-plan",
    ] {
        assert!(help.contains(option), "{option} is missing:\n{help}");
    }
}

#[test]
fn bad_uses_are_refused_in_two_lines() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    fs::write(dir.join("text.txt"), "no model, no picture").unwrap();
    fs::write(dir.join("bad.toml"), "opt = \"adam\"\nlearning-rate = 1\n").unwrap();
    fs::create_dir(dir.join("full")).unwrap();
    fs::write(dir.join("full/file"), "").unwrap();
    let cases: &[(&[&str], &[&str])] = &[
        (&["mnsit"], &["mnist"]),
        (&["mnist", "--optt", "adam"], &["--optt", "--opt"]),
        (&["mnist", "--opt", "adma"], &["adma", "did you mean adam"]),
        (&["mnist", "--loss", "msee"], &["did you mean mse"]),
        (&["mnist", "--lr", "0"], &["--lr 0", "positive"]),
        (&["mnist", "--lr", "-0.1"], &["--lr -0.1"]),
        (&["mnist", "--lr", "nan"], &["--lr NaN"]),
        (&["mnist", "--lr", "inf"], &["--lr inf"]),
        (&["mnist", "--lr", "fast"], &["fast", "--lr"]),
        (&["mnist", "--batch", "0"], &["--batch 0", "60000"]),
        (&["mnist", "--batch", "60001"], &["--batch 60001", "60000"]),
        (&["mnist", "--epochs", "0"], &["--epochs 0"]),
        (&["mnist", "--alpha", "0.9"], &["belongs to rmsprop"]),
        (
            &["mnist", "--model", "linear:9000000"],
            &["linear:9000000", "1073741823"],
        ),
        (
            &["mnist", "--model", "linear:60000", "--device", "gpu"],
            &["parameters", "allows", "MB a buffer"],
        ),
        (&["mnist", "--model", "linear:8,rleu"], &["layer 1", "relu"]),
        (&["mnist", "--device", "voodoo"], &["voodoo", "0: "]),
        (&["mnist", "--device", ""], &["--device is empty"]),
        (&["mnist", "--model", "linear:8,"], &["layer 1", "comma"]),
        (&["mnist", "--device", "99"], &["99", "0: "]),
        (&["mnist", "--out", "text.txt"], &["text.txt"]),
        (&["mnist", "--out", "full"], &["full", "not empty"]),
        (&["mnist", "--out", "/proc/nowhere"], &["/proc/nowhere"]),
        (&["mnist", "--config", "none.toml"], &["none.toml"]),
        (
            &["mnist", "--config", "bad.toml"],
            &["bad.toml line 2", "learning-rate"],
        ),
        (&["eval", "nowhere"], &["nowhere"]),
        (&["eval", "text.txt"], &["text.txt", "safetensors"]),
        (
            &["predict", "text.txt", "mnist:1"],
            &["text.txt", "safetensors"],
        ),
    ];
    for (args, words) in cases {
        refuse(dir, args, 2, words);
    }
    // Nothing half-written was left behind.
    let left: Vec<String> = walk(dir);
    assert_eq!(left.len(), 3, "{left:?}");
}

fn walk(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().unwrap() != "full" {
            names.extend(walk(&path));
        } else {
            names.push(path.display().to_string());
        }
    }
    names
}

#[test]
fn a_short_training_on_both_paths_and_what_comes_of_it() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    // The first run compares, on the CPU path; the second insists on the adapter.
    let args = [
        "mnist", "--opt", "adam", "--epochs", "1", "--device", "cpu", "--json",
    ];
    let text = succeed(dir, &args);
    let result = &events(&text, "result")[0];
    assert!(result["test_accuracy"].as_f64().unwrap() > 0.92, "{result}");
    assert_eq!(result["run"], "runs/mnist-1");
    assert_eq!(events(&text, "start").len(), 1);
    let epoch = &events(&text, "epoch")[0];
    for key in [
        "train_loss",
        "train_accuracy",
        "seconds",
        "samples_per_second",
    ] {
        assert!(epoch[key].is_number(), "{key}: {epoch}");
    }
    let compare = &events(&text, "compare")[0];
    assert!(compare["cpu_ms_per_step"].as_f64().unwrap() > 0.0);
    assert!(compare["gpu_ms_per_step"].as_f64().unwrap() > 0.0);
    // f32 on both sides, Adam from zero moments: the two drift apart, but not far.
    assert!(
        compare["max_relative_difference"].as_f64().unwrap() < 1e-3,
        "{compare}"
    );

    let args = [
        "mnist",
        "--epochs",
        "1",
        "--device",
        "gpu",
        "--no-compare",
        "--out",
        "gpu",
    ];
    let text = succeed(dir, &args);
    assert!(text.contains("test accuracy 9"), "{text}");

    for file in [
        "config.toml",
        "model.safetensors",
        "metrics.jsonl",
        "steps.csv",
        "curves.png",
        "checkpoint",
    ] {
        assert!(dir.join("gpu").join(file).is_file(), "{file} is missing");
    }
    let steps = fs::read_to_string(dir.join("gpu/steps.csv")).unwrap();
    assert!(steps.starts_with("step,epoch,lr,loss,accuracy\n1,1,0.001,"));
    assert_eq!(steps.lines().count(), 1 + 469);
    let metrics = fs::read_to_string(dir.join("gpu/metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().count(), 1);
    let picture = image::open(dir.join("gpu/curves.png")).unwrap();
    assert!(picture.width() > 800);

    // The same seed on the same adapter gives the same file; its own configuration re-runs it.
    let config = [
        "mnist",
        "--config",
        "gpu/config.toml",
        "--no-compare",
        "--quiet",
        "--out",
        "again",
    ];
    let text = succeed(dir, &config);
    assert_eq!(text.lines().count(), 1, "{text}");
    assert_eq!(
        fs::read(dir.join("gpu/model.safetensors")).unwrap(),
        fs::read(dir.join("again/model.safetensors")).unwrap()
    );
    assert_ne!(
        fs::read(dir.join("gpu/model.safetensors")).unwrap(),
        fs::read(dir.join("runs/mnist-1/model.safetensors")).unwrap(),
        "two arithmetics, equal to the last bit?"
    );

    evaluate_and_predict(dir);
    broken_models(dir);
}

fn evaluate_and_predict(dir: &Path) {
    let text = succeed(dir, &["eval", "gpu", "--json"]);
    let on_cpu = &events(&text, "eval")[0];
    let text = succeed(
        dir,
        &[
            "eval",
            "gpu/model.safetensors",
            "mnist",
            "--device",
            "gpu",
            "--json",
        ],
    );
    let on_gpu = &events(&text, "eval")[0];
    let accuracy = on_cpu["accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.92);
    // The arithmetics may part ways on a sample or two whose outputs all but tie.
    assert!((accuracy - on_gpu["accuracy"].as_f64().unwrap()).abs() < 5e-4);
    let counts: u64 = on_cpu["confusion"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|row| row.as_array().unwrap())
        .map(|n| n.as_u64().unwrap())
        .sum();
    assert_eq!(counts, 10_000);

    // A test image by number, and the same image as a large, dark-on-light, coloured PNG.
    let text = succeed(dir, &["predict", "gpu", "mnist:0", "--json"]);
    let seen = &events(&text, "prediction")[0];
    assert_eq!((&seen["class"], &seen["label"]), (&"7".into(), &"7".into()));
    let source = gpu_train::data::mnist::load().unwrap();
    let digit = image::RgbImage::from_fn(280, 280, |x, y| {
        let ink = source.bytes(60_000).unwrap()[(y / 10 * 28 + x / 10) as usize];
        image::Rgb([255 - ink, 255 - ink, 250 - ink.min(250)])
    });
    digit.save(dir.join("seven, large.png")).unwrap();
    let args = [
        "predict",
        "gpu",
        "seven, large.png",
        "mnist:1",
        "--out",
        "preds.csv",
    ];
    let text = succeed(dir, &args);
    assert!(text.contains("inverted"), "{text}");
    let csv = fs::read_to_string(dir.join("preds.csv")).unwrap();
    let rows: Vec<&str> = csv.lines().collect();
    assert!(rows[0].starts_with("file,class,0,1,2"), "{csv}");
    assert!(rows[1].starts_with("\"seven, large.png\",7,"), "{csv}");
    assert!(rows[2].starts_with("mnist:1,2,"), "{csv}");

    fs::write(dir.join("text.txt"), "no picture").unwrap();
    refuse(
        dir,
        &["predict", "gpu", "text.txt"],
        2,
        &["text.txt", "not an image"],
    );
    refuse(dir, &["predict", "gpu", "none.png"], 2, &["none.png"]);
    // A bad file among good ones does not take their predictions away, nor does a table a picture.
    let output = gpu_train(dir, &["predict", "gpu", "none.png", "mnist:1"]);
    assert_eq!(output.status.code(), Some(2));
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.starts_with("mnist:1: 2 "), "{stdout}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("none.png"));
    let args = ["predict", "gpu", "mnist:1", "--out", "seven, large.png"];
    refuse(dir, &args, 2, &["seven, large.png", "left as it is"]);
    assert!(image::open(dir.join("seven, large.png")).is_ok());
    // With --json the reason is an event too.
    let output = gpu_train(dir, &["eval", "nowhere", "--json"]);
    let error = &events(&String::from_utf8_lossy(&output.stdout), "error")[0];
    assert_eq!(error["exit_code"], 2);
    assert!(error["message"].as_str().unwrap().contains("nowhere"));
    refuse(dir, &["predict", "gpu", "mnist:10000"], 2, &["9999"]);
    refuse(dir, &["eval", "gpu", "cifar"], 2, &["cifar"]);
}

/// A model file that is cut, or whose tensors belong to another architecture.
fn broken_models(dir: &Path) {
    let whole = fs::read(dir.join("gpu/model.safetensors")).unwrap();
    for cut in [0, 7, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(dir.join("cut.safetensors"), &whole[..cut]).unwrap();
        refuse(
            dir,
            &["eval", "cut.safetensors"],
            2,
            &["cut.safetensors", "truncated"],
        );
    }
    // The same length of header, another width: the tensors no longer fit.
    let at = whole
        .windows(10)
        .position(|bytes| bytes == b"linear:128")
        .expect("the architecture is in the header");
    let mut other = whole.clone();
    other[at..at + 10].copy_from_slice(b"linear:129");
    fs::write(dir.join("other.safetensors"), &other).unwrap();
    refuse(
        dir,
        &["eval", "other.safetensors"],
        2,
        &["0.weight", "[128, 784]", "[129, 784]"],
    );
}

#[test]
fn a_diverging_run_stops_with_exit_code_1() {
    let temp = tempfile::tempdir().unwrap();
    for device in ["cpu", "gpu"] {
        let args = [
            "mnist", "--opt", "sgd", "--lr", "1e20", "--device", device, "--quiet", "--out", device,
        ];
        refuse(temp.path(), &args, 1, &["step 2", "1e20", "smaller --lr"]);
        let model = temp.path().join(device).join("model.safetensors");
        assert!(!model.exists(), "a diverged run leaves no model");
        // The steps up to the one that failed are in the log.
        let log = fs::read_to_string(temp.path().join(device).join("steps.csv")).unwrap();
        assert_eq!(log.lines().count(), 2, "{log}");
    }
    // One step an epoch: its loss is from before the update that ruins the weights.
    let args = [
        "mnist", "--opt", "sgd", "--lr", "1e38", "--batch", "60000", "--epochs", "1", "--device",
        "cpu", "--quiet", "--out", "last",
    ];
    refuse(temp.path(), &args, 1, &["diverged"]);
    let model = temp.path().join("last/model.safetensors");
    assert!(!model.exists(), "a diverged run leaves no model");
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_exits_130() {
    let temp = tempfile::tempdir().unwrap();
    for device in ["cpu", "gpu"] {
        let child = command(temp.path())
            .args([
                "mnist", "--epochs", "500", "--device", device, "--out", device,
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Not a limit but a condition: the run has begun once its step log has rows.
        let log = temp.path().join(device).join("steps.csv");
        while fs::metadata(&log).map_or(0, |m| m.len()) < 100 {
            std::thread::sleep(Duration::from_millis(20));
        }
        let id = child.id().to_string();
        assert!(
            // The shell's own `kill`: a bare system has no program of that name.
            Command::new("sh")
                .args(["-c", "kill -INT \"$1\"", "sh", &id])
                .status()
                .unwrap()
                .success()
        );
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{stderr}");
        assert!(stderr.contains("interrupted"), "{stderr}");
        for file in ["checkpoint", "model.safetensors", "curves.png"] {
            assert!(temp.path().join(device).join(file).is_file(), "{file}");
        }
        assert!(succeed(temp.path(), &["eval", device]).contains("accuracy"));
    }
}

/// A reader that goes away, such as `head`, does not end a training.
#[cfg(unix)]
#[test]
fn a_closed_pipe_does_not_end_a_training() {
    let temp = tempfile::tempdir().unwrap();
    let mut child = command(temp.path())
        .args([
            "mnist",
            "--epochs",
            "1",
            "--device",
            "cpu",
            "--no-compare",
            "--out",
            "run",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(temp.path().join("run/model.safetensors").is_file());
}

/// Without any adapter: `auto` trains on the CPU and says why, `gpu` is an error.
#[cfg(target_os = "linux")]
#[test]
fn without_an_adapter() {
    let temp = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        command(temp.path())
            .args(args)
            .env("VK_DRIVER_FILES", "/nonexistent")
            .env("VK_ICD_FILENAMES", "/nonexistent")
            .env("__EGL_VENDOR_LIBRARY_FILENAMES", "/nonexistent")
            .env("LIBGL_DRIVERS_PATH", "/nonexistent")
            .env("EGL_PLATFORM", "none")
            .output()
            .unwrap()
    };
    let output = run(&["mnist", "--epochs", "1"]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(
        stdout.contains("training on cpu: no GPU adapter was found"),
        "{stdout}"
    );
    assert!(stdout.contains("mesa-vulkan-drivers"), "{stdout}");
    let output = run(&["mnist", "--device", "gpu"]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("mesa-vulkan-drivers"), "{stderr}");
}
