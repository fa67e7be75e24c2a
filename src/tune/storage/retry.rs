//! Trials that were broken off, and are queued again.

use std::collections::BTreeMap;

use super::write::{AttributeKind, Write};
use crate::tune::trial::{Trial, TrialState};

/// What makes a trial a failed one.
pub fn failing(trial: i64, reason: &str) -> [Write; 2] {
    let noted = Write::Attribute {
        trial,
        kind: AttributeKind::System,
        key: "fail_reason".to_string(),
        json: serde_json::Value::from(reason).to_string(),
    };
    let ended = Write::Finish {
        trial,
        state: TrialState::Fail,
        values: Vec::new(),
    };
    [noted, ended]
}

/// The trial that is to be queued for one that was broken off, as Optuna's
/// `RetryHeartbeatStaleTrialCallback` makes it: with the same parameters and attributes, and the numbers
/// of its failed forerunners. `None` where it was retried `max_retry` times.
pub fn again(broken: &Trial, max_retry: Option<usize>) -> Option<Trial> {
    let mut history = retry_history(broken);
    history.push(broken.number);
    if max_retry.is_some_and(|most| history.len() > most) {
        return None;
    }
    let mut waiting = Trial {
        state: TrialState::Waiting,
        values: Vec::new(),
        intermediate: BTreeMap::new(),
        started: None,
        completed: None,
        ..broken.clone()
    };
    let first = || broken.number.to_string();
    let system = &mut waiting.system;
    system
        .entry("failed_trial".to_string())
        .or_insert_with(first);
    system.insert("retry_history".to_string(), format!("{history:?}"));
    Some(waiting)
}

/// Numbers of the failed trials that a trial repeats, the first one first.
pub fn retry_history(trial: &Trial) -> Vec<u32> {
    let text = trial
        .system
        .get("retry_history")
        .map_or("[]", String::as_str);
    serde_json::from_str(text).unwrap_or_default()
}
