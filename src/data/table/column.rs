//! What one column holds, gathered cell by cell, and the decision what it is.

use std::collections::HashMap;

use super::cell::{self, Cell};
use super::header::not_utf8;
use super::rows::TableFile;
use super::{ColumnKind, MAX_CATEGORIES};
use crate::{Error, Result};

/// Where a cell is, as bytes of its row's beginning, and what it holds.
type Found = (u64, String);

/// Distinct texts, numbered as they come.
#[derive(Default)]
pub struct Levels {
    numbers: HashMap<String, u32>,
    pub names: Vec<String>,
}

impl Levels {
    /// The number of `name`; `None` where it would be one more than `most`.
    pub fn number(&mut self, name: &str, most: usize) -> Option<u32> {
        if let Some(&number) = self.numbers.get(name) {
            return Some(number);
        }
        if self.names.len() >= most {
            return None;
        }
        let number = self.names.len() as u32;
        self.numbers.insert(name.to_string(), number);
        self.names.push(name.to_string());
        Some(number)
    }
}

/// The counts of what was seen in a column.
pub struct Gather {
    pub numbers: usize,
    pub texts: usize,
    pub missing: usize,
    /// The row of the first missing cell.
    pub first_missing: Option<u64>,
    /// The first number without an f32.
    infinite: Option<Found>,
    first_text: Option<Found>,
    /// Texts that are numbers with decimal commas or thousands separators.
    comma_numbers: usize,
    all_dates: bool,
    /// Whether each number so far was one more than the one before it, from 0 or 1 on.
    pub counts_rows: bool,
    /// The cells from the first text on, numbers among them.
    levels: Levels,
    too_many: bool,
    /// Numbers came before the first text, so that their texts are not among the levels.
    pub late: bool,
}

impl Gather {
    pub fn new() -> Gather {
        Gather {
            numbers: 0,
            texts: 0,
            missing: 0,
            first_missing: None,
            infinite: None,
            first_text: None,
            comma_numbers: 0,
            all_dates: true,
            counts_rows: true,
            levels: Levels::default(),
            too_many: false,
            late: false,
        }
    }

    /// Takes in one cell of the row at `byte`; returns what the matrix holds for it.
    ///
    /// # Errors
    /// [`Error::Data`] where a text is not UTF-8.
    #[inline]
    pub fn push(&mut self, cell: &[u8], byte: u64) -> Result<f32, NotUtf8> {
        match cell::parse(cell) {
            Cell::Number(number) if self.texts == 0 => {
                let value = number as f32;
                if !value.is_finite() && self.infinite.is_none() {
                    self.infinite = Some((byte, cell::show(cell)));
                }
                let row = self.numbers as f64;
                self.counts_rows &= number == row || number == row + 1.0;
                self.numbers += 1;
                Ok(value)
            }
            Cell::Missing => {
                self.missing += 1;
                self.first_missing.get_or_insert(byte);
                Ok(f32::NAN)
            }
            Cell::Number(_) => {
                self.numbers += 1;
                self.level(cell)
            }
            Cell::Text => {
                let text = utf8(cell)?;
                if self.first_text.is_none() {
                    self.first_text = Some((byte, cell::show(cell)));
                    self.late = self.numbers > 0;
                }
                self.texts += 1;
                self.comma_numbers += usize::from(cell::is_comma_number(text));
                self.all_dates = self.all_dates && cell::is_date(text);
                self.level(cell)
            }
        }
    }

    /// The number of the cell's text among the levels; NaN once there are too many.
    fn level(&mut self, cell: &[u8]) -> Result<f32, NotUtf8> {
        let number = self.levels.number(utf8(cell)?, MAX_CATEGORIES);
        self.too_many |= number.is_none();
        Ok(number.map_or(f32::NAN, |number| number as f32))
    }

