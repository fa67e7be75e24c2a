//! The search space as a person writes it: `lr=log:1e-4..1e-1`, `batch=64|128|256`,
//! `width=int:32..512:32`, `momentum=0.5..0.99 if opt=momentum|nesterov`; and values of it:
//! `lr=0.01,opt=adam`.

mod reader;
mod table;

use std::collections::BTreeMap;
use std::ops::Range;

use super::distribution::Scalar;
use super::space::{Fault, Parameter, Space};
use crate::{Error, Result, suggest};
use reader::Reader;

pub use table::table;

/// Parameters that are whole numbers, said or not.
const WHOLE: [&str; 6] = ["batch", "width", "depth", "epochs", "accumulate", "seed"];

/// Reads one `--space`.
///
/// # Errors
/// As [`space`].
pub fn parameter(text: &str) -> Result<Parameter> {
    read(&Reader {
        source: "--space",
        text,
    })
}

/// Reads what is given as `--space`.
///
/// # Errors
/// [`crate::Error::Usage`] with the text at fault and a caret below what is wrong in it.
pub fn space<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Space> {
    let source = "--space";
    let reader = |text| Reader { source, text };
    let readers: Vec<Reader> = texts.into_iter().map(reader).collect();
    let parameters: Result<Vec<_>> = readers.iter().map(read).collect();
    Space::new(parameters?).map_err(|misfit| {
        let read = &readers[misfit.ix];
        let at = Parts::of(read).map(|parts| match misfit.fault {
            Fault::Name => parts.name,
            Fault::Condition => parts.condition.unwrap_or(parts.name),
        });
        at.map_or_else(|e| e, |at| read.wrong(at, &misfit.what))
    })
}

/// What is wrong with parameter `name` of a space, which is one of these texts or stands in a file.
pub fn objection(texts: &[String], name: &str, what: &str) -> Error {
    let source = "--space";
    for text in texts {
        let read = Reader { source, text };
        if let Ok(parts) = Parts::of(&read)
            && text[parts.name.clone()] == *name
        {
            return read.wrong(parts.name, what);
        }
    }
    Error::Usage(format!("[space] {name}: {what}"))
}

/// Where the parts of NAME=VALUES if CONDITION are.
struct Parts {
    name: Range<usize>,
    values: Range<usize>,
    condition: Option<Range<usize>>,
}

impl Parts {
    fn of(read: &Reader) -> Result<Parts> {
        let text = read.text;
        let Some(equals) = text.find('=') else {
            return Err(read.wrong(
                0..text.len(),
                "write a parameter and its values, such as lr=log:1e-4..1e-1",
            ));
        };
        let name = read.trim(0..equals);
        if name.is_empty() {
            return Err(read.wrong(0..equals, "the parameter has no name"));
        }
        let rest = equals + 1..text.len();
        let (values, condition) = match text[rest.clone()].find(" if ") {
            None => (rest, None),
            Some(at) => {
                let at = rest.start + at;
                (rest.start..at, Some(read.trim(at + 4..rest.end)))
            }
        };
        Ok(Parts {
            name,
            values: read.trim(values),
            condition,
        })
    }
}

fn read(text: &Reader) -> Result<Parameter> {
    let parts = Parts::of(text)?;
    let name = &text.text[parts.name];
    let is_whole = WHOLE.contains(&name);
    let condition = parts.condition.map(|at| text.condition(at));
    Ok(Parameter {
        name: name.to_string(),
        distribution: text.distribution(parts.values, is_whole)?,
        when: condition.transpose()?,
    })
}

/// Reads what is given as `--enqueue`: values of some or all parameters of a space. A value may hold
/// commas: `lr=0.01,model=linear:64,relu`.
///
/// # Errors
/// As [`space`].
pub fn values(text: &str, space: &Space) -> Result<BTreeMap<String, Scalar>> {
    let read = Reader {
        source: "--enqueue",
        text,
    };
    let mut pairs: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    for part in text.split(',') {
        let end = start + part.len();
        match pairs.last_mut() {
            Some(last) if !part.contains('=') => last.end = end,
            _ => pairs.push(start..end),
        }
        start = end + 1;
    }
    let mut values = BTreeMap::new();
    let mut names = Vec::new();
    for pair in pairs {
        let Some(equals) = text[pair.clone()].find('=') else {
            return Err(read.wrong(
                read.trim(pair),
                "write names and values, such as lr=0.01,opt=adam",
            ));
        };
        let equals = pair.start + equals;
        let (name, value) = (
            read.trim(pair.start..equals),
            read.trim(equals + 1..pair.end),
        );
        let Some(parameter) = space.get(&text[name.clone()]) else {
            let known = space.parameters().iter().map(|p| p.name.as_str());
            let hint = suggest::hint(&text[name.clone()], known);
            return Err(read.wrong(name, &format!("it is not in the search space{hint}")));
        };
        let distribution = &parameter.distribution;
        let Some(internal) = distribution.internal(&Scalar::from_word(&text[value.clone()])) else {
            return Err(read.wrong(value, &format!("it is none of {distribution}")));
        };
        names.push((parameter, name.clone()));
        let value = distribution.external(internal);
        if values.insert(parameter.name.clone(), value).is_some() {
            return Err(read.wrong(name, "it has a value already"));
        }
    }
    for (parameter, name) in names {
        let Some(when) = &parameter.when else {
            continue;
        };
        let parent = values.get(&when.parameter);
        if !parent.is_some_and(|value| when.any_of.contains(value)) {
            let what = format!("it exists only where {when}: say so too");
            return Err(read.wrong(name, &what));
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests;
