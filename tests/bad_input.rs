//! Bad input gets one or two clear lines with the place, exit code 2, and leaves nothing behind.

use std::fs;
use std::path::{Path, PathBuf};

use flate2::Crc;

mod common;

use common::Random;
use common::program::{refuse, succeed, train, words};
use common::sources::{
    cifar, flowers, gz, idx, idx_folder, npy, prices, shape, shapes, stripes, zip,
};

/// Every path below a folder, sorted.
fn tree(dir: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path.clone());
            }
            paths.push(path);
        }
    }
    paths.sort();
    paths
}

/// A folder with data, in which commands are refused without leaving a trace.
struct Place {
    temp: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let temp = tempfile::tempdir().unwrap();
        Place { temp }
    }

    fn dir(&self) -> &Path {
        self.temp.path()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.dir().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Any command.
    fn refuses(&self, line: &str, wanted: &[&str]) {
        let before = tree(self.dir());
        refuse(self.dir(), &words(line), 2, wanted);
        let after = tree(self.dir());
        assert_eq!(before, after, "{line} left something behind");
    }

    /// A training, into a named and an unnamed run folder, and a look at the data.
    fn no_data(&self, options: &str, wanted: &[&str]) {
        self.refuses(&format!("train {options} --out none --device cpu"), wanted);
        self.refuses(&format!("train {options} --device cpu --json"), wanted);
        self.refuses(&format!("data {options}"), wanted);
        self.refuses(&format!("lr-find {options}"), wanted);
    }

    /// A training alone.
    fn no_run(&self, options: &str, wanted: &[&str]) {
        self.refuses(&format!("train {options} --out none --device cpu"), wanted);
        self.refuses(&format!("train {options} --device cpu"), wanted);
    }
}

#[test]
fn sources_that_are_none() {
    let place = Place::new();
    fs::create_dir(place.dir().join("empty")).unwrap();
    place.write("notes.txt", "no data");
    place.write("picture.png", "x");
    place.write("array.npy", "x");
    place.write("deep/train-images-idx3-ubyte", "x");
    place.write("loose/1.png", "x");
    for (source, wanted) in [
        ("nowhere", &["nowhere", "no such file or folder"][..]),
        ("nowhere.csv", &["nowhere.csv", "no such file"]),
        ("moons", &["did you mean synthetic:moons"]),
        ("MNIST", &["did you mean mnist"]),
        ("synthetic:mons", &["synthetic:mons", "moons"]),
        ("synthetic:moons:3", &["10 to 10000000"]),
        ("empty", &["empty", "the folder is empty"]),
        ("notes.txt", &["notes.txt", "unknown type"]),
        ("picture.png", &["picture.png", "predict"]),
        ("array.npy", &["array.npy", "np.savez"]),
        ("loose", &["loose", "no class folders"]),
        ("deep/train-images-idx3-ubyte", &["name the folder"]),
    ] {
        place.no_data(source, wanted);
    }
    place.refuses("train", &["train on what?", "DATA"]);
    place.refuses("train --config none.toml", &["none.toml"]);
}

