//! The .npy format: a NumPy array with its type and shape.
//!
//! Source: "A simple file format for NumPy arrays", NEP 1, versions 1.0 to 3.0.

mod header;

use std::io::{ErrorKind, Read};

use self::header::{Dtype, Header};

/// The numbers of an array in C order.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Of unsigned bytes.
    Bytes(Vec<u8>),
    /// Of any other type; integers beyond 2^24 and doubles are rounded to f32.
    Floats(Vec<f32>),
}

impl Values {
    pub fn into_floats(self) -> Vec<f32> {
        match self {
            Values::Bytes(bytes) => bytes.into_iter().map(f32::from).collect(),
            Values::Floats(floats) => floats,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Integer,
    Float,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// NumPy's name of the type, such as `float32`.
    pub dtype: String,
    pub kind: Kind,
    pub shape: Vec<usize>,
    pub values: Values,
}

/// Reads one array of booleans, integers or floats, in either byte order, from its start to its
/// end. Memory is taken as the data come, not as the header claims.
///
/// # Errors
/// What is wrong, in a line, where this is no .npy file or one of another type, or the data are
/// damaged, or not as many as the header says.
pub fn read(mut reader: impl Read) -> Result<Array, String> {
    let Header {
        dtype,
        fortran,
        shape,
    } = header::read(&mut reader)?;
    let count = shape
        .iter()
        .try_fold(1usize, |product, &dim| product.checked_mul(dim))
        .filter(|count| count.checked_mul(8).is_some())
        .ok_or_else(|| format!("the shape {shape:?} is too large"))?;
    let short = |found: usize| {
        format!("the header says {shape:?}, which is {count} numbers, but there are only {found}")
    };
    let mut values = if dtype.is_byte() {
        let mut bytes = Vec::new();
        let found = (&mut reader)
            .take(count as u64)
            .read_to_end(&mut bytes)
            .map_err(damaged)?;
        if found < count {
            return Err(short(found));
        }
        Values::Bytes(bytes)
    } else {
        let floats = read_floats(&mut reader, &dtype, count)?;
        if floats.len() < count {
            return Err(short(floats.len()));
        }
        Values::Floats(floats)
    };
    // The end must be met for the checksum to be looked at.
    if fill(&mut reader, &mut [0])? > 0 {
        return Err(format!(
            "the header says {shape:?}, which is {count} numbers, but there are more"
        ));
    }
    if fortran && shape.len() > 1 {
        values = match values {
            Values::Bytes(values) => Values::Bytes(to_c_order(&values, &shape)),
            Values::Floats(values) => Values::Floats(to_c_order(&values, &shape)),
        };
    }
    Ok(Array {
        dtype: dtype.name(),
        kind: dtype.kind,
        shape,
        values,
    })
}

fn damaged(error: std::io::Error) -> String {
    match error.kind() {
        ErrorKind::UnexpectedEof => "the data are cut short".to_string(),
        _ => format!("the data are damaged ({error})"),
    }
}

/// Reads until `buffer` is full or the end is met.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> Result<usize, String> {
    let mut len = 0;
    while len < buffer.len() {
        match reader.read(&mut buffer[len..]) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(damaged(error)),
        }
    }
    Ok(len)
}

/// Up to `count` numbers as f32.
fn read_floats(reader: &mut impl Read, dtype: &Dtype, count: usize) -> Result<Vec<f32>, String> {
    let mut floats = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    while floats.len() < count {
        let wanted = ((count - floats.len()) * dtype.size).min(buffer.len());
        let found = fill(reader, &mut buffer[..wanted])?;
        dtype.convert(&buffer[..found], &mut floats);
        if found < wanted {
            break;
        }
    }
    Ok(floats)
}

/// From Fortran's order, the first index fastest, to C's, the last index fastest.
fn to_c_order<T: Copy>(values: &[T], shape: &[usize]) -> Vec<T> {
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = 1;
    for dim in shape {
        strides.push(stride);
        stride *= dim;
    }
    let mut index = vec![0; shape.len()];
    let mut at = 0;
    let mut out = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        out.push(values[at]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            at += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    out
}
