//! Successive halving with several first rungs at once.

use flate2::Crc;

use super::asha::Asha;
use super::{Judged, Pruner, Verdict};

/// Each trial is in one of several brackets, which begin to halve later and later (L. Li and others
/// 2018, "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization"); it competes with
/// the trials of its bracket. As Optuna's `HyperbandPruner`: the bracket follows from the study's name
/// and the trial's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hyperband {
    /// Steps of the first rung of the first bracket.
    pub min_resource: i64,
    /// Steps of a whole trial; `None`: the last step that a trial can report.
    pub max_resource: Option<i64>,
    pub reduction_factor: i64,
    /// As [`Asha::bootstrap_count`].
    pub bootstrap_count: usize,
}

impl Default for Hyperband {
    fn default() -> Hyperband {
        Hyperband {
            min_resource: 1,
            max_resource: None,
            reduction_factor: 3,
            bootstrap_count: 0,
        }
    }
}

impl Pruner for Hyperband {
    fn name(&self) -> &'static str {
        "hyperband"
    }

    fn judge(&self, judged: &Judged) -> Verdict {
        let shares = self.shares(judged.max_step);
        let bracket_of = |number| bracket_of(judged.study_name, number, &shares);
        let bracket = bracket_of(judged.trial.number);
        let asha = Asha {
            min_resource: self.min_resource,
            reduction_factor: self.reduction_factor,
            min_early_stopping_rate: bracket,
            bootstrap_count: self.bootstrap_count,
        };
        asha.judge_among(judged, |trial| bracket_of(trial.number) == bracket)
    }

    fn bracket(&self, study_name: &str, number: u32, max_step: i64) -> Option<u32> {
        Some(bracket_of(study_name, number, &self.shares(max_step)))
    }
}

impl Hyperband {
    /// How many trials each bracket gets, of their sum. Their number is floor(log_eta(R)) + 1 with
    /// the logarithms of the machine's C library, as Optuna's in Python: R = 243 and eta = 3 give 5
    /// brackets, the quotient being 4.999..., and libm's logarithm would give 6.
    fn shares(&self, max_step: i64) -> Vec<u32> {
        let eta = self.reduction_factor.max(2) as f64;
        let min_resource = self.min_resource.max(1);
        let max_resource = self.max_resource.unwrap_or(max_step).max(min_resource);
        let ratio = max_resource as f64 / min_resource as f64;
        let last = (ratio.ln() / eta.ln()).floor() as u32;
        let n_brackets = f64::from(last + 1);
        (0..=last)
            .map(|bracket| {
                let s = last - bracket;
                (n_brackets * libm::pow(eta, f64::from(s)) / f64::from(s + 1)).ceil() as u32
            })
            .collect()
    }
}

fn bracket_of(study_name: &str, number: u32, shares: &[u32]) -> u32 {
    let mut crc = Crc::new();
    crc.update(format!("{study_name}_{number}").as_bytes());
    let total: u64 = shares.iter().map(|&share| u64::from(share)).sum();
    let place = u64::from(crc.sum()) % total;
    let mut end = 0;
    let ends = shares.iter().map(|&share| {
        end += u64::from(share);
        end
    });
    ends.take_while(|&end| end <= place).count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::pruner::testing::{judge, running};
    use crate::tune::trial::{Direction, Trial};

    /// What Optuna 5.0.0 computes for HyperbandPruner(1, R, 3): the shares, and the brackets of the
    /// trials 0 to 11 of a study called "study".
    #[test]
    fn brackets_are_optunas() {
        for (max_resource, shares, brackets) in [
            (1, vec![1], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            (9, vec![9, 5, 3], [0, 0, 1, 2, 0, 0, 0, 1, 1, 0, 0, 1]),
            (30, vec![27, 12, 6, 4], [1, 0, 1, 0, 0, 1, 1, 0, 0, 3, 1, 2]),
            (
                243,
                vec![81, 34, 15, 8, 5],
                [1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0],
            ),
        ] {
            let hyperband = Hyperband::default();
            assert_eq!(hyperband.shares(max_resource), shares, "R = {max_resource}");
            let found: Vec<u32> = (0..12)
                .filter_map(|number| hyperband.bracket("study", number, max_resource))
                .collect();
            assert_eq!(found, brackets, "R = {max_resource}");
        }
    }

    #[test]
    fn a_trial_competes_in_its_bracket_alone() {
        let hyperband = Hyperband::default();
        let bracket = |number| hyperband.bracket("study", number, 9);
        let note = |number, value: &str| {
            let mut trial = running(number, &[]);
            let key = "completed_rung_0".to_string();
            trial.system.insert(key, value.to_string());
            trial
        };
        let best_elsewhere: Vec<Trial> = (1..40)
            .filter(|&number| bracket(number) != bracket(0))
            .map(|number| note(number, "0.0"))
            .collect();
        assert!(best_elsewhere.len() > 5);
        let peer = (1..).find(|&number| bracket(number) == bracket(0)).unwrap();
        let trial = running(0, &[(9, 1.0)]);
        let prunes =
            |trials: &[Trial]| judge(&hyperband, trials, &trial, Direction::Minimize).prune;
        assert!(!prunes(&best_elsewhere));
        assert!(prunes(&[best_elsewhere, vec![note(peer, "0.0")]].concat()));
    }

    #[test]
    fn later_brackets_begin_later() {
        let hyperband = Hyperband::default();
        for number in 0..40 {
            let first = 3_i64.pow(hyperband.bracket("study", number, 9).unwrap());
            let noted = |step| {
                let trial = running(number, &[(step, 1.0)]);
                !judge(&hyperband, &[], &trial, Direction::Minimize)
                    .system
                    .is_empty()
            };
            assert!(noted(first) && !noted(first - 1), "trial {number}");
        }
    }
}
