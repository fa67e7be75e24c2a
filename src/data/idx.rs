//! The IDX file format of the MNIST files: big-endian magic and sizes, then bytes.

use crate::{Error, Result};

/// An array of bytes with its sizes, outermost first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx {
    pub dims: Vec<usize>,
    /// Row-major, as many as the product of `dims`.
    pub data: Vec<u8>,
}

/// What the first bytes of an IDX file say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub dims: Vec<usize>,
    /// Where the data begin, in bytes.
    pub data_at: usize,
    /// The product of `dims`.
    pub data_len: usize,
}

impl Header {
    /// Reads the header of an IDX file of unsigned bytes with `rank` dimensions.
    ///
    /// # Errors
    /// [`Error::Data`] where the magic, the element type or the rank differ, the header is cut
    /// short, or the sizes overflow.
    pub fn parse(bytes: &[u8], rank: u8) -> Result<Header> {
        let bad = |what: String| Error::Data(format!("not an IDX file as expected: {what}"));
        let data_at = 4 + 4 * usize::from(rank);
        let Some(header) = bytes.get(..data_at) else {
            let len = bytes.len();
            return Err(bad(format!("{len} bytes, the header alone has {data_at}")));
        };
        let (magic, sizes) = header.split_at(4);
        // 0, 0, element type (8: unsigned byte), number of dimensions.
        if magic != [0, 0, 8, rank] {
            return Err(bad(format!("magic {magic:?} is not [0, 0, 8, {rank}]")));
        }
        let dims: Vec<usize> = sizes
            .chunks_exact(4)
            .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize)
            .collect();
        let data_len = dims
            .iter()
            .try_fold(1usize, |product, &dim| product.checked_mul(dim))
            .ok_or_else(|| bad(format!("sizes {dims:?} are too large")))?;
        Ok(Header {
            dims,
            data_at,
            data_len,
        })
    }
}

impl Idx {
    /// Reads a whole IDX file of unsigned bytes with `rank` dimensions.
    ///
    /// # Errors
    /// [`Error::Data`] where the header is wrong ([`Header::parse`]) or the data are not exactly as
    /// many bytes as it says.
    pub fn parse(bytes: &[u8], rank: u8) -> Result<Idx> {
        let header = Header::parse(bytes, rank)?;
        let data = &bytes[header.data_at..];
        if data.len() != header.data_len {
            return Err(Error::Data(format!(
                "the IDX file holds {} bytes of data, its header says {:?}, which is {}",
                data.len(),
                header.dims,
                header.data_len
            )));
        }
        Ok(Idx {
            dims: header.dims,
            data: data.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3];
        bytes.extend(10..16);
        bytes
    }

    fn refusal(bytes: &[u8]) -> String {
        match Idx::parse(bytes, 2) {
            Err(Error::Data(message)) => message,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn a_good_file_is_read() {
        let idx = Idx::parse(&file(), 2).unwrap();
        assert_eq!(idx.dims, [2, 3]);
        assert_eq!(idx.data, [10, 11, 12, 13, 14, 15]);
    }

    #[test]
    fn every_cut_is_refused() {
        let bytes = file();
        for len in 0..bytes.len() {
            refusal(&bytes[..len]);
        }
        assert!(refusal(&bytes[..7]).contains("7 bytes"));
        assert!(refusal(&bytes[..17]).contains("5 bytes of data"));
    }

    #[test]
    fn extra_bytes_wrong_magic_rank_and_type_are_refused() {
        let mut long = file();
        long.push(0);
        assert!(refusal(&long).contains("7 bytes of data"));
        for (at, value) in [(0, 1), (1, 1), (2, 0x0d), (3, 3)] {
            let mut bytes = file();
            bytes[at] = value;
            assert!(refusal(&bytes).contains("magic"), "byte {at}");
        }
    }

    #[test]
    fn sizes_beyond_memory_are_refused() {
        let mut bytes = vec![0, 0, 8, 3];
        bytes.extend([0xff; 12]);
        match Idx::parse(&bytes, 3) {
            Err(Error::Data(message)) => assert!(message.contains("too large"), "{message}"),
            other => panic!("not refused: {other:?}"),
        }
    }
}
