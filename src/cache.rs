//! The program's cache folder: what was measured or compiled once and saves time the next time.
//!
//! Nothing in it is needed: a folder that cannot be written, a file that is damaged, foreign or
//! another version's is as good as none, and is written anew where that is possible.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The folder in the environment; an empty value switches caching off.
pub const VARIABLE: &str = "GPU_TRAIN_CACHE";

/// First line of every file: another version's content is not looked at.
const HEADING: &str = concat!("gpu-train cache ", env!("CARGO_PKG_VERSION"));

/// Files larger than this are left alone: they are not this program's.
const MAX_BYTES: u64 = 256 << 20;

/// A folder of cached content, by kind and key; or none, which holds nothing and keeps nothing.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    folder: Option<PathBuf>,
}

impl Cache {
    /// The folder that the environment names: [`VARIABLE`], else the system's place for caches.
    pub fn from_env() -> Cache {
        let folder = match std::env::var_os(VARIABLE) {
            Some(folder) => Some(PathBuf::from(folder)).filter(|f| !f.as_os_str().is_empty()),
            None => of_system().map(|caches| caches.join("gpu-train")),
        };
        Cache { folder }
    }

    /// A folder of the caller's own.
    pub fn at(folder: &Path) -> Cache {
        Cache {
            folder: Some(folder.to_path_buf()),
        }
    }

    /// No folder.
    pub fn none() -> Cache {
        Cache::default()
    }

    /// Whether there is a folder.
    pub fn is_there(&self) -> bool {
        self.folder.is_some()
    }

    /// What was kept last under this kind and key.
    pub fn read(&self, kind: &str, key: &str) -> Option<Vec<u8>> {
        let path = self.path(kind, key)?;
        if fs::metadata(&path).ok()?.len() > MAX_BYTES {
            return None;
        }
        let mut bytes = fs::read(path).ok()?;
        let heading = heading(key);
        let content = bytes.strip_prefix(heading.as_bytes())?;
        let (sum, content) = content.split_first_chunk::<8>()?;
        if u64::from_le_bytes(*sum) != fnv1a(content) {
            return None;
        }
        let start = bytes.len() - content.len();
        Some(bytes.split_off(start))
    }

    /// Keeps `content` under this kind and key, in place of what was there. Written under a name of
    /// this process's own and renamed, so that two processes at once leave one of both files whole.
    pub fn write(&self, kind: &str, key: &str, content: &[u8]) {
        // A number of its own for every write of this process.
        static WRITES: AtomicU32 = AtomicU32::new(0);
        let Some(path) = self.path(kind, key) else {
            return;
        };
        let mut bytes = heading(key).into_bytes();
        bytes.extend(fnv1a(content).to_le_bytes());
        bytes.extend(content);
        let (process, ix) = (std::process::id(), WRITES.fetch_add(1, Ordering::Relaxed));
        let partial = path.with_extension(format!("{process}-{ix}.partial"));
        // Best effort: without its cache the program is slower, not wrong.
        let made = path.parent().map(fs::create_dir_all);
        let written = made.is_some_and(|made| made.is_ok())
            && fs::write(&partial, bytes).is_ok()
            && fs::rename(&partial, &path).is_ok();
        if !written {
            let _ = fs::remove_file(&partial);
        }
    }

    /// The key itself may hold anything, such as an adapter's name: the file is named by its hash.
    fn path(&self, kind: &str, key: &str) -> Option<PathBuf> {
        let name = format!("{kind}-{:016x}", fnv1a(key.as_bytes()));
        Some(self.folder.as_ref()?.join(name))
    }
}

/// What a file begins with: the version, and the key in full, since two may share a hash.
fn heading(key: &str) -> String {
    format!("{HEADING}\n{}\n{key}\n", key.len())
}

/// The system's folder for caches: `XDG_CACHE_HOME` or `~/.cache`, `~/Library/Caches`,
/// `%LOCALAPPDATA%`.
fn of_system() -> Option<PathBuf> {
    // A relative path would leave files wherever the program is started.
    let absolute = |variable: &str| {
        let path = std::env::var_os(variable).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    if cfg!(windows) {
        absolute("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        absolute("HOME").map(|home| home.join("Library/Caches"))
    } else {
        absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))
    }
}

/// The 64-bit FNV-1a hash (Fowler, Noll, Vo): of names, and against damage, not against malice.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The one file of a folder.
    fn file(folder: &Path) -> PathBuf {
        let mut entries = fs::read_dir(folder).unwrap();
        let path = entries.next().unwrap().unwrap().path();
        assert!(entries.next().is_none(), "more than one file");
        path
    }

    #[test]
    fn content_comes_back_by_kind_and_key() {
        let temp = tempfile::tempdir().unwrap();
        let cache = Cache::at(&temp.path().join("made/on/demand"));
        assert_eq!(cache.read("kind", "a/b\n\u{e9}"), None);
        cache.write("kind", "a/b\n\u{e9}", b"one");
        cache.write("kind", "a/b\n\u{e9}", b"two");
        assert_eq!(cache.read("kind", "a/b\n\u{e9}").unwrap(), b"two");
        assert_eq!(cache.read("kind", "other"), None);
        assert_eq!(cache.read("other", "a/b\n\u{e9}"), None);
        cache.write("empty", "", b"");
        assert_eq!(cache.read("empty", "").unwrap(), b"");
    }

    #[test]
    fn damaged_and_foreign_files_are_as_good_as_none() {
        let temp = tempfile::tempdir().unwrap();
        let cache = Cache::at(temp.path());
        cache.write("kind", "key", b"content of some length");
        let path = file(temp.path());
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs::write(&path, &bytes).unwrap();
            assert_eq!(cache.read("kind", "key"), None, "byte {at} was changed");
            fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(cache.read("kind", "key"), None, "cut to {at} bytes");
        }
        // Another key of the same hash, as it were.
        cache.write("kind", "yek", b"of another");
        fs::rename(cache.path("kind", "yek").unwrap(), &path).unwrap();
        assert_eq!(cache.read("kind", "key"), None);
        cache.write("kind", "key", b"anew");
        assert_eq!(cache.read("kind", "key").unwrap(), b"anew");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_no_failure() {
        let temp = tempfile::tempdir().unwrap();
        let taken = temp.path().join("taken");
        fs::write(&taken, b"a file").unwrap();
        for cache in [
            Cache::none(),
            Cache::at(&taken),
            Cache::at(&taken.join("below")),
        ] {
            cache.write("kind", "key", b"content");
            assert_eq!(cache.read("kind", "key"), None);
        }
    }

    #[test]
    fn writers_at_once_leave_one_whole_file() {
        let temp = tempfile::tempdir().unwrap();
        let cache = Cache::at(temp.path());
        std::thread::scope(|scope| {
            for writer in 0..4u8 {
                let cache = &cache;
                scope.spawn(move || {
                    for _ in 0..50 {
                        cache.write("kind", "key", &[writer; 5000]);
                        let read = cache.read("kind", "key").expect("one is always there");
                        assert!(read.len() == 5000 && read.iter().all(|b| *b == read[0]));
                    }
                });
            }
        });
        file(temp.path());
    }
}
