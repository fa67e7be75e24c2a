//! Precision, recall and F1 from confusion counts.

/// One class's scores. A quotient without a denominator is 0, scikit-learn's default.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassScore {
    /// Of what was called this class, the part that is.
    pub precision: f64,
    /// Of what is this class, the part that was called so.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
    /// Samples of this class.
    pub support: u64,
}

/// Scores per class from counts \[C, C\] by (label, prediction).
pub fn per_class(confusion: &[u32], classes: usize) -> Vec<ClassScore> {
    let at = |label: usize, prediction: usize| u64::from(confusion[label * classes + prediction]);
    (0..classes)
        .map(|class| {
            let hits = at(class, class);
            let support: u64 = (0..classes).map(|other| at(class, other)).sum();
            let called: u64 = (0..classes).map(|other| at(other, class)).sum();
            ClassScore {
                precision: quotient(hits, called),
                recall: quotient(hits, support),
                f1: quotient(2 * hits, support + called),
                support,
            }
        })
        .collect()
}

/// The unweighted mean over classes; `support` is the total.
pub fn macro_average(scores: &[ClassScore]) -> ClassScore {
    let mean =
        |f: fn(&ClassScore) -> f64| scores.iter().map(f).sum::<f64>() / scores.len().max(1) as f64;
    ClassScore {
        precision: mean(|s| s.precision),
        recall: mean(|s| s.recall),
        f1: mean(|s| s.f1),
        support: scores.iter().map(|s| s.support).sum(),
    }
}

fn quotient(a: u64, b: u64) -> f64 {
    if b == 0 { 0.0 } else { a as f64 / b as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: labels 0 0 0 1 1 2, predictions 0 0 1 1 0 0; class 2 is never predicted.
    #[test]
    fn a_case_by_hand() {
        let confusion = [2, 1, 0, 1, 1, 0, 1, 0, 0];
        let scores = per_class(&confusion, 3);
        assert_eq!(scores[0].precision, 0.5);
        assert_eq!(scores[0].recall, 2.0 / 3.0);
        assert!((scores[0].f1 - 4.0 / 7.0).abs() < 1e-15);
        assert_eq!((scores[1].precision, scores[1].recall), (0.5, 0.5));
        assert_eq!((scores[2].precision, scores[2].f1), (0.0, 0.0));
        assert_eq!(
            scores.iter().map(|s| s.support).collect::<Vec<_>>(),
            [3, 2, 1]
        );
        let mean = macro_average(&scores);
        assert!((mean.precision - 1.0 / 3.0).abs() < 1e-15);
        assert_eq!(mean.support, 6);
    }
}
