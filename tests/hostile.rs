//! Damaged and hostile files: every reader answers with samples or an error, soon, and takes no more
//! memory than the files, or the limits on pictures, warrant.
//!
//! Good files are mutated by a seeded generator: bits, bytes and sizes overwritten, stretches cut,
//! doubled or filled with noise.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use gpu_train::data::{ImageShape, cifar, folder, idx_folder, npz};
use gpu_train::rng::{Purpose, Stream};
use gpu_train::{Error, Result};
use image::{DynamicImage, ImageFormat, RgbImage};

/// Counts what is allocated, and the most that ever was.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grown(by: usize) {
    let live = LIVE.fetch_add(by, Relaxed) + by;
    PEAK.fetch_max(live, Relaxed);
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Held while memory is measured: the tests of one binary run side by side.
static MEASURING: Mutex<()> = Mutex::new(());

const MIB: usize = 1 << 20;
const SLOW: Duration = Duration::from_secs(20);

/// Changes one to four places of `bytes`.
fn mutate(bytes: &[u8], draws: &mut Stream) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=draws.below(4) {
        let len = bytes.len() as u32;
        if len == 0 {
            return bytes;
        }
        // Headers are more telling than what follows: every other change is near the start.
        let reach = if draws.below(2) == 0 {
            len.min(64)
        } else {
            len
        };
        let at = draws.below(reach) as usize;
        let end = at + draws.below(len.min(16)) as usize + 1;
        let end = end.min(bytes.len());
        match draws.below(8) {
            0 => bytes[at] ^= 1 << draws.below(8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][draws.below(5) as usize],
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            5 => bytes[at..end]
                .iter_mut()
                .for_each(|b| *b = draws.next_u32() as u8),
            // Sizes, in either byte order.
            6 | 7 => {
                let size = [
                    0,
                    1,
                    0xffff,
                    0x7fff_ffff,
                    0x8000_0000,
                    u32::MAX,
                    1 << 30,
                    1 << 20,
                ];
                let size = size[draws.below(8) as usize];
                let size = if draws.below(2) == 0 {
                    size.to_le_bytes()
                } else {
                    size.to_be_bytes()
                };
                for (byte, new) in bytes[at..].iter_mut().zip(size) {
                    *byte = new;
                }
            }
            _ => unreachable!(),
        }
    }
    bytes
}

/// Replaces a file by a new one: some file systems flush to the disk what is overwritten in place.
fn renew(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Reads many mutations of `files`, one file at a time, and returns how many were still good.
fn survive<T>(
    what: &str,
    files: &[(&str, Vec<u8>)],
    rounds: u32,
    most: usize,
    read: impl Fn(&Path) -> Result<T>,
) -> u32 {
    let _alone = MEASURING.lock().unwrap_or_else(|e| e.into_inner());
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    assert!(read(dir.path()).is_ok(), "{what}: the good files");
    let (mut good, mut highest) = (0, 0);
    for round in 0..rounds {
        let mut draws = Stream::new(7, Purpose::Init, round);
        let (name, bytes) = &files[draws.below(files.len() as u32) as usize];
        let path = dir.path().join(name);
        renew(&path, &mutate(bytes, &mut draws));

        let before = LIVE.load(Relaxed);
        PEAK.store(before, Relaxed);
        let start = Instant::now();
        let result = read(dir.path());
        let (took, peak) = (start.elapsed(), PEAK.load(Relaxed) - before);
        highest = highest.max(peak);
        assert!(took < SLOW, "{what}, round {round}: {took:?}");
        assert!(peak <= most, "{what}, round {round}: {} MiB", peak / MIB);
        match result {
            Ok(_) => good += 1,
            Err(error) => {
                assert!(
                    matches!(error, Error::Data(_)),
                    "{what}, round {round}: {error}"
                );
                let message = error.to_string();
                let named = message.contains(dir.path().to_str().unwrap());
                assert!(named && message.lines().count() <= 2, "{what}: {message}");
            }
        }
        renew(&path, bytes);
    }
    println!(
        "{what}: {good} of {rounds} still read, at most {} KiB",
        highest >> 10
    );
    good
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), Default::default());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn idx(dims: &[u32], data: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    bytes.extend(dims.iter().flat_map(|dim| dim.to_be_bytes()));
    bytes.extend(data);
    bytes
}

