//! The `[space]` table of a file.

use super::{Reader, WHOLE};
use crate::tune::distribution::{Distribution, Scalar};
use crate::tune::space::{Parameter, Space};
use crate::{Error, Result};

/// Reads the `[space]` table of a file: the same notation as text, a list of choices, or a table with
/// `low`, `high`, and perhaps `int`, `log`, `step` and `if`. As in the text, a range is one of whole numbers where
/// it says so, or where the parameter is one.
///
/// # Errors
/// [`Error::Usage`] with the parameter at fault, and a caret where a text is.
pub fn table(table: &toml::Table) -> Result<Space> {
    let entries = table.iter().map(|(name, value)| entry(name, value));
    let parameters: Vec<Parameter> = entries.collect::<Result<_>>()?;
    Space::new(parameters).map_err(|misfit| Error::Usage(format!("[space] {}", misfit.what)))
}

fn entry(name: &str, value: &toml::Value) -> Result<Parameter> {
    let wrong = |what: String| Error::Usage(format!("[space] {name}: {what}"));
    match value {
        toml::Value::String(text) => super::read(&Reader {
            source: "[space]",
            text: &format!("{name}={text}"),
        }),
        toml::Value::Array(items) => {
            let choices: Option<Vec<Scalar>> = items.iter().map(scalar).collect();
            let choices =
                choices.ok_or_else(|| wrong("choices are numbers, words or booleans".into()))?;
            Ok(Parameter {
                name: name.to_string(),
                distribution: Distribution::categorical(choices)
                    .map_err(|e| wrong(e.to_string()))?,
                when: None,
            })
        }
        toml::Value::Table(of) => {
            let known = ["low", "high", "int", "log", "step", "choices", "if"];
            if let Some(key) = of.keys().find(|key| !known.contains(&key.as_str())) {
                let hint = crate::suggest::hint(key, known);
                return Err(wrong(format!("no such key as {key}{hint}")));
            }
            let mut made = match of.get("choices") {
                Some(choices) => entry(name, choices)?,
                None => range(name, of).map_err(wrong)?,
            };
            if let Some(condition) = of.get("if") {
                let text = condition.as_str().ok_or_else(|| {
                    wrong("if is a text such as \"opt=momentum|nesterov\"".into())
                })?;
                let source = &format!("[space] {name}");
                made.when = Some(Reader { source, text }.condition(0..text.len())?);
            }
            Ok(made)
        }
        _ => Err(wrong(format!(
            "{value} is neither a range nor a list of choices"
        ))),
    }
}

fn range(name: &str, of: &toml::Table) -> Result<Parameter, String> {
    let number = |key: &str| -> Result<f64, String> {
        let value = of.get(key).ok_or(format!("{key} is missing"))?;
        let integer = value.as_integer().map(|n| n as f64);
        let number = integer.or(value.as_float());
        number.ok_or(format!("{key} is no number: {value}"))
    };
    let flag = |key: &str| match of.get(key) {
        None => Ok(false),
        Some(value) => value.as_bool().ok_or(format!("{key} is true or false")),
    };
    let (low, high, log) = (number("low")?, number("high")?, flag("log")?);
    let step = of.get("step").map(|_| number("step")).transpose()?;
    let is_whole = WHOLE.contains(&name) || flag("int")?;
    let made = match is_whole {
        true => {
            let all = [Some(low), Some(high), step];
            if let Some(x) = all.into_iter().flatten().find(|x| x.fract() != 0.0) {
                return Err(format!("{x} is no whole number"));
            }
            Distribution::int(low as i64, high as i64, log, step.unwrap_or(1.0) as i64)
        }
        false => Distribution::float(low, high, log, step),
    };
    Ok(Parameter {
        name: name.to_string(),
        distribution: made.map_err(|e| e.to_string())?,
        when: None,
    })
}

fn scalar(value: &toml::Value) -> Option<Scalar> {
    Some(match value {
        toml::Value::Integer(n) => Scalar::Int(*n),
        toml::Value::Float(x) => Scalar::Float(*x),
        toml::Value::Boolean(on) => Scalar::Bool(*on),
        toml::Value::String(text) => Scalar::Text(text.clone()),
        _ => return None,
    })
}
