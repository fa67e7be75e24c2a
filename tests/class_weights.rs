//! Balanced class weights against scikit-learn's. See tests/reference/README.md.

use gpu_train::train::class_weights::balanced;
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    counts: Vec<u64>,
    weights: Vec<f64>,
}

#[test]
fn balanced_weights_are_scikit_learns() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/reference/class_weights.json"
    );
    let text = std::fs::read_to_string(path).expect(path);
    let reference: Reference = serde_json::from_str(&text).expect(path);
    assert!(reference.cases.len() >= 6);
    for case in &reference.cases {
        let weights = balanced(&case.counts).expect("samples of every class");
        assert_eq!(weights, case.weights, "{:?}", case.counts);
    }
}
