mod refusals;

use std::path::PathBuf;
use std::sync::LazyLock;

use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayImage, Luma, LumaA, Rgb, RgbImage, Rgba, RgbaImage};
use tempfile::TempDir;

use super::*;
use crate::data::mnist;

fn saved(image: impl Into<DynamicImage>, name: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    image.into().save(&path).unwrap();
    (dir, path)
}

/// The first test digit of MNIST; unpacking takes a while without optimisation.
fn seven() -> GrayImage {
    static SEVEN: LazyLock<GrayImage> = LazyLock::new(|| {
        let source = mnist::load().unwrap();
        GrayImage::from_raw(28, 28, source.bytes(60_000).unwrap().to_vec()).unwrap()
    });
    SEVEN.clone()
}

/// The digit ten times as large, in dark blue on yellowish paper, off centre.
fn blown_up() -> RgbImage {
    let large = imageops::resize(&seven(), 280, 280, FilterType::CatmullRom);
    RgbImage::from_fn(500, 400, |x, y| {
        let ink = match (x.checked_sub(190), y.checked_sub(30)) {
            (Some(x), Some(y)) if x < 280 && y < 280 => large.get_pixel(x, y).0[0],
            _ => 0,
        };
        let mix = |paper: u32, pen: u32| {
            ((paper * (255 - u32::from(ink)) + pen * u32::from(ink)) / 255) as u8
        };
        Rgb([mix(235, 20), mix(225, 25), mix(190, 90)])
    })
}

fn mean_difference(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum: u64 = a
        .iter()
        .zip(b)
        .map(|(&a, &b)| u64::from(a.abs_diff(b)))
        .sum();
    sum as f64 / a.len() as f64
}

fn assert_noted(picture: &Picture, note: &str) {
    let notes = &picture.notes;
    assert!(notes.iter().any(|n| n.contains(note)), "{note}: {notes:?}");
}

#[test]
fn an_mnist_digit_is_taken_as_it_is() {
    let (_dir, path) = saved(seven(), "seven.png");
    let picture = load(&path, MNIST).unwrap();
    assert_eq!(picture.pixels, seven().into_raw());
    assert_eq!(picture.notes[0], "28x28 grey");
    assert_noted(&picture, "kept");
}

#[test]
fn a_light_28x28_picture_is_only_inverted() {
    let mut image = seven();
    imageops::invert(&mut image);
    let (_dir, path) = saved(image, "seven.png");
    let picture = load(&path, MNIST).unwrap();
    assert_eq!(picture.pixels, seven().into_raw());
    assert_noted(&picture, "inverted");
}

#[test]
fn a_large_dark_on_light_colour_digit_gives_back_the_original() {
    let expected = seven().into_raw();
    let moved: Vec<u8> = [&expected[28..], &expected[..28]].concat();
    // How far one row off is, so that the bound below can be seen to mean something.
    assert!(mean_difference(&moved, &expected) > 10.0);
    for name in [
        "seven.png",
        "seven.jpg",
        "seven.webp",
        "seven.bmp",
        "seven.ppm",
        "seven.gif",
    ] {
        let (_dir, path) = saved(blown_up(), name);
        let picture = load(&path, MNIST).unwrap();
        let difference = mean_difference(&picture.pixels, &expected);
        assert!(difference < 5.0, "{name}: {difference}");
        assert_eq!(picture.notes[0], "500x400 colour, turned to grey");
        assert_noted(&picture, "inverted");
        assert_noted(&picture, "fitted into 20x20");
    }
}

#[test]
fn a_large_light_on_dark_digit_gives_back_the_original() {
    let large = imageops::resize(&seven(), 280, 280, FilterType::CatmullRom);
    let (_dir, path) = saved(large, "seven.png");
    let picture = load(&path, MNIST).unwrap();
    let difference = mean_difference(&picture.pixels, seven().as_raw());
    assert!(difference < 5.0, "{difference}");
    assert_noted(&picture, "kept");
}

#[test]
fn a_dim_photo_is_told_by_its_own_range() {
    // Paper at 110 is darker than 128, yet light against strokes at 20.
    let image = GrayImage::from_fn(90, 60, |x, y| {
        Luma([if (40..44).contains(&x) && (10..50).contains(&y) {
            20
        } else {
            110
        }])
    });
    let (_dir, path) = saved(image, "one.png");
    let picture = load(&path, MNIST).unwrap();
    assert_noted(&picture, "inverted");
    // The stroke of 4x40 becomes 2x20, at full strength, with its centre at (14, 14).
    let inked: Vec<usize> = (0..784).filter(|&at| picture.pixels[at] > 128).collect();
    assert_eq!(inked.len(), 40);
    assert!(
        inked.iter().all(|at| (13..=15).contains(&(at % 28))),
        "{inked:?}"
    );
    assert!(picture.pixels.contains(&255));
    assert_eq!(inked[0] / 28, 5);
}

#[test]
fn the_centre_of_mass_decides_not_the_box() {
    // An L: a heavy foot on the left and a thin arm to the right.
    let image = GrayImage::from_fn(200, 200, |x, y| {
        let foot = (20..60).contains(&x) && (20..120).contains(&y);
        let arm = (60..120).contains(&x) && (95..120).contains(&y);
        Luma([if foot || arm { 255 } else { 0 }])
    });
    let (_dir, path) = saved(image, "l.png");
    let pixels = load(&path, MNIST).unwrap().pixels;
    let mass: f64 = pixels.iter().map(|&p| f64::from(p)).sum();
    let mean = |of: fn(usize) -> usize| {
        let moment = |(at, &p): (usize, &u8)| of(at) as f64 * f64::from(p);
        pixels.iter().enumerate().map(moment).sum::<f64>() / mass
    };
    assert!((mean(|at| at % 28) - 14.0).abs() <= 0.5);
    assert!((mean(|at| at / 28) - 14.0).abs() <= 0.5);
    let cols: Vec<usize> = (0..784)
        .filter(|&at| pixels[at] > 0)
        .map(|at| at % 28)
        .collect();
    let box_centre = (cols.iter().min().unwrap() + cols.iter().max().unwrap()) as f64 / 2.0;
    assert!(box_centre > 16.0, "{box_centre}");
}

