//! The receiver operating characteristic of a two-class model: hits over false alarms for every
//! threshold.

#[cfg(test)]
mod tests;

use super::canvas::axis::Axis;
use super::canvas::plane::{Plane, finite};
use super::canvas::{Area, BLUE, FAINT, Stroke, picture};

const SIZE: (u32, u32) = (640, 660);

#[derive(Clone, Copy, Debug, Default)]
pub struct Roc<'a> {
    pub title: &'a str,
    /// Name of the class that counts as a hit.
    pub positive: &'a str,
    /// False positive rate and true positive rate, both in 0..1, from (0, 0) to (1, 1).
    pub points: &'a [(f64, f64)],
    /// Area under the curve.
    pub auc: f64,
}

/// Draws the curve with its diagonal, the area in the title, and returns the bytes of a PNG.
///
/// # Errors
/// The picture could not be drawn or packed; never because of the values in it.
pub fn draw(roc: &Roc) -> Result<Vec<u8>, String> {
    picture(SIZE, |canvas| {
        let (width, height) = (f64::from(SIZE.0), f64::from(SIZE.1));
        let title = match roc.title {
            "" => format!("AUC {:.4}", roc.auc),
            title => format!("{title} · AUC {:.4}", roc.auc),
        };
        canvas.title(&title, width)?;
        let whole = |title: &str| Axis::linear(title, (0.0, 1.0), (0.0, 1.0));
        let hits = match roc.positive {
            "" => "true positive rate".to_string(),
            positive => format!("true positive rate of {positive}"),
        };
        let area = Area::new(0.0, 40.0, width, height);
        let (x, y) = (whole("false positive rate"), whole(&hits));
        let plane = Plane::frame(canvas, area, x, y)?;
        let diagonal = [(0.0, 0.0), (1.0, 1.0)];
        plane.curve(canvas, &diagonal, Stroke::dashed(FAINT, 1.0))?;
        let points = finite(roc.points.iter().copied());
        let points: Vec<_> = points
            .into_iter()
            .map(|(x, y)| (x.clamp(0.0, 1.0), y.clamp(0.0, 1.0)))
            .collect();
        if points.is_empty() {
            return plane.empty(canvas);
        }
        plane.curve(canvas, &points, Stroke::solid(BLUE, 2.0))
    })
}
