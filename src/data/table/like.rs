//! Reads a further table with the columns of one that a model was trained on.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use csv::ByteRecord;

use super::cell::{self, Cell};
use super::column::utf8;
use super::header::{self, Header};
use super::read::sample;
use super::rows::{self, TableFile, count};
use super::target::TargetReader;
use super::{Column, ColumnKind, Encoding, Missing, RawTable, TableEncoder, TargetInfo};
use crate::Result;
use crate::data::source::Targets;

/// A table to evaluate or predict, for [`TableEncoder::encode`].
#[derive(Clone, Debug)]
pub struct LikeTable {
    pub raw: RawTable,
    /// Absent where they were not wanted.
    pub targets: Option<Targets>,
    pub notes: Vec<String>,
}

/// Reads the table `path` as one with the columns that `encoder` was fitted on, found by name in
/// any order where both files have a header, else by place. Targets are read only where wanted,
/// and rows left out (without a target, or under [`Missing::Drop`] with a missing value) only then:
/// without targets there is a row for every one of the file.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io); [`Error::Data`](crate::Error::Data), with line and column where
/// there is one: a column that is not there, a number that is none, a class the model does not
/// know, a missing value that the model's training refused.
pub fn read_like(
    path: &Path,
    encoder: &TableEncoder,
    target: &TargetInfo,
    want_target: bool,
) -> Result<LikeTable> {
    let file = TableFile::open(path)?;
    let mut rows = file.rows()?;
    let sample = sample(&mut rows)?;
    let places = find_columns(&file, &sample, encoder, target, want_target)?;
    let mut reading = Reading::new(&file, encoder, target, &places);
    for row in &sample[usize::from(places.header)..] {
        reading.row(row)?;
    }
    drop(sample);
    let mut row = ByteRecord::new();
    while rows.next(&mut row)? {
        reading.row(&row)?;
    }
    reading.finish(target)
}

/// Where a file has a model's columns.
struct Places {
    header: bool,
    inputs: Vec<usize>,
    /// Where it is wanted.
    target: Option<usize>,
    width: usize,
    notes: Vec<String>,
}

fn find_columns(
    file: &TableFile,
    sample: &[ByteRecord],
    encoder: &TableEncoder,
    target: &TargetInfo,
    want_target: bool,
) -> Result<Places> {
    let mut notes = file.notes.clone();
    let width = sample[0].len();
    let inputs = || encoder.columns.iter();
    let looks_named = header::is_header(sample);
    if encoder.header {
        let known = |cell: &[u8]| {
            let mut names = inputs().map(|c| &c.name).chain([&target.name]);
            names.any(|name| name.as_bytes() == cell.trim_ascii())
        };
        if looks_named || sample[0].iter().any(known) {
            let header = Header::named(file, &sample[0])?;
            return find_names(file, header, encoder, target, want_target, notes);
        }
        notes
            .push("no header: the columns are taken in the order of the training file".to_string());
    } else if looks_named {
        notes.push("the first row is taken for a header and left out".to_string());
    }
    // The file of a prediction may be without the target's column.
    let cut = width + 1 == encoder.width && !want_target;
    if width != encoder.width && !cut {
        return Err(file.error(format!(
            "{} where the model's table has {}, and no header that names them",
            count(width, "column"),
            encoder.width
        )));
    }
    let place =
        |c: &super::InputColumn| c.position - usize::from(cut && c.position > target.position);
    Ok(Places {
        header: looks_named,
        inputs: inputs().map(place).collect(),
        target: want_target.then_some(target.position),
        width,
        notes,
    })
}

/// Finds the columns by their names.
fn find_names(
    file: &TableFile,
    header: Header,
    encoder: &TableEncoder,
    target: &TargetInfo,
    want_target: bool,
    mut notes: Vec<String>,
) -> Result<Places> {
    const MOST: usize = 5;
    let position: HashMap<&str, usize> = header.names.iter().map(String::as_str).zip(0..).collect();
    let wanted = encoder.columns.iter().map(|column| &column.name[..]);
    let target_name = want_target.then_some(&target.name[..]);
    let absent: Vec<&str> = wanted
        .clone()
        .chain(target_name)
        .filter(|name| !position.contains_key(name))
        .collect();
    if let Some(first) = absent.first() {
        let shown: Vec<String> = absent
            .iter()
            .take(MOST)
            .map(|name| format!("{name:?}"))
            .collect();
        let more = absent.len().saturating_sub(MOST);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        return Err(file.error(format!(
            "no column {}{more}, which the model needs{}",
            shown.join(", "),
            header::near(first, header.names.iter().map(String::as_str))
        )));
    }
    let known: HashSet<&str> = wanted.clone().chain([&target.name[..]]).collect();
    let names = header.names.iter().map(String::as_str);
    let extra: Vec<&str> = names.filter(|name| !known.contains(name)).collect();
    if !extra.is_empty() {
        let shown = extra[..extra.len().min(MOST)].join(", ");
        let more = if extra.len() > MOST { ", ..." } else { "" };
        notes.push(format!(
            "{} that the model does not use: {shown}{more}",
            count(extra.len(), "column")
        ));
    }
    Ok(Places {
        header: true,
        inputs: wanted.map(|name| position[name]).collect(),
        target: target_name.map(|name| position[name]),
        width: header.names.len(),
        notes,
    })
}

