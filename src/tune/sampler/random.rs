//! Independent uniform draws.

use super::unit::{complete, from_unit};
use super::{Answer, Question, Sampler};
use crate::Result;
use crate::rng::{Purpose, Stream};

/// Draws every parameter at random: uniformly, or uniformly in the logarithm.
#[derive(Clone, Copy, Debug, Default)]
pub struct Random;

impl Sampler for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn sample(&mut self, question: &Question) -> Result<Answer> {
        let mut stream = Stream::new(question.seed, Purpose::Sampler, question.number);
        let point = complete(question.space, question.fixed, |_, parameter| {
            from_unit(&parameter.distribution, stream.unit())
        });
        Ok(Answer {
            point,
            ..Answer::default()
        })
    }

    fn is_model_based(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::sampler::testing::{
        check_conditions, check_fixed, check_reproducible, check_respects, mixed_space, range_of,
    };

    #[test]
    fn what_is_common_to_all_samplers() {
        check_respects(&mut Random, 10_000);
        check_conditions(&mut Random, 500);
        check_fixed(&mut Random, 500);
        check_reproducible(|| Box::new(Random), 60);
    }

    #[test]
    fn draws_are_uniform() {
        let draws = check_respects(&mut Random, 10_000);
        for parameter in mixed_space().parameters() {
            if parameter.when.is_some() {
                continue;
            }
            let (low, high) = range_of(&parameter.distribution);
            let units: Vec<f64> = draws
                .iter()
                .map(|point| (scaled(parameter, point[&parameter.name]) - low) / (high - low))
                .collect();
            let mean = units.iter().sum::<f64>() / units.len() as f64;
            // A standard deviation of the mean is at most 0.005 (two choices).
            assert!((mean - 0.5).abs() < 0.025, "{}: {mean}", parameter.name);
        }
    }

    fn scaled(parameter: &crate::tune::space::Parameter, value: f64) -> f64 {
        use crate::tune::distribution::Distribution::{Float, Int};
        match parameter.distribution {
            Float { log: true, .. } | Int { log: true, .. } => value.ln(),
            _ => value,
        }
    }
}
