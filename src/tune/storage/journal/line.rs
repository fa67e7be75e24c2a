//! One line of a journal: an operation with its fields.

use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::super::memory::Memory;
use super::super::write::{AttributeKind, Write};
use super::super::{Storage, json, time, times};
use crate::Result;
use crate::tune::distribution::Distribution;
use crate::tune::trial::{Attributes, Direction, Trial, TrialState};

/// Optuna's `JournalOperation`.
#[derive(Clone, Copy)]
#[repr(u8)]
pub enum Operation {
    CreateStudy = 0,
    DeleteStudy = 1,
    StudyUserAttribute = 2,
    StudySystemAttribute = 3,
    CreateTrial = 4,
    Param = 5,
    State = 6,
    Intermediate = 7,
    UserAttribute = 8,
    SystemAttribute = 9,
    /// Of Optuna's Rust edition; Python passes over it.
    DiscardTrials = 10,
}

const OPERATIONS: [Operation; 11] = [
    Operation::CreateStudy,
    Operation::DeleteStudy,
    Operation::StudyUserAttribute,
    Operation::StudySystemAttribute,
    Operation::CreateTrial,
    Operation::Param,
    Operation::State,
    Operation::Intermediate,
    Operation::UserAttribute,
    Operation::SystemAttribute,
    Operation::DiscardTrials,
];

/// Fields of a created trial.
pub fn of_template(study: i64, template: &Trial) -> Result<Value> {
    let params = template.params.iter();
    let params: Map<_, _> = params
        .map(|(k, v)| (k.clone(), json::from_f64(*v)))
        .collect();
    let distributions = template.distributions.iter();
    let distributions: Map<_, _> = distributions
        .map(|(k, d)| (k.clone(), json!(d.to_json())))
        .collect();
    let steps = template.intermediate.iter();
    let steps: Map<_, _> = steps
        .map(|(k, v)| (k.to_string(), json::from_f64(*v)))
        .collect();
    let values: Vec<Value> = template.values.iter().map(|v| json::from_f64(*v)).collect();
    let (value, values) = match values.len() {
        0 => (Value::Null, Value::Null),
        1 => (values[0].clone(), Value::Null),
        _ => (Value::Null, Value::Array(values)),
    };
    let [started, completed] = times(template);
    let mut log = json!({
        "study_id": study,
        "state": template.state as u8,
        "value": value,
        "values": values,
        "datetime_start": started.map(time::iso_utc),
        "distributions": distributions,
        "params": params,
        "user_attrs": attributes_value(&template.user)?,
        "system_attrs": attributes_value(&template.system)?,
        "intermediate_values": steps,
    });
    if let Some(completed) = completed {
        log["datetime_complete"] = json!(time::iso_utc(completed));
    }
    Ok(log)
}

fn attributes_value(attributes: &Attributes) -> Result<Value> {
    let pairs = attributes.iter();
    let pairs = pairs.map(|(key, json)| Ok((key.clone(), json::parse(json)?)));
    Ok(Value::Object(pairs.collect::<Result<_>>()?))
}

pub fn of_write(write: &Write) -> Result<(Operation, Value)> {
    Ok(match write {
        Write::Param {
            trial,
            name,
            internal,
            distribution,
        } => (
            Operation::Param,
            json!({
                "trial_id": trial,
                "param_name": name,
                "param_value_internal": internal,
                "distribution": distribution.to_json(),
            }),
        ),
        Write::Intermediate { trial, step, value } => (
            Operation::Intermediate,
            json!({"trial_id": trial, "step": step, "intermediate_value": json::from_f64(*value)}),
        ),
        Write::Attribute {
            trial,
            kind,
            key,
            json,
        } => {
            let (operation, field) = match kind {
                AttributeKind::User => (Operation::UserAttribute, "user_attr"),
                AttributeKind::System => (Operation::SystemAttribute, "system_attr"),
            };
            (
                operation,
                json!({"trial_id": trial, field: {key: json::parse(json)?}}),
            )
        }
        Write::Finish {
            trial,
            state,
            values,
        } => {
            let values: Vec<Value> = values.iter().map(|v| json::from_f64(*v)).collect();
            let values = if values.is_empty() {
                Value::Null
            } else {
                Value::Array(values)
            };
            (
                Operation::State,
                json!({
                    "trial_id": trial,
                    "state": *state as u8,
                    "values": values,
                    "datetime_complete": time::iso_utc(SystemTime::now()),
                }),
            )
        }
    })
}

