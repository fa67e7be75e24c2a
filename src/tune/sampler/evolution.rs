//! Regularised evolution.

use super::random::Random;
use super::unit::{complete, from_unit, to_unit};
use super::{Answer, Question, Sampler};
use crate::Result;
use crate::rng::{Purpose, Stream};
use crate::tune::distribution::Distribution;
use crate::tune::pareto;
use crate::tune::space::Space;
use crate::tune::trial::{Direction, Point, Trial, TrialState};

/// The population is the last trials that came to something. The best of a random sample of them is
/// copied and mutated; the oldest falls out, however good it was (Real and others 2019, "Regularized
/// Evolution for Image Classifier Architecture Search"). The first trials are random. Complete trials
/// are better than pruned ones; others do not count.
///
/// A mutation changes one parameter, and each other one with probability 1 / their number: a choice
/// becomes another one, a number moves by a normal step in its range or its logarithm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evolution {
    pub population: usize,
    /// Members that are drawn, with replacement, for each parent.
    pub sample: usize,
    /// Standard deviation of a step, as a share of the range.
    pub step: f64,
}

impl Default for Evolution {
    fn default() -> Evolution {
        Evolution {
            population: 20,
            sample: 15,
            step: 0.1,
        }
    }
}

impl Sampler for Evolution {
    fn name(&self) -> &'static str {
        "evolution"
    }

    fn sample(&mut self, question: &Question) -> Result<Answer> {
        let members: Vec<&Trial> = question
            .trials
            .iter()
            .filter(|trial| matches!(trial.state, TrialState::Complete | TrialState::Pruned))
            .collect();
        if members.len() < self.population.max(1) {
            return Random.sample(question);
        }
        let population = &members[members.len() - self.population.max(1)..];
        let mut stream = Stream::new(question.seed, Purpose::Sampler, question.number);
        let mut draw = || population[stream.below(population.len() as u32) as usize];
        let first = draw();
        let parent = (1..self.sample).map(|_| draw()).fold(first, |best, other| {
            if is_better(other, best, question.directions) {
                other
            } else {
                best
            }
        });
        Ok(Answer {
            point: self.mutate(&parent.params, question, &mut stream),
            ..Answer::default()
        })
    }
}

impl Evolution {
    fn mutate(&self, parent: &Point, question: &Question, stream: &mut Stream) -> Point {
        let space = question.space;
        let chosen = choose(space, parent, question.fixed, stream);
        complete(space, question.fixed, |ix, parameter| {
            let distribution = &parameter.distribution;
            let unit = stream.unit();
            let deviation = f64::from(stream.normal(self.step));
            let inherited = parent.get(&parameter.name).copied();
            match inherited.filter(|&value| distribution.contains(value)) {
                None => from_unit(distribution, unit),
                Some(value) if chosen[ix] => mutated(distribution, value, unit, deviation),
                Some(value) => value,
            }
        })
    }
}

/// Which parameters change: of those that the parent has and that are not fixed, one, and each other
/// one with probability 1 / their number.
fn choose(space: &Space, parent: &Point, fixed: &Point, stream: &mut Stream) -> Vec<bool> {
    let parameters = space.parameters();
    let can_change = |ix: &usize| {
        let parameter = &parameters[*ix];
        parent.contains_key(&parameter.name)
            && !fixed.contains_key(&parameter.name)
            && !parameter.distribution.is_single()
    };
    let free: Vec<usize> = (0..parameters.len()).filter(can_change).collect();
    let mut chosen = vec![false; parameters.len()];
    if free.is_empty() {
        return chosen;
    }
    chosen[free[stream.below(free.len() as u32) as usize]] = true;
    for &ix in &free {
        chosen[ix] |= stream.below(free.len() as u32) == 0;
    }
    chosen
}

/// Another choice, or another number a step away; a step past the end comes back from it.
fn mutated(distribution: &Distribution, value: f64, unit: f64, deviation: f64) -> f64 {
    if let Distribution::Categorical { choices } = distribution {
        let others = choices.len() - 1;
        let other = ((unit * others as f64) as usize).min(others.saturating_sub(1)) as f64;
        return if other >= value { other + 1.0 } else { other };
    }
    let moved = (to_unit(distribution, value) + deviation).abs();
    let folded = if moved > 1.0 {
        (2.0 - moved).max(0.0)
    } else {
        moved
    };
    let found = from_unit(distribution, folded);
    if found != value {
        return found;
    }
    // Too small a step for a grid: to the neighbour.
    neighbour(distribution, value, deviation)
}

/// The next value up or down; the other way at an end.
fn neighbour(distribution: &Distribution, value: f64, deviation: f64) -> f64 {
    let step = match *distribution {
        Distribution::Float { step, .. } => step.unwrap_or(0.0),
        Distribution::Int { step, .. } => step as f64,
        Distribution::Categorical { .. } => 1.0,
    };
    let signed = if deviation < 0.0 { -step } else { step };
    match distribution.nearest(value + signed) {
        same if same == value => distribution.nearest(value - signed),
        next => next,
    }
}

