//! Small data sets, written as people have them: pictures in folders, tables, arrays.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use flate2::{Compression, Crc, write::GzEncoder};
use image::{Rgb, RgbImage};

use super::Random;

/// The classes of [`shapes`].
pub const SHAPES: [&str; 3] = ["bar", "cross", "disc"];

/// A bright shape somewhere near the middle of a dark 16x16 picture.
pub fn shape(class: usize, random: &mut Random) -> RgbImage {
    let (cx, cy) = (7 + random.below(3) as i32, 7 + random.below(3) as i32);
    let ink = Rgb([150u8, 100, 200].map(|c| c + random.below(50) as u8));
    let ground = random.below(30) as u8;
    RgbImage::from_fn(16, 16, |x, y| {
        let (dx, dy) = (x as i32 - cx, y as i32 - cy);
        let inside = match class {
            0 => dy.abs() <= 1,
            1 => dy.abs() <= 1 || dx.abs() <= 1,
            _ => dx * dx + dy * dy <= 20,
        };
        if inside { ink } else { Rgb([ground; 3]) }
    })
}

/// Writes `train/` and `test/` with a folder a class.
pub fn shapes(dir: &Path, per_class: [usize; 2]) {
    let mut random = Random(7);
    for (part, n) in ["train", "test"].iter().zip(per_class) {
        for (class, name) in SHAPES.iter().enumerate() {
            let folder = dir.join(part).join(name);
            fs::create_dir_all(&folder).unwrap();
            for ix in 0..n {
                let picture = shape(class, &mut random);
                // Formats take turns.
                let ext = ["png", "bmp", "webp"][ix % 3];
                picture.save(folder.join(format!("{ix}.{ext}"))).unwrap();
            }
        }
    }
}

/// The header and rows of a table of flowers: two numbers, a colour, the kind. Every 11th row misses a
/// number, every 13th the colour; a comma, a quote and blanks stand in quoted cells.
pub fn flowers(n: usize, seed: u64) -> String {
    let mut random = Random(seed);
    let mut text = "height,\"width, in cm\",colour,kind\n".to_string();
    for row in 0..n {
        let kind = row % 3;
        let height = 10.0 + 5.0 * kind as f32 + random.signed();
        let width = 3.0 - kind as f32 + 0.4 * random.signed();
        let height = match row % 11 {
            10 => String::new(),
            _ => format!("{height:.3}"),
        };
        let colour = match (row % 13, random.below(10)) {
            (12, _) => "",
            (_, 0) => "white",
            _ => ["red", "\"blue, pale\"", "\"the \"\"yellow\"\" one\""][kind],
        };
        let kind = ["rose", "lily", "iris"][kind];
        writeln!(text, "{height},{width:.3},{colour},{kind}").unwrap();
    }
    text
}

/// Rows of y = 3 a - 2 b + c + noise, c being 5 for "big", 0 for "small", with `separator`.
pub fn prices(n: usize, separator: char, seed: u64) -> String {
    let mut random = Random(seed);
    let s = separator;
    let mut text = format!("a{s}b{s}size{s}price\n");
    for _ in 0..n {
        let (a, b) = (random.signed() * 10.0, random.signed() * 4.0);
        let big = random.below(2) == 1;
        let y = 3.0 * a - 2.0 * b + if big { 5.0 } else { 0.0 } + 0.2 * random.signed();
        let size = if big { "big" } else { "small" };
        writeln!(text, "{a:.4}{s}{b:.4}{s}{size}{s}{y:.4}").unwrap();
    }
    text
}

/// Grey pictures of `side` x `side` with their class, each class bright in its own stretch of rows.
pub fn stripes(n: usize, side: usize, classes: usize, seed: u64) -> (Vec<u8>, Vec<u8>) {
    let mut random = Random(seed);
    let mut pixels = Vec::with_capacity(n * side * side);
    let labels: Vec<u8> = (0..n).map(|ix| (ix % classes) as u8).collect();
    for &label in &labels {
        for row in 0..side {
            let bright = row * classes / side == usize::from(label);
            for _ in 0..side {
                let level = if bright { 180 } else { 20 };
                pixels.push(level + random.below(50) as u8);
            }
        }
    }
    (pixels, labels)
}

