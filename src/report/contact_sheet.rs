//! A contact sheet: small pictures of a data set's training samples, a row for each class.

#[cfg(test)]
mod tests;

use image::imageops::{self, FilterType};
use image::{GrayImage, RgbImage};

use super::canvas::text::{Type, brief, fit, measure};
use super::canvas::{Area, FAINT, GRID, picture, png};
use crate::data::ImageShape;
use crate::data::source::{Content, Samples, Source, Targets};

/// Pictures in a row.
const COLUMNS: usize = 12;
/// More classes are counted, not shown.
const ROWS: usize = 20;
/// Values to predict are shown in so many rows, from the least to the greatest.
const VALUE_ROWS: usize = 6;
/// The longer side of a picture at most, and the way from one to the next.
const SIDE: u32 = 56;
const STEP: u32 = 62;
const TOP: u32 = 46;
const MARGIN: u32 = 20;
/// The longest a label may be.
const LABEL: f64 = 180.0;
/// A vector is taken for a square picture from so many values on.
const LEAST_SQUARE: usize = 64;

/// One row: what it is called, how many samples it stands for, and which are shown.
struct Row {
    name: String,
    count: usize,
    shown: Vec<usize>,
}

/// The samples as pictures.
struct Pictures<'a> {
    samples: &'a Samples,
    shape: ImageShape,
    /// What black and white stand for.
    range: (f32, f32),
}

/// Draws up to 12 samples each, evenly spaced over the training part, of up to 20 classes, or of
/// six stretches of the values to predict; the bytes of a PNG. Small pictures are enlarged with
/// hard edges; floats are scaled so that the least of those shown is black and the greatest white.
/// A vector whose length is a square of 64 or more is taken for a picture. Nothing is drawn where
/// the samples are no pictures: tables and other vectors.
///
/// # Errors
/// The picture could not be packed.
pub fn draw(source: &Source, title: &str) -> Result<Option<Vec<u8>>, String> {
    let Content::Samples { shape, samples } = &source.content else {
        return Ok(None);
    };
    let Some(as_picture) = picture_shape(*shape) else {
        return Ok(None);
    };
    let (rows, more) = rows(source);
    let mut pictures = Pictures {
        samples,
        shape: as_picture,
        range: (0.0, 255.0),
    };
    if let Samples::Floats(floats) = samples {
        let shown = rows.iter().flat_map(|row| &row.shown);
        let values = shown.flat_map(|ix| &floats[ix * shape.len()..(ix + 1) * shape.len()]);
        let ends = (f32::INFINITY, f32::NEG_INFINITY);
        pictures.range = values.fold(ends, |(low, high), &x| (low.min(x), high.max(x)));
    }

    let mut labels = Vec::with_capacity(rows.len());
    let mut widest = 0.0f64;
    for row in &rows {
        let name = fit(&row.name, 15.0, LABEL)?;
        widest = widest.max(measure(&name, 15.0)?.0);
        let count = format!(
            "{} sample{}",
            row.count,
            if row.count == 1 { "" } else { "s" }
        );
        widest = widest.max(measure(&count, 12.0)?.0);
        labels.push((name, count));
    }
    let left = MARGIN + widest.ceil() as u32 + 16;
    let width = left + COLUMNS as u32 * STEP + MARGIN - (STEP - SIDE);
    let bottom = TOP + rows.len() as u32 * STEP;
    let height = bottom + if more > 0 { 34 } else { 14 };
    let ground = picture((width, height), |canvas| {
        canvas.title(title, f64::from(width))?;
        for (ix, (name, count)) in labels.iter().enumerate() {
            let middle = f64::from(TOP + ix as u32 * STEP + SIDE / 2);
            let x = f64::from(left) - 16.0;
            canvas.text(name, (x, middle - 8.0), Type::new(15.0).right())?;
            let small = Type::new(12.0).colour(FAINT).right();
            canvas.text(count, (x, middle + 10.0), small)?;
            for column in 0..rows[ix].shown.len() {
                let (x, y) = place(left, ix, column);
                let (x, y, side) = (f64::from(x), f64::from(y), f64::from(SIDE));
                canvas.fill(Area::new(x, y, x + side, y + side), GRID, 0.5)?;
            }
        }
        if more > 0 {
            let at = (f64::from(left), f64::from(bottom) + 10.0);
            let words = format!("and {more} more classes");
            canvas.text(&words, at, Type::new(15.0).colour(FAINT))?;
        }
        Ok(())
    })?;

    // The lettering is averaged down from twice the size; pixels of samples stay as they are.
    let ground = image::load_from_memory_with_format(&ground, image::ImageFormat::Png);
    let mut sheet = ground.map_err(|error| error.to_string())?.into_rgb8();
    for (ix, row) in rows.iter().enumerate() {
        for (column, &sample) in row.shown.iter().enumerate() {
            let thumbnail = pictures.thumbnail(sample);
            let (x, y) = place(left, ix, column);
            let centred = |free: u32| i64::from((SIDE - free) / 2);
            let x = i64::from(x) + centred(thumbnail.width());
            let y = i64::from(y) + centred(thumbnail.height());
            imageops::replace(&mut sheet, &thumbnail, x, y);
        }
    }
    png(&sheet.into()).map(Some)
}

