//! What the cache folder keeps between runs, and that nothing depends on it.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::program::{command, event, refuse, words};
use common::{require_adapter, require_device};
use gpu_train::cache::{Cache, fnv1a};
use gpu_train::executor::Executor;
use gpu_train::gpu::choice::{Choices, complete};
use gpu_train::gpu::{Device, Gpu};
use gpu_train::models::Sequential;
use gpu_train::plan::{PassKind, Plan, Spec};

/// 12-16-3 at batch 8.
fn plan(members: usize) -> Arc<Plan> {
    let spec = Spec {
        members,
        inputs: 12,
        classes: 3,
        n_samples: 16,
        n_norm: 1,
        norm_span: 12,
        train_batch: 8,
        train_capacity: 2,
        eval_batch: 8,
        eval_capacity: 2,
        ..Spec::default()
    };
    let model = Sequential::parse("linear:16,relu", 3).expect("a model");
    Arc::new(Plan::record(&spec, |rec, x| model.forward(rec, x)))
}

/// The files of a folder whose names begin so.
fn files(folder: &Path, kind: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("an entry").path()).collect();
    let starts = |p: &PathBuf| p.file_name().unwrap().to_string_lossy().starts_with(kind);
    paths.retain(starts);
    paths.sort();
    paths
}

/// Both passes run on a device whose pipelines an earlier run has left, has left damaged, and has not
/// left, with the same outcome; the file is written where it can be of use.
#[test]
fn pipelines_are_kept_between_runs() {
    let adapter = require_adapter();
    let temp = tempfile::tempdir().expect("a folder");
    let run = |cache: &Cache| {
        let device = Device::open_cached(&adapter, cache).expect("the adapter opens");
        let mut gpu = Gpu::new(plan(1), device.clone()).expect("pipelines");
        let mut sums = Vec::new();
        for pass in [PassKind::Train, PassKind::Eval] {
            gpu.submit(pass, 0..2).expect("steps");
            sums.push(gpu.collect().expect("metrics").expect("a range").sums);
        }
        device.check().expect("no error");
        sums
    };
    let expected = run(&Cache::none());
    let cache = Cache::at(temp.path());
    assert_eq!(run(&cache), expected);
    let kept = files(temp.path(), "pipelines");
    let can = adapter.features().contains(wgpu::Features::PIPELINE_CACHE);
    assert_eq!(kept.len(), usize::from(can), "{kept:?}");
    assert_eq!(run(&cache), expected);
    for path in kept {
        let whole = fs::read(&path).expect("it was listed");
        fs::write(&path, &whole[..whole.len() - 5]).expect("it is ours");
        assert_eq!(run(&cache), expected);
        assert_eq!(fs::read(&path).expect("a file"), whole, "written anew");
    }
}

/// Runs `gpu-train LINE` in `dir` with the cache folder `dir/cache`; its events.
fn run(dir: &Path, line: &str) -> String {
    let mut command = command(dir);
    command.env("GPU_TRAIN_CACHE", dir.join("cache"));
    let output = command.args(words(line)).output().expect("it starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {stderr}");
    String::from_utf8(output.stdout).expect("text")
}

/// What `auto` has measured is not measured again, but where it is asked for or the plan is another.
#[test]
fn a_verdict_of_auto_is_kept() {
    require_adapter();
    let temp = tempfile::tempdir().expect("a folder");
    let line = |out: &str| format!("train synthetic:moons --epochs 1 --json --out {out}");
    let auto = |line: &str| event(&run(temp.path(), line), "auto");
    let first = auto(&line("a"));
    assert_eq!(first["known"], false);
    let mut second = auto(&line("b"));
    assert_eq!(second["known"], true);
    second["known"] = false.into();
    assert_eq!(first, second);
    assert_eq!(auto(&(line("c") + " --remeasure"))["known"], false);
    assert_eq!(auto(&(line("d") + " --batch 64"))["known"], false);
    let said = run(temp.path(), "train synthetic:moons --epochs 1 --out e");
    let when = format!(
        "(measured {}; `--remeasure`",
        first["measured"].as_str().expect("a date")
    );
    assert!(said.contains(&when), "{said}");
    refuse(
        temp.path(),
        &words("train synthetic:moons --device cpu --remeasure"),
        2,
        &["--remeasure belongs to --device auto"],
    );
}

