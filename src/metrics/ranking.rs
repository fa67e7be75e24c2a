//! What the order of the scores says: top-k accuracy, the ROC curve and the area under it.

use serde::Serialize;

/// Part of the samples whose label is among the k highest scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TopK {
    pub k: usize,
    pub accuracy: f64,
}

/// Part of N samples whose label is among the k highest of its scores \[N, C\]; 0 without samples.
///
/// Of equal scores the higher class comes first, as in scikit-learn's `top_k_accuracy_score`
/// (its stable ascending sort is read backwards). A NaN ranks before every number, and a label
/// whose own score is NaN counts as missed.
///
/// # Panics
/// Where the lengths do not fit together.
pub fn top_k_accuracy(labels: &[u32], scores: &[f32], classes: usize, k: usize) -> f64 {
    assert_eq!(scores.len(), labels.len() * classes, "scores [N, C]");
    let hit = |(&label, row): (&u32, &[f32])| {
        let label = label as usize;
        let own = row[label];
        let before = row.iter().enumerate().filter(|&(class, &score)| {
            score > own || score.is_nan() || (score == own && class > label)
        });
        !own.is_nan() && before.count() < k
    };
    let rows = scores.chunks_exact(classes.max(1));
    let hits = labels.iter().zip(rows).filter(|&pair| hit(pair)).count();
    super::quotient(hits as f64, labels.len() as f64)
}

/// Calling positive what scores at least `threshold`: the rates that come of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RocPoint {
    /// Infinity at the curve's start, where nothing is called positive.
    pub threshold: f64,
    /// False positive rate, the x axis.
    pub fpr: f64,
    /// True positive rate, the y axis.
    pub tpr: f64,
}

/// The corners of the ROC curve from (0, 0) to (1, 1), by falling threshold.
///
/// Points on a straight line between two neighbours of equal step are left out, as
/// scikit-learn's `roc_curve` does. None where there are no positives or no negatives, or where a
/// score is NaN.
///
/// # Panics
/// Where the lengths differ.
pub fn roc_curve(positive: &[bool], scores: &[f32]) -> Option<Vec<RocPoint>> {
    let counts = counts_by_threshold(positive, scores)?;
    let &(_, fp_all, tp_all) = counts.last()?;
    let straight = |ix: usize| {
        let [(_, f0, t0), (_, f1, t1), (_, f2, t2)] = [counts[ix - 1], counts[ix], counts[ix + 1]];
        f0 + f2 == 2 * f1 && t0 + t2 == 2 * t1
    };
    let inner = |ix: usize| ix > 0 && ix + 1 < counts.len();
    let corners = (0..counts.len()).filter(|&ix| !(inner(ix) && straight(ix)));
    let start = RocPoint {
        threshold: f64::INFINITY,
        fpr: 0.0,
        tpr: 0.0,
    };
    let point = |ix: usize| {
        let (threshold, fp, tp) = counts[ix];
        RocPoint {
            threshold: f64::from(threshold),
            fpr: fp as f64 / fp_all as f64,
            tpr: tp as f64 / tp_all as f64,
        }
    };
    Some(std::iter::once(start).chain(corners.map(point)).collect())
}

/// Area under the ROC curve: the chance that a positive scores above a negative, equal scores
/// counting half (the trapezoid rule). None as in [`roc_curve`].
///
/// Computed from whole numbers, exact up to the last division.
///
/// # Panics
/// Where the lengths differ.
pub fn roc_auc(positive: &[bool], scores: &[f32]) -> Option<f64> {
    let counts = counts_by_threshold(positive, scores)?;
    let &(_, fp_all, tp_all) = counts.last()?;
    let (mut twice, mut fp0, mut tp0) = (0u128, 0, 0);
    for &(_, fp, tp) in &counts {
        twice += u128::from(fp - fp0) * u128::from(tp + tp0);
        (fp0, tp0) = (fp, tp);
    }
    Some(twice as f64 / (2 * u128::from(fp_all) * u128::from(tp_all)) as f64)
}

/// (threshold, false positives, true positives) for every distinct score, falling.
fn counts_by_threshold(positive: &[bool], scores: &[f32]) -> Option<Vec<(f32, u64, u64)>> {
    assert_eq!(positive.len(), scores.len(), "a score a sample");
    if scores.iter().any(|s| s.is_nan()) {
        return None;
    }
    let mut order: Vec<(f32, bool)> = scores
        .iter()
        .copied()
        .zip(positive.iter().copied())
        .collect();
    // By value, so that 0.0 and -0.0 are one threshold.
    order.sort_by(|a, b| b.0.partial_cmp(&a.0).expect("no NaN"));
    let (mut fp, mut tp) = (0u64, 0u64);
    let mut counts: Vec<(f32, u64, u64)> = Vec::new();
    for (score, positive) in order {
        if positive {
            tp += 1
        } else {
            fp += 1
        }
        match counts.last_mut() {
            Some(last) if last.0 == score => *last = (score, fp, tp),
            _ => counts.push((score, fp, tp)),
        }
    }
    (fp > 0 && tp > 0).then_some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_scores_rank_the_higher_class_first() {
        let scores = [0.25f32; 4];
        let hit = |label: u32, k: usize| top_k_accuracy(&[label], &scores, 4, k) == 1.0;
        assert!(hit(3, 1) && !hit(2, 1) && hit(2, 2) && !hit(0, 3) && hit(0, 4));
    }

    #[test]
    fn nan_is_never_a_hit() {
        let scores = [f32::NAN, 0.5, 0.4];
        assert_eq!(top_k_accuracy(&[0], &scores, 3, 2), 0.0);
        assert_eq!(top_k_accuracy(&[1], &scores, 3, 1), 0.0);
        assert_eq!(top_k_accuracy(&[1], &scores, 3, 2), 1.0);
        assert_eq!(roc_auc(&[true, false], &[f32::NAN, 0.5]), None);
    }

    /// One pair tied, one right, of two: 0.75.
    #[test]
    fn ties_count_half() {
        let auc = roc_auc(&[true, false, false], &[0.5, 0.5, 0.1]);
        assert_eq!(auc, Some(0.75));
        assert_eq!(roc_auc(&[true, false], &[0.0, -0.0]), Some(0.5));
    }

    #[test]
    fn one_class_has_no_curve() {
        assert_eq!(roc_auc(&[true, true], &[0.1, 0.2]), None);
        assert_eq!(roc_curve(&[false], &[0.1]), None);
        assert_eq!(roc_curve(&[], &[]), None);
    }

    #[test]
    fn the_curve_runs_from_corner_to_corner() {
        let curve = roc_curve(&[true, true, false, false], &[0.9, 0.8, 0.2, 0.1]).expect("both");
        let xy: Vec<(f64, f64)> = curve.iter().map(|p| (p.fpr, p.tpr)).collect();
        assert_eq!(xy, [(0.0, 0.0), (0.0, 0.5), (0.0, 1.0), (1.0, 1.0)]);
    }
}
