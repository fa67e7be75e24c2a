//! CMA-ES, the covariance matrix adaptation evolution strategy (Hansen 2016, arXiv:1604.00772), as
//! Optuna's `CmaEsSampler` over the `cmaes` package: full covariance, no restarts.
//!
//! It searches the ranges that always exist, each mapped to the unit interval (a log scale by its
//! logarithm; whole numbers and steps are rounded). Choices and parameters under a condition are drawn
//! at random, independently of everything else.
//!
//! Trials run side by side: those of one generation are drawn from one distribution, and as soon as
//! enough of them have ended the next one begins.

mod eigen;
mod optimiser;
#[cfg(test)]
mod tests;

use std::cmp::{Ordering, Reverse};

use optimiser::Optimiser;

use super::generation::{self, Generations, Reading};
use super::unit;
use super::{Answer, Question, Sampler};
use crate::rng::{Purpose, Stream};
use crate::tune::distribution::Distribution;
use crate::tune::space::{Parameter, Space};
use crate::tune::trial::{Direction, Trial, TrialState};
use crate::{Error, Result};

/// The sampler; all that it keeps is a replay of the study so far.
#[derive(Default)]
pub struct CmaEs {
    replay: Option<Replay>,
}

struct Replay {
    space: Space,
    direction: Direction,
    generations: Generations,
    /// After the generations that are noted.
    optimiser: Optimiser,
    /// Where the next generation can begin: numbers of the trials told, and the state after them.
    ahead: Option<(Vec<u32>, Optimiser)>,
}

impl Sampler for CmaEs {
    fn name(&self) -> &'static str {
        "cmaes"
    }

    fn sample(&mut self, question: &Question) -> Result<Answer> {
        let &[direction] = question.directions else {
            return Err(Error::Usage(format!(
                "the sampler cmaes takes one objective, not {}: use nsga2 or tpe",
                question.directions.len()
            )));
        };
        let fits = |r: &Replay| r.space == *question.space && r.direction == direction;
        if !self.replay.as_ref().is_some_and(fits) {
            self.replay = Some(Replay::new(question.space, direction)?);
        }
        let replay = self.replay.as_mut().expect("set above");
        if !replay.read(question.trials) {
            *replay = Replay::new(question.space, direction)?;
            replay.read(question.trials);
        }
        Ok(replay.answer(question))
    }
}

/// Whether it is a range of more than one value that exists everywhere.
fn is_searched(parameter: &Parameter) -> bool {
    let is_range = !matches!(parameter.distribution, Distribution::Categorical { .. });
    is_range && parameter.when.is_none() && !parameter.distribution.is_single()
}

/// The better first: by value, then what was pruned, by how far it came and how well it did there.
fn compare(a: &Trial, b: &Trial, direction: Direction) -> Ordering {
    let is_pruned = |trial: &Trial| trial.state == TrialState::Pruned;
    let steps = |trial: &Trial| Reverse(trial.last_step().filter(|_| is_pruned(trial)));
    let loss = |trial: &Trial| match trial.judged() {
        Some(value) if !value.is_nan() => direction.as_loss(value),
        _ => f64::INFINITY,
    };
    (is_pruned(a), steps(a))
        .cmp(&(is_pruned(b), steps(b)))
        .then(loss(a).total_cmp(&loss(b)))
}

impl Replay {
    fn new(space: &Space, direction: Direction) -> Result<Replay> {
        let n = space.parameters().iter().filter(|p| is_searched(p)).count();
        if n == 0 {
            return Err(Error::Usage(
                "the sampler cmaes searches ranges, and the space has none that always exists: \
                 use tpe or random"
                    .to_string(),
            ));
        }
        Ok(Replay {
            space: space.clone(),
            direction,
            generations: Generations::new("cmaes:generation", "cmaes:told", |trial| {
                trial.judged().is_some()
            }),
            optimiser: Optimiser::new(n),
            ahead: None,
        })
    }

    /// Takes in what is new; false where it has to start again.
    fn read(&mut self, trials: &[Trial]) -> bool {
        let Reading::Began(bases) = self.generations.read(trials) else {
            return false;
        };
        for basis in bases {
            self.optimiser = match self.ahead.take() {
                Some((numbers, optimiser)) if numbers == basis => optimiser,
                _ => self.told(&generation::by_number(trials, &basis)),
            };
        }
        let population = self.optimiser.population_size();
        if self.generations.n_usable() >= population {
            let usable = &self.generations.usable(trials)[..population];
            let numbers: Vec<u32> = usable.iter().map(|trial| trial.number).collect();
            if self.ahead.as_ref().is_none_or(|(n, _)| *n != numbers) {
                self.ahead = Some((numbers, self.told(usable)));
            }
        }
        true
    }

    /// The state after these trials.
    fn told(&self, trials: &[&Trial]) -> Optimiser {
        let mut by_rank = trials.to_vec();
        by_rank.sort_by(|a, b| compare(a, b, self.direction));
        let points: Vec<Vec<f64>> = by_rank.iter().map(|trial| self.position(trial)).collect();
        let mut optimiser = self.optimiser.clone();
        optimiser.tell(&points);
        optimiser
    }

    /// Where in the unit cube a trial was.
    fn position(&self, trial: &Trial) -> Vec<f64> {
        let searched = self.space.parameters().iter().filter(|p| is_searched(p));
        let coordinate = |p: &Parameter| match trial.params.get(&p.name) {
            Some(&value) => unit::to_unit(&p.distribution, value),
            None => 0.5,
        };
        searched.map(coordinate).collect()
    }

    fn answer(&self, question: &Question) -> Answer {
        let mut stream = Stream::new(question.seed, Purpose::Sampler, question.number);
        let (basis, optimiser) = match &self.ahead {
            Some((numbers, optimiser)) => (Some(&numbers[..]), optimiser),
            None => (None, &self.optimiser),
        };
        let mut coordinates = optimiser.ask(&mut stream).into_iter();
        let point = unit::complete(&self.space, question.fixed, |_, parameter| {
            let coordinate = match is_searched(parameter) {
                true => coordinates.next().expect("one for each that is searched"),
                false => stream.unit(),
            };
            unit::from_unit(&parameter.distribution, coordinate)
        });
        Answer {
            point,
            system: self.generations.note(basis),
        }
    }
}
