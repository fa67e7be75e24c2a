//! Title and legend of a chart that fills a part of a picture.

use crate::report::canvas::legend::{ROW, Sample};
use crate::report::canvas::text::{Type, fit, measure};
use crate::report::canvas::{Area, Canvas};

const MARGIN: f64 = 20.0;
/// Letters of a legend, and the room of a sample with the gaps around it.
const LETTERS: f64 = 15.0;
const SAMPLE: f64 = 57.0;

/// Writes the title and, in as many rows as they need, the entries of the legend; what is left
/// below.
pub(super) fn heading(
    canvas: &Canvas,
    area: Area,
    title: &str,
    entries: &[(Sample, String)],
) -> Result<Area, String> {
    let room = area.right - area.left - 2.0 * MARGIN;
    let (left, mut y) = (area.left + MARGIN, area.top + 20.0);
    canvas.text(&fit(title, 20.0, room)?, (left, y), Type::new(20.0))?;
    y += 28.0;
    let mut row: Vec<(Sample, String)> = Vec::new();
    let mut taken = 0.0;
    for (sample, name) in entries {
        let name = fit(name, LETTERS, room - SAMPLE)?;
        let wide = SAMPLE + measure(&name, LETTERS)?.0;
        if taken + wide > room + 24.0 && !row.is_empty() {
            canvas.legend(&row, (left, y))?;
            (row, taken, y) = (Vec::new(), 0.0, y + ROW);
        }
        row.push((*sample, name));
        taken += wide;
    }
    canvas.legend(&row, (left, y))?;
    let top = if entries.is_empty() {
        y - 10.0
    } else {
        y + 14.0
    };
    Ok(Area { top, ..area })
}