/// How the cells of one column are read.
enum Known<'a> {
    Number,
    Category {
        numbers: HashMap<&'a str, usize>,
        /// The first text that is none of them; all such have the number after the last.
        stranger: Option<String>,
    },
}

struct Reading<'a> {
    file: &'a TableFile,
    encoder: &'a TableEncoder,
    places: &'a Places,
    known: Vec<Known<'a>>,
    target_name: &'a str,
    targets: TargetReader<'a>,
    matrix: Vec<f32>,
    rows: usize,
    missing: usize,
    without_target: usize,
    dropped: usize,
}

impl<'a> Reading<'a> {
    fn new(
        file: &'a TableFile,
        encoder: &'a TableEncoder,
        target: &'a TargetInfo,
        places: &'a Places,
    ) -> Reading<'a> {
        let known = encoder.columns.iter().map(|column| match &column.encoding {
            Encoding::Number { .. } => Known::Number,
            Encoding::OneHot { categories, .. } => Known::Category {
                numbers: categories.iter().map(String::as_str).zip(0..).collect(),
                stranger: None,
            },
        });
        Reading {
            file,
            encoder,
            places,
            known: known.collect(),
            target_name: &target.name,
            targets: TargetReader::new(target),
            matrix: Vec::new(),
            rows: 0,
            missing: 0,
            without_target: 0,
            dropped: 0,
        }
    }

    fn row(&mut self, row: &ByteRecord) -> Result<()> {
        let byte = rows::byte(row);
        let missing = |column: usize| cell::parse(&row[column]) == Cell::Missing;
        let (places, policy) = (self.places, self.encoder.missing);
        if places.target.is_some_and(missing) {
            self.without_target += 1;
            return Ok(());
        }
        let drops = places.target.is_some() && policy == Missing::Drop;
        if drops && places.inputs.iter().any(|&column| missing(column)) {
            self.dropped += 1;
            return Ok(());
        }
        if let Some(column) = places.target {
            let pushed = self.targets.push(&row[column]);
            pushed.map_err(|what| self.file.error_at(byte, self.target_name, what))?;
        }
        let columns = self.known.iter_mut().zip(&places.inputs);
        for ((known, &at), column) in columns.zip(&self.encoder.columns) {
            let cell = &row[at];
            let wrong = |what: String| self.file.error_at(byte, &column.name, what);
            let value = match (cell::parse(cell), known) {
                (Cell::Missing, _) => {
                    let filled = matches!(policy, Missing::Mean | Missing::Median);
                    if !filled {
                        return Err(wrong(
                            "the value is missing; the model was trained to take none (--missing mean \
                             when training fills them in)"
                                .to_string(),
                        ));
                    }
                    self.missing += 1;
                    f32::NAN
                }
                (Cell::Number(number), Known::Number) if (number as f32).is_finite() => {
                    number as f32
                }
                (_, Known::Number) => {
                    let shown = cell::show(cell);
                    return Err(wrong(format!("{shown} is not a finite number of 32 bits")));
                }
                (_, Known::Category { numbers, stranger }) => {
                    let text = utf8(cell).map_err(|error| wrong(error.0))?;
                    let number = numbers.get(text).copied();
                    number.unwrap_or_else(|| {
                        stranger.get_or_insert_with(|| text.to_string());
                        numbers.len()
                    }) as f32
                }
            };
            self.matrix.push(value);
        }
        self.rows += 1;
        Ok(())
    }

    fn finish(self, target: &TargetInfo) -> Result<LikeTable> {
        let mut notes = self.places.notes.clone();
        if self.rows == 0 {
            let why = match (self.without_target, self.dropped) {
                (0, 0) => "the table has no rows",
                (_, 0) => "no row has a value in the target column",
                _ => "every row has a missing value or no target",
            };
            return Err(self.file.error(why));
        }
        for (n, what) in [
            (self.without_target, "without a target left out"),
            (
                self.dropped,
                "with missing values left out (the model was trained with --missing drop)",
            ),
        ] {
            if n > 0 {
                notes.push(format!("{} {what}", count(n, "row")));
            }
        }
        if self.missing > 0 {
            let missing = count(self.missing, "value");
            notes.push(format!(
                "{missing} missing, filled as the training rows say"
            ));
        }
        let columns = self
            .encoder
            .columns
            .iter()
            .zip(self.known)
            .zip(&self.places.inputs);
        let columns = columns.map(|((column, known), &position)| Column {
            name: column.name.clone(),
            position,
            kind: match (&column.encoding, known) {
                (Encoding::OneHot { categories, .. }, Known::Category { stranger, .. }) => {
                    ColumnKind::Category(categories.iter().cloned().chain(stranger).collect())
                }
                _ => ColumnKind::Number,
            },
        });
        Ok(LikeTable {
            raw: RawTable {
                columns: columns.collect(),
                matrix: self.matrix,
                rows: self.rows,
                target: target.clone(),
                header: self.places.header,
                width: self.places.width,
                missing: self.encoder.missing,
            },
            targets: self.places.target.map(|_| self.targets.finish()),
            notes,
        })
    }
}
