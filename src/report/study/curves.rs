//! The intermediate values of every trial.

use super::heading::heading;
use super::spots::{Mark, Spot};
use super::view::{View, line_width, shade, sorted};
use crate::report::canvas::axis::Axis;
use crate::report::canvas::legend::Sample;
use crate::report::canvas::plane::Plane;
use crate::report::canvas::{Area, Canvas, ORANGE, Rgb, Stroke, VERMILLION, Xy};
use crate::tune::trial::{Trial, TrialState};

/// What was pruned lies pale behind the rest.
const PRUNED: Rgb = [244, 212, 150];

/// A trial's place, its curve, and how good it is in the end.
struct Curve {
    trial: usize,
    points: Vec<Xy>,
    /// Behind, then worse, then better.
    rank: (bool, f64),
}

pub(super) fn paint(canvas: &Canvas, area: Area, view: &View) -> Result<Vec<Spot>, String> {
    let curves = curves(view);
    let area = heading(canvas, area, "Learning curves", &legend(view, &curves))?;
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let x = Axis::epochs(points().map(|at| at.0));
    let plane = Plane::frame(canvas, area, x, axis(view, &curves))?;
    if curves.is_empty() {
        plane.empty(canvas)?;
        return Ok(Vec::new());
    }
    let width = line_width(curves.len());
    let mut spots = Vec::new();
    for Curve {
        trial,
        points,
        rank,
    } in curves
    {
        let pruned = view.trials[trial].state == TrialState::Pruned;
        let colour = if pruned { PRUNED } else { shade(rank.1) };
        let (colour, width) = match view.winners.contains(&trial) {
            true => (VERMILLION, width.max(1.0) + 1.5),
            false => (colour, width),
        };
        plane.curve(canvas, &points, Stroke::solid(colour, width))?;
        if pruned && let Some(&end) = points.last() {
            plane.dots(canvas, &[end], 2.5, ORANGE)?;
        } else if points.len() == 1 {
            plane.dots(canvas, &points, 3.5, colour)?;
        }
        let places: Vec<Xy> = points.iter().map(|at| plane.nearest(*at)).collect();
        let mark = match places[..] {
            [place] => Mark::Dot(place),
            _ => Mark::Line(places),
        };
        spots.push(Spot { trial, mark });
    }
    Ok(spots)
}

/// An axis over where the curves end, the best on their way, and all but the winners' first
/// quarter; how the others start may lie beyond it.
fn axis(view: &View, curves: &[Curve]) -> Axis {
    let metric = view.metric(0);
    let better = |a: f64, b: f64| match metric.higher_is_better {
        true => a.max(b),
        false => a.min(b),
    };
    let mut told = Vec::new();
    for curve in curves {
        let values: Vec<f64> = curve.points.iter().map(|at| at.1).collect();
        let first = match view.winners.contains(&curve.trial) {
            true => values.len() / 4,
            false => values.len() - 1,
        };
        told.extend_from_slice(&values[first..]);
        told.extend(values.into_iter().reduce(better));
    }
    Axis::metric(&metric, &sorted(told.into_iter()), &[])
}

/// The curves with points, back to front.
fn curves(view: &View) -> Vec<Curve> {
    let curve = |(trial, of): (usize, &&Trial)| {
        if !matches!(of.state, TrialState::Complete | TrialState::Pruned) {
            return None;
        }
        let points = view.curve(of);
        let last = points.last()?.1;
        let front = of.state != TrialState::Pruned;
        let winner = view.winners.contains(&trial);
        let quality = view.quality(view.value(of, 0).unwrap_or(last), 0);
        Some(Curve {
            trial,
            points,
            rank: (front, if winner { 2.0 } else { quality }),
        })
    };
    let mut curves: Vec<Curve> = view.trials.iter().enumerate().filter_map(curve).collect();
    curves.sort_by(|a, b| {
        let by_state = a.rank.0.cmp(&b.rank.0);
        by_state.then(a.rank.1.total_cmp(&b.rank.1))
    });
    curves
}

fn legend(view: &View, curves: &[Curve]) -> Vec<(Sample, String)> {
    let mut entries = Vec::new();
    let pruned = curves.iter().filter(|curve| !curve.rank.0).count();
    if curves.len() - pruned > view.winners.len() {
        let sample = Sample::Line(Stroke::solid(shade(0.8), 2.0));
        entries.push((sample, "complete, the darker the better".to_string()));
    }
    if pruned > 0 {
        let sample = Sample::Dotted(Stroke::solid(PRUNED, 2.0));
        entries.push((sample, format!("pruned ({pruned})")));
    }
    let drawn = |winner: &&usize| curves.iter().any(|curve| curve.trial == **winner);
    if let Some(&winner) = view.winners.iter().find(drawn) {
        let sample = Sample::Line(Stroke::solid(VERMILLION, 3.0));
        let name = match view.axes.len() {
            1 => format!("best, {}", view.name(winner)),
            _ => "on the Pareto front".to_string(),
        };
        entries.push((sample, name));
    }
    entries
}
