//! TensorBoard event files, written without TensorFlow.
//!
//! A file is a sequence of TFRecords, each an `Event` protocol buffer: first the file's version,
//! then a session's start, then summaries. Both encodings are small and fixed, so they are written
//! by hand: tensorflow/core/lib/io/record_writer.h and tensorflow/core/util/event.proto,
//! tensorflow/core/framework/summary.proto. TensorBoard shows `simple_value` under Scalars and
//! `image` under Images.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Error, Result};

/// Appends events to a file of its own in a folder that TensorBoard reads. What is dropped
/// without [`EventWriter::flush`] is flushed, errors unseen.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: BufWriter<File>,
}

impl EventWriter {
    /// Opens a new event file `events.out.tfevents.SECONDS.HOST.PID` in `dir`, which is made where
    /// it is not there. A resumed run opens another one in the same folder; TensorBoard reads them
    /// one after another and drops, at the second file's start, what it had seen from `first_step`
    /// on. A fresh run starts at 0.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder or the file cannot be made or written.
    pub fn create(dir: &Path, first_step: u64) -> Result<EventWriter> {
        fs::create_dir_all(dir).map_err(|e| Error::io(dir, "create", e))?;
        let now = seconds_since_epoch();
        // TensorBoard reads in the order of names, so a start within the same second, or after the
        // clock was set back, must still come after what is there.
        let latest = latest_start(dir)?;
        let mut start = (now as u64).max(latest.map_or(0, |s| s + 1));
        let (path, file) = loop {
            let name = format!(
                "events.out.tfevents.{start:010}.{}.{}",
                host(),
                std::process::id()
            );
            let path = dir.join(name);
            match File::create_new(&path) {
                Ok(file) => break (path, file),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => start += 1,
                Err(e) => return Err(Error::io(path, "create", e)),
            }
        };
        let mut writer = EventWriter {
            path,
            file: BufWriter::new(file),
        };
        writer.event(now, 0, version())?;
        // Every file starts a session: TensorBoard takes the first start it sees for the run's
        // beginning, and purges at the later ones only.
        writer.event(now, first_step, session_start())?;
        writer.flush()?;
        Ok(writer)
    }

    /// A point of the curve `tag`, such as `loss/train`. `wall_time` is in seconds since 1970;
    /// [`seconds_since_epoch`] is now.
    ///
    /// # Errors
    /// [`Error::Io`] as every method here.
    pub fn scalar(&mut self, tag: &str, step: u64, wall_time: f64, value: f32) -> Result<()> {
        self.event(wall_time, step, scalar_summary(tag, value))
    }

    /// A picture under `tag`: the bytes of a PNG, and its \[width, height\] in pixels.
    pub fn image(
        &mut self,
        tag: &str,
        step: u64,
        wall_time: f64,
        png: &[u8],
        size: [u32; 2],
    ) -> Result<()> {
        self.event(wall_time, step, image_summary(tag, png, size))
    }

    /// Hands everything written so far to the operating system, so that TensorBoard sees it.
    pub fn flush(&mut self) -> Result<()> {
        self.file
            .flush()
            .map_err(|e| Error::io(&self.path, "write", e))
    }

    /// The event file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the event that carries `what`, a field of `Event`.
    fn event(&mut self, wall_time: f64, step: u64, what: Message) -> Result<()> {
        self.file
            .write_all(&event_record(wall_time, step, what))
            .map_err(|e| Error::io(&self.path, "write", e))
    }
}

/// The record of the event that carries `what`. A step of 0 is left out, as proto3 has it.
fn event_record(wall_time: f64, step: u64, what: Message) -> Vec<u8> {
    let mut event = Message::new().double(1, wall_time);
    if step > 0 {
        event = event.varint(2, step);
    }
    event.0.extend(what.0);
    record(&event.0)
}

/// Now, as an event's wall time.
pub fn seconds_since_epoch() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |d| d.as_secs_f64())
}

/// The largest SECONDS among the names of the event files in `dir`.
fn latest_start(dir: &Path) -> Result<Option<u64>> {
    let read = |e| Error::io(dir, "read", e);
    let mut latest = None;
    for entry in fs::read_dir(dir).map_err(read)? {
        let name = entry.map_err(read)?.file_name();
        let start = name
            .to_str()
            .and_then(|name| name.strip_prefix("events.out.tfevents."))
            .and_then(|rest| rest.split('.').next()?.parse().ok());
        latest = latest.max(start);
    }
    Ok(latest)
}

/// The machine's name, for the file's: letters, digits, `-` and `_` of it.
fn host() -> String {
    let name = std::env::var("HOSTNAME")
        .or_else(|_| std::env::var("COMPUTERNAME"))
        .or_else(|_| fs::read_to_string("/etc/hostname"))
        .unwrap_or_default();
    let kept: String = name
        .trim()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_".contains(c) {
                c
            } else {
                '-'
            }
        })
        .take(64)
        .collect();
    if kept.is_empty() {
        "localhost".to_string()
    } else {
        kept
    }
}

/// A protocol buffer message in the making: its fields one after another.
struct Message(Vec<u8>);

impl Message {
    fn new() -> Message {
        Message(Vec::new())
    }

    fn key(&mut self, field: u64, wire_type: u64) {
        self.raw_varint(field << 3 | wire_type);
    }

    /// Seven bits a byte, the lowest first; the top bit says that more follow.
    fn raw_varint(&mut self, mut x: u64) {
        while x >= 0x80 {
            self.0.push(x as u8 | 0x80);
            x >>= 7;
        }
        self.0.push(x as u8);
    }

