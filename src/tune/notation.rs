//! The search space as a person writes it: `lr=log:1e-4..1e-1`, `batch=64|128|256`,
//! `width=int:32..512:32`, `momentum=0.5..0.99 if opt=momentum|nesterov`.

use std::ops::Range;

use super::distribution::{Distribution, Scalar};
use super::space::{Condition, Parameter, Space};
use crate::{Error, Result};

/// Parameters that are whole numbers, said or not.
const WHOLE: [&str; 6] = ["batch", "width", "depth", "epochs", "accumulate", "seed"];

/// Reads one `--space`.
///
/// # Errors
/// [`Error::Usage`] with the text and a caret below what is wrong in it.
pub fn parameter(text: &str) -> Result<Parameter> {
    let read = Reader { text };
    let Some(equals) = text.find('=') else {
        return Err(read.wrong(
            0..text.len(),
            "write a parameter and its values, such as lr=log:1e-4..1e-1",
        ));
    };
    let name = read.trim(0..equals);
    if name.is_empty() {
        return Err(read.wrong(0..1, "the parameter has no name"));
    }
    let rest = equals + 1..text.len();
    let (values, condition) = match text[rest.clone()].find(" if ") {
        None => (rest, None),
        Some(at) => {
            let at = rest.start + at;
            (rest.start..at, Some(at + 4..rest.end))
        }
    };
    let name_text = &text[name];
    let is_whole = WHOLE.contains(&name_text);
    Ok(Parameter {
        name: name_text.to_string(),
        distribution: read.distribution(read.trim(values), is_whole)?,
        when: condition.map(|range| read.condition(range)).transpose()?,
    })
}

/// Reads all of them.
///
/// # Errors
/// As [`parameter`] and [`Space::new`].
pub fn space<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Space> {
    let parameters: Result<Vec<_>> = texts.into_iter().map(parameter).collect();
    Space::new(parameters?)
}

/// Reads the `[space]` table of a file: the same notation as text, a list of choices, or a table with
/// `low`, `high`, and perhaps `log`, `step` and `if`.
///
/// # Errors
/// [`Error::Usage`] with the parameter at fault.
pub fn table(table: &toml::Table) -> Result<Vec<Parameter>> {
    table
        .iter()
        .map(|(name, value)| entry(name, value))
        .collect()
}

