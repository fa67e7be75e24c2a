//! Whether the first row names the columns, and what the columns are called.

use std::collections::HashSet;

use csv::ByteRecord;

use super::cell::{self, Cell};
use super::rows::TableFile;
use crate::{Error, Result, suggest};

/// Longer names, in bytes, are taken for a mistake.
const LONGEST_NAME: usize = 1000;

/// The columns' names, and how they were come by.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// Whether the first row holds the names, and no data.
    pub present: bool,
    /// One a column, all different.
    pub names: Vec<String>,
    pub notes: Vec<String>,
}

impl Header {
    /// Decides from the first rows of a file, at least one.
    ///
    /// # Errors
    /// [`Error::Data`] where a name is not UTF-8.
    pub fn find(file: &TableFile, rows: &[ByteRecord]) -> Result<Header> {
        if !is_header(rows) {
            return Ok(Header {
                present: false,
                names: (1..=rows[0].len()).map(numbered).collect(),
                notes: vec![
                    "no header: the first row holds data; columns go by number".to_string(),
                ],
            });
        }
        Header::named(file, &rows[0])
    }

    /// The names that `row` holds, made different where they are not.
    ///
    /// # Errors
    /// [`Error::Data`] where a name is not UTF-8.
    pub fn named(file: &TableFile, row: &ByteRecord) -> Result<Header> {
        let mut notes = vec!["header: the first row names the columns".to_string()];
        let mut taken = HashSet::new();
        let mut names = Vec::new();
        for (number, cell) in (1..).zip(row) {
            let text = std::str::from_utf8(cell.trim_ascii()).map_err(|_| {
                let column = numbered(number);
                file.error_at(super::rows::byte(row), &column, not_utf8(cell))
            })?;
            let mut name = text.to_string();
            if name.len() > LONGEST_NAME {
                return Err(file.error(format!(
                    "column {number} has a name of {} bytes (a quote that is not closed?)",
                    name.len()
                )));
            }
            if name.is_empty() {
                name = numbered(number);
                notes.push(format!("column {number} has no name; it goes by {name:?}"));
            } else if taken.contains(&name) {
                name = format!("{text}.{number}");
                notes.push(format!(
                    "column {number} has the name {text:?} of one before it; it goes by {name:?}"
                ));
            }
            while taken.contains(&name) {
                name.push('\'');
            }
            taken.insert(name.clone());
            names.push(name);
        }
        Ok(Header {
            present: true,
            names,
            notes,
        })
    }

    /// The place, from 0, of the column that `typed` names or numbers from 1.
    ///
    /// # Errors
    /// [`Error::Usage`] with the nearest name.
    pub fn position(&self, file: &TableFile, option: &str, typed: &str) -> Result<usize> {
        if let Some(at) = self.names.iter().position(|name| name == typed) {
            return Ok(at);
        }
        let number: Option<usize> = typed.parse().ok();
        if let Some(number) = number.filter(|n| (1..=self.names.len()).contains(n)) {
            return Ok(number - 1);
        }
        let hint = match typed.trim().parse::<i64>() {
            Ok(_) => format!("; its columns are 1 to {}", self.names.len()),
            Err(_) => near(typed, self.names.iter().map(String::as_str)),
        };
        Err(Error::Usage(format!(
            "{option} {typed}: {} has no such column{hint}",
            file.path.display()
        )))
    }
}

/// The nearest of many names, or the first few.
pub fn near<'a>(typed: &str, names: impl IntoIterator<Item = &'a str> + Clone) -> String {
    const LONGEST: usize = 300;
    let hint = suggest::hint(typed, names.clone());
    if hint.len() <= LONGEST {
        return hint;
    }
    let all: Vec<&str> = names.into_iter().collect();
    let first = all[..all.len().min(5)].join(", ");
    let mut hint = format!("; the {} known begin with {first}", all.len());
    if hint.len() > LONGEST {
        let at = (0..=LONGEST).rev().find(|&at| hint.is_char_boundary(at));
        hint.truncate(at.unwrap_or(0));
        hint.push_str("...");
    }
    hint
}

pub fn numbered(number: usize) -> String {
    format!("column {number}")
}

