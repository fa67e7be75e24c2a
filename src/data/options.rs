//! How a source is read, split and normalised: the options as typed or read from a file, and what
//! they come to.

use serde::{Deserialize, Serialize};

use crate::{Error, Result, suggest};

/// The options of every command that reads data; absent ones take the configuration file's value or
/// the default.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct DataOptions {
    /// Tables: the column to predict, by name or number from 1 [default: the last]
    #[arg(long, value_name = "COLUMN", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Tables: columns to leave out, by name or number from 1: "id,name"
    #[arg(long, value_name = "COLUMNS", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore: Option<String>,
    /// classification or regression [default: classification where the target is text or at most 20 distinct integers]
    #[arg(long, help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Tables: missing values become the training part's mean or median (categories: none of them), drop leaves the row out, error stops [default: mean]
    #[arg(long, value_name = "HOW", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// Picture folders: resize to WIDTHxHEIGHT, or to a square of this side [default: the pictures' own common size, at most 64]
    #[arg(long, value_name = "SIZE", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// Picture folders: grey or colour [default: colour where a picture has any]
    #[arg(long, value_name = "WHICH", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<String>,
    /// Stop at the first broken picture instead of leaving it out
    #[arg(
        long,
        help_heading = "Data",
        num_args = 0,
        default_missing_value = "true"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// Where the test part lies: a source of the same kind
    #[arg(long, value_name = "PATH", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// Share that becomes the test part where the source has none; stratified [default: 0.2]
    #[arg(
        long,
        value_name = "SHARE",
        allow_negative_numbers = true,
        help_heading = "Data"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_split: Option<f64>,
    /// Share of the training part that becomes the validation part where the source has none; stratified [default: 0; 0.1 with --early-stop, --schedule plateau or --target-accuracy]
    #[arg(
        long,
        value_name = "SHARE",
        allow_negative_numbers = true,
        help_heading = "Data"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val_split: Option<f64>,
    /// Train on the validation part that the source has of its own, too
    #[arg(
        long,
        help_heading = "Data",
        num_args = 0,
        default_missing_value = "true"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join_val: Option<bool>,
    /// Seed of the splits, apart from --seed so that runs are judged on the same samples [default: 0]
    #[arg(long, value_name = "SEED", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64), help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split_seed: Option<u64>,
    /// Train on this many samples of the training part only; stratified [default: all]
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        help_heading = "Data"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// 0-1 (pixels / 255; else by the training part's range), standard (mean 0, deviation 1) or none; per channel of pictures, per column of tables [default: 0-1 for pictures, standard for tables]
    #[arg(long, value_name = "HOW", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalize: Option<String>,
    /// Regression: the target is standardised inside (standard) or taken as it is (none) [default: standard]
    #[arg(long, value_name = "HOW", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_scale: Option<String>,
}

/// How inputs are scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalize {
    ZeroOne,
    Standard,
    None,
}

