//! Opens the files of data sets.

use std::fs::File;
use std::path::Path;

use crate::{Error, Result};

/// Opens a regular file and says how many bytes it has.
///
/// # Errors
/// [`Error::Io`] where it cannot be opened, [`Error::Data`] where it is a folder, a pipe or a device.
pub fn regular(path: &Path) -> Result<(File, u64)> {
    let io = |source| Error::io(path, "read", source);
    let meta = std::fs::metadata(path).map_err(io)?;
    // Opening a pipe may wait for ever.
    if !meta.is_file() {
        let what = if meta.is_dir() {
            "a folder where a file belongs"
        } else {
            "not a regular file"
        };
        return Err(Error::Data(format!("{}: {what}", path.display())));
    }
    Ok((File::open(path).map_err(io)?, meta.len()))
}

/// The names of what lies in a folder, sorted; names that are not Unicode are left out.
///
/// # Errors
/// [`Error::Io`] where it cannot be listed.
pub fn names_in(folder: &Path) -> Result<Vec<String>> {
    let io = |source| Error::io(folder, "read", source);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        names.extend(entry.map_err(io)?.file_name().into_string().ok());
    }
    names.sort_unstable();
    Ok(names)
}
