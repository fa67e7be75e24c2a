//! Brings a grey picture of one digit into the form of MNIST: light strokes on black, scaled into
//! a box of 20x20, placed by its centre of mass on 28x28.

use image::imageops::{self, FilterType};
use image::{GrayImage, Luma};

const SIDE: u32 = 28;
const BOX: u32 = 20;
/// Where the centre of mass goes, in pixels from the first; the mean over MNIST is 14.00.
const CENTRE: f64 = 14.0;
/// A picture with a smaller range of grey values is blank: noise and compression reach a few.
const MIN_CONTRAST: u8 = 25;
/// Ink below this tenth of the darkest stroke counts as ground.
const FLOOR: u8 = 25;

/// The digit in the form of MNIST, `[28*28]`; nothing where the picture is blank.
pub fn fit(grey: &GrayImage, notes: &mut Vec<String>) -> Option<Vec<u8>> {
    let (low, high) = grey.pixels().fold((255, 0), |(low, high), pixel| {
        (pixel.0[0].min(low), pixel.0[0].max(high))
    });
    if high.saturating_sub(low) < MIN_CONTRAST {
        return None;
    }
    let ground = border_median(grey);
    // Against the middle of the range, not against 128: a photo of paper may be dark as a whole.
    let light_ground = u16::from(ground) * 2 > u16::from(low) + u16::from(high);
    if light_ground {
        notes.push("dark strokes on a light ground: inverted".to_string());
    } else {
        notes.push("light strokes on a dark ground: kept".to_string());
    }
    if grey.dimensions() == (SIDE, SIDE) {
        notes.push("28x28 already: neither scaled nor moved".to_string());
        let invert = if light_ground { 255 } else { 0 };
        return Some(grey.pixels().map(|pixel| pixel.0[0] ^ invert).collect());
    }

    let strokes = ink(grey, ground, if light_ground { low } else { high });
    let (x, y, width, height) = inked_box(&strokes)?;
    let scale = f64::from(BOX) / f64::from(width.max(height));
    let scaled = |side: u32| ((f64::from(side) * scale).round() as u32).clamp(1, BOX);
    let cut = imageops::crop_imm(&strokes, x, y, width, height).to_image();
    let digit = imageops::resize(&cut, scaled(width), scaled(height), FilterType::CatmullRom);
    notes.push(format!(
        "cropped to the strokes ({width}x{height} at {x},{y}), fitted into {BOX}x{BOX}, centred by mass"
    ));
    if touches_all_sides(grey, (x, y, width, height)) {
        notes.push(
            "the strokes reach every edge, so the light may be uneven or there may be a frame: crop the picture to the digit if the answer looks wrong".to_string(),
        );
    }
    Some(place(&digit))
}

/// Whether the box of the strokes is all but the whole picture.
fn touches_all_sides(grey: &GrayImage, (_, _, width, height): (u32, u32, u32, u32)) -> bool {
    let most = |side: u32, whole: u32| u64::from(side) * 20 >= u64::from(whole) * 19;
    most(width, grey.width()) && most(height, grey.height())
}

/// The median of the outermost pixels.
fn border_median(grey: &GrayImage) -> u8 {
    let (width, height) = grey.dimensions();
    let rows = [0, height - 1];
    let cols = [0, width - 1];
    let across = rows.iter().flat_map(|&y| (0..width).map(move |x| (x, y)));
    let down = cols.iter().flat_map(|&x| (0..height).map(move |y| (x, y)));
    let mut values: Vec<u8> = across
        .chain(down)
        .map(|(x, y)| grey.get_pixel(x, y).0[0])
        .collect();
    let middle = values.len() / 2;
    *values.select_nth_unstable(middle).1
}

/// How far each pixel lies from `ground` towards `stroke`, from 0 to 255.
fn ink(grey: &GrayImage, ground: u8, stroke: u8) -> GrayImage {
    let (ground, reach) = (i32::from(ground), i32::from(stroke) - i32::from(ground));
    GrayImage::from_fn(grey.width(), grey.height(), |x, y| {
        let offset = i32::from(grey.get_pixel(x, y).0[0]) - ground;
        // The ground lies on the far side of the range's middle, so `reach` is not 0.
        let value = (offset * 255 / reach).clamp(0, 255) as u8;
        Luma([if value < FLOOR { 0 } else { value }])
    })
}

/// Left, top, width and height of the box around all ink; nothing where there is none.
fn inked_box(strokes: &GrayImage) -> Option<(u32, u32, u32, u32)> {
    let mut bounds: Option<(u32, u32, u32, u32)> = None;
    for (x, y, _) in strokes.enumerate_pixels().filter(|p| p.2.0[0] > 0) {
        let (left, top, right, bottom) = bounds.unwrap_or((x, y, x, y));
        bounds = Some((left.min(x), top.min(y), right.max(x), bottom.max(y)));
    }
    bounds.map(|(left, top, right, bottom)| (left, top, right - left + 1, bottom - top + 1))
}

/// Places `digit`, at most 20x20, on 28x28 so that its centre of mass comes to (14, 14), or as
/// near as whole pixels and the edges allow.
fn place(digit: &GrayImage) -> Vec<u8> {
    let (mut mass, mut mass_x, mut mass_y) = (0.0, 0.0, 0.0);
    for (x, y, pixel) in digit.enumerate_pixels() {
        let weight = f64::from(pixel.0[0]);
        mass += weight;
        mass_x += weight * f64::from(x);
        mass_y += weight * f64::from(y);
    }
    let offset = |moment: f64, side: u32| {
        // Where scaling left no ink at all, the middle of the box will do.
        let centre = if mass > 0.0 {
            moment / mass
        } else {
            f64::from(side - 1) / 2.0
        };
        (CENTRE - centre).round().clamp(0.0, f64::from(SIDE - side)) as i64
    };
    let (x, y) = (
        offset(mass_x, digit.width()),
        offset(mass_y, digit.height()),
    );
    let mut canvas = GrayImage::new(SIDE, SIDE);
    imageops::replace(&mut canvas, digit, x, y);
    canvas.into_raw()
}
