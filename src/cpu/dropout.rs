//! Inverted dropout: y = x * keep / (1 - rate). Applied to dy it is its own backward pass, because
//! the draws depend on (seed, step, layer, element) alone.

use super::Real;
use super::parallel::for_rows;
use super::philox::philox;
use crate::plan::{Dropout, MemberRow, StepRow};

pub fn dropout<T: Real>(
    p: &Dropout,
    x: &[T],
    members: &[MemberRow],
    steps: &[StepRow],
    y: &mut [T],
) {
    let (rows, cols, ld) = (p.rows as usize, p.cols as usize, p.ld as usize);
    for_rows(y, ld, |row, y| {
        let (member, row_in_batch) = (row / rows, row % rows);
        let hyper = &members[member];
        let threshold = hyper.drop_threshold[p.slot as usize];
        let scale = T::from_f32(hyper.drop_scale[p.slot as usize]);
        let key = [hyper.seed_lo, hyper.seed_hi];
        let x = &x[row * ld..][..cols];
        // The counter addresses the row's groups of four columns, so that padding draws nothing.
        for (group, (y, x)) in y.chunks_mut(4).zip(x.chunks(4)).enumerate() {
            let element = (row_in_batch * (ld / 4) + group) as u32;
            let draws = philox([element, steps[member].draw, p.op, 0], key);
            for ((y, &x), draw) in y.iter_mut().zip(x).zip(draws) {
                *y = if draw >= threshold {
                    x * scale
                } else {
                    T::ZERO
                };
            }
        }
    });
}
