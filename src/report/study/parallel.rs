//! Parallel coordinates: an axis per parameter and objective, a line per trial.

use super::heading::heading;
use super::scale::Scale;
use super::spots::{Mark, Spot};
use super::view::{View, line_width, shade};
use crate::report::canvas::axis::Axis;
use crate::report::canvas::legend::Sample;
use crate::report::canvas::text::{Type, fit, measure};
use crate::report::canvas::{Area, Canvas, FAINT, GRID, INK, Stroke, VERMILLION, WHITE, Xy};
use crate::tune::trial::{Trial, TrialState};

const LABEL: f64 = 13.0;
const NAME: f64 = 15.0;
/// The least room between two axes.
const APART: f64 = 92.0;
/// Room for what stands left of the first and right of the last axis.
const LEFT: f64 = 90.0;
const RIGHT: f64 = 100.0;
/// From the lower end of an axis down to the place of what is not set.
const UNSET: f64 = 26.0;

/// An upright axis of the picture.
struct Upright<'a> {
    x: f64,
    axis: &'a Axis,
    of: Of<'a>,
}

enum Of<'a> {
    Parameter(&'a Scale<'a>),
    Objective(usize),
}

impl Upright<'_> {
    fn value(&self, view: &View, trial: &Trial) -> Option<f64> {
        match self.of {
            Of::Parameter(scale) => scale.value(trial),
            Of::Objective(objective) => view.value(trial, objective),
        }
    }
}

pub(super) fn paint(canvas: &Canvas, area: Area, view: &View) -> Result<Vec<Spot>, String> {
    let uprights = uprights(area, view);
    let parameters = uprights.len() - view.axes.len();
    let title = format!("Parallel coordinates{}", view.left_out(parameters));
    let below = heading(canvas, area, &title, &legend(view))?;
    let (top, mut bottom) = (below.top + 48.0, area.bottom - 24.0);
    let trials: Vec<usize> = drawn(view);
    let unset =
        |trial: &usize, upright: &Upright| upright.value(view, view.trials[*trial]).is_none();
    let any_unset = trials.iter().any(|t| uprights.iter().any(|u| unset(t, u)));
    if any_unset {
        bottom -= UNSET;
        let at = (area.left + 20.0, bottom + UNSET);
        canvas.text("not set", at, Type::new(LABEL).colour(FAINT))?;
        let ends = [(at.0 + 60.0, at.1), (area.right - RIGHT, at.1)];
        canvas.path(&ends, Stroke::dashed(GRID, 1.0))?;
    }
    let place = |upright: &Upright, trial: usize| -> Xy {
        let value = upright.value(view, view.trials[trial]);
        let share = value.map(|value| upright.axis.place(value).clamp(0.0, 1.0));
        let y = share.map_or(bottom + UNSET, |share| bottom - share * (bottom - top));
        (upright.x, y)
    };

    let width = line_width(trials.len());
    let mut spots = Vec::new();
    for &trial in &trials {
        let points: Vec<Xy> = uprights.iter().map(|u| place(u, trial)).collect();
        let value = view.value(view.trials[trial], 0);
        let stroke = match view.trials[trial].state {
            _ if view.winners.contains(&trial) => Stroke::solid(VERMILLION, width.max(1.0) + 1.5),
            TrialState::Complete => {
                let quality = value.map_or(0.0, |value| view.quality(value, 0));
                Stroke::solid(shade(quality), width)
            }
            _ => Stroke::solid(GRID, width),
        };
        canvas.path(&points, stroke)?;
        let mark = Mark::Line(points);
        spots.push(Spot { trial, mark });
    }
    for (index, upright) in uprights.iter().enumerate() {
        ruler(canvas, upright, (top, bottom))?;
        if trials.iter().any(|t| unset(t, upright)) {
            canvas.dot((upright.x, bottom + UNSET), 3.5, FAINT)?;
        }
        let room = (upright_step(&uprights) * 2.0 - 12.0).max(60.0);
        name(canvas, area, upright, (index, room, top))?;
    }
    Ok(spots)
}

