//! Image folders: a folder of pictures for each class, optionally under train/, val/ and test/.

mod load;
mod survey;
#[cfg(test)]
mod tests;
mod walk;

use std::path::Path;

use super::ImageShape;
use super::picture::{file, fit};
use super::source::{Content, Samples, Source, Targets};
use crate::{Error, Result};

/// How pictures become samples.
#[derive(Clone, Debug, Default)]
pub struct ImageOptions {
    /// Width and height in pixels; by default the one size that all have, else the most common
    /// one, made smaller where it is large.
    pub size: Option<(usize, usize)>,
    /// 1 grey, 3 colour; by default grey if all sampled pictures are grey.
    pub channels: Option<usize>,
    /// The first broken picture is an error, instead of left out.
    pub strict: bool,
}

/// Reads the pictures of the class folders in `path`, in the order of their paths: train, val, test.
///
/// Pictures are known by the extensions of PNG, JPEG, WebP, BMP, GIF and PNM, anywhere below their
/// class folder. They are read in parallel; no more is held than the samples' own pixels and one
/// decoded picture a thread.
///
/// # Errors
/// [`Error::Data`] where there are no class folders, one without pictures or only one, where val/ or
/// test/ has a class that train/ has not, where a class has no readable picture, and, with
/// `strict`, for the first broken picture; [`Error::Usage`] for an impossible size;
/// [`Error::Io`] where a folder cannot be listed.
pub fn read(path: &Path, options: &ImageOptions) -> Result<Source> {
    options.check()?;
    let layout = walk::walk(path)?;
    let mut notes = layout.notes.clone();
    let shape = survey::shape(path, &layout, options, &mut notes)?;
    let loaded = load::load(path, layout, shape, options.strict, &mut notes)?;
    Ok(Source {
        content: Content::Samples {
            shape,
            samples: Samples::Bytes(loaded.pixels),
        },
        targets: Targets::Classes {
            labels: loaded.labels,
            names: loaded.classes,
        },
        test: loaded.test,
        val: loaded.val,
        names: loaded.names,
        notes,
    })
}

/// Reads one picture as [`read`] reads those of a folder, `[C*H*W]`.
///
/// # Errors
/// [`Error::Io`] or [`Error::Data`], naming the file, where it cannot be read or is no image, or
/// where `shape` has neither 1 nor 3 channels.
pub fn load_one(path: &Path, shape: ImageShape) -> Result<Vec<u8>> {
    if shape.is_empty() || !matches!(shape.channels, 1 | 3) {
        return Err(Error::Data(format!(
            "{}: the model takes {shape}, which no picture fills (1 or 3 channels)",
            path.display()
        )));
    }
    let opened = file::open(path)?;
    let mut pixels = vec![0; shape.len()];
    fit::fill(&opened.image, shape, &mut pixels);
    Ok(pixels)
}

/// The largest side that `--size` takes.
const MAX_SIZE: usize = 4096;

impl ImageOptions {
    fn check(&self) -> Result<()> {
        if let Some((width, height)) = self.size
            && (![width, height]
                .iter()
                .all(|side| (1..=MAX_SIZE).contains(side)))
        {
            return Err(Error::Usage(format!(
                "--size {width}x{height}: each side must be from 1 to {MAX_SIZE} pixels"
            )));
        }
        if let Some(channels) = self.channels
            && !matches!(channels, 1 | 3)
        {
            return Err(Error::Usage(format!(
                "{channels} channels: a picture has 1 (grey) or 3 (colour)"
            )));
        }
        Ok(())
    }
}

/// `1 picture`, `2 pictures`.
fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