#[test]
fn tables_with_their_line_and_column() {
    let place = Place::new();
    let rows = |line: usize, cell: &str| {
        let mut text = "a,b,y\n".to_string();
        for row in 2..60 {
            let b = if row == line {
                cell.to_string()
            } else {
                format!("{row}.5")
            };
            text += &format!("{row},{b},{}\n", if row % 2 == 0 { "no" } else { "yes" });
        }
        text
    };
    place.write("ragged.csv", rows(17, "1,2"));
    place.no_data("ragged.csv", &["ragged.csv", "line 17 has 4 cells", "3"]);
    place.write("word.csv", rows(31, "4x"));
    place.no_data(
        "word.csv",
        &[
            "word.csv",
            "line 31, column \"b\"",
            "\"4x\" is not a number",
        ],
    );
    place.write("infinite.csv", rows(9, "inf"));
    place.no_data("infinite.csv", &["line 9, column \"b\"", "finite"]);
    place.write("quote.csv", rows(12, "\"5"));
    place.no_data("quote.csv", &["line 12", "quote that is not closed"]);
    place.write(
        "holes.csv",
        rows(40, "NaN").replace("21.5", "").replace("50.5", "na"),
    );
    place.no_data("holes.csv --missing error", &["line 21, column \"b\"", "3"]);
    place.write("dates.csv", {
        let dates = |n: u32| format!("2024-01-{n:02},{},{}\n", n * n, n % 2);
        let rows: String = (1..28).map(dates).collect();
        format!("day,x,y\n{rows}")
    });
    place.no_data("dates.csv", &["\"day\"", "dates"]);
    place.write("names.csv", {
        let rows: String = (1..60)
            .map(|n| format!("person {n},{n},{}\n", n % 2))
            .collect();
        format!("name,x,y\n{rows}")
    });
    place.no_data("names.csv", &["\"name\"", "59 distinct texts", "--ignore"]);
    place.write("constant.csv", rows(0, "").replace("yes", "no"));
    place.no_data("constant.csv", &["constant.csv", "\"y\"", "one"]);
    place.write("empty.csv", "");
    place.no_data("empty.csv", &["empty.csv", "empty"]);
    place.write("header.csv", "a,b,y\n");
    place.no_data("header.csv", &["header.csv"]);
    place.write("binary.csv", [0xff, 0xfe, 0, 1, 10, 0xff, 7, 7]);
    place.no_data("binary.csv", &["binary.csv"]);

    place.write("good.csv", rows(0, ""));
    place.no_data(
        "good.csv --target yy",
        &["--target yy", "good.csv", "did you mean y"],
    );
    place.no_data("good.csv --target 9", &["--target 9", "good.csv"]);
    place.no_data("good.csv --ignore aa", &["--ignore aa", "did you mean a"]);
    place.no_data("good.csv --target y --ignore y", &["--ignore y", "target"]);
    place.no_data("good.csv --ignore a,b", &["good.csv"]);
    place.no_data(
        "good.csv --task regression",
        &["good.csv", "\"y\" holds text", "--task"],
    );
    place.no_data("good.csv --task regress", &["did you mean regression"]);
    place.no_data(
        "good.csv --missing median2",
        &["--missing median2", "did you mean median"],
    );
    place.no_data("good.csv --normalize 0-2", &["--normalize 0-2"]);

    // A class of one sample has nothing to share.
    place.write("single.csv", rows(0, "") + "5,6,maybe\n");
    place.no_data("single.csv", &["\"maybe\"", "--test-split", "only 1"]);
    place.write("few.csv", rows(0, "") + "5,6,maybe\n7,8,maybe\n");
    place.no_data(
        "few.csv --val-split 0.2",
        &["\"maybe\"", "--val-split", "only 1"],
    );
    place.no_run(
        "few.csv --early-stop 3",
        &["\"maybe\"", "--val-split", "only 1"],
    );
    succeed(place.dir(), &words("data few.csv"));
}

