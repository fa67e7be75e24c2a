//! From columns to the inputs of a network: missing values filled, categories one-hot.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::rows::count;
use super::{ColumnKind, Missing, RawTable};
use crate::data::stats::column_stats;
use crate::{Error, Result};

/// What the training rows say about a table's columns; part of the model file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableEncoder {
    /// In the order of the inputs.
    pub columns: Vec<InputColumn>,
    /// Whether the training file named its columns. If not, they go by their place.
    pub header: bool,
    /// The columns of the training file, target and ignored ones included.
    pub width: usize,
    pub missing: Missing,
}

/// One input column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputColumn {
    pub name: String,
    /// Its place in the training file, from 0.
    pub position: usize,
    pub encoding: Encoding,
}

/// How a column's cells become inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// One input, the number itself; `fill` where it is missing.
    Number { fill: f32 },
    /// One input a category, 1 for the cell's own, else 0; the category of number `fill` where the
    /// cell is missing. A category that is not listed has 0 everywhere.
    OneHot {
        categories: Vec<String>,
        fill: usize,
    },
}

impl Encoding {
    fn inputs(&self) -> usize {
        match self {
            Encoding::Number { .. } => 1,
            Encoding::OneHot { categories, .. } => categories.len(),
        }
    }
}

impl RawTable {
    /// Fits what fills missing values, and lists the categories, on the rows `train` alone. Numbers
    /// get their mean or median (of an even count, the middle two's mean); categories are sorted by
    /// their bytes and the most frequent one fills in, the first of several.
    ///
    /// # Errors
    /// [`Error::Data`] where `train` is empty or a column has no value in it.
    ///
    /// # Panics
    /// If a row is beyond the table.
    pub fn fit(&self, train: &[u32]) -> Result<TableEncoder> {
        if train.is_empty() {
            return Err(Error::Data("no rows to train on".to_string()));
        }
        let width = self.columns.len();
        let means = match self.missing {
            Missing::Median => Vec::new(),
            _ => column_stats(&self.matrix, width, 1, train),
        };
        let cells = |ix: usize| {
            let cells = train
                .iter()
                .map(move |&row| self.matrix[row as usize * width + ix]);
            cells.filter(|cell| !cell.is_nan())
        };
        let columns = self.columns.par_iter().enumerate().map(|(ix, column)| {
            let encoding = match &column.kind {
                ColumnKind::Number if self.missing == Missing::Median => {
                    median(cells(ix).collect()).map(|fill| Encoding::Number { fill })
                }
                ColumnKind::Number => {
                    let found = means[ix].count > 0;
                    found.then(|| Encoding::Number {
                        fill: means[ix].mean as f32,
                    })
                }
                ColumnKind::Category(names) => categories(names, cells(ix)),
            };
            let encoding = encoding.ok_or_else(|| {
                Error::Data(format!(
                    "column {:?} has no value in the {} to train on; leave it out with --ignore",
                    column.name,
                    count(train.len(), "row")
                ))
            })?;
            Ok(InputColumn {
                name: column.name.clone(),
                position: column.position,
                encoding,
            })
        });
        // The error of the first column at fault, not of the one that was quickest.
        let columns: Vec<Result<InputColumn>> = columns.collect();
        Ok(TableEncoder {
            columns: columns.into_iter().collect::<Result<_>>()?,
            header: self.header,
            width: self.width,
            missing: self.missing,
        })
    }
}

/// The median in f64, rounded to f32; `None` of nothing.
fn median(mut values: Vec<f32>) -> Option<f32> {
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    let even = values.len().is_multiple_of(2);
    let (below, &mut upper, _) = values.select_nth_unstable_by(middle, f32::total_cmp);
    let lower = match below.iter().copied().max_by(f32::total_cmp) {
        Some(lower) if even => lower,
        _ => upper,
    };
    Some(((f64::from(lower) + f64::from(upper)) / 2.0) as f32)
}

/// The categories that occur; `None` where none does.
fn categories(names: &[String], cells: impl Iterator<Item = f32>) -> Option<Encoding> {
    let mut counts = vec![0usize; names.len()];
    for cell in cells {
        counts[cell as usize] += 1;
    }
    let mut seen: Vec<(&String, usize)> =
        names.iter().zip(counts).filter(|(_, n)| *n > 0).collect();
    seen.sort();
    let most = seen.iter().map(|(_, n)| *n).max()?;
    Some(Encoding::OneHot {
        fill: seen.iter().position(|(_, n)| *n == most)?,
        categories: seen.into_iter().map(|(name, _)| name.clone()).collect(),
    })
}

impl TableEncoder {
    /// The number of inputs.
    pub fn inputs(&self) -> usize {
        self.columns.iter().map(|c| c.encoding.inputs()).sum()
    }

    /// The inputs' names: the column's, or `column=category`.
    pub fn input_names(&self) -> Vec<String> {
        self.columns
            .iter()
            .flat_map(|column| match &column.encoding {
                Encoding::Number { .. } => vec![column.name.clone()],
                Encoding::OneHot { categories, .. } => categories
                    .iter()
                    .map(|category| format!("{}={category}", column.name))
                    .collect(),
            })
            .collect()
    }

