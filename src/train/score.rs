//! How the kernels' metrics read: accuracy for classes, errors in original units for values.

use serde::{Deserialize, Serialize};

use super::Evaluation;
use crate::data::normalize::TargetScale;
use crate::data::{Dataset, Parts, Targets};

/// What the second number of a kernel's metrics stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Score {
    /// Correct answers.
    Accuracy,
    /// Squared errors of standardised values.
    SquaredError {
        /// What a standardised error is multiplied by to be in original units.
        scale: f64,
        /// Variance of the standardised targets of the training and of the validation part.
        variance: [f64; 2],
    },
}

/// The part that a mean was taken over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part {
    Train = 0,
    Val = 1,
}

/// One epoch's numbers over one part.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Mean loss per sample: the training objective's data term, of standardised values. NaN where
    /// a validation sample has none; JSON knows no such number and writes null.
    #[serde(deserialize_with = "null_is_nan")]
    pub loss: f64,
    /// For classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// For values, in their own units squared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mse: Option<f64>,
    /// For values: 1 - mse / variance; none where the targets do not vary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r2: Option<f64>,
}

fn null_is_nan<'de, D: serde::Deserializer<'de>>(number: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(number)?.unwrap_or(f64::NAN))
}

impl Score {
    pub fn of(data: &Dataset, target: TargetScale, parts: &Parts) -> Score {
        Self::over(data, target, [&parts.train, &parts.val])
    }

    fn over(data: &Dataset, target: TargetScale, parts: [&[u32]; 2]) -> Score {
        let Targets::Values { values, .. } = &data.targets else {
            return Score::Accuracy;
        };
        let variance = |part: &[u32]| {
            let n = part.len().max(1) as f64;
            let of = |&ix: &u32| f64::from(target.standardise(values[ix as usize]));
            let mean = part.iter().map(of).sum::<f64>() / n;
            part.iter().map(|ix| (of(ix) - mean).powi(2)).sum::<f64>() / n
        };
        Score::SquaredError {
            scale: f64::from(target.std),
            variance: parts.map(variance),
        }
    }

    /// From the means over a part as the kernels made them.
    pub fn scores(&self, loss: f64, score: f64, part: Part) -> Scores {
        match self {
            Score::Accuracy => Scores {
                loss,
                accuracy: Some(score),
                mse: None,
                r2: None,
            },
            Score::SquaredError { scale, variance } => {
                let variance = variance[part as usize];
                Scores {
                    loss,
                    accuracy: None,
                    mse: Some(score * scale * scale),
                    r2: (variance > 0.0).then(|| 1.0 - score / variance),
                }
            }
        }
    }

    /// A step's accuracy from the mean over its batch.
    pub fn step_accuracy(&self, score: f64) -> Option<f64> {
        (*self == Score::Accuracy).then_some(score)
    }
}

impl Scores {
    /// Accuracy where there is one, else R².
    pub fn quality(&self) -> Option<f64> {
        self.accuracy.or(self.r2)
    }
}

/// The scores of an evaluation of the test part.
pub fn test_scores(data: &Dataset, target: TargetScale, e: &Evaluation) -> Scores {
    // The variance is of the test part here, which stands in the place of validation.
    let tested = Score::over(data, target, [&data.parts.train, &data.parts.test]);
    tested.scores(e.loss, e.score, Part::Val)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{ImageShape, Samples};

    #[test]
    fn values_are_scored_in_their_own_units() {
        let data = Dataset {
            name: "line".to_string(),
            shape: ImageShape::vector(1),
            samples: Samples::Floats(vec![0.0; 4]),
            targets: Targets::Values {
                values: vec![10.0, 14.0, 10.0, 14.0],
                name: "y".to_string(),
            },
            parts: Parts {
                train: vec![0, 1],
                val: vec![2, 3],
                test: Vec::new(),
            },
            names: Vec::new(),
        };
        let target = TargetScale {
            mean: 12.0,
            std: 2.0,
        };
        // Standardised targets are -1 and 1: an error of 0.5 there is one of 1 in their own units.
        let scores = Score::of(&data, target, &data.parts).scores(0.3, 0.25, Part::Val);
        assert_eq!((scores.mse, scores.r2), (Some(1.0), Some(0.75)));
        assert_eq!((scores.loss, scores.accuracy), (0.3, None));
        assert_eq!(
            Score::Accuracy.scores(0.1, 0.9, Part::Train).accuracy,
            Some(0.9)
        );
    }
}
