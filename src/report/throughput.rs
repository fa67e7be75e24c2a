//! Samples per second over the batch size, for several networks on the CPU and on a GPU.

#[cfg(test)]
mod tests;

use super::canvas::axis::Axis;
use super::canvas::legend::Sample;
use super::canvas::plane::{Plane, finite};
use super::canvas::text::Type;
use super::canvas::{Area, Canvas, FAINT, HUGE, PALETTE, Stroke, WHITE, WIDTH, Xy, picture};

const HEIGHT: u32 = 620;

/// One network: (batch size, samples per second) on each side; either list may be empty. Pairs that
/// are not positive and finite are skipped.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    pub name: String,
    /// Drawn dashed, with hollow dots.
    pub cpu: Vec<(f64, f64)>,
    /// Drawn solid, in the same colour.
    pub gpu: Vec<(f64, f64)>,
}

/// Draws the networks on logarithmic axes and returns the bytes of a PNG, 1200 pixels wide.
///
/// # Errors
/// The picture could not be drawn or packed; never because of the values in it.
pub fn draw(title: &str, series: &[Series]) -> Result<Vec<u8>, String> {
    let lines: Vec<[Vec<Xy>; 2]> = series
        .iter()
        .map(|network| [&network.cpu, &network.gpu].map(|points| positive(points)))
        .collect();
    picture((WIDTH, HEIGHT), |canvas| {
        paint(canvas, title, series, &lines)
    })
}

fn positive(points: &[Xy]) -> Vec<Xy> {
    let shown = |at: &Xy| at.0 > 1.0 / HUGE && at.1 > 1.0 / HUGE;
    finite(points.iter().copied().filter(shown))
}

fn paint(
    canvas: &Canvas,
    title: &str,
    series: &[Series],
    lines: &[[Vec<Xy>; 2]],
) -> Result<(), String> {
    let key = "solid: GPU   dashed, hollow: CPU";
    canvas.title(title, f64::from(WIDTH) - 270.0)?;
    let corner = (f64::from(WIDTH) - 20.0, 20.0);
    canvas.text(key, corner, Type::new(13.0).colour(FAINT).right())?;
    let names: Vec<(Sample, String)> = series
        .iter()
        .zip(colours())
        .map(|(network, colour)| {
            (
                Sample::Dotted(Stroke::solid(colour, 2.0)),
                network.name.clone(),
            )
        })
        .collect();
    canvas.legend_grid(&names, 5, (48.0, f64::from(WIDTH)))?;
    let below = 38.0 + 24.0 * names.len().div_ceil(5).max(1) as f64;
    let area = Area::new(0.0, below, f64::from(WIDTH), f64::from(HEIGHT));
    let all = || lines.iter().flatten().flatten();
    let mut x = Axis::logarithmic("batch size (log scale)", ends(all().map(|at| at.0)), 0.03);
    // The sizes that were measured, and no others.
    let mut sizes: Vec<f64> = all().map(|at| at.0).collect();
    sizes.sort_by(f64::total_cmp);
    sizes.dedup();
    x.ticks = sizes.iter().map(|b| (b.log10(), format!("{b}"))).collect();
    let y = Axis::logarithmic(
        "samples per second (log scale)",
        ends(all().map(|at| at.1)),
        0.05,
    );
    let plane = Plane::frame(canvas, area, x, y)?;
    if all().next().is_none() {
        return plane.empty(canvas);
    }
    for ([cpu, gpu], colour) in lines.iter().zip(colours()) {
        plane.curve(canvas, cpu, Stroke::dashed(colour, 2.0))?;
        plane.curve(canvas, gpu, Stroke::solid(colour, 2.0))?;
        plane.dots(canvas, gpu, 4.0, colour)?;
        plane.dots(canvas, cpu, 4.5, colour)?;
        plane.dots(canvas, cpu, 2.5, WHITE)?;
    }
    Ok(())
}

/// More networks than colours go round again.
fn colours() -> impl Iterator<Item = super::canvas::Rgb> {
    PALETTE.into_iter().cycle()
}

/// The least and the greatest; a decade where there are none.
fn ends(values: impl Iterator<Item = f64>) -> Xy {
    let (low, high) = values.fold((HUGE, 0.0f64), |ends, at| (ends.0.min(at), ends.1.max(at)));
    if low > high { (1.0, 10.0) } else { (low, high) }
}
