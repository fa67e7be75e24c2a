//! Decodes all pictures of a folder in parallel, straight into the samples' pixels.

use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rayon::prelude::*;

use super::count;
use super::walk::Layout;
use crate::data::ImageShape;
use crate::data::picture::file::{Scratch, decode};
use crate::data::picture::fit::{self, Change};
use crate::{Error, Result};

/// The samples of all parts, broken pictures left out.
pub struct Loaded {
    pub classes: Vec<String>,
    /// `[N, C*H*W]`
    pub pixels: Vec<u8>,
    pub labels: Vec<u32>,
    pub val: Option<Range<usize>>,
    pub test: Option<Range<usize>>,
    pub names: Vec<String>,
}

/// How many pictures were changed in which way.
#[derive(Default)]
struct Counts {
    resized: AtomicUsize,
    aspect: AtomicUsize,
    transparent: AtomicUsize,
    greyed: AtomicUsize,
    turned: AtomicUsize,
}

impl Counts {
    fn add(&self, change: Change, turned: bool) {
        let pairs = [
            (change.resized, &self.resized),
            (change.resized && change.aspect, &self.aspect),
            (change.transparent, &self.transparent),
            (change.greyed, &self.greyed),
            (turned, &self.turned),
        ];
        for (_, counter) in pairs.iter().filter(|pair| pair.0) {
            counter.fetch_add(1, Relaxed);
        }
    }

    fn describe(&self, shape: ImageShape, notes: &mut Vec<String>) {
        let resized = self.resized.load(Relaxed);
        if resized > 0 {
            let aspect = match self.aspect.load(Relaxed) {
                0 => String::new(),
                n => format!(", the aspect ratio of {n} changed"),
            };
            let n = count(resized, "picture");
            let (width, height) = (shape.width, shape.height);
            notes.push(format!("{n} resized to {width}x{height}{aspect}"));
        }
        let others = [
            (&self.greyed, "turned from colour to grey"),
            (&self.transparent, "laid over white where transparent"),
            (&self.turned, "turned as the EXIF orientation says"),
        ];
        for (counter, what) in others {
            let n = counter.load(Relaxed);
            if n > 0 {
                notes.push(format!("{} {what}", count(n, "picture")));
            }
        }
    }
}

/// Decodes every picture of `layout`, in its order.
///
/// # Errors
/// [`Error::Data`] where the pixels do not fit into memory or a class loses all its training
/// pictures; with `strict`, the error of the first broken picture.
pub fn load(
    root: &Path,
    layout: Layout,
    shape: ImageShape,
    strict: bool,
    notes: &mut Vec<String>,
) -> Result<Loaded> {
    let mut pixels = room(root, layout.files.len(), shape)?;
    let counts = Counts::default();
    let failures = Mutex::new(Vec::new());
    // With `strict`, what comes after a failure need not be read; what comes before it must, so
    // that the first failure is named whatever the threads do.
    let first_failure = AtomicUsize::new(usize::MAX);
    pixels
        .par_chunks_mut(shape.len())
        .zip(&layout.files)
        .enumerate()
        .with_min_len(16)
        .for_each_init(Scratch::default, |scratch, (ix, (out, file))| {
            if strict && ix > first_failure.load(Relaxed) {
                return;
            }
            let path = root.join(file);
            let opened = scratch.read(&path).and_then(|bytes| decode(&path, bytes));
            match opened {
                Ok(opened) => counts.add(fit::fill(&opened.image, shape, out), opened.turned),
                Err(error) => {
                    first_failure.fetch_min(ix, Relaxed);
                    // Nothing panics while the lock is held.
                    failures.lock().unwrap().push((ix, error));
                }
            }
        });
    let mut failures = failures.into_inner().unwrap();
    failures.sort_by_key(|failure| failure.0);
    if strict && !failures.is_empty() {
        return Err(failures.swap_remove(0).1);
    }
    describe_failures(&failures, notes);
    counts.describe(shape, notes);
    let failed: Vec<usize> = failures.into_iter().map(|failure| failure.0).collect();
    leave_out(root, layout, pixels, shape.len(), &failed)
}

/// Zeros for all samples.
fn room(root: &Path, n: usize, shape: ImageShape) -> Result<Vec<u8>> {
    let mut pixels = Vec::new();
    let reserved = n
        .checked_mul(shape.len())
        .filter(|&len| pixels.try_reserve_exact(len).is_ok());
    let Some(len) = reserved else {
        let gib = n as f64 * shape.len() as f64 / f64::from(1 << 30);
        return Err(Error::Data(format!(
            "{}: {} of {shape} take {gib:.0} GiB, more than there is; choose a smaller --size",
            root.display(),
            count(n, "picture")
        )));
    };
    pixels.resize(len, 0);
    Ok(pixels)
}

/// One note with the count, one for each of the first few.
fn describe_failures(failures: &[(usize, Error)], notes: &mut Vec<String>) {
    const SHOWN: usize = 5;
    if failures.is_empty() {
        return;
    }
    let more = if failures.len() > SHOWN {
        format!(", the first {SHOWN} of them")
    } else {
        String::new()
    };
    notes.push(format!(
        "{} left out{more}:",
        count(failures.len(), "broken picture")
    ));
    for (_, error) in failures.iter().take(SHOWN) {
        notes.push(format!("  {error}"));
    }
}

/// Closes the gaps of the samples at the sorted indices `failed`.
fn leave_out(
    root: &Path,
    layout: Layout,
    mut pixels: Vec<u8>,
    size: usize,
    failed: &[usize],
) -> Result<Loaded> {
    let Layout {
        classes,
        files,
        labels,
        ..
    } = layout;
    let mut kept = Vec::with_capacity(files.len() - failed.len());
    let mut gaps = failed.iter().peekable();
    for ix in 0..files.len() {
        if gaps.next_if(|&&gap| gap == ix).is_none() {
            kept.push(ix);
        }
    }
    for (to, &from) in kept.iter().enumerate() {
        if to != from {
            pixels.copy_within(from * size..(from + 1) * size, to * size);
        }
    }
    pixels.truncate(kept.len() * size);
    let moved = |range: Range<usize>| {
        let to = |end: usize| end - failed.partition_point(|&gap| gap < end);
        to(range.start)..to(range.end)
    };

    let labels: Vec<u32> = kept.iter().map(|&ix| labels[ix]).collect();
    let mut seen = vec![false; classes.len()];
    for &label in &labels[moved(layout.train)] {
        seen[label as usize] = true;
    }
    if let Some(class) = seen.iter().position(|seen| !seen) {
        return Err(Error::Data(format!(
            "{}: every training picture of the class {} is broken; --strict stops at the first and says why",
            root.display(),
            classes[class]
        )));
    }
    let name = |ix: &usize| files[*ix].to_string_lossy().into_owned();
    let part = |range: Option<Range<usize>>| range.map(moved).filter(|range| !range.is_empty());
    Ok(Loaded {
        classes,
        val: part(layout.val),
        test: part(layout.test),
        names: kept.iter().map(name).collect(),
        pixels,
        labels,
    })
}
