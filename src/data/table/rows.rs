//! The rows of a table file, streamed: separator, encoding, width, and where a row lies.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use csv::ByteRecord;

use crate::{Error, Result};

/// How much of a file is looked at to find its separator and encoding.
const HEAD: u64 = 64 * 1024;
const BUFFER: usize = 256 * 1024;
/// More columns are taken for a mistake.
const MAX_COLUMNS: usize = 100_000;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// A table file whose separator is known.
#[derive(Clone, Debug)]
pub struct TableFile {
    pub path: PathBuf,
    pub separator: u8,
    /// What was found that the file's name does not say.
    pub notes: Vec<String>,
    /// The size in bytes, byte-order mark not counted.
    pub len: u64,
    /// Where the first row begins: after the byte-order mark.
    start: u64,
}

impl TableFile {
    /// Looks at the beginning of the file. The separator is a tab in a `.tsv`, else a comma; another
    /// one that the first line has more of is taken instead, with a note.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Data`] where it is no file, empty, or no text in an ASCII superset.
    pub fn open(path: &Path) -> Result<TableFile> {
        let io = |e| Error::io(path, "read", e);
        let bad = |what: &str| Err(Error::Data(format!("{}: {what}", path.display())));
        let mut file = File::open(path).map_err(io)?;
        let meta = file.metadata().map_err(io)?;
        if !meta.is_file() {
            return bad(match meta.is_dir() {
                true => "a folder, where a table belongs",
                false => "no regular file; a table may be read twice, which a pipe cannot be",
            });
        }
        let mut head = Vec::new();
        file.by_ref()
            .take(HEAD)
            .read_to_end(&mut head)
            .map_err(io)?;
        if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
            return bad("the text is UTF-16; save it as UTF-8");
        }
        if head.contains(&0) {
            return bad("binary data, not a table of text; save it as CSV (UTF-8)");
        }
        let text = head.strip_prefix(BOM).unwrap_or(&head);
        if text.trim_ascii().is_empty() {
            return bad("the file is empty");
        }
        let start = (head.len() - text.len()) as u64;
        let (separator, note) = separator(path, text);
        Ok(TableFile {
            path: path.to_path_buf(),
            separator,
            notes: note.into_iter().collect(),
            len: meta.len() - start,
            start,
        })
    }

    /// The rows from the first on.
    pub fn rows(&self) -> Result<Rows<'_>> {
        Ok(Rows {
            file: self,
            reader: csv::ReaderBuilder::new()
                .delimiter(self.separator)
                .has_headers(false)
                .flexible(true)
                .buffer_capacity(BUFFER)
                .from_reader(self.seek()?),
            width: None,
        })
    }

    fn seek(&self) -> Result<File> {
        let io = |e| Error::io(&self.path, "read", e);
        let mut file = File::open(&self.path).map_err(io)?;
        file.seek(SeekFrom::Start(self.start)).map_err(io)?;
        Ok(file)
    }

    /// The line, from 1, of the first row at or after `byte`, which counts from the first row's. It
    /// is looked up when an error or a note needs it; blank lines count, as in an editor.
    pub fn line(&self, byte: u64) -> Result<u64> {
        let mut file = self.seek()?;
        let (mut at, mut line, mut last) = (0, 1, 0);
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = file.read(&mut buffer);
            let read = read.map_err(|e| Error::io(&self.path, "read", e))?;
            if read == 0 {
                return Ok(line);
            }
            for &now in &buffer[..read] {
                let ends = matches!(now, b'\n' | b'\r');
                if at >= byte && !ends {
                    return Ok(line);
                }
                // CR LF is one end of line.
                line += u64::from(ends && !(now == b'\n' && last == b'\r'));
                (last, at) = (now, at + 1);
            }
        }
    }

    /// "FILE: what", without a place in it.
    pub fn error(&self, what: impl std::fmt::Display) -> Error {
        Error::Data(format!("{}: {what}", self.path.display()))
    }

    /// "FILE: line N, column NAME: what".
    pub fn error_at(&self, byte: u64, column: &str, what: impl std::fmt::Display) -> Error {
        match self.line(byte) {
            Ok(line) => self.error(format!("line {line}, column {column:?}: {what}")),
            Err(error) => error,
        }
    }
}

/// The separator, and what to say where it is not the one that the file's name promises.
fn separator(path: &Path, text: &[u8]) -> (u8, Option<String>) {
    let extension = path.extension().unwrap_or_default();
    let expected = if extension.eq_ignore_ascii_case("tsv") || extension.eq_ignore_ascii_case("tab")
    {
        b'\t'
    } else {
        b','
    };
    // Separators of the first line that is not blank, outside quotes.
    let mut counts = [0usize; 256];
    let mut quoted = false;
    for &byte in text.trim_ascii_start() {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => break,
            _ if !quoted => counts[usize::from(byte)] += 1,
            _ => {}
        }
    }
    let count = |byte: u8| counts[usize::from(byte)];
    let most = [b',', b';', b'\t']
        .into_iter()
        .fold(expected, |best, byte| {
            if count(byte) > count(best) {
                byte
            } else {
                best
            }
        });
    let note = (most != expected).then(|| {
        let name = match most {
            b';' => "semicolons",
            b'\t' => "tabs",
            _ => "commas",
        };
        format!("the cells are separated by {name}")
    });
    (most, note)
}

