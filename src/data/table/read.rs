//! Reads a table to learn from.

use std::path::Path;

use csv::ByteRecord;

use super::cell::{self, Cell};
use super::column::Gather;
use super::header::{Header, numbered};
use super::rows::{self, Rows, TableFile, count};
use super::target::TargetGather;
use super::{Column, ColumnKind, Missing, RawTable, TableOptions};
use crate::Result;
use crate::data::source::{Content, Source};

/// The rows from which header and size are judged.
const SAMPLE: usize = 256;

/// Reads the table `path` (.csv, .tsv), whole, in one pass, or two where a column turns out late to
/// hold text. Peak memory is that of its f32 matrix and little more.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io); [`Error::Usage`](crate::Error::Usage) for a column that is not
/// there; [`Error::Data`](crate::Error::Data), with line and column where there is one, for all
/// that cannot be learnt from: rows of different widths, texts among numbers, infinite numbers,
/// dates, free text, a target of one class, missing values under [`Missing::Error`].
pub fn read(path: &Path, options: &TableOptions) -> Result<Source> {
    let file = TableFile::open(path)?;
    let mut rows = file.rows()?;
    let sample = sample(&mut rows)?;
    let width = sample[0].len();
    if width == 1 {
        return Err(file.error(
            "one column only: a table has inputs and a target, separated by commas, semicolons or tabs",
        ));
    }
    let header = Header::find(&file, &sample)?;
    let mut notes = file.notes.clone();
    notes.extend(header.notes.iter().cloned());
    if sample.len() == 1 {
        return Err(file.error("the table has one row only: a header, or nothing to compare with"));
    }
    let data = &sample[usize::from(header.present)..];

    let (target, inputs) = choose(&file, &header, data, options, &mut notes)?;
    let mut reading = Reading {
        file: &file,
        names: &header.names,
        target,
        gathers: inputs.iter().map(|_| Gather::new()).collect(),
        inputs,
        first_is_header: header.present,
        missing: options.missing,
        targets: TargetGather::new(),
        matrix: Vec::new(),
        without_target: 0,
        dropped: 0,
    };
    reading.reserve(rows.position(), sample.len());
    for row in data {
        reading.row(row)?;
    }
    drop(sample);
    let mut row = ByteRecord::new();
    while rows.next(&mut row)? {
        reading.row(&row)?;
    }
    reading.finish(options, &header, notes)
}

/// The first rows, at least one.
pub(super) fn sample(rows: &mut Rows) -> Result<Vec<ByteRecord>> {
    let mut sample = Vec::new();
    let mut row = ByteRecord::new();
    while sample.len() < SAMPLE && rows.next(&mut row)? {
        sample.push(row.clone());
    }
    Ok(sample)
}

/// The target's place and the inputs'.
fn choose(
    file: &TableFile,
    header: &Header,
    data: &[ByteRecord],
    options: &TableOptions,
    notes: &mut Vec<String>,
) -> Result<(usize, Vec<usize>)> {
    let width = header.names.len();
    let ignored = options
        .ignore
        .iter()
        .map(|typed| header.position(file, "--ignore", typed))
        .collect::<Result<Vec<usize>>>()?;
    let target = match &options.target {
        Some(typed) => header.position(file, "--target", typed)?,
        None => {
            // The last column, but not a nameless one that a separator at each line's end makes.
            let used = |column: &usize| !ignored.contains(column);
            let holds = |column: &usize| {
                let mut cells = data.iter().map(|row| cell::parse(&row[*column]));
                header.names[*column] != numbered(*column + 1)
                    || cells.any(|cell| cell != Cell::Missing)
            };
            let last = (0..width).rev().filter(used).find(holds);
            last.unwrap_or(width - 1)
        }
    };
    if ignored.contains(&target) {
        return Err(crate::Error::Usage(format!(
            "--ignore {}: the column is the target of {}",
            header.names[target],
            file.path.display()
        )));
    }
    let inputs = |column: &usize| *column != target && !ignored.contains(column);
    let inputs: Vec<usize> = (0..width).filter(inputs).collect();
    if inputs.is_empty() {
        return Err(file.error("no column is left as an input"));
    }
    if !ignored.is_empty() {
        let names: Vec<&str> = ignored.iter().map(|&at| &header.names[at][..]).collect();
        notes.push(format!("left out: {}", names.join(", ")));
    }
    Ok((target, inputs))
}

