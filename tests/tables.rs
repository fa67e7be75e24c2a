//! Tables against scikit-learn (tests/reference/tables.py), and against hostile files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gpu_train::Error;
use gpu_train::data::source::{Content, Targets};
use gpu_train::data::stats::column_stats;
use gpu_train::data::table::{Encoding, Missing, TableOptions, TaskKind, read, read_like};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    table: String,
    train: Vec<u32>,
    classes: Vec<String>,
    labels: Vec<u32>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    missing: Missing,
    fills: BTreeMap<String, Fill>,
    categories: BTreeMap<String, Vec<String>>,
    inputs: Vec<Vec<f64>>,
    stats: Stats,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Fill {
    Number(f64),
    Text(String),
}

#[derive(Deserialize)]
struct Stats {
    mean: Vec<f64>,
    std: Vec<f64>,
    min: Vec<f64>,
    max: Vec<f64>,
}

/// A file in a folder of its own, removed with it.
struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn file(name: &str, bytes: &[u8]) -> File {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("it can be written");
    File {
        _folder: folder,
        path,
    }
}

#[test]
fn encoding_and_statistics_are_scikit_learns() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/tables.json");
    let text = std::fs::read_to_string(path).expect("the reference is committed");
    let reference: Reference = serde_json::from_str(&text).expect("its format is known");
    assert_eq!(reference.cases.len(), 2);
    let file = file("reference.csv", reference.table.as_bytes());
    for case in &reference.cases {
        let options = TableOptions {
            missing: case.missing,
            ..TableOptions::default()
        };
        let source = read(&file.path, &options).expect("the table is good");
        let Targets::Classes { labels, names } = &source.targets else {
            panic!("{:?}", source.targets);
        };
        assert_eq!((labels, names), (&reference.labels, &reference.classes));
        let Content::Table(raw) = source.content else {
            panic!("a table is a table");
        };
        let encoder = raw.fit(&reference.train).expect("it can be fitted");
        for column in &encoder.columns {
            let name = &column.name;
            match (&column.encoding, &case.fills[name]) {
                // Sums in another order differ by less than an f32 can show, but for its rounding.
                (Encoding::Number { fill }, Fill::Number(want)) => {
                    assert!(
                        (f64::from(*fill) - want).abs() <= want.abs() * 6e-8,
                        "{name}"
                    );
                }
                (Encoding::OneHot { categories, fill }, Fill::Text(want)) => {
                    assert_eq!(categories, &case.categories[name]);
                    assert_eq!(&categories[*fill], want, "{name}");
                }
                (encoding, _) => panic!("{name}: {encoding:?}"),
            }
        }
        let inputs = encoder.inputs();
        let (matrix, notes) = encoder.encode(raw).expect("it can be encoded");
        assert!(notes.iter().any(|note| note.contains("mauve")), "{notes:?}");
        let want: Vec<f32> = case.inputs.concat().iter().map(|x| *x as f32).collect();
        assert_eq!(matrix, want, "{:?}", case.missing);

        let stats = column_stats(&matrix, inputs, 1, &reference.train);
        assert_eq!(stats.len(), case.stats.mean.len());
        for (ix, stats) in stats.iter().enumerate() {
            assert_eq!(
                (stats.min, stats.max),
                (case.stats.min[ix], case.stats.max[ix])
            );
            let mean = case.stats.mean[ix];
            let off = (stats.mean - mean).abs();
            assert!(off <= 1e-14 * mean.abs(), "input {ix}: mean {off:.1e} off");
            // scikit-learn's constant column has a deviation of rounding errors.
            let off = (stats.std - case.stats.std[ix]).abs();
            let bound = 1e-12 * case.stats.std[ix] + 1e-15 * mean.abs();
            assert!(off <= bound, "input {ix}: deviation {off:.1e} off");
        }
    }
}

