//! What values a hyper-parameter may take: the three distributions of Optuna, with its JSON.
//!
//! A value is kept as one f64, the *internal representation*: a float as it is (also where it is
//! searched on a log scale), a whole number as a float, a choice as its index.

use std::fmt;

use serde_json::{Value, json};

use crate::tune::storage::json;
use crate::{Error, Result};

/// One scalar as a person writes it: a choice, or the external form of any parameter's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

/// A range or a list that values are drawn from. Bounds are inclusive.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    /// `step` and `log` exclude each other.
    Float {
        low: f64,
        high: f64,
        log: bool,
        step: Option<f64>,
    },
    /// `step` is 1 where `log` is set.
    Int {
        low: i64,
        high: i64,
        log: bool,
        step: i64,
    },
    Categorical {
        choices: Vec<Scalar>,
    },
}

impl Distribution {
    /// A range of floats.
    ///
    /// # Errors
    /// [`Error::Usage`] where it is empty, reaches to 0 or below on a log scale, or has a step
    /// that is no step.
    pub fn float(low: f64, high: f64, log: bool, step: Option<f64>) -> Result<Distribution> {
        check_range(low, high, log, step.is_some())?;
        if let Some(step) = step
            && !(step.is_finite() && step > 0.0)
        {
            return Err(Error::Usage(format!(
                "a step of {step}: it must be above 0"
            )));
        }
        if step.is_some_and(|step| (high - low) / step > 1e15) {
            return Err(Error::Usage("there are too many steps in it".to_string()));
        }
        // As Optuna does: the last value is the last whole step.
        let high = match step {
            Some(step) => low + ((high - low) / step + 1e-8).floor() * step,
            None => high,
        };
        Ok(Distribution::Float {
            low,
            high,
            log,
            step,
        })
    }

    /// A range of whole numbers.
    ///
    /// # Errors
    /// As [`Self::float`].
    pub fn int(low: i64, high: i64, log: bool, step: i64) -> Result<Distribution> {
        check_range(low as f64, high as f64, log, step != 1)?;
        if step < 1 {
            return Err(Error::Usage(format!(
                "a step of {step}: it must be 1 or more"
            )));
        }
        let high = low + (high - low) / step * step;
        Ok(Distribution::Int {
            low,
            high,
            log,
            step,
        })
    }

    /// A list of choices.
    ///
    /// # Errors
    /// [`Error::Usage`] where it is empty or names one twice.
    pub fn categorical(choices: Vec<Scalar>) -> Result<Distribution> {
        if choices.is_empty() {
            return Err(Error::Usage("no choice to choose from".to_string()));
        }
        for (ix, choice) in choices.iter().enumerate() {
            if choices[..ix].contains(choice) {
                return Err(Error::Usage(format!("{choice} is named twice")));
            }
        }
        Ok(Distribution::Categorical { choices })
    }

    /// Whether there is one value alone.
    pub fn is_single(&self) -> bool {
        match self {
            Distribution::Float { low, high, .. } => low == high,
            Distribution::Int { low, high, .. } => low == high,
            Distribution::Categorical { choices } => choices.len() == 1,
        }
    }

    /// Whether an internal value belongs to it.
    pub fn contains(&self, internal: f64) -> bool {
        match self {
            Distribution::Float {
                low, high, step, ..
            } => {
                let within = (*low..=*high).contains(&internal);
                let on_grid = step.is_none_or(|step| {
                    let k = (internal - low) / step;
                    (k - k.round()).abs() < 1e-8
                });
                within && on_grid
            }
            Distribution::Int {
                low, high, step, ..
            } => {
                let n = internal as i64;
                n as f64 == internal && (*low..=*high).contains(&n) && (n - low) % step == 0
            }
            Distribution::Categorical { choices } => {
                internal >= 0.0 && internal.fract() == 0.0 && internal < choices.len() as f64
            }
        }
    }