/// A table being read.
struct Reading<'a> {
    file: &'a TableFile,
    names: &'a [String],
    /// The target's place in a row, and the inputs'.
    target: usize,
    inputs: Vec<usize>,
    first_is_header: bool,
    missing: Missing,
    gathers: Vec<Gather>,
    targets: TargetGather,
    /// `[N, inputs]`.
    matrix: Vec<f32>,
    /// Rows left out because they have no target, or a missing value under [`Missing::Drop`].
    without_target: usize,
    dropped: usize,
}

/// What becomes of a row.
#[derive(PartialEq)]
enum Keep {
    Yes,
    NoTarget,
    Drop,
}

impl Reading<'_> {
    /// Makes room for as many rows as the file should have; `bytes` hold `rows`. Memory that is
    /// never written is never taken.
    fn reserve(&mut self, bytes: u64, rows: usize) {
        // A row is longer than its cells are many, which bounds this by the file's size.
        let guess = self.file.len as f64 / bytes.max(1) as f64 * rows as f64 * 1.02;
        let cells = (guess as usize + 1).saturating_mul(self.inputs.len());
        // Where the guess is beyond memory the table itself may not be.
        let _ = self.matrix.try_reserve_exact(cells);
    }

    fn keeps(&self, row: &ByteRecord) -> Keep {
        let missing = |column: usize| cell::parse(&row[column]) == Cell::Missing;
        if missing(self.target) {
            return Keep::NoTarget;
        }
        if self.missing == Missing::Drop && self.inputs.iter().any(|&column| missing(column)) {
            return Keep::Drop;
        }
        Keep::Yes
    }

    fn row(&mut self, row: &ByteRecord) -> Result<()> {
        match self.keeps(row) {
            Keep::NoTarget => {
                self.without_target += 1;
                return Ok(());
            }
            Keep::Drop => {
                self.dropped += 1;
                return Ok(());
            }
            Keep::Yes => {}
        }
        let byte = rows::byte(row);
        let wrong = |column: usize, error: super::column::NotUtf8| {
            error.at(self.file, byte, &self.names[column])
        };
        self.targets
            .push(&row[self.target], byte)
            .map_err(|error| wrong(self.target, error))?;
        if self.matrix.capacity() - self.matrix.len() < self.inputs.len() {
            // An eighth more, not the double, where memory is taken before it is written.
            self.matrix
                .reserve_exact((self.matrix.len() / 8).max(self.inputs.len()));
        }
        for (gather, &column) in self.gathers.iter_mut().zip(&self.inputs) {
            let value = gather.push(&row[column], byte);
            self.matrix
                .push(value.map_err(|error| wrong(column, error))?);
        }
        Ok(())
    }

    fn finish(
        mut self,
        options: &TableOptions,
        header: &Header,
        mut notes: Vec<String>,
    ) -> Result<Source> {
        let file = self.file;
        let rows = self.targets.len();
        if rows == 0 {
            return Err(self.no_rows());
        }
        if u32::try_from(rows).is_err() {
            return Err(file.error(format!("{rows} rows are more than can be numbered")));
        }
        let name = |column: usize| &self.names[column];
        let targets = std::mem::replace(&mut self.targets, TargetGather::new());
        let (targets, target, note) =
            targets.finish(file, name(self.target), self.target, options.task)?;
        notes.push(note);
        if self.without_target > 0 {
            let left = count(self.without_target, "row");
            notes.push(format!("{left} without a target left out"));
        }
        if self.dropped > 0 {
            let left = count(self.dropped, "row");
            notes.push(format!(
                "{left} with missing values left out (--missing drop)"
            ));
        }
        self.note_missing(&mut notes)?;
        self.remove_empty(rows, &mut notes)?;
        for (gather, &column) in self.gathers.iter().zip(&self.inputs) {
            gather.check_cells(file, &self.names[column], "")?;
        }
        self.read_late(rows)?;
        for (gather, &column) in self.gathers.iter().zip(&self.inputs) {
            gather.check_distinct(file, &self.names[column])?;
            if gather.is_number() && gather.numbers >= 20 && gather.counts_rows {
                notes.push(format!(
                    "column {:?} only counts the rows; as an input it tells their order in the file",
                    self.names[column]
                ));
            }
        }
        let columns: Vec<Column> = self
            .gathers
            .into_iter()
            .zip(&self.inputs)
            .map(|(gather, &position)| Column {
                name: self.names[position].clone(),
                position,
                kind: gather.kind(),
            })
            .collect();
        notes.push(inputs_note(&columns));
        let table = RawTable {
            columns,
            matrix: self.matrix,
            rows,
            target,
            header: header.present,
            width: header.names.len(),
            missing: self.missing,
        };
        Ok(Source {
            content: Content::Table(table),
            targets,
            test: None,
            val: None,
            names: Vec::new(),
            notes,
        })
    }

    fn no_rows(&self) -> crate::Error {
        let target = &self.names[self.target];
        match (self.without_target, self.dropped) {
            (0, 0) => self.file.error("the table has a header and no rows"),
            (_, 0) => self.file.error(format!(
                "no row has a value in the target column {target:?}"
            )),
            _ => self.file.error(
                "every row has a missing value, so that --missing drop leaves none; \
                 --missing mean fills them in",
            ),
        }
    }

    /// Says how many values are missing and where the first is, or refuses them.
    fn note_missing(&self, notes: &mut Vec<String>) -> Result<()> {
        let columns = self.gathers.iter().zip(&self.inputs);
        let first = columns
            .filter_map(|(gather, &column)| Some((gather.first_missing?, column)))
            .min();
        let Some((byte, column)) = first else {
            return Ok(());
        };
        let missing: usize = self.gathers.iter().map(|gather| gather.missing).sum();
        let columns = self.gathers.iter().filter(|gather| gather.missing > 0);
        let what = format!(
            "{} missing in {}",
            count(missing, "value"),
            count(columns.count(), "column")
        );
        let name = &self.names[column];
        if self.missing == Missing::Error {
            let remedy = "this is the first; --missing mean, median or drop deals with them";
            return Err(self.file.error_at(byte, name, format!("{what}, {remedy}")));
        }
        let line = self.file.line(byte)?;
        let fill = match self.missing {
            Missing::Median => "median",
            _ => "mean",
        };
        notes.push(format!(
            "{what}, the first in line {line}, column {name:?}; filled with the training rows' \
             {fill}, or their most frequent category"
        ));
        Ok(())
    }

    /// Takes out the columns without any value.
    fn remove_empty(&mut self, rows: usize, notes: &mut Vec<String>) -> Result<()> {
        let full: Vec<bool> = self.gathers.iter().map(|g| g.missing < rows).collect();
        if full.iter().all(|&full| full) {
            return Ok(());
        }
        let mut ix = 0;
        let mut column = || {
            ix += 1;
            full[(ix - 1) % full.len()]
        };
        self.matrix.retain(|_| column());
        let mut left = full.iter();
        self.gathers.retain(|_| left.next() == Some(&true));
        for (&column, _) in self.inputs.iter().zip(&full).filter(|(_, full)| !**full) {
            let name = &self.names[column];
            notes.push(format!("column {name:?} is empty and left out"));
        }
        let mut left = full.iter();
        self.inputs.retain(|_| left.next() == Some(&true));
        if self.inputs.is_empty() {
            return Err(self.file.error("no input column holds a value"));
        }
        Ok(())
    }

    /// Reads the columns again in which numbers came before the first text, as text.
    fn read_late(&mut self, rows: usize) -> Result<()> {
        let late: Vec<usize> = (0..self.inputs.len())
            .filter(|&input| self.gathers[input].late)
            .collect();
        if late.is_empty() {
            return Ok(());
        }
        for &input in &late {
            self.gathers[input].forget_levels();
        }
        let file = self.file;
        let changed = || file.error("the file changed while it was read");
        let mut reader = file.rows()?;
        let mut row = ByteRecord::new();
        let mut at = 0;
        let mut skip = self.first_is_header;
        while reader.next(&mut row)? {
            if std::mem::take(&mut skip) || self.keeps(&row) != Keep::Yes {
                continue;
            }
            if at == rows || row.len() != self.names.len() {
                return Err(changed());
            }
            for &input in &late {
                let column = self.inputs[input];
                let value = self.gathers[input]
                    .push_text(&row[column])
                    .map_err(|error| error.at(file, rows::byte(&row), &self.names[column]))?;
                self.matrix[at * self.inputs.len() + input] = value;
            }
            at += 1;
        }
        if at == rows { Ok(()) } else { Err(changed()) }
    }
}

/// "inputs: 3 columns of numbers, 1 of categories (colour: 5)".
fn inputs_note(columns: &[Column]) -> String {
    const MOST: usize = 10;
    let categories: Vec<String> = columns
        .iter()
        .filter_map(|column| match &column.kind {
            ColumnKind::Number => None,
            ColumnKind::Category(names) => Some(format!("{}: {}", column.name, names.len())),
        })
        .collect();
    let numbers = columns.len() - categories.len();
    let mut note = format!("inputs: {} of numbers", count(numbers, "column"));
    if !categories.is_empty() {
        let shown = categories[..categories.len().min(MOST)].join(", ");
        let more = if categories.len() > MOST { ", ..." } else { "" };
        note.push_str(&format!(
            ", {} of categories ({shown}{more})",
            categories.len()
        ));
    }
    note
}
