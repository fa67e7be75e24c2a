//! How inputs and targets are scaled, fitted on the training part alone and stored in the model.

use serde::{Deserialize, Serialize};

use super::options::Normalize;
use super::stats::sample_stats;
use super::table::{Encoding, TableEncoder, TableModel};
use super::{Dataset, Samples, Targets};

/// (x - centre) * scale, one entry per `span` neighbouring inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredNormalization")]
pub struct Normalization {
    pub scale: Vec<f32>,
    pub centre: Vec<f32>,
    pub span: usize,
}

/// As files have it: format 1 has a shift where format 2 has a centre.
#[derive(Deserialize)]
struct StoredNormalization {
    scale: Vec<f32>,
    centre: Option<Vec<f32>>,
    shift: Option<Vec<f32>>,
    span: usize,
}

impl TryFrom<StoredNormalization> for Normalization {
    type Error = String;

    fn try_from(stored: StoredNormalization) -> std::result::Result<Normalization, String> {
        let StoredNormalization {
            scale,
            centre,
            shift,
            span,
        } = stored;
        let centre = match (centre, shift) {
            (Some(centre), _) => centre,
            // x * scale + shift = (x - centre) * scale
            (None, Some(shift)) => {
                if scale.contains(&0.0) {
                    return Err("the normalization has a scale of zero".to_string());
                }
                let pairs = scale.iter().zip(&shift);
                let centres = pairs.map(|(&scale, &shift)| {
                    // 0 and not -0
                    (0.0 - f64::from(shift) / f64::from(scale)) as f32
                });
                centres.collect()
            }
            (None, None) => return Err("the normalization has no centre".to_string()),
        };
        Ok(Normalization {
            scale,
            centre,
            span,
        })
    }
}

impl Normalization {
    /// Pixels divided by 255.
    pub fn unit(inputs: usize) -> Normalization {
        Normalization {
            scale: vec![1.0 / 255.0],
            centre: vec![0.0],
            span: inputs,
        }
    }

    /// The rows of the plan's table for one member: (scale, centre) pairs.
    pub fn table(&self) -> Vec<f32> {
        let pairs = self.scale.iter().zip(&self.centre);
        pairs
            .flat_map(|(&scale, &centre)| [scale, centre])
            .collect()
    }
}

/// How a regression's target is standardised inside: (value - mean) / std.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetScale {
    pub mean: f32,
    pub std: f32,
}

impl TargetScale {
    /// Leaves values as they are.
    pub const NONE: TargetScale = TargetScale {
        mean: 0.0,
        std: 1.0,
    };

    pub fn standardise(&self, value: f32) -> f32 {
        (value - self.mean) / self.std
    }

    /// The inverse of [`Self::standardise`].
    pub fn original(&self, value: f32) -> f32 {
        value * self.std + self.mean
    }
}

/// The normalisation of a data set, fitted on its training part.
pub fn fit(
    data: &Dataset,
    train: &[u32],
    how: Option<Normalize>,
    table: Option<&TableModel>,
) -> Normalization {
    let bytes = matches!(data.samples, Samples::Bytes(_));
    let how = how.unwrap_or(match (bytes, data.shape.is_vector()) {
        (true, _) => Normalize::ZeroOne,
        (false, true) => Normalize::Standard,
        (false, false) => Normalize::ZeroOne,
    });
    // Neighbouring inputs that share an entry: a picture's channel, or one column.
    let span = match data.shape.is_vector() {
        true => 1,
        false => data.shape.height * data.shape.width,
    };
    let all = |scale: f32| Normalization {
        scale: vec![scale],
        centre: vec![0.0],
        span: data.shape.len(),
    };
    match how {
        Normalize::None => return all(1.0),
        Normalize::ZeroOne if bytes => return all(1.0 / 255.0),
        _ => {}
    }
    let stats = sample_stats(&data.samples, data.shape.len(), span, train);
    let mut norm = Normalization {
        scale: Vec::with_capacity(stats.len()),
        centre: Vec::with_capacity(stats.len()),
        span,
    };
    let numeric = table.map(|table| numeric(&table.encoder));
    for (column, s) in stats.iter().enumerate() {
        let is_number = numeric.as_ref().is_none_or(|numeric| numeric[column]);
        let (centre, width) = match how {
            // Categories are 0 and 1 already.
            _ if !is_number => (0.0, 1.0),
            Normalize::Standard => (s.mean, s.std),
            _ => (s.min, s.max - s.min),
        };
        norm.centre.push(centre as f32);
        // A column that does not vary stays at zero.
        norm.scale.push(if width > 0.0 {
            (1.0 / width) as f32
        } else {
            1.0
        });
    }
    norm
}

/// Which inputs are numbers of a column, and not one of its categories.
fn numeric(encoder: &TableEncoder) -> Vec<bool> {
    let of = |encoding: &Encoding| match encoding {
        Encoding::Number { .. } => vec![true],
        Encoding::OneHot { categories, .. } => vec![false; categories.len()],
    };
    encoder
        .columns
        .iter()
        .flat_map(|c| of(&c.encoding))
        .collect()
}

/// Mean and population deviation of the training part's values.
pub fn target_scale(data: &Dataset) -> TargetScale {
    let Targets::Values { values, .. } = &data.targets else {
        return TargetScale::NONE;
    };
    let n = data.parts.train.len().max(1) as f64;
    let of = |ix: &u32| f64::from(values[*ix as usize]);
    let mean = data.parts.train.iter().map(of).sum::<f64>() / n;
    let variance = data
        .parts
        .train
        .iter()
        .map(|ix| (of(ix) - mean).powi(2))
        .sum::<f64>()
        / n;
    let std = variance.sqrt() as f32;
    TargetScale {
        mean: mean as f32,
        std: if std > 0.0 { std } else { 1.0 },
    }
}
