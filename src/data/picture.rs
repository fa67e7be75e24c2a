//! Reads an image file into the input of a model, and says what it assumed on the way.

mod digit;
mod file;
#[cfg(test)]
mod tests;

use std::path::Path;

use image::imageops::{self, FilterType};
use image::{DynamicImage, GenericImageView, GrayImage, Luma, Rgb, RgbImage};

use super::ImageShape;
use crate::{Error, Result};

/// The shape for which a picture is taken for one digit and prepared as those of MNIST were.
const MNIST: ImageShape = ImageShape {
    channels: 1,
    height: 28,
    width: 28,
};

/// A picture in the shape of a model's input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// `[C*H*W]`, channel by channel, row-major, 0 to 255.
    pub pixels: Vec<u8>,
    /// What was found and done, one step each, in order.
    pub notes: Vec<String>,
}

/// Reads the image file `path` (PNG, JPEG, BMP, GIF, WebP or PNM, known by its contents).
///
/// For a model of 1x28x28 the picture is taken for one digit, in any size and with dark or light
/// strokes, and brought into the form of MNIST. For other shapes it is resized, no more.
///
/// # Errors
/// [`Error::Io`] where the file cannot be opened. [`Error::Data`], naming the file, where it is no
/// image, is damaged or too large, or holds no digit because it is blank; or where `shape` has
/// neither 1 nor 3 channels.
pub fn load(path: &Path, shape: ImageShape) -> Result<Picture> {
    if shape.is_empty() || !matches!(shape.channels, 1 | 3) {
        return Err(Error::Data(format!(
            "{}: the model takes {shape}, which no picture fills (1 or 3 channels)",
            path.display()
        )));
    }
    let file::Opened { image, turned } = file::open(path)?;

    let mut notes = vec![first_note(&image, shape)];
    if turned {
        notes.push("turned as its EXIF orientation says".to_string());
    }
    let pixels = if shape == MNIST {
        read_digit(&image, &mut notes)
            .ok_or_else(|| Error::Data(format!("{}: the picture is blank", path.display())))?
    } else {
        resize(&image, shape, &mut notes)
    };
    Ok(Picture { pixels, notes })
}

/// The size and the colours, such as `640x480 colour, turned to grey`.
fn first_note(image: &DynamicImage, shape: ImageShape) -> String {
    let (width, height) = image.dimensions();
    let (colour, done) = match (image.color().has_color(), shape.channels) {
        (true, 1) => ("colour", ", turned to grey"),
        (true, _) => ("colour", ""),
        (false, 1) => ("grey", ""),
        (false, _) => ("grey", ", repeated in each channel"),
    };
    format!("{width}x{height} {colour}{done}")
}

/// One digit in the form of MNIST, `[28*28]`; nothing where the picture is blank.
fn read_digit(image: &DynamicImage, notes: &mut Vec<String>) -> Option<Vec<u8>> {
    let transparent = has_transparency(image);
    if transparent {
        notes.push("transparency laid over white".to_string());
    }
    let found = digit::fit(&grey_over(image, 255), notes);
    if found.is_some() || !transparent {
        return found;
    }
    // White strokes on a transparent ground vanish over white.
    notes.pop();
    notes.push("transparency laid over black".to_string());
    digit::fit(&grey_over(image, 0), notes)
}

/// The picture resized to `shape`, which may change its aspect ratio.
fn resize(image: &DynamicImage, shape: ImageShape, notes: &mut Vec<String>) -> Vec<u8> {
    if has_transparency(image) {
        notes.push("transparency laid over white".to_string());
    }
    let (width, height) = (shape.width as u32, shape.height as u32);
    if image.dimensions() != (width, height) {
        let (w, h) = image.dimensions();
        let kept = u64::from(w) * u64::from(height) == u64::from(h) * u64::from(width);
        let aspect = if kept { "" } else { ", aspect ratio changed" };
        notes.push(format!("resized to {width}x{height}{aspect}"));
    }
    notes.push("light and dark left as they are".to_string());

    if shape.channels == 1 {
        let grey = grey_over(image, 255);
        return imageops::resize(&grey, width, height, FilterType::CatmullRom).into_raw();
    }
    let rgb = rgb_over(image, 255);
    let rgb = imageops::resize(&rgb, width, height, FilterType::CatmullRom);
    (0..3)
        .flat_map(|channel| rgb.pixels().map(move |pixel| pixel.0[channel]))
        .collect()
}

fn has_transparency(image: &DynamicImage) -> bool {
    image.color().has_alpha() && image.pixels().any(|(_, _, pixel)| pixel.0[3] < 255)
}

fn rgb_over(image: &DynamicImage, ground: u8) -> RgbImage {
    let (width, height) = image.dimensions();
    RgbImage::from_fn(width, height, |x, y| {
        let [r, g, b, alpha] = image.get_pixel(x, y).0;
        Rgb([r, g, b].map(|value| blend(value, alpha, ground)))
    })
}

/// Grey by the luma of Rec. 601; grey pictures keep their values.
fn grey_over(image: &DynamicImage, ground: u8) -> GrayImage {
    let (width, height) = image.dimensions();
    GrayImage::from_fn(width, height, |x, y| {
        let [r, g, b, alpha] = image.get_pixel(x, y).0;
        let luma = (299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b) + 500) / 1000;
        Luma([blend(luma as u8, alpha, ground)])
    })
}

fn blend(value: u8, alpha: u8, ground: u8) -> u8 {
    let alpha = u32::from(alpha);
    ((u32::from(value) * alpha + u32::from(ground) * (255 - alpha) + 127) / 255) as u8
}
