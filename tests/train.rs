//! Every kind of data from the first look at it to the predictions, with the real program.

use std::fs;
use std::path::Path;

use gpu_train::metrics::RegressionReport;
use serde_json::Value;

mod common;

use common::Random;
use common::program::{
    assert_differ, assert_same, column, event, events, gpu_train, is_picture, number, numbers,
    read, refuse, succeed, train, train_aloud, words,
};
use common::sources::{SHAPES, cifar, flowers, idx_folder, npz, prices, shape, shapes};

/// What every finished run leaves behind.
const FILES: [&str; 8] = [
    "config.toml",
    "model.safetensors",
    "metrics.jsonl",
    "steps.csv",
    "curves.png",
    "report.html",
    "result.json",
    "checkpoint",
];

/// Checks the files of a finished run, `more` among them, and that nothing half-written is there.
fn whole_run(run: &Path, more: &[&str]) {
    for file in FILES.iter().chain(more) {
        let path = run.join(file);
        assert!(path.is_file(), "{} is missing", path.display());
        if file.ends_with(".png") {
            is_picture(&path, 300);
        }
    }
    let mut names: Vec<String> = fs::read_dir(run)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut wanted: Vec<&str> = FILES.iter().chain(more).copied().collect();
    wanted.sort_unstable();
    assert_eq!(names, wanted);
    let page = read(run.join("report.html"));
    assert!(page.contains("data:image/png;base64,"));
    for outside in [
        "src=\"http",
        "href=\"http",
        "src=\"curves",
        "<link",
        "@import",
    ] {
        assert!(!page.contains(outside), "{outside} in the page");
    }
}

/// `eval RUN` gives the numbers that the training itself gave, to the last digit.
fn evaluates_to(dir: &Path, run: &str, result: &Value) -> Value {
    let seen = event(&succeed(dir, &["eval", run, "--json"]), "eval");
    assert_eq!(seen["loss"], result["test_loss"], "{run}: {seen}");
    assert_eq!(seen["part"], "test");
    if result.get("test_accuracy").is_some() {
        assert_eq!(seen["accuracy"], result["test_accuracy"], "{run}: {seen}");
    } else {
        assert_eq!(seen["r2"], result["test_r2"], "{run}: {seen}");
        assert_eq!(seen["mse"], result["test_mse"], "{run}: {seen}");
    }
    seen
}

/// The run's own configuration gives the identical model file.
fn reruns(dir: &Path, run: &str) {
    let again = format!("{run}-again");
    let args = [
        "train",
        "--config",
        run,
        "--out",
        &again,
        "--quiet",
        "--no-compare",
    ];
    succeed(dir, &args);
    let model = |run: &str| dir.join(run).join("model.safetensors");
    assert_same(&model(run), &model(&again));
}