    /// The nearest value that belongs to it.
    pub fn nearest(&self, internal: f64) -> f64 {
        match self {
            Distribution::Float {
                low, high, step, ..
            } => {
                let on_grid = match step {
                    Some(step) => low + ((internal - low) / step).round() * step,
                    None => internal,
                };
                on_grid.clamp(*low, *high)
            }
            Distribution::Int {
                low, high, step, ..
            } => {
                let (low, step) = (*low as f64, *step as f64);
                let on_grid = low + ((internal - low) / step).round() * step;
                on_grid.clamp(low, *high as f64)
            }
            Distribution::Categorical { choices } => {
                internal.round().clamp(0.0, choices.len() as f64 - 1.0)
            }
        }
    }

    /// Number of distinct values; `None` where they are a continuum.
    pub fn count(&self) -> Option<u64> {
        match self {
            Distribution::Float {
                low, high, step, ..
            } => match step {
                Some(step) => Some(((high - low) / step).round() as u64 + 1),
                None => (low == high).then_some(1),
            },
            Distribution::Int {
                low, high, step, ..
            } => Some(((high - low) / step) as u64 + 1),
            Distribution::Categorical { choices } => Some(choices.len() as u64),
        }
    }

    /// An internal value as a person reads it.
    ///
    /// # Panics
    /// Where a choice's index is past the list.
    pub fn external(&self, internal: f64) -> Scalar {
        match self {
            Distribution::Float { .. } => Scalar::Float(internal),
            Distribution::Int { .. } => Scalar::Int(internal as i64),
            Distribution::Categorical { choices } => choices[internal as usize].clone(),
        }
    }

    /// The internal representation of a value, where it is one of these.
    pub fn internal(&self, value: &Scalar) -> Option<f64> {
        let internal = match (self, value) {
            (Distribution::Categorical { choices }, value) => {
                choices.iter().position(|choice| choice == value)? as f64
            }
            (_, Scalar::Int(n)) => *n as f64,
            (_, Scalar::Float(x)) => *x,
            _ => return None,
        };
        self.contains(internal).then_some(internal)
    }

    /// Whether a study may hold values of both under one name: as Optuna, the same kind, and the
    /// same choices or the same scale.
    pub fn is_compatible(&self, other: &Distribution) -> bool {
        use Distribution::{Categorical, Float, Int};
        match (self, other) {
            (Float { log, .. }, Float { log: other, .. }) => log == other,
            (Int { log, .. }, Int { log: other, .. }) => log == other,
            (Categorical { .. }, Categorical { .. }) => self == other,
            _ => false,
        }
    }

    /// Optuna's `distribution_to_json`, in its order of keys.
    pub fn to_json(&self) -> String {
        match self {
            Distribution::Float {
                low,
                high,
                log,
                step,
            } => format!(
                "{{\"name\": \"FloatDistribution\", \"attributes\": {{\"step\": {}, \"low\": {}, \"high\": {}, \"log\": {log}}}}}",
                step.map_or("null".to_string(), |s| json!(s).to_string()),
                json!(low),
                json!(high),
            ),
            Distribution::Int {
                low,
                high,
                log,
                step,
            } => format!(
                "{{\"name\": \"IntDistribution\", \"attributes\": {{\"log\": {log}, \"step\": {step}, \"low\": {low}, \"high\": {high}}}}}"
            ),
            Distribution::Categorical { choices } => {
                let of = |choice: &Scalar| json::to_string(&json::from_scalar(choice));
                let choices: Vec<String> = choices.iter().map(of).collect();
                format!(
                    "{{\"name\": \"CategoricalDistribution\", \"attributes\": {{\"choices\": [{}]}}}}",
                    choices.join(", ")
                )
            }
        }
    }