fn entry(name: &str, value: &toml::Value) -> Result<Parameter> {
    let wrong = |what: String| Error::Usage(format!("[space] {name}: {what}"));
    match value {
        toml::Value::String(text) => parameter(&format!("{name}={text}")),
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
            let known = ["low", "high", "log", "step", "choices", "if"];
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
                made.when = Some(Reader { text }.condition(0..text.len())?);
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
    let log = match of.get("log") {
        None => false,
        Some(value) => value.as_bool().ok_or("log is true or false".to_string())?,
    };
    let (low, high) = (number("low")?, number("high")?);
    let step = of.get("step").map(|_| number("step")).transpose()?;
    let all = ["low", "high", "step"]
        .iter()
        .filter_map(|key| of.get(*key));
    let is_whole = all.clone().all(toml::Value::is_integer);
    let made = match is_whole {
        true => Distribution::int(low as i64, high as i64, log, step.unwrap_or(1.0) as i64),
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

/// A text, parts of which are found wanting.
struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    /// What is wrong, and a caret below where.
    fn wrong(&self, at: Range<usize>, what: &str) -> Error {
        let before = self.text[..at.start].chars().count();
        let width = self.text[at].chars().count().max(1);
        let (spaces, carets) = (" ".repeat(before), "^".repeat(width));
        Error::Usage(format!(
            "--space: {what}\n  {}\n  {spaces}{carets}",
            self.text
        ))
    }

    /// A range without the blanks at its ends.
    fn trim(&self, range: Range<usize>) -> Range<usize> {
        let part = &self.text[range.clone()];
        let start = range.start + (part.len() - part.trim_start().len());
        start..start + part.trim().len()
    }

    fn distribution(&self, at: Range<usize>, is_whole: bool) -> Result<Distribution> {
        let (mut rest, mut is_whole, mut log) = (at.clone(), is_whole, false);
        while let Some(colon) = self.text[rest.clone()].find(':') {
            match &self.text[rest.start..rest.start + colon] {
                "int" => is_whole = true,
                "log" => log = true,
                _ => break,
            }
            rest.start += colon + 1;
        }
        let Some(dots) = self.text[rest.clone()].find("..") else {
            if rest.start > at.start {
                return Err(self.wrong(rest, "int: and log: go before a range LOW..HIGH"));
            }
            return self.choices(at);
        };
        let low = rest.start..rest.start + dots;
        let behind = low.end + 2..rest.end;
        let (high, step) = match self.text[behind.clone()].find(':') {
            None => (behind, None),
            Some(colon) => {
                let colon = behind.start + colon;
                (behind.start..colon, Some(colon + 1..behind.end))
            }
        };
        let made = if is_whole {
            let [low, high] = [self.number(low)?, self.number(high)?];
            let step = step.map_or(Ok(1), |step| self.number(step))?;
            Distribution::int(low, high, log, step)
        } else {
            let [low, high] = [self.number(low)?, self.number(high)?];
            let step = step.map(|step| self.number(step)).transpose()?;
            Distribution::float(low, high, log, step)
        };
        made.map_err(|e| self.wrong(rest, &e.to_string()))
    }

    fn number<N: std::str::FromStr>(&self, at: Range<usize>) -> Result<N> {
        let at = self.trim(at);
        let read = self.text[at.clone()].parse();
        let what = match std::any::type_name::<N>() {
            "i64" => "that is no whole number",
            _ => "that is no number",
        };
        read.map_err(|_| self.wrong(at, what))
    }

    fn choices(&self, at: Range<usize>) -> Result<Distribution> {
        let words = self.words(at.clone())?;
        Distribution::categorical(words).map_err(|e| self.wrong(at, &e.to_string()))
    }

    /// A|B|C.
    fn words(&self, at: Range<usize>) -> Result<Vec<Scalar>> {
        let mut words = Vec::new();
        let mut start = at.start;
        for word in self.text[at].split('|') {
            let range = self.trim(start..start + word.len());
            if range.is_empty() {
                return Err(self.wrong(range, "here a value is missing"));
            }
            words.push(Scalar::from_word(&self.text[range]));
            start += word.len() + 1;
        }
        Ok(words)
    }

    /// PARAMETER=A|B.
    fn condition(&self, at: Range<usize>) -> Result<Condition> {
        let Some(equals) = self.text[at.clone()].find('=') else {
            return Err(self.wrong(
                self.trim(at),
                "a condition names a parameter and its values, such as opt=momentum|nesterov",
            ));
        };
        let equals = at.start + equals;
        Ok(Condition {
            parameter: self.text[self.trim(at.start..equals)].to_string(),
            any_of: self.words(equals + 1..at.end)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        let float = |low, high, log, step| Distribution::Float {
            low,
            high,
            log,
            step,
        };
        let int = |low, high, log, step| Distribution::Int {
            low,
            high,
            log,
            step,
        };
        for (text, name, expected) in [
            ("lr=log:1e-4..1e-1", "lr", float(1e-4, 1e-1, true, None)),
            ("dropout=0..0.5", "dropout", float(0.0, 0.5, false, None)),
            (
                "dropout = 0..0.5:0.1",
                "dropout",
                float(0.0, 0.5, false, Some(0.1)),
            ),
            ("width=int:32..512:32", "width", int(32, 512, false, 32)),
            ("width=32..512", "width", int(32, 512, false, 1)),
            ("batch=log:16..1024", "batch", int(16, 1024, true, 1)),
            ("x=-1..1", "x", float(-1.0, 1.0, false, None)),
        ] {
            let read = parameter(text).unwrap();
            assert_eq!(
                (read.name.as_str(), read.distribution),
                (name, expected),
                "{text}"
            );
        }
        let read = parameter("batch=64|128|256").unwrap();
        let ints = [64, 128, 256].map(Scalar::Int).to_vec();
        assert_eq!(
            read.distribution,
            Distribution::Categorical { choices: ints }
        );
        let read = parameter("momentum=0.5..0.99 if opt=momentum|nesterov").unwrap();
        let when = read.when.unwrap();
        assert_eq!(when.parameter, "opt");
        let words = ["momentum", "nesterov"].map(|w| Scalar::Text(w.to_string()));
        assert_eq!(when.any_of, words);
    }

    #[test]
    fn a_caret_points_at_what_is_wrong() {
        for (text, what, carets) in [
            ("lr=1..0", "above the upper", "     ^^^^"),
            ("lr=log:0..1", "above 0", "         ^^^^"),
            ("lr=0..x", "no number", "        ^"),
            ("width=1..2.5", "whole number", "           ^^^"),
            ("opt=sgd||adam", "missing", "          ^"),
            ("opt=sgd|sgd", "twice", "      ^^^^^^^"),
            ("lr", "such as lr=log", "  ^^"),
            ("x=log:3", "before a range", "        ^"),
            ("x=0..1:0", "above 0", "    ^^^^^^"),
            ("m=0..1 if opt", "a condition", "            ^^^"),
        ] {
            let error = parameter(text).unwrap_err().to_string();
            let lines: Vec<&str> = error.lines().collect();
            assert!(lines[0].contains(what), "{text}: {error}");
            assert_eq!(lines[1].trim_start(), text);
            assert_eq!(lines[2], carets, "{error}");
        }
    }

    #[test]
    fn a_table_says_the_same() {
        let text = "lr = \"log:1e-4..1e-1\"\nbatch = [64, 128]\nwidth = {low = 32, high = 512, step = 32}\n\
                    opt = [\"sgd\", \"momentum\"]\nmomentum = {low = 0.5, high = 0.99, if = \"opt=momentum\"}\n";
        let read = Space::new(table(&toml::from_str(text).unwrap()).unwrap()).unwrap();
        let same = [
            "batch=64|128",
            "lr=log:1e-4..1e-1",
            "momentum=0.5..0.99 if opt=momentum",
            "opt=sgd|momentum",
            "width=int:32..512:32",
        ];
        assert_eq!(read, space(same).unwrap());
        for (text, what) in [
            ("lr = {low = 1}", "high is missing"),
            ("lr = {hihg = 1}", "did you mean high"),
            ("lr = true", "neither a range"),
        ] {
            let error = table(&toml::from_str(text).unwrap())
                .unwrap_err()
                .to_string();
            assert!(error.contains(what), "{error}");
        }
    }
}
