//! One panel: the values of one quantity, painted with their axes.

use std::ops::Range;

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::axis::Axis;
use super::pen::{diamond, dot, font, measure, message, significant, stroke, write};
use super::{Canvas, Curves, GRID, HUGE, INK, MAX_STEPS, Plane, Point, SCALE, SERIES, Xy};

/// The finite values of one quantity, in the order of [`SERIES`].
pub(super) struct Panel {
    pub(super) series: [Vec<Xy<f64>>; 4],
}

impl Panel {
    pub(super) fn new(curves: &Curves, value: impl Fn(&Point) -> Option<f64>) -> Self {
        let finite = |points: &[Point]| -> Vec<Xy<f64>> {
            let pairs = points
                .iter()
                .filter_map(|point| Some((point.epoch, value(point)?)));
            pairs
                .filter(|(x, y)| (0.0..HUGE).contains(x) && y.abs() < HUGE)
                .collect()
        };
        let steps = finite(curves.steps);
        let bins = steps
            .chunks(steps.len().div_ceil(MAX_STEPS).max(1))
            .map(|bin| {
                let share = 1.0 / bin.len() as f64;
                bin.iter().fold((0.0, 0.0), |sum, at| {
                    (sum.0 + at.0 * share, sum.1 + at.1 * share)
                })
            });
        let test: Vec<Point> = curves.test.into_iter().collect();
        let (epochs, validation) = (finite(curves.epochs), finite(curves.validation));
        Self {
            series: [bins.collect(), epochs, validation, finite(&test)],
        }
    }

    /// All values of the given series, sorted.
    pub(super) fn sorted(&self, which: Range<usize>) -> Vec<f64> {
        let mut values: Vec<f64> = self.series[which].iter().flatten().map(|at| at.1).collect();
        values.sort_by(f64::total_cmp);
        values
    }

    /// Axes, grid and series on `area`, a part of `canvas`. `above` says on which side of its
    /// marker the test's label goes if there is room.
    pub(super) fn paint(
        &self,
        canvas: &Canvas,
        area: &Canvas,
        axes: [&Axis; 2],
        above: bool,
    ) -> Result<(), String> {
        let plane = frame(canvas, area, axes)?;
        let [x, y] = axes;
        if self.series.iter().all(Vec::is_empty) {
            let middle = ((x.low + x.high) / 2.0, (y.low + y.high) / 2.0);
            let middle = plane.map_coordinate(&middle);
            return write(canvas, "no finite values", 16, middle, HPos::Center);
        }
        for (points, (_, colour, width)) in self.series.iter().zip(SERIES) {
            let points: Vec<_> = points.iter().map(|at| (at.0, y.scaled(at.1))).collect();
            for pair in points.windows(2) {
                if let Some(ends) = clip(pair[0], pair[1], (y.low, y.high)) {
                    stroke(
                        canvas,
                        ends.map(|at| plane.map_coordinate(&at)),
                        colour,
                        width,
                    )?;
                }
            }
            let radius = match (width, points.len()) {
                (0, _) | (1, 2..) => continue,
                (_, 0..=50) => 3 * SCALE,
                _ => width * SCALE / 2,
            };
            for point in points.iter().filter(|at| (y.low..=y.high).contains(&at.1)) {
                dot(canvas, plane.map_coordinate(point), radius, colour)?;
            }
        }
        let Some(&(epoch, value)) = self.series[3].first() else {
            return Ok(());
        };
        let height = y.scaled(value).clamp(y.low, y.high);
        let place = plane.map_coordinate(&(epoch, height));
        diamond(canvas, place, SERIES[3].1)?;
        let label = format!("test {}{}", significant(value), y.unit);
        beside(canvas, &label, place, plane.get_pixel_range(), above)
    }
}

/// Draws axes, grid and tick labels, and returns the plane inside them.
fn frame<'a>(canvas: &Canvas, area: &Canvas<'a>, [x, y]: [&Axis; 2]) -> Result<Plane<'a>, String> {
    let mut widest = 0;
    for (_, label) in &y.ticks {
        widest = widest.max(measure(canvas, label, 15)?.0);
    }
    let mut builder = ChartBuilder::on(area);
    builder.margin_top(10 * SCALE).margin_right(20 * SCALE);
    builder.margin_bottom(8 * SCALE).margin_left(16 * SCALE);
    builder
        .x_label_area_size(50 * SCALE)
        .y_label_area_size(widest + 44 * SCALE);
    let chart = builder.build_cartesian_2d(x.clone(), y.clone());
    let mut chart = chart.map_err(message)?;
    let (thin, ink) = (
        GRID.stroke_width(SCALE as u32),
        INK.stroke_width(SCALE as u32),
    );
    let mut mesh = chart.configure_mesh();
    mesh.bold_line_style(thin)
        .light_line_style(TRANSPARENT)
        .axis_style(ink);
    mesh.label_style(font(15)).axis_desc_style(font(16));
    mesh.x_desc(x.title)
        .y_desc(y.title)
        .y_label_offset(3 * SCALE);
    mesh.set_all_tick_mark_size(4 * SCALE)
        .draw()
        .map_err(message)?;
    Ok(chart.plotting_area().clone())
}

/// Writes a label above or below `place`, moved to stay within `bounds`, on a pale ground.
fn beside(
    canvas: &Canvas,
    label: &str,
    place: Xy<i32>,
    (columns, rows): Xy<Range<i32>>,
    above: bool,
) -> Result<(), String> {
    let (wide, high) = measure(canvas, label, 15)?;
    let right = (place.0 + wide / 2)
        .min(columns.end - 4 * SCALE)
        .max(columns.start + wide);
    let room = high + 16 * SCALE;
    let above = (above && place.1 - room > rows.start) || place.1 + room > rows.end;
    let middle = place.1 + if above { -1 } else { 1 } * (12 * SCALE + high / 2);
    let (dx, dy) = (4 * SCALE, high / 2 + 3 * SCALE);
    let corners = [(right - wide - dx, middle - dy), (right + dx, middle + dy)];
    let ground = Rectangle::new(corners, WHITE.mix(0.85).filled());
    canvas.draw(&ground).map_err(message)?;
    write(canvas, label, 15, (right, middle), HPos::Right)
}

/// The part of a line that lies between two heights.
fn clip(a: Xy<f64>, b: Xy<f64>, (low, high): Xy<f64>) -> Option<[Xy<f64>; 2]> {
    let cut = |y: f64| (a.0 + (b.0 - a.0) * ((y - a.1) / (b.1 - a.1)), y);
    let keep = |at: Xy<f64>| match at.1 {
        y if y < low => cut(low),
        y if y > high => cut(high),
        _ => at,
    };
    (a.1.max(b.1) >= low && a.1.min(b.1) <= high).then(|| [keep(a), keep(b)])
}
