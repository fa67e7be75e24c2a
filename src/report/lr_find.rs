//! The learning-rate finder's picture: loss over a rate that grows from step to step.

#[cfg(test)]
mod tests;

use super::canvas::axis::Axis;
use super::canvas::legend::Sample;
use super::canvas::plane::{Plane, finite};
use super::canvas::text::brief;
use super::canvas::{Area, BLUE, Canvas, HUGE, PALE_BLUE, Stroke, VERMILLION, WIDTH, Xy, picture};

const HEIGHT: u32 = 560;

/// One sweep. Pairs whose rate is not positive or whose loss is not finite are skipped.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sweep<'a> {
    pub title: &'a str,
    /// Learning rate and loss of every step.
    pub raw: &'a [(f64, f64)],
    /// Learning rate and smoothed loss of every step.
    pub smooth: &'a [(f64, f64)],
    pub suggestion: Option<f64>,
}

/// Draws the sweep on a logarithmic axis, the suggestion marked, and returns the bytes of a PNG,
/// 1200 pixels wide.
///
/// # Errors
/// The picture could not be drawn or packed; never because of the values in it.
pub fn draw(sweep: &Sweep) -> Result<Vec<u8>, String> {
    picture((WIDTH, HEIGHT), |canvas| paint(canvas, sweep))
}

fn paint(canvas: &Canvas, sweep: &Sweep) -> Result<(), String> {
    let series = [sweep.raw, sweep.smooth].map(|points| {
        let positive = points.iter().copied().filter(|at| at.0 > 1.0 / HUGE);
        finite(positive)
    });
    let suggestion = sweep
        .suggestion
        .filter(|rate| (1.0 / HUGE..HUGE).contains(rate));
    let [raw, smooth] = &series;
    canvas.title(sweep.title, f64::from(WIDTH))?;
    canvas.legend(&legend(raw, smooth, suggestion), (20.0, 48.0))?;

    let rates = series.iter().flatten().map(|at| at.0).chain(suggestion);
    let (low, high) = rates.fold((HUGE, 0.0f64), |ends, at| (ends.0.min(at), ends.1.max(at)));
    let (low, high) = if low > high { (1e-5, 1.0) } else { (low, high) };
    let x = Axis::logarithmic("learning rate (log scale)", (low, high), 0.01);
    let area = Area::new(0.0, 62.0, f64::from(WIDTH), f64::from(HEIGHT));
    let plane = Plane::frame(canvas, area, x, losses(raw, smooth))?;
    if raw.is_empty() && smooth.is_empty() {
        plane.empty(canvas)?;
    }
    plane.curve(canvas, raw, Stroke::solid(PALE_BLUE, 1.0))?;
    plane.curve(canvas, smooth, Stroke::solid(BLUE, 2.0))?;
    for (points, colour) in [(raw, PALE_BLUE), (smooth, BLUE)] {
        if points.len() == 1 {
            plane.dots(canvas, points, 3.5, colour)?;
        }
    }
    let Some(rate) = suggestion else {
        return Ok(());
    };
    plane.upright(canvas, rate, VERMILLION)?;
    let curve = if smooth.is_empty() { raw } else { smooth };
    let near = |at: &&Xy| (at.0 / rate).ln().abs();
    let nearest = curve.iter().min_by(|a, b| near(a).total_cmp(&near(b)));
    let loss = nearest.map_or(plane.y.low, |at| at.1);
    let place = plane.nearest((rate, loss));
    canvas.ring(place, VERMILLION)
}

/// A linear axis over the smoothed losses up to their highest before the lowest one, and half as
/// much again: where the sweep ends, the loss runs away, and what it does there tells nothing.
fn losses(raw: &[Xy], smooth: &[Xy]) -> Axis {
    let curve = if smooth.is_empty() { raw } else { smooth };
    let values: Vec<f64> = curve.iter().map(|at| at.1).collect();
    let lowest = (0..values.len()).min_by(|a, b| values[*a].total_cmp(&values[*b]));
    let Some(lowest) = lowest else {
        return Axis::linear("loss", (0.0, 1.0), (0.0, HUGE));
    };
    let (low, all) = (values[lowest], values.iter().copied());
    let before = values[..=lowest].iter().copied().fold(low, f64::max);
    let highest = all.fold(low, f64::max);
    let high = match before - low > (highest - low) * 1e-3 {
        true => highest.min(before + 0.5 * (before - low)),
        false => highest,
    };
    let lucky = raw.iter().map(|at| at.1).fold(low, f64::min);
    let low = lucky.max(low - 0.15 * (high - low));
    let bottom = if low < 0.0 { -HUGE } else { 0.0 };
    Axis::linear("loss", (low, high), (bottom, HUGE))
}

fn legend(raw: &[Xy], smooth: &[Xy], suggestion: Option<f64>) -> Vec<(Sample, String)> {
    let mut entries = Vec::new();
    if !raw.is_empty() {
        let sample = Sample::Line(Stroke::solid(PALE_BLUE, 1.0));
        entries.push((sample, "loss of each step".to_string()));
    }
    if !smooth.is_empty() {
        let sample = Sample::Line(Stroke::solid(BLUE, 2.0));
        entries.push((sample, "smoothed".to_string()));
    }
    if let Some(rate) = suggestion {
        let name = format!("suggested rate {}", brief(rate));
        entries.push((Sample::Ring(VERMILLION), name));
    }
    entries
}
