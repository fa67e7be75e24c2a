//! Metrics against scikit-learn's. See tests/reference/metrics.py.

use gpu_train::metrics::{
    ClassScore, ClassificationReport, Ranking, RegressionReport, count_confusion, roc_auc,
    roc_curve, top_k_accuracy,
};
use serde::Deserialize;

/// Of the larger of the reference and, for numbers that are a difference from 1, of 1.
const TOLERANCE: f64 = 1e-12;

#[derive(Deserialize)]
struct Reference {
    classification: Vec<Classification>,
    regression: Vec<Regression>,
}

#[derive(Deserialize)]
struct Classification {
    name: String,
    n_classes: usize,
    labels: Vec<u32>,
    scores: Vec<Vec<f32>>,
    predictions: Vec<u32>,
    confusion: Vec<Vec<u32>>,
    accuracy: f64,
    balanced_accuracy: f64,
    precision: Vec<f64>,
    recall: Vec<f64>,
    f1: Vec<f64>,
    support: Vec<u64>,
    #[serde(rename = "macro")]
    macro_average: Average,
    micro: Average,
    weighted: Average,
    /// For k = 1, 2, ... below the number of classes.
    top_k: Vec<f64>,
    roc_auc: Option<f64>,
    roc_curve: Option<Curve>,
}

#[derive(Deserialize)]
struct Average {
    precision: f64,
    recall: f64,
    f1: f64,
}

#[derive(Deserialize)]
struct Curve {
    fpr: Vec<f64>,
    tpr: Vec<f64>,
    /// Of all points but the first, whose threshold is infinite.
    thresholds: Vec<f64>,
}

#[derive(Deserialize)]
struct Regression {
    name: String,
    targets: Vec<f64>,
    predictions: Vec<f64>,
    mse: f64,
    rmse: f64,
    mae: f64,
    r2: Option<f64>,
}

fn reference() -> Reference {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/metrics.json");
    let text = std::fs::read_to_string(path).expect("the reference is committed");
    serde_json::from_str(&text).expect("its format is known")
}

fn close(case: &str, what: &str, got: f64, want: f64, scale: f64) {
    assert!(
        (got - want).abs() <= TOLERANCE * scale,
        "{case}: {what} is {got}, scikit-learn has {want}"
    );
}

fn same(case: &str, what: &str, got: f64, want: f64) {
    close(case, what, got, want, want.abs());
}

fn same_score(case: &str, what: &str, got: &ClassScore, want: &Average) {
    same(
        case,
        &format!("{what} precision"),
        got.precision,
        want.precision,
    );
    same(case, &format!("{what} recall"), got.recall, want.recall);
    same(case, &format!("{what} F1"), got.f1, want.f1);
}

#[test]
fn classification() {
    let cases = reference().classification;
    assert!(cases.len() >= 22, "only {} cases", cases.len());
    for case in &cases {
        let name = case.name.as_str();
        let n = case.n_classes;
        let scores = case.scores.concat();
        let classes: Vec<String> = (0..n).map(|ix| ix.to_string()).collect();
        let confusion = count_confusion(&case.labels, &case.predictions, n);
        let ranking = Ranking {
            labels: &case.labels,
            scores: &scores,
        };
        let report = ClassificationReport::new(&classes, &confusion, Some(ranking));
        assert_eq!(report.confusion, case.confusion, "{name}");
        assert_eq!(report.samples, case.labels.len() as u64, "{name}");
        same(name, "accuracy", report.accuracy, case.accuracy);
        let balanced = report.balanced_accuracy;
        same(name, "balanced accuracy", balanced, case.balanced_accuracy);
        assert_eq!(report.classes.len(), n, "{name}");
        for (ix, row) in report.classes.iter().enumerate() {
            let want = Average {
                precision: case.precision[ix],
                recall: case.recall[ix],
                f1: case.f1[ix],
            };
            same_score(name, &format!("class {ix}"), &row.score, &want);
            assert_eq!(row.score.support, case.support[ix], "{name}: class {ix}");
        }
        same_score(name, "macro", &report.macro_average, &case.macro_average);
        same_score(name, "micro", &report.micro_average, &case.micro);
        same_score(name, "weighted", &report.weighted_average, &case.weighted);
        for (&want, k) in case.top_k.iter().zip(1..) {
            let got = top_k_accuracy(&case.labels, &scores, n, k);
            same(name, &format!("top-{k} accuracy"), got, want);
        }
        let top = report.top_k.map(|top| (top.k, top.accuracy));
        let want = (n > 5).then(|| (5, case.top_k[4]));
        assert_eq!(top, want, "{name}: the report's top-k");
        if n == 2 {
            two_classes(case, &report);
        } else {
            assert_eq!(report.roc_auc, None, "{name}");
        }
    }
    let with_curve = cases.iter().filter(|c| c.roc_curve.is_some()).count();
    assert!(with_curve >= 7, "only {with_curve} curves");
}

fn two_classes(case: &Classification, report: &ClassificationReport) {
    let name = case.name.as_str();
    let positive: Vec<bool> = case.labels.iter().map(|&label| label == 1).collect();
    let scores: Vec<f32> = case.scores.iter().map(|row| row[1]).collect();
    let got = roc_auc(&positive, &scores);
    assert_eq!(got, report.roc_auc, "{name}");
    assert_eq!(got.is_some(), case.roc_auc.is_some(), "{name}: ROC-AUC");
    if let (Some(got), Some(want)) = (got, case.roc_auc) {
        same(name, "ROC-AUC", got, want);
    }
    let got = roc_curve(&positive, &scores);
    assert_eq!(got.is_some(), case.roc_curve.is_some(), "{name}: curve");
    let (Some(got), Some(want)) = (got, &case.roc_curve) else {
        return;
    };
    assert_eq!(got.len(), want.fpr.len(), "{name}: points of the curve");
    assert_eq!(got[0].threshold, f64::INFINITY, "{name}");
    for (ix, point) in got.iter().enumerate() {
        same(name, &format!("fpr {ix}"), point.fpr, want.fpr[ix]);
        same(name, &format!("tpr {ix}"), point.tpr, want.tpr[ix]);
        if ix > 0 {
            assert_eq!(point.threshold, want.thresholds[ix - 1], "{name}: {ix}");
        }
    }
}

#[test]
fn regression() {
    let cases = reference().regression;
    assert!(cases.len() >= 12, "only {} cases", cases.len());
    for case in &cases {
        let name = case.name.as_str();
        let report = RegressionReport::new(&case.targets, &case.predictions);
        same(name, "MSE", report.mse, case.mse);
        same(name, "RMSE", report.rmse, case.rmse);
        same(name, "MAE", report.mae, case.mae);
        assert_eq!(report.r2.is_some(), case.r2.is_some(), "{name}: R^2");
        if let (Some(got), Some(want)) = (report.r2, case.r2) {
            close(name, "R^2", got, want, want.abs().max(1.0));
        }
    }
}