/// A reader of the rows of one file, all of one width.
pub struct Rows<'a> {
    file: &'a TableFile,
    reader: csv::Reader<File>,
    width: Option<usize>,
}

impl Rows<'_> {
    /// Reads the next row into `row`, `false` at the end. Blank lines are skipped.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Data`] where the row is not as wide as the first.
    pub fn next(&mut self, row: &mut ByteRecord) -> Result<bool> {
        let more = self.reader.read_byte_record(row).map_err(|error| {
            let path = &self.file.path;
            match error.into_kind() {
                csv::ErrorKind::Io(e) => Error::io(path, "read", e),
                kind => self.file.error(format!("{kind:?}")),
            }
        })?;
        if !more {
            return Ok(false);
        }
        match self.width {
            Some(width) if row.len() != width => {
                let line = self.file.line(byte(row))?;
                let open = row.iter().any(|cell| cell.contains(&b'\n'));
                let quote = if open {
                    " (a quote that is not closed?)"
                } else {
                    ""
                };
                let (cells, name) = (count(row.len(), "cell"), self.file.path.display());
                Err(Error::Data(format!(
                    "{name}: line {line} has {cells} where the rows above have {width}{quote}"
                )))
            }
            None if row.len() > MAX_COLUMNS => Err(self.file.error(format!(
                "{} columns, at most {MAX_COLUMNS} are taken",
                row.len()
            ))),
            _ => {
                self.width = Some(row.len());
                Ok(true)
            }
        }
    }

    /// The bytes read so far.
    pub fn position(&self) -> u64 {
        self.reader.position().byte()
    }
}

/// Where the row begins, in bytes from the first one; blank lines may lie between.
pub fn byte(row: &ByteRecord) -> u64 {
    row.position().map_or(0, csv::Position::byte)
}

/// "1 row", "2 rows".
pub fn count(n: usize, what: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{n} {what}{s}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &[u8]) -> (tempfile::TempDir, Result<TableFile>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let file = TableFile::open(&path);
        (folder, file)
    }

    #[test]
    fn the_separator_is_by_name_unless_the_first_line_says_otherwise() {
        for (name, text, want, noted) in [
            ("a.csv", "x,y\n", b',', false),
            ("a.csv", "x;y\n1,5;2\n", b';', true),
            ("a.csv", "\"a;b;c\",y\n", b',', false),
            ("a.csv", "\n\nx\ty\n", b'\t', true),
            ("a.csv", "x\n", b',', false),
            ("a.tsv", "x\ty, z, w?\tb\tc\n", b'\t', false),
            ("a.TSV", "x,y\n", b',', true),
            ("a.tsv", "x\n", b'\t', false),
        ] {
            let file = file(name, text.as_bytes()).1.unwrap();
            assert_eq!(file.separator, want, "{text:?}");
            assert_eq!(!file.notes.is_empty(), noted, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_text_is_refused() {
        for (text, want) in [
            (&b""[..], "empty"),
            (b" \r\n\n", "empty"),
            (b"\xef\xbb\xbf", "empty"),
            (b"\xff\xfea\0,\0", "UTF-16"),
            (b"PK\x03\x04\0\0", "binary"),
        ] {
            let error = file("a.csv", text).1.unwrap_err().to_string();
            assert!(error.contains(want) && error.contains("a.csv"), "{error}");
        }
        let folder = tempfile::tempdir().unwrap();
        let error = TableFile::open(folder.path()).unwrap_err();
        assert!(error.to_string().contains("a folder"), "{error}");
        assert!(TableFile::open(&folder.path().join("none.csv")).is_err());
    }

    #[test]
    fn lines_are_an_editors() {
        for newline in ["\n", "\r\n", "\r"] {
            for mark in ["", "\u{feff}"] {
                let text = format!("{mark}a,b|1,2|||3,\"x|y\"|4,5|").replace('|', newline);
                let (_folder, file) = file("a.csv", text.as_bytes());
                let file = file.unwrap();
                let (mut rows, mut row) = (file.rows().unwrap(), ByteRecord::new());
                let mut lines = Vec::new();
                while rows.next(&mut row).unwrap() {
                    lines.push((file.line(byte(&row)).unwrap(), row[0].to_vec()));
                }
                let want = [(1, "a"), (2, "1"), (5, "3"), (7, "4")];
                let want: Vec<_> = want.map(|(line, cell)| (line, cell.into())).into();
                assert_eq!(lines, want, "{text:?}");
            }
        }
    }

    #[test]
    fn rows_of_another_width_are_refused_with_their_line() {
        let refusal = |text: &str| {
            let (_folder, file) = file("a.csv", text.as_bytes());
            let file = file.unwrap();
            let (mut rows, mut row) = (file.rows().unwrap(), ByteRecord::new());
            loop {
                match rows.next(&mut row) {
                    Ok(true) => {}
                    Ok(false) => return None,
                    Err(error) => return Some(error.to_string()),
                }
            }
        };
        let error = refusal("a,b\n1,2\n\n3\n").unwrap();
        assert!(error.contains("line 4 has 1 cell where"), "{error}");
        assert!(!error.contains("quote"), "{error}");
        let error = refusal("a,b\n\"1,2\n3,4\n").unwrap();
        assert!(error.contains("line 2 has 1 cell where"), "{error}");
        assert!(error.contains("a quote that is not closed"), "{error}");
        // An open quote in the last cell takes the rest of the file into it: the width is right.
        assert_eq!(refusal("a,b\n1,\"2\n3,4\n"), None);
    }
}