#[test]
fn a_folder_of_pictures() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    shapes(&dir.join("pictures"), [36, 12]);
    fs::write(dir.join("pictures/train/disc/broken.png"), "no picture").unwrap();

    // What is understood of it.
    let seen = event(&succeed(dir, &words("data pictures --json")), "data");
    assert_eq!(
        seen["parts"],
        serde_json::json!({"train": 108, "val": 0, "test": 36})
    );
    assert_eq!(
        seen["shape"],
        serde_json::json!({"channels": 3, "height": 16, "width": 16})
    );
    let notes = seen["notes"].to_string();
    for word in ["broken.png", "1 "] {
        assert!(notes.contains(word), "{word}: {notes}");
    }
    for (ix, name) in SHAPES.iter().enumerate() {
        let class = &seen["target"]["classes"][ix];
        assert_eq!(
            *class,
            serde_json::json!({"class": name, "train": 36, "val": 0, "test": 12})
        );
    }
    assert_eq!(seen["inputs"].as_array().unwrap().len(), 3);
    assert_eq!(seen["sheet"], "pictures-sheet.png");
    is_picture(&dir.join("pictures-sheet.png"), 100);
    let text = succeed(
        dir,
        &words("data pictures --no-sheet --size 9x7 --channels grey"),
    );
    for word in ["9x7", "disc", "36", "pixels: ", "broken.png"] {
        assert!(text.contains(word), "{word}: {text}");
    }

    // Trained, tested, evaluated again, run again.
    let said = train_aloud(dir, "pictures --epochs 25", "run");
    assert!(said.contains("broken.png"), "{said}");
    assert!(said.contains("108 training and 36 test samples"), "{said}");
    whole_run(&dir.join("run"), &["confusion.png"]);
    let result = train(dir, "pictures --epochs 25", "quiet");
    assert!(number(&result, "test_accuracy") > 0.9, "{result}");
    assert_same(
        &dir.join("run/model.safetensors"),
        &dir.join("quiet/model.safetensors"),
    );
    evaluates_to(dir, "run", &result);
    reruns(dir, "run");
    let page = read(dir.join("run/report.html"));
    for name in SHAPES {
        assert!(page.contains(name), "{name} is not in the page");
    }

    // Pictures of another size, of no folder, in another format: brought to the model's own form.
    let mut random = Random(99);
    let picture = image::DynamicImage::from(shape(2, &mut random));
    picture
        .resize_exact(64, 64, image::imageops::FilterType::Nearest)
        .save(dir.join("large disc.png"))
        .unwrap();
    let text = succeed(
        dir,
        &[
            "predict",
            "run",
            "large disc.png",
            "pictures/test/bar/0.png",
            "--json",
        ],
    );
    let seen = events(&text, "prediction");
    assert_eq!(
        (&seen[0]["class"], &seen[1]["class"]),
        (&"disc".into(), &"bar".into())
    );
    let sum: f64 = SHAPES
        .iter()
        .map(|c| number(&seen[0]["probabilities"], c))
        .sum();
    assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    // Another folder with fewer classes is evaluated by their names.
    fs::create_dir_all(dir.join("others/disc")).unwrap();
    fs::create_dir_all(dir.join("others/bar")).unwrap();
    for ix in 0..4 {
        for (class, name) in [(0, "bar"), (2, "disc")] {
            let path = dir.join(format!("others/{name}/{ix}.png"));
            shape(class, &mut random).save(path).unwrap();
        }
    }
    let seen = event(&succeed(dir, &words("eval run others --json")), "eval");
    assert_eq!(
        (&seen["samples"], &seen["part"]),
        (&8.into(), &"all".into())
    );
    assert!(number(&seen, "accuracy") > 0.7, "{seen}");

    // Another size, in grey; the size is the model's from then on.
    let result = train(
        dir,
        "pictures --size 8 --channels grey --epochs 40",
        "small",
    );
    assert!(number(&result, "test_accuracy") > 0.8, "{result}");
    let config = read(dir.join("small/config.toml"));
    assert!(
        config.contains("size = \"8x8\"") && config.contains("channels = \"grey\""),
        "{config}"
    );
    evaluates_to(dir, "small", &result);

    refuse(
        dir,
        &words("train pictures --strict --out strict"),
        2,
        &["broken.png"],
    );
    assert!(!dir.join("strict").exists());
}

