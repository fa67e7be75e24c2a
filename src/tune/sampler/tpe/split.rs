//! Which trials are the good ones.

use super::hypervolume;
use crate::tune::trial::{Direction, Trial, TrialState};

/// Which of the trials (complete ones with a value per objective, pruned or running ones) are among the `n_below` best, as Optuna's
/// TPESampler has it: complete ones first; then pruned ones, by how far they came and the value
/// there. With several objectives complete ones are chosen by front, the last front by hypervolume.
pub fn split(trials: &[&Trial], directions: &[Direction], n_below: usize) -> Vec<bool> {
    let of = |state| {
        let all = 0..trials.len();
        all.filter(move |&ix| trials[ix].state == state)
    };
    let mut complete: Vec<usize> = of(TrialState::Complete).collect();
    if let [direction] = directions {
        let loss = |ix: usize| worse_last(direction.as_loss(trials[ix].values[0]));
        let keyed = complete.iter().map(|&ix| (loss(ix), ix)).collect();
        complete = least(keyed, n_below);
    } else {
        let values: Vec<Vec<f64>> = complete
            .iter()
            .map(|&ix| trials[ix].values.clone())
            .collect();
        let best = hypervolume::best(&values, directions, n_below);
        complete = best.into_iter().map(|ix| complete[ix]).collect();
    }
    let mut pruned: Vec<usize> = of(TrialState::Pruned).collect();
    let key = |ix: usize| progress(trials[ix], directions[0]);
    pruned.sort_by(|&a, &b| {
        let ((steps_a, loss_a), (steps_b, loss_b)) = (key(a), key(b));
        steps_b.cmp(&steps_a).then(loss_a.total_cmp(&loss_b))
    });
    pruned.truncate(n_below - complete.len());
    let mut below = vec![false; trials.len()];
    for ix in complete.into_iter().chain(pruned) {
        below[ix] = true;
    }
    below
}

/// The indices that come with the `n` least losses; of equal ones the first.
fn least(mut keyed: Vec<(f64, usize)>, n: usize) -> Vec<usize> {
    if n < keyed.len() {
        keyed.select_nth_unstable_by(n, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        keyed.truncate(n);
    }
    keyed.into_iter().map(|(_, ix)| ix).collect()
}

/// The last step, and the loss at it.
fn progress(trial: &Trial, direction: Direction) -> (i64, f64) {
    match trial.intermediate.last_key_value() {
        Some((&step, &value)) => (step, worse_last(direction.as_loss(value))),
        None => (i64::MIN, 0.0),
    }
}

/// What is no number is the worst.
fn worse_last(loss: f64) -> f64 {
    if loss.is_nan() { f64::INFINITY } else { loss }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::trial::Direction::{Maximize, Minimize};

    fn trial(number: u32, state: TrialState, values: &[f64], steps: &[(i64, f64)]) -> Trial {
        let mut trial = Trial::new(1, number, state);
        trial.values = values.to_vec();
        trial.intermediate = steps.iter().copied().collect();
        trial
    }

    fn below(trials: &[Trial], directions: &[Direction], n: usize) -> Vec<usize> {
        let trials: Vec<&Trial> = trials.iter().collect();
        let below = split(&trials, directions, n);
        (0..trials.len()).filter(|&ix| below[ix]).collect()
    }

    #[test]
    fn complete_trials_come_before_pruned_ones_and_running_ones_never() {
        let trials = [
            trial(0, TrialState::Complete, &[3.0], &[]),
            trial(1, TrialState::Pruned, &[], &[(2, 0.5)]),
            trial(2, TrialState::Complete, &[f64::NAN], &[]),
            trial(3, TrialState::Pruned, &[], &[(4, 9.0)]),
            trial(4, TrialState::Running, &[], &[(9, 0.0)]),
            trial(5, TrialState::Pruned, &[], &[(4, f64::NAN)]),
            trial(6, TrialState::Complete, &[1.0], &[]),
            trial(7, TrialState::Pruned, &[], &[]),
            trial(8, TrialState::Pruned, &[], &[(4, 8.0)]),
        ];
        let by_rank = [6, 0, 2, 8, 3, 5, 1, 7];
        for n in 0..=by_rank.len() {
            let mut expected = by_rank[..n].to_vec();
            expected.sort_unstable();
            assert_eq!(below(&trials, &[Minimize], n), expected, "the best {n}");
        }
        assert_eq!(below(&trials, &[Maximize], 1), [0]);
    }

    #[test]
    fn several_objectives_go_by_front() {
        let points = [
            [0.0, -4.0],
            [1.0, -1.0],
            [4.0, 0.0],
            [2.0, -1.0],
            [5.0, 5.0],
        ];
        let trials: Vec<Trial> = (0..)
            .zip(points)
            .map(|(n, p)| trial(n, TrialState::Complete, &p, &[]))
            .collect();
        assert_eq!(below(&trials, &[Minimize, Minimize], 1), [0]);
        // One front but for the fourth; of it the two that cover the most.
        assert_eq!(below(&trials, &[Minimize, Maximize], 2), [1, 4]);
    }
}
