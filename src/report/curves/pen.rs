//! Small marks and texts in painted pixels.

use std::fmt::Display;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Canvas, FONT, INK, SCALE, Xy};

/// Four significant digits.
pub(super) fn significant(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_string(),
        size @ 1e-3..1e5 => format!(
            "{value:.*}",
            (3 - size.log10().floor() as i32).max(0) as usize
        ),
        _ => format!("{value:.3e}"),
    }
}

pub(super) fn message(error: impl Display) -> String {
    error.to_string()
}

pub(super) fn font(size: i32) -> TextStyle<'static> {
    (FONT, size * SCALE).into_font().color(&INK)
}

/// Text centred on the height of `at`; ab_glyph sets it a little too high, hence the shift.
pub(super) fn write(
    canvas: &Canvas,
    words: &str,
    size: i32,
    at: Xy<i32>,
    side: HPos,
) -> Result<(), String> {
    let style = font(size).pos(Pos::new(side, VPos::Center));
    let text = Text::new(words, (at.0, at.1 + 2 * SCALE), style);
    canvas.draw(&text).map_err(message)
}

/// Width and height of a text in painted pixels.
pub(super) fn measure(canvas: &Canvas, words: &str, size: i32) -> Result<Xy<i32>, String> {
    let (wide, high) = canvas
        .estimate_text_size(words, &font(size))
        .map_err(message)?;
    Ok((wide as i32, high as i32))
}

/// A straight line; long ones are drawn piece by piece because plotters' mitred paths tear.
pub(super) fn stroke(
    canvas: &Canvas,
    ends: [Xy<i32>; 2],
    colour: RGBColor,
    width: i32,
) -> Result<(), String> {
    if ends[0] == ends[1] {
        return Ok(());
    }
    let style = colour.stroke_width((width * SCALE) as u32);
    canvas.draw(&PathElement::new(ends, style)).map_err(message)
}

pub(super) fn dot(
    canvas: &Canvas,
    at: Xy<i32>,
    radius: i32,
    colour: RGBColor,
) -> Result<(), String> {
    canvas
        .draw(&Circle::new(at, radius, colour.filled()))
        .map_err(message)
}

pub(super) fn diamond(canvas: &Canvas, (x, y): Xy<i32>, colour: RGBColor) -> Result<(), String> {
    for (size, colour) in [(8 * SCALE, WHITE), (6 * SCALE, colour)] {
        let corners = [(x - size, y), (x, y - size), (x + size, y), (x, y + size)];
        canvas
            .draw(&Polygon::new(corners, colour.filled()))
            .map_err(message)?;
    }
    Ok(())
}