#[test]
fn a_table_of_classes() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    fs::write(dir.join("flowers.csv"), flowers(210, 1)).unwrap();
    let seen = event(&succeed(dir, &words("data flowers.csv --json")), "data");
    assert_eq!(
        seen["parts"],
        serde_json::json!({"train": 168, "val": 0, "test": 42})
    );
    let inputs = seen["inputs"].as_array().unwrap();
    let names: Vec<&str> = inputs
        .iter()
        .map(|c| c["column"].as_str().unwrap())
        .collect();
    assert_eq!(&names[..3], ["height", "width, in cm", "colour"], "{seen}");
    assert_eq!(
        (&inputs[0]["missing"], &inputs[2]["missing"]),
        (&19.into(), &16.into())
    );
    let categories = inputs[2]["categories"].to_string();
    for name in ["blue, pale", "the \\\"yellow\\\" one", "white", "red"] {
        assert!(categories.contains(name), "{name}: {categories}");
    }
    let text = succeed(dir, &words("data flowers.csv"));
    for word in ["width, in cm", "rose", "4 categories", "missing"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(
        !dir.join("flowers-sheet.png").exists(),
        "a table has no pictures"
    );

    let result = train(dir, "flowers.csv --epochs 30 --lr 0.01", "run");
    assert!(number(&result, "test_accuracy") > 0.95, "{result}");
    whole_run(&dir.join("run"), &["confusion.png"]);
    evaluates_to(dir, "run", &result);
    reruns(dir, "run");

    // Another table with the model's columns, in another order and with one more, is evaluated.
    let other = flowers(60, 2);
    let (heights, widths) = (column(&other, "height"), column(&other, "width, in cm"));
    let (colours, kinds) = (column(&other, "colour"), column(&other, "kind"));
    let quoted = |cell: &str| format!("\"{}\"", cell.replace('"', "\"\""));
    let mut turned = "kind,extra,colour,\"width, in cm\",height\n".to_string();
    let mut rows = "height,\"width, in cm\",colour\n".to_string();
    for ix in 0..60 {
        let (h, w, c) = (&heights[ix], &widths[ix], quoted(&colours[ix]));
        turned += &format!("{},{ix},{c},{w},{h}\n", kinds[ix]);
        rows += &format!("{h},{w},{c}\n");
    }
    fs::write(dir.join("turned.csv"), &turned).unwrap();
    fs::write(dir.join("other.csv"), &other).unwrap();
    fs::write(dir.join("rows.csv"), &rows).unwrap();
    let seen = event(&succeed(dir, &words("eval run other.csv --json")), "eval");
    assert_eq!(seen["samples"], 60);
    assert!(number(&seen, "accuracy") > 0.9, "{seen}");
    let again = event(&succeed(dir, &words("eval run turned.csv --json")), "eval");
    assert_eq!(seen["loss"], again["loss"]);

    // Rows without a target are predicted, and the predictions have the accuracy of the evaluation.
    let text = succeed(dir, &words("predict run rows.csv --out preds.csv --json"));
    let predicted = events(&text, "prediction");
    assert_eq!(predicted.len(), 60);
    assert_eq!(predicted[59]["file"], "rows.csv row 60");
    let preds = read(dir.join("preds.csv"));
    assert!(preds.starts_with("file,class,"), "{preds}");
    let classes = column(&preds, "class");
    let right = classes.iter().zip(&kinds).filter(|(a, b)| a == b).count();
    assert_eq!(right as f64 / 60.0, number(&seen, "accuracy"));
    refuse(
        dir,
        &words("predict run run/curves.png"),
        2,
        &["curves.png", "table"],
    );
    refuse(dir, &words("eval run synthetic:moons"), 2, &["table"]);
}

#[test]
fn a_table_of_values() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    fs::write(dir.join("prices.csv"), prices(300, ',', 1)).unwrap();
    fs::write(dir.join("prices.tsv"), prices(300, '\t', 1)).unwrap();
    fs::write(dir.join("other.csv"), prices(50, ',', 2)).unwrap();
    let seen = event(&succeed(dir, &words("data prices.csv --json")), "data");
    assert_eq!(seen["target"]["name"], "price");
    let result = train(
        dir,
        "prices.csv --epochs 60 --model softmax --lr 0.02",
        "run",
    );
    assert!(number(&result, "test_r2") > 0.99, "{result}");
    whole_run(&dir.join("run"), &["scatter.png"]);
    let seen = evaluates_to(dir, "run", &result);
    for key in ["mae", "rmse"] {
        assert!(number(&seen, key) < 1.0, "{seen}");
    }
    reruns(dir, "run");
    // Tabs in place of commas: the same samples, so the same weights.
    let tabs = train(
        dir,
        "prices.tsv --epochs 60 --model softmax --lr 0.02",
        "tabs",
    );
    assert_eq!(tabs["test_loss"], result["test_loss"]);

    let seen = event(&succeed(dir, &words("eval run other.csv --json")), "eval");
    succeed(
        dir,
        &words("predict run other.csv --out preds.csv --device gpu"),
    );
    let preds = read(dir.join("preds.csv"));
    let truths = numbers(&read(dir.join("other.csv")), "price");
    let report = RegressionReport::new(&truths, &numbers(&preds, "price"));
    let (a, b) = (number(&seen, "r2"), report.r2.unwrap());
    assert!((a - b).abs() < 1e-5 && a > 0.99, "{a} and {b}");
    let text = succeed(dir, &words("predict run other.csv"));
    assert!(text.starts_with("other.csv row 1: price "), "{text}");

    // The same column as classes is refused: too many values for that; a column of few is taken.
    let sizes = train(
        dir,
        "prices.csv --target size --ignore price --epochs 3",
        "sizes",
    );
    assert!(sizes["test_accuracy"].is_number(), "{sizes}");
    whole_run(&dir.join("sizes"), &["confusion.png", "roc.png"]);
    let kinds = train(dir, "prices.csv --target 1 --epochs 3", "first");
    assert!(kinds["test_r2"].is_number(), "{kinds}");
}

