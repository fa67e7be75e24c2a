//! Where the values of one parameter lie.

use super::view::value_of;
use crate::report::canvas::HUGE;
use crate::report::canvas::axis::Axis;
use crate::report::canvas::text::brief;
use crate::tune::distribution::{Distribution, Scalar};
use crate::tune::space::Parameter;
use crate::tune::trial::Trial;

/// Ranges of whole numbers up to this have a tick each.
const TICKS: f64 = 8.0;

/// A parameter with its axis: from its lowest to its highest value, or a place for each choice.
pub(super) struct Scale<'a> {
    pub(super) parameter: &'a Parameter,
    pub(super) axis: Axis,
    /// What the places of a list are called.
    pub(super) choices: Option<Vec<String>>,
}

impl<'a> Scale<'a> {
    /// Values and choices of trials that the space does not know (any more) widen it.
    pub(super) fn new(parameter: &'a Parameter, trials: &[&Trial]) -> Self {
        let values = trials.iter().filter_map(|t| value_of(t, parameter));
        let (low, high, log, whole) = match &parameter.distribution {
            Distribution::Float { low, high, log, .. } => (*low, *high, *log, false),
            Distribution::Int { low, high, log, .. } => (*low as f64, *high as f64, *log, true),
            Distribution::Categorical { choices } => {
                return Self::of_choices(parameter, choices, values);
            }
        };
        let numbers = values
            .filter_map(|value| number(&value))
            .filter(|x| x.abs() < HUGE && (!log || *x > 1.0 / HUGE));
        let (low, high) = numbers.fold((low, high), |ends, x| (ends.0.min(x), ends.1.max(x)));
        let log = log && low > 1.0 / HUGE;
        let axis = match (log, whole) {
            (true, _) => Axis::logarithmic(&parameter.name, (low, high), 0.0),
            (false, true) => whole_numbers(&parameter.name, low, high),
            (false, false) => Axis::linear(&parameter.name, (low, high), (low, high)),
        };
        Self {
            parameter,
            axis,
            choices: None,
        }
    }

    fn of_choices(
        parameter: &'a Parameter,
        choices: &[Scalar],
        values: impl Iterator<Item = Scalar>,
    ) -> Self {
        let mut names: Vec<String> = choices.iter().map(words).collect();
        for name in values.map(|value| words(&value)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let ticks = names.iter().enumerate();
        let axis = Axis {
            title: parameter.name.clone(),
            log: false,
            low: -0.5,
            high: names.len() as f64 - 0.5,
            ticks: ticks.map(|(ix, name)| (ix as f64, name.clone())).collect(),
        };
        Self {
            parameter,
            axis,
            choices: Some(names),
        }
    }

    /// A trial's value as the axis counts: a number, or the place of its choice.
    pub(super) fn value(&self, trial: &Trial) -> Option<f64> {
        let value = value_of(trial, self.parameter)?;
        match &self.choices {
            Some(names) => {
                let name = words(&value);
                Some(names.iter().position(|other| *other == name)? as f64)
            }
            None => {
                number(&value).filter(|x| x.abs() < HUGE && (!self.axis.log || *x > 1.0 / HUGE))
            }
        }
    }
}

/// An axis of whole numbers only.
pub(super) fn whole_numbers(title: &str, low: f64, high: f64) -> Axis {
    let mut axis = Axis::linear(title, (low, high), (low, high));
    if high - low <= TICKS && high.abs().max(low.abs()) < 1e9 {
        let values = low.ceil() as i64..=high.floor() as i64;
        axis.ticks = values.map(|n| (n as f64, n.to_string())).collect();
    }
    axis
}

fn number(value: &Scalar) -> Option<f64> {
    match value {
        Scalar::Int(n) => Some(*n as f64),
        Scalar::Float(x) => Some(*x),
        Scalar::None | Scalar::Bool(_) | Scalar::Text(_) => None,
    }
}

/// A value in few characters: floats with three significant digits.
pub(super) fn words(value: &Scalar) -> String {
    match value {
        Scalar::Float(x) => brief(*x),
        value => value.to_string(),
    }
}