/// An IDX file of bytes.
pub fn idx(dims: &[usize], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    for &dim in dims {
        bytes.extend((dim as u32).to_be_bytes());
    }
    bytes.extend(data);
    bytes
}

pub fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An IDX folder of 4 classes of 8x8, raw or packed.
pub fn idx_folder(dir: &Path, packed: bool) {
    fs::create_dir_all(dir).unwrap();
    for (part, n, seed) in [("train", 160, 1), ("t10k", 40, 2)] {
        let (pixels, labels) = stripes(n, 8, 4, seed);
        let files = [
            (
                format!("{part}-images-idx3-ubyte"),
                idx(&[n, 8, 8], &pixels),
            ),
            (format!("{part}-labels-idx1-ubyte"), idx(&[n], &labels)),
        ];
        for (name, bytes) in files {
            match packed {
                true => fs::write(dir.join(name + ".gz"), gz(&bytes)).unwrap(),
                false => fs::write(dir.join(name), bytes).unwrap(),
            }
        }
    }
}

/// A .npy array: `descr` as in `|u1`.
pub fn npy(descr: &str, dims: &[usize], data: &[u8]) -> Vec<u8> {
    let dims: String = dims.iter().map(|dim| format!("{dim}, ")).collect();
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({dims}), }}");
    let pad = (64 - (10 + header.len() + 1) % 64) % 64;
    header.push_str(&" ".repeat(pad));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

/// A zip archive of stored members, as `np.savez` writes it.
pub fn zip(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in members {
        let offset = bytes.len() as u32;
        let mut crc = Crc::new();
        crc.update(data);
        // Version, flags, stored, time and date; checksum, both sizes, name, nothing extra.
        let mut common = [20u16, 0, 0, 0, 0x21].map(u16::to_le_bytes).concat();
        common.extend(crc.sum().to_le_bytes());
        common.extend((data.len() as u32).to_le_bytes());
        common.extend((data.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend(0u16.to_le_bytes());
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&common);
        bytes.extend(name.as_bytes());
        bytes.extend(data);
        directory.extend(b"PK\x01\x02");
        directory.extend(20u16.to_le_bytes());
        directory.extend(&common);
        // Comment, disk, attributes inside and outside.
        directory.extend([0u8; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (at, n) = (bytes.len() as u32, members.len() as u16);
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(n.to_le_bytes());
    bytes.extend(n.to_le_bytes());
    bytes.extend((directory.len() as u32).to_le_bytes());
    bytes.extend(at.to_le_bytes());
    bytes.extend(0u16.to_le_bytes());
    bytes
}

/// Keras' layout: pictures of bytes with labels, and a test part.
pub fn npz() -> Vec<u8> {
    let (train, train_labels) = stripes(160, 8, 4, 3);
    let (test, test_labels) = stripes(40, 8, 4, 4);
    zip(&[
        ("x_train.npy", npy("|u1", &[160, 8, 8], &train)),
        ("y_train.npy", npy("|u1", &[160], &train_labels)),
        ("x_test.npy", npy("|u1", &[40, 8, 8], &test)),
        ("y_test.npy", npy("|u1", &[40], &test_labels)),
    ])
}

/// CIFAR-10's binary layout: label, then 3 planes of 32x32. A class is bright in a stretch of rows of
/// its own.
pub fn cifar(n: usize, seed: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (pixels, labels) = stripes(n, 32, 10, seed);
    for (picture, label) in pixels.chunks(1024).zip(labels) {
        bytes.push(label);
        for _ in 0..3 {
            bytes.extend(picture);
        }
    }
    bytes
}

/// Two overlapping clouds, the second class being one in `rarity`.
pub fn imbalanced(n: usize, rarity: usize, seed: u64) -> String {
    let mut random = Random(seed);
    let mut text = "x,y,label\n".to_string();
    for row in 0..n {
        let rare = row % rarity == 0;
        let centre = if rare { 0.8 } else { 0.0 };
        let mut draw = || centre + random.signed() + random.signed();
        let (x, y) = (draw(), draw());
        let label = if rare { "rare" } else { "usual" };
        writeln!(text, "{x:.4},{y:.4},{label}").unwrap();
    }
    text
}
