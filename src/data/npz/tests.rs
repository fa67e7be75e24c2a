//! Tests of .npz files: NumPy's own (tests/reference/npz.py), and bad ones made here.

use std::io::Write;
use std::path::PathBuf;

use super::*;
use crate::data::npy::{Kind, Values};
use crate::data::source::{Samples, Targets};

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/reference/npz")
        .join(name)
}

/// Shape, samples, targets.
fn parts(source: &Source) -> (String, &Samples, &Targets) {
    match &source.content {
        Content::Samples { shape, samples } => (shape.to_string(), samples, &source.targets),
        other => panic!("no samples: {other:?}"),
    }
}

fn classes(labels: &[u32], n: usize) -> Targets {
    Targets::Classes {
        labels: labels.to_vec(),
        names: (0..n).map(|class| class.to_string()).collect(),
    }
}

fn assert_noted(source: &Source, note: &str) {
    let notes = &source.notes;
    assert!(notes.iter().any(|n| n.contains(note)), "{note}: {notes:?}");
}

#[test]
fn every_type_and_order_that_numpy_writes_is_read() {
    for file in ["types-stored.npz", "types-deflated.npz"] {
        let (opened, len) = regular(&reference(file)).unwrap();
        let mut archive = Archive::open(opened, len).unwrap();
        let names: Vec<String> = archive.names().map(str::to_string).collect();
        assert_eq!(names.len(), 42);
        for name in names {
            let array = npy::read(archive.member(&name).unwrap().unwrap()).unwrap();
            assert_eq!(array.shape, [2, 3, 4]);
            let value = |i: i32| match array.kind {
                Kind::Bool => f32::from(u8::from(i % 3 == 0)),
                Kind::Float => (i - 11) as f32 / 4.0,
                Kind::Integer if array.dtype.starts_with('u') => (i * 5) as f32,
                Kind::Integer => (i * 5 - 3 * (i % 2)) as f32,
            };
            let expected: Vec<f32> = (0..24).map(value).collect();
            assert_eq!(
                matches!(array.values, Values::Bytes(_)),
                name.starts_with("u1")
            );
            assert_eq!(array.values.into_floats(), expected, "{file} {name}");
        }
    }
}

#[test]
fn keras_layout_is_read() {
    let source = read(&reference("keras.npz")).unwrap();
    let (shape, samples, targets) = parts(&source);
    assert_eq!(shape, "1x2x3");
    assert_eq!(*samples, Samples::Bytes((0..30).collect()));
    assert_eq!(*targets, classes(&[0, 2, 1, 0, 2], 3));
    assert_eq!(
        (source.test.clone(), source.val.clone()),
        (Some(4..5), None)
    );
    assert_noted(
        &source,
        "x_train: 4 grey pictures, [N, H, W] [4, 2, 3], uint8",
    );
}

#[test]
fn channels_at_the_end_are_moved_to_the_front() {
    let source = read(&reference("channels-last.npz")).unwrap();
    let (shape, samples, targets) = parts(&source);
    assert_eq!(shape, "3x2x2");
    let sample = |n: usize| (0..3).flat_map(move |c| (0..4).map(move |p| n * 12 + p * 3 + c));
    let expected = (0..3).flat_map(sample).map(|i| i as f32 / 8.0).collect();
    assert_eq!(*samples, Samples::Floats(expected));
    assert_eq!(*targets, classes(&[1, 0, 1], 2));
    assert_noted(&source, "[N, H, W, C]");
    assert_noted(&source, "values from 0 to 4.375");
}

#[test]
fn channels_in_front_integers_and_one_hot_are_understood() {
    let source = read(&reference("channels-first.npz")).unwrap();
    let (shape, samples, targets) = parts(&source);
    assert_eq!(shape, "3x2x4");
    assert_eq!(*samples, Samples::Bytes((0..72).collect()));
    assert_eq!(*targets, classes(&[3, 0, 1], 4));
    assert_noted(&source, "[N, C, H, W]");
    assert_noted(&source, "from 0 to 71, taken as pixels");
    assert_noted(&source, "one-hot rows of 4 classes");
    assert_noted(&source, "1 of 4 classes have no training samples: 2");
}