    /// Reads what [`Self::to_json`] or Optuna wrote.
    ///
    /// # Errors
    /// [`Error::Data`] with the text.
    pub fn from_json(text: &str) -> Result<Distribution> {
        let wrong = || Error::Data(format!("no distribution that is known here: {text}"));
        let value = json::parse(text).map_err(|_| wrong())?;
        let of = |key: &str| value["attributes"].get(key);
        let flag = |key: &str| of(key).and_then(Value::as_bool).unwrap_or(false);
        let float = |key: &str| of(key).and_then(Value::as_f64);
        let int = |key: &str| of(key).and_then(Value::as_i64);
        let read = match value["name"].as_str() {
            Some("FloatDistribution") => Some(Distribution::Float {
                low: float("low").ok_or_else(wrong)?,
                high: float("high").ok_or_else(wrong)?,
                log: flag("log"),
                step: float("step"),
            }),
            Some("IntDistribution") => Some(Distribution::Int {
                low: int("low").ok_or_else(wrong)?,
                high: int("high").ok_or_else(wrong)?,
                log: flag("log"),
                step: int("step").unwrap_or(1),
            }),
            Some("CategoricalDistribution") => {
                let choices = of("choices").and_then(Value::as_array).ok_or_else(wrong)?;
                let choices: Option<Vec<Scalar>> = choices.iter().map(json::to_scalar).collect();
                choices.map(|choices| Distribution::Categorical { choices })
            }
            _ => None,
        };
        read.ok_or_else(wrong)
    }
}

fn check_range(low: f64, high: f64, log: bool, steps: bool) -> Result<()> {
    let what = if !(low.is_finite() && high.is_finite()) {
        "the bounds must be finite numbers"
    } else if low > high {
        "the lower bound lies above the upper one"
    } else if log && low <= 0.0 {
        "a log scale needs a lower bound above 0"
    } else if log && steps {
        "a log scale has no steps"
    } else {
        return Ok(());
    };
    Err(Error::Usage(what.to_string()))
}

impl Scalar {
    /// As JSON.
    pub fn to_json(&self) -> Value {
        match self {
            Scalar::None => Value::Null,
            Scalar::Bool(on) => json!(on),
            Scalar::Int(n) => json!(n),
            Scalar::Float(x) => json!(x),
            Scalar::Text(text) => json!(text),
        }
    }

    /// From JSON; `None` for an array or an object.
    pub fn from_json(value: &Value) -> Option<Scalar> {
        match value {
            Value::Null => Some(Scalar::None),
            Value::Bool(on) => Some(Scalar::Bool(*on)),
            Value::Number(n) => Some(match n.as_i64() {
                Some(n) => Scalar::Int(n),
                None => Scalar::Float(n.as_f64()?),
            }),
            Value::String(text) => Some(Scalar::Text(text.clone())),
            Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// What a word means: true and false, a whole number, a number, or text.
    pub fn from_word(word: &str) -> Scalar {
        match word {
            "none" => Scalar::None,
            "true" => Scalar::Bool(true),
            "false" => Scalar::Bool(false),
            _ => match (word.parse(), word.parse::<f64>()) {
                (Ok(n), _) => Scalar::Int(n),
                (_, Ok(x)) if x.is_finite() => Scalar::Float(x),
                _ => Scalar::Text(word.to_string()),
            },
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::None => f.write_str("none"),
            Scalar::Bool(on) => write!(f, "{on}"),
            Scalar::Int(n) => write!(f, "{n}"),
            Scalar::Float(x) => write!(f, "{x:?}"),
            Scalar::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for Distribution {
    /// In the notation of `--space`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log_of = |log: &bool| if *log { "log:" } else { "" };
        match self {
            Distribution::Float {
                low,
                high,
                log,
                step,
            } => {
                write!(f, "{}{low:?}..{high:?}", log_of(log))?;
                step.map_or(Ok(()), |step| write!(f, ":{step:?}"))
            }
            Distribution::Int {
                low,
                high,
                log,
                step,
            } => {
                write!(f, "int:{}{low}..{high}", log_of(log))?;
                if *step == 1 {
                    Ok(())
                } else {
                    write!(f, ":{step}")
                }
            }
            Distribution::Categorical { choices } => {
                let words: Vec<String> = choices.iter().map(Scalar::to_string).collect();
                f.write_str(&words.join("|"))
            }
        }
    }
}
