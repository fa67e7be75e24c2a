//! What decides a study, and how it asks its sampler.

use std::borrow::Cow;
use std::time::Duration;

use crate::Result;
use crate::tune::pruner::Pruner;
use crate::tune::sampler::{Answer, Question, Sampler};
use crate::tune::space::Space;
use crate::tune::trial::{Direction, Point, Trial, TrialState};

/// What decides a study, beside what its storage holds.
pub struct Plan {
    pub space: Space,
    pub sampler: Box<dyn Sampler>,
    pub pruner: Option<Box<dyn Pruner>>,
    pub seed: u64,
    /// The last step that a trial reports at most.
    pub max_step: i64,
    /// How often a running trial says that it is alive, where the storage hears of it; one that has
    /// not for twice as long is failed and queued again.
    pub heartbeat: Duration,
}

impl Plan {
    pub(super) fn question<'q>(
        &'q self,
        directions: &'q [Direction],
        trials: &'q [Trial],
        number: u32,
        fixed: &'q Point,
    ) -> Question<'q> {
        Question {
            space: &self.space,
            directions,
            trials,
            number,
            seed: self.seed,
            fixed,
        }
    }

    /// Where trial `number` should look.
    pub(super) fn answer(
        &mut self,
        study_name: &str,
        directions: &[Direction],
        trials: &[Trial],
        number: u32,
        fixed: &Point,
    ) -> Result<Answer> {
        // Not itself, where it is the last.
        let trials = match trials.len() == number as usize + 1 {
            true => &trials[..number as usize],
            false => trials,
        };
        let peers = self.peers(study_name, number, trials);
        self.sampler.sample(&Question {
            space: &self.space,
            directions,
            trials: &peers,
            number,
            seed: self.seed,
            fixed,
        })
    }

    /// A trial that is to begin.
    pub(super) fn draft(&self, id: i64, number: u32, answer: Answer) -> Trial {
        let mut trial = Trial::new(id, number, TrialState::Running);
        for name in answer.point.keys() {
            if let Some(parameter) = self.space.get(name) {
                let distribution = parameter.distribution.clone();
                trial.distributions.insert(name.clone(), distribution);
            }
        }
        trial.params = answer.point;
        trial.system = answer.system;
        trial
    }

    /// The trials that the sampler learns from for trial `number`.
    fn peers<'t>(&self, study_name: &str, number: u32, trials: &'t [Trial]) -> Cow<'t, [Trial]> {
        let bracket_of = |number| {
            let pruner = self.pruner.as_ref()?;
            pruner.bracket(study_name, number, self.max_step)
        };
        match bracket_of(number).filter(|_| self.sampler.is_model_based()) {
            None => Cow::Borrowed(trials),
            bracket => {
                let peers = trials.iter().filter(|t| bracket_of(t.number) == bracket);
                peers.cloned().collect()
            }
        }
    }
}