    /// The inputs of all rows, `[N, inputs]` row-major, finite, in the table's own memory, which
    /// grows where a column becomes several inputs. The notes name columns with categories that
    /// the training rows did not have.
    ///
    /// # Errors
    /// [`Error::Data`] where the table has other columns than this was fitted on, or memory does
    /// not suffice.
    pub fn encode(&self, raw: RawTable) -> Result<(Vec<f32>, Vec<String>)> {
        let columns = self.recode(&raw)?;
        let (rows, width) = (raw.rows, raw.columns.len());
        let mut matrix = raw.matrix;
        let inputs = self.inputs();
        if columns.iter().all(|c| matches!(c, Recode::Number { .. })) {
            matrix.par_chunks_mut(width * 1024).for_each(|rows| {
                for row in rows.chunks_exact_mut(width) {
                    for (cell, column) in row.iter_mut().zip(&columns) {
                        if let (true, Recode::Number { fill }) = (cell.is_nan(), column) {
                            *cell = *fill;
                        }
                    }
                }
            });
            return Ok((matrix, Vec::new()));
        }

        let too_large = |_| {
            Error::Data(format!(
                "{rows} rows of {inputs} inputs do not fit into memory; columns with many categories \
                 make many inputs"
            ))
        };
        let len = rows.saturating_mul(inputs);
        matrix
            .try_reserve_exact(len.saturating_sub(matrix.len()))
            .map_err(too_large)?;
        matrix.resize(len, 0.0);
        let mut unseen = vec![0usize; width];
        let mut cells = vec![0.0; width];
        // From the last row on: a row's inputs begin where its cells do or after them.
        for row in (0..rows).rev() {
            cells.copy_from_slice(&matrix[row * width..(row + 1) * width]);
            let mut out = &mut matrix[row * inputs..(row + 1) * inputs];
            for ((column, &cell), unseen) in columns.iter().zip(&cells).zip(&mut unseen) {
                let (own, rest) = out.split_at_mut(column.inputs());
                match column {
                    Recode::Number { fill } => own[0] = if cell.is_nan() { *fill } else { cell },
                    Recode::OneHot { fill, place, .. } => {
                        own.fill(0.0);
                        let place = if cell.is_nan() {
                            Some(*fill)
                        } else {
                            place[cell as usize]
                        };
                        match place {
                            Some(place) => own[place] = 1.0,
                            None => *unseen += 1,
                        }
                    }
                }
                out = rest;
            }
        }
        let notes = self.columns.iter().zip(&columns).zip(unseen);
        let notes = notes
            .filter(|(_, unseen)| *unseen > 0)
            .map(|((column, recode), unseen)| {
                let Recode::OneHot { stranger, .. } = recode else {
                    unreachable!("only categories can be unseen")
                };
                let such_as = stranger
                    .as_ref()
                    .map_or_else(String::new, |name| format!(" ({name:?})"));
                format!(
                    "column {:?}: {} with a category that the training rows do not have{such_as}, \
                     encoded as none",
                    column.name,
                    count(unseen, "row"),
                )
            });
        Ok((matrix, notes.collect()))
    }

    /// How each column of `raw` is encoded.
    fn recode(&self, raw: &RawTable) -> Result<Vec<Recode>> {
        let other = || {
            Error::Data("the table has other columns than the encoder was fitted on".to_string())
        };
        if raw.columns.len() != self.columns.len() {
            return Err(other());
        }
        let pairs = self.columns.iter().zip(&raw.columns);
        pairs
            .map(|(column, raw)| match (&column.encoding, &raw.kind) {
                _ if column.name != raw.name => Err(other()),
                (Encoding::Number { fill }, ColumnKind::Number) => {
                    Ok(Recode::Number { fill: *fill })
                }
                (Encoding::OneHot { categories, fill }, ColumnKind::Category(names)) => {
                    let place = |name| categories.binary_search(name).ok();
                    let place: Vec<Option<usize>> = names.iter().map(place).collect();
                    let stranger = names.iter().zip(&place).find(|(_, place)| place.is_none());
                    Ok(Recode::OneHot {
                        inputs: categories.len(),
                        fill: *fill,
                        stranger: stranger.map(|(name, _)| name.clone()),
                        place,
                    })
                }
                _ => Err(other()),
            })
            .collect()
    }
}

/// An [`Encoding`] for the numbers that one table gave its categories.
enum Recode {
    Number {
        fill: f32,
    },
    OneHot {
        inputs: usize,
        fill: usize,
        /// The place of each of the table's categories among those of the training rows.
        place: Vec<Option<usize>>,
        /// One that has none.
        stranger: Option<String>,
    },
}

impl Recode {
    fn inputs(&self) -> usize {
        match self {
            Recode::Number { .. } => 1,
            Recode::OneHot { inputs, .. } => *inputs,
        }
    }
}
