//! Several models as one: the mean of what the members of a population answer.

use std::path::{Path, PathBuf};

use crate::data::{Dataset, Targets};
use crate::models::file::Model;
use crate::plan::Loss;
use crate::{Error, Result};

/// The model of a path, or with `ensemble` all members of a run folder.
///
/// # Errors
/// [`Error::Usage`] where the run has no members, and those of [`Model::read`].
pub fn read(path: &Path, ensemble: bool) -> Result<Vec<Model>> {
    if !ensemble {
        return Ok(vec![Model::read(path)?]);
    }
    let folder = path.join("members");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        return Err(Error::Usage(format!(
            "--ensemble: {} is no run folder with members; `gpu-train train DATA --members 8` leaves one",
            path.display()
        )));
    };
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in entries {
        let file = entry.map_err(|e| Error::io(&folder, "read", e))?.path();
        if file.extension().is_some_and(|e| e == "safetensors") {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Error::Usage(format!(
            "--ensemble: {} holds no member's model",
            folder.display()
        )));
    }
    files.iter().map(|file| Model::read(file)).collect()
}

/// The mean over members \[M\]\[N, C\] of their answers \[N, C\].
pub fn mean(answers: &[Vec<f32>]) -> Vec<f32> {
    let n = answers.len() as f64;
    let len = answers.first().map_or(0, Vec::len);
    let at = |ix: usize| answers.iter().map(|a| f64::from(a[ix])).sum::<f64>() / n;
    (0..len).map(|ix| at(ix) as f32).collect()
}

/// The mean loss of answers \[N, C\] to `samples`; `None` for huber, whose bend no model file tells.
pub fn loss(model: &Model, data: &Dataset, samples: &[u32], answers: &[f32]) -> Option<f64> {
    let width = model.info.outputs();
    let rows = samples.iter().zip(answers.chunks_exact(width));
    let target = |sample: u32, output: usize| match &data.targets {
        Targets::Classes { labels, .. } => f64::from(labels[sample as usize] == output as u32),
        Targets::Values { values, .. } => {
            let scale = model.info.target_scale();
            f64::from(scale.standardise(values[sample as usize]))
        }
    };
    let of_row = |(&sample, row): (&u32, &[f32])| -> Option<f64> {
        let errors = row.iter().enumerate();
        let errors = errors.map(|(ix, &y)| f64::from(y) - target(sample, ix));
        Some(match model.loss {
            Loss::CrossEntropy => {
                let label = data.label(sample as usize) as usize;
                -f64::from(row[label]).max(f64::MIN_POSITIVE).ln()
            }
            Loss::Mse => errors.map(|e| e * e).sum::<f64>() / width as f64,
            Loss::Mae => errors.map(f64::abs).sum::<f64>() / width as f64,
            Loss::Huber => return None,
        })
    };
    let losses: Option<Vec<f64>> = rows.map(of_row).collect();
    losses.map(|all| all.iter().sum::<f64>() / samples.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_averaged() {
        assert_eq!(mean(&[vec![0.0, 1.0], vec![0.5, 0.5]]), [0.25, 0.75]);
    }
}
