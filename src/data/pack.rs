//! Unpacks the embedded image files; `assets/README.md` describes the format.
//!
//! Each image is cut to the box around its ink, and every pixel goes to one of 256 streams chosen
//! by its four known neighbours. Within a stream the values are alike, so that plain deflate gets
//! as far as xz does on the raw images (8.6 against 9.5 MB) and decodes faster.

use flate2::{Crc, Decompress, FlushDecompress, Status};
use rayon::prelude::*;

use super::idx::{Header, Idx};
use crate::{Error, Result};

/// Two bits for each of the neighbours west, north, north-east, north-west.
const CONTEXTS: usize = 256;
/// The lowest pixel of levels 1, 2 and 3. `assets/pack_mnist.py` has the same list.
const LEVELS: [u8; 3] = [1, 64, 252];

/// The level, 0 to 3, of each pixel value.
const LEVEL_OF: [u8; 256] = {
    let mut table = [0; 256];
    let mut value = 0;
    while value < 256 {
        let mut level = 0;
        while level < LEVELS.len() && value >= LEVELS[level] as usize {
            level += 1;
        }
        table[value] = level as u8;
        value += 1;
    }
    table
};

fn damaged(what: impl std::fmt::Display) -> Error {
    Error::Data(format!("the packed images are damaged: {what}"))
}

/// Unpacks an image file: `[count, height, width]`. Runs on all cores.
///
/// # Errors
/// [`Error::Data`] where a checksum or a size is wrong.
pub fn unpack(bytes: &[u8]) -> Result<Idx> {
    let mut reader = Reader(bytes);
    let expected = reader.u32()?;
    let mut crc = Crc::new();
    crc.update(reader.0);
    if crc.sum() != expected {
        return Err(damaged("the CRC-32 differs"));
    }

    let header = Header::parse(reader.0, 3)?;
    reader.take(header.data_at)?;
    let (rows, cols) = (header.dims[1], header.dims[2]);
    // Boxes are stored in bytes.
    if rows == 0 || cols == 0 || rows > 255 || cols > 255 {
        return Err(damaged(format!("images of {rows}x{cols}")));
    }
    let size = rows * cols;
    let block_len = (reader.u32()? as usize)
        .checked_mul(size)
        .filter(|&len| len > 0)
        .ok_or_else(|| damaged("the block size"))?;
    let mut blocks = Vec::new();
    while !reader.0.is_empty() {
        let len = reader.u32()? as usize;
        blocks.push(reader.take(len)?);
    }
    if blocks.len() != header.data_len.div_ceil(block_len) {
        return Err(damaged(format!("{} blocks", blocks.len())));
    }

    let mut data = vec![0; header.data_len];
    data.par_chunks_mut(block_len)
        .zip(&blocks)
        .try_for_each(|(images, block)| unpack_block(block, images, rows, cols))?;
    Ok(Idx {
        dims: header.dims,
        data,
    })
}

/// Unpacks one block into `images`, `[n, rows, cols]`, which must be all zero.
fn unpack_block(block: &[u8], images: &mut [u8], rows: usize, cols: usize) -> Result<()> {
    let size = rows * cols;
    let count = images.len() / size;
    let raw = inflate(block, 4 * count + 4 * CONTEXTS + images.len())?;

    let mut reader = Reader(&raw);
    let (tops, lefts) = (reader.take(count)?, reader.take(count)?);
    let (heights, widths) = (reader.take(count)?, reader.take(count)?);
    let mut next = [0usize; CONTEXTS];
    let mut ends = [0usize; CONTEXTS];
    let mut at = 0;
    for (next, end) in next.iter_mut().zip(&mut ends) {
        *next = at;
        at += reader.u32()? as usize;
        *end = at;
    }
    let pixels = reader.0;
    if at != pixels.len() {
        return Err(damaged("the stream lengths"));
    }

    // Levels of the row above within the box, with one level 0 on each side.
    let mut above = [0u8; 257];
    for (ix, image) in images.chunks_exact_mut(size).enumerate() {
        let (top, left) = (usize::from(tops[ix]), usize::from(lefts[ix]));
        let (height, width) = (usize::from(heights[ix]), usize::from(widths[ix]));
        if top + height > rows || left + width > cols {
            return Err(damaged("a box beyond its image"));
        }
        let levels = &mut above[..width + 2];
        levels.fill(0);
        for row in image.chunks_exact_mut(cols).skip(top).take(height) {
            unpack_row(&mut row[left..left + width], levels, &mut next, pixels)?;
        }
    }
    if next != ends {
        return Err(damaged("a stream not used up"));
    }
    Ok(())
}

/// Fills `row` from the streams, and replaces the levels of the row above by its own.
#[inline]
fn unpack_row(
    row: &mut [u8],
    levels: &mut [u8],
    next: &mut [usize; CONTEXTS],
    pixels: &[u8],
) -> Result<()> {
    let (mut west, mut north_west, mut north) = (0u8, 0u8, levels[1]);
    for (x, pixel) in row.iter_mut().enumerate() {
        let north_east = levels[x + 2];
        let context = west << 6 | north << 4 | north_east << 2 | north_west;
        let next = &mut next[usize::from(context)];
        *pixel = *pixels
            .get(*next)
            .ok_or_else(|| damaged("a stream too short"))?;
        *next += 1;
        west = LEVEL_OF[usize::from(*pixel)];
        levels[x + 1] = west;
        (north_west, north) = (north, north_east);
    }
    Ok(())
}

