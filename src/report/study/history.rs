//! Every trial's value in the order of the trials, and the best so far.

use super::heading::heading;
use super::scale::whole_numbers;
use super::spots::{Mark, Spot};
use super::view::View;
use crate::report::canvas::legend::Sample;
use crate::report::canvas::plane::Plane;
use crate::report::canvas::{Area, BLUE, Canvas, FAINT, PALE_BLUE, Stroke, VERMILLION, Xy};
use crate::tune::trial::TrialState;

/// More objectives than this have no panel of their own.
const PANELS: usize = 3;
const BEST: Stroke = Stroke::solid(VERMILLION, 2.0);

pub(super) fn paint(canvas: &Canvas, area: Area, view: &View) -> Result<Vec<Spot>, String> {
    let area = heading(canvas, area, "Optimisation history", &legend(view))?;
    let panels = view.axes.len().min(PANELS);
    let wide = (area.right - area.left) / panels as f64;
    let mut spots = Vec::new();
    for objective in 0..panels {
        let left = area.left + objective as f64 * wide;
        let right = left + wide;
        let area = Area {
            left,
            right,
            ..area
        };
        spots.extend(panel(canvas, area, view, objective)?);
    }
    Ok(spots)
}

fn panel(canvas: &Canvas, area: Area, view: &View, objective: usize) -> Result<Vec<Spot>, String> {
    let last = view.trials.last().map_or(1, |trial| trial.number.max(1));
    let last = f64::from(last);
    let mut x = whole_numbers("trial", 0.0, last);
    (x.low, x.high) = (-0.02 * last, last * 1.02);
    let plane = Plane::frame(canvas, area, x, view.axis(objective, true))?;
    let (mut pruned, mut complete, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    for (ix, trial) in view.trials.iter().enumerate() {
        let number = f64::from(trial.number);
        match (view.value(trial, objective), trial.state) {
            (Some(value), TrialState::Complete) => complete.push((ix, (number, value))),
            (Some(value), _) => pruned.push((ix, (number, value))),
            (None, state) if state.is_finished() => missing.push(number),
            _ => {}
        }
    }
    // What came to nothing is notched below the axis.
    for number in missing {
        let (x, y) = plane.at((number, plane.y.low));
        canvas.line((x, y + 3.0), (x, y + 9.0), FAINT, 2.0)?;
    }
    if pruned.is_empty() && complete.is_empty() {
        plane.empty(canvas)?;
        return Ok(Vec::new());
    }
    let mut spots = Vec::new();
    for (points, colour) in [(&pruned, PALE_BLUE), (&complete, BLUE)] {
        // Many are drawn smaller.
        let radius = if points.len() > 300 { 2.5 } else { 4.0 };
        for &(trial, at) in points {
            let place = plane.nearest(at);
            canvas.veil(place, radius, colour, 0.85)?;
            let mark = Mark::Dot(place);
            spots.push(Spot { trial, mark });
        }
    }
    plane.curve(canvas, &best_so_far(view, &complete, objective, last), BEST)?;
    for &winner in &view.winners {
        if let Some((_, at)) = complete.iter().find(|point| point.0 == winner) {
            canvas.ring(plane.nearest(*at), VERMILLION)?;
        }
    }
    Ok(spots)
}

/// The corners of a staircase through the best values, on to the last trial.
fn best_so_far(view: &View, complete: &[(usize, Xy)], objective: usize, last: f64) -> Vec<Xy> {
    let higher = view.metric(objective).higher_is_better;
    let mut corners: Vec<Xy> = Vec::new();
    for &(_, (number, value)) in complete {
        match corners.last() {
            Some(&(_, best)) if (value > best) != higher || value == best => {}
            before => {
                corners.extend(before.map(|at| (number, at.1)));
                corners.push((number, value));
            }
        }
    }
    let end = corners.last().map(|at| (last, at.1));
    corners.extend(end);
    corners
}

fn legend(view: &View) -> Vec<(Sample, String)> {
    let with_value = |state| {
        let all = view.trials.iter().filter(|t| t.state == state);
        all.filter(|t| view.value(t, 0).is_some()).count()
    };
    let mut entries = Vec::new();
    let (complete, pruned) = (
        with_value(TrialState::Complete),
        with_value(TrialState::Pruned),
    );
    if complete > 0 {
        entries.push((Sample::Dot(BLUE), format!("complete ({complete})")));
    }
    if pruned > 0 {
        let name = format!("pruned, last value ({pruned})");
        entries.push((Sample::Dot(PALE_BLUE), name));
    }
    let ended = view.trials.iter().filter(|t| t.state.is_finished());
    let missing = ended.count() - complete - pruned;
    if missing > 0 {
        let sample = Sample::Line(Stroke::solid(FAINT, 2.0));
        entries.push((sample, format!("no value ({missing})")));
    }
    match view.winners[..] {
        [] => {}
        [winner] if view.axes.len() == 1 => {
            let name = format!("best so far, {}", view.name(winner));
            entries.push((Sample::Dotted(BEST), name));
        }
        _ => {
            entries.push((Sample::Line(BEST), "best so far".to_string()));
            entries.push((Sample::Ring(VERMILLION), "on the Pareto front".to_string()));
        }
    }
    entries
}
