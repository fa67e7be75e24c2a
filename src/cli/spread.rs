//! How the members of a population differ in one number: seeds, or folds.

use serde_json::json;

use crate::train::score::Scores;

/// Mean and deviation over members.
pub struct Spread {
    /// In events.
    pub name: &'static str,
    part: &'static str,
    /// Accuracy, and not R².
    share: bool,
    n: usize,
    mean: f64,
    /// Of a sample: with n - 1.
    deviation: f64,
    least: f64,
    most: f64,
}

impl Spread {
    /// `None` of fewer than two.
    pub fn of(name: &'static str, part: &'static str, scores: &[Scores]) -> Option<Spread> {
        let values: Vec<f64> = scores.iter().filter_map(Scores::quality).collect();
        let n = values.len();
        if n < 2 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        Some(Spread {
            name,
            part,
            share: scores.iter().all(|s| s.accuracy.is_some()),
            n,
            mean,
            deviation: (squares / (n - 1) as f64).sqrt(),
            least: values.iter().copied().fold(f64::INFINITY, f64::min),
            most: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    }

    pub fn words(&self) -> String {
        let show = |value: f64| match self.share {
            true => format!("{:.2} %", value * 100.0),
            false => format!("{value:.4}"),
        };
        let what = if self.share { "accuracy" } else { "R²" };
        format!(
            "{} members: {} {what} {} on average, standard deviation {}, {} to {}",
            self.n,
            self.part,
            show(self.mean),
            show(self.deviation),
            show(self.least),
            show(self.most)
        )
    }

    pub fn json(&self) -> serde_json::Value {
        json!({
            "members": self.n,
            "mean": self.mean,
            "standard_deviation": self.deviation,
            "min": self.least,
            "max": self.most,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_deviation_of_a_sample() {
        let of = |accuracy: f64| Scores {
            loss: 0.0,
            accuracy: Some(accuracy),
            mse: None,
            r2: None,
        };
        let spread = Spread::of("s", "test", &[of(0.9), of(0.8), of(1.0)]).expect("three");
        assert!((spread.mean - 0.9).abs() < 1e-12);
        assert!((spread.deviation - 0.1).abs() < 1e-12);
        assert_eq!((spread.least, spread.most), (0.8, 1.0));
        assert!(Spread::of("s", "test", &[of(0.9)]).is_none());
    }
}