#[test]
fn integers_are_classes_or_values_as_one_says() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let mut random = Random(5);
    let mut text = "x,stars\n".to_string();
    for _ in 0..120 {
        let stars = random.below(5);
        text += &format!("{:.4},{stars}\n", stars as f32 + 0.3 * random.signed());
    }
    fs::write(dir.join("stars.csv"), text).unwrap();
    let said = train_aloud(dir, "stars.csv --epochs 2", "classes");
    assert!(
        said.contains("--task regression") && said.contains("5 classes"),
        "{said}"
    );
    let said = train_aloud(dir, "stars.csv --epochs 2 --task regression", "values");
    assert!(said.contains("predicting the value stars"), "{said}");
    assert!(dir.join("values/scatter.png").is_file());
    assert!(read(dir.join("values/config.toml")).contains("task = \"regression\""));
    reruns(dir, "values");
}

#[test]
fn idx_folders_raw_and_packed_are_the_same() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    idx_folder(&dir.join("raw"), false);
    idx_folder(&dir.join("packed"), true);
    let seen = event(&succeed(dir, &words("data packed --json")), "data");
    assert_eq!(
        seen["parts"],
        serde_json::json!({"train": 160, "val": 0, "test": 40})
    );
    is_picture(&dir.join("packed-sheet.png"), 50);
    let raw = train(dir, "raw --epochs 10", "a");
    assert!(number(&raw, "test_accuracy") > 0.95, "{raw}");
    whole_run(&dir.join("a"), &["confusion.png"]);
    let packed = train(dir, "packed --epochs 10", "b");
    assert_eq!(raw["test_loss"], packed["test_loss"]);
    evaluates_to(dir, "a", &raw);
    let seen = event(&succeed(dir, &words("eval a packed --json")), "eval");
    assert_eq!(seen["loss"], raw["test_loss"]);
    reruns(dir, "b");
    let text = succeed(dir, &["predict", "a", "raw:3", "--json"]);
    let seen = event(&text, "prediction");
    assert_eq!((&seen["class"], &seen["label"]), (&"3".into(), &"3".into()));
    refuse(dir, &words("predict a raw:40"), 2, &["0 to 39"]);
}

#[test]
fn archives_of_arrays() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    fs::write(dir.join("arrays.npz"), npz()).unwrap();
    let seen = event(&succeed(dir, &words("data arrays.npz --json")), "data");
    assert_eq!(
        seen["parts"],
        serde_json::json!({"train": 160, "val": 0, "test": 40})
    );
    assert_eq!(
        seen["shape"],
        serde_json::json!({"channels": 1, "height": 8, "width": 8})
    );
    let result = train(dir, "arrays.npz --epochs 10", "run");
    assert!(number(&result, "test_accuracy") > 0.95, "{result}");
    whole_run(&dir.join("run"), &["confusion.png"]);
    evaluates_to(dir, "run", &result);
    reruns(dir, "run");
}

#[test]
fn cifar_in_its_binary_layout() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let folder = dir.join("cifar-10-batches-bin");
    fs::create_dir(&folder).unwrap();
    for batch in 1..=5 {
        fs::write(
            folder.join(format!("data_batch_{batch}.bin")),
            cifar(40, batch),
        )
        .unwrap();
    }
    fs::write(folder.join("test_batch.bin"), cifar(50, 9)).unwrap();
    let names = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n";
    fs::write(folder.join("batches.meta.txt"), names).unwrap();
    let seen = event(
        &succeed(dir, &words("data cifar-10-batches-bin --json")),
        "data",
    );
    assert_eq!(
        seen["parts"],
        serde_json::json!({"train": 200, "val": 0, "test": 50})
    );
    assert_eq!(
        seen["shape"],
        serde_json::json!({"channels": 3, "height": 32, "width": 32})
    );
    assert_eq!(seen["target"]["classes"][9]["class"], "truck");
    let result = train(
        dir,
        "cifar-10-batches-bin --epochs 8 --model linear:32,relu",
        "run",
    );
    assert!(number(&result, "test_accuracy") > 0.9, "{result}");
    whole_run(&dir.join("run"), &["confusion.png"]);
    evaluates_to(dir, "run", &result);
    reruns(dir, "run");
}

