//! Data sets held in memory, and pictures from files for a trained model.
//!
//! A reader makes a [`source::Source`], one list of all samples; [`split`] says which of them train,
//! validate and test; a table's columns are then encoded by what the training part shows. The
//! result is a [`Dataset`], whose parts are lists of sample numbers: nothing is copied to split it.

pub mod cifar;
pub mod detect;
pub mod fingerprint;
pub mod folder;
pub mod idx;
pub mod idx_folder;
mod labels;
pub mod load;
pub mod mnist;
pub mod normalize;
pub mod npy;
pub mod npz;
mod open;
pub mod options;
pub mod pack;
pub mod picture;
pub mod source;
pub mod split;
pub mod stats;
pub mod synthetic;
pub mod table;
mod zip;

use std::fmt;

pub use source::{Samples, Targets};
pub use split::Parts;

/// The shape of one sample: channels, height and width in pixels; a vector of n numbers is 1x1xn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ImageShape {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl ImageShape {
    /// The shape of a vector of `n` numbers.
    pub fn vector(n: usize) -> ImageShape {
        ImageShape {
            channels: 1,
            height: 1,
            width: n,
        }
    }

    /// The values in one sample, C*H*W.
    pub fn len(&self) -> usize {
        self.channels * self.height * self.width
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a sample is a plain list of numbers, such as a table's row.
    pub fn is_vector(&self) -> bool {
        self.channels == 1 && self.height == 1
    }
}

impl fmt::Display for ImageShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_vector() {
            let s = if self.width == 1 { "" } else { "s" };
            return write!(f, "{} input{s}", self.width);
        }
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

/// Samples in memory with their targets and parts.
#[derive(Clone, Debug)]
pub struct Dataset {
    pub name: String,
    pub shape: ImageShape,
    /// `[N, C*H*W]`
    pub samples: Samples,
    /// `[N]`
    pub targets: Targets,
    pub parts: Parts,
    /// Where each sample came from; empty where its number says as much.
    pub names: Vec<String>,
}

impl Dataset {
    /// The number of samples, N, all parts together.
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What a model must have: an output per class, or one for a value.
    pub fn outputs(&self) -> usize {
        match &self.targets {
            Targets::Classes { names, .. } => names.len(),
            Targets::Values { .. } => 1,
        }
    }

    /// Class names by number; none where a value is predicted.
    pub fn classes(&self) -> &[String] {
        match &self.targets {
            Targets::Classes { names, .. } => names,
            Targets::Values { .. } => &[],
        }
    }

    pub fn is_regression(&self) -> bool {
        matches!(self.targets, Targets::Values { .. })
    }

    /// The class number of sample `ix`; 0 where a value is predicted.
    pub fn label(&self, ix: usize) -> u32 {
        match &self.targets {
            Targets::Classes { labels, .. } => labels[ix],
            Targets::Values { .. } => 0,
        }
    }

    /// The pixels of sample `ix`, `[C*H*W]`; nothing where samples are no bytes.
    pub fn pixels(&self, ix: usize) -> Option<&[u8]> {
        match &self.samples {
            Samples::Bytes(bytes) => Some(&bytes[ix * self.shape.len()..][..self.shape.len()]),
            Samples::Floats(_) => None,
        }
    }

    /// Samples of each class among `part`.
    pub fn counts(&self, part: &[u32]) -> Vec<u64> {
        let mut counts = vec![0; self.classes().len()];
        if let Targets::Classes { labels, .. } = &self.targets {
            for &ix in part {
                counts[labels[ix as usize] as usize] += 1;
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_names_channels_height_width() {
        let shape = ImageShape {
            channels: 3,
            height: 20,
            width: 30,
        };
        assert_eq!(shape.to_string(), "3x20x30");
        assert_eq!((shape.len(), shape.is_empty()), (1800, false));
        assert_eq!(ImageShape::vector(4).to_string(), "4 inputs");
    }

    #[test]
    fn a_data_set_counts_its_classes() {
        let data = Dataset {
            name: "two".to_string(),
            shape: ImageShape::vector(3),
            samples: Samples::Bytes(vec![1, 2, 3, 4, 5, 6]),
            targets: Targets::Classes {
                labels: vec![1, 1],
                names: vec!["a".to_string(), "b".to_string()],
            },
            parts: Parts::default(),
            names: Vec::new(),
        };
        assert_eq!((data.len(), data.outputs()), (2, 2));
        assert_eq!(data.pixels(1), Some(&[4, 5, 6][..]));
        assert_eq!(data.counts(&[0, 1]), [0, 2]);
    }
}
