//! The header of a .npy file: a Python dictionary with type, order and shape.

use std::io::Read;

use super::{Kind, fill};

/// NumPy's own readers take no longer header either.
const MAX_HEADER: usize = 10_000;

#[derive(Debug, PartialEq)]
pub struct Header {
    pub dtype: Dtype,
    pub fortran: bool,
    pub shape: Vec<usize>,
}

/// The type of an array's numbers.
#[derive(Debug, PartialEq)]
pub struct Dtype {
    pub kind: Kind,
    /// Bytes of one number.
    pub size: usize,
    signed: bool,
    big_endian: bool,
}

impl Dtype {
    /// Reads a description such as `<f4`.
    fn parse(descr: &str) -> Result<Dtype, String> {
        let refused = || {
            let what = match descr
                .trim_start_matches(['<', '>', '|', '='])
                .chars()
                .next()
            {
                Some('O') => "Python objects",
                Some('U' | 'S' | 'a') => "text",
                Some('c') => "complex numbers",
                Some('M' | 'm') => "dates",
                _ => "something else",
            };
            format!("of {what} (type {descr:?}); only booleans, integers and floats can be read")
        };
        let mut chars = descr.chars();
        let (Some(order), Some(code)) = (chars.next(), chars.next()) else {
            return Err(refused());
        };
        let (kind, signed, sizes): (_, _, &[usize]) = match code {
            'b' => (Kind::Bool, false, &[1]),
            'u' => (Kind::Integer, false, &[1, 2, 4, 8]),
            'i' => (Kind::Integer, true, &[1, 2, 4, 8]),
            'f' => (Kind::Float, true, &[2, 4, 8]),
            _ => return Err(refused()),
        };
        let size = chars
            .as_str()
            .parse()
            .ok()
            .filter(|size| sizes.contains(size));
        let (Some(size), '<' | '>' | '|' | '=') = (size, order) else {
            return Err(refused());
        };
        Ok(Dtype {
            kind,
            size,
            signed,
            big_endian: order == '>',
        })
    }

    pub fn is_byte(&self) -> bool {
        self.kind == Kind::Integer && self.size == 1 && !self.signed
    }

    /// NumPy's name, such as `uint16`.
    pub fn name(&self) -> String {
        let bits = self.size * 8;
        match (self.kind, self.signed) {
            (Kind::Bool, _) => "bool".to_string(),
            (Kind::Integer, false) => format!("uint{bits}"),
            (Kind::Integer, true) => format!("int{bits}"),
            (Kind::Float, _) => format!("float{bits}"),
        }
    }

    /// Appends the whole numbers in `bytes`.
    pub fn convert(&self, bytes: &[u8], out: &mut Vec<f32>) {
        /// One number type, in both byte orders.
        macro_rules! numbers {
            ($type:ty, $convert:expr) => {{
                let numbers = bytes.chunks_exact(size_of::<$type>());
                // Chunks of exactly that size, so that the conversion cannot fail.
                let numbers = numbers.map(|chunk| chunk.try_into().unwrap());
                if self.big_endian {
                    out.extend(numbers.map(|n| $convert(<$type>::from_be_bytes(n))));
                } else {
                    out.extend(numbers.map(|n| $convert(<$type>::from_le_bytes(n))));
                }
            }};
        }
        match (self.kind, self.signed, self.size) {
            (Kind::Bool, _, _) => out.extend(bytes.iter().map(|&b| f32::from(u8::from(b != 0)))),
            (Kind::Float, _, 2) => numbers!(u16, half),
            (Kind::Float, _, 4) => numbers!(f32, |n| n),
            (Kind::Float, _, _) => numbers!(f64, |n| n as f32),
            (Kind::Integer, false, 1) => numbers!(u8, f32::from),
            (Kind::Integer, false, 2) => numbers!(u16, f32::from),
            (Kind::Integer, false, 4) => numbers!(u32, |n| n as f32),
            (Kind::Integer, false, _) => numbers!(u64, |n| n as f32),
            (Kind::Integer, true, 1) => numbers!(i8, f32::from),
            (Kind::Integer, true, 2) => numbers!(i16, f32::from),
            (Kind::Integer, true, 4) => numbers!(i32, |n| n as f32),
            (Kind::Integer, true, _) => numbers!(i64, |n| n as f32),
        }
    }
}

/// IEEE 754's binary16, exactly.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let fraction = f32::from(bits & 0x3ff);
    sign * match bits >> 10 & 0x1f {
        // 2^-24 is the smallest.
        0 => fraction / 16_777_216.0,
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        exponent => (1.0 + fraction / 1024.0) * 2f32.powi(i32::from(exponent) - 15),
    }
}

/// Reads magic, version, length and dictionary.
pub fn read(reader: &mut impl Read) -> Result<Header, String> {
    let cut = || "the header is cut short".to_string();
    let mut start = [0; 8];
    if fill(reader, &mut start)? < 8 || &start[..6] != b"\x93NUMPY" {
        return Err("not a .npy array: it does not start with NUMPY".to_string());
    }
    let size_bytes = match start[6] {
        1 => 2,
        2 | 3 => 4,
        other => return Err(format!("version {other} of the .npy format is unknown")),
    };
    let mut size = [0; 4];
    if fill(reader, &mut size[..size_bytes])? < size_bytes {
        return Err(cut());
    }
    let size = u32::from_le_bytes(size) as usize;
    if size > MAX_HEADER {
        return Err(format!("a header of {size} bytes, more than {MAX_HEADER}"));
    }
    let mut text = vec![0; size];
    if fill(reader, &mut text)? < size {
        return Err(cut());
    }
    parse(&String::from_utf8_lossy(&text))
}

/// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }`.
fn parse(text: &str) -> Result<Header, String> {
    let unclear = || {
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let shown: String = text.chars().take(80).map(plain).collect();
        format!("the header is not understood: {}", shown.trim_end())
    };
    let mut rest = Rest(text);
    let (mut dtype, mut fortran, mut shape) = (None, None, None);
    rest.skip('{').ok_or_else(unclear)?;
    while rest.skip('}').is_none() {
        let key = rest.quoted().ok_or_else(unclear)?;
        rest.skip(':').ok_or_else(unclear)?;
        match key {
            "descr" => match rest.quoted() {
                Some(descr) => dtype = Some(Dtype::parse(descr)?),
                None if rest.skip('[').is_some() => {
                    return Err("of records with fields; only plain arrays can be read".to_string());
                }
                None => return Err(unclear()),
            },
            "fortran_order" => fortran = Some(rest.boolean().ok_or_else(unclear)?),
            "shape" => shape = Some(rest.tuple().ok_or_else(unclear)?),
            _ => return Err(unclear()),
        }
        if rest.skip(',').is_none() {
            rest.skip('}').ok_or_else(unclear)?;
            break;
        }
    }
    match (dtype, fortran, shape) {
        (Some(dtype), Some(fortran), Some(shape)) => Ok(Header {
            dtype,
            fortran,
            shape,
        }),
        _ => Err(unclear()),
    }
}

/// What is left of the dictionary; each method takes something from its start, or nothing.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn skip(&mut self, wanted: char) -> Option<()> {
        self.0 = self.0.trim_start().strip_prefix(wanted)?;
        Some(())
    }

    fn quoted(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start();
        let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let (inside, rest) = text[1..].split_once(quote)?;
        self.0 = rest;
        Some(inside)
    }

    fn boolean(&mut self) -> Option<bool> {
        let text = self.0.trim_start();
        let (value, rest) = match text.strip_prefix("True") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("False")?),
        };
        self.0 = rest;
        Some(value)
    }

    fn tuple(&mut self) -> Option<Vec<usize>> {
        self.skip('(')?;
        let (inside, rest) = self.0.split_once(')')?;
        self.0 = rest;
        // The comma after the last, as in `(3,)`.
        let inside = inside.trim();
        let inside = inside.strip_suffix(',').unwrap_or(inside);
        if inside.is_empty() {
            return Some(Vec::new());
        }
        // Python 2 wrote long integers with an L.
        inside
            .split(',')
            .map(|dim| dim.trim().trim_end_matches('L').parse().ok())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dictionaries_are_read() {
        let header =
            parse("{'descr': '>i2', 'fortran_order': True, 'shape': (3, 2), }  \n").unwrap();
        assert_eq!((header.fortran, header.shape), (true, vec![3, 2]));
        assert_eq!(header.dtype.name(), "int16");
        assert!(header.dtype.big_endian);
        let header = parse("{\"shape\":(5L,),\"descr\":\"|b1\",\"fortran_order\":False}").unwrap();
        assert_eq!((header.dtype.kind, header.shape), (Kind::Bool, vec![5]));
        let scalar = parse("{'descr': '<f8', 'fortran_order': False, 'shape': ()}").unwrap();
        assert!(scalar.shape.is_empty());
    }

    #[test]
    fn other_types_are_named() {
        let refused = |descr: &str| {
            parse(&format!(
                "{{'descr': {descr}, 'fortran_order': False, 'shape': (1,)}}"
            ))
            .unwrap_err()
        };
        assert!(refused("'|O'").contains("Python objects"));
        assert!(refused("'<U5'").contains("text"));
        assert!(refused("'<c8'").contains("complex"));
        assert!(refused("'<M8[ns]'").contains("dates"));
        assert!(refused("'<f16'").contains("something else"));
        assert!(refused("[('a', '<f4')]").contains("records with fields"));
        assert!(refused("3").contains("not understood"));
    }

    #[test]
    fn every_cut_of_a_header_is_refused() {
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)}";
        assert!(parse(text).is_ok());
        for len in 0..text.len() {
            parse(&text[..len]).unwrap_err();
        }
        assert!(parse("{'descr': '<f4', 'shape': (3, 2)}").is_err());
        assert!(parse("{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}").is_err());
    }

    /// Values of binary16 from IEEE 754's table.
    #[test]
    fn halves_are_exact() {
        for (bits, value) in [
            (0x0001, 2f32.powi(-24)),
            (0x03ff, 1023.0 * 2f32.powi(-24)),
            (0x0400, 2f32.powi(-14)),
            (0x3555, 0.333_251_95),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0xfc00, f32::NEG_INFINITY),
        ] {
            assert_eq!(half(bits), value, "{bits:#x}");
        }
        assert!(half(0x7e00).is_nan());
    }
}
