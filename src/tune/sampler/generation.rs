//! The generations of a sampler that evolves: read from what is noted with the trials, so that any
//! process goes on where another stopped.
//!
//! Every trial notes its generation. The first of a generation notes its *basis* as well: numbers of
//! the earlier trials that the generation descends from. A trial that ends after the next generation
//! has begun therefore changes nothing.

use crate::tune::trial::{Attributes, Trial};

/// What has been read of a study. Each reading costs only what came since the last.
#[derive(Debug)]
pub struct Generations {
    generation_key: &'static str,
    basis_key: &'static str,
    is_usable: fn(&Trial) -> bool,
    /// Trials that have been read.
    seen: usize,
    last_id: Option<i64>,
    current: u32,
    /// Number of the trial that began the current generation.
    began_at: Option<u32>,
    /// Indices of usable trials of the current generation.
    usable: Vec<usize>,
    /// Indices of trials that may become some.
    open: Vec<usize>,
}

/// What a reading found.
#[derive(Debug, PartialEq)]
pub enum Reading {
    /// Bases of the generations that have begun since, in order; none usually.
    Began(Vec<Vec<u32>>),
    /// The study is not what was read before: to be read again from its start.
    Changed,
}

impl Generations {
    /// Nothing read yet. `is_usable` says whether a trial counts for its generation.
    pub fn new(
        generation_key: &'static str,
        basis_key: &'static str,
        is_usable: fn(&Trial) -> bool,
    ) -> Generations {
        Generations {
            generation_key,
            basis_key,
            is_usable,
            seen: 0,
            last_id: None,
            current: 0,
            began_at: None,
            usable: Vec::new(),
            open: Vec::new(),
        }
    }

    /// Usable trials of the current generation by number.
    pub fn usable<'a>(&self, trials: &'a [Trial]) -> Vec<&'a Trial> {
        let mut usable: Vec<&Trial> = self.usable.iter().map(|&ix| &trials[ix]).collect();
        usable.sort_by_key(|trial| trial.number);
        usable
    }

    /// Number of [`Self::usable`] trials.
    pub fn n_usable(&self) -> usize {
        self.usable.len()
    }

    /// Reads what is new in `trials`, the whole study by number.
    pub fn read(&mut self, trials: &[Trial]) -> Reading {
        let last = self.seen.checked_sub(1);
        if last.is_some_and(|last| trials.get(last).map(|t| t.id) != self.last_id) {
            return Reading::Changed;
        }
        let mut began = Vec::new();
        let open = std::mem::take(&mut self.open);
        for ix in open.into_iter().chain(self.seen..trials.len()) {
            if !self.read_trial(ix, &trials[ix], &mut began) {
                return Reading::Changed;
            }
        }
        self.seen = trials.len();
        self.last_id = trials.last().map(|trial| trial.id);
        Reading::Began(began)
    }

    /// False where it should have been read before others that were.
    fn read_trial(&mut self, ix: usize, trial: &Trial, began: &mut Vec<Vec<u32>>) -> bool {
        let generation: Option<u32> = noted(&trial.system, self.generation_key);
        let basis: Option<Vec<u32>> = noted(&trial.system, self.basis_key);
        if let Some((generation, basis)) = generation.zip(basis) {
            if generation == self.current + 1 {
                self.current = generation;
                self.began_at = Some(trial.number);
                self.usable.clear();
                began.push(basis);
            } else if generation == self.current
                && self.began_at.is_some_and(|first| trial.number < first)
            {
                return false;
            }
        }
        let is_current = generation == Some(self.current);
        if !trial.state.is_finished() || generation.is_some_and(|g| g > self.current) {
            self.open.push(ix);
        } else if is_current && (self.is_usable)(trial) {
            self.usable.push(ix);
        }
        true
    }

    /// What a trial of the current generation notes or, with a basis, the first of the next one.
    pub fn note(&self, basis: Option<&[u32]>) -> Attributes {
        let generation = self.current + u32::from(basis.is_some());
        let mut system = Attributes::new();
        system.insert(self.generation_key.to_string(), generation.to_string());
        if let Some(basis) = basis {
            system.insert(self.basis_key.to_string(), format!("{basis:?}"));
        }
        system
    }
}

fn noted<T: serde::de::DeserializeOwned>(system: &Attributes, key: &str) -> Option<T> {
    serde_json::from_str(system.get(key)?).ok()
}