#[test]
fn tables_that_do_not_fit_the_model() {
    let place = Place::new();
    let dir = place.dir();
    place.write("flowers.csv", flowers(90, 1));
    place.write("prices.csv", prices(60, ',', 1));
    train(dir, "flowers.csv --epochs 1", "run");
    place.write("short.csv", "height,colour\n1,red\n");
    place.refuses("predict run short.csv", &["short.csv", "width, in cm"]);
    place.write(
        "wrong.csv",
        "height,\"width, in cm\",colour\n1,2,red\n1,much,red\n",
    );
    place.refuses(
        "predict run wrong.csv",
        &["wrong.csv", "line 3", "width, in cm", "much"],
    );
    place.write("empty.csv", "height,\"width, in cm\",colour\n");
    place.refuses("predict run empty.csv", &["empty.csv"]);
    let table = fs::read(dir.join("flowers.csv")).unwrap();
    place.refuses(
        "predict run flowers.csv --out ./flowers.csv",
        &["--out ./flowers.csv", "that is the input"],
    );
    assert_eq!(fs::read(dir.join("flowers.csv")).unwrap(), table);
    place.write("unknown.csv", flowers(30, 2).replace("iris", "tulip"));
    place.refuses("eval run unknown.csv", &["unknown.csv", "tulip", "iris"]);
    place.refuses("eval run prices.csv", &["prices.csv", "height"]);
    place.refuses("eval run mnist", &["table", "mnist"]);
    place.refuses("predict run mnist:0", &["table", "mnist"]);
    place.refuses("predict run flowers.csv:1000", &["0 to 17"]);
    place.write(
        "untargeted.csv",
        "height,\"width, in cm\",colour\n1,2,red\n3,4,white\n",
    );
    place.refuses("eval run untargeted.csv", &["untargeted.csv", "kind"]);
    fs::remove_file(dir.join("flowers.csv")).unwrap();
    place.refuses("eval run", &["flowers.csv", "eval MODEL DATA"]);
}