/// The axes from left to right: as many parameters as have room, then the objectives.
fn uprights<'a>(area: Area, view: &'a View) -> Vec<Upright<'a>> {
    let room = area.right - area.left - LEFT - RIGHT;
    let most = (room / APART) as usize + 1;
    let parameters = most.saturating_sub(view.axes.len()).max(1);
    let of_parameters = view.most_important(parameters).into_iter();
    let of_parameters = of_parameters.map(|scale| (&scale.axis, Of::Parameter(scale)));
    let objectives = view.axes.iter().enumerate();
    let objectives = objectives.map(|(ix, axis)| (axis, Of::Objective(ix)));
    let all: Vec<_> = of_parameters.chain(objectives).collect();
    let step = room / (all.len() - 1).max(1) as f64;
    let upright = |(ix, (axis, of))| Upright {
        x: area.left + LEFT + step * ix as f64,
        axis,
        of,
    };
    all.into_iter().enumerate().map(upright).collect()
}

fn upright_step(uprights: &[Upright]) -> f64 {
    match uprights {
        [first, second, ..] => second.x - first.x,
        _ => f64::INFINITY,
    }
}

/// The trials that came to something: pruned ones behind, then from worse to better.
fn drawn(view: &View) -> Vec<usize> {
    let rank = |ix: usize| {
        let trial = view.trials[ix];
        let quality = view.quality(view.value(trial, 0)?, 0);
        let layer = match trial.state {
            _ if view.winners.contains(&ix) => 2,
            TrialState::Complete => 1,
            _ => 0,
        };
        Some((layer, quality, ix))
    };
    let mut ranks: Vec<_> = (0..view.trials.len()).filter_map(rank).collect();
    ranks.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    ranks.into_iter().map(|rank| rank.2).collect()
}

/// The line of an axis with its ticks: a parameter's on the left, an objective's on the right.
fn ruler(canvas: &Canvas, upright: &Upright, (top, bottom): Xy) -> Result<(), String> {
    let x = upright.x;
    let objective = matches!(upright.of, Of::Objective(_));
    canvas.rule((x, top), (x, bottom), INK)?;
    let mut axis = upright.axis.clone();
    axis.thin(bottom - top, LABEL);
    for (at, label) in &axis.ticks {
        let y = bottom - axis.share(*at) * (bottom - top);
        let label = fit(label, LABEL, APART - 18.0)?;
        let wide = measure(&label, LABEL)?.0;
        let (tick, set) = match objective {
            true => (5.0, Type::new(LABEL)),
            false => (-5.0, Type::new(LABEL).right()),
        };
        canvas.rule((x, y), (x + tick, y), INK)?;
        let ends = [x + tick * 1.4, x + tick * 2.2 + wide.copysign(tick)];
        let (left, right) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
        canvas.fill(Area::new(left, y - 8.0, right, y + 8.0), WHITE, 0.75)?;
        canvas.text(&label, (x + tick * 1.8, y), set)?;
    }
    Ok(())
}

/// What an axis is called, above it and in turns higher and lower, so that each has two steps of
/// room.
fn name(
    canvas: &Canvas,
    area: Area,
    upright: &Upright,
    (index, room, top): (usize, f64, f64),
) -> Result<(), String> {
    let half = (upright.x - area.left).min(area.right - upright.x) - 6.0;
    let words = fit(&upright.axis.title, NAME, room.min(half * 2.0))?;
    let y = top - if index % 2 == 0 { 16.0 } else { 36.0 };
    canvas.text(&words, (upright.x, y), Type::new(NAME).centred())
}

fn legend(view: &View) -> Vec<(Sample, String)> {
    let mut entries = Vec::new();
    if view.count(TrialState::Complete) > view.winners.len() {
        let sample = Sample::Line(Stroke::solid(shade(0.8), 2.0));
        let better = format!("the darker, the better the {}", view.metric(0).name);
        entries.push((sample, better));
    }
    if view.count(TrialState::Pruned) > 0 {
        entries.push((Sample::Line(Stroke::solid(GRID, 2.0)), "pruned".to_string()));
    }
    let sample = Sample::Line(Stroke::solid(VERMILLION, 3.0));
    match view.winners[..] {
        [] => {}
        [winner] => entries.push((sample, format!("best, {}", view.name(winner)))),
        _ => entries.push((sample, "on the Pareto front".to_string())),
    }
    entries
}
