//! The tree-structured Parzen estimator.

mod history;
mod hypervolume;
mod normal;
mod parzen;
mod split;

use history::{Column, History, Set};
use parzen::Parzen;

use super::random::Random;
use super::unit::from_unit;
use super::{Answer, Question, Sampler};
use crate::Result;
use crate::rng::{Purpose, Stream};
use crate::tune::space::{Parameter, Space};
use crate::tune::trial::{Point, Trial, TrialState};

/// Draws candidates from the density of the good trials and takes the one at which it is greatest
/// beside the density of the others (Bergstra and others 2011, "Algorithms for Hyper-Parameter
/// Optimization"; Watanabe 2023, arXiv:2304.11127). As the TPESampler of Optuna 5 with its defaults:
/// one density over all parameters for one objective, one for each parameter for several; running
/// trials count among the others. Parameters under one condition have one density, as Optuna's with
/// `group=True`.
///
/// Fixed values are conditions: the rest is drawn from the density that they leave.
#[derive(Debug)]
pub struct Tpe {
    /// Complete and pruned trials before which the trials are random.
    pub n_startup_trials: usize,
    pub n_candidates: usize,
    history: History,
}

impl Default for Tpe {
    fn default() -> Tpe {
        Tpe {
            n_startup_trials: 10,
            n_candidates: 24,
            history: History::default(),
        }
    }
}

impl Sampler for Tpe {
    fn name(&self) -> &'static str {
        "tpe"
    }

    fn sample(&mut self, question: &Question) -> Result<Answer> {
        let trials: Vec<&Trial> = question
            .trials
            .iter()
            .filter(|trial| takes_part(trial, question))
            .collect();
        let running = |trial: &&&Trial| trial.state == TrialState::Running;
        let n_finished = trials.len() - trials.iter().filter(running).count();
        if n_finished < self.n_startup_trials.max(1) {
            return Random.sample(question);
        }
        self.history.follow(question.space, &trials);
        let several = question.directions.len() > 1;
        let n_below = n_finished.div_ceil(10);
        let n_below = if several { n_below } else { n_below.min(25) };
        let below = split::split(&trials, question.directions, n_below);
        let mut stream = Stream::new(question.seed, Purpose::Sampler, question.number);
        let mut point = Point::new();
        for group in groups(question.space, several) {
            let parameters = question.space.parameters();
            if question.space.is_active(&parameters[group[0]], &point) {
                let values = self.sample_group(question, &group, &below, &mut stream);
                let names = group.iter().map(|&ix| parameters[ix].name.clone());
                point.extend(names.zip(values));
            }
        }
        Ok(Answer {
            point,
            ..Answer::default()
        })
    }
}

impl Tpe {
    /// Internal values for some parameters, by one density.
    fn sample_group(
        &mut self,
        question: &Question,
        group: &[usize],
        below: &[bool],
        stream: &mut Stream,
    ) -> Vec<f64> {
        let parameter = |ix: usize| &question.space.parameters()[ix];
        let fixed = |ix: usize| question.fixed.get(&parameter(ix).name).copied();
        let (single, free): (Vec<usize>, Vec<usize>) = group
            .iter()
            .partition(|&&ix| parameter(ix).distribution.is_single());
        let mut values: Vec<(usize, f64)> = single
            .iter()
            .map(|&ix| (ix, from_unit(&parameter(ix).distribution, 0.0)))
            .collect();
        if !free.is_empty() {
            let sets = self.fit(&free, below);
            let columns: Vec<&Column> = free.iter().map(|&ix| &self.history.columns[ix]).collect();
            let known: Vec<Option<f64>> = free
                .iter()
                .zip(&columns)
                .map(|(&ix, column)| {
                    fixed(ix).map(|value| column.transform(column.distribution.nearest(value)))
                })
                .collect();
            let uniform = question.directions.len() > 1;
            let best = self.best_candidate(&columns, &sets, &known, uniform, stream);
            let internal = columns
                .iter()
                .zip(best)
                .map(|(c, value)| c.untransform(value));
            values.extend(free.iter().copied().zip(internal));
        }
        values.sort_unstable_by_key(|&(ix, _)| ix);
        values
            .into_iter()
            .map(|(ix, value)| fixed(ix).unwrap_or(value))
            .collect()
    }