pub fn not_utf8(cell: &[u8]) -> String {
    let shown = cell::show(cell);
    format!("{shown} is not UTF-8; save the file as UTF-8")
}

/// A header is a first row without numbers, over a column of numbers. Where some names are numbers
/// (years, say), more columns must change from text to numbers than have a number on top. A table
/// of nothing but text has one where no cell of the first row comes again below it, although the
/// columns do repeat themselves.
pub fn is_header(rows: &[ByteRecord]) -> bool {
    let (first, rest) = (&rows[0], &rows[1..]);
    let mut numbers = 0;
    let mut text_over_numbers = 0;
    let mut number_columns = 0;
    for (column, top) in first.iter().enumerate() {
        let cells = rest.iter().map(|row| cell::parse(&row[column]));
        let mut known = cells.filter(|cell| *cell != Cell::Missing).peekable();
        let below = known.peek().is_some() && known.all(|cell| cell != Cell::Text);
        let top = cell::parse(top);
        numbers += usize::from(matches!(top, Cell::Number(_)));
        number_columns += usize::from(below);
        text_over_numbers += usize::from(below && top == Cell::Text);
    }
    let distinct: HashSet<&[u8]> = first.iter().map(<[u8]>::trim_ascii).collect();
    let distinct = distinct.len() == first.len();
    if number_columns > 0 {
        return text_over_numbers > 0 && (numbers == 0 || distinct && text_over_numbers > numbers);
    }
    let again = |column: usize| rest.iter().any(|row| row[column] == first[column]);
    let repeats = |column: usize| {
        let mut seen = HashSet::new();
        rest.iter().any(|row| !seen.insert(&row[column]))
    };
    let columns = || 0..first.len();
    numbers == 0 && distinct && !columns().any(again) && columns().any(repeats)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<ByteRecord> {
        let lines = text.split('|');
        lines
            .map(|line| line.split(',').collect::<Vec<_>>().into())
            .collect()
    }

    #[test]
    fn headers_are_told_from_data() {
        for text in [
            "a,b|1,2",
            "a,b|x,2|y,3",
            "a,b|,2|,NA",
            "name,2019,x,y,z|1,2,3,4,5",
            "a,b|x,y|x,z",
            ",b|1,2",
            "a,a|1,2",
            "a,NA|1,2",
        ] {
            assert!(is_header(&rows(text)), "{text}");
        }
        for text in [
            "1,2|3,4",
            "a,1|b,2",
            "x,y|x,z",
            "p,p|x,y|x,y",
            "a,b",
            "a,b|c,d",
            "country,2019,2020|fr,1,2",
            "1,x,2|3,4,5",
            "NA,?|1,2",
            "x,1.5,|y,2,",
        ] {
            assert!(!is_header(&rows(text)), "{text}");
        }
    }

    #[test]
    fn names_are_made_different() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "x").unwrap();
        let file = TableFile::open(&path).unwrap();
        let header = Header::find(&file, &rows("a,a.3,a, ,column 4|1,2,3,4,5")).unwrap();
        assert_eq!(header.names, ["a", "a.3", "a.3'", "column 4", "column 4.5"]);
        assert!(header.notes.len() >= 4, "{:?}", header.notes);
        let at = |typed| {
            header
                .position(&file, "--target", typed)
                .map_err(|e| e.to_string())
        };
        assert_eq!(at("a.3"), Ok(1));
        assert_eq!(at("5"), Ok(4));
        for (typed, hint) in [("0", ""), ("6", ""), ("colum 4", "did you mean column 4?")] {
            let error = at(typed).unwrap_err();
            assert!(
                error.contains("--target") && error.contains(hint),
                "{error}"
            );
        }
        let header = Header::find(&file, &rows("1,2|3,4")).unwrap();
        assert_eq!((header.present, &header.names[1][..]), (false, "column 2"));
    }

    #[test]
    fn hints_stay_short() {
        let names: Vec<String> = (0..1000)
            .map(|n| format!("{n}{}", "é".repeat(200)))
            .collect();
        let hint = near("zzz", names.iter().map(String::as_str));
        assert!(hint.len() < 310 && hint.contains("1000"), "{hint}");
    }
}
