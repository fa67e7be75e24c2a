//! Brings a decoded picture into the shape of a sample: size, channels, transparency.

use image::imageops::{self, FilterType};
use image::{DynamicImage, GenericImageView, GrayImage, Luma, Rgb, RgbImage};

use crate::data::ImageShape;

/// What [`fill`] did to a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The picture had another size; `aspect` says that another aspect ratio too.
    pub resized: bool,
    pub aspect: bool,
    /// Transparency was laid over white.
    pub transparent: bool,
    /// A colour picture was turned to grey.
    pub greyed: bool,
}

/// Writes the picture to `out`, `[C*H*W]`, channel by channel, row-major, 0 to 255.
///
/// Another size is resampled with Catmull and Rom's cubic, which covers every source pixel where
/// it shrinks. Transparency goes over white; grey is the luma of Rec. 601.
///
/// # Panics
/// Where `out` has not the length of `shape`, or `shape` neither 1 nor 3 channels.
pub fn fill(image: &DynamicImage, shape: ImageShape, out: &mut [u8]) -> Change {
    let (width, height) = (shape.width as u32, shape.height as u32);
    let (w, h) = image.dimensions();
    let resized = (w, h) != (width, height);
    let plane = shape.width * shape.height;
    match shape.channels {
        1 => {
            let write = |grey: &GrayImage, out: &mut [u8]| out.copy_from_slice(grey.as_raw());
            match (image, resized) {
                (DynamicImage::ImageLuma8(grey), false) => write(grey, out),
                (DynamicImage::ImageLuma8(grey), true) => write(&scale(grey, shape), out),
                (_, false) => write(&grey_over(image, 255), out),
                (_, true) => write(&scale(&grey_over(image, 255), shape), out),
            }
        }
        3 => {
            let write = |rgb: &RgbImage, out: &mut [u8]| {
                let (red, others) = out.split_at_mut(plane);
                let (green, blue) = others.split_at_mut(plane);
                for (ix, pixel) in rgb.pixels().enumerate() {
                    [red[ix], green[ix], blue[ix]] = pixel.0;
                }
            };
            match (image, resized) {
                (DynamicImage::ImageRgb8(rgb), false) => write(rgb, out),
                (DynamicImage::ImageRgb8(rgb), true) => write(&scale(rgb, shape), out),
                (_, false) => write(&rgb_over(image, 255), out),
                (_, true) => write(&scale(&rgb_over(image, 255), shape), out),
            }
        }
        other => panic!("a picture has 1 or 3 channels, not {other}"),
    }
    Change {
        resized,
        aspect: u64::from(w) * u64::from(height) != u64::from(h) * u64::from(width),
        transparent: has_transparency(image),
        greyed: shape.channels == 1 && image.color().has_color(),
    }
}

fn scale<P>(
    image: &image::ImageBuffer<P, Vec<u8>>,
    shape: ImageShape,
) -> image::ImageBuffer<P, Vec<u8>>
where
    P: image::Pixel<Subpixel = u8> + 'static,
{
    let (width, height) = (shape.width as u32, shape.height as u32);
    imageops::resize(image, width, height, FilterType::CatmullRom)
}

pub fn has_transparency(image: &DynamicImage) -> bool {
    image.color().has_alpha() && image.pixels().any(|(_, _, pixel)| pixel.0[3] < 255)
}

/// Whether every pixel is grey, also where the file has three channels.
pub fn is_grey(image: &DynamicImage) -> bool {
    if let DynamicImage::ImageRgb8(rgb) = image {
        return rgb.pixels().all(|pixel| same(pixel.0));
    }
    !image.color().has_color()
        || image
            .pixels()
            .all(|(_, _, pixel)| same([pixel.0[0], pixel.0[1], pixel.0[2]]))
}

fn same([r, g, b]: [u8; 3]) -> bool {
    r == g && g == b
}

fn rgb_over(image: &DynamicImage, ground: u8) -> RgbImage {
    let (width, height) = image.dimensions();
    RgbImage::from_fn(width, height, |x, y| {
        let [r, g, b, alpha] = image.get_pixel(x, y).0;
        Rgb([r, g, b].map(|value| blend(value, alpha, ground)))
    })
}

/// Grey by the luma of Rec. 601; grey pictures keep their values.
pub fn grey_over(image: &DynamicImage, ground: u8) -> GrayImage {
    let (width, height) = image.dimensions();
    if let DynamicImage::ImageRgb8(rgb) = image {
        return GrayImage::from_fn(width, height, |x, y| Luma([luma(rgb.get_pixel(x, y).0)]));
    }
    GrayImage::from_fn(width, height, |x, y| {
        let [r, g, b, alpha] = image.get_pixel(x, y).0;
        Luma([blend(luma([r, g, b]), alpha, ground)])
    })
}

fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b) + 500) / 1000) as u8
}

fn blend(value: u8, alpha: u8, ground: u8) -> u8 {
    let alpha = u32::from(alpha);
    ((u32::from(value) * alpha + u32::from(ground) * (255 - alpha) + 127) / 255) as u8
}
