//! Opens and decodes an image file within limits, with errors that name the file.

use std::fs::File;
use std::io::{Cursor, ErrorKind, Read};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use crate::{Error, Result};

/// The longest side in pixels.
const MAX_SIDE: u32 = 16384;
/// The most bytes that a file may have, and that decoding it may take.
const MAX_BYTES: u64 = 512 << 20;
const FORMATS: &str = "PNG, JPEG, BMP, GIF, WebP, PNM";

pub struct Opened {
    /// Never of zero size.
    pub image: DynamicImage,
    /// Whether the EXIF orientation turned or mirrored it.
    pub turned: bool,
}

/// A buffer for one file after another.
#[derive(Default)]
pub struct Scratch(Vec<u8>);

impl Scratch {
    /// Reads a regular file with no call to the system but open, read, read and close.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, [`Error::Data`] where it is over [`MAX_BYTES`].
    pub fn read(&mut self, path: &Path) -> Result<&[u8]> {
        let io = |source| Error::io(path, "read", source);
        let mut file = File::open(path).map_err(io)?;
        let mut len = 0;
        loop {
            if len == self.0.len() {
                if len as u64 > MAX_BYTES {
                    return Err(Error::Data(format!("{}: {}", path.display(), too_large())));
                }
                self.0.resize((len * 2).max(1 << 16), 0);
            }
            match file.read(&mut self.0[len..]) {
                Ok(0) => return Ok(&self.0[..len]),
                Ok(n) => len += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(io(error)),
            }
        }
    }
}

/// Decodes the image file `path`; of an animation, the first frame.
///
/// # Errors
/// [`Error::Io`] where it cannot be opened or read, else [`Error::Data`]; both name the file.
pub fn open(path: &Path) -> Result<Opened> {
    let bad = |what: &str| Error::Data(format!("{}: {what}", path.display()));
    let meta = std::fs::metadata(path).map_err(|source| Error::io(path, "read", source))?;
    if meta.is_dir() {
        return Err(bad("a directory, not an image file"));
    }
    // Opening a pipe may wait for ever.
    if !meta.is_file() {
        return Err(bad("not a regular file"));
    }
    decode(path, Scratch::default().read(path)?)
}

/// Decodes `bytes`, the contents of the image file `path`; of an animation, the first frame.
///
/// # Errors
/// [`Error::Data`], naming the file.
pub fn decode(path: &Path, bytes: &[u8]) -> Result<Opened> {
    let bad = |what: String| Error::Data(format!("{}: {what}", path.display()));
    if bytes.is_empty() {
        return Err(bad("the file is empty".to_string()));
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    // No guess from the name: a wrong extension is common and harmless.
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|source| Error::io(path, "read", source))?;
    reader.limits(limits);
    let Some(format) = reader.format() else {
        return Err(bad(format!("not an image of a known format ({FORMATS})")));
    };
    if !format.reading_enabled() {
        let name = format.extensions_str().first().unwrap_or(&"this");
        return Err(bad(format!("{name} images are not supported ({FORMATS})")));
    }

    let failed = |error: ImageError| bad(explain(error, format));
    let mut decoder = reader.into_decoder().map_err(failed)?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(bad(format!(
            "the image is {width}x{height}, it has no pixels"
        )));
    }
    if decoder.total_bytes() > MAX_BYTES {
        return Err(bad(too_large()));
    }
    // A damaged EXIF block does not make the pixels unreadable.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(failed)?;
    // The JPEG decoder fills what is missing with grey and reports nothing.
    let end = &bytes[bytes.len().saturating_sub(1 << 16)..];
    if format == ImageFormat::Jpeg && !end.windows(2).any(|marker| marker == [0xff, 0xd9]) {
        return Err(bad("the JPEG file is cut short".to_string()));
    }
    image.apply_orientation(orientation);
    Ok(Opened {
        image,
        turned: orientation != Orientation::NoTransforms,
    })
}

fn too_large() -> String {
    format!(
        "the image is too large (at most {MAX_SIDE} pixels a side and {} MiB decoded)",
        MAX_BYTES >> 20
    )
}

/// What went wrong in decoding, in one line.
fn explain(error: ImageError, format: ImageFormat) -> String {
    match error {
        ImageError::Limits(_) => too_large(),
        ImageError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            format!("the {format:?} file is cut short")
        }
        ImageError::Unsupported(error) => format!("{error}").replace('\n', " "),
        error => format!("a damaged {format:?} file ({error})").replace('\n', " "),
    }
}
