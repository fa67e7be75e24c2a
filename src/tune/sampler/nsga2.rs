//! NSGA-II, an evolutionary algorithm for one or several objectives (Deb, Pratap, Agarwal and Meyarivan
//! 2002), with the operators and numbers of Optuna's `NSGAIISampler`: uniform crossover, and mutation by
//! a new random value.
//!
//! A parameter that one parent has and the other lacks comes from the one that has it; what neither has
//! is drawn at random. Trials that were pruned or failed have no children.

#[cfg(test)]
mod tests;

use super::generation::{self, Generations, Reading};
use super::random::Random;
use super::{Answer, Question, Sampler, unit};
use crate::Result;
use crate::rng::{Purpose, Stream};
use crate::tune::pareto;
use crate::tune::trial::{Direction, Trial, TrialState};

/// Completed trials that make a generation, and how many of them and of their parents live on.
const POPULATION: usize = 50;

/// Chance that a child has two parents.
const CROSSOVER: f64 = 0.9;

/// Chance that a parameter comes from the second.
const SWAP: f64 = 0.5;

/// The sampler; all that it keeps is what it has read of the study.
#[derive(Debug)]
pub struct Nsga2 {
    generations: Generations,
    /// Numbers of the trials that the current generation descends from.
    parents: Vec<u32>,
}

impl Default for Nsga2 {
    fn default() -> Nsga2 {
        let is_complete = |trial: &Trial| trial.state == TrialState::Complete;
        Nsga2 {
            generations: Generations::new("nsga2:generation", "nsga2:parents", is_complete),
            parents: Vec::new(),
        }
    }
}

impl Sampler for Nsga2 {
    fn name(&self) -> &'static str {
        "nsga2"
    }

    fn sample(&mut self, question: &Question) -> Result<Answer> {
        if !self.read(question.trials) {
            *self = Nsga2::default();
            self.read(question.trials);
        }
        let next = (self.generations.n_usable() >= POPULATION).then(|| self.survivors(question));
        let numbers = next.as_ref().unwrap_or(&self.parents);
        let parents = generation::by_number(question.trials, numbers);
        let mut answer = match parents.is_empty() {
            true => Random.sample(question)?,
            false => child(&parents, question),
        };
        answer.system = self.generations.note(next.as_deref());
        Ok(answer)
    }
}

impl Nsga2 {
    fn read(&mut self, trials: &[Trial]) -> bool {
        let Reading::Began(mut bases) = self.generations.read(trials) else {
            return false;
        };
        if let Some(parents) = bases.pop() {
            self.parents = parents;
        }
        true
    }

    /// Numbers of the best of the current generation and its parents: by rank, and of the last rank
    /// that finds room those that stand farthest apart.
    fn survivors(&self, question: &Question) -> Vec<u32> {
        let mut pool = generation::by_number(question.trials, &self.parents);
        pool.extend(self.generations.usable(question.trials));
        pool.retain(|trial| trial.values.len() == question.directions.len());
        pool.sort_by_key(|trial| trial.number);
        let values: Vec<Vec<f64>> = pool.iter().map(|trial| trial.values.clone()).collect();
        let ranks = pareto::ranks(&values, question.directions);
        let mut survivors = Vec::with_capacity(POPULATION);
        for rank in 0.. {
            let mut members: Vec<usize> = (0..pool.len()).filter(|&ix| ranks[ix] == rank).collect();
            let room = POPULATION - survivors.len();
            if members.is_empty() || room == 0 {
                break;
            }
            if members.len() > room {
                let values: Vec<Vec<f64>> = members.iter().map(|&ix| values[ix].clone()).collect();
                let distances = pareto::crowding(&values);
                let mut order: Vec<usize> = (0..members.len()).collect();
                order.sort_by(|&a, &b| distances[b].total_cmp(&distances[a]));
                members = order[..room].iter().map(|&k| members[k]).collect();
            }
            survivors.extend(members.iter().map(|&ix| pool[ix].number));
        }
        survivors
    }
}

/// A new point from those of one or two parents.
fn child(parents: &[&Trial], question: &Question) -> Answer {
    let mut stream = Stream::new(question.seed, Purpose::Sampler, question.number);
    let crosses = stream.unit() < CROSSOVER && parents.len() > 1;
    let (first, second) = match crosses {
        true => {
            let first = tournament(parents, question.directions, &mut stream);
            let others: Vec<&Trial> = parents
                .iter()
                .copied()
                .filter(|p| p.number != first.number)
                .collect();
            (first, tournament(&others, question.directions, &mut stream))
        }
        false => {
            let only = parents[stream.below(parents.len() as u32) as usize];
            (only, only)
        }
    };
    let mutation = 1.0 / first.params.len().max(1) as f64;
    let point = unit::complete(question.space, question.fixed, |_, parameter| {
        let swaps = stream.unit() < SWAP;
        let mutates = stream.unit() < mutation;
        let drawn = unit::from_unit(&parameter.distribution, stream.unit());
        let (one, other) = if swaps {
            (second, first)
        } else {
            (first, second)
        };
        let inherited = one
            .params
            .get(&parameter.name)
            .or(other.params.get(&parameter.name));
        match inherited {
            Some(&value) if !mutates && parameter.distribution.contains(value) => value,
            _ => drawn,
        }
    });
    Answer {
        point,
        ..Answer::default()
    }
}

/// The better of two that are drawn at random.
fn tournament<'a>(
    parents: &[&'a Trial],
    directions: &[Direction],
    stream: &mut Stream,
) -> &'a Trial {
    let mut draw = || parents[stream.below(parents.len() as u32) as usize];
    let (a, b) = (draw(), draw());
    if pareto::dominates(&a.values, &b.values, directions) {
        a
    } else {
        b
    }
}
