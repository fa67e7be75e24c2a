//! The target column: a class or a number, decided from what it holds.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::cell::{self, Cell};
use super::column::{Gather, Levels, NotUtf8, nearly_all_distinct, utf8};
use super::rows::TableFile;
use super::{FEW_INTEGERS, MAX_CLASSES, TaskKind};
use crate::Result;
use crate::data::source::Targets;

/// What a model predicts, as its file keeps it to read further tables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetInfo {
    pub name: String,
    /// Its place in the training file, from 0.
    pub position: usize,
    pub kind: TargetKind,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetKind {
    /// The classes' names by label; `numeric` where they are numbers, so that 1 and 1.0 are one.
    Classes {
        names: Vec<String>,
        numeric: bool,
    },
    Values,
}

/// The target's cells, kept both ways until it is known what they are.
pub struct TargetGather {
    cells: Gather,
    /// The numbers in f32; NaN for texts.
    values: Vec<f32>,
    /// Distinct texts, and each row's, until there are too many of them.
    levels: Levels,
    codes: Option<Vec<u32>>,
}

impl TargetGather {
    pub fn new() -> TargetGather {
        TargetGather {
            cells: Gather::new(),
            values: Vec::new(),
            levels: Levels::default(),
            codes: Some(Vec::new()),
        }
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Takes in a cell that is not missing.
    pub fn push(&mut self, cell: &[u8], byte: u64) -> Result<(), NotUtf8> {
        let value = self.cells.push(cell, byte)?;
        let is_number = self.cells.is_number();
        self.values.push(if is_number { value } else { f32::NAN });
        if let Some(codes) = &mut self.codes {
            match self.levels.number(utf8(cell)?, MAX_CLASSES) {
                Some(code) => codes.push(code),
                None => self.codes = None,
            }
        }
        Ok(())
    }

    /// The decision, with a note that says it.
    ///
    /// # Errors
    /// [`Error::Data`](crate::Error::Data) where the target does not serve: wrong numbers, dates,
    /// free text, one class, text where `task` is regression.
    pub fn finish(
        self,
        file: &TableFile,
        name: &str,
        position: usize,
        task: Option<TaskKind>,
    ) -> Result<(Targets, TargetInfo, String)> {
        let numeric = self.cells.is_number();
        if task != Some(TaskKind::Classification) || numeric {
            let remedy = "; --task classification if it names a class";
            self.cells
                .check_cells(file, &format!("{name} (target)"), remedy)?;
        }
        let few = numeric.then(|| self.integers()).flatten();
        let chosen = task.unwrap_or(if !numeric || few.is_some_and(|n| n <= FEW_INTEGERS) {
            TaskKind::Classification
        } else {
            TaskKind::Regression
        });
        let info = |kind| TargetInfo {
            name: name.to_string(),
            position,
            kind,
        };
        match chosen {
            TaskKind::Regression if !numeric => Err(file.error(format!(
                "target {name:?} holds text, which regression cannot predict; leave --task out"
            ))),
            TaskKind::Regression => {
                if self.values.iter().all(|value| *value == self.values[0]) {
                    let only = self.values[0];
                    return Err(file.error(format!(
                        "target {name:?} is {only} in every row: there is nothing to learn"
                    )));
                }
                let (low, high) = self
                    .values
                    .iter()
                    .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &value| {
                        (low.min(value), high.max(value))
                    });
                let note = format!(
                    "target {name:?}: numbers from {low} to {high}, regression \
                     (--task classification to override)"
                );
                let name = name.to_string();
                let values = self.values;
                Ok((
                    Targets::Values { values, name },
                    info(TargetKind::Values),
                    note,
                ))
            }
            TaskKind::Classification => {
                let (labels, names) = self.classes(file, name, task.is_some())?;
                let note = format!(
                    "target {name:?}: {} classes ({}), classification{}",
                    names.len(),
                    list(&names),
                    if numeric {
                        " (--task regression to override)"
                    } else {
                        ""
                    }
                );
                let kind = TargetKind::Classes {
                    names: names.clone(),
                    numeric,
                };
                Ok((Targets::Classes { labels, names }, info(kind), note))
            }
        }
    }

    /// The number of distinct values where all are integers and few.
    fn integers(&self) -> Option<usize> {
        self.codes.as_ref()?;
        let mut seen = Vec::new();
        for name in &self.levels.names {
            let value: f64 = name.parse().ok()?;
            if value.fract() != 0.0 {
                return None;
            }
            if !seen.contains(&value) {
                seen.push(value);
            }
        }
        Some(seen.len())
    }

