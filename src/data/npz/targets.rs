//! The targets of an archive: class numbers, one-hot rows or values.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Part, check_finite};
use crate::data::labels::count_classes;
use crate::data::npy::{Array, Kind};
use crate::data::source::Targets;
use crate::{Error, Result};

/// More classes are taken for a mistake.
const MAX_CLASSES: usize = 10_000;
/// Floats that are at most so many different whole numbers are classes.
const MAX_FLOAT_CLASSES: usize = 20;

/// Collects the arrays of the parts.
#[derive(Default)]
pub struct Builder {
    /// `[N, columns]`
    values: Vec<f32>,
    columns: usize,
    integers: bool,
    first: String,
}

impl Builder {
    /// Appends one part's array and returns its number of samples.
    pub fn add(&mut self, name: &str, array: Array) -> Result<usize, String> {
        let dims = array.shape;
        let (n, columns) = match *dims {
            [n] => (n, 1),
            [n, columns] if columns > 0 => (n, columns),
            _ => {
                return Err(format!(
                    "{name}: an array of {dims:?}; wanted is one label or value a sample, [N]"
                ));
            }
        };
        let integers = array.kind != Kind::Float;
        let values = array.values.into_floats();
        check_finite(name, &values, &dims)?;
        if self.columns == 0 {
            (self.columns, self.integers) = (columns, integers);
            self.first = name.to_string();
        } else if self.columns != columns {
            return Err(format!(
                "{} has {} numbers a sample, {name} has {columns}",
                self.first, self.columns
            ));
        }
        self.integers &= integers;
        self.values.extend(values);
        Ok(n)
    }

    /// Decides what the numbers mean.
    pub fn finish(self, path: &Path, parts: &[Part], notes: &mut Vec<String>) -> Result<Targets> {
        let bad = |what: String| Error::Data(format!("{}: {what}", path.display()));
        let name = &self.first;
        let labels = if self.columns > 1 {
            notes.push(format!("{name}: one-hot rows of {} classes", self.columns));
            self.one_hot_classes(parts).map_err(bad)?
        } else if self.integers {
            self.class_numbers(parts).map_err(bad)?
        } else if let Some(n) = few_whole_numbers(&self.values) {
            notes.push(format!(
                "{name}: floats, but only {n} different whole numbers: taken as classes"
            ));
            self.class_numbers(parts).map_err(bad)?
        } else {
            return Ok(Targets::Values {
                values: self.values,
                name: name.split('_').next().unwrap_or(name).to_string(),
            });
        };
        let n_train = parts[0].range.end;
        let others: Vec<_> = parts[1..]
            .iter()
            .map(|part| (part.kind, part.range.clone()))
            .collect();
        let known = count_classes(path, &labels, n_train, &others, notes);
        let n_classes = match known {
            // The columns say how many there are, whatever the training part has.
            Ok(n) if self.columns > 1 => n.max(self.columns),
            known => known?,
        };
        Ok(Targets::Classes {
            labels,
            names: (0..n_classes).map(|class| class.to_string()).collect(),
        })
    }

    /// Where row `ix` of all lies, for messages.
    fn place(parts: &[Part], ix: usize) -> String {
        let part = parts.iter().find(|part| part.range.contains(&ix));
        part.map_or(String::new(), |part| {
            format!("{}[{}]", part.y, ix - part.range.start)
        })
    }

    fn class_numbers(&self, parts: &[Part]) -> Result<Vec<u32>, String> {
        let refused = |value: &f32| *value < 0.0 || *value >= MAX_CLASSES as f32;
        if let Some(ix) = self.values.iter().position(refused) {
            let place = Self::place(parts, ix);
            let value = self.values[ix];
            return Err(if value < 0.0 {
                format!(
                    "{place} is {value}; classes are numbered from 0 (values to predict are saved as floats)"
                )
            } else {
                format!(
                    "{place} is {value}; more than {MAX_CLASSES} classes are not taken (values to predict are saved as floats)"
                )
            });
        }
        Ok(self.values.iter().map(|&value| value as u32).collect())
    }

    fn one_hot_classes(&self, parts: &[Part]) -> Result<Vec<u32>, String> {
        let rows = self.values.chunks_exact(self.columns);
        rows.enumerate()
            .map(|(ix, row)| {
                let hot = row.iter().position(|&value| value == 1.0);
                let others = row.iter().filter(|&&value| value != 0.0).count();
                match hot {
                    Some(hot) if others == 1 => Ok(hot as u32),
                    _ => Err(format!(
                        "{} is not one-hot (a single 1 among zeros); with {} numbers a sample, only one-hot classes can be learned",
                        Self::place(parts, ix),
                        self.columns
                    )),
                }
            })
            .collect()
    }
}

/// How many different values there are, where they are few, whole and not negative.
fn few_whole_numbers(values: &[f32]) -> Option<usize> {
    let mut seen = BTreeSet::new();
    for &value in values {
        if value < 0.0 || value.fract() != 0.0 || value >= MAX_CLASSES as f32 {
            return None;
        }
        seen.insert(value as u32);
        if seen.len() > MAX_FLOAT_CLASSES {
            return None;
        }
    }
    Some(seen.len())
}
