//! How good predictions are, in scikit-learn's definitions and in f64.
//!
//! [`ClassificationReport`] and [`RegressionReport`] hold everything that a run, `eval` and the
//! reports show; the functions under them are public for plots. Every number equals
//! scikit-learn's on the same predictions: `tests/reference/metrics.py` holds the awkward cases.

mod classification;
mod ranking;
mod regression;

pub use classification::{
    ClassRow, ClassScore, ClassificationReport, Ranking, count_confusion, macro_average, per_class,
};
pub use ranking::{RocPoint, TopK, roc_auc, roc_curve, top_k_accuracy};
pub use regression::RegressionReport;

/// a / b, or 0 where b is 0: scikit-learn's `zero_division` default.
fn quotient(a: f64, b: f64) -> f64 {
    if b == 0.0 { 0.0 } else { a / b }
}
