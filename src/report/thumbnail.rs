//! Small pictures of samples, for reports.

use image::imageops::FilterType;
use image::{DynamicImage, GrayImage, RgbImage};

use super::canvas::png;

/// A sample as PNG: pixels \[C, H, W\] with one channel (grey), three (colour) or four, of which
/// the first three are taken; of two, the first. The longer side becomes about `side` pixels:
/// small pictures are enlarged by a whole factor with hard edges, large ones averaged down.
///
/// # Errors
/// The shape has a zero or does not fit the number of pixels.
pub fn thumbnail(
    pixels: &[u8],
    [channels, height, width]: [usize; 3],
    side: u32,
) -> Result<Vec<u8>, String> {
    let misfit = || {
        format!(
            "{} pixels are no picture of {channels} x {height} x {width}",
            pixels.len()
        )
    };
    let plane = height.checked_mul(width).ok_or_else(misfit)?;
    if plane == 0 || channels == 0 || plane.checked_mul(channels) != Some(pixels.len()) {
        return Err(misfit());
    }
    let (wide, high) = match (u32::try_from(width), u32::try_from(height)) {
        (Ok(wide), Ok(high)) => (wide, high),
        _ => return Err(misfit()),
    };
    let at =
        |channel: usize, x: u32, y: u32| pixels[channel * plane + y as usize * width + x as usize];
    let picture: DynamicImage = match channels {
        1 | 2 => GrayImage::from_fn(wide, high, |x, y| image::Luma([at(0, x, y)])).into(),
        _ => {
            let colour = |x, y| image::Rgb([0, 1, 2].map(|channel| at(channel, x, y)));
            RgbImage::from_fn(wide, high, colour).into()
        }
    };
    let (longer, side) = (wide.max(high), side.max(1));
    let sized = if longer < side {
        let factor = side / longer;
        picture.resize_exact(wide * factor, high * factor, FilterType::Nearest)
    } else if longer > side {
        picture.thumbnail(side, side)
    } else {
        picture
    };
    png(&sized)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::canvas::tests::decode;

    #[test]
    fn small_pictures_are_enlarged_by_a_whole_factor() {
        let pixels = [0, 50, 100, 150, 200, 250];
        let image = decode(
            "thumbnail",
            &thumbnail(&pixels, [1, 2, 3], 64).expect("draws"),
        );
        assert_eq!(image.dimensions(), (63, 42));
        for (index, value) in pixels.into_iter().enumerate() {
            let (x, y) = (index as u32 % 3 * 21, index as u32 / 3 * 21);
            for corner in [(0, 0), (20, 0), (0, 20), (20, 20)] {
                let found = image.get_pixel(x + corner.0, y + corner.1).0;
                assert_eq!(found, [value; 3], "pixel {index}");
            }
        }
    }

    #[test]
    fn channels_come_plane_by_plane() {
        let pixels = [10, 11, 20, 21, 30, 31];
        let image = decode("colour", &thumbnail(&pixels, [3, 1, 2], 2).expect("draws"));
        assert_eq!(image.get_pixel(0, 0).0, [10, 20, 30]);
        assert_eq!(image.get_pixel(1, 0).0, [11, 21, 31]);
        let four = [&pixels[..], &[255, 255]].concat();
        assert_eq!(
            decode("alpha", &thumbnail(&four, [4, 1, 2], 2).expect("draws")),
            image
        );
    }

    #[test]
    fn large_pictures_are_averaged_down() {
        let pixels: Vec<u8> = (0..300 * 100).map(|i| (i % 2 * 200) as u8).collect();
        let image = decode(
            "large",
            &thumbnail(&pixels, [1, 100, 300], 60).expect("draws"),
        );
        assert_eq!(image.dimensions(), (60, 20));
        let middle = image.get_pixel(30, 10).0[0];
        assert!((80..=120).contains(&middle), "{middle}");
        let line = thumbnail(&[7; 500], [1, 1, 500], 50).expect("draws");
        assert_eq!(decode("line", &line).dimensions(), (50, 1));
    }

    #[test]
    fn a_shape_that_does_not_fit_is_refused() {
        for (count, shape) in [
            (5, [1, 2, 3]),
            (0, [0, 2, 3]),
            (0, [1, 0, 3]),
            (6, [usize::MAX, 2, 3]),
            (6, [1, usize::MAX, 2]),
        ] {
            assert!(thumbnail(&vec![0; count], shape, 64).is_err(), "{shape:?}");
        }
    }
}
