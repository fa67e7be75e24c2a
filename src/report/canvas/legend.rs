//! The legend: a sample of every kind of mark with its name.

use super::text::{Type, fit, measure};
use super::{Canvas, Rgb, Stroke, Xy};

const LETTERS: f64 = 15.0;
/// Width of a sample and the gap to its name.
const SAMPLE: f64 = 33.0;
/// Height of a row.
pub(crate) const ROW: f64 = 24.0;

/// A mark as a legend shows it.
#[derive(Clone, Copy)]
pub(crate) enum Sample {
    Line(Stroke),
    /// A line with a dot on it.
    Dotted(Stroke),
    Dot(Rgb),
    Diamond(Rgb),
    Ring(Rgb),
}

impl Canvas<'_> {
    /// Entries side by side, each as wide as its name, from `at` on.
    pub(crate) fn legend(&self, entries: &[(Sample, String)], at: Xy) -> Result<(), String> {
        let (mut x, y) = at;
        for (sample, name) in entries {
            self.entry(*sample, name, (x, y))?;
            x += SAMPLE + 24.0 + measure(name, LETTERS)?.0;
        }
        Ok(())
    }

    /// Entries in rows of equal columns between the margins of a picture that is `width` wide;
    /// names that are too long for their column are shortened.
    pub(crate) fn legend_grid(
        &self,
        entries: &[(Sample, String)],
        columns: usize,
        (top, width): (f64, f64),
    ) -> Result<(), String> {
        let wide = (width - 40.0) / columns as f64;
        for (index, (sample, name)) in entries.iter().enumerate() {
            let (row, column) = (index / columns, index % columns);
            let at = (20.0 + column as f64 * wide, top + row as f64 * ROW);
            let name = fit(name, LETTERS, wide - SAMPLE - 20.0)?;
            self.entry(*sample, &name, at)?;
        }
        Ok(())
    }

    fn entry(&self, sample: Sample, name: &str, (x, y): Xy) -> Result<(), String> {
        let (ends, middle) = ([(x, y), (x + 26.0, y)], (x + 13.0, y));
        match sample {
            Sample::Line(stroke) => self.path(&ends, stroke)?,
            Sample::Dotted(stroke) => {
                self.path(&ends, stroke)?;
                self.dot(middle, 3.0, stroke.colour)?;
            }
            Sample::Dot(colour) => self.dot(middle, 4.0, colour)?,
            Sample::Diamond(colour) => self.diamond(middle, colour)?,
            Sample::Ring(colour) => self.ring(middle, colour)?,
        }
        self.text(name, (x + SAMPLE, y), Type::new(LETTERS))
    }
}
