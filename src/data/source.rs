//! What a reader makes of files, before anything is split or normalised.

use std::ops::Range;

use super::ImageShape;
use super::table::RawTable;

/// The inputs of N samples, row-major `[N, C*H*W]`.
#[derive(Clone, Debug, PartialEq)]
pub enum Samples {
    /// 0 to 255.
    Bytes(Vec<u8>),
    Floats(Vec<f32>),
}

/// What is to be predicted of N samples.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// Class numbers, and the classes' names by number.
    Classes {
        labels: Vec<u32>,
        names: Vec<String>,
    },
    /// Numbers, in the data's own units, and what they are called.
    Values { values: Vec<f32>, name: String },
}

impl Targets {
    /// The number of samples, N.
    pub fn len(&self) -> usize {
        match self {
            Targets::Classes { labels, .. } => labels.len(),
            Targets::Values { values, .. } => values.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The inputs as a reader leaves them.
#[derive(Clone, Debug)]
pub enum Content {
    /// Ready but for normalisation.
    Samples { shape: ImageShape, samples: Samples },
    /// Columns whose missing values and categories are encoded once the training part is known.
    Table(RawTable),
}

/// Everything that was read from one source, all parts in one list of samples.
#[derive(Clone, Debug)]
pub struct Source {
    pub content: Content,
    pub targets: Targets,
    /// Stretches of the samples that the source itself sets apart for test and validation; the
    /// others are for training.
    pub test: Option<Range<usize>>,
    pub val: Option<Range<usize>>,
    /// Where each sample came from (a path relative to the source), for reports; empty where
    /// numbers say as much.
    pub names: Vec<String>,
    /// What was understood, assumed or left out, a line each.
    pub notes: Vec<String>,
}

impl Source {
    /// The bytes of sample `ix`, `[C*H*W]`; nothing where samples are no bytes.
    pub fn bytes(&self, ix: usize) -> Option<&[u8]> {
        match &self.content {
            Content::Samples {
                shape,
                samples: Samples::Bytes(bytes),
            } => bytes.get(ix * shape.len()..(ix + 1) * shape.len()),
            _ => None,
        }
    }
}