/// Complete before pruned, then by value; with several objectives where one dominates the other.
fn is_better(a: &Trial, b: &Trial, directions: &[Direction]) -> bool {
    let complete = |trial: &Trial| trial.state == TrialState::Complete;
    match (complete(a), complete(b)) {
        (true, false) => return true,
        (false, true) => return false,
        (false, false) => {
            let steps = a.last_step().cmp(&b.last_step());
            let value = |trial: &Trial| trial.judged().unwrap_or(f64::NAN);
            return steps.is_gt() || steps.is_eq() && directions[0].is_better(value(a), value(b));
        }
        (true, true) => {}
    }
    pareto::dominates(&a.values, &b.values, directions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::sampler::testing::{
        MINIMIZE, check_conditions, check_fixed, check_reproducible, check_respects, cube, loss,
        mixed_space, play,
    };

    #[test]
    fn what_is_common_to_all_samplers() {
        check_respects(&mut Evolution::default(), 10_000);
        check_conditions(&mut Evolution::default(), 2000);
        check_fixed(&mut Evolution::default(), 500);
        check_reproducible(|| Box::<Evolution>::default(), 60);
    }

    fn ask(space: &Space, directions: &[Direction], trials: &[Trial], number: u32) -> Point {
        let question = Question {
            space,
            directions,
            trials,
            number,
            seed: 1,
            fixed: &Point::new(),
        };
        Evolution::default().sample(&question).unwrap().point
    }

    /// Number of coordinates that a child has from a trial.
    fn inherited(child: &Point, trial: &Trial) -> usize {
        let equal = |(name, value): (&String, &f64)| child.get(name) == Some(value);
        trial.params.iter().filter(|pair| equal(*pair)).count()
    }

    #[test]
    fn the_best_of_the_young_is_the_parent() {
        let space = cube(10);
        let mut trials = Vec::new();
        play(&mut Random, &space, 1, 40, &mut trials, |_| 1.0);
        trials[3].values = vec![-9.0];
        trials[30].values = vec![0.0];
        trials[31].state = TrialState::Pruned;
        trials[31].intermediate.insert(1, -9.0);
        let (mut children, mut changed) = (0, 0);
        for number in 40..140 {
            let child = ask(&space, MINIMIZE, &trials, number);
            assert!(inherited(&child, &trials[3]) == 0, "too old");
            assert!(inherited(&child, &trials[31]) == 0, "pruned");
            let kept = inherited(&child, &trials[30]);
            assert!(kept < 10, "no change");
            if kept > 0 {
                children += 1;
                changed += 10 - kept;
            }
        }
        // It is drawn in 1 - 0.95^15 = 54 % of the samples.
        assert!((35..75).contains(&children), "{children}");
        // One and a tenth of nine others.
        let mean = changed as f64 / f64::from(children);
        assert!((1.4..2.5).contains(&mean), "{mean}");
    }

    #[test]
    fn failed_and_running_trials_are_no_parents() {
        let space = mixed_space();
        let mut trials = Vec::new();
        play(&mut Random, &space, 1, 45, &mut trials, loss);
        let mut without = trials.clone();
        without.truncate(25);
        for (trial, state) in trials[25..]
            .iter_mut()
            .zip([TrialState::Fail, TrialState::Running].into_iter().cycle())
        {
            trial.state = state;
        }
        assert_eq!(
            ask(&space, MINIMIZE, &trials, 45),
            ask(&space, MINIMIZE, &without, 45)
        );
    }

    #[test]
    fn a_mutation_is_another_value_nearby() {
        let mut stream = Stream::new(1, Purpose::Sampler, 0);
        for parameter in mixed_space().parameters() {
            let distribution = &parameter.distribution;
            if distribution.is_single() {
                continue;
            }
            for _ in 0..2000 {
                let value = from_unit(distribution, stream.unit());
                let (unit, deviation) = (stream.unit(), f64::from(stream.normal(0.1)));
                let other = mutated(distribution, value, unit, deviation);
                assert!(
                    distribution.contains(other) && other != value,
                    "{parameter:?}"
                );
                if distribution.count().is_none() {
                    let moved = to_unit(distribution, other) - to_unit(distribution, value);
                    assert!(moved.abs() <= deviation.abs() + 1e-9, "{parameter:?}");
                }
            }
        }
    }

    #[test]
    fn with_several_objectives_the_dominating_is_the_parent() {
        let space = cube(10);
        let directions = [Direction::Minimize, Direction::Maximize];
        let mut trials = Vec::new();
        play(&mut Random, &space, 1, 20, &mut trials, |_| 1.0);
        for trial in &mut trials {
            trial.values = vec![1.0, 1.0];
        }
        trials[7].values = vec![0.5, 1.5];
        let of = |ix: usize| {
            let child = |number| inherited(&ask(&space, &directions, &trials, number), &trials[ix]);
            (20..120).filter(|&number| child(number) > 0).count()
        };
        assert!(of(7) > 35 && of(8) < 15, "{} {}", of(7), of(8));
    }
}
