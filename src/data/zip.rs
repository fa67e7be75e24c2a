//! Reads members of a zip archive: the part of the format that .npz files use, stored and deflated
//! members with or without ZIP64 fields.
//!
//! Source: PKWARE's APPNOTE 6.3. A general zip crate brings ciphers, names as paths and writing.

use std::fs::File;
use std::io::{BufReader, Error, ErrorKind, Read, Result, Seek, SeekFrom};

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

/// The longest end record: 22 bytes and a comment.
const END_SPAN: u64 = 22 + 0xffff;

/// What the central directory says of a member.
#[derive(Clone, Debug)]
struct Entry {
    name: String,
    encrypted: bool,
    method: u16,
    crc: u32,
    packed: u64,
    size: u64,
    /// Where its local header begins.
    offset: u64,
}

pub struct Archive {
    file: File,
    entries: Vec<Entry>,
}

fn bad(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidData, what.into())
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

impl Archive {
    /// Reads the central directory of `file`, which has `len` bytes.
    ///
    /// # Errors
    /// Of the kind `InvalidData` where this is no zip archive.
    pub fn open(mut file: File, len: u64) -> Result<Archive> {
        let directory = read_directory(&mut file, len)?;
        let mut entries = Vec::new();
        let mut rest = &directory[..];
        while rest.starts_with(b"PK\x01\x02") {
            let (entry, used) =
                read_entry(rest).ok_or_else(|| bad("its directory is cut short"))?;
            entries.push(entry);
            rest = &rest[used..];
        }
        Ok(Archive { file, entries })
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    /// The contents of a member; nothing where there is none of that name. Reading fails at the end
    /// where length or checksum are not as recorded.
    pub fn member(&mut self, name: &str) -> Result<Option<Box<dyn Read + '_>>> {
        let Some(entry) = self.entries.iter().find(|entry| entry.name == name) else {
            return Ok(None);
        };
        if entry.encrypted {
            return Err(bad("it is encrypted"));
        }
        let mut local = [0; 30];
        self.file.seek(SeekFrom::Start(entry.offset))?;
        self.file.read_exact(&mut local)?;
        let (true, Some(n_name), Some(n_extra)) = (
            local.starts_with(b"PK\x03\x04"),
            u16_at(&local, 26),
            u16_at(&local, 28),
        ) else {
            return Err(bad("its directory points to no member"));
        };
        self.file
            .seek(SeekFrom::Current(i64::from(n_name) + i64::from(n_extra)))?;
        let packed = BufReader::with_capacity(1 << 16, (&self.file).take(entry.packed));
        let inner: Box<dyn Read> = match entry.method {
            0 => Box::new(packed),
            8 => Box::new(DeflateDecoder::new(packed)),
            other => return Err(bad(format!("compression method {other} is not supported"))),
        };
        Ok(Some(Box::new(Checked {
            inner,
            crc: Crc::new(),
            read: 0,
            wanted: (entry.size, entry.crc),
        })))
    }
}

/// The bytes of the central directory, found from the end of the file.
fn read_directory(file: &mut File, len: u64) -> Result<Vec<u8>> {
    let none = || bad("there is no zip directory at its end");
    let tail_at = len.saturating_sub(END_SPAN);
    let tail = read_at(file, tail_at, len - tail_at)?;
    let end = (0..tail.len().saturating_sub(21))
        .rev()
        .find(|&at| {
            tail[at..].starts_with(b"PK\x05\x06")
                && u16_at(&tail, at + 20).is_some_and(|n| at + 22 + usize::from(n) <= tail.len())
        })
        .ok_or_else(none)?;
    let mut size = u32_at(&tail, end + 12).map(u64::from).ok_or_else(none)?;
    let mut offset = u32_at(&tail, end + 16).map(u64::from).ok_or_else(none)?;
    if (size == u64::from(u32::MAX) || offset == u64::from(u32::MAX))
        && let Some(locator) = end.checked_sub(20)
        && tail[locator..].starts_with(b"PK\x06\x07")
    {
        let at = u64_at(&tail, locator + 8).ok_or_else(none)?;
        if at.checked_add(56).is_none_or(|end| end > len) {
            return Err(none());
        }
        let record = read_at(file, at, 56)?;
        if !record.starts_with(b"PK\x06\x06") {
            return Err(none());
        }
        size = u64_at(&record, 40).ok_or_else(none)?;
        offset = u64_at(&record, 48).ok_or_else(none)?;
    }
    if offset.checked_add(size).is_none_or(|end| end > len) {
        return Err(bad("it is cut short"));
    }
    read_at(file, offset, size)
}

/// `n` bytes, all of which lie within the file.
fn read_at(file: &mut File, at: u64, n: u64) -> Result<Vec<u8>> {
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    (&mut *file).take(n).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// One entry of the central directory, and its length.
fn read_entry(bytes: &[u8]) -> Option<(Entry, usize)> {
    let n_name = usize::from(u16_at(bytes, 28)?);
    let n_extra = usize::from(u16_at(bytes, 30)?);
    let n_comment = usize::from(u16_at(bytes, 32)?);
    let name = bytes.get(46..46 + n_name)?;
    let mut extra = bytes.get(46 + n_name..46 + n_name + n_extra)?;
    let mut entry = Entry {
        name: String::from_utf8_lossy(name).into_owned(),
        encrypted: u16_at(bytes, 8)? & 1 == 1,
        method: u16_at(bytes, 10)?,
        crc: u32_at(bytes, 16)?,
        packed: u32_at(bytes, 20)?.into(),
        size: u32_at(bytes, 24)?.into(),
        offset: u32_at(bytes, 42)?.into(),
    };
    while let (Some(id), Some(n)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let field = extra.get(4..4 + usize::from(n))?;
        if id == 1 {
            // ZIP64: in this order, those that did not fit into 32 bits.
            let mut at = 0;
            for value in [&mut entry.size, &mut entry.packed, &mut entry.offset] {
                if *value == u64::from(u32::MAX) {
                    *value = u64_at(field, at)?;
                    at += 8;
                }
            }
        }
        extra = &extra[4 + usize::from(n)..];
    }
    let used = 46 + n_name + n_extra + n_comment;
    (used <= bytes.len()).then_some((entry, used))
}

/// Compares length and checksum at the end.
struct Checked<R> {
    inner: R,
    crc: Crc,
    read: u64,
    wanted: (u64, u32),
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let n = self.inner.read(buffer)?;
        self.crc.update(&buffer[..n]);
        self.read += n as u64;
        if n == 0 && !buffer.is_empty() && (self.read, self.crc.sum()) != self.wanted {
            return Err(bad("the checksum differs"));
        }
        Ok(n)
    }
}