#[test]
fn floats_are_values() {
    let source = read(&reference("values.npz")).unwrap();
    let (shape, samples, targets) = parts(&source);
    assert_eq!(shape, "2 inputs");
    assert_eq!(
        *samples,
        Samples::Floats((0..10).map(|i| i as f32 / 2.0).collect())
    );
    let values = vec![-2.0, -0.5, 1.0, 2.5, 4.0];
    let name = "y".to_string();
    assert_eq!(*targets, Targets::Values { values, name });
}

/// A .npy file of version 1.0.
fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn floats(shape: &str, values: &[f32]) -> Vec<u8> {
    let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    npy("<f4", shape, &data)
}

/// A zip archive of deflated members.
fn zip(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, contents) in members {
        let mut packed = flate2::write::DeflateEncoder::new(Vec::new(), Default::default());
        packed.write_all(contents).unwrap();
        let packed = packed.finish().unwrap();
        let mut crc = flate2::Crc::new();
        crc.update(contents);
        let name = format!("{name}.npy");
        let mut common = vec![20, 0, 0, 0, 8, 0, 0, 0, 0, 0];
        for number in [crc.sum(), packed.len() as u32, contents.len() as u32] {
            common.extend(number.to_le_bytes());
        }
        common.extend([name.len() as u8, 0, 0, 0]);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend((bytes.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        bytes.extend(b"PK\x03\x04");
        bytes.extend(common);
        bytes.extend(name.as_bytes());
        bytes.extend(packed);
    }
    let at = bytes.len() as u32;
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    let n = members.len() as u8;
    bytes.extend([n, 0, n, 0]);
    bytes.extend((directory.len() as u32).to_le_bytes());
    bytes.extend(at.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

fn read_bytes(bytes: &[u8]) -> Result<Source> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("set.npz");
    std::fs::write(&path, bytes).unwrap();
    read(&path)
}

fn refusal(members: &[(&str, Vec<u8>)]) -> String {
    match read_bytes(&zip(members)) {
        Err(Error::Data(message)) => message,
        other => panic!("not refused: {other:?}"),
    }
}

fn x() -> Vec<u8> {
    npy("|u1", "(3, 1, 2)", &[1, 2, 3, 4, 5, 6])
}

fn y() -> Vec<u8> {
    npy("|u1", "(3,)", &[0, 1, 0])
}

#[test]
fn archives_made_here_are_read_too() {
    let source = read_bytes(&zip(&[("x", x()), ("y", y())])).unwrap();
    assert_eq!(*parts(&source).1, Samples::Bytes(vec![1, 2, 3, 4, 5, 6]));
    // Whole floats, few of them, are classes; a byte part joins a float part.
    let source = read_bytes(&zip(&[
        ("x_train", x()),
        ("y_train", floats("(3,)", &[1.0, 0.0, 2.0])),
        ("x_val", floats("(1, 1, 2)", &[0.5, 300.0])),
        ("y_val", y()[..y().len() - 2].to_vec()),
    ]));
    assert!(source.is_err(), "three labels, one there");
    let source = read_bytes(&zip(&[
        ("x_train", x()),
        ("y_train", floats("(3,)", &[1.0, 0.0, 2.0])),
        ("x_val", floats("(1, 1, 2)", &[0.5, 300.0])),
        ("y_val", npy("|u1", "(1,)", &[2])),
    ]))
    .unwrap();
    let all = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.5, 300.0];
    assert_eq!(*parts(&source).1, Samples::Floats(all));
    assert_eq!(*parts(&source).2, classes(&[1, 0, 2, 2], 3));
    assert_eq!(source.val, Some(3..4));
    assert_noted(&source, "3 different whole numbers: taken as classes");
}

#[test]
fn missing_arrays_and_wrong_counts_are_named() {
    assert!(refusal(&[]).contains("no arrays; wanted are x_train"));
    assert!(refusal(&[("a", x()), ("b", y())]).contains("the arrays a, b; wanted are x_train"));
    assert!(refusal(&[("x_train", x())]).contains("there is x_train, but no y_train"));
    let two = npy("|u1", "(2,)", &[0, 1]);
    let message = refusal(&[("x_train", x()), ("y_train", two)]);
    assert!(
        message.contains("x_train has 3 samples, y_train has 2"),
        "{message}"
    );
    let all = [("x_train", x()), ("y_train", y()), ("y_test", y())];
    assert!(refusal(&all).contains("there is y_test, but no x_test"));
    let wide = npy("|u1", "(3, 2, 1)", &[0; 6]);
    let all = [
        ("x_train", x()),
        ("y_train", y()),
        ("x_test", wide),
        ("y_test", y()),
    ];
    assert!(refusal(&all).contains("samples of [1, 2] in x_train, but of [2, 1] in x_test"));
}

#[test]
fn shapes_that_mean_nothing_are_refused() {
    let with_x =
        |shape: &str, n: usize| refusal(&[("x", npy("|u1", shape, &vec![0; n])), ("y", y())]);
    assert!(with_x("(6,)", 6).contains("wanted is [N, features]"));
    assert!(with_x("(3, 0)", 0).contains("nothing in an array of [3, 0]"));
    assert!(with_x("(3, 2, 2, 2)", 24).contains("neither 1 nor 3 channels"));
    let message = refusal(&[("x", x()), ("y", npy("|u1", "(3, 1, 1)", &[0; 3]))]);
    assert!(message.contains("one label or value a sample"), "{message}");
}

#[test]
fn numbers_that_are_not_finite_are_counted_and_placed() {
    let mut values = [0.5; 8];
    (values[5], values[6]) = (f32::NAN, f32::INFINITY);
    let y = npy("|u1", "(2,)", &[0, 1]);
    let message = refusal(&[("x", floats("(2, 2, 2)", &values)), ("y", y)]);
    assert!(
        message.contains("x: 2 numbers are NaN, infinite"),
        "{message}"
    );
    assert!(message.contains("first at [1, 0, 1]"), "{message}");
    let y = npy(
        "<f8",
        "(3,)",
        &[1e300f64, 0.5, 0.7].map(f64::to_le_bytes).concat(),
    );
    let message = refusal(&[("x", x()), ("y", y)]);
    assert!(message.contains("y: 1 number is NaN"), "{message}");
}

#[test]
fn labels_must_make_sense() {
    let with_y = |y| refusal(&[("x", x()), ("y", y)]);
    assert!(with_y(npy("|i1", "(3,)", &[0, 255, 1])).contains("y[1] is -1; classes are numbered"));
    let large = [1i32, 0, 20_000].map(i32::to_le_bytes).concat();
    assert!(with_y(npy("<i4", "(3,)", &large)).contains("y[2] is 20000; more than 10000"));
    assert!(with_y(npy("|u1", "(3,)", &[0; 3])).contains("every training label is 0"));
    let two = floats("(3, 2)", &[1.0, 0.0, 1.0, 1.0, 0.0, 1.0]);
    assert!(with_y(two).contains("y[1] is not one-hot"));
    let all = [
        ("x_train", x()),
        ("y_train", y()),
        ("x_test", x()),
        ("y_test", npy("|u1", "(3,)", &[0, 1, 2])),
    ];
    assert!(
        refusal(&all).contains("test label 3 has the value 2, but the training labels end at 1")
    );
}

#[test]
fn damaged_archives_are_refused() {
    let good = zip(&[("x", x()), ("y", y())]);
    assert!(read_bytes(&good).is_ok());
    for len in 0..good.len() {
        read_bytes(&good[..len]).unwrap_err();
    }
    let message = read_bytes(b"hello").unwrap_err().to_string();
    assert!(message.contains("set.npz: no .npz archive"), "{message}");

    // The checksum in the directory, and the method: bzip2.
    let directory = good.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    for (at, to, what) in [
        (16, 0x55, "checksum"),
        (10, 12, "method 12"),
        (8, 1, "encrypted"),
    ] {
        let mut bytes = good.clone();
        assert_ne!(bytes[directory + at], to);
        bytes[directory + at] = to;
        let message = read_bytes(&bytes).unwrap_err().to_string();
        assert!(message.contains(what), "{message}");
    }
}

#[test]
fn hostile_headers_are_refused() {
    let with_x = |x| refusal(&[("x", x), ("y", y())]);
    assert!(with_x(npy("<f4", "(1000000000, 784)", &[0; 40])).contains("there are only 10"));
    assert!(with_x(npy("|u1", "(1000000000, 784)", &[0; 40])).contains("there are only 40"));
    assert!(with_x(npy("<f4", "(18446744073709551615, 784)", &[])).contains("too large"));
    assert!(with_x(npy("<f4", "(4, 99999999999999999999999)", &[])).contains("not understood"));
    assert!(with_x(npy("|u1", "(3, 1, 2)", &vec![0; 1 << 26])).contains("but there are more"));
    assert!(with_x(b"\x93NUMPY\x03\x00\xff\xff\xff\xff{".to_vec()).contains("more than 10000"));
}
