//! Collects a batch: u8 pixels by an index list, normalised by each member's table. Rows past the
//! valid count are zeros, so that they contribute nothing to any gradient.

use super::Real;
use super::parallel::for_rows;
use crate::plan::{Gather, StepRow};

pub fn gather<T: Real>(
    p: &Gather,
    pixels: &[u32],
    indices: &[u32],
    steps: &[StepRow],
    norm: &[T],
    x: &mut [T],
) {
    let (batch, cols, ld) = (p.batch as usize, p.cols as usize, p.ld as usize);
    let (n_norm, span) = (p.n_norm as usize, p.norm_span as usize);
    let row_bytes = p.row_words as usize * 4;
    let pixels: &[u8] = bytemuck::cast_slice(pixels);
    for_rows(x, ld, |row, x| {
        let (member, b) = (row / batch, row % batch);
        if b >= steps[member].valid as usize {
            x.fill(T::ZERO);
            return;
        }
        let table = &norm[member * n_norm * 2..][..n_norm * 2];
        let source = &pixels[indices[row] as usize * row_bytes..][..cols];
        if n_norm == 1 {
            let (scale, shift) = (table[0], table[1]);
            for (x, &pixel) in x.iter_mut().zip(source) {
                *x = T::from_f32(f32::from(pixel)) * scale + shift;
            }
        } else {
            for (j, (x, &pixel)) in x.iter_mut().zip(source).enumerate() {
                let entry = (j / span) % n_norm;
                *x = T::from_f32(f32::from(pixel)) * table[2 * entry] + table[2 * entry + 1];
            }
        }
    });
}
