//! What the dispatches of a plan took.

use std::time::Duration;

use crate::plan::{PassKind, Plan};

/// One dispatch of a plan, over all its calls.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timed {
    pub calls: u64,
    pub time: Duration,
    /// The kernel variant that ran; empty where there is only one.
    pub variant: &'static str,
}

impl Timed {
    pub fn add(&mut self, time: Duration) {
        self.calls += 1;
        self.time += time;
    }
}

/// One pass: its dispatches in the plan's order, and the steps that they made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PassProfile {
    pub per_step: Vec<Timed>,
    pub per_range: Vec<Timed>,
    pub steps: u64,
}

impl PassProfile {
    /// The device's busy time.
    pub fn time(&self) -> Duration {
        let all = self.per_step.iter().chain(&self.per_range);
        all.map(|timed| timed.time).sum()
    }
}

/// Both passes of a plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    pub train: PassProfile,
    pub eval: PassProfile,
}

impl Profile {
    /// No call yet of any of the plan's dispatches.
    pub fn new(plan: &Plan) -> Profile {
        let pass = |kind: PassKind| {
            let pass = plan.pass(kind);
            PassProfile {
                per_step: vec![Timed::default(); pass.per_step.len()],
                per_range: vec![Timed::default(); pass.per_range.len()],
                steps: 0,
            }
        };
        Profile {
            train: pass(PassKind::Train),
            eval: pass(PassKind::Eval),
        }
    }

    pub fn pass_mut(&mut self, kind: PassKind) -> &mut PassProfile {
        match kind {
            PassKind::Train => &mut self.train,
            PassKind::Eval => &mut self.eval,
        }
    }
}
