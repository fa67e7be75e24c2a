//! The learning rate of every update against PyTorch's. See tests/reference/README.md.

use gpu_train::train::schedule::{Planned, PlateauState, Schedule};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    schedule: String,
    warmup: String,
    lr: f64,
    per_epoch: u64,
    epochs: u32,
    /// An epoch's loss; none is a NaN.
    losses: Option<Vec<Option<f64>>>,
    lrs: Vec<f64>,
}

fn reference() -> Vec<Case> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/reference/schedules.json"
    );
    let text = std::fs::read_to_string(path).expect(path);
    let reference: Reference = serde_json::from_str(&text).expect(path);
    reference.cases
}

#[test]
fn rates_are_pytorchs() {
    let cases = reference();
    for case in &cases {
        let schedule = case.schedule.parse().expect("schedule");
        let warmup = case.warmup.parse().expect("warm-up");
        let planned =
            Planned::new(schedule, warmup, case.per_epoch, case.epochs).expect("a planned run");
        assert_eq!(
            case.lrs.len() as u64,
            case.per_epoch * u64::from(case.epochs)
        );
        let mut state = PlateauState::default();
        for (t, &expected) in case.lrs.iter().enumerate() {
            let update = t as u64;
            let epoch = (update / case.per_epoch) as u32;
            let lr = planned.lr(case.lr, update, epoch, &state);
            assert!(
                (lr - expected).abs() <= 1e-12 * expected,
                "{} with warm-up {}, {} x {} updates: update {t} has {lr:e}, PyTorch {expected:e}",
                case.schedule,
                case.warmup,
                case.epochs,
                case.per_epoch
            );
            let epoch_ends = (update + 1).is_multiple_of(case.per_epoch);
            if let (true, Some(losses)) = (epoch_ends, &case.losses) {
                let loss = losses[epoch as usize].unwrap_or(f64::NAN);
                planned.observe(&mut state, case.lr, loss);
            }
        }
    }
    // No schedule without a case, with and without a warm-up.
    for name in Schedule::names() {
        let of_name = cases
            .iter()
            .filter(|case| case.schedule.split(':').next() == Some(name));
        let warm = of_name.clone().filter(|case| case.warmup != "0").count();
        let cold = of_name.count() - warm;
        assert!(
            warm > 0 && cold > 0,
            "{name}: {warm} warm and {cold} cold cases"
        );
    }
}
