//! .npz archives of NumPy arrays: `x_train`, `y_train`, `x_test`, `y_test` as in Keras' mnist.npz.

mod samples;
mod targets;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::path::Path;

use super::npy::{self, Array};
use super::open::regular;
use super::source::{Content, Source};
use super::zip::Archive;
use crate::{Error, Result};

/// The names of inputs and targets for training, validation and test: Keras' and MedMNIST's, and
/// the common ones of archives without parts.
const LAYOUTS: [[&str; 6]; 6] = [
    ["x_train", "y_train", "x_val", "y_val", "x_test", "y_test"],
    ["X_train", "y_train", "X_val", "y_val", "X_test", "y_test"],
    [
        "train_images",
        "train_labels",
        "val_images",
        "val_labels",
        "test_images",
        "test_labels",
    ],
    ["x", "y", "", "", "", ""],
    ["X", "y", "", "", "", ""],
    ["data", "target", "", "", "", ""],
];

/// A part's arrays and where its samples lie among all.
struct Part {
    /// `training`, `validation` or `test`.
    kind: &'static str,
    /// The names of the arrays.
    x: &'static str,
    y: &'static str,
    range: Range<usize>,
}

/// Reads the arrays of a data set, in the order training, validation, test.
///
/// Inputs of rank 2 are vectors `[N, F]`, of rank 3 grey pictures `[N, H, W]`, of rank 4 pictures
/// `[N, H, W, C]`, or `[N, C, H, W]` where only that gives 1 or 3 channels. Targets that are integers
/// are classes; so are one-hot rows, and floats that are few whole numbers; other floats are values.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read; [`Error::Data`], naming file and array, where it
/// is damaged, an array is missing or of another type or shape, counts do not agree, a number is
/// NaN or infinite, or a label is negative, out of range, or the only one.
pub fn read(path: &Path) -> Result<Source> {
    let bad = |what: String| Error::Data(format!("{}: {what}", path.display()));
    let (file, len) = regular(path)?;
    let mut archive = Archive::open(file, len)
        .map_err(|error| bad(format!("no .npz archive of arrays ({error})")))?;
    let names: Vec<String> = archive
        .names()
        .filter_map(|name| name.strip_suffix(".npy"))
        .map(str::to_string)
        .collect();
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    let Some(layout) = LAYOUTS.into_iter().find(|layout| has(layout[0])) else {
        let found = match names.len() {
            0 => "no arrays".to_string(),
            _ => format!("the arrays {}", shown(&names)),
        };
        return Err(bad(format!(
            "{found}; wanted are x_train and y_train, and x_test and y_test if there is a test part (or x and y)"
        )));
    };

    let mut notes = Vec::new();
    let mut inputs = samples::Builder::default();
    let mut targets = targets::Builder::default();
    let mut parts = Vec::new();
    for (kind, pair) in ["training", "validation", "test"]
        .into_iter()
        .zip(layout.chunks(2))
    {
        let (x, y) = (pair[0], pair[1]);
        if kind != "training" && !has(x) && !has(y) {
            continue;
        }
        for (name, other) in [(x, y), (y, x)] {
            if !has(name) {
                return Err(bad(format!("there is {other}, but no {name}")));
            }
        }
        let start = inputs.count;
        inputs
            .add(x, array(&mut archive, x).map_err(bad)?)
            .map_err(bad)?;
        let n = inputs.count - start;
        let n_targets = targets
            .add(y, array(&mut archive, y).map_err(bad)?)
            .map_err(bad)?;
        if n != n_targets {
            return Err(bad(format!("{x} has {n} samples, {y} has {n_targets}")));
        }
        let range = start..inputs.count;
        parts.push(Part { kind, x, y, range });
    }
    let (shape, samples) = inputs.finish(&parts, &mut notes);
    let targets = targets.finish(path, &parts, &mut notes)?;
    let range_of = |kind: &str| {
        let part = parts.iter().find(|part| part.kind == kind)?;
        Some(part.range.clone())
    };
    Ok(Source {
        content: Content::Samples { shape, samples },
        targets,
        test: range_of("test"),
        val: range_of("validation"),
        names: Vec::new(),
        notes,
    })
}

/// Reads one array, with a message that names it.
fn array(archive: &mut Archive, name: &str) -> Result<Array, String> {
    let member = archive
        .member(&format!("{name}.npy"))
        .map_err(|error| format!("{name}: {error}"))?;
    let Some(member) = member else {
        return Err(format!("there is no array {name}"));
    };
    npy::read(member).map_err(|error| format!("{name}: {error}"))
}

fn shown(names: &[String]) -> String {
    const MOST: usize = 10;
    let first: Vec<&str> = names.iter().take(MOST).map(String::as_str).collect();
    let more = if names.len() > MOST { ", ..." } else { "" };
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    first
        .join(", ")
        .chars()
        .map(plain)
        .chain(more.chars())
        .collect()
}

/// Refuses NaN and infinite numbers of an array in C order, with their count and first place.
fn check_finite(name: &str, values: &[f32], shape: &[usize]) -> Result<(), String> {
    let Some(first) = values.iter().position(|value| !value.is_finite()) else {
        return Ok(());
    };
    let count = values.iter().filter(|value| !value.is_finite()).count();
    let mut place = vec![0; shape.len()];
    let mut rest = first;
    for (at, &dim) in place.iter_mut().zip(shape).rev() {
        *at = rest % dim;
        rest /= dim;
    }
    let (numbers, is) = if count == 1 {
        ("number", "is")
    } else {
        ("numbers", "are")
    };
    Err(format!(
        "{name}: {count} {numbers} {is} NaN, infinite or beyond float32, the first at {place:?}; mend or leave out these samples"
    ))
}
