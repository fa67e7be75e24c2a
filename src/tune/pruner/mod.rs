//! Which trials are not worth going on with. One file per pruner.

pub mod asha;
pub mod hyperband;
pub mod median;
#[cfg(test)]
mod testing;

use super::trial::{Attributes, Direction, Trial};

/// What a pruner is asked, after each intermediate value of a running trial.
#[derive(Clone, Copy)]
pub struct Judged<'a> {
    pub study_name: &'a str,
    /// Of the one objective.
    pub direction: Direction,
    /// The study so far, by number, the judged trial among them.
    pub trials: &'a [Trial],
    /// With its intermediate values so far.
    pub trial: &'a Trial,
    /// The last step that a trial reports at most (its epochs).
    pub max_step: i64,
}

/// What a pruner answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    pub prune: bool,
    /// To be noted with the trial.
    pub system: Attributes,
}

/// A pruner.
pub trait Pruner: Send {
    fn name(&self) -> &'static str;

    fn judge(&self, judged: &Judged) -> Verdict;

    /// The bracket of trial `number`, where trials compete within brackets: a sampler that learns is
    /// shown those of the same one alone, as Optuna's are.
    fn bracket(&self, _study_name: &str, _number: u32, _max_step: i64) -> Option<u32> {
        None
    }
}

pub const NAMES: [&str; 3] = ["median", "asha", "hyperband"];

/// The pruner of that name, with its defaults, for trials of `max_step` steps; the median rule leaves
/// them the first fifth.
pub fn named(name: &str, max_step: i64) -> Option<Box<dyn Pruner>> {
    Some(match name {
        "median" => Box::new(median::Median {
            n_warmup_steps: max_step / 5,
            ..median::Median::default()
        }),
        "asha" => Box::new(asha::Asha::default()),
        "hyperband" => Box::new(hyperband::Hyperband::default()),
        _ => return None,
    })
}
