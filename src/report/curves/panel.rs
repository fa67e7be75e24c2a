//! One panel: the values of one quantity, painted with their axes.

use std::ops::Range;

use super::{Curves, MAX_STEPS, Point, SERIES};
use crate::report::canvas::axis::Axis;
use crate::report::canvas::plane::{Plane, finite};
use crate::report::canvas::text::significant;
use crate::report::canvas::{Area, Canvas, FAINT, Stroke, Xy};

/// The finite values of one quantity, in the order of [`SERIES`].
pub(super) struct Panel {
    pub(super) series: [Vec<Xy>; 4],
}

impl Panel {
    pub(super) fn new(curves: &Curves, value: impl Fn(&Point) -> Option<f64>) -> Self {
        let of = |points: &[Point]| values(points, &value);
        let steps = of(curves.steps);
        let bins = steps
            .chunks(steps.len().div_ceil(MAX_STEPS).max(1))
            .map(|bin| {
                let share = 1.0 / bin.len() as f64;
                bin.iter().fold((0.0, 0.0), |sum, at| {
                    (sum.0 + at.0 * share, sum.1 + at.1 * share)
                })
            });
        let test: Vec<Point> = curves.test.into_iter().collect();
        let (epochs, validation) = (of(curves.epochs), of(curves.validation));
        Self {
            series: [bins.collect(), epochs, validation, of(&test)],
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.series.iter().all(Vec::is_empty)
    }

    /// All values of the given series, sorted.
    pub(super) fn sorted(&self, which: Range<usize>) -> Vec<f64> {
        let mut values: Vec<f64> = self.series[which].iter().flatten().map(|at| at.1).collect();
        values.sort_by(f64::total_cmp);
        values
    }

    /// Axes, grid and series on `area`, with a mark at the best epoch. `above` says on which side
    /// of its marker the test's label goes if there is room.
    pub(super) fn paint(
        &self,
        canvas: &Canvas,
        area: Area,
        [x, y]: [Axis; 2],
        unit: &str,
        best: Option<f64>,
        above: bool,
    ) -> Result<(), String> {
        let plane = Plane::frame(canvas, area, x, y)?;
        if self.is_empty() {
            return plane.empty(canvas);
        }
        for (points, (_, colour, width)) in self.series.iter().zip(SERIES) {
            plane.curve(canvas, points, Stroke::solid(colour, width))?;
            match (width, points.len()) {
                (0.0, _) | (1.0, 2..) => {}
                (_, 0..=50) => plane.dots(canvas, points, 3.0, colour)?,
                _ => plane.dots(canvas, points, width / 2.0, colour)?,
            }
        }
        if let Some(best) = best {
            self.mark(canvas, &plane, best)?;
        }
        let Some(&test) = self.series[3].first() else {
            return Ok(());
        };
        let place = plane.nearest(test);
        canvas.diamond(place, SERIES[3].1)?;
        let gap = if unit.is_empty() { "" } else { " " };
        let label = format!("test {}{gap}{unit}", significant(test.1));
        canvas.label(&label, place, plane.inside, above)
    }

    /// A ring around the value of epoch `best`, of validation if there is one, and a line down to
    /// the axis.
    fn mark(&self, canvas: &Canvas, plane: &Plane, best: f64) -> Result<(), String> {
        let found = [2, 1].into_iter().find_map(|series| {
            let near = |at: &&Xy| (at.0 - best).abs() < 1e-6;
            Some((series, *self.series[series].iter().find(near)?))
        });
        if !(0.0..=1.0).contains(&plane.x.place(best)) {
            return Ok(());
        }
        plane.upright(canvas, best, FAINT)?;
        match found {
            Some((series, at)) if plane.shows(at) => canvas.ring(plane.at(at), SERIES[series].1),
            _ => Ok(()),
        }
    }
}

/// The finite values of points at epochs that can be.
pub(in crate::report) fn values(
    points: &[Point],
    value: &impl Fn(&Point) -> Option<f64>,
) -> Vec<Xy> {
    let pairs = points
        .iter()
        .filter(|point| point.epoch >= 0.0)
        .filter_map(|point| Some((point.epoch, value(point)?)));
    finite(pairs)
}
