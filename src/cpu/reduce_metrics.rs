//! metrics\[s,p\] = the sums over a batch of (loss, correct), for each step of a range.

use std::ops::Range;

use super::Real;
use crate::plan::ReduceMetrics;

pub fn reduce_metrics<T: Real>(
    p: &ReduceMetrics,
    range: Range<usize>,
    samples: &[T],
    metrics: &mut [T],
) {
    let (members, batch) = (p.members as usize, p.batch as usize);
    for row in range.start * members..range.end * members {
        let mut sums = [T::ZERO; 2];
        for pair in samples[row * batch * 2..][..batch * 2].chunks_exact(2) {
            sums[0] += pair[0];
            sums[1] += pair[1];
        }
        metrics[row * 2..][..2].copy_from_slice(&sums);
    }
}
