//! The inputs of an archive: arrays of one or more parts, brought to `[N, C*H*W]`.

use super::{Part, check_finite};
use crate::data::ImageShape;
use crate::data::npy::{Array, Kind, Values};
use crate::data::source::Samples;

/// How the values of one sample are laid out in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Vector,
    Grey,
    ChannelsFirst,
    ChannelsLast,
}

/// Collects the arrays of the parts.
#[derive(Default)]
pub struct Builder {
    /// Of all parts so far.
    pub count: usize,
    first: Option<First>,
    values: Option<Values>,
    /// Whether all were integers.
    integers: bool,
}

/// What the first array sets for the others.
struct First {
    name: String,
    dims: Vec<usize>,
    dtype: String,
    shape: ImageShape,
    order: Order,
}

impl Builder {
    /// Appends one part's array.
    pub fn add(&mut self, name: &str, array: Array) -> Result<(), String> {
        let Array {
            dtype,
            kind,
            shape: dims,
            mut values,
        } = array;
        let (shape, order) = layout(name, &dims)?;
        if let Some(first) = &self.first
            && first.dims[1..] != dims[1..]
        {
            return Err(format!(
                "samples of {:?} in {}, but of {:?} in {name}",
                &first.dims[1..],
                first.name,
                &dims[1..]
            ));
        }
        if let Values::Floats(floats) = &values {
            check_finite(name, floats, &dims)?;
        }
        if order == Order::ChannelsLast && shape.channels > 1 {
            match &mut values {
                Values::Bytes(bytes) => channels_first(bytes, shape),
                Values::Floats(floats) => channels_first(floats, shape),
            }
        }
        self.count += dims[0];
        self.integers = kind == Kind::Integer && (self.integers || self.first.is_none());
        self.values = Some(match (self.values.take(), values) {
            (None, values) => values,
            (Some(Values::Bytes(mut all)), Values::Bytes(more)) => {
                all.extend_from_slice(&more);
                Values::Bytes(all)
            }
            (Some(all), more) => {
                let mut all = all.into_floats();
                all.extend(more.into_floats());
                Values::Floats(all)
            }
        });
        self.first.get_or_insert_with(|| First {
            name: name.to_string(),
            dims,
            dtype,
            shape,
            order,
        });
        Ok(())
    }

    /// Shape and values of all samples.
    ///
    /// # Panics
    /// Where nothing was added.
    pub fn finish(self, parts: &[Part], notes: &mut Vec<String>) -> (ImageShape, Samples) {
        let (Some(first), Some(values)) = (self.first, self.values) else {
            panic!("no array was added");
        };
        let First { name, dims, .. } = &first;
        let as_read = match first.order {
            Order::Vector => format!("{} vectors of {} values", dims[0], dims[1]),
            Order::Grey => format!("{} grey pictures, [N, H, W]", dims[0]),
            Order::ChannelsLast => format!("{} pictures, [N, H, W, C]", dims[0]),
            Order::ChannelsFirst => format!("{} pictures, [N, C, H, W]", dims[0]),
        };
        notes.push(format!("{name}: {as_read} {dims:?}, {}", first.dtype));
        let samples = match values {
            Values::Bytes(bytes) => Samples::Bytes(bytes),
            Values::Floats(floats) => {
                let (low, high) = floats
                    .iter()
                    .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &value| {
                        (low.min(value), high.max(value))
                    });
                let names: Vec<&str> = parts.iter().map(|part| part.x).collect();
                let pixels = self.integers
                    && first.order != Order::Vector
                    && (0.0..=255.0).contains(&low)
                    && high <= 255.0;
                let taken = if pixels { ", taken as pixels" } else { "" };
                notes.push(format!(
                    "{}: values from {low} to {high}{taken}",
                    names.join(", ")
                ));
                if pixels {
                    Samples::Bytes(floats.into_iter().map(|value| value as u8).collect())
                } else {
                    Samples::Floats(floats)
                }
            }
        };
        (first.shape, samples)
    }
}

/// What the sizes of an array mean.
fn layout(name: &str, dims: &[usize]) -> Result<(ImageShape, Order), String> {
    let image = |channels, height, width| ImageShape {
        channels,
        height,
        width,
    };
    let picture = |channels: usize| matches!(channels, 1 | 3);
    if dims.contains(&0) {
        return Err(format!("{name}: nothing in an array of {dims:?}"));
    }
    match *dims {
        [_, f] => Ok((image(1, 1, f), Order::Vector)),
        [_, h, w] => Ok((image(1, h, w), Order::Grey)),
        [_, h, w, c] if picture(c) => Ok((image(c, h, w), Order::ChannelsLast)),
        [_, c, h, w] if picture(c) => Ok((image(c, h, w), Order::ChannelsFirst)),
        [_, _, _, _] => Err(format!(
            "{name}: {dims:?} has neither 1 nor 3 channels, at the end or before height and width"
        )),
        _ => Err(format!(
            "{name}: an array of {dims:?}; wanted is [N, features], [N, height, width] or [N, height, width, channels]"
        )),
    }
}

/// Turns `[H*W, C]` of each sample to `[C, H*W]`.
fn channels_first<T: Copy>(values: &mut [T], shape: ImageShape) {
    let (plane, channels) = (shape.height * shape.width, shape.channels);
    let mut sample = Vec::with_capacity(shape.len());
    for values in values.chunks_exact_mut(shape.len()) {
        sample.clear();
        sample.extend_from_slice(values);
        for channel in 0..channels {
            for ix in 0..plane {
                values[channel * plane + ix] = sample[ix * channels + channel];
            }
        }
    }
}