/// Reads the bytes in every way. What comes out is whole and finite, or a short refusal.
fn hostile(name: &str, bytes: &[u8]) {
    let file = file(name, bytes);
    let short = |error: Error| {
        let message = error.to_string();
        assert!(matches!(error, Error::Data(_)), "{message}");
        assert!(message.lines().count() <= 2, "{message}");
        // The folder's path, and what is said.
        assert!(message.len() < 1000, "{message}");
    };
    for missing in [
        Missing::Mean,
        Missing::Median,
        Missing::Drop,
        Missing::Error,
    ] {
        for task in [
            None,
            Some(TaskKind::Classification),
            Some(TaskKind::Regression),
        ] {
            let options = TableOptions {
                target: Some("1".to_string()).filter(|_| missing == Missing::Median),
                task,
                missing,
                ignore: Vec::new(),
            };
            let source = match read(&file.path, &options) {
                Ok(source) => source,
                Err(error) => {
                    short(error);
                    continue;
                }
            };
            let Content::Table(raw) = source.content else {
                panic!("a table is a table");
            };
            let rows = raw.len();
            // A cell takes a byte, with its separator.
            assert!(rows * raw.width <= bytes.len() + 1);
            assert_eq!(source.targets.len(), rows);
            match &source.targets {
                Targets::Classes { labels, names } => {
                    assert!(labels.iter().all(|&label| (label as usize) < names.len()));
                }
                Targets::Values { values, .. } => assert!(values.iter().all(|x| x.is_finite())),
            }
            assert_eq!(raw.describe().len(), raw.columns.len());
            let train: Vec<u32> = (0..rows as u32).step_by(2).collect();
            let encoder = match raw.fit(&train) {
                Ok(encoder) => encoder,
                Err(error) => {
                    short(error);
                    continue;
                }
            };
            for want_target in [false, true] {
                match read_like(&file.path, &encoder, &raw.target, want_target) {
                    Ok(like) => {
                        let (matrix, _) =
                            encoder.encode(like.raw).expect("the columns are the same");
                        assert!(matrix.iter().all(|x| x.is_finite()));
                    }
                    Err(error) => short(error),
                }
            }
            let inputs = encoder.inputs();
            let (matrix, _) = encoder.encode(raw).expect("the columns are the same");
            assert_eq!(matrix.len(), rows * inputs);
            assert!(matrix.iter().all(|x| x.is_finite()));
        }
    }
}

/// Cells that columns are made of: of numbers, of categories, of everything.
const POOLS: [&[&str]; 3] = [
    &["1", "2", "-3.5", "0", "7", "1.0", "", "NA", "1e300"],
    &["red", "blue", "\"a,b\"", "\"a\nb\"", "été", "?", "1"],
    &[
        "1",
        "inf",
        "nan",
        "",
        "red",
        "\"",
        "\"\"",
        "2024-01-02",
        "12:30",
        "1,5",
        "\u{feff}",
        " ",
        "a=b",
        "\r",
    ],
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        hostile("a.csv", &bytes);
    }

    #[test]
    fn random_tables_of_random_bytes_do_no_harm(
        width in 2usize..5,
        cells in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 4..80),
    ) {
        let rows: Vec<Vec<u8>> = cells.chunks_exact(width).map(|row| row.join(&b',')).collect();
        hostile("a.csv", &rows.join(&b'\n'));
    }

    #[test]
    fn random_cells_do_no_harm(
        columns in prop::collection::vec(prop::sample::select(&[0usize, 0, 1, 1, 2][..]), 1..5),
        cells in prop::collection::vec(any::<prop::sample::Index>(), 0..120),
        newline in prop::sample::select(&["\n", "\r\n", "\r"][..]),
        separator in prop::sample::select(&[",", ";", "\t"][..]),
    ) {
        let row = |cells: &[prop::sample::Index]| {
            let pairs = columns.iter().zip(cells);
            let cells: Vec<&str> = pairs.map(|(&pool, at)| *at.get(POOLS[pool])).collect();
            cells.join(separator)
        };
        let lines: Vec<String> = cells.chunks_exact(columns.len()).map(row).collect();
        hostile("a.csv", lines.join(newline).as_bytes());
        hostile("a.tsv", lines.join(newline).as_bytes());
    }

    #[test]
    fn mutated_tables_do_no_harm(
        rows in 2usize..40,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 0..6),
    ) {
        let mut text = b"length,colour,size,kind\n".to_vec();
        for row in 0..rows {
            let (colour, kind) = (["red", "blue", ""][row % 3], ["x", "y"][row % 2]);
            text.extend(format!("{row}.25,{colour},{},{kind}\n", row * row).bytes());
        }
        for (at, byte, edit) in edits {
            let at = at.index(text.len());
            match edit {
                0 => text[at] = byte,
                1 => text.insert(at, b",\"\n\r;\t"[usize::from(byte) % 6]),
                _ => text.truncate(at.max(1)),
            }
        }
        hostile("a.csv", &text);
    }
}
