//! The median rule: worse than half of those that went the whole way.

use super::{Judged, Pruner, Verdict};
use crate::tune::trial::{Direction, Trial, TrialState};

/// Prunes a trial whose best value so far is worse than the median of what the completed trials had
/// at this step, or is no number. As Optuna's `MedianPruner`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Median {
    /// Completed trials before anything is pruned.
    pub n_startup_trials: usize,
    /// The first step at which anything is pruned.
    pub n_warmup_steps: i64,
    /// From one look to the next; one for which there was no value is made up for at the next value.
    pub interval_steps: i64,
}

impl Default for Median {
    fn default() -> Median {
        Median {
            n_startup_trials: 5,
            n_warmup_steps: 0,
            interval_steps: 1,
        }
    }
}

impl Pruner for Median {
    fn name(&self) -> &'static str {
        "median"
    }

    fn judge(&self, judged: &Judged) -> Verdict {
        Verdict {
            prune: self.is_worse(judged).unwrap_or(false),
            ..Verdict::default()
        }
    }
}

impl Median {
    /// `None` where there is nothing to go by.
    fn is_worse(&self, judged: &Judged) -> Option<bool> {
        let step = judged.trial.last_step()?;
        let completed = || {
            let trials = judged.trials.iter();
            trials.filter(|trial| trial.state == TrialState::Complete)
        };
        if completed().count() < self.n_startup_trials.max(1) || !self.looks_at(judged.trial, step)
        {
            return None;
        }
        let best = best_value(judged.trial, judged.direction);
        if best.is_nan() {
            return Some(true);
        }
        let of_step = completed().filter_map(|trial| trial.intermediate.get(&step).copied());
        let median = median(of_step.filter(|value| !value.is_nan()).collect())?;
        Some(judged.direction.is_better(median, best))
    }

    /// Whether this is the first value since a look was due.
    fn looks_at(&self, trial: &Trial, step: i64) -> bool {
        if step < self.n_warmup_steps {
            return false;
        }
        let interval = self.interval_steps.max(1);
        let due = step - (step - self.n_warmup_steps) % interval;
        let before = trial.intermediate.range(..step).next_back();
        before.is_none_or(|(&before, _)| before < due)
    }
}

/// The best intermediate value; no number where there is none among them.
fn best_value(trial: &Trial, direction: Direction) -> f64 {
    let values = trial.intermediate.values().copied();
    let better = |a, b| if direction.is_better(b, a) { b } else { a };
    values.fold(f64::NAN, better)
}

/// The middle value or the middle of the two middle ones; `None` of none.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let above = *values.get(values.len() / 2)?;
    let below = values[(values.len() - 1) / 2];
    Some(if above == below {
        above
    } else {
        above - (above - below) * 0.5
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::pruner::testing::{completed, judge, running};

    fn median_of(n: u32) -> Vec<Trial> {
        // At step s the values are s * 10 + 0, 1, 2, ...
        (0..n)
            .map(|k| completed(k, &[(1, 10.0 + f64::from(k)), (3, 30.0 + f64::from(k))]))
            .collect()
    }

    #[test]
    fn the_best_value_so_far_meets_the_median_at_this_step() {
        let trials = median_of(6);
        let prunes = |steps: &[(i64, f64)]| {
            judge(
                &Median::default(),
                &trials,
                &running(9, steps),
                Direction::Minimize,
            )
            .prune
        };
        assert!(!prunes(&[(1, 12.5)]), "the median itself");
        assert!(prunes(&[(1, 12.6)]));
        assert!(!prunes(&[(1, 12.0), (3, 99.0)]), "it was good once");
        assert!(prunes(&[(1, f64::NAN)]));
        assert!(!prunes(&[(2, 99.0)]), "no other trial has this step");
        assert!(!prunes(&[]));
    }

    #[test]
    fn maximising_turns_it_around() {
        let trials = median_of(5);
        let prunes = |value| {
            let trial = running(9, &[(1, value)]);
            judge(&Median::default(), &trials, &trial, Direction::Maximize).prune
        };
        assert!(prunes(11.9) && !prunes(12.0) && !prunes(13.0));
    }

    #[test]
    fn startup_warmup_and_interval() {
        let bad = running(9, &[(1, 99.0)]);
        let judged = |pruner: &Median, n, trial: &Trial| {
            judge(pruner, &median_of(n), trial, Direction::Minimize).prune
        };
        assert!(!judged(&Median::default(), 4, &bad));
        assert!(judged(&Median::default(), 5, &bad));
        let late = Median {
            n_warmup_steps: 2,
            ..Median::default()
        };
        assert!(!judged(&late, 5, &bad));
        assert!(judged(&late, 5, &running(9, &[(1, 99.0), (3, 99.0)])));
        let rare = Median {
            n_warmup_steps: 1,
            interval_steps: 3,
            ..Median::default()
        };
        assert!(judged(&rare, 5, &bad), "looks are due at 1, 4, 7");
        assert!(!judged(&rare, 5, &running(9, &[(1, 99.0), (3, 99.0)])));
        assert!(
            judged(&rare, 5, &running(9, &[(0, 99.0), (3, 99.0)])),
            "postponed"
        );
    }
}
