//! The lock beside a journal, as Optuna's `JournalFileSymlinkLock`: whoever makes the link `FILE.lock`
//! may write. Making a link is atomic on network file systems too.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::OnWait;
use crate::{Error, Result};

/// A lock that stays for longer was left behind; Optuna's grace period.
const GRACE: Duration = Duration::from_secs(30);
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// A lock that is held, until it is dropped.
pub struct Lock {
    link: PathBuf,
    /// A name of its own for the way out.
    worker: String,
}

impl Lock {
    /// Waits for the lock of a file, and takes it by force where its holder seems dead. `worker` is
    /// unique among all programs.
    ///
    /// # Errors
    /// [`Error::Io`] where no link can be made.
    pub fn acquire(file: &Path, worker: &str, on_wait: &OnWait) -> Result<Lock> {
        Self::acquire_after(GRACE, file, worker, on_wait)
    }

    fn acquire_after(grace: Duration, file: &Path, worker: &str, on_wait: &OnWait) -> Result<Lock> {
        let link = with_suffix(file, ".lock");
        let target = std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf());
        let mut wait = Duration::from_millis(1);
        let mut seen: Option<(SystemTime, Instant)> = None;
        loop {
            match make_link(&target, &link) {
                Ok(()) => {
                    let worker = worker.to_string();
                    return Ok(Lock { link, worker });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io(link, "create", error)),
            }
            // When it was made shows whether it is the same link still.
            let made = fs::symlink_metadata(&link).and_then(|link| link.modified());
            seen = match (made, seen) {
                (Ok(made), Some((had, since))) if made == had => Some((made, since)),
                (Ok(made), _) => Some((made, Instant::now())),
                (Err(_), _) => None,
            };
            if seen.is_some_and(|(_, since)| since.elapsed() > grace) {
                on_wait(&format!(
                    "{} was left behind and is removed",
                    link.display()
                ));
                remove(&link, worker);
                seen = None;
            }
            std::thread::sleep(wait);
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        remove(&self.link, &self.worker);
    }
}

/// Removes a link by way of another name, so that of two who do so one alone removes it.
fn remove(link: &Path, worker: &str) {
    let gone = with_suffix(link, &format!("{worker}.rename"));
    if fs::rename(link, &gone).is_ok() {
        // What stays under that name is in nobody's way.
        let _ = fs::remove_file(&gone);
    }
}

/// A link, or where there are none a file (Optuna's `JournalFileOpenLock`, which respects both).
fn make_link(target: &Path, link: &Path) -> io::Result<()> {
    #[cfg(unix)]
    match std::os::unix::fs::symlink(target, link) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {}
        done => return done,
    }
    #[cfg(not(unix))]
    let _ = target;
    let file = OpenOptions::new().write(true).create_new(true).open(link);
    file.map(drop)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn silent() -> OnWait {
        Box::new(|word| panic!("{word}"))
    }

    #[test]
    fn one_alone_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log");
        let lock = Lock::acquire(&file, "a", &silent()).unwrap();
        let is_free = Mutex::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _lock = Lock::acquire(&file, "b", &silent()).unwrap();
                assert!(*is_free.lock().unwrap(), "two hold it");
            });
            std::thread::sleep(Duration::from_millis(50));
            *is_free.lock().unwrap() = true;
            drop(lock);
        });
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn one_that_was_left_behind_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log");
        std::mem::forget(Lock::acquire(&file, "dead", &silent()).unwrap());
        let words = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&words);
        let on_wait: OnWait = Box::new(move |word| heard.lock().unwrap().push(word.to_string()));
        let grace = Duration::from_millis(200);
        let before = Instant::now();
        let lock = Lock::acquire_after(grace, &file, "b", &on_wait).unwrap();
        assert!(before.elapsed() > grace);
        assert_eq!(words.lock().unwrap().len(), 1);
        drop(lock);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let error = Lock::acquire(Path::new("/nowhere/log"), "a", &silent());
        assert!(error.is_err());
    }
}
