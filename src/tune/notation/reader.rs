//! Reads a text, and points at what is wrong in it.

use std::ops::Range;

use crate::tune::distribution::{Distribution, Scalar};
use crate::tune::space::Condition;
use crate::{Error, Result};

/// A text, parts of which are found wanting.
pub struct Reader<'a> {
    /// Where it stands: "--space".
    pub source: &'a str,
    pub text: &'a str,
}

impl Reader<'_> {
    /// What is wrong, and a caret below where.
    pub fn wrong(&self, at: Range<usize>, what: &str) -> Error {
        let before = self.text[..at.start].chars().count();
        let width = self.text[at].chars().count().max(1);
        let (spaces, carets) = (" ".repeat(before), "^".repeat(width));
        Error::Usage(format!(
            "{}: {what}\n  {}\n  {spaces}{carets}",
            self.source, self.text
        ))
    }

    /// A range without the blanks at its ends.
    pub fn trim(&self, range: Range<usize>) -> Range<usize> {
        let part = &self.text[range.clone()];
        let start = range.start + (part.len() - part.trim_start().len());
        start..start + part.trim().len()
    }

    pub fn distribution(&self, at: Range<usize>, is_whole: bool) -> Result<Distribution> {
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
    pub fn condition(&self, at: Range<usize>) -> Result<Condition> {
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