/// Trials of these numbers; those that are not there are left out.
pub fn by_number<'a>(trials: &'a [Trial], numbers: &[u32]) -> Vec<&'a Trial> {
    let find = |number: &u32| {
        trials
            .binary_search_by_key(number, |trial| trial.number)
            .ok()
    };
    numbers
        .iter()
        .filter_map(find)
        .map(|ix| &trials[ix])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::trial::TrialState;

    fn generations() -> Generations {
        Generations::new("g", "basis", |trial| trial.state == TrialState::Complete)
    }

    fn trial(number: u32, generation: u32, basis: Option<&str>, state: TrialState) -> Trial {
        let mut trial = Trial::new(i64::from(number), number, state);
        trial.system.insert("g".to_string(), generation.to_string());
        if let Some(basis) = basis {
            trial.system.insert("basis".to_string(), basis.to_string());
        }
        trial
    }

    fn numbers(trials: &[&Trial]) -> Vec<u32> {
        trials.iter().map(|trial| trial.number).collect()
    }

    #[test]
    fn reading_in_steps_or_at_once_comes_to_the_same() {
        use TrialState::{Complete, Fail, Running};
        let mut trials = vec![
            trial(0, 0, None, Running),
            trial(1, 0, None, Complete),
            trial(2, 0, None, Fail),
        ];
        let mut stepwise = generations();
        assert_eq!(stepwise.read(&trials), Reading::Began(vec![]));
        assert_eq!(numbers(&stepwise.usable(&trials)), [1]);

        trials[0].state = Complete;
        assert_eq!(stepwise.read(&trials), Reading::Began(vec![]));
        assert_eq!(numbers(&stepwise.usable(&trials)), [0, 1]);

        trials.push(trial(3, 1, Some("[0, 1]"), Running));
        trials.push(trial(4, 1, None, Complete));
        assert_eq!(stepwise.read(&trials), Reading::Began(vec![vec![0, 1]]));
        trials[3].state = Complete;
        assert_eq!(stepwise.read(&trials), Reading::Began(vec![]));

        let mut at_once = generations();
        assert_eq!(at_once.read(&trials), Reading::Began(vec![vec![0, 1]]));
        assert_eq!(at_once.current, 1);
        assert_eq!(numbers(&at_once.usable(&trials)), [3, 4]);
        assert_eq!(numbers(&stepwise.usable(&trials)), [3, 4]);
    }

    #[test]
    fn a_late_trial_of_an_old_generation_does_not_count() {
        let mut trials = vec![
            trial(0, 0, None, TrialState::Running),
            trial(1, 1, Some("[]"), TrialState::Complete),
        ];
        let mut generations = generations();
        generations.read(&trials);
        trials[0].state = TrialState::Complete;
        generations.read(&trials);
        assert_eq!(numbers(&generations.usable(&trials)), [1]);
    }

    #[test]
    fn an_earlier_beginning_that_is_seen_late_wins() {
        let mut trials = vec![
            Trial::new(0, 0, TrialState::Running),
            trial(1, 1, Some("[7]"), TrialState::Complete),
        ];
        let mut first = generations();
        assert_eq!(first.read(&trials), Reading::Began(vec![vec![7]]));
        trials[0] = trial(0, 1, Some("[5]"), TrialState::Running);
        assert_eq!(first.read(&trials), Reading::Changed);
        assert_eq!(generations().read(&trials), Reading::Began(vec![vec![5]]));
    }

    #[test]
    fn another_study_is_noticed() {
        let trials = [trial(0, 0, None, TrialState::Complete)];
        let mut generations = generations();
        generations.read(&trials);
        assert_eq!(generations.read(&[]), Reading::Changed);
        let mut other = trials[0].clone();
        other.id = 9;
        assert_eq!(generations.read(&[other]), Reading::Changed);
    }

    #[test]
    fn what_is_noted_is_read_again() {
        let generations = generations();
        let mut trial = Trial::new(0, 0, TrialState::Complete);
        trial.system = generations.note(Some(&[4, 5]));
        let mut reader = self::generations();
        let trials = [trial];
        assert_eq!(reader.read(&trials), Reading::Began(vec![vec![4, 5]]));
        assert_eq!(reader.current, 1);
    }
}
