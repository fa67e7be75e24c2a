//! The search space: parameters with their distributions, some of them under a condition.

use super::distribution::{Distribution, Scalar};
use super::trial::Point;
use crate::{Error, Result, suggest};

/// A parameter of a space.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    pub name: String,
    pub distribution: Distribution,
    /// It exists only where another parameter has certain values.
    pub when: Option<Condition>,
}

/// "if opt=momentum|nesterov".
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// A categorical parameter.
    pub parameter: String,
    pub any_of: Vec<Scalar>,
}

/// Parameters in an order in which conditions look back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Space {
    parameters: Vec<Parameter>,
}

impl Space {
    /// Orders the parameters so that every condition names one that comes before.
    ///
    /// # Errors
    /// [`Error::Usage`] where a name comes twice, or a condition names a parameter that is not there,
    /// has no such choice, or depends on itself.
    pub fn new(parameters: Vec<Parameter>) -> Result<Space> {
        for (ix, parameter) in parameters.iter().enumerate() {
            if parameters[..ix].iter().any(|p| p.name == parameter.name) {
                return Err(Error::Usage(format!(
                    "{} is in the search space twice",
                    parameter.name
                )));
            }
            check_condition(parameter, &parameters)?;
        }
        let mut ordered: Vec<Parameter> = Vec::with_capacity(parameters.len());
        let mut rest = parameters;
        while !rest.is_empty() {
            let known = |p: &Parameter| match &p.when {
                None => true,
                Some(when) => ordered.iter().any(|o| o.name == when.parameter),
            };
            let Some(next) = rest.iter().position(known) else {
                return Err(Error::Usage(format!(
                    "the condition of {} leads back to itself",
                    rest[0].name
                )));
            };
            ordered.push(rest.remove(next));
        }
        Ok(Space {
            parameters: ordered,
        })
    }

    /// All parameters; those that conditions name come before those that have them.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    pub fn get(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|p| p.name == name)
    }

    pub fn is_empty(&self) -> bool {
        self.parameters.is_empty()
    }

    /// Whether some parameters exist under a condition alone.
    pub fn has_conditions(&self) -> bool {
        self.parameters.iter().any(|p| p.when.is_some())
    }

    /// Whether a parameter exists where those before it have the values of `point`.
    pub fn is_active(&self, parameter: &Parameter, point: &Point) -> bool {
        let Some(when) = &parameter.when else {
            return true;
        };
        let Some(parent) = self.get(&when.parameter) else {
            return false;
        };
        let value = point.get(&when.parameter);
        value.is_some_and(|&value| when.any_of.contains(&parent.distribution.external(value)))
    }

    /// Removes what a point has of parameters that do not exist at it.
    pub fn prune_inactive(&self, point: &mut Point) {
        for parameter in &self.parameters {
            if !self.is_active(parameter, point) {
                point.remove(&parameter.name);
            }
        }
    }
}

fn check_condition(parameter: &Parameter, all: &[Parameter]) -> Result<()> {
    let Some(when) = &parameter.when else {
        return Ok(());
    };
    let name = &parameter.name;
    let Some(parent) = all.iter().find(|p| p.name == when.parameter) else {
        let known = all.iter().map(|p| p.name.as_str());
        return Err(Error::Usage(format!(
            "{name} depends on {}, which is not in the search space{}",
            when.parameter,
            suggest::hint(&when.parameter, known)
        )));
    };
    let Distribution::Categorical { choices } = &parent.distribution else {
        return Err(Error::Usage(format!(
            "{name} depends on {}, which is a range: a condition needs a list of choices",
            when.parameter
        )));
    };
    match when.any_of.iter().find(|value| !choices.contains(value)) {
        None => Ok(()),
        Some(value) => {
            let words: Vec<String> = choices.iter().map(Scalar::to_string).collect();
            let words = words.iter().map(String::as_str);
            Err(Error::Usage(format!(
                "{name} depends on {} being {value}, which is none of its choices{}",
                when.parameter,
                suggest::hint(&value.to_string(), words)
            )))
        }
    }
}
