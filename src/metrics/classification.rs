//! Precision, recall, F1 and their averages from confusion counts.

use serde::Serialize;

use super::quotient;
use super::ranking::{TopK, roc_auc, top_k_accuracy};

/// One class's scores, or an average of several. A quotient without a denominator is 0,
/// scikit-learn's default: precision of a class that is never predicted, recall of one that is
/// not in the data.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
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

/// A class's name and its scores.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassRow {
    pub class: String,
    #[serde(flatten)]
    pub score: ClassScore,
}

/// What a model made of labelled samples.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassificationReport {
    pub samples: u64,
    /// Part of the samples whose prediction is their label; 0 without samples.
    pub accuracy: f64,
    /// Mean recall over the classes that the data have.
    pub balanced_accuracy: f64,
    /// Only where scores were given and there are more than five classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<TopK>,
    /// Only where scores were given and there are two classes; the second is the positive one.
    /// None where the data have one of the two only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roc_auc: Option<f64>,
    /// The unweighted mean over all classes, those without samples included; `support` is the total.
    #[serde(rename = "macro")]
    pub macro_average: ClassScore,
    /// From the counts of all classes together. With one label a sample each of the three equals
    /// the accuracy.
    #[serde(rename = "micro")]
    pub micro_average: ClassScore,
    /// The mean over classes weighted by their samples.
    #[serde(rename = "weighted")]
    pub weighted_average: ClassScore,
    pub classes: Vec<ClassRow>,
    /// Counts by label (outer) and prediction (inner).
    pub confusion: Vec<Vec<u32>>,
}

/// Top-k accuracy is reported for this k.
const TOP_K: usize = 5;

/// What the model said beside its first choice.
#[derive(Clone, Copy, Debug)]
pub struct Ranking<'a> {
    /// The true class of each of N samples.
    pub labels: &'a [u32],
    /// Probabilities, or other scores that grow with belief, \[N, C\].
    pub scores: &'a [f32],
}

impl ClassificationReport {
    /// The report of counts \[C, C\] by (label, prediction) over the classes named `classes`; with
    /// a `ranking`, top-k accuracy and ROC-AUC too.
    ///
    /// # Panics
    /// Where the lengths do not fit together.
    pub fn new(
        classes: &[String],
        confusion: &[u32],
        ranking: Option<Ranking>,
    ) -> ClassificationReport {
        let c = classes.len();
        let scores = per_class(confusion, c);
        let hits: u64 = (0..c).map(|ix| u64::from(confusion[ix * c + ix])).sum();
        let samples = scores.iter().map(|s| s.support).sum();
        let accuracy = quotient(hits as f64, samples as f64);
        let total = |mean: [f64; 3]| ClassScore {
            precision: mean[0],
            recall: mean[1],
            f1: mean[2],
            support: samples,
        };
        let present = scores.iter().filter(|s| s.support > 0);
        ClassificationReport {
            samples,
            accuracy,
            balanced_accuracy: mean(present.map(|s| (s.recall, 1.0))),
            top_k: ranking.filter(|_| c > TOP_K).map(|r| TopK {
                k: TOP_K,
                accuracy: top_k_accuracy(r.labels, r.scores, c, TOP_K),
            }),
            roc_auc: ranking.filter(|_| c == 2).and_then(|r| {
                let positive: Vec<bool> = r.labels.iter().map(|&label| label == 1).collect();
                let scores: Vec<f32> = r.scores.iter().skip(1).step_by(2).copied().collect();
                roc_auc(&positive, &scores)
            }),
            macro_average: macro_average(&scores),
            micro_average: total([accuracy; 3]),
            weighted_average: total(columns(&scores, |s| s.support as f64)),
            classes: classes
                .iter()
                .zip(scores)
                .map(|(class, score)| ClassRow {
                    class: class.clone(),
                    score,
                })
                .collect(),
            confusion: confusion.chunks(c.max(1)).map(<[u32]>::to_vec).collect(),
        }
    }
}

/// Counts \[C, C\] by (label, prediction) of N samples.
///
/// # Panics
/// Where the lengths differ or a class is not below `classes`.
pub fn count_confusion(labels: &[u32], predictions: &[u32], classes: usize) -> Vec<u32> {
    assert_eq!(labels.len(), predictions.len(), "a prediction a label");
    let mut counts = vec![0; classes * classes];
    for (&label, &prediction) in labels.iter().zip(predictions) {
        assert!((prediction as usize) < classes, "class {prediction}");
        counts[label as usize * classes + prediction as usize] += 1;
    }
    counts
}