#[test]
fn synthetic_sets() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let result = train(dir, "synthetic:moons:500 --epochs 40 --lr 0.02", "moons");
    assert!(number(&result, "test_accuracy") > 0.98, "{result}");
    whole_run(&dir.join("moons"), &["confusion.png", "roc.png"]);
    let seen = evaluates_to(dir, "moons", &result);
    assert!(number(&seen, "roc_auc") > 0.99, "{seen}");
    reruns(dir, "moons");
    for (name, least) in [("circles", 0.95), ("spiral", 0.9), ("blobs", 0.95)] {
        let line = format!("synthetic:{name}:400 --epochs 60 --lr 0.02");
        let result = train(dir, &line, name);
        assert!(number(&result, "test_accuracy") > least, "{name}: {result}");
    }
}

/// Samples of the training, validation and test part.
fn parts(dir: &Path, line: &str) -> [u64; 3] {
    let text = succeed(dir, &words(&format!("data {line} --no-sheet --json")));
    let parts = &event(&text, "data")["parts"];
    ["train", "val", "test"].map(|part| parts[part].as_u64().unwrap())
}

#[test]
fn splits_are_stratified_seeded_and_said() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    fs::write(dir.join("flowers.csv"), flowers(300, 1)).unwrap();
    assert_eq!(parts(dir, "flowers.csv"), [240, 0, 60]);
    assert_eq!(parts(dir, "flowers.csv --test-split 0.3"), [210, 0, 90]);
    assert_eq!(parts(dir, "flowers.csv --test-split 0"), [300, 0, 0]);
    assert_eq!(parts(dir, "flowers.csv --val-split 0.25"), [180, 60, 60]);
    assert_eq!(parts(dir, "flowers.csv --limit 30"), [30, 0, 60]);
    let text = succeed(dir, &words("data flowers.csv --val-split 0.25 --json"));
    for class in event(&text, "data")["target"]["classes"]
        .as_array()
        .unwrap()
    {
        assert_eq!(class["train"], 60, "{class}");
        assert_eq!(class["val"], 20, "{class}");
        assert_eq!(class["test"], 20, "{class}");
    }
    // A look at the test part: predictions by number name it sample by sample.
    let base = "flowers.csv --epochs 1 --model softmax";
    train(dir, base, "a");
    train(dir, &format!("{base} --seed 9"), "b");
    train(dir, &format!("{base} --split-seed 1"), "c");
    let look = |run: &str| -> Vec<Value> {
        let samples: Vec<String> = (0..60).map(|ix| format!("flowers.csv:{ix}")).collect();
        let mut args = vec!["predict", run, "--json"];
        args.extend(samples.iter().map(String::as_str));
        let predicted = events(&succeed(dir, &args), "prediction");
        predicted
            .into_iter()
            .map(|event| event["label"].clone())
            .collect()
    };
    let (a, b, c) = (look("a"), look("b"), look("c"));
    assert_eq!(a, b, "the seed of the weights moves no sample");
    assert_ne!(a, c, "another --split-seed splits otherwise");
    assert!(read(dir.join("c/config.toml")).contains("split-seed = 1"));
    let said = train_aloud(dir, &format!("{base} --split-seed 1"), "d");
    assert!(
        said.contains("60 samples split off (stratified, --split-seed 1)"),
        "{said}"
    );
    // Early stopping brings its own validation part, and says so.
    let said = train_aloud(dir, &format!("{base} --early-stop 2"), "e");
    assert!(
        said.contains("24 samples split off the training part, as early stopping"),
        "{said}"
    );
    assert_eq!(
        read(dir.join("e/metrics.jsonl"))
            .matches("val_loss")
            .count(),
        1
    );
}

