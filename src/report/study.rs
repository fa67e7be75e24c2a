//! A hyper-parameter study: its charts, one page with all of them, and a contact sheet.
//!
//! Every chart paints onto a part of a picture and says where which trial lies, so that the page
//! can lay links over the very same picture.

mod curves;
mod heading;
mod history;
mod importances;
mod page;
mod parallel;
mod pareto;
mod scale;
mod sheet;
mod slices;
mod spots;
#[cfg(test)]
mod tests;
mod trials;
mod view;

use super::canvas::{Area, Canvas, WIDTH, picture};
use super::html::Fact;
use super::metric::Metric;
use crate::tune::space::Space;
use crate::tune::trial::Trial;
pub use page::page;
pub use sheet::sheet;
use spots::Spot;
use view::View;

/// All that is told of a study. Every list may be empty; values that are not finite are left out
/// of the charts.
#[derive(Clone, Copy, Debug)]
pub struct Study<'a> {
    pub name: &'a str,
    /// What the trials' values are, in their order; `higher_is_better` is the direction.
    pub objectives: &'a [Metric<'a>],
    pub space: &'a Space,
    pub trials: &'a [Trial],
    /// Parameters with what each has to do with the first objective, as shares.
    pub importances: &'a [(String, f64)],
    /// Numbers to stand beside the best value, such as the winner's accuracy on the test part.
    pub results: &'a [Fact<'a>],
    /// Sampler, pruner, device, seconds, sizes of populations.
    pub facts: &'a [Fact<'a>],
    /// Why the search ended, in a sentence.
    pub stopped: &'a str,
    /// The winner's configuration file, and the commands that use it.
    pub config: &'a str,
    pub commands: &'a [&'a str],
}

/// One picture of a study.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What its file is called, without the ending.
    pub name: &'static str,
    pub caption: &'static str,
    pub png: Vec<u8>,
    size: (u32, u32),
    /// Where the trials are, those on top last.
    spots: Vec<Spot>,
}

/// What every chart is: a painter that fills an area, title and legend included, and says where
/// the trials are.
type Paint = fn(&Canvas, Area, &View) -> Result<Vec<Spot>, String>;

struct Kind {
    name: &'static str,
    caption: &'static str,
    /// Height in pixels; 0 where there is nothing to show.
    height: fn(&View) -> u32,
    paint: Paint,
}

/// In the order of the page.
const KINDS: [Kind; 6] = [
    Kind {
        name: "history",
        caption: "Trials in their order and the best value so far; far worse ones lie on the edge",
        height: |_| 480,
        paint: history::paint,
    },
    Kind {
        name: "pareto",
        caption: "Two objectives; no trial is better in both than one of the front",
        height: |view| {
            if view.study.objectives.len() > 1 {
                560
            } else {
                0
            }
        },
        paint: pareto::paint,
    },
    Kind {
        name: "importances",
        caption: "How much of the differences between trials each parameter explains",
        height: importances::height,
        paint: importances::paint,
    },
    Kind {
        name: "parallel",
        caption: "A line a trial through the values of its parameters",
        height: |view| if view.shown.is_empty() { 0 } else { 540 },
        paint: parallel::paint,
    },
    Kind {
        name: "slices",
        caption: "The objective over each parameter",
        height: slices::height,
        paint: slices::paint,
    },
    Kind {
        name: "learning-curves",
        caption: "Every trial epoch by epoch",
        height: |view| if view.has_curves() { 520 } else { 0 },
        paint: curves::paint,
    },
];

/// Draws every chart of which there is something to show, each 1200 pixels wide.
///
/// # Errors
/// A picture could not be drawn or packed; never because of the values in it.
pub fn charts(study: &Study) -> Result<Vec<Chart>, String> {
    let view = View::new(study);
    let mut charts = Vec::new();
    for kind in &KINDS {
        let size = (WIDTH, (kind.height)(&view));
        if size.1 == 0 {
            continue;
        }
        let mut spots = Vec::new();
        let png = picture(size, |canvas| {
            let area = Area::new(0.0, 0.0, f64::from(size.0), f64::from(size.1));
            spots = (kind.paint)(canvas, area, &view)?;
            Ok(())
        })?;
        charts.push(Chart {
            name: kind.name,
            caption: kind.caption,
            png,
            size,
            spots,
        });
    }
    Ok(charts)
}
