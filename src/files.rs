//! Writing files so that a kill at any moment leaves the old one or the new one, whole.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::{Error, Result};

/// Writes `bytes` to a temporary file beside `path`, flushes it to the disk and renames it.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    // A link keeps pointing where it points; a device or a pipe cannot be renamed over.
    let target = std::fs::canonicalize(path);
    let path = target.as_deref().unwrap_or(path);
    if path.exists() && !path.is_file() {
        return fs::write(path, bytes).map_err(|e| Error::io(path, "write", e));
    }
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".partial");
    let partial = path.with_file_name(name);
    let written = File::create(&partial).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(e) = written {
        // Best effort: the write has failed already, and that is what is reported.
        let _ = fs::remove_file(&partial);
        return Err(Error::io(path, "write", e));
    }
    fs::rename(&partial, path).map_err(|e| {
        let _ = fs::remove_file(&partial);
        Error::io(path, "write", e)
    })
}
