//! A confusion matrix as a heat map: true classes down, predicted ones across.
//!
//! The diagonal is blue, mistakes are vermillion; the colour follows the root of the share of the
//! true class, so that rare mistakes are still seen. Up to 20 classes have their counts written
//! into the cells, with recall and precision at the edges.

mod labels;
#[cfg(test)]
mod tests;

use super::canvas::text::{Type, measure};
use super::canvas::{Area, BLUE, Canvas, FAINT, GRID, INK, Rgb, VERMILLION, WHITE, picture};
use crate::metrics::per_class;
use labels::Labels;

/// The greatest side of the matrix and of a cell.
const SIDE: f64 = 800.0;
const CELL: f64 = 100.0;
/// With more classes than this there are colours only.
const NUMBERED: usize = 20;
/// Room at the edges for recall and precision, and for the key at the bottom.
const EDGE: f64 = 64.0;
const KEY: f64 = 78.0;

/// Counts \[C, C\] by (label, prediction), and the names of the C classes.
#[derive(Clone, Copy, Debug)]
pub struct Confusion<'a> {
    pub title: &'a str,
    pub names: &'a [String],
    pub counts: &'a [u32],
}

/// Where things lie in the picture.
struct Layout {
    classes: usize,
    cell: f64,
    matrix: Area,
    size: (f64, f64),
    labels: Labels,
}

/// Draws the matrix and returns the bytes of a PNG, up to about 1100 pixels wide.
///
/// # Errors
/// No class, or counts that are not C times C; or the picture could not be packed.
pub fn draw(confusion: &Confusion) -> Result<Vec<u8>, String> {
    let classes = confusion.names.len();
    if classes == 0 || confusion.counts.len() != classes * classes {
        return Err(format!(
            "a confusion matrix of {classes} classes cannot have {} counts",
            confusion.counts.len()
        ));
    }
    let layout = Layout::new(confusion.names)?;
    let size = (layout.size.0.ceil() as u32, layout.size.1.ceil() as u32);
    picture(size, |canvas| {
        canvas.title(confusion.title, layout.size.0)?;
        layout.labels.paint(canvas, layout.matrix, layout.cell)?;
        layout.cells(canvas, confusion.counts)?;
        if classes <= NUMBERED {
            layout.numbers(canvas, confusion.counts)?;
            layout.edges(canvas, confusion.counts)?;
        }
        layout.key(canvas)
    })
}

impl Layout {
    fn new(names: &[String]) -> Result<Layout, String> {
        let classes = names.len();
        let cell = SIDE / classes as f64;
        let cell = if cell >= 2.0 { cell.floor() } else { cell }.min(CELL);
        let labels = Labels::new(names, cell)?;
        let edge = if classes <= NUMBERED { EDGE } else { 20.0 };
        let side = cell * classes as f64;
        let (left, top) = (36.0 + labels.left, if edge == EDGE { 82.0 } else { 52.0 });
        let matrix = Area::new(left, top, left + side, top + side);
        let below = matrix.bottom + labels.below + 34.0;
        Ok(Layout {
            classes,
            cell,
            matrix,
            size: ((matrix.right + edge).max(480.0), below + KEY),
            labels,
        })
    }

    fn place(&self, label: usize, prediction: usize) -> Area {
        let x = self.matrix.left + self.cell * prediction as f64;
        let y = self.matrix.top + self.cell * label as f64;
        Area::new(x, y, x + self.cell, y + self.cell)
    }

    fn cells(&self, canvas: &Canvas, counts: &[u32]) -> Result<(), String> {
        for (label, row) in counts.chunks(self.classes).enumerate() {
            let total = sum(row);
            for (prediction, count) in row.iter().enumerate().filter(|cell| *cell.1 > 0) {
                let colour = shade(*count, total, label == prediction);
                canvas.fill(self.place(label, prediction), colour, 1.0)?;
            }
        }
        let Area {
            left,
            top,
            right,
            bottom,
        } = self.matrix;
        if self.cell >= 12.0 {
            for index in 1..self.classes {
                let at = self.cell * index as f64;
                canvas.rule((left + at, top), (left + at, bottom), GRID)?;
                canvas.rule((left, top + at), (right, top + at), GRID)?;
            }
        }
        let corners = [(left, top), (right, top), (right, bottom), (left, bottom)];
        for index in 0..4 {
            canvas.rule(corners[index], corners[(index + 1) % 4], FAINT)?;
        }
        Ok(())
    }

