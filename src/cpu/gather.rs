//! Collects a batch: u8 or f32 samples by an index list, normalised by each member's table. Rows
//! past the valid count are zeros, so that they contribute nothing to any gradient.

use super::Real;
use super::parallel::{Rows, make_rows};
use crate::plan::{Gather, StepRow};

pub fn gather<T: Real>(
    p: &Gather,
    pixels: &[u32],
    indices: &[u32],
    steps: &[StepRow],
    norm: &[T],
    x: &mut [T],
) {
    let samples = Samples {
        p,
        pixels,
        indices,
        steps,
        norm,
    };
    make_rows(x, p.ld as usize, samples);
}

struct Samples<'a, T> {
    p: &'a Gather,
    pixels: &'a [u32],
    indices: &'a [u32],
    steps: &'a [StepRow],
    norm: &'a [T],
}

impl<T: Real> Rows<T> for Samples<'_, T> {
    #[inline(always)]
    fn make(&self, row: usize, x: &mut [T]) {
        let p = self.p;
        let (batch, cols) = (p.batch as usize, p.cols as usize);
        let (row_words, n_norm) = (p.row_words as usize, p.n_norm as usize);
        let (member, b) = (row / batch, row % batch);
        if b >= self.steps[member].valid as usize {
            x.fill(T::ZERO);
            return;
        }
        let table = &self.norm[member * n_norm * 2..][..n_norm * 2];
        let words = &self.pixels[self.indices[row] as usize * row_words..][..row_words];
        if p.floats == 0 {
            let bytes: &[u8] = bytemuck::cast_slice(words);
            normalise(p, table, &bytes[..cols], x, f32::from);
        } else {
            normalise(p, table, &words[..cols], x, f32::from_bits);
        }
    }
}

/// x = (sample - centre) * scale.
#[inline(always)]
fn normalise<T: Real, S: Copy>(
    p: &Gather,
    table: &[T],
    samples: &[S],
    x: &mut [T],
    value: impl Fn(S) -> f32,
) {
    let (n_norm, span) = (p.n_norm as usize, p.norm_span as usize);
    if n_norm == 1 {
        let (scale, centre) = (table[0], table[1]);
        for (x, &sample) in x.iter_mut().zip(samples) {
            *x = (T::from_f32(value(sample)) - centre) * scale;
        }
    } else {
        for (j, (x, &sample)) in x.iter_mut().zip(samples).enumerate() {
            let entry = (j / span) % n_norm;
            let (scale, centre) = (table[2 * entry], table[2 * entry + 1]);
            *x = (T::from_f32(value(sample)) - centre) * scale;
        }
    }
}
