//! Asynchronous successive halving.

use super::{Judged, Pruner, Verdict};
use crate::tune::trial::{Direction, Trial};

/// A trial that comes to the end of a rung goes on where its value is among the best
/// 1 / `reduction_factor` of those that came there before it, itself among them (L. Li and others
/// 2020, "A System for Massively Parallel Hyperparameter Tuning"). What it had at the end of rung N
/// is noted as `completed_rung_N`. As Optuna's `SuccessiveHalvingPruner`, which reads the same notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asha {
    /// Steps of the first rung.
    pub min_resource: i64,
    pub reduction_factor: i64,
    /// Rungs that are left out at the beginning.
    pub min_early_stopping_rate: u32,
    /// Trials that come to the end of a rung and are pruned there before one goes on.
    pub bootstrap_count: usize,
}

impl Default for Asha {
    fn default() -> Asha {
        Asha {
            min_resource: 1,
            reduction_factor: 4,
            min_early_stopping_rate: 0,
            bootstrap_count: 0,
        }
    }
}

impl Pruner for Asha {
    fn name(&self) -> &'static str {
        "asha"
    }

    fn judge(&self, judged: &Judged) -> Verdict {
        self.judge_among(judged, |_| true)
    }
}

impl Asha {
    /// As [`Pruner::judge`], among the trials that `competes` names alone.
    pub(super) fn judge_among(
        &self,
        judged: &Judged,
        competes: impl Fn(&Trial) -> bool,
    ) -> Verdict {
        let mut verdict = Verdict::default();
        let Some((&step, &value)) = judged.trial.intermediate.last_key_value() else {
            return verdict;
        };
        let mut rung = (0..)
            .find(|&rung| !judged.trial.system.contains_key(&note(rung)))
            .unwrap_or(0);
        while self.ends(rung).is_some_and(|end| step >= end) {
            if value.is_nan() {
                verdict.prune = true;
                return verdict;
            }
            verdict.system.insert(note(rung), to_json(value));
            let others = judged.trials.iter();
            let others = others.filter(|t| t.number != judged.trial.number && competes(t));
            let noted = others.filter_map(|trial| from_json(trial.system.get(&note(rung))?));
            let competing: Vec<f64> = noted.chain([value]).collect();
            if competing.len() <= self.bootstrap_count
                || !self.goes_on(value, competing, judged.direction)
            {
                verdict.prune = true;
                return verdict;
            }
            rung += 1;
        }
        verdict
    }

    /// The step at which a rung is over; `None` where no trial is that long.
    fn ends(&self, rung: u32) -> Option<i64> {
        let factor = self.reduction_factor.max(2);
        let times = factor.checked_pow(self.min_early_stopping_rate.checked_add(rung)?)?;
        self.min_resource.max(1).checked_mul(times)
    }

    /// Whether a value is among the best; before there are `reduction_factor` of them, the best one.
    fn goes_on(&self, value: f64, mut competing: Vec<f64>, direction: Direction) -> bool {
        for other in &mut competing {
            *other = direction.as_loss(*other);
        }
        competing.sort_unstable_by(f64::total_cmp);
        let last = (competing.len() / self.reduction_factor.max(2) as usize).saturating_sub(1);
        direction.as_loss(value) <= competing[last]
    }
}

fn note(rung: u32) -> String {
    format!("completed_rung_{rung}")
}

/// As Python's json module, which knows the infinities.
fn to_json(value: f64) -> String {
    if value.is_finite() {
        format!("{value:?}")
    } else if value > 0.0 {
        "Infinity".to_string()
    } else {
        "-Infinity".to_string()
    }
}

fn from_json(text: &str) -> Option<f64> {
    match text {
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        number => number.parse().ok().filter(|value: &f64| !value.is_nan()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::pruner::testing::{judge, running};

    fn noted(number: u32, notes: &[&str]) -> Trial {
        let mut trial = running(number, &[]);
        for (rung, value) in notes.iter().enumerate() {
            trial.system.insert(note(rung as u32), (*value).to_string());
        }
        trial
    }

    #[test]
    fn the_best_quarter_goes_on() {
        let trials: Vec<Trial> = (0..7)
            .map(|k| noted(k, &[&format!("{}.5", k + 1)]))
            .collect();
        // With the judged one eight: the best two go on.
        let judged = |value| {
            let trial = running(9, &[(1, value)]);
            judge(&Asha::default(), &trials, &trial, Direction::Minimize)
        };
        assert!(!judged(1.0).prune && !judged(2.4).prune);
        assert!(judged(2.6).prune && judged(f64::NAN).prune);
        assert_eq!(judged(2.6).system["completed_rung_0"], "2.6");
        assert!(judged(f64::NAN).system.is_empty());
    }

    #[test]
    fn among_few_the_best_alone_goes_on_and_ties_go_on() {
        let trials = [noted(0, &["0.5"])];
        let prunes = |value, direction| {
            judge(
                &Asha::default(),
                &trials,
                &running(9, &[(1, value)]),
                direction,
            )
            .prune
        };
        assert!(!prunes(0.5, Direction::Minimize) && prunes(0.6, Direction::Minimize));
        assert!(!prunes(0.5, Direction::Maximize) && prunes(0.4, Direction::Maximize));
    }

    #[test]
    fn rungs_end_at_powers_and_their_notes_count_once() {
        let trial = running(9, &[(1, 3.0), (16, 2.0)]);
        let verdict = judge(&Asha::default(), &[], &trial, Direction::Minimize);
        let notes: Vec<(&str, &str)> = verdict
            .system
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        let all = ["completed_rung_0", "completed_rung_1", "completed_rung_2"];
        assert_eq!(notes, all.map(|key| (key, "2.0")));
        let mut trial = running(9, &[(3, 2.0)]);
        trial.system = verdict.system;
        // Rung 3 ends at 64.
        assert!(
            judge(&Asha::default(), &[], &trial, Direction::Minimize)
                .system
                .is_empty()
        );
    }

    #[test]
    fn early_stopping_rate_bootstrap_and_infinities() {
        let asha = Asha {
            min_resource: 2,
            reduction_factor: 3,
            min_early_stopping_rate: 1,
            bootstrap_count: 1,
        };
        let judged = |step, others: &[Trial]| {
            let trial = running(9, &[(step, f64::NEG_INFINITY)]);
            judge(&asha, others, &trial, Direction::Minimize)
        };
        assert_eq!(judged(5, &[]), Verdict::default());
        assert!(judged(6, &[]).prune, "the first of two");
        let second = judged(6, &[noted(0, &["Infinity"])]);
        assert!(!second.prune);
        assert_eq!(second.system["completed_rung_0"], "-Infinity");
        assert!(judged(6, &[noted(0, &["NaN"])]).prune, "NaN is no value");
    }
}