#[test]
fn picture_folders() {
    let place = Place::new();
    let dir = place.dir();
    shapes(&dir.join("good"), [6, 2]);
    // A picture that claims no width, its checksum in order.
    let mut bytes = Vec::new();
    let picture = image::DynamicImage::from(shape(0, &mut Random(1)));
    let mut writer = std::io::Cursor::new(&mut bytes);
    picture
        .write_to(&mut writer, image::ImageFormat::Png)
        .unwrap();
    bytes[16..20].fill(0);
    let mut crc = Crc::new();
    crc.update(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    place.write("good/train/bar/zero.png", &bytes);
    place.no_data("good --strict", &["good/train/bar/zero.png"]);
    let said = succeed(dir, &words("data good --no-sheet"));
    assert!(said.contains("zero.png"), "{said}");
    place.write("zeros/a/1.png", &bytes);
    place.write("zeros/b/1.png", &bytes);
    place.no_data("zeros", &["zeros", "1.png"]);

    place.write("one/cat/1.png", "x");
    place.no_data("one", &["one", "only one class folder", "cat"]);
    fs::create_dir_all(dir.join("hollow/a")).unwrap();
    fs::create_dir_all(dir.join("hollow/b")).unwrap();
    place.no_data("hollow", &["hollow", "no pictures"]);
    shapes(&dir.join("extra"), [4, 2]);
    fs::rename(dir.join("extra/test/disc"), dir.join("extra/test/disk")).unwrap();
    place.no_data("extra", &["extra", "test/disk/"]);
    fs::rename(dir.join("extra/train"), dir.join("extra/training-later")).unwrap();
    fs::remove_dir_all(dir.join("extra/training-later")).unwrap();
    place.no_data("extra", &["extra", "there is test/, but no train/"]);

    place.no_data("good --size 0", &["--size 0", "1 to 4096"]);
    place.no_data("good --size 8by8", &["--size 8by8"]);
    place.no_data("good --channels purple", &["--channels purple"]);
    place.no_data("good --target kind", &["--target", "tables"]);
    place.no_data("good --missing drop", &["--missing", "tables"]);
    place.no_data("good --task regression", &["--task", "tables"]);
    place.no_data(
        "good --test-split 0.2",
        &["--test-split 0.2", "good has a test part of its own"],
    );
    place.no_data(
        "mnist --test-split 0.3",
        &["--test-split 0.3", "mnist has a test part of its own"],
    );
    shapes(&dir.join("judged"), [6, 2]);
    fs::rename(dir.join("judged/test"), dir.join("judged/val")).unwrap();
    place.no_data(
        "judged --val-split 0.2",
        &["--val-split 0.2", "judged has a validation part of its own"],
    );
    place.no_run("good --test nowhere", &["nowhere", "test part of its own"]);
    place.no_run("good/train --test nowhere", &["nowhere"]);

    train(dir, "good --epochs 1", "run");
    place.refuses("predict run good/train/bar/zero.png", &["zero.png"]);
    place.refuses("predict run good", &["good"]);
    place.refuses("eval run mnist", &["3x16x16", "1x28x28"]);
}

#[test]
fn idx_files() {
    let place = Place::new();
    let dir = place.dir();
    let images = "train-images-idx3-ubyte";
    let labels = "train-labels-idx1-ubyte";
    let (pixels, numbers) = stripes(160, 8, 4, 1);
    let good = || idx_folder(&dir.join("idx"), false);
    good();
    let in_idx = |name: &str| format!("idx/{name}");

    let mut bytes = idx(&[160, 8, 8], &pixels);
    bytes[2] = 0x0d;
    place.write(&in_idx(images), &bytes);
    place.no_data("idx", &[images, "magic"]);
    place.write(&in_idx(images), idx(&[161, 8, 8], &pixels));
    place.no_data("idx", &[images, "[161, 8, 8]", "10304", "10240"]);
    place.write(&in_idx(images), idx(&[150, 8, 8], &pixels[..9600]));
    place.no_data("idx", &["150 images", "160 labels"]);
    place.write(&in_idx(images), idx(&[160, 0, 8], &[]));
    place.no_data("idx", &[images, "[160, 0, 8]"]);
    place.write(
        &in_idx(images),
        idx(&[u32::MAX as usize, 65_535, 65_535], &pixels),
    );
    place.no_data("idx", &[images]);
    place.write(&in_idx(images), [0, 0]);
    place.no_data("idx", &[images]);
    good();
    place.write(&in_idx(labels), idx(&[160], &[2; 160]));
    place.no_data("idx", &["idx", "class"]);
    good();
    place.write("idx/t10k-labels-idx1-ubyte", idx(&[40], &[9; 40]));
    place.no_data("idx", &["label", "9", "3"]);
    good();
    fs::remove_file(dir.join(in_idx(labels))).unwrap();
    place.no_data("idx", &[images, "no labels beside it"]);
    let whole = gz(&idx(&[160], &numbers));
    place.write("idx/train-labels-idx1-ubyte.gz", &whole[..whole.len() - 20]);
    place.no_data("idx", &["train-labels-idx1-ubyte.gz", "cut short"]);
    let mut damaged = whole.clone();
    let at = damaged.len() - 6;
    damaged[at] ^= 0xff;
    place.write("idx/train-labels-idx1-ubyte.gz", &damaged);
    place.no_data("idx", &["train-labels-idx1-ubyte.gz", "damaged"]);
}

#[test]
fn archives_and_cifar() {
    let place = Place::new();
    let (pixels, labels) = stripes(40, 4, 4, 1);
    let x = || npy("|u1", &[40, 4, 4], &pixels);
    let y = || npy("|u1", &[40], &labels);
    let archive = |members: &[(&str, Vec<u8>)]| place.write("a.npz", zip(members));

    archive(&[("x_train.npy", x()), ("y_test.npy", y())]);
    place.no_data("a.npz", &["a.npz", "y_train"]);
    archive(&[
        ("x_train.npy", x()),
        ("y_train.npy", npy("|u1", &[39], &labels[..39])),
    ]);
    place.no_data("a.npz", &["x_train has 40", "y_train has 39"]);
    archive(&[
        ("x_train.npy", x()),
        ("y_train.npy", npy("|u1", &[40], &[1; 40])),
    ]);
    place.no_data("a.npz", &["a.npz", "every training label is 1"]);
    let mut floats: Vec<f32> = (0..640).map(|n| n as f32).collect();
    floats[37] = f32::NAN;
    floats[500] = f32::INFINITY;
    let floats = npy("<f4", &[40, 16], bytemuck::cast_slice(&floats));
    archive(&[("x_train.npy", floats), ("y_train.npy", y())]);
    place.no_data("a.npz", &["x_train: 2 ", "[2, 5]"]);
    let negative: Vec<i32> = (0..40).map(|n| n % 4 - 1).collect();
    let negative = npy("<i4", &[40], bytemuck::cast_slice(&negative));
    archive(&[("x_train.npy", x()), ("y_train.npy", negative)]);
    place.no_data("a.npz", &["y_train", "-1"]);
    let high: Vec<u8> = labels.iter().map(|l| l + 3).collect();
    archive(&[
        ("x_train.npy", x()),
        ("y_train.npy", y()),
        ("x_test.npy", x()),
        ("y_test.npy", npy("|u1", &[40], &high)),
    ]);
    place.no_data("a.npz", &["label", "3"]);
    let mut whole = zip(&[("x_train.npy", x()), ("y_train.npy", y())]);
    place.write("a.npz", &whole[..whole.len() / 2]);
    place.no_data("a.npz", &["a.npz", "zip"]);
    whole[200] ^= 0xff;
    place.write("a.npz", &whole);
    place.no_data("a.npz", &["a.npz", "checksum"]);
    place.write("a.npz", "");
    place.no_data("a.npz", &["a.npz"]);

    let record = cifar(20, 1);
    place.write("cifar/test_batch.bin", &record);
    place.write("cifar/data_batch_1.bin", &record[..record.len() - 100]);
    place.no_data("cifar", &["data_batch_1.bin", "record 20", "cut short"]);
    let mut wrong = record.clone();
    wrong[3073 * 4] = 77;
    place.write("cifar/data_batch_1.bin", &wrong);
    place.no_data("cifar", &["data_batch_1.bin", "record 5", "77", "0 to 9"]);
    place.write("cifar/data_batch_1.bin", "");
    place.no_data("cifar", &["data_batch_1.bin", "empty"]);
}

#[test]
fn options_that_contradict_each_other_or_the_data() {
    let place = Place::new();
    let dir = place.dir();
    place.write("t.csv", prices(60, ',', 1));
    place.write("c.csv", flowers(60, 1));
    for (line, wanted) in [
        (
            "c.csv --test c.csv --test-split 0.3",
            &["--test c.csv", "--test-split 0.3", "contradict"][..],
        ),
        (
            "c.csv --early-stop 3 --val-split 0",
            &["--early-stop", "--val-split 0.1"],
        ),
        (
            "c.csv --target-accuracy 0.9 --val-split 0",
            &["--target-accuracy", "--val-split 0.1"],
        ),
        (
            "c.csv --schedule plateau --val-split 0",
            &["plateau", "--val-split 0.1"],
        ),
        (
            "c.csv --min-delta 0.1",
            &["--min-delta belongs to --early-stop"],
        ),
        ("c.csv --tol 0.1", &["--tol belongs to --until-converged"]),
        (
            "c.csv --init-partial",
            &["--init-partial belongs to --init"],
        ),
        ("c.csv --size 8", &["--size", "picture folders", "c.csv"]),
        ("c.csv --channels grey", &["--channels", "picture folders"]),
        ("c.csv --strict", &["--strict", "picture folders"]),
        ("synthetic:moons --target 1", &["--target", "tables"]),
        (
            "t.csv --loss cross-entropy",
            &["cross-entropy is for classes", "mse"],
        ),
        (
            "t.csv --class-weights balanced",
            &["--class-weights", "no classes"],
        ),
        (
            "t.csv --target-accuracy 0.9",
            &["--target-accuracy", "value"],
        ),
        (
            "t.csv --label-smoothing 0.1",
            &["--label-smoothing", "cross-entropy only"],
        ),
        (
            "c.csv --huber-delta 2",
            &["--huber-delta belongs to --loss huber"],
        ),
        (
            "c.csv --target-scale none",
            &["--target-scale", "regression"],
        ),
        (
            "c.csv --class-weights 1,2",
            &["--class-weights", "3 classes"],
        ),
        ("c.csv --class-weights 1,2,x", &["--class-weights 1,2,x"]),
        ("c.csv --freeze 7", &["--freeze 7", "0, 2"]),
        (
            "c.csv --freeze 0,2",
            &["--freeze", "nothing is left to train"],
        ),
        ("c.csv --freeze 1", &["--freeze 1", "0, 2"]),
        ("c.csv --dropout 0.2", &["--dropout", "dropout layers"]),
        ("c.csv --schedule stp:3:0.1", &["did you mean step"]),
        ("c.csv --warmup 1000000", &["--warmup 1000000", "--epochs"]),
        ("c.csv --opt sgd --beta1 0.5", &["--beta1", "adam"]),
        ("c.csv --model linear:8,rleu", &["relu"]),
        ("c.csv --model residual(linear:3)", &["residual"]),
        ("c.csv --batch 49", &["--batch 49", "1 to 48"]),
        ("c.csv --limit 0", &["--limit 0"]),
        ("c.csv --limit 2", &["--limit 2", "3 classes"]),
        ("c.csv --val-split 1", &["--val-split 1"]),
        ("c.csv --test-split -0.1", &["--test-split -0.1"]),
        ("c.csv --accumulate 0", &["--accumulate 0"]),
        ("c.csv --ema 1", &["--ema 1"]),
        ("c.csv --time soon", &["--time soon"]),
        ("c.csv --data-memory 0", &["--data-memory 0"]),
        ("c.csv --init nowhere.safetensors", &["nowhere.safetensors"]),
        ("c.csv --init c.csv", &["c.csv", "safetensors"]),
        ("c.csv --test t.csv", &["t.csv"]),
        (
            "c.csv --target-accuracy 90",
            &["--target-accuracy 90", "at most 1"],
        ),
        ("c.csv --tensorbord", &["--tensorboard"]),
        ("c.csv --resume nowhere", &["nowhere", "no run folder"]),
    ] {
        if line.contains("--resume") {
            place.refuses(&format!("train {line}"), wanted);
        } else {
            place.no_run(line, wanted);
        }
    }
    place.refuses("train c.csv --resume a --out b", &["--resume", "--out"]);
    place.refuses(
        "train c.csv --resume a --config b",
        &["--resume", "--config"],
    );
    place.refuses(
        "data c.csv --sheet s.png",
        &["--sheet s.png", "no pictures"],
    );
    place.refuses("data c.csv --sheet s.jpg", &["--sheet s.jpg", "PNG"]);
    place.refuses(
        "data c.csv --sheet s.png --no-sheet",
        &["--sheet", "--no-sheet"],
    );
    place.refuses("run nothing", &["nothing", "recipe"]);
    place.refuses("run tiny-mpl", &["did you mean tiny-mlp"]);
    place.refuses("run tiny-mlp --config x.toml", &["recipe", "--config"]);
    place.write("r.toml", "model = \"mlp\"\n");
    place.refuses("run r.toml", &["r.toml", "source"]);
    place.write(
        "r.toml",
        "source = \"c.csv\"\n[[member]]\nmodel = \"mlp\"\n",
    );
    place.refuses("run r.toml", &["r.toml", "member 0", "model"]);
    place.write(
        "r.toml",
        "source = \"c.csv\"\n[[member]]\nname = \"fast\"\nlr = -1.0\n",
    );
    place.refuses("run r.toml", &["member fast", "lr -1"]);
    place.refuses("lr-find c.csv --lr 0.1", &["--lr", "--from"]);
    place.refuses("lr-find c.csv --schedule cosine", &["--schedule"]);
    place.refuses(
        "lr-find c.csv --from 1 --to 0.1",
        &["from 1.0 to 0.1", "the smaller first"],
    );
    place.refuses("lr-find c.csv --steps 1", &["1 steps are too few"]);
    place.refuses(
        "lr-find c.csv --plot nowhere/p.png",
        &["--plot nowhere/p.png", "no folder nowhere"],
    );
    place.refuses("lr-find c.csv --plot c.csv", &["--plot c.csv", "PNG"]);
    place.refuses("runs nowhere", &["nowhere"]);
    place.refuses("compare nowhere", &["nowhere", "no run folder"]);
    assert_eq!(tree(dir).len(), 3);
}
