//! Several runs, or the members of a population, in one picture: loss on the left, a metric on
//! the right, one colour a run.

#[cfg(test)]
mod tests;

use super::canvas::axis::Axis;
use super::canvas::legend::{ROW, Sample};
use super::canvas::plane::Plane;
use super::canvas::text::Type;
use super::canvas::{Area, Canvas, FAINT, GRID, PALETTE, Rgb, Stroke, WIDTH, Xy, picture};
use super::curves::{Point, values};
use super::metric::Metric;

/// Height below the legend.
const PANELS: f64 = 500.0;
const COLUMNS: usize = 4;

/// The curves of one run. Either list may be empty; values that are not finite are skipped.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    pub name: &'a str,
    /// Training means per epoch, drawn solid.
    pub train: &'a [Point],
    /// Drawn dashed in the same colour.
    pub validation: &'a [Point],
}

/// What is laid side by side. The first ten runs have a colour and a name; the others are drawn
/// pale behind them and counted, so the best belong in front.
#[derive(Clone, Copy, Debug, Default)]
pub struct Comparison<'a> {
    pub title: &'a str,
    /// What the points' `metric` is.
    pub metric: Metric<'a>,
    pub runs: &'a [Series<'a>],
}

/// The finite values of one quantity, training and validation, per run.
type Lines = Vec<[Vec<Xy>; 2]>;

/// Draws the comparison and returns the bytes of a PNG, 1200 pixels wide.
///
/// # Errors
/// The picture could not be drawn or packed; never because of the values in it.
pub fn draw(comparison: &Comparison) -> Result<Vec<u8>, String> {
    let names = legend(comparison.runs);
    let rows = names.len().div_ceil(COLUMNS) as f64;
    let top = 38.0 + ROW * rows;
    let size = (WIDTH, (top + PANELS) as u32);
    picture(size, |canvas| {
        let validated = comparison.runs.iter().any(|run| !run.validation.is_empty());
        let note = if validated { 290.0 } else { 0.0 };
        canvas.title(comparison.title, f64::from(WIDTH) - note)?;
        canvas.legend_grid(&names, COLUMNS, (50.0, f64::from(WIDTH)))?;
        // Beside the title, where no curve runs.
        if validated {
            let note = "solid: training   dashed: validation";
            let at = (f64::from(WIDTH) - 20.0, 20.0);
            canvas.text(note, at, Type::new(13.0).colour(FAINT).right())?;
        }
        paint(canvas, comparison, top)
    })
}

fn paint(canvas: &Canvas, comparison: &Comparison, top: f64) -> Result<(), String> {
    let scale = comparison.metric.scale;
    let losses = lines(comparison.runs, |point| Some(point.loss));
    let metrics = lines(comparison.runs, |point| Some(point.metric? * scale));
    let all = losses.iter().chain(&metrics).flatten().flatten();
    let x = Axis::epochs(all.map(|at| at.0));
    let loss = Axis::loss(&within(sorted(&losses), ceiling(&losses)), &[]);
    let (right, bottom) = (f64::from(WIDTH), top + PANELS);
    if sorted(&metrics).is_empty() {
        return panel(
            canvas,
            Area::new(0.0, top, right, bottom),
            [x, loss],
            &losses,
        );
    }
    let half = right / 2.0;
    let left = Area::new(0.0, top, half, bottom);
    panel(canvas, left, [x.clone(), loss], &losses)?;
    let metric = Axis::metric(&comparison.metric, &sorted(&metrics), &[]);
    let area = Area::new(half, top, right, bottom);
    panel(canvas, area, [x, metric], &metrics)
}

fn lines(runs: &[Series], value: impl Fn(&Point) -> Option<f64>) -> Lines {
    runs.iter()
        .map(|run| [run.train, run.validation].map(|points| values(points, &value)))
        .collect()
}

fn sorted(lines: &Lines) -> Vec<f64> {
    let all = lines.iter().flatten().flatten();
    let mut all: Vec<f64> = all.map(|at| at.1).collect();
    all.sort_by(f64::total_cmp);
    all
}

/// Ten times the median of the runs' first losses: a run that diverged leaves the picture there
/// instead of squeezing the others.
fn ceiling(losses: &Lines) -> f64 {
    let firsts = losses.iter().filter_map(|[train, validation]| {
        let first = train.first().or(validation.first());
        first.map(|at| at.1)
    });
    let mut firsts: Vec<f64> = firsts.collect();
    firsts.sort_by(f64::total_cmp);
    match firsts.get(firsts.len().saturating_sub(1) / 2) {
        Some(middle) if *middle > 0.0 => middle * 10.0,
        _ => f64::INFINITY,
    }
}

fn within(mut sorted: Vec<f64>, ceiling: f64) -> Vec<f64> {
    sorted.retain(|value| *value <= ceiling);
    sorted
}

fn panel(canvas: &Canvas, area: Area, [x, y]: [Axis; 2], lines: &Lines) -> Result<(), String> {
    let plane = Plane::frame(canvas, area, x, y)?;
    if lines.iter().flatten().all(Vec::is_empty) {
        return plane.empty(canvas);
    }
    // Back to front, so that the first run lies on top.
    for (index, [train, validation]) in lines.iter().enumerate().rev() {
        let colour = colour(index);
        let width = if index < PALETTE.len() { 2.0 } else { 1.0 };
        plane.curve(canvas, train, Stroke::solid(colour, width))?;
        plane.curve(canvas, validation, Stroke::dashed(colour, width))?;
        for points in [train, validation] {
            if points.len() == 1 {
                plane.dots(canvas, points, 3.5, colour)?;
            }
        }
    }
    Ok(())
}

fn colour(index: usize) -> Rgb {
    PALETTE.get(index).copied().unwrap_or(GRID)
}

fn legend(runs: &[Series]) -> Vec<(Sample, String)> {
    let named = runs.iter().zip(PALETTE).map(|(run, colour)| {
        let sample = Sample::Line(Stroke::solid(colour, 3.0));
        (sample, run.name.to_string())
    });
    let more = runs.len().saturating_sub(PALETTE.len());
    let rest = (more > 0).then(|| {
        let sample = Sample::Line(Stroke::solid(GRID, 2.0));
        (sample, format!("and {more} more"))
    });
    named.chain(rest).collect()
}