#[test]
fn idx_folders_survive_mutation() {
    let images = |n: u32| idx(&[n, 5, 4], (0..n * 20).map(|i| (i * i) as u8));
    let labels = |n: u32| idx(&[n], (0..n).map(|i| (i % 3) as u8));
    let raw = [
        ("train-images-idx3-ubyte", images(9)),
        ("train-labels-idx1-ubyte", labels(9)),
        ("t10k-images-idx3-ubyte", images(4)),
        ("t10k-labels-idx1-ubyte", labels(4)),
    ];
    let packed = raw.clone().map(|(name, bytes)| (name, gz(&bytes)));
    for (what, files) in [("idx", raw), ("idx.gz", packed)] {
        let good = survive(what, &files, 3000, 2 * MIB, idx_folder::read);
        assert!(good < 2000, "most mutations must be noticed: {good}");
    }
}

#[test]
fn npz_archives_survive_mutation() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/npz");
    for name in [
        "keras.npz",
        "channels-last.npz",
        "channels-first.npz",
        "values.npz",
    ] {
        let bytes = fs::read(folder.join(name)).unwrap();
        let read = |dir: &Path| npz::read(&dir.join(name));
        survive(name, &[(name, bytes)], 3000, 4 * MIB, read);
    }
}

#[test]
fn cifar_records_survive_mutation() {
    let records = |n: u32| {
        (0..n * 3073).map(|i| {
            if i % 3073 == 0 {
                (i / 3073 % 7) as u8
            } else {
                i as u8
            }
        })
    };
    let names = "airplane automobile bird cat deer dog frog horse ship truck".replace(' ', "\n");
    let files = [
        ("data_batch_1.bin", records(3).collect()),
        ("test_batch.bin", records(2).collect()),
        ("batches.meta.txt", names.into_bytes()),
    ];
    survive("cifar", &files, 2000, MIB, cifar::read);
}

/// The decoders' own limit is 512 MiB, and the decoded picture may take as much once more.
const MOST_FOR_PICTURES: usize = 1100 * MIB;

fn encoded(format: ImageFormat) -> Vec<u8> {
    let colour = RgbImage::from_fn(19, 13, |x, y| image::Rgb([x as u8 * 13, y as u8 * 19, 77]));
    let mut bytes = Cursor::new(Vec::new());
    let image = match format {
        ImageFormat::Gif => DynamicImage::from(DynamicImage::from(colour).into_rgba8()),
        _ => colour.into(),
    };
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

#[test]
fn pictures_survive_mutation() {
    let shape = ImageShape {
        channels: 3,
        height: 8,
        width: 8,
    };
    for format in [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::Bmp,
        ImageFormat::Gif,
        ImageFormat::WebP,
        ImageFormat::Pnm,
    ] {
        let read = |dir: &Path| folder::load_one(&dir.join("picture"), shape);
        let files = [("picture", encoded(format))];
        survive(
            &format!("{format:?}"),
            &files,
            1000,
            MOST_FOR_PICTURES,
            read,
        );
    }
}

/// A folder of which a third is damaged gives the others.
#[test]
fn folders_of_damaged_pictures_survive() {
    let _alone = MEASURING.lock().unwrap_or_else(|e| e.into_inner());
    let dir = tempfile::tempdir().unwrap();
    let formats = [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::Gif,
        ImageFormat::WebP,
    ];
    let mut draws = Stream::new(8, Purpose::Init, 0);
    for (class, ix) in [("a", 0), ("b", 1)]
        .iter()
        .flat_map(|&(c, _)| (0..90).map(move |ix| (c, ix)))
    {
        let format = formats[ix % 4];
        let path = dir.path().join(class).join(format!("{ix:02}.png"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let bytes = encoded(format);
        let bytes = if ix % 3 == 0 {
            mutate(&bytes, &mut draws)
        } else {
            bytes
        };
        fs::write(path, bytes).unwrap();
    }
    let options = folder::ImageOptions {
        size: Some((10, 10)),
        ..Default::default()
    };
    let source = folder::read(dir.path(), &options).unwrap();
    let n = source.names.len();
    assert!((120..180).contains(&n), "{n}");
    assert!(
        source
            .notes
            .iter()
            .any(|note| note.contains("broken picture")),
        "{:?}",
        source.notes
    );
}