/// Scores per class from counts \[C, C\] by (label, prediction).
pub fn per_class(confusion: &[u32], classes: usize) -> Vec<ClassScore> {
    assert_eq!(confusion.len(), classes * classes, "counts [C, C]");
    let at = |label: usize, prediction: usize| u64::from(confusion[label * classes + prediction]);
    (0..classes)
        .map(|class| {
            let hits = at(class, class) as f64;
            let support: u64 = (0..classes).map(|other| at(class, other)).sum();
            let called: u64 = (0..classes).map(|other| at(other, class)).sum();
            ClassScore {
                precision: quotient(hits, called as f64),
                recall: quotient(hits, support as f64),
                f1: quotient(2.0 * hits, (support + called) as f64),
                support,
            }
        })
        .collect()
}

/// The unweighted mean over classes; `support` is the total.
pub fn macro_average(scores: &[ClassScore]) -> ClassScore {
    let [precision, recall, f1] = columns(scores, |_| 1.0);
    ClassScore {
        precision,
        recall,
        f1,
        support: scores.iter().map(|s| s.support).sum(),
    }
}

/// The weighted means of precision, recall and F1.
fn columns(scores: &[ClassScore], weight: fn(&ClassScore) -> f64) -> [f64; 3] {
    let column = |f: fn(&ClassScore) -> f64| mean(scores.iter().map(|s| (f(s), weight(s))));
    [
        column(|s| s.precision),
        column(|s| s.recall),
        column(|s| s.f1),
    ]
}

/// The mean of (value, weight) pairs; 0 where the weights add up to nothing.
fn mean(pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (sum, weight) = pairs.fold((0.0, 0.0), |(sum, weight), (x, w)| {
        (sum + x * w, weight + w)
    });
    quotient(sum, weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|ix| format!("class {ix}")).collect()
    }

    /// By hand: labels 0 0 0 1 1 2, predictions 0 0 1 1 0 0; class 2 is never predicted, class 3
    /// is nowhere.
    #[test]
    fn a_case_by_hand() {
        let confusion = count_confusion(&[0, 0, 0, 1, 1, 2], &[0, 0, 1, 1, 0, 0], 4);
        assert_eq!(confusion, [2, 1, 0, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        let report = ClassificationReport::new(&names(4), &confusion, None);
        let row = |ix: usize| report.classes[ix].score;
        assert_eq!(row(0).precision, 0.5);
        assert_eq!(row(0).recall, 2.0 / 3.0);
        assert!((row(0).f1 - 4.0 / 7.0).abs() < 1e-15);
        assert_eq!((row(1).precision, row(1).recall), (0.5, 0.5));
        assert_eq!((row(2).precision, row(2).f1), (0.0, 0.0));
        let supports: Vec<u64> = report.classes.iter().map(|r| r.score.support).collect();
        assert_eq!(supports, [3, 2, 1, 0]);
        assert_eq!((report.samples, report.accuracy), (6, 0.5));
        assert_eq!(report.macro_average.precision, 0.25);
        assert!((report.balanced_accuracy - 7.0 / 18.0).abs() < 1e-15);
        assert!((report.weighted_average.precision - 2.5 / 6.0).abs() < 1e-15);
        assert_eq!(report.micro_average.f1, 0.5);
    }

    #[test]
    fn nothing_at_all_is_zeros() {
        let report = ClassificationReport::new(&names(2), &[0; 4], None);
        assert_eq!((report.samples, report.accuracy), (0, 0.0));
        assert_eq!(report.weighted_average.f1, 0.0);
        assert_eq!(report.roc_auc, None);
    }

    /// `eval --json` and the run's files carry these keys.
    #[test]
    fn json_keys() {
        let ranking = Ranking {
            labels: &[0, 1],
            scores: &[0.9, 0.1, 0.2, 0.8],
        };
        let report = ClassificationReport::new(&names(2), &[1, 0, 0, 1], Some(ranking));
        let json = serde_json::to_value(&report).expect("plain data");
        assert_eq!(json["macro"]["f1"], 1.0);
        assert_eq!(json["classes"][1]["class"], "class 1");
        assert_eq!(json["classes"][1]["support"], 1);
        assert_eq!(json["confusion"][1][1], 1);
        assert_eq!(json["roc_auc"], 1.0);
        assert!(json.get("top_k").is_none());
    }
}
