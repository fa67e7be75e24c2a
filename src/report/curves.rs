//! Training curves of one run as a PNG: loss on the left, a metric on the right, and the learning
//! rate in a strip below.

mod panel;
#[cfg(test)]
mod tests;

use super::canvas::axis::Axis;
use super::canvas::legend::Sample;
use super::canvas::plane::{Plane, finite};
use super::canvas::{
    Area, BLUE, Canvas, FAINT, GREEN, INK, PALE_BLUE, Rgb, Stroke, VERMILLION, WIDTH, Xy, picture,
};
use super::metric::Metric;
use panel::Panel;
pub(in crate::report) use panel::values;

/// Height of the picture without and with the learning rate.
const HEIGHT: u32 = 560;
const STRIP: u32 = 190;
/// At most so many steps are drawn; more are averaged in bins.
const MAX_STEPS: usize = 2000;
/// Name, colour and line width of every series, back to front.
const SERIES: [(&str, Rgb, f64); 4] = [
    ("training, per step", PALE_BLUE, 1.0),
    ("training, mean per epoch", BLUE, 2.0),
    ("validation", VERMILLION, 2.0),
    ("test", GREEN, 0.0),
];

/// One measurement: `epoch` counts epochs done and may be fractional, `metric` is in the unit
/// that [`Metric::scale`] starts from (accuracy in 0..1).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    pub epoch: f64,
    pub loss: f64,
    pub metric: Option<f64>,
}

/// All that is drawn of one run. Every list may be empty; values that are not finite are skipped.
#[derive(Clone, Copy, Debug, Default)]
pub struct Curves<'a> {
    pub title: &'a str,
    /// What the points' `metric` is.
    pub metric: Metric<'a>,
    /// Every training step, drawn thin and pale.
    pub steps: &'a [Point],
    /// Training means per epoch.
    pub epochs: &'a [Point],
    pub validation: &'a [Point],
    /// The final test, drawn as a labelled marker.
    pub test: Option<Point>,
    /// Epoch and learning rate of every step; without any there is no strip for them.
    pub rates: &'a [(f64, f64)],
    /// The epoch whose weights were restored.
    pub best: Option<f64>,
}

/// Draws the curves and returns the bytes of a PNG, 1200 pixels wide.
///
/// # Errors
/// The picture could not be drawn or packed; never because of the values in it.
pub fn draw(curves: &Curves) -> Result<Vec<u8>, String> {
    let rates = finite(curves.rates.iter().copied());
    let height = if rates.is_empty() { 0 } else { STRIP } + HEIGHT;
    picture((WIDTH, height), |canvas| paint(canvas, curves, &rates))
}

/// Title and legend on top, one or two panels below, and the learning rate under them.
fn paint(canvas: &Canvas, curves: &Curves, rates: &[Xy]) -> Result<(), String> {
    let scale = curves.metric.scale;
    let loss = Panel::new(curves, |point| Some(point.loss));
    let metric = Panel::new(curves, |point| Some(point.metric? * scale));
    let best = curves.best.filter(|epoch| epoch.is_finite());
    canvas.title(curves.title, f64::from(WIDTH))?;
    canvas.legend(&legend([&loss, &metric], best), (20.0, 48.0))?;

    let epochs = [&loss, &metric].map(|panel| panel.series.concat()).concat();
    let epochs = epochs.iter().chain(rates).map(|point| point.0);
    let x = Axis::epochs(epochs);
    let losses = Axis::loss(&loss.sorted(1..4), &loss.sorted(0..1));
    let (right, bottom) = (f64::from(WIDTH), f64::from(HEIGHT));
    if !rates.is_empty() {
        let area = Area::new(0.0, bottom, right, bottom + f64::from(STRIP));
        strip(canvas, area, x.clone(), rates)?;
    }
    if metric.is_empty() {
        let area = Area::new(0.0, 62.0, right, bottom);
        return loss.paint(canvas, area, [x, losses], "", best, true);
    }
    let area = Area::new(0.0, 62.0, right / 2.0, bottom);
    loss.paint(canvas, area, [x.clone(), losses], "", best, true)?;
    let values = Axis::metric(&curves.metric, &metric.sorted(1..4), &metric.sorted(0..1));
    let area = Area::new(right / 2.0, 62.0, right, bottom);
    metric.paint(canvas, area, [x, values], curves.metric.unit, best, false)
}

/// The learning rate of every step; where there are too many, of every n-th.
fn strip(canvas: &Canvas, area: Area, x: Axis, rates: &[Xy]) -> Result<(), String> {
    let mut values: Vec<f64> = rates.iter().map(|rate| rate.1).collect();
    values.sort_by(f64::total_cmp);
    let plane = Plane::frame(canvas, area, x, Axis::rates(&values))?;
    let every = rates.len().div_ceil(MAX_STEPS).max(1);
    let last = rates.last().copied();
    let drawn: Vec<Xy> = rates.iter().step_by(every).copied().chain(last).collect();
    plane.curve(canvas, &drawn, Stroke::solid(INK, 1.5))
}

/// An entry for every series that some panel shows, and one for the best epoch.
fn legend(panels: [&Panel; 2], best: Option<f64>) -> Vec<(Sample, String)> {
    let mut entries = Vec::new();
    for (index, (name, colour, width)) in SERIES.into_iter().enumerate() {
        if panels.iter().all(|panel| panel.series[index].is_empty()) {
            continue;
        }
        let stroke = Stroke::solid(colour, width);
        let sample = match width {
            0.0 => Sample::Diamond(colour),
            1.0 => Sample::Line(stroke),
            _ => Sample::Dotted(stroke),
        };
        entries.push((sample, name.to_string()));
    }
    if let Some(best) = best {
        entries.push((Sample::Ring(FAINT), format!("best epoch ({best})")));
    }
    entries
}
