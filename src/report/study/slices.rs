//! The objective over each parameter, a panel each.

use super::heading::heading;
use super::scale::Scale;
use super::spots::{Mark, Spot};
use super::view::View;
use crate::report::canvas::legend::Sample;
use crate::report::canvas::plane::Plane;
use crate::report::canvas::text::fit;
use crate::report::canvas::{Area, BLUE, Canvas, PALE_BLUE, VERMILLION, Xy};
use crate::tune::trial::TrialState;

const COLUMNS: usize = 3;
const PANEL: f64 = 280.0;
const TOP: f64 = 62.0;
/// Room that a panel has for the title of its axis upwards.
const TITLE: f64 = 36.0;

pub(super) fn height(view: &View) -> u32 {
    match view.shown.len() {
        0 => 0,
        count => (TOP + PANEL * count.div_ceil(COLUMNS) as f64) as u32,
    }
}

pub(super) fn paint(canvas: &Canvas, area: Area, view: &View) -> Result<Vec<Spot>, String> {
    let metric = view.metric(0);
    let count = view.shown.len();
    let title = format!("{} by parameter{}", metric.name, view.left_out(count));
    heading(canvas, area, &title, &legend(view))?;
    let columns = count.clamp(1, COLUMNS);
    let wide = (area.right - area.left) / columns as f64;
    let mut spots = Vec::new();
    for (index, scale) in view.shown.iter().enumerate() {
        let (row, column) = (index / columns, index % columns);
        let left = area.left + column as f64 * wide;
        let top = area.top + TOP + row as f64 * PANEL;
        let panel = Area::new(left, top, left + wide, top + PANEL);
        spots.extend(slice(canvas, panel, view, scale, column == 0)?);
    }
    Ok(spots)
}

fn slice(
    canvas: &Canvas,
    mut area: Area,
    view: &View,
    scale: &Scale,
    first: bool,
) -> Result<Vec<Spot>, String> {
    let (mut x, mut y) = (scale.axis.clone(), view.axes[0].clone());
    if !first {
        y.title = String::new();
        area.left -= TITLE;
    }
    let room = area.right - area.left - 130.0;
    if let Some(names) = &scale.choices {
        let each = (room / names.len() as f64 - 8.0).max(80.0);
        for (_, label) in &mut x.ticks {
            *label = fit(label, 15.0, each)?;
        }
    } else {
        let pad = (x.high - x.low) * 0.03;
        (x.low, x.high) = (x.low - pad, x.high + pad);
        if x.log {
            x.thin(room, 34.0);
            x.title += " (log scale)";
        }
    }
    let plane = Plane::frame(canvas, area, x, y)?;
    let mut points: Vec<(u8, usize, Xy)> = Vec::new();
    for (ix, trial) in view.trials.iter().enumerate() {
        let (Some(at), Some(value)) = (scale.value(trial), view.value(trial, 0)) else {
            continue;
        };
        let layer = match trial.state {
            _ if view.winners.contains(&ix) => 2,
            TrialState::Complete => 1,
            _ => 0,
        };
        let aside = if scale.choices.is_some() {
            jitter(trial.number)
        } else {
            0.0
        };
        points.push((layer, ix, (at + aside, value)));
    }
    if points.is_empty() {
        plane.empty(canvas)?;
    }
    points.sort_by_key(|point| point.0);
    let radius = if points.len() > 300 { 2.0 } else { 3.0 };
    let mut spots = Vec::new();
    for (layer, trial, at) in points {
        let place = plane.nearest(at);
        match layer {
            2 => canvas.ring(place, VERMILLION)?,
            1 => canvas.veil(place, radius, BLUE, 0.75)?,
            _ => canvas.veil(place, radius, PALE_BLUE, 0.75)?,
        }
        let mark = Mark::Dot(place);
        spots.push(Spot { trial, mark });
    }
    Ok(spots)
}

/// Sideways from a choice's place, so that equal values do not hide each other: multiples of the
/// golden ratio spread evenly.
fn jitter(number: u32) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    ((f64::from(number) * GOLDEN).fract() - 0.5) * 0.5
}

fn legend(view: &View) -> Vec<(Sample, String)> {
    let mut entries = Vec::new();
    if view.count(TrialState::Complete) > 0 {
        entries.push((Sample::Dot(BLUE), "complete".to_string()));
    }
    if view.count(TrialState::Pruned) > 0 {
        entries.push((Sample::Dot(PALE_BLUE), "pruned, last value".to_string()));
    }
    match view.winners[..] {
        [] => {}
        [winner] => entries.push((
            Sample::Ring(VERMILLION),
            format!("best, {}", view.name(winner)),
        )),
        _ => entries.push((Sample::Ring(VERMILLION), "on the Pareto front".to_string())),
    }
    entries
}
