//! Ends of trials.

use super::attributes;
use crate::tune::storage::{self, AttributeKind, Write};
use crate::tune::trial::{Attributes, Trial, TrialState};

/// Ends of trials, to be written together.
#[derive(Default)]
pub struct Ends(pub(super) Vec<Write>);

impl Ends {
    /// What a person may want to know of a trial, as JSON by key.
    pub fn note(&mut self, trial: &mut Trial, noted: Attributes) {
        self.0
            .extend(attributes(trial.id, AttributeKind::User, &noted));
        trial.user.extend(noted);
    }

    /// Complete with a value per objective, or pruned.
    pub fn tell(&mut self, trial: &Trial, state: TrialState, values: &[f64]) {
        self.0.push(Write::Finish {
            trial: trial.id,
            state,
            values: values.to_vec(),
        });
    }

    /// Came to nothing, and why.
    pub fn fail(&mut self, id: i64, reason: &str) {
        self.0.extend(storage::failing(id, reason));
    }
}
