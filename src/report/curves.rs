//! Training curves of one run as a PNG: loss on the left, accuracy on the right.
//!
//! Everything is painted at twice the final size with an embedded font and then
//! averaged down, so the picture is smooth and needs no font of the machine.

mod axis;
mod panel;
mod pen;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::HPos;

use axis::Axis;
use panel::Panel;
use pen::{diamond, dot, measure, stroke, write};

/// Size of the PNG in pixels.
pub const SIZE: (u32, u32) = (1200, 560);
/// Painted pixels per final pixel, each way.
const SCALE: i32 = 2;
/// Values from here on count as infinite; losses are `f32` at their source.
const HUGE: f64 = 1e100;
/// At most so many steps are drawn; more are averaged in bins.
const MAX_STEPS: usize = 2000;
const FONT: &str = "DejaVu Sans";
const INK: RGBColor = RGBColor(45, 45, 45);
const GRID: RGBColor = RGBColor(226, 226, 226);
/// Name, colour (Okabe-Ito: safe for colour-blind eyes) and line width of every series, back to
/// front.
const SERIES: [(&str, RGBColor, i32); 4] = [
    ("training, per step", RGBColor(176, 210, 232), 1),
    ("training, mean per epoch", RGBColor(0, 114, 178), 2),
    ("validation", RGBColor(213, 94, 0), 2),
    ("test", RGBColor(0, 140, 104), 0),
];

/// One measurement: `epoch` counts epochs done and may be fractional, `accuracy` is in 0..1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub epoch: f64,
    pub loss: f64,
    pub accuracy: Option<f64>,
}

/// All that is drawn of one run. Every list may be empty; values that are not finite are skipped.
#[derive(Clone, Copy, Debug)]
pub struct Curves<'a> {
    pub title: &'a str,
    /// Every training step, drawn thin and pale.
    pub steps: &'a [Point],
    /// Training means per epoch.
    pub epochs: &'a [Point],
    pub validation: &'a [Point],
    /// The final test, drawn as a labelled marker.
    pub test: Option<Point>,
}

type Canvas<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
type Plane<'a> = DrawingArea<BitMapBackend<'a>, Cartesian2d<Axis, Axis>>;
/// Epoch and value in data units, or a pixel's place.
type Xy<T> = (T, T);

/// Draws the curves and returns the bytes of a PNG of [`SIZE`].
pub fn draw(curves: &Curves) -> Result<Vec<u8>, String> {
    static FONT_READY: OnceLock<bool> = OnceLock::new();
    let bytes = include_bytes!("../../assets/fonts/DejaVuSans-ascii.ttf");
    let register = || register_font(FONT, FontStyle::Normal, bytes).is_ok();
    if !FONT_READY.get_or_init(register) {
        return Err("the embedded font is damaged".to_string());
    }
    let (width, height) = (SIZE.0 * SCALE as u32, SIZE.1 * SCALE as u32);
    let mut pixels = vec![255u8; (width * height * 3) as usize];
    let canvas = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
    paint(&canvas, curves).map_err(|error| format!("drawing the training curves: {error}"))?;
    drop(canvas);
    encode(&pixels)
}

/// Averages the painted pixels down to [`SIZE`] and packs them as PNG.
fn encode(pixels: &[u8]) -> Result<Vec<u8>, String> {
    let (scale, row) = (SCALE as usize, (SIZE.0 as usize) * SCALE as usize);
    let small = image::RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| {
        let corner = y as usize * scale * row + x as usize * scale;
        image::Rgb(std::array::from_fn(|channel| {
            let at = |i: usize| (corner + i / scale * row + i % scale) * 3 + channel;
            let sum: usize = (0..scale * scale).map(|i| pixels[at(i)] as usize).sum();
            ((sum + scale * scale / 2) / (scale * scale)) as u8
        }))
    });
    let mut png = std::io::Cursor::new(Vec::new());
    small
        .write_to(&mut png, image::ImageFormat::Png)
        .map_err(|error| error.to_string())?;
    Ok(png.into_inner())
}

/// Title and legend on top, one or two panels below.
fn paint(canvas: &Canvas, curves: &Curves) -> Result<(), String> {
    let loss = Panel::new(curves, |point| Some(point.loss));
    let accuracy = Panel::new(curves, |point| Some(point.accuracy? * 100.0));
    heading(canvas, curves.title, [&loss, &accuracy])?;
    let epochs = [&loss, &accuracy]
        .map(|panel| panel.series.concat())
        .concat();
    let x = Axis::epochs(epochs.iter().map(|point| point.0));
    let losses = Axis::loss(&loss.sorted(1..4), &loss.sorted(0..1));
    let (_, below) = canvas.split_vertically(62 * SCALE);
    if accuracy.series.iter().all(Vec::is_empty) {
        return loss.paint(canvas, &below, [&x, &losses], true);
    }
    let (left, right) = below.split_horizontally(SIZE.0 as i32 * SCALE / 2);
    loss.paint(canvas, &left, [&x, &losses], true)?;
    let percent = Axis::accuracy(&accuracy.sorted(1..4), &accuracy.sorted(0..1));
    accuracy.paint(canvas, &right, [&x, &percent], false)
}

/// The title, and under it a sample of every series that some panel shows.
fn heading(canvas: &Canvas, title: &str, panels: [&Panel; 2]) -> Result<(), String> {
    let in_font = |c: char| c == ' ' || c.is_ascii_graphic() || "·×–".contains(c);
    let plain = |c: char| if c.is_whitespace() { ' ' } else { '?' };
    let shown = title
        .chars()
        .take(200)
        .map(|c| if in_font(c) { c } else { plain(c) });
    let mut title: String = shown.collect();
    let room = (SIZE.0 as i32 - 40) * SCALE;
    while measure(canvas, &title, 20)?.0 > room {
        title.truncate(title.trim_end_matches('.').len());
        title.pop();
        title.push_str("...");
    }
    write(canvas, &title, 20, (20 * SCALE, 20 * SCALE), HPos::Left)?;
    let (mut x, y) = (20 * SCALE, 48 * SCALE);
    for (index, (name, colour, width)) in SERIES.into_iter().enumerate() {
        if panels.iter().all(|panel| panel.series[index].is_empty()) {
            continue;
        }
        if width == 0 {
            diamond(canvas, (x + 13 * SCALE, y), colour)?;
        } else {
            stroke(canvas, [(x, y), (x + 26 * SCALE, y)], colour, width)?;
            dot(
                canvas,
                (x + 13 * SCALE, y),
                if width > 1 { 3 * SCALE } else { 0 },
                colour,
            )?;
        }
        write(canvas, name, 15, (x + 33 * SCALE, y), HPos::Left)?;
        x += 57 * SCALE + measure(canvas, name, 15)?.0;
    }
    Ok(())
}
