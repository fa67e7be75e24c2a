//! Data sets held in memory, and pictures from files for a trained model.

pub mod idx;
pub mod mnist;
pub mod pack;
pub mod picture;
pub mod source;
pub mod table;

use std::fmt;

/// One part (train or test) of a classification data set held in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// `[N, C*H*W]`, row-major, 0 to 255.
    pub pixels: Vec<u8>,
    /// `[N]`, indices into [`Dataset::classes`].
    pub labels: Vec<u32>,
}

impl Part {
    /// A part without samples.
    pub fn empty() -> Part {
        Part {
            pixels: Vec::new(),
            labels: Vec::new(),
        }
    }

    /// The number of samples, N.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The pixels of sample `ix`, `[C*H*W]`. Panics where `ix >= len()`, as slices do.
    pub fn image(&self, ix: usize) -> &[u8] {
        let size = self.pixels.len() / self.len().max(1);
        &self.pixels[ix * size..(ix + 1) * size]
    }
}

/// The shape of one sample: channels, height and width in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ImageShape {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl ImageShape {
    /// The values in one sample, C*H*W.
    pub fn len(&self) -> usize {
        self.channels * self.height * self.width
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Display for ImageShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

/// A classification data set with its usual split.
#[derive(Clone, Debug)]
pub struct Dataset {
    pub name: String,
    pub shape: ImageShape,
    /// Class names; a label is an index into these.
    pub classes: Vec<String>,
    pub train: Part,
    pub test: Part,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_hands_out_its_images_in_order() {
        let part = Part {
            pixels: vec![1, 2, 3, 4, 5, 6],
            labels: vec![7, 8],
        };
        assert_eq!((part.len(), part.is_empty()), (2, false));
        assert_eq!(part.image(0), [1, 2, 3]);
        assert_eq!(part.image(1), [4, 5, 6]);
    }

    #[test]
    fn a_shape_names_channels_height_width() {
        let shape = ImageShape {
            channels: 3,
            height: 20,
            width: 30,
        };
        assert_eq!(shape.to_string(), "3x20x30");
        assert_eq!((shape.len(), shape.is_empty()), (1800, false));
    }
}