/// A word option that takes one of a few words.
pub fn choose<T: Copy>(option: &str, word: &str, known: &[(&'static str, T)]) -> Result<T> {
    let lower = word.to_lowercase();
    known
        .iter()
        .find(|(name, _)| *name == lower)
        .map(|(_, value)| *value)
        .ok_or_else(|| {
            let names = known.iter().map(|(name, _)| *name);
            Error::Usage(format!(
                "--{option} {word}: no such choice{}",
                suggest::hint(&lower, names)
            ))
        })
}

impl DataOptions {
    /// None where the default depends on the data.
    pub fn normalize(&self) -> Result<Option<Normalize>> {
        let known = [
            ("0-1", Normalize::ZeroOne),
            ("standard", Normalize::Standard),
            ("none", Normalize::None),
        ];
        let word = self.normalize.as_deref();
        word.map(|word| choose("normalize", word, &known))
            .transpose()
    }

    /// Whether a regression's target is standardised inside.
    pub fn scales_target(&self) -> Result<bool> {
        let word = self.target_scale.as_deref().unwrap_or("standard");
        choose("target-scale", word, &[("standard", true), ("none", false)])
    }

    /// Whether values or classes are predicted, where it is said.
    pub fn is_regression(&self) -> Result<Option<bool>> {
        let known = [("classification", false), ("regression", true)];
        let word = self.task.as_deref();
        word.map(|word| choose("task", word, &known)).transpose()
    }

    /// 1 or 3 channels, where it is said.
    pub fn n_channels(&self) -> Result<Option<usize>> {
        let known = [
            ("grey", 1),
            ("gray", 1),
            ("colour", 3),
            ("color", 3),
            ("1", 1),
            ("3", 3),
        ];
        let word = self.channels.as_deref();
        word.map(|word| choose("channels", word, &known))
            .transpose()
    }

    /// Width and height in pixels, where they are said.
    pub fn pixels(&self) -> Result<Option<(usize, usize)>> {
        let Some(text) = &self.size else {
            return Ok(None);
        };
        let bad = || {
            Error::Usage(format!(
                "--size {text}: write a side, such as 32, or WIDTHxHEIGHT, such as 32x24, from 1 to 4096"
            ))
        };
        let side = |word: &str| word.trim().parse::<usize>().map_err(|_| bad());
        let (width, height) = match text.to_lowercase().split_once('x') {
            Some((width, height)) => (side(width)?, side(height)?),
            None => (side(text)?, side(text)?),
        };
        if !(1..=4096).contains(&width) || !(1..=4096).contains(&height) {
            return Err(bad());
        }
        Ok(Some((width, height)))
    }

    /// Training samples to keep, where not all.
    pub fn kept(&self) -> Result<Option<usize>> {
        match self.limit {
            None => Ok(None),
            Some(n) if n > 0 => Ok(Some(n as usize)),
            Some(n) => Err(Error::Usage(format!(
                "--limit {n}: keep at least 1 training sample"
            ))),
        }
    }

    /// The shares of the splits, 0 where there is to be none.
    pub fn shares(&self, needs_validation: bool) -> Result<(f64, f64)> {
        let check = |name: &str, share: f64| {
            if (0.0..1.0).contains(&share) {
                return Ok(share);
            }
            Err(Error::Usage(format!(
                "--{name} {share}: a share is from 0 up to, but not including, 1"
            )))
        };
        let val = self
            .val_split
            .unwrap_or(if needs_validation { 0.1 } else { 0.0 });
        let test = match (&self.test, self.test_split) {
            (Some(path), Some(share)) if share > 0.0 => {
                return Err(Error::Usage(format!(
                    "--test {path} and --test-split {share} contradict each other: the test part is given or split off, not both"
                )));
            }
            (Some(_), _) => 0.0,
            (None, share) => share.unwrap_or(0.2),
        };
        Ok((check("val-split", val)?, check("test-split", test)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_words_are_read() {
        let of = |size: &str| DataOptions {
            size: Some(size.to_string()),
            ..DataOptions::default()
        };
        assert_eq!(of("32").pixels().unwrap(), Some((32, 32)));
        assert_eq!(of("32X24").pixels().unwrap(), Some((32, 24)));
        for bad in ["", "0", "x", "32x", "-3", "5000"] {
            let error = of(bad).pixels().unwrap_err().to_string();
            assert!(error.contains("--size"), "{error}");
        }
        let options = DataOptions {
            normalize: Some("standart".to_string()),
            ..DataOptions::default()
        };
        let error = options.normalize().unwrap_err().to_string();
        assert!(error.contains("did you mean standard"), "{error}");
    }

    #[test]
    fn shares_have_defaults_and_limits() {
        let options = DataOptions::default();
        assert_eq!(options.shares(false).unwrap(), (0.0, 0.2));
        assert_eq!(options.shares(true).unwrap(), (0.1, 0.2));
        let given = DataOptions {
            test: Some("t.csv".to_string()),
            ..DataOptions::default()
        };
        assert_eq!(given.shares(false).unwrap(), (0.0, 0.0));
        for share in [-0.1, 1.0, f64::NAN] {
            let options = DataOptions {
                val_split: Some(share),
                ..DataOptions::default()
            };
            assert!(options.shares(false).is_err());
        }
        let both = DataOptions {
            test_split: Some(0.1),
            ..given
        };
        assert!(
            both.shares(false)
                .unwrap_err()
                .to_string()
                .contains("contradict")
        );
    }
}
