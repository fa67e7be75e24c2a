//! Weights of the classes in the training loss: what `--class-weights` says.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result, suggest};

/// What `--class-weights` asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ClassWeights {
    /// Every sample counts the same.
    #[default]
    None,
    /// Every class counts the same: see [`balanced`].
    Balanced,
    /// One number a class, in the order of the class names.
    Given(Vec<f64>),
}

impl ClassWeights {
    /// The weights \[classes\] for training data with `counts` samples of each class; none where all
    /// samples count the same.
    ///
    /// # Errors
    /// [`Error::Usage`] where the number of weights is not that of the classes, [`Error::Data`]
    /// from [`balanced`].
    pub fn resolve(&self, counts: &[u64]) -> Result<Option<Vec<f64>>> {
        match self {
            ClassWeights::None => Ok(None),
            ClassWeights::Balanced => balanced(counts).map(Some),
            ClassWeights::Given(weights) if weights.len() == counts.len() => {
                Ok(Some(weights.clone()))
            }
            ClassWeights::Given(weights) => Err(Error::Usage(format!(
                "--class-weights {self}: {} for {} classes; write one number a class",
                match weights.len() {
                    1 => "1 weight".to_string(),
                    n => format!("{n} weights"),
                },
                counts.len()
            ))),
        }
    }
}

/// Weights by which every class adds the same to the loss, n / (classes * count), n being the sum
/// of the counts: scikit-learn's `compute_class_weight("balanced")` (King and Zeng 2001, "Logistic
/// Regression in Rare Events Data"). Their mean over the samples is 1.
///
/// # Errors
/// [`Error::Data`] that names the first class without samples.
pub fn balanced(counts: &[u64]) -> Result<Vec<f64>> {
    if let Some(class) = counts.iter().position(|&count| count == 0) {
        return Err(Error::Data(format!(
            "--class-weights balanced: class {class} (from 0) has no training samples, so no weight can balance it\ngive the weights yourself, or data with samples of all {} classes",
            counts.len()
        )));
    }
    let n: u64 = counts.iter().sum();
    let classes = counts.len() as f64;
    let weight = |&count: &u64| n as f64 / (classes * count as f64);
    Ok(counts.iter().map(weight).collect())
}

/// Reads `none`, `balanced` (in any case), or numbers between commas.
impl FromStr for ClassWeights {
    type Err = Error;

    fn from_str(text: &str) -> Result<ClassWeights> {
        let refuse = |what: String| Error::Usage(format!("--class-weights {text}: {what}"));
        let word = text.trim().to_lowercase();
        match word.as_str() {
            "none" => return Ok(ClassWeights::None),
            "balanced" => return Ok(ClassWeights::Balanced),
            _ if word.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                let hint = suggest::hint(&word, ["balanced", "none"]);
                return Err(refuse(format!(
                    "no such weights{hint} (or one number a class, such as 0.5,2,1)"
                )));
            }
            _ => {}
        }
        let read = |part: &str| match part.trim().parse::<f64>() {
            Ok(weight) if (0.0..=1e6).contains(&weight) => Ok(weight),
            Ok(_) => Err(refuse(format!("{part} is not from 0 to 1000000"))),
            Err(_) => Err(refuse(format!(
                "\"{part}\" is no number; write one a class, such as 0.5,2,1"
            ))),
        };
        let weights = word.split(',').map(read).collect::<Result<Vec<f64>>>()?;
        if weights.iter().all(|&weight| weight == 0.0) {
            return Err(refuse("weights of nothing but 0 leave no loss".to_string()));
        }
        Ok(ClassWeights::Given(weights))
    }
}

impl fmt::Display for ClassWeights {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            ClassWeights::None => f.write_str("none"),
            ClassWeights::Balanced => f.write_str("balanced"),
            ClassWeights::Given(weights) => {
                let words: Vec<String> = weights.iter().map(f64::to_string).collect();
                f.write_str(&words.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notation_round_trips() {
        for text in ["none", "balanced", "0.5,2,1", "3", "0,1"] {
            let weights: ClassWeights = text.parse().unwrap();
            assert_eq!(weights.to_string(), text);
            assert_eq!(
                text.to_uppercase().parse::<ClassWeights>().unwrap(),
                weights
            );
        }
        let spaced: ClassWeights = " 5e-1, 2 ,1".parse().unwrap();
        assert_eq!(spaced, ClassWeights::Given(vec![0.5, 2.0, 1.0]));
    }

    #[test]
    fn bad_weights_name_what_is_wrong() {
        for (text, part) in [
            ("balancd", "did you mean balanced?"),
            ("nan", "no such weights"),
            ("0.5,,1", "\"\" is no number"),
            ("", "\"\" is no number"),
            ("1,x", "\"x\" is no number"),
            ("-1,2", "-1 is not from 0"),
            ("1,inf", "inf is not from 0"),
            ("1,nan", "nan is not from 0"),
            ("0,0", "leave no loss"),
        ] {
            let error = text.parse::<ClassWeights>().unwrap_err();
            assert!(matches!(error, Error::Usage(_)));
            let error = error.to_string();
            assert!(
                error.starts_with(&format!("--class-weights {text}: ")) && error.contains(part),
                "{error}"
            );
        }
    }

    #[test]
    fn weights_are_one_a_class() {
        let given = ClassWeights::Given(vec![0.5, 2.0]);
        assert_eq!(given.resolve(&[3, 0]).unwrap(), Some(vec![0.5, 2.0]));
        assert_eq!(ClassWeights::None.resolve(&[3, 1]).unwrap(), None);
        let balanced = ClassWeights::Balanced.resolve(&[3, 1]).unwrap();
        assert_eq!(balanced, Some(vec![4.0 / 6.0, 2.0]));
        let error = given.resolve(&[1, 1, 1]).unwrap_err().to_string();
        assert!(
            error.contains("--class-weights 0.5,2: 2 weights for 3 classes"),
            "{error}"
        );
        let error = ClassWeights::Balanced.resolve(&[3, 0, 1]).unwrap_err();
        assert!(matches!(error, Error::Data(_)) && error.to_string().contains("class 1 "));
    }
}