    /// Labels and class names, sorted by number or text. `forced`: the user said that these are
    /// classes.
    fn classes(
        self,
        file: &TableFile,
        name: &str,
        forced: bool,
    ) -> Result<(Vec<u32>, Vec<String>)> {
        let refused = |what: String| Err(file.error(format!("target {name:?} {what}")));
        let rows = self.values.len();
        let numeric = self.cells.is_number();
        let Some(mut labels) = self.codes else {
            return refused(format!(
                "has more than {MAX_CLASSES} distinct values, too many for classes; \
                 --target names another column"
            ));
        };
        let names = self.levels.names;
        if !numeric && !forced && nearly_all_distinct(names.len(), rows) {
            return refused(format!(
                "has {} distinct texts in {rows} rows, identifiers or free text rather than classes; \
                 --target names another column",
                names.len()
            ));
        }
        // The names in their order, and the levels that each stands for (1 and 1.0 are one class).
        let mut order: Vec<(Key, usize)> = names
            .iter()
            .enumerate()
            .map(|(level, text)| (Key::of(text, numeric), level))
            .collect();
        order.sort();
        let mut label_of = vec![0; names.len()];
        let mut classes: Vec<Key> = Vec::new();
        for (key, level) in order {
            if classes.last() != Some(&key) {
                classes.push(key);
            }
            label_of[level] = classes.len() as u32 - 1;
        }
        if let [only] = &classes[..] {
            return refused(format!(
                "has one class only, {}: there is nothing to learn",
                cell::show(only.name().as_bytes())
            ));
        }
        for label in &mut labels {
            *label = label_of[*label as usize];
        }
        Ok((labels, classes.iter().map(Key::name).collect()))
    }
}

/// What a class is known by: numbers sort by value, texts by their bytes.
#[derive(Clone, Debug)]
enum Key {
    Number(f64),
    Text(String),
}

impl Key {
    fn of(text: &str, numeric: bool) -> Key {
        match text.parse::<f64>() {
            // Adding zero makes -0 the same as 0.
            Ok(number) if numeric => Key::Number(number + 0.0),
            _ => Key::Text(text.to_string()),
        }
    }

    fn name(&self) -> String {
        match self {
            Key::Number(number) => number.to_string(),
            Key::Text(text) => text.clone(),
        }
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Key) -> std::cmp::Ordering {
        match (self, other) {
            (Key::Number(a), Key::Number(b)) => a.total_cmp(b),
            (Key::Text(a), Key::Text(b)) => a.cmp(b),
            (Key::Number(_), Key::Text(_)) => std::cmp::Ordering::Less,
            (Key::Text(_), Key::Number(_)) => std::cmp::Ordering::Greater,
        }
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Key) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Key {}

/// Targets of a further table, held to what the model knows.
pub struct TargetReader<'a> {
    info: &'a TargetInfo,
    labels: HashMap<&'a str, u32>,
    found_labels: Vec<u32>,
    found_values: Vec<f32>,
}

impl<'a> TargetReader<'a> {
    pub fn new(info: &'a TargetInfo) -> TargetReader<'a> {
        let names: &[String] = match &info.kind {
            TargetKind::Classes { names, .. } => names,
            TargetKind::Values => &[],
        };
        TargetReader {
            info,
            labels: names.iter().map(String::as_str).zip(0..).collect(),
            found_labels: Vec::new(),
            found_values: Vec::new(),
        }
    }

    /// Takes in a cell that is not missing; the error says what is wrong with it.
    pub fn push(&mut self, cell: &[u8]) -> Result<(), String> {
        let shown = || cell::show(cell);
        match &self.info.kind {
            TargetKind::Values => match cell::parse(cell) {
                Cell::Number(number) if (number as f32).is_finite() => {
                    self.found_values.push(number as f32);
                    Ok(())
                }
                _ => Err(format!("{} is not a finite number of 32 bits", shown())),
            },
            TargetKind::Classes { names, numeric } => {
                let text = utf8(cell).map_err(|e| e.0)?;
                let label = match self.labels.get(text) {
                    None => self.labels.get(&Key::of(text, *numeric).name()[..]),
                    found => found,
                };
                let Some(&label) = label else {
                    return Err(format!(
                        "{} is no class of the model, which knows {}",
                        shown(),
                        list(names)
                    ));
                };
                self.found_labels.push(label);
                Ok(())
            }
        }
    }

    pub fn finish(self) -> Targets {
        match &self.info.kind {
            TargetKind::Classes { names, .. } => Targets::Classes {
                labels: self.found_labels,
                names: names.clone(),
            },
            TargetKind::Values => Targets::Values {
                values: self.found_values,
                name: self.info.name.clone(),
            },
        }
    }
}

/// The first few names, each cut where it is long.
fn list(names: &[String]) -> String {
    const MOST: usize = 10;
    let mut shown: Vec<String> = names
        .iter()
        .take(MOST)
        .map(|name| name.chars().take(40).collect())
        .collect();
    if names.len() > MOST {
        shown.push(format!("and {} more", names.len() - MOST));
    }
    shown.join(", ")
}