    /// Divides the rows that have all these parameters, and fits their kernels.
    fn fit(&mut self, columns: &[usize], below: &[bool]) -> Vec<Set> {
        let set_of = |&below: &bool| if below { Set::Below } else { Set::Above };
        let mut sets: Vec<Set> = below.iter().map(set_of).collect();
        for &ix in columns {
            for (set, value) in sets.iter_mut().zip(&self.history.columns[ix].values) {
                if value.is_nan() {
                    *set = Set::Outside;
                }
            }
        }
        for &ix in columns {
            let column = &mut self.history.columns[ix];
            if !column.is_categorical() {
                column.fit(&sets);
            }
        }
        sets
    }

    /// The candidate with the greatest ratio of densities, by column.
    fn best_candidate(
        &self,
        columns: &[&Column],
        sets: &[Set],
        known: &[Option<f64>],
        uniform: bool,
        stream: &mut Stream,
    ) -> Vec<f64> {
        let weights = |set| {
            let n = sets.iter().filter(|other| **other == set).count();
            if uniform && set == Set::Below {
                vec![1.0; n]
            } else {
                recency_weights(n)
            }
        };
        let mixture = |columns: Vec<_>, set| Parzen::new(columns, sets, set, weights(set));
        let good = mixture(columns.to_vec(), Set::Below);
        let others = mixture(columns.to_vec(), Set::Above);
        let pinned = columns
            .iter()
            .zip(known)
            .filter_map(|(c, known)| Some((*c, (*known)?)));
        let (pinned, at): (Vec<&Column>, Vec<f64>) = pinned.unzip();
        let weights = if pinned.is_empty() {
            good.weights().to_vec()
        } else {
            mixture(pinned, Set::Below).weights_given(&at)
        };
        let candidates: Vec<Vec<f64>> = (0..self.n_candidates.max(1))
            .map(|_| good.draw(&weights, known, stream))
            .collect();
        let by_column: Vec<Vec<f64>> = (0..columns.len())
            .map(|ix| candidates.iter().map(|candidate| candidate[ix]).collect())
            .collect();
        let ratios = good.log_density(&by_column);
        let ratios = ratios.iter().zip(others.log_density(&by_column));
        let ratios: Vec<f64> = ratios.map(|(good, others)| good - others).collect();
        let better = |best, ix| if ratios[ix] > ratios[best] { ix } else { best };
        let best = (1..ratios.len()).fold(0, better);
        candidates[best].clone()
    }
}

/// Whether a trial's parameters count: it came to something or is under way, and is not the one that
/// is asked for.
fn takes_part(trial: &Trial, question: &Question) -> bool {
    match trial.state {
        TrialState::Complete => trial.values.len() == question.directions.len(),
        TrialState::Pruned => true,
        TrialState::Running => trial.number != question.number,
        TrialState::Fail | TrialState::Waiting => false,
    }
}

/// Parameters that have one density: those that exist under the same condition, or each its own.
/// Groups come in an order in which conditions look back.
fn groups(space: &Space, apart: bool) -> Vec<Vec<usize>> {
    let parameters = space.parameters();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (ix, parameter) in parameters.iter().enumerate() {
        let mut existing = groups.iter_mut();
        match existing.find(|group| !apart && same_condition(&parameters[group[0]], parameter)) {
            Some(group) => group.push(ix),
            None => groups.push(vec![ix]),
        }
    }
    groups
}

fn same_condition(a: &Parameter, b: &Parameter) -> bool {
    match (&a.when, &b.when) {
        (None, None) => true,
        (Some(a), Some(b)) => {
            a.parameter == b.parameter
                && a.any_of.iter().all(|value| b.any_of.contains(value))
                && b.any_of.iter().all(|value| a.any_of.contains(value))
        }
        _ => false,
    }
}

/// Optuna's weights of n trials, the oldest first: 1 for the last 25, before them a ramp up from 1/n.
fn recency_weights(n: usize) -> Vec<f64> {
    let n_ramp = n.saturating_sub(25);
    let first = 1.0 / n as f64;
    let of = |ix: usize| match ix {
        _ if ix >= n_ramp => 1.0,
        0 => first,
        _ => first + (1.0 - first) * ix as f64 / (n_ramp - 1) as f64,
    };
    (0..n).map(of).collect()
}

#[cfg(test)]
mod tests;