/// The upper left corner of a picture.
fn place(left: u32, row: usize, column: usize) -> (u32, u32) {
    (left + column as u32 * STEP, TOP + row as u32 * STEP)
}

/// The shape in which a sample can be looked at, if it can.
fn picture_shape(shape: ImageShape) -> Option<ImageShape> {
    let side = shape.len().isqrt();
    let vector = shape.channels == 1 && (shape.height == 1 || shape.width == 1);
    match vector {
        false => matches!(shape.channels, 1 | 3).then_some(shape),
        true if shape.len() >= LEAST_SQUARE && side * side == shape.len() => Some(ImageShape {
            channels: 1,
            height: side,
            width: side,
        }),
        true => None,
    }
}

/// The rows, and how many classes have none.
fn rows(source: &Source) -> (Vec<Row>, usize) {
    let inside = |range: &Option<std::ops::Range<usize>>, ix: &usize| {
        range.as_ref().is_some_and(|range| range.contains(ix))
    };
    let mut training: Vec<usize> = (0..source.targets.len())
        .filter(|ix| !inside(&source.test, ix) && !inside(&source.val, ix))
        .collect();
    match &source.targets {
        Targets::Classes { labels, names } => {
            let mut members = vec![Vec::new(); names.len().min(ROWS)];
            for ix in training {
                if let Some(members) = members.get_mut(labels[ix] as usize) {
                    members.push(ix);
                }
            }
            let rows = members.iter().zip(names).map(|(members, name)| Row {
                name: name.clone(),
                count: members.len(),
                shown: spread(members),
            });
            (rows.collect(), names.len().saturating_sub(ROWS))
        }
        Targets::Values { values, name } => {
            // A stable sort: equal values stay in their order.
            training.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
            let size = training.len().div_ceil(VALUE_ROWS).max(1);
            let rows = training.chunks(size).map(|members| {
                let [low, high] =
                    [members[0], members[members.len() - 1]].map(|ix| brief(f64::from(values[ix])));
                Row {
                    name: format!("{name} {low} to {high}"),
                    count: members.len(),
                    shown: spread(members),
                }
            });
            (rows.collect(), 0)
        }
    }
}

/// Up to [`COLUMNS`] of them, evenly spaced from the first on.
fn spread(members: &[usize]) -> Vec<usize> {
    let n = members.len().min(COLUMNS);
    (0..n).map(|ix| members[ix * members.len() / n]).collect()
}

impl Pictures<'_> {
    fn byte(&self, ix: usize) -> u8 {
        match self.samples {
            Samples::Bytes(bytes) => bytes[ix],
            Samples::Floats(floats) => {
                let (low, high) = self.range;
                let share = (floats[ix] - low) / (high - low);
                // A single value, or none: grey.
                if share.is_finite() {
                    (share * 255.0).round() as u8
                } else {
                    128
                }
            }
        }
    }

    /// The sample in at most [`SIDE`] pixels each way.
    fn thumbnail(&self, sample: usize) -> RgbImage {
        let (wide, high) = (self.shape.width as u32, self.shape.height as u32);
        let (plane, start) = (wide as usize * high as usize, sample * self.shape.len());
        let at = |x: u32, y: u32| start + y as usize * wide as usize + x as usize;
        let whole = match self.shape.channels {
            1 => {
                let grey =
                    GrayImage::from_fn(wide, high, |x, y| image::Luma([self.byte(at(x, y))]));
                image::DynamicImage::from(grey).into_rgb8()
            }
            _ => RgbImage::from_fn(wide, high, |x, y| {
                image::Rgb([0, 1, 2].map(|channel| self.byte(at(x, y) + channel * plane)))
            }),
        };
        let longer = wide.max(high);
        if longer <= SIDE {
            let factor = SIDE / longer;
            return imageops::resize(&whole, wide * factor, high * factor, FilterType::Nearest);
        }
        let scaled = |side: u32| {
            let side = u64::from(side) * u64::from(SIDE) / u64::from(longer);
            (side as u32).max(1)
        };
        imageops::resize(&whole, scaled(wide), scaled(high), FilterType::Triangle)
    }
}