    /// Takes the cell in as text whatever it is: the second reading of a late column.
    pub fn push_text(&mut self, cell: &[u8]) -> Result<f32, NotUtf8> {
        match cell::parse(cell) {
            Cell::Missing => Ok(f32::NAN),
            _ => self.level(cell),
        }
    }

    /// Forgets the levels before the second reading.
    pub fn forget_levels(&mut self) {
        self.levels = Levels::default();
    }

    pub fn is_number(&self) -> bool {
        self.texts == 0
    }

    /// Refuses what can be neither input nor target; `remedy` ends the message about a text among
    /// numbers.
    ///
    /// # Errors
    /// [`Error::Data`], naming the column: an infinite number, a wrong number, decimal commas,
    /// dates.
    pub fn check_cells(&self, file: &TableFile, name: &str, remedy: &str) -> Result<()> {
        let refused = |what: String| Err(file.error(format!("column {name:?} {what}")));
        let Some((byte, text)) = &self.first_text else {
            return match &self.infinite {
                Some((byte, shown)) => Err(file.error_at(
                    *byte,
                    name,
                    format!("{shown} is not a finite number of 32 bits; correct it or leave the cell empty"),
                )),
                None => Ok(()),
            };
        };
        // A text or two among many numbers is a mistake in the file, not a category.
        let few = self.texts == 1 || 20 * self.texts <= self.numbers + self.texts;
        if self.numbers >= 5 && few {
            let commas = if self.comma_numbers > 0 {
                "; write numbers without thousands separators and with a decimal point"
            } else {
                remedy
            };
            let what = format!(
                "{text} is not a number, as {} other cells of the column are{commas}",
                self.numbers
            );
            return Err(file.error_at(*byte, name, what));
        }
        if self.comma_numbers > 0 && self.comma_numbers == self.texts {
            return Err(file.error_at(
                *byte,
                name,
                format!(
                    "{text}: write numbers without thousands separators and with a decimal point"
                ),
            ));
        }
        if self.all_dates {
            return refused(format!(
                "holds dates or times ({text}); leave it out with --ignore, or replace it by numbers such as year, month, hour"
            ));
        }
        Ok(())
    }

    /// Refuses texts that are no categories, once all have been read as such.
    ///
    /// # Errors
    /// [`Error::Data`], naming the column.
    pub fn check_distinct(&self, file: &TableFile, name: &str) -> Result<()> {
        let Some((_, text)) = &self.first_text else {
            return Ok(());
        };
        let cells = self.numbers + self.texts;
        let distinct = self.levels.names.len();
        let what = if self.too_many {
            format!("more than {MAX_CATEGORIES} distinct texts")
        } else if nearly_all_distinct(distinct, cells) {
            format!("{distinct} distinct texts in {cells} rows")
        } else {
            return Ok(());
        };
        Err(file.error(format!(
            "column {name:?} holds {what} ({text}...), identifiers or free text rather than \
             categories; leave it out with --ignore, or name it with --target if it is what to predict"
        )))
    }

    /// What the column is, once nothing is left to refuse.
    pub fn kind(self) -> ColumnKind {
        if self.is_number() {
            ColumnKind::Number
        } else {
            ColumnKind::Category(self.levels.names)
        }
    }
}

/// Whether so many distinct texts can only be identifiers or free text. A handful of rows says
/// nothing.
pub fn nearly_all_distinct(distinct: usize, cells: usize) -> bool {
    cells >= 10 && 10 * distinct > 9 * cells
}

/// A text that is not UTF-8.
#[derive(Debug)]
pub struct NotUtf8(pub String);

impl NotUtf8 {
    pub fn at(self, file: &TableFile, byte: u64, column: &str) -> Error {
        file.error_at(byte, column, self.0)
    }
}

/// The cell's text without the space around it.
pub fn utf8(cell: &[u8]) -> Result<&str, NotUtf8> {
    let text = std::str::from_utf8(cell.trim_ascii());
    text.map_err(|_| NotUtf8(not_utf8(cell)))
}