    fn varint(mut self, field: u64, x: u64) -> Message {
        self.key(field, 0);
        self.raw_varint(x);
        self
    }

    fn double(mut self, field: u64, x: f64) -> Message {
        self.key(field, 1);
        self.0.extend(x.to_le_bytes());
        self
    }

    fn float(mut self, field: u64, x: f32) -> Message {
        self.key(field, 5);
        self.0.extend(x.to_le_bytes());
        self
    }

    fn bytes(mut self, field: u64, x: &[u8]) -> Message {
        self.key(field, 2);
        self.raw_varint(x.len() as u64);
        self.0.extend(x);
        self
    }

    fn message(self, field: u64, x: Message) -> Message {
        self.bytes(field, &x.0)
    }
}

/// `Event.summary` with one value.
fn summary(value: Message) -> Message {
    Message::new().message(5, Message::new().message(1, value))
}

fn scalar_summary(tag: &str, value: f32) -> Message {
    summary(Message::new().bytes(1, tag.as_bytes()).float(2, value))
}

fn image_summary(tag: &str, png: &[u8], [width, height]: [u32; 2]) -> Message {
    let image = Message::new()
        .varint(1, u64::from(height))
        .varint(2, u64::from(width))
        .varint(3, 3) // colour space: RGB
        .bytes(4, png);
    summary(Message::new().bytes(1, tag.as_bytes()).message(4, image))
}

fn version() -> Message {
    Message::new().bytes(3, b"brain.Event:2")
}

fn session_start() -> Message {
    Message::new().message(7, Message::new().varint(1, 1))
}

/// A TFRecord: length (u64), its checksum, the data, their checksum; all little-endian.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    [
        &length[..],
        &masked(crc32c(&length)).to_le_bytes(),
        data,
        &masked(crc32c(data)).to_le_bytes(),
    ]
    .concat()
}

/// The checksum as TFRecords store it, so that a checksum of data with checksums in them works.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli; RFC 3720, appendix B.4), a byte at a time.
fn crc32c(data: &[u8]) -> u32 {
    !data.iter().fold(!0, |crc, &byte| {
        crc >> 8 ^ TABLE[(crc as u8 ^ byte) as usize]
    })
}

/// The remainders of every byte by the reversed polynomial 0x82f63b78.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720, appendix B.4, and the check value of the CRC catalogues.
    #[test]
    fn checksums() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        let rising: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&rising), 0x46dd_794e);
        assert_eq!(crc32c(b""), 0);
    }

    #[test]
    fn varints() {
        let bytes = |x| Message::new().varint(1, x).0;
        assert_eq!(bytes(0), [8, 0]);
        assert_eq!(bytes(127), [8, 0x7f]);
        assert_eq!(bytes(300), [8, 0xac, 0x02]);
        assert_eq!(bytes(u64::MAX).len(), 11);
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// What TensorBoard 2.21's own RecordWriter and protocol buffers write for these events.
    #[test]
    fn records_are_those_of_tensorboard() {
        let record = |step, what| hex(&event_record(1.5, step, what));
        assert_eq!(
            record(0, version()),
            "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c"
        );
        assert_eq!(
            record(300, session_start()),
            "100000000000000095fbfe1809000000000000f83f10ac023a020801713b788a"
        );
        assert_eq!(
            record(300, scalar_summary("loss/train", 0.25)),
            "2100000000000000017becf609000000000000f83f10ac022a130a110a0a6c6f73732f747261\
             696e150000803e6c5611a4"
        );
        assert_eq!(
            record(300, image_summary("curves", b"PNG", [300, 2])),
            "2600000000000000734fe30009000000000000f83f10ac022a180a160a06637572766573220c\
             080210ac0218032203504e47641ae24b"
        );
    }

    #[test]
    fn a_file_begins_with_version_and_start() {
        let dir = tempfile::tempdir().expect("a folder");
        let dir = dir.path().join("tensorboard");
        let mut writer = EventWriter::create(&dir, 7).expect("a file");
        writer.scalar("loss", 7, 2.0, 1.0).expect("a point");
        writer.flush().expect("written");
        let bytes = fs::read(writer.path()).expect("the file");
        let mut events = Vec::new();
        let mut rest = &bytes[..];
        while let Some((head, tail)) = rest.split_at_checked(12) {
            let length = u64::from_le_bytes(head[..8].try_into().expect("eight")) as usize;
            assert_eq!(hex(&record(&tail[..length])), hex(&rest[..length + 16]));
            // Without the wall time, which is the first field.
            events.push(tail[9..length].to_vec());
            rest = &tail[length + 4..];
        }
        assert!(rest.is_empty(), "{} bytes left over", rest.len());
        let step = |what: Message| [&[0x10, 7], &what.0[..]].concat();
        assert_eq!(
            events,
            [
                version().0,
                step(session_start()),
                step(scalar_summary("loss", 1.0))
            ]
        );
    }

    /// TensorBoard reads in the order of names.
    #[test]
    fn a_later_file_sorts_later() {
        let dir = tempfile::tempdir().expect("a folder");
        // As after the clock was set back by many years.
        let first = dir.path().join("events.out.tfevents.9999999990.host.1");
        fs::write(&first, "").expect("a file");
        let names: Vec<PathBuf> = (0..8)
            .map(|step| {
                let writer = EventWriter::create(dir.path(), step).expect("a file");
                writer.path().to_path_buf()
            })
            .collect();
        assert!(first < names[0], "{names:?}");
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("tensorboard");
        fs::write(&path, "").expect("a file");
        let error = EventWriter::create(&path, 0).expect_err("no folder");
        assert!(error.to_string().contains("tensorboard"), "{error}");
    }
}
