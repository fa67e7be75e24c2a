//! What may be written into a trial, and which of it a storage takes.

use std::collections::BTreeMap;

use super::{check_name, json};
use crate::tune::distribution::Distribution;
use crate::tune::trial::{Trial, TrialState};
use crate::{Error, Result};

/// For whom an attribute is: a person, or a sampler or pruner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeKind {
    User,
    System,
}

/// One thing to be written into the trial with the id `trial`.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// A parameter's value in the internal representation. The first one of a name stays.
    Param {
        trial: i64,
        name: String,
        internal: f64,
        distribution: Distribution,
    },
    /// The value at a step; it may be no number.
    Intermediate { trial: i64, step: i64, value: f64 },
    Attribute {
        trial: i64,
        kind: AttributeKind,
        key: String,
        json: String,
    },
    /// The end: a state that is one, and where it is complete one value per objective.
    Finish {
        trial: i64,
        state: TrialState,
        values: Vec<f64>,
    },
}

impl Write {
    /// Id of the trial.
    pub fn trial(&self) -> i64 {
        match self {
            Write::Param { trial, .. }
            | Write::Intermediate { trial, .. }
            | Write::Attribute { trial, .. }
            | Write::Finish { trial, .. } => *trial,
        }
    }

    /// Refuses what no storage may hold.
    fn check(&self) -> Result<()> {
        match self {
            Write::Param {
                name,
                internal,
                distribution,
                ..
            } => {
                check_name("the name of a parameter", name)?;
                check_internal(name, *internal, distribution)
            }
            Write::Intermediate { .. } => Ok(()),
            Write::Attribute { key, json, .. } => check_attribute(key, json),
            Write::Finish { state, values, .. } => check_end(*state, values),
        }
    }
}

/// Refuses a template that no storage may hold.
pub fn check_template(template: &Trial) -> Result<()> {
    for (key, json) in template.user.iter().chain(&template.system) {
        check_attribute(key, json)?;
    }
    for (name, internal) in &template.params {
        check_name("the name of a parameter", name)?;
        let distribution = template.distributions.get(name);
        let none = || Error::Usage(format!("parameter {name} has no distribution"));
        check_internal(name, *internal, distribution.ok_or_else(none)?)?;
    }
    if template.state.is_finished() {
        check_end(template.state, &template.values)?;
    }
    Ok(())
}

fn check_internal(name: &str, internal: f64, distribution: &Distribution) -> Result<()> {
    let known = match distribution {
        Distribution::Categorical { .. } => distribution.contains(internal),
        _ => internal.is_finite(),
    };
    if known {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "{internal} is no value of parameter {name}, which is {distribution}"
    )))
}

pub fn check_attribute(key: &str, json: &str) -> Result<()> {
    check_name("the key of an attribute", key)?;
    match json::parse(json) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::Usage(format!("attribute {key}: {error}"))),
    }
}

fn check_end(state: TrialState, values: &[f64]) -> Result<()> {
    let what = if !state.is_finished() {
        "is no end of a trial"
    } else if values.iter().any(|value| value.is_nan()) {
        "with a value that is no number: store FAIL without values"
    } else if state == TrialState::Complete && values.is_empty() {
        "without a value"
    } else {
        return Ok(());
    };
    Err(Error::Usage(format!("{} {what}", state.name())))
}

/// The parts of a batch that are done, and the trials that can no longer change.
pub struct Sorted<'a> {
    pub taken: Vec<&'a Write>,
    pub refused: Vec<i64>,
}

/// Sorts a batch. `standing` knows a trial's state and, where it is finished, its values.
///
/// A trial whose end is in the batch and is what is stored already was written by this very batch: the
/// storage took it, and its answer was lost.
pub fn sort<'a>(
    writes: &'a [Write],
    standing: &BTreeMap<i64, (TrialState, Vec<f64>)>,
) -> Result<Sorted<'a>> {
    let mut sorted = Sorted {
        taken: Vec::with_capacity(writes.len()),
        refused: Vec::new(),
    };
    for write in writes {
        let trial = write.trial();
        write.check()?;
        let (state, values) = standing.get(&trial).ok_or_else(|| super::no_trial(trial))?;
        if !state.is_finished() {
            sorted.taken.push(write);
            continue;
        }
        let is_there = writes.iter().any(|write| match write {
            Write::Finish {
                trial: of,
                state: end,
                values: with,
            } => (*of, end, with) == (trial, state, values),
            _ => false,
        });
        if !is_there && !sorted.refused.contains(&trial) {
            sorted.refused.push(trial);
        }
    }
    Ok(sorted)
}

/// The distributions of a study's parameters: the first one of a name stays.
#[derive(Clone, Default)]
pub struct Known(BTreeMap<String, Distribution>);

impl Known {
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Takes a distribution for a name.
    ///
    /// # Errors
    /// [`Error::Usage`] with both where it is not compatible with the one that is there.
    pub fn agree(&mut self, name: &str, new: &Distribution) -> Result<()> {
        match self.0.get(name) {
            Some(had) if !had.is_compatible(new) => Err(Error::Usage(format!(
                "the study has {name} as {had}, which cannot become {new}: the kind, the scale and the \
                 choices of a parameter stay; choose another study"
            ))),
            Some(_) => Ok(()),
            None => {
                self.0.insert(name.to_string(), new.clone());
                Ok(())
            }
        }
    }
}
