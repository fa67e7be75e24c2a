//! The search space: parameters with their distributions, some of them under a condition.

use std::fmt;

use super::distribution::{Distribution, Scalar};
use super::trial::Point;
use crate::suggest;

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

/// A parameter that does not go with the others.
#[derive(Clone, Debug, PartialEq)]
pub struct Misfit {
    /// Its place among those given.
    pub ix: usize,
    pub fault: Fault,
    pub what: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Misfit {}

/// What of a parameter is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Name,
    Condition,
}

impl fmt::Display for Condition {
    /// As in `--space`: "opt=momentum|nesterov".
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let words: Vec<String> = self.any_of.iter().map(Scalar::to_string).collect();
        write!(f, "{}={}", self.parameter, words.join("|"))
    }
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
    /// Where a name comes twice, or a condition names a parameter that is not there, has no such choice,
    /// or depends on itself.
    pub fn new(parameters: Vec<Parameter>) -> Result<Space, Misfit> {
        for (ix, parameter) in parameters.iter().enumerate() {
            let misfit = |fault, what| Misfit { ix, fault, what };
            if parameters[..ix].iter().any(|p| p.name == parameter.name) {
                let what = format!("{} is in the search space twice", parameter.name);
                return Err(misfit(Fault::Name, what));
            }
            check_condition(parameter, &parameters)
                .map_err(|what| misfit(Fault::Condition, what))?;
        }
        let mut ordered: Vec<Parameter> = Vec::with_capacity(parameters.len());
        let mut rest: Vec<(usize, Parameter)> = parameters.into_iter().enumerate().collect();
        while !rest.is_empty() {
            let known = |(_, p): &(usize, Parameter)| match &p.when {
                None => true,
                Some(when) => ordered.iter().any(|o| o.name == when.parameter),
            };
            let Some(next) = rest.iter().position(known) else {
                return Err(circle(&rest));
            };
            ordered.push(rest.remove(next).1);
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

/// One of parameters that wait for each other's values, each with its place.
fn circle(waiting: &[(usize, Parameter)]) -> Misfit {
    let parent = |at: usize| {
        let when = waiting[at].1.when.as_ref();
        let parent = when.and_then(|when| {
            let mut waiting = waiting.iter();
            waiting.position(|(_, p)| p.name == when.parameter)
        });
        parent.unwrap_or(at)
    };
    // Whoever starts outside of the circle is in it after as many steps as there are parameters.
    let at = (0..waiting.len()).fold(0, |at, _| parent(at));
    let (ix, parameter) = &waiting[at];
    Misfit {
        ix: *ix,
        fault: Fault::Condition,
        what: format!("the condition of {} leads back to itself", parameter.name),
    }
}

fn check_condition(parameter: &Parameter, all: &[Parameter]) -> Result<(), String> {
    let Some(when) = &parameter.when else {
        return Ok(());
    };
    let name = &parameter.name;
    let Some(parent) = all.iter().find(|p| p.name == when.parameter) else {
        let known = all.iter().map(|p| p.name.as_str());
        return Err(format!(
            "{name} depends on {}, which is not in the search space{}",
            when.parameter,
            suggest::hint(&when.parameter, known)
        ));
    };
    let Distribution::Categorical { choices } = &parent.distribution else {
        return Err(format!(
            "{name} depends on {}, which is a range: a condition needs a list of choices",
            when.parameter
        ));
    };
    match when.any_of.iter().find(|value| !choices.contains(value)) {
        None => Ok(()),
        Some(value) => {
            let words: Vec<String> = choices.iter().map(Scalar::to_string).collect();
            let words = words.iter().map(String::as_str);
            Err(format!(
                "{name} depends on {} being {value}, which is none of its choices{}",
                when.parameter,
                suggest::hint(&value.to_string(), words)
            ))
        }
    }
}
