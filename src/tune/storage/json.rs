//! JSON as Python's `json` module writes and reads it: with the bare tokens `NaN`, `Infinity` and
//! `-Infinity`, which serde_json refuses.
//!
//! While a text is a [`Value`] such a token is a string that begins with a character which Unicode
//! keeps out of all text.

use std::borrow::Cow;

use serde_json::Value;

use crate::tune::distribution::Scalar;
use crate::{Error, Result};

const MARK: char = '\u{fdd0}';
const TOKENS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// Reads a text.
///
/// # Errors
/// [`Error::Data`] with the text where it is no JSON.
pub fn parse(text: &str) -> Result<Value> {
    serde_json::from_str(&quote_tokens(text))
        .map_err(|error| Error::Data(format!("no JSON ({error}): {text}")))
}

/// Writes a value on one line.
pub fn to_string(value: &Value) -> String {
    let text = value.to_string();
    TOKENS.iter().fold(text, |text, token| {
        text.replace(&format!("\"{MARK}{token}\""), token)
    })
}

/// A number, which may be none.
pub fn as_f64(value: &Value) -> Option<f64> {
    match value.as_str().and_then(|text| text.strip_prefix(MARK)) {
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        _ => value.as_f64(),
    }
}

/// The value of a number.
pub fn from_f64(x: f64) -> Value {
    let token = match x {
        _ if x.is_nan() => "NaN",
        _ if x == f64::INFINITY => "Infinity",
        _ if x == f64::NEG_INFINITY => "-Infinity",
        _ => return Value::from(x),
    };
    Value::from(format!("{MARK}{token}"))
}

/// A category, which may be no number.
pub fn to_scalar(value: &Value) -> Option<Scalar> {
    match as_f64(value) {
        Some(x) if !x.is_finite() => Some(Scalar::Float(x)),
        _ => Scalar::from_json(value),
    }
}

/// The value of a category.
pub fn from_scalar(scalar: &Scalar) -> Value {
    match scalar {
        Scalar::Float(x) => from_f64(*x),
        scalar => scalar.to_json(),
    }
}

/// Puts the bare tokens into marked quotes.
fn quote_tokens(text: &str) -> Cow<'_, str> {
    if !TOKENS.iter().any(|token| text.contains(token)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_string = false;
    while let Some(c) = rest.chars().next() {
        let token = TOKENS.iter().find(|token| rest.starts_with(**token));
        let taken = match (in_string, c, token) {
            (false, _, Some(token)) => {
                out.extend(['"', MARK]);
                out.push_str(token);
                out.push('"');
                rest = &rest[token.len()..];
                continue;
            }
            (true, '\\', _) => rest.chars().take(2).map(char::len_utf8).sum(),
            (_, '"', _) => {
                in_string = !in_string;
                1
            }
            _ => c.len_utf8(),
        };
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_tokens_are_read_and_written() {
        let text = r#"{"a":[NaN,-Infinity,Infinity,-1.5],"b":"NaN \"Infinity\\","c":null}"#;
        let value = parse(text).unwrap();
        assert!(as_f64(&value["a"][0]).unwrap().is_nan());
        assert_eq!(as_f64(&value["a"][1]), Some(f64::NEG_INFINITY));
        assert_eq!(as_f64(&value["a"][2]), Some(f64::INFINITY));
        assert_eq!(as_f64(&value["a"][3]), Some(-1.5));
        assert_eq!(value["b"], "NaN \"Infinity\\");
        assert_eq!(to_string(&value), text);
    }

    #[test]
    fn choices_may_be_infinite() {
        use crate::tune::distribution::Distribution;
        let text = r#"{"name": "CategoricalDistribution", "attributes": {"choices": [0.5, Infinity, null, "Infinity", -Infinity]}}"#;
        let read = Distribution::from_json(text).unwrap();
        assert_eq!(read.external(1.0), Scalar::Float(f64::INFINITY));
        assert_eq!(read.external(3.0), Scalar::Text("Infinity".to_string()));
        assert_eq!(read.external(4.0), Scalar::Float(f64::NEG_INFINITY));
        assert_eq!(read.to_json(), text);
    }

    #[test]
    fn numbers_survive() {
        for x in [0.1, 1e-300, f64::MAX, f64::INFINITY, f64::NEG_INFINITY] {
            let text = to_string(&from_f64(x));
            assert_eq!(as_f64(&parse(&text).unwrap()), Some(x), "{text}");
        }
        assert_eq!(to_string(&from_f64(f64::NAN)), "NaN");
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", "nan", "{\"a\":}", "[1,]", "NaNNaN", "\"open", "1 2"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
