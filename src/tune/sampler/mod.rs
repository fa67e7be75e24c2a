//! Where the next trial should look. One file per sampler; each is a function of the study's history,
//! the seed and the trial's number, so that a resumed study goes on as it would have.

pub mod cmaes;
pub mod evolution;
mod generation;
pub mod gp;
pub mod grid;
pub mod nsga2;
pub mod random;
#[cfg(test)]
mod rehearsal;
pub mod sobol;
#[cfg(test)]
pub(in crate::tune) mod testing;
pub mod tpe;
mod unit;

use super::space::Space;
use super::trial::{Attributes, Direction, Point, Trial};
use crate::Result;

/// What a sampler is asked.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    pub space: &'a Space,
    /// One per objective.
    pub directions: &'a [Direction],
    /// The study so far, by number: finished, running and queued trials.
    pub trials: &'a [Trial],
    /// Number of the trial that is asked for.
    pub number: u32,
    pub seed: u64,
    /// Values that are decided already: a population's common structure, or what was queued.
    pub fixed: &'a Point,
}

/// What a sampler answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// A value for every active parameter of the space, `fixed` among them.
    pub point: Point,
    /// To be noted with the trial.
    pub system: Attributes,
}

/// A sampler. What it keeps from one question to the next is a cache: a new one, shown the same
/// history, answers the same.
pub trait Sampler: Send {
    fn name(&self) -> &'static str;

    /// Where trial `question.number` should look.
    ///
    /// # Errors
    /// [`crate::Error::Usage`] where the space is none for this sampler.
    fn sample(&mut self, question: &Question) -> Result<Answer>;

    /// Whether it learns from what trials came to, and so should not be asked for many at once.
    fn is_model_based(&self) -> bool {
        true
    }

    /// Whether every point has been tried, so that the study is over.
    fn is_exhausted(&self, _question: &Question) -> bool {
        false
    }
}

pub const NAMES: [&str; 8] = [
    "random",
    "grid",
    "sobol",
    "tpe",
    "gp",
    "cmaes",
    "evolution",
    "nsga2",
];

/// The sampler of that name, with its defaults.
pub fn named(name: &str) -> Option<Box<dyn Sampler>> {
    Some(match name {
        "random" => Box::new(random::Random),
        "grid" => Box::new(grid::Grid::default()),
        "sobol" => Box::new(sobol::Sobol),
        "tpe" => Box::new(tpe::Tpe::default()),
        "gp" => Box::new(gp::Gp::default()),
        "cmaes" => Box::new(cmaes::CmaEs::default()),
        "evolution" => Box::new(evolution::Evolution::default()),
        "nsga2" => Box::new(nsga2::Nsga2::default()),
        _ => return None,
    })
}