    /// The counts, all in one size; where they are too long for their cells, in thousands or
    /// millions.
    fn numbers(&self, canvas: &Canvas, counts: &[u32]) -> Result<(), String> {
        let (room, mut size) = (self.cell - 6.0, 17.0);
        let longest = counts.iter().max().map_or(String::new(), u32::to_string);
        while size > 10.0 && measure(&longest, size)?.0 > room {
            size -= 0.5;
        }
        for (label, row) in counts.chunks(self.classes).enumerate() {
            let total = sum(row);
            for (prediction, &count) in row.iter().enumerate() {
                let mut words = count.to_string();
                if measure(&words, size)?.0 > room {
                    words = short(count);
                }
                let colour = match count {
                    0 => [200; 3],
                    _ if strength(count, total) > 0.62 => WHITE,
                    _ => INK,
                };
                let at = self.place(label, prediction).middle();
                canvas.text(&words, at, Type::new(size).centred().colour(colour))?;
            }
        }
        Ok(())
    }

    /// Precision above each column and recall beside each row, in per cent.
    fn edges(&self, canvas: &Canvas, counts: &[u32]) -> Result<(), String> {
        let size = if self.cell < 46.0 { 11.0 } else { 13.0 };
        let faint = Type::new(size).colour(FAINT);
        let (above, beside) = (self.matrix.top - 14.0, self.matrix.right + 8.0);
        for (class, score) in per_class(counts, self.classes).iter().enumerate() {
            let (x, y) = self.place(class, class).middle();
            let precision = format!("{:.1}", score.precision * 100.0);
            canvas.text(&precision, (x, above), faint.centred())?;
            let recall = format!("{:.1}", score.recall * 100.0);
            canvas.text(&recall, (beside, y), faint)?;
        }
        let at = (self.matrix.left - 8.0, above);
        canvas.text("precision (%)", at, faint.right())?;
        canvas.text("recall", (beside, above), faint)
    }

    /// What the colours mean.
    fn key(&self, canvas: &Canvas) -> Result<(), String> {
        let faint = Type::new(13.0).colour(FAINT);
        let (left, top) = (20.0, self.size.1 - KEY + 14.0);
        let bar = Area::new(left + 160.0, top, left + 400.0, top + 30.0);
        canvas.text("right", (bar.left - 8.0, top + 7.0), faint.right())?;
        canvas.text("wrong", (bar.left - 8.0, top + 22.0), faint.right())?;
        let at = (bar.left - 26.0, top + 48.0);
        canvas.text("share of the class:", at, faint.right())?;
        let wide = bar.right - bar.left;
        let steps = 120;
        for step in 0..steps {
            let share = |step: i32| f64::from(step) / f64::from(steps);
            let (x0, x1) = (share(step) * wide, share(step + 1) * wide);
            for (row, colour) in [BLUE, VERMILLION].into_iter().enumerate() {
                let y = top + 15.0 * row as f64;
                let part = Area::new(bar.left + x0, y, bar.left + x1, y + 14.0);
                canvas.fill(part, tint(colour, share(step + 1)), 1.0)?;
            }
        }
        for percent in [0.0, 1.0, 10.0, 25.0, 50.0, 100.0] {
            let x = bar.left + wide * f64::sqrt(percent / 100.0);
            canvas.rule((x, bar.bottom), (x, bar.bottom + 4.0), FAINT)?;
            let words = format!("{percent}%");
            canvas.text(&words, (x, top + 48.0), faint.centred())?;
        }
        Ok(())
    }
}

fn sum(row: &[u32]) -> u64 {
    row.iter().map(|count| u64::from(*count)).sum()
}

/// How strong a cell's colour is, in 0..=1: the root of its share, but never too pale to be seen.
fn strength(count: u32, total: u64) -> f64 {
    match count {
        0 => 0.0,
        _ => (f64::from(count) / total as f64).sqrt().max(0.14),
    }
}

fn shade(count: u32, total: u64, right: bool) -> Rgb {
    let colour = if right { BLUE } else { VERMILLION };
    tint(colour, strength(count, total))
}

/// The colour thinned with white.
fn tint(colour: Rgb, strength: f64) -> Rgb {
    colour.map(|part| (255.0 - (255.0 - f64::from(part)) * strength).round() as u8)
}

/// A count in at most four letters.
fn short(count: u32) -> String {
    match f64::from(count) {
        n @ ..1e3 => format!("{n}"),
        n @ ..9.95e3 => format!("{:.1}k", n / 1e3),
        n @ ..9.995e5 => format!("{:.0}k", n / 1e3),
        n @ ..9.95e6 => format!("{:.1}M", n / 1e6),
        n => format!("{:.0}M", n / 1e6),
    }
}