/// Puts another content into a cache file.
fn forge(path: &Path, change: impl Fn(&str) -> String) {
    let mut bytes = fs::read(path).expect("it was listed");
    let start = bytes
        .windows(2)
        .position(|two| two == b"{\"")
        .expect("JSON");
    let content = String::from_utf8(bytes.split_off(start)).expect("text");
    bytes.truncate(start - 8);
    let content = change(&content);
    bytes.extend(fnv1a(content.as_bytes()).to_le_bytes());
    bytes.extend(content.as_bytes());
    fs::write(path, bytes).expect("it is ours");
}

/// A run takes the variants that its cache names, a resumed one those that the run took.
#[test]
fn measured_variants_are_kept_and_resumed() {
    require_adapter();
    let temp = tempfile::tempdir().expect("a folder");
    let dir = temp.path();
    let line = "train synthetic:moons --device gpu --no-deterministic --epochs 1 --json";
    let kernels = |text: &str| event(text, "start")["kernels"].clone();
    let measured = kernels(&run(dir, &format!("{line} --out a")));
    let files = files(&dir.join("cache"), "variant");
    assert!(!files.is_empty());
    assert_eq!(files.len(), measured.as_object().expect("a map").len());
    for path in files {
        forge(&path, |json| {
            let entry: serde_json::Value = serde_json::from_str(json).expect("JSON");
            let slowest = entry["ms"].as_object().expect("times").iter();
            let slowest = slowest.max_by(|a, b| {
                let ms = |v: &serde_json::Value| v.as_f64().expect("a time");
                ms(a.1).total_cmp(&ms(b.1))
            });
            let mut entry = entry.clone();
            entry["variant"] = slowest.expect("several").0.as_str().into();
            entry.to_string()
        });
    }
    let forged = kernels(&run(dir, &format!("{line} --out b")));
    for (shape, variant) in measured.as_object().expect("a map") {
        assert_ne!(&forged[shape], variant, "{shape}");
    }
    let result = common::program::read(dir.join("b/result.json"));
    let result: serde_json::Value = serde_json::from_str(&result).expect("JSON");
    assert_eq!(result["kernels"], forged);
    // Another folder of caches, and other preferences: the run goes on as it began.
    fs::remove_dir_all(dir.join("cache")).expect("it is ours");
    let resumed = run(dir, "train --resume b --epochs 2 --json");
    assert_eq!(kernels(&resumed), forged);

    let path = dir.join("b/checkpoint");
    let bytes = fs::read(&path).expect("a checkpoint");
    let name = forged
        .as_object()
        .and_then(|map| map.values().next()?.as_str());
    let quoted = format!("\\\"{}\\\"", name.expect("a variant"));
    let at = bytes
        .windows(quoted.len())
        .position(|w| w == quoted.as_bytes());
    let mut bytes = bytes.clone();
    bytes[at.expect("it is recorded") + 2] = b'x';
    fs::write(&path, bytes).expect("it is ours");
    refuse(
        dir,
        &words("train --resume b --epochs 3"),
        2,
        &["kernel variant \"x", "resume it with the version"],
    );
}

/// Without a timing, variants depend on one member's shape; recorded ones reach the executor.
#[test]
fn recorded_variants_reach_the_executor() {
    let device = require_device();
    let defaults = |members| complete(&plan(members), &device.facts, &Choices::new());
    let first = defaults(1).expect("defaults");
    assert!(!first.is_empty());
    assert_eq!(defaults(3).expect("defaults"), first);
    let gpu = Gpu::new(plan(1), device.clone()).expect("pipelines");
    assert_eq!(gpu.choices(), &first);
    let mut recorded = first.clone();
    let (shape, variant) = recorded.iter_mut().next().expect("one");
    *variant = match variant.as_str() {
        "stream8x4" => "stream16x4".to_string(),
        _ => "stream8x4".to_string(),
    };
    let shape = shape.clone();
    let gpu = Gpu::with_choices(plan(1), device.clone(), &recorded).expect("pipelines");
    assert_eq!(gpu.choices(), &recorded);
    recorded.insert(shape, "none such".to_string());
    let refused = Gpu::with_choices(plan(1), device, &recorded).err();
    assert_eq!(refused.expect("no such variant").exit_code(), 2);
}
