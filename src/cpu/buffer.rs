//! The memory of buffers: from the system itself, on whole pages, so that no vector straddles two
//! cache lines; where it has huge pages, large buffers lie on those, and finding a page costs less.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use bytemuck::Pod;
use memmap2::MmapMut;

use crate::{Error, Result};

/// Bytes of a huge page.
const HUGE_PAGE: usize = 2 << 20;
/// Bytes from which on a buffer is worth one.
const LARGE: usize = 256 << 10;

/// A slice of zeros to begin with.
#[derive(Debug)]
pub struct Buffer<T> {
    memory: MmapMut,
    /// Bytes of the mapping before the first element.
    start: usize,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Pod> Buffer<T> {
    /// # Errors
    /// Where the system has no room for `len` elements.
    pub fn new(len: usize) -> Result<Buffer<T>> {
        let bytes = len.checked_mul(size_of::<T>());
        let buffer = bytes.and_then(|bytes| Buffer::map(len, bytes).ok());
        buffer.ok_or_else(|| {
            Error::Device(format!(
                "no memory for a buffer of {len} elements of {} bytes; try a smaller batch or network",
                size_of::<T>()
            ))
        })
    }

    fn map(len: usize, bytes: usize) -> std::io::Result<Buffer<T>> {
        let (memory, start) = match bytes >= LARGE {
            true => on_huge_pages(bytes)?,
            false => (MmapMut::map_anon(bytes.max(1))?, 0),
        };
        Ok(Buffer {
            memory,
            start,
            len,
            element: PhantomData,
        })
    }

    fn bytes(&self) -> std::ops::Range<usize> {
        self.start..self.start + self.len * size_of::<T>()
    }
}

/// A mapping with room for `bytes` in whole huge pages, and where the first of them begins.
fn on_huge_pages(bytes: usize) -> std::io::Result<(MmapMut, usize)> {
    let room = bytes
        .checked_next_multiple_of(HUGE_PAGE)
        .and_then(|room| room.checked_add(HUGE_PAGE))
        .ok_or(std::io::ErrorKind::OutOfMemory)?;
    let memory = MmapMut::map_anon(room)?;
    // A system that cannot has pages all the same.
    #[cfg(target_os = "linux")]
    let _ = memory.advise(memmap2::Advice::HugePage);
    let start = memory.as_ptr().addr().next_multiple_of(HUGE_PAGE) - memory.as_ptr().addr();
    Ok((memory, start))
}

impl<T: Pod> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        bytemuck::cast_slice(&self.memory[self.bytes()])
    }
}

impl<T: Pod> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        let bytes = self.bytes();
        bytemuck::cast_slice_mut(&mut self.memory[bytes])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_of_every_size_on_whole_cache_lines() {
        for len in [0, 1, 1000, LARGE / 8 - 1, LARGE / 8, HUGE_PAGE / 8 + 1] {
            let mut buffer = Buffer::<f64>::new(len).expect("memory");
            assert_eq!(buffer.len(), len);
            assert_eq!(buffer.as_ptr().addr() % 64, 0);
            assert!(buffer.iter().all(|&x| x == 0.0));
            buffer.fill(1.0);
            assert_eq!(buffer.iter().sum::<f64>(), len as f64);
        }
    }

    #[test]
    fn too_much_is_an_error() {
        for len in [usize::MAX, usize::MAX / 8 - 1, usize::MAX / 16] {
            let error = Buffer::<f64>::new(len).expect_err("no machine has so much");
            assert!(error.to_string().contains("no memory"), "{error}");
        }
    }
}
