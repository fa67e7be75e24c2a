//! sum = g where a batch begins an optimiser step, sum + g elsewhere, over what trains.

use super::Real;
use super::parallel::for_rows;
use crate::plan::{Accumulate, StepRow};

/// Elements that one task adds.
const CHUNK: usize = 64;

pub fn accumulate<T: Real>(p: &Accumulate, grads: &[T], steps: &[StepRow], sum: &mut [T]) {
    let (n, stride) = (p.n as usize, p.stride as usize);
    let members = sum.chunks_exact_mut(stride).zip(grads.chunks_exact(stride));
    for ((sum, grads), step) in members.zip(steps) {
        // Arenas are whole stretches of 64.
        for_rows(&mut sum[..n], CHUNK, |chunk, sum| {
            let grads = &grads[chunk * CHUNK..][..CHUNK];
            for (sum, &g) in sum.iter_mut().zip(grads) {
                *sum = match step.begins {
                    0 => g + *sum,
                    _ => g,
                };
            }
        });
    }
}
