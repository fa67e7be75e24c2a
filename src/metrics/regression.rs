//! Errors of predicted numbers.

use serde::Serialize;

/// How far predictions are from N targets, in the targets' units. NaN without samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RegressionReport {
    pub samples: u64,
    /// Mean squared error.
    pub mse: f64,
    /// Its square root.
    pub rmse: f64,
    /// Mean absolute error.
    pub mae: f64,
    /// Coefficient of determination, 1 - sum (y - p)^2 / sum (y - mean y)^2. Where all targets are
    /// equal it is 1 for a perfect prediction and else 0 (scikit-learn's `force_finite`). None
    /// with fewer than two samples.
    pub r2: Option<f64>,
}

impl RegressionReport {
    /// # Panics
    /// Where the lengths differ.
    pub fn new(targets: &[f64], predictions: &[f64]) -> RegressionReport {
        assert_eq!(targets.len(), predictions.len(), "a prediction a target");
        let n = targets.len() as f64;
        let errors = || targets.iter().zip(predictions).map(|(y, p)| y - p);
        let squares: f64 = errors().map(|e| e * e).sum();
        let mse = squares / n;
        RegressionReport {
            samples: targets.len() as u64,
            mse,
            rmse: mse.sqrt(),
            mae: errors().map(f64::abs).sum::<f64>() / n,
            r2: (targets.len() > 1).then(|| r2(targets, squares)),
        }
    }
}

/// R^2 from the targets and the sum of squared errors.
fn r2(targets: &[f64], squares: f64) -> f64 {
    // By comparison: the mean of equal numbers need not round to that number, and the spread around
    // it would then be rounding alone.
    let constant = targets.iter().all(|y| *y == targets[0]);
    let mean = targets.iter().sum::<f64>() / targets.len() as f64;
    let spread: f64 = targets.iter().map(|y| (y - mean).powi(2)).sum();
    if squares == 0.0 {
        1.0
    } else if constant || spread == 0.0 {
        0.0
    } else {
        1.0 - squares / spread
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_by_hand() {
        let report = RegressionReport::new(&[1.0, 2.0, 3.0, 6.0], &[1.0, 3.0, 3.0, 4.0]);
        assert_eq!((report.mse, report.mae), (1.25, 0.75));
        assert_eq!(report.rmse, 1.25f64.sqrt());
        assert_eq!(report.r2, Some(1.0 - 5.0 / 14.0));
    }

    /// Three times 0.1 add up to more than 0.3.
    #[test]
    fn equal_targets() {
        let r2 = |p: [f64; 3]| RegressionReport::new(&[0.1; 3], &p).r2;
        assert_eq!(r2([0.1; 3]), Some(1.0));
        assert_eq!(r2([0.1, 0.1, 0.2]), Some(0.0));
    }

    #[test]
    fn too_few_for_a_spread() {
        let one = RegressionReport::new(&[2.0], &[3.0]);
        assert_eq!((one.mse, one.r2), (1.0, None));
        assert!(RegressionReport::new(&[], &[]).mse.is_nan());
    }
}
