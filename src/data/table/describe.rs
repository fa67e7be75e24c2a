//! What each input column of a table holds, for `gpu-train data`.

use serde::Serialize;

use super::{ColumnKind, RawTable};
use crate::data::stats::{Stats, stats_of};

/// One input column in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColumnReport {
    pub name: String,
    pub missing: usize,
    /// Of a column of numbers: range, mean and deviation of what is not missing.
    pub numbers: Option<Stats>,
    /// Of a column of text: the categories and how often each occurs, the most frequent first.
    pub categories: Option<Vec<(String, usize)>>,
}

impl RawTable {
    /// A report on each input column, over all rows.
    pub fn describe(&self) -> Vec<ColumnReport> {
        let width = self.columns.len();
        let stats = stats_of(&self.matrix, width, 1, self.rows, |row| row);
        let columns = self.columns.iter().zip(stats).enumerate();
        columns
            .map(|(ix, (column, stats))| {
                let categories = match &column.kind {
                    ColumnKind::Number => None,
                    ColumnKind::Category(names) => {
                        let mut counts: Vec<(String, usize)> =
                            names.iter().map(|name| (name.clone(), 0)).collect();
                        let cells = self.matrix.iter().skip(ix).step_by(width);
                        for cell in cells.filter(|cell| !cell.is_nan()) {
                            counts[*cell as usize].1 += 1;
                        }
                        counts.sort_by(|(a, n), (b, m)| m.cmp(n).then(a.cmp(b)));
                        Some(counts)
                    }
                };
                ColumnReport {
                    name: column.name.clone(),
                    missing: self.rows - stats.count,
                    numbers: categories.is_none().then_some(stats),
                    categories,
                }
            })
            .collect()
    }
}
