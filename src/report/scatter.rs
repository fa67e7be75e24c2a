//! Predicted over true values of a regression.

#[cfg(test)]
mod tests;

use super::canvas::axis::Axis;
use super::canvas::plane::{Plane, finite};
use super::canvas::text::{Type, significant};
use super::canvas::{Area, BLUE, Canvas, FAINT, HUGE, INK, Stroke, VERMILLION, Xy, picture};

const SIZE: (u32, u32) = (760, 780);
/// At most so many points are drawn.
const MOST: usize = 5000;

#[derive(Clone, Copy, Debug, Default)]
pub struct Scatter<'a> {
    pub title: &'a str,
    /// Name of the target, with its unit if it has one.
    pub target: &'a str,
    /// True and predicted value of every sample; pairs that are not finite are skipped.
    pub points: &'a [(f64, f64)],
    /// Coefficient of determination and root of the mean squared error, for the title.
    pub r2: f64,
    pub rmse: f64,
}

/// Draws the points and the diagonal on which a perfect model would put them, and returns the
/// bytes of a PNG. Of more than 5000 points every n-th is drawn.
///
/// Predictions further off than the true values reach are marked at the edge.
///
/// # Errors
/// The picture could not be drawn or packed; never because of the values in it.
pub fn draw(scatter: &Scatter) -> Result<Vec<u8>, String> {
    picture(SIZE, |canvas| paint(canvas, scatter))
}

fn paint(canvas: &Canvas, scatter: &Scatter) -> Result<(), String> {
    let (width, height) = (f64::from(SIZE.0), f64::from(SIZE.1));
    let scores = format!(
        "R² {} · RMSE {}",
        significant(scatter.r2),
        significant(scatter.rmse)
    );
    let title = match scatter.title {
        "" => scores,
        title => format!("{title} · {scores}"),
    };
    canvas.title(&title, width)?;
    let all = finite(scatter.points.iter().copied());
    let ends = range(&all);
    let axis = |what: &str| {
        let title = format!("{what} {}", scatter.target);
        Axis::linear(title.trim_end(), ends, (-HUGE, HUGE))
    };
    let area = Area::new(0.0, 48.0, width, height);
    let plane = Plane::frame(canvas, area, axis("true"), axis("predicted"))?;
    if all.is_empty() {
        return plane.empty(canvas);
    }
    let shown = thinned(&all);
    // Fewer points are drawn stronger.
    let opacity = (15.0 / (shown.len() as f64).sqrt()).clamp(0.25, 0.9);
    let mut beyond = 0;
    for at in shown.iter().copied() {
        if plane.shows(at) {
            canvas.veil(plane.at(at), 2.5, BLUE, opacity)?;
        } else {
            beyond += 1;
            canvas.veil(plane.nearest(at), 3.5, VERMILLION, 0.8)?;
        }
    }
    let diagonal = [(plane.x.low, plane.x.low), (plane.x.high, plane.x.high)];
    plane.curve(canvas, &diagonal, Stroke::dashed(INK, 1.5))?;
    let mut notes = Vec::new();
    if shown.len() < all.len() {
        notes.push(format!("{} of {} points", shown.len(), all.len()));
    }
    if beyond > 0 {
        notes.push(format!("{beyond} beyond the edge"));
    }
    let at = (plane.inside.left + 10.0, plane.inside.top + 12.0);
    canvas.text(&notes.join(" · "), at, Type::new(13.0).colour(FAINT))
}

/// The reach of both axes: all true values, and predictions as far as half that reach around.
fn range(points: &[Xy]) -> Xy {
    let reach = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((HUGE, -HUGE), |ends: Xy, at| {
            (ends.0.min(at), ends.1.max(at))
        })
    };
    let truth = reach(&mut points.iter().map(|at| at.0));
    let guess = reach(&mut points.iter().map(|at| at.1));
    let span = truth.1 - truth.0;
    if span <= 0.0 {
        return (truth.0.min(guess.0), truth.1.max(guess.1));
    }
    (
        truth.0.min(guess.0.max(truth.0 - span / 2.0)),
        truth.1.max(guess.1.min(truth.1 + span / 2.0)),
    )
}

/// Every n-th point, so that at most [`MOST`] are left, the same ones every time.
fn thinned(points: &[Xy]) -> Vec<Xy> {
    let count = points.len().min(MOST);
    (0..count)
        .map(|index| points[index * points.len() / count])
        .collect()
}
