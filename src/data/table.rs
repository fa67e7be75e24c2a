//! Tables: columns of numbers and categories from .csv and .tsv files.
//!
//! A file is streamed once into one row-major f32 matrix, in which a missing cell is NaN and a
//! category its number; a column that turns out late to be text is read a second time. What is
//! missing and which categories there are is settled by [`RawTable::fit`] on the training rows
//! alone, and [`TableEncoder::encode`] turns the same memory into the inputs of a network.

mod cell;
mod column;
mod describe;
mod encoder;
mod header;
mod like;
mod read;
mod rows;
mod target;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use describe::ColumnReport;
pub use encoder::{Encoding, InputColumn, TableEncoder};
pub use like::{LikeTable, read_like};
pub use read::read;
pub use target::{TargetInfo, TargetKind};

/// A text column with more distinct values than this is no category.
pub const MAX_CATEGORIES: usize = 1000;
/// A target with more distinct values than this is no class.
pub const MAX_CLASSES: usize = 1000;
/// A target of at most this many distinct integers is a class unless told otherwise.
pub const FEW_INTEGERS: usize = 20;

/// What a table's target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum TaskKind {
    Classification,
    Regression,
}

/// What becomes of missing values in input columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// The mean of the training rows; the most frequent category in a column of text.
    #[default]
    Mean,
    /// The median of the training rows; the most frequent category in a column of text.
    Median,
    /// The rows are left out.
    Drop,
    /// The table is refused.
    Error,
}

/// How a table is to be understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableOptions {
    /// The target column's name or its number from 1; the last column where absent.
    pub target: Option<String>,
    /// Decided from the target where absent.
    pub task: Option<TaskKind>,
    pub missing: Missing,
    /// Columns, by name or number from 1, that are left out.
    pub ignore: Vec<String>,
}

/// What an input column holds.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnKind {
    Number,
    /// The distinct texts by number.
    Category(Vec<String>),
}

/// One input column as read.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    /// Its place in the file, from 0.
    pub position: usize,
    pub kind: ColumnKind,
}

/// A table as read, before missing values and categories are encoded.
#[derive(Clone, Debug)]
pub struct RawTable {
    /// The input columns in the file's order, without target and ignored ones.
    pub columns: Vec<Column>,
    /// `[N, columns]`, row-major: numbers, or the number of a category; NaN where missing.
    pub(crate) matrix: Vec<f32>,
    rows: usize,
    pub target: TargetInfo,
    /// Whether the file's first row holds names.
    pub header: bool,
    /// The columns of the file, target and ignored ones included.
    pub width: usize,
    missing: Missing,
}

impl RawTable {
    /// The number of rows, N.
    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }
}

/// What a model must know to read further tables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableModel {
    pub encoder: TableEncoder,
    pub target: TargetInfo,
}
