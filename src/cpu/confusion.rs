//! counts\[p, label, prediction\] += 1 for every valid row.

use super::Real;
use super::loss::argmax;
use crate::plan::{Confusion, StepRow};

pub fn confusion<T: Real>(
    p: &Confusion,
    outputs: &[T],
    labels: &[u32],
    indices: &[u32],
    steps: &[StepRow],
    counts: &mut [u32],
) {
    let (batch, classes, ld) = (p.batch as usize, p.classes as usize, p.ld as usize);
    for member in 0..p.members as usize {
        let counts = &mut counts[member * classes * classes..][..classes * classes];
        for b in 0..steps[member].valid as usize {
            let row = member * batch + b;
            let label = labels[indices[row] as usize] as usize;
            counts[label * classes + argmax(&outputs[row * ld..][..classes])] += 1;
        }
    }
}
