//! Reads an image file into the input of a model, and says what it assumed on the way.

mod digit;
pub(crate) mod file;
pub(crate) mod fit;
#[cfg(test)]
mod tests;

use std::path::Path;

use image::{DynamicImage, GenericImageView};

use self::fit::{grey_over, has_transparency};
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
    let mut pixels = vec![0; shape.len()];
    let change = fit::fill(image, shape, &mut pixels);
    if change.transparent {
        notes.push("transparency laid over white".to_string());
    }
    if change.resized {
        let aspect = if change.aspect {
            ", aspect ratio changed"
        } else {
            ""
        };
        notes.push(format!(
            "resized to {}x{}{aspect}",
            shape.width, shape.height
        ));
    }
    notes.push("light and dark left as they are".to_string());
    pixels
}