#[test]
fn a_long_thin_stroke_stays_within_the_box() {
    let image = GrayImage::from_fn(320, 21, |x, y| {
        let bar = (10..310).contains(&x) && (8..12).contains(&y);
        Luma([if bar { 0 } else { 255 }])
    });
    let (_dir, path) = saved(image, "bar.png");
    let picture = load(&path, MNIST).unwrap();
    assert_noted(&picture, "inverted");
    assert_noted(&picture, "(300x4 at 10,8)");
    let inked: Vec<usize> = (0..784).filter(|&at| picture.pixels[at] > 128).collect();
    // One row of 20: index 14 is the centre.
    let bar: Vec<usize> = (0..20).map(|x| 14 * 28 + inked[0] % 28 + x).collect();
    assert_eq!(inked, bar);
}

#[test]
fn the_exif_orientation_is_followed() {
    // Orientation 6: the upper row of the file is the right column of the picture.
    let exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let (_dir, path) = saved(imageops::rotate270(&blown_up()), "seven.jpg");
    let mut bytes = std::fs::read(&path).unwrap();
    let mut segment = vec![0xff, 0xe1, 0, exif.len() as u8 + 2];
    segment.extend(exif);
    bytes.splice(2..2, segment);
    std::fs::write(&path, bytes).unwrap();
    let picture = load(&path, MNIST).unwrap();
    let difference = mean_difference(&picture.pixels, seven().as_raw());
    assert!(difference < 5.0, "{difference}");
    assert_eq!(picture.notes[0], "500x400 colour, turned to grey");
    assert_noted(&picture, "EXIF");
}

#[test]
fn transparency_lies_over_white_or_where_nothing_shows_over_black() {
    let seven = seven();
    for (ink, over) in [(0, "over white"), (255, "over black")] {
        let image = RgbaImage::from_fn(280, 280, |x, y| {
            Rgba([ink, ink, ink, seven.get_pixel(x / 10, y / 10).0[0]])
        });
        let (_dir, path) = saved(image, "seven.png");
        let picture = load(&path, MNIST).unwrap();
        assert_noted(&picture, over);
        assert_eq!(
            picture.notes.iter().filter(|n| n.contains("over")).count(),
            1
        );
        let difference = mean_difference(&picture.pixels, seven.as_raw());
        assert!(difference < 5.0, "{difference}");
    }
}

#[test]
fn sixteen_bits_and_grey_with_alpha_are_read() {
    let seven = seven();
    let deep = DynamicImage::ImageLuma8(seven.clone()).to_luma16();
    let (_dir, path) = saved(deep, "seven.png");
    assert_eq!(&load(&path, MNIST).unwrap().pixels, seven.as_raw());
    let alpha =
        image::GrayAlphaImage::from_fn(28, 28, |x, y| LumaA([0, seven.get_pixel(x, y).0[0]]));
    let (_dir, path) = saved(alpha, "seven.png");
    assert_eq!(&load(&path, MNIST).unwrap().pixels, seven.as_raw());
}

#[test]
fn odd_shapes_do_not_break_it() {
    for (width, height) in [(1, 2), (2, 1), (3000, 2), (1, 700), (29, 28), (9, 9)] {
        let image = GrayImage::from_fn(width, height, |x, y| {
            Luma([if x == width / 2 && y == height / 2 {
                255
            } else {
                0
            }])
        });
        let (_dir, path) = saved(image, "x.png");
        let picture = load(&path, MNIST).unwrap();
        assert_eq!(picture.pixels.len(), 784, "{width}x{height}");
        assert!(picture.pixels.contains(&255), "{width}x{height}");
    }
}

#[test]
fn other_shapes_are_resized_channel_first() {
    let shape = |channels, height, width| ImageShape {
        channels,
        height,
        width,
    };
    let image = RgbImage::from_fn(40, 20, |x, _| {
        if x < 20 {
            Rgb([200, 100, 50])
        } else {
            Rgb([0, 0, 0])
        }
    });
    let (_dir, path) = saved(image, "x.png");
    let picture = load(&path, shape(3, 4, 8)).unwrap();
    // First and last pixel of each channel, out of reach of the edge in the middle.
    let ends = [0, 31, 32, 63, 64, 95].map(|at| picture.pixels[at]);
    assert_eq!(ends, [200, 0, 100, 0, 50, 0]);
    assert_eq!(picture.notes[..2], ["40x20 colour", "resized to 8x4"]);
    let picture = load(&path, shape(1, 5, 5)).unwrap();
    assert_eq!(picture.pixels[0], 124);
    assert_noted(&picture, "resized to 5x5, aspect ratio changed");
    assert_noted(&picture, "left as they are");
    let (_dir, path) = saved(seven(), "seven.png");
    let picture = load(&path, shape(3, 28, 28)).unwrap();
    assert_eq!(picture.pixels[784..1568], seven().into_raw());
    assert_noted(&picture, "repeated in each channel");
}
