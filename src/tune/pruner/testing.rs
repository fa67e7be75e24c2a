//! What the tests of the pruners share.

use super::{Judged, Pruner, Verdict};
use crate::tune::trial::{Direction, Trial, TrialState};

pub fn running(number: u32, steps: &[(i64, f64)]) -> Trial {
    let mut trial = Trial::new(i64::from(number) + 1, number, TrialState::Running);
    trial.intermediate = steps.iter().copied().collect();
    trial
}

pub fn completed(number: u32, steps: &[(i64, f64)]) -> Trial {
    let mut trial = running(number, steps);
    trial.state = TrialState::Complete;
    trial.values = vec![steps.last().map_or(0.0, |(_, value)| *value)];
    trial
}

/// Judges a trial of the study "study", of 9 steps, among others.
pub fn judge(
    pruner: &dyn Pruner,
    others: &[Trial],
    trial: &Trial,
    direction: Direction,
) -> Verdict {
    let mut trials = others.to_vec();
    trials.push(trial.clone());
    pruner.judge(&Judged {
        study_name: "study",
        direction,
        trials: &trials,
        trial,
        max_step: 9,
    })
}