#[test]
fn a_test_part_of_its_own_and_its_overlap() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    fs::write(dir.join("train.csv"), flowers(150, 1)).unwrap();
    fs::write(dir.join("test.csv"), flowers(45, 2)).unwrap();
    assert_eq!(parts(dir, "train.csv --test test.csv"), [150, 0, 45]);
    let result = train(
        dir,
        "train.csv --test test.csv --epochs 30 --lr 0.01",
        "run",
    );
    assert!(number(&result, "test_accuracy") > 0.9, "{result}");
    evaluates_to(dir, "run", &result);
    reruns(dir, "run");
    let seen = event(&succeed(dir, &words("eval run test.csv --json")), "eval");
    assert_eq!(
        seen["loss"], result["test_loss"],
        "the file alone is the same part"
    );

    // Rows of the training file in the test file are counted.
    let mut rows: Vec<String> = flowers(45, 2).lines().map(str::to_string).collect();
    rows.truncate(41);
    rows.extend(flowers(150, 1).lines().skip(1).take(5).map(str::to_string));
    fs::write(dir.join("leaky.csv"), rows.join("\n")).unwrap();
    let said = train_aloud(dir, "train.csv --test leaky.csv --epochs 1", "leaky");
    assert!(
        said.contains("warning: the very inputs of 5 of 45 test samples"),
        "{said}"
    );

    // Pictures too, read in the form of the training pictures.
    shapes(&dir.join("pictures"), [12, 0]);
    shapes(&dir.join("more"), [5, 0]);
    for (from, to) in [("pictures/train", "a"), ("more/train", "b")] {
        fs::rename(dir.join(from), dir.join(to)).unwrap();
    }
    assert_eq!(parts(dir, "a --test b --size 8"), [36, 0, 15]);
    let result = train(dir, "a --test b --size 8 --epochs 3", "pictured");
    evaluates_to(dir, "pictured", &result);
    // MNIST's own files name themselves.
    idx_folder(&dir.join("idx"), true);
    refuse(
        dir,
        &words("train idx --test raw"),
        2,
        &["test part of its own"],
    );
    refuse(
        dir,
        &words("train a --test train.csv"),
        2,
        &["train.csv", "table"],
    );
}

#[test]
fn validation_folders_and_flat_ones() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    shapes(&dir.join("flat"), [20, 0]);
    fs::rename(dir.join("flat/train"), dir.join("flatter")).unwrap();
    assert_eq!(parts(dir, "flatter"), [48, 0, 12]);
    shapes(&dir.join("both"), [20, 6]);
    fs::rename(dir.join("both/test"), dir.join("both/val")).unwrap();
    let [train, val, test] = parts(dir, "both");
    assert_eq!(train + val + test, 78);
    assert_eq!(val, 18, "val/ is the validation part");
    assert_eq!(parts(dir, "both --join-val"), [train + 18, 0, test]);
    let again = parts(dir, "both --join-val --val-split 0.5");
    assert_eq!(again.iter().sum::<u64>(), 78);
    assert!(again[1] > 18, "{again:?}");
    refuse(
        dir,
        &words("train flatter --join-val"),
        2,
        &["--join-val", "flatter", "no validation part"],
    );
    // It serves early stopping, and the configuration says that nothing was split off.
    let line = "both --epochs 200 --lr 0.01 --early-stop 2 --min-delta 10 --model softmax";
    let result = common::program::train(dir, line, "run");
    assert_eq!(result["stopped"], "early-stop");
    assert!(read(dir.join("run/config.toml")).contains("val-split = 0.0\n"));
    evaluates_to(dir, "run", &result);
    reruns(dir, "run");
}

#[test]
fn a_run_without_a_test_part_and_the_next_free_folder() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let line = "train synthetic:blobs:100 --test-split 0 --epochs 2 --device cpu --json --quiet";
    for n in 1..=2 {
        let result = event(&succeed(dir, &words(line)), "result");
        assert_eq!(result["run"], format!("runs/blobs-100-{n}"));
        assert!(result.get("test_loss").is_none(), "{result}");
    }
    assert_same(
        &dir.join("runs/blobs-100-1/model.safetensors"),
        &dir.join("runs/blobs-100-2/model.safetensors"),
    );
    let output = gpu_train(dir, &words("eval runs/blobs-100-1"));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("on all of"),
        "{said}"
    );
    // Another seed, other weights.
    train(
        dir,
        "synthetic:blobs:100 --test-split 0 --epochs 2 --seed 1",
        "other",
    );
    assert_differ(
        &dir.join("runs/blobs-100-1/model.safetensors"),
        &dir.join("other/model.safetensors"),
    );
}