/// Replays one line. What does not fit (a name that is taken, a trial that is finished) is passed over,
/// as its writer was told; `None` for what is no operation.
pub fn replay(memory: &mut Memory, log: &Value) -> Option<()> {
    let code = usize::try_from(log["op_code"].as_u64()?).ok()?;
    let study = || log["study_id"].as_i64();
    let trial = || log["trial_id"].as_i64();
    let passed_over = match OPERATIONS.get(code)? {
        Operation::CreateStudy => {
            let directions = log["directions"].as_array()?.iter().map(direction_of);
            let directions: Vec<Direction> = directions.collect::<Option<_>>()?;
            memory
                .create_study(log["study_name"].as_str()?, &directions)
                .map(drop)
        }
        Operation::DeleteStudy => memory.delete_study(study()?),
        Operation::StudyUserAttribute => {
            let (key, json) = pair(&log["user_attr"])?;
            memory.set_study_attribute(study()?, AttributeKind::User, &key, &json)
        }
        Operation::StudySystemAttribute => {
            let (key, json) = pair(&log["system_attr"])?;
            memory.set_study_attribute(study()?, AttributeKind::System, &key, &json)
        }
        Operation::CreateTrial => memory.add(study()?, created(log)?).map(drop),
        Operation::Param => memory.apply(&Write::Param {
            trial: trial()?,
            name: log["param_name"].as_str()?.to_string(),
            internal: json::as_f64(&log["param_value_internal"])?,
            distribution: Distribution::from_json(log["distribution"].as_str()?).ok()?,
        }),
        Operation::State => {
            let state = state_of(&log["state"])?;
            let values = numbers(&log["values"])?;
            let at = match state {
                TrialState::Running => moment(&log["datetime_start"])?,
                _ => moment(&log["datetime_complete"])?,
            };
            memory.set_state(trial()?, state, values, at)
        }
        Operation::Intermediate => memory.apply(&Write::Intermediate {
            trial: trial()?,
            step: log["step"].as_i64()?,
            value: json::as_f64(&log["intermediate_value"])?,
        }),
        Operation::UserAttribute => {
            memory.apply(&attribute(log, AttributeKind::User, "user_attr")?)
        }
        Operation::SystemAttribute => {
            memory.apply(&attribute(log, AttributeKind::System, "system_attr")?)
        }
        Operation::DiscardTrials => Ok(()),
    };
    passed_over.ok().or(Some(()))
}

fn attribute(log: &Value, kind: AttributeKind, field: &str) -> Option<Write> {
    let (key, json) = pair(&log[field])?;
    let trial = log["trial_id"].as_i64()?;
    Some(Write::Attribute {
        trial,
        kind,
        key,
        json,
    })
}

/// The one pair of an object: a key and its value's text.
fn pair(object: &Value) -> Option<(String, String)> {
    let (key, value) = object.as_object()?.iter().next()?;
    Some((key.clone(), json::to_string(value)))
}

/// The trial of a line that creates one; fields may be missing.
fn created(log: &Value) -> Option<Trial> {
    let state = match log.get("state") {
        Some(state) => state_of(state)?,
        None => TrialState::Running,
    };
    let mut trial = Trial::new(0, 0, state);
    let none = Map::new();
    let of = |field: &str| log.get(field).and_then(Value::as_object).unwrap_or(&none);
    for (name, distribution) in of("distributions") {
        let distribution = Distribution::from_json(distribution.as_str()?).ok()?;
        let internal = json::as_f64(of("params").get(name)?)?;
        trial.params.insert(name.clone(), internal);
        trial.distributions.insert(name.clone(), distribution);
    }
    for (step, value) in of("intermediate_values") {
        trial
            .intermediate
            .insert(step.parse().ok()?, json::as_f64(value)?);
    }
    let text = |(key, value): (&String, &Value)| (key.clone(), json::to_string(value));
    trial.user = of("user_attrs").iter().map(text).collect();
    trial.system = of("system_attrs").iter().map(text).collect();
    trial.values = match json::as_f64(&log["value"]) {
        Some(value) => vec![value],
        None => numbers(&log["values"])?,
    };
    trial.started = moment(&log["datetime_start"])?;
    trial.completed = moment(&log["datetime_complete"])?;
    Some(trial)
}

/// Null is an empty list.
fn numbers(value: &Value) -> Option<Vec<f64>> {
    match value {
        Value::Null => Some(Vec::new()),
        value => value.as_array()?.iter().map(json::as_f64).collect(),
    }
}

/// Null is no time.
fn moment(value: &Value) -> Option<Option<SystemTime>> {
    match value {
        Value::Null => Some(None),
        value => Some(Some(time::parse(value.as_str()?)?)),
    }
}

fn state_of(value: &Value) -> Option<TrialState> {
    let code = value.as_u64()?;
    TrialState::ALL
        .into_iter()
        .find(|state| *state as u64 == code)
}

fn direction_of(value: &Value) -> Option<Direction> {
    let code = value.as_u64()?;
    let directions = [Direction::Minimize, Direction::Maximize];
    directions
        .into_iter()
        .find(|direction| *direction as u64 == code)
}
