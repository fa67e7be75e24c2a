//! Two objectives against each other, and the trials that no other is better than.

use super::heading::heading;
use super::spots::{Mark, Spot};
use super::view::View;
use crate::report::canvas::legend::Sample;
use crate::report::canvas::plane::Plane;
use crate::report::canvas::{Area, Canvas, PALE_BLUE, Stroke, VERMILLION, Xy};

const FRONT: Stroke = Stroke::dashed(VERMILLION, 1.5);

/// The first two objectives. Of more than two the front is marked, but is no line.
pub(super) fn paint(canvas: &Canvas, area: Area, view: &View) -> Result<Vec<Spot>, String> {
    let value = |ix: usize, k| view.value(view.trials[ix], k);
    let pair = |ix: usize| Some((ix, (value(ix, 0)?, value(ix, 1)?)));
    let all: Vec<(usize, Xy)> = (0..view.trials.len()).filter_map(pair).collect();
    let (front, rest): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|point| view.winners.contains(&point.0));
    let mut entries = Vec::new();
    if !rest.is_empty() {
        entries.push((Sample::Dot(PALE_BLUE), format!("complete ({})", rest.len())));
    }
    if !front.is_empty() {
        let name = format!("on the Pareto front ({})", front.len());
        entries.push((Sample::Dotted(FRONT), name));
    }
    let area = heading(canvas, area, "Pareto front", &entries)?;
    let [x, y] = [0, 1].map(|k| view.axes[k].clone());
    let plane = Plane::frame(canvas, area, x, y)?;
    if front.is_empty() {
        plane.empty(canvas)?;
        return Ok(Vec::new());
    }
    // The border of what is dominated: a staircase.
    if view.axes.len() == 2 {
        let mut corners: Vec<Xy> = front.iter().map(|point| point.1).collect();
        corners.sort_by(|a, b| a.0.total_cmp(&b.0));
        let higher = view.metric(0).higher_is_better;
        let stairs: Vec<Xy> = corners
            .windows(2)
            .flat_map(|pair| {
                let [a, b] = [pair[0], pair[1]];
                // With a greater first value the second one gets worse.
                let corner = if higher { (a.0, b.1) } else { (b.0, a.1) };
                [a, corner, b]
            })
            .collect();
        plane.curve(canvas, &stairs, FRONT)?;
    }
    let mut spots = Vec::new();
    for (points, colour, radius) in [(rest, PALE_BLUE, 4.0), (front, VERMILLION, 5.0)] {
        for (trial, at) in points {
            let place = plane.nearest(at);
            canvas.veil(place, radius, colour, 0.9)?;
            let mark = Mark::Dot(place);
            spots.push(Spot { trial, mark });
        }
    }
    Ok(spots)
}