/// Decodes a zlib stream of at most `limit` bytes, checksum included.
fn inflate(bytes: &[u8], limit: usize) -> Result<Vec<u8>> {
    let mut raw = Vec::with_capacity(limit);
    let mut state = Decompress::new(true);
    let status = state
        .decompress_vec(bytes, &mut raw, FlushDecompress::Finish)
        .map_err(damaged)?;
    if status != Status::StreamEnd || state.total_in() != bytes.len() as u64 {
        return Err(damaged("a block that does not end where it should"));
    }
    Ok(raw)
}

/// Takes bytes off the front, and refuses to take more than there are.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (head, tail) = self
            .0
            .split_at_checked(len)
            .ok_or_else(|| damaged("cut short"))?;
        self.0 = tail;
        Ok(head)
    }

    fn u32(&mut self) -> Result<u32> {
        let b = self.take(4)?;
        Ok(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A file of one 2x3 image per block, from the raw blocks.
    fn file(count: u8, blocks: &[Vec<u8>]) -> Vec<u8> {
        let mut body = vec![0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 2, 0, 0, 0, 3];
        body.extend(1u32.to_le_bytes());
        for raw in blocks {
            let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), Default::default());
            zlib.write_all(raw).unwrap();
            let zlib = zlib.finish().unwrap();
            body.extend((zlib.len() as u32).to_le_bytes());
            body.extend(zlib);
        }
        let mut crc = Crc::new();
        crc.update(&body);
        let mut bytes = crc.sum().to_le_bytes().to_vec();
        bytes.extend(body);
        bytes
    }

    /// A raw block of one image: box, then (context, pixels) for each stream in use.
    fn block(bounds: [u8; 4], streams: &[(usize, &[u8])]) -> Vec<u8> {
        let mut raw = bounds.to_vec();
        for context in 0..CONTEXTS {
            let found = streams.iter().find(|s| s.0 == context);
            raw.extend((found.map_or(0, |s| s.1.len()) as u32).to_le_bytes());
        }
        raw.extend(streams.iter().flat_map(|s| s.1));
        raw
    }

    fn refusal(bytes: &[u8]) -> String {
        match unpack(bytes) {
            Err(Error::Data(message)) => message,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn contexts_follow_the_neighbours() {
        // Box at row 0, column 1:   100 255
        //                             0   7
        // Contexts: 0; west 2: 128; north 2, north-east 3: 44; north 3, north-west 2: 50.
        let streams: [(usize, &[u8]); 4] = [(0, &[100]), (44, &[0]), (50, &[7]), (128, &[255])];
        let raw = block([0, 1, 2, 2], &streams);
        let blank = block([0, 0, 0, 0], &[]);
        let idx = unpack(&file(2, &[raw, blank])).unwrap();
        assert_eq!(idx.dims, [2, 2, 3]);
        assert_eq!(idx.data, [0, 100, 255, 0, 0, 7, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_stream_must_end_where_its_bytes_end() {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), Default::default());
        zlib.write_all(b"pixels").unwrap();
        let zlib = zlib.finish().unwrap();
        assert_eq!(inflate(&zlib, 6).unwrap(), b"pixels");
        let mut wrong_sum = zlib.clone();
        *wrong_sum.last_mut().unwrap() ^= 1;
        let longer = [&zlib[..], &[0]].concat();
        for bytes in [&wrong_sum, &longer, &zlib[..zlib.len() - 1]] {
            assert!(
                matches!(inflate(bytes, 6), Err(Error::Data(_))),
                "{bytes:?}"
            );
        }
        assert!(matches!(inflate(&zlib, 5), Err(Error::Data(_))));
    }

    #[test]
    fn every_flipped_byte_and_every_cut_is_refused() {
        let good = file(1, &[block([0, 0, 1, 1], &[(0, &[9])])]);
        assert_eq!(unpack(&good).unwrap().data, [9, 0, 0, 0, 0, 0]);
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            refusal(&bytes);
            refusal(&good[..at]);
        }
    }

    #[test]
    fn inconsistent_contents_under_a_right_checksum_are_refused() {
        let cases = [
            (block([1, 0, 2, 1], &[(0, &[0, 0])]), "box beyond"),
            (block([0, 2, 1, 2], &[(0, &[0, 0])]), "box beyond"),
            (block([0, 0, 1, 2], &[(0, &[0])]), "too short"),
            (block([0, 0, 1, 1], &[(0, &[0, 0])]), "not used up"),
            (block([0, 0, 1, 1], &[])[..900].to_vec(), "cut short"),
            ([block([0; 4], &[]), vec![1]].concat(), "stream lengths"),
            (vec![0; 9000], "does not end"),
        ];
        for (raw, why) in cases {
            let message = refusal(&file(1, &[raw]));
            assert!(message.contains(why), "{message} / {why}");
        }
        let blank = block([0; 4], &[]);
        assert!(refusal(&file(2, &[blank])).contains("1 blocks"));
    }
}
