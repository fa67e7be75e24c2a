//! Decides size and channels of the samples from some of the pictures.

use std::collections::HashMap;
use std::path::Path;

use rayon::prelude::*;

use super::walk::Layout;
use super::{ImageOptions, count};
use crate::data::ImageShape;
use crate::data::picture::file::{Scratch, decode};
use crate::data::picture::fit;
use crate::{Error, Result};

/// So many pictures are looked at, evenly spread over the training part.
const N_SAMPLED: usize = 100;
/// Pictures that are all of one size keep it if no side is longer.
const KEPT_SIDE: u32 = 256;
/// Else the longer side becomes this one.
const DEFAULT_SIDE: u32 = 64;

/// What a sampled picture is like.
struct Seen {
    size: (u32, u32),
    grey: bool,
}

/// The shape of the samples: as the options say, else as the pictures suggest.
///
/// # Errors
/// [`Error::Data`] where none of the sampled pictures can be read.
pub fn shape(
    root: &Path,
    layout: &Layout,
    options: &ImageOptions,
    notes: &mut Vec<String>,
) -> Result<ImageShape> {
    let (size, channels) = match (options.size, options.channels) {
        (Some(size), Some(channels)) => (size, channels),
        (size, channels) => {
            let seen = look(root, layout, options.strict)?;
            let size = size.unwrap_or_else(|| choose_size(&seen, notes));
            (
                size,
                channels.unwrap_or_else(|| choose_channels(&seen, notes)),
            )
        }
    };
    Ok(ImageShape {
        channels,
        height: size.1,
        width: size.0,
    })
}

fn look(root: &Path, layout: &Layout, strict: bool) -> Result<Vec<Seen>> {
    let n = layout.train.len();
    let sampled = n.min(N_SAMPLED);
    let results: Vec<Result<Seen>> = (0..sampled)
        .into_par_iter()
        .map_init(Scratch::default, |scratch, ix| {
            let path = root.join(&layout.files[layout.train.start + ix * n / sampled]);
            let image = decode(&path, scratch.read(&path)?)?.image;
            Ok(Seen {
                size: (image.width(), image.height()),
                grey: fit::is_grey(&image),
            })
        })
        .collect();
    let mut seen = Vec::with_capacity(sampled);
    let mut first = None;
    for result in results {
        match result {
            Ok(one) => seen.push(one),
            Err(error) => first = first.or(Some(error)),
        }
    }
    match first {
        // Then the first picture of all, which is always sampled, is broken.
        Some(error) if seen.is_empty() && strict => Err(error),
        Some(error) if seen.is_empty() => Err(Error::Data(format!(
            "none of {} can be read; the first: {error}",
            count(sampled, "sampled picture")
        ))),
        _ => Ok(seen),
    }
}

/// Width and height.
fn choose_size(seen: &[Seen], notes: &mut Vec<String>) -> (usize, usize) {
    let mut counts: HashMap<(u32, u32), usize> = HashMap::new();
    for one in seen {
        *counts.entry(one.size).or_default() += 1;
    }
    // The smaller one of two equally common sizes.
    let common = counts
        .iter()
        .max_by_key(|&(&size, &n)| (n, std::cmp::Reverse(size)))
        .map_or((DEFAULT_SIDE, DEFAULT_SIDE), |(&size, _)| size);
    let longest = common.0.max(common.1);
    let alike = counts.len() == 1;
    if alike && longest <= KEPT_SIDE {
        return (common.0 as usize, common.1 as usize);
    }
    let shrink = |side: u32| {
        let scaled = f64::from(side) * f64::from(DEFAULT_SIDE.min(longest)) / f64::from(longest);
        (scaled.round() as usize).max(1)
    };
    let (width, height) = (shrink(common.0), shrink(common.1));
    let why = if alike {
        format!("all are {}x{}", common.0, common.1)
    } else {
        format!(
            "{} sizes in {}, most often {}x{}",
            counts.len(),
            count(seen.len(), "sampled picture"),
            common.0,
            common.1
        )
    };
    notes.push(format!(
        "pictures are brought to {width}x{height} ({why}); --size WIDTHxHEIGHT sets another size"
    ));
    (width, height)
}

fn choose_channels(seen: &[Seen], notes: &mut Vec<String>) -> usize {
    let grey = seen.iter().filter(|one| one.grey).count();
    if grey == seen.len() {
        return 1;
    }
    if grey > 0 {
        notes.push(format!(
            "taken as colour: {} of {} are, the others are grey",
            seen.len() - grey,
            count(seen.len(), "sampled picture")
        ));
    }
    3
}
