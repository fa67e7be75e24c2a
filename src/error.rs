//! The one error type of the crate. Its kind decides the exit code of the binary.

use std::path::{Path, PathBuf};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, where, and what to do about it, in one or two lines.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A contradictory or absurd request: an option, a value, a layer notation.
    #[error("{0}")]
    Usage(String),
    /// Data or a model file that cannot be used as it is.
    #[error("{0}")]
    Data(String),
    /// No adapter, a lost device.
    #[error("{0}")]
    Device(String),
    /// A device has too little memory for what is asked of it.
    #[error("{0}")]
    Memory(String),
    /// A check failed: a kernel disagrees with its oracle, a loss diverged.
    #[error("{0}")]
    Check(String),
    /// Ctrl-C; everything worth keeping has been saved.
    #[error("interrupted")]
    Interrupted,
    /// The operating system refused to read or write a file.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        path: PathBuf,
        action: String,
        source: std::io::Error,
    },
}

impl Error {
    /// An I/O error with the path and the verb (`read`, `write`, `create`).
    pub fn io(path: impl AsRef<Path>, action: &str, source: std::io::Error) -> Self {
        Error::Io {
            path: path.as_ref().to_path_buf(),
            action: action.to_string(),
            source,
        }
    }

    /// The process exit code: 1 a check failed, 2 could not run, 130 interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Check(_) => 1,
            Error::Interrupted => 130,
            Error::Usage(_)
            | Error::Data(_)
            | Error::Device(_)
            | Error::Memory(_)
            | Error::Io { .. } => 2,
        }
    }
}
