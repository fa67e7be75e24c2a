//! Tests of tables, by what they are about.

mod encoding;
mod further;
mod reading;
mod refusals;
mod targets;

use std::path::PathBuf;

use super::*;
use crate::data::source::{Content, Source, Targets};
use crate::{Error, Result};

/// A file that is removed with its folder.
struct Table {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn table_in(name: &str, bytes: impl AsRef<[u8]>) -> Table {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    Table {
        _folder: folder,
        path,
    }
}

fn read_with(bytes: impl AsRef<[u8]>, options: &TableOptions) -> Result<Source> {
    read(&table_in("t.csv", bytes).path, options)
}

fn good(bytes: impl AsRef<[u8]>) -> Source {
    read_with(bytes, &TableOptions::default()).unwrap()
}

fn raw(source: Source) -> RawTable {
    match source.content {
        Content::Table(raw) => raw,
        other => panic!("{other:?}"),
    }
}

/// The message of a refusal, which must be short and name the file.
fn refusal_with(bytes: impl AsRef<[u8]>, options: &TableOptions) -> String {
    let error = read_with(bytes, options).unwrap_err();
    assert!(
        matches!(error, Error::Data(_) | Error::Usage(_)),
        "{error:?}"
    );
    let message = error.to_string();
    assert!(message.contains("t.csv"), "{message}");
    assert!(
        message.lines().count() <= 2 && message.len() < 700,
        "{message}"
    );
    message
}

#[track_caller]
fn refused(bytes: impl AsRef<[u8]>, parts: &[&str]) {
    refused_with(bytes, &TableOptions::default(), parts);
}

#[track_caller]
fn refused_with(bytes: impl AsRef<[u8]>, options: &TableOptions, parts: &[&str]) {
    let message = refusal_with(bytes, options);
    for part in parts {
        assert!(message.contains(part), "no {part:?} in {message:?}");
    }
}

fn options(f: impl FnOnce(&mut TableOptions)) -> TableOptions {
    let mut options = TableOptions::default();
    f(&mut options);
    options
}

fn with_target(name: &str) -> TableOptions {
    options(|o| o.target = Some(name.to_string()))
}

fn with_missing(missing: Missing) -> TableOptions {
    options(|o| o.missing = missing)
}

fn all(raw: &RawTable) -> Vec<u32> {
    (0..raw.len() as u32).collect()
}

fn classes(source: &Source) -> (&[u32], Vec<&str>) {
    match &source.targets {
        Targets::Classes { labels, names } => (labels, names.iter().map(|s| &s[..]).collect()),
        other => panic!("{other:?}"),
    }
}

fn values(source: &Source) -> &[f32] {
    match &source.targets {
        Targets::Values { values, .. } => values,
        other => panic!("{other:?}"),
    }
}

fn noted(notes: &[String], parts: &[&str]) {
    let found = notes
        .iter()
        .any(|n| parts.iter().all(|part| n.contains(part)));
    assert!(found, "no note with {parts:?} in {notes:#?}");
}

/// `n` rows from their number.
fn rows(header: &str, n: usize, row: impl Fn(usize) -> String) -> String {
    let lines: Vec<String> = (0..n).map(row).collect();
    format!("{header}\n{}\n", lines.join("\n"))
}
