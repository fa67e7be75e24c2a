//! Where the trials of a chart are, and the layer of links that the page lays over its picture.

use super::Chart;
use super::view::View;
use crate::report::canvas::Xy;
use crate::report::html::escape::escape;
use std::fmt::Write;

/// A chart with more spots has no links: the page would grow by megabytes.
const MOST: usize = 2000;
/// How near the pointer has to come.
const REACH: u32 = 8;

/// A trial's mark in a picture, in its pixels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spot {
    /// Its place in [`View::trials`].
    pub(super) trial: usize,
    pub(super) mark: Mark,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mark {
    Dot(Xy),
    Line(Vec<Xy>),
}

/// Transparent marks over the picture: each says its trial's values under the pointer and leads
/// to its row in the table.
pub(super) fn layer(chart: &Chart, view: &View) -> String {
    if chart.spots.is_empty() || chart.spots.len() > MOST {
        return String::new();
    }
    let (width, height) = chart.size;
    let mut layer = format!("<svg viewBox=\"0 0 {width} {height}\" aria-hidden=\"true\">\n");
    for spot in &chart.spots {
        let lines = view.lines(spot.trial);
        let words: Vec<String> = lines.iter().map(|line| escape(line)).collect();
        let mark = match &spot.mark {
            Mark::Dot((x, y)) => {
                format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{REACH}\"></circle>")
            }
            Mark::Line(points) => {
                let places = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}"));
                let places: Vec<String> = places.collect();
                format!("<polyline points=\"{}\"></polyline>", places.join(" "))
            }
        };
        let _ = writeln!(
            layer,
            "<a href=\"#trial-{}\" tabindex=\"-1\"><title>{}</title>{mark}</a>",
            view.trials[spot.trial].number,
            words.join("\n")
        );
    }
    layer + "</svg>\n"
}
