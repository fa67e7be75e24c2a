//! One trial of a study: what was tried, how it went, what came of it.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::distribution::{Distribution, Scalar};

/// Values by parameter, in the internal representation of their distributions.
pub type Point = BTreeMap<String, f64>;

/// JSON texts by key, as a storage holds them; Python's bare `NaN` and `Infinity` among them.
pub type Attributes = BTreeMap<String, String>;

/// Where a trial stands, by Optuna's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TrialState {
    Running = 0,
    Complete = 1,
    Pruned = 2,
    Fail = 3,
    /// Queued: its parameters are decided, in part or all, and nobody runs it.
    Waiting = 4,
}

/// Which values of an objective are better, by Optuna's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Direction {
    Minimize = 1,
    Maximize = 2,
}

/// One trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// What the storage calls it; unique over all its studies.
    pub id: i64,
    /// From 0 within its study.
    pub number: u32,
    pub state: TrialState,
    pub params: Point,
    /// A distribution for each of `params`.
    pub distributions: BTreeMap<String, Distribution>,
    /// One per objective; empty before the end, and where it failed.
    pub values: Vec<f64>,
    /// Values of the first objective by step (an epoch); may be no number.
    pub intermediate: BTreeMap<i64, f64>,
    pub user: Attributes,
    pub system: Attributes,
    pub started: Option<SystemTime>,
    pub completed: Option<SystemTime>,
}

impl TrialState {
    /// Whether nothing of it can change any more.
    pub fn is_finished(self) -> bool {
        matches!(
            self,
            TrialState::Complete | TrialState::Pruned | TrialState::Fail
        )
    }

    /// The name that Optuna's tables hold.
    pub fn name(self) -> &'static str {
        match self {
            TrialState::Running => "RUNNING",
            TrialState::Complete => "COMPLETE",
            TrialState::Pruned => "PRUNED",
            TrialState::Fail => "FAIL",
            TrialState::Waiting => "WAITING",
        }
    }

    pub const ALL: [TrialState; 5] = [
        TrialState::Running,
        TrialState::Complete,
        TrialState::Pruned,
        TrialState::Fail,
        TrialState::Waiting,
    ];
}

impl Direction {
    /// Whether `a` is better than `b`; a value that is no number is better than none.
    pub fn is_better(self, a: f64, b: f64) -> bool {
        match self {
            _ if a.is_nan() => false,
            _ if b.is_nan() => true,
            Direction::Minimize => a < b,
            Direction::Maximize => a > b,
        }
    }

    /// The value as one to be made small.
    pub fn as_loss(self, value: f64) -> f64 {
        match self {
            Direction::Minimize => value,
            Direction::Maximize => -value,
        }
    }

    /// The name that Optuna's tables hold.
    pub fn name(self) -> &'static str {
        match self {
            Direction::Minimize => "MINIMIZE",
            Direction::Maximize => "MAXIMIZE",
        }
    }
}

impl Trial {
    /// How long it took, where it has begun and ended.
    pub fn seconds(&self) -> Option<f64> {
        let spent = self.completed?.duration_since(self.started?).ok()?;
        Some(spent.as_secs_f64())
    }

    /// Why it failed, where somebody noted that.
    pub fn fail_reason(&self) -> Option<String> {
        serde_json::from_str(self.system.get("fail_reason")?).ok()
    }

    /// A trial of which nothing is known yet but its number.
    pub fn new(id: i64, number: u32, state: TrialState) -> Trial {
        Trial {
            id,
            number,
            state,
            params: Point::new(),
            distributions: BTreeMap::new(),
            values: Vec::new(),
            intermediate: BTreeMap::new(),
            user: Attributes::new(),
            system: Attributes::new(),
            started: None,
            completed: None,
        }
    }

    /// A parameter's value as a person reads it.
    pub fn value_of(&self, name: &str) -> Option<Scalar> {
        let internal = *self.params.get(name)?;
        Some(self.distributions.get(name)?.external(internal))
    }

    /// The last step that was reported.
    pub fn last_step(&self) -> Option<i64> {
        self.intermediate.keys().next_back().copied()
    }

    /// What it is judged by where there is one objective: its value, or where it was pruned the last
    /// intermediate one.
    pub fn judged(&self) -> Option<f64> {
        match self.state {
            TrialState::Complete => self.values.first().copied(),
            TrialState::Pruned => self.intermediate.values().next_back().copied(),
            _ => None,
        }
    }
}
