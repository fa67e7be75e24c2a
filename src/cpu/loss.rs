//! What the two loss heads share: walking the valid rows of a batch.

use super::Real;
use crate::plan::{LossHead, MemberRow, StepRow};

/// One valid row of a batch.
pub struct Row<'a, T> {
    /// Raw outputs \[C\].
    pub outputs: &'a [T],
    pub label: usize,
    /// The training loss is smoothed, the evaluation loss is not.
    pub smoothing: T,
    pub n_valid: T,
}

/// Calls `f(row, d)` for every valid row, `d` \[C\] being its stretch of the head's output; stores
/// (loss, correct) of each sample. Rows past the valid count become zeros.
#[allow(clippy::too_many_arguments)]
pub fn for_samples<T: Real>(
    p: &LossHead,
    outputs: &[T],
    labels: &[u32],
    indices: &[u32],
    members: &[MemberRow],
    steps: &[StepRow],
    d: &mut [T],
    samples: &mut [T],
    f: impl Fn(&Row<T>, &mut [T]) -> T + Sync,
) {
    let (batch, classes, ld) = (p.batch as usize, p.classes as usize, p.ld as usize);
    let valid = |row: usize| row % batch < steps[row / batch].valid as usize;
    let row_of = |row: usize| Row {
        outputs: &outputs[row * ld..][..classes],
        label: labels[indices[row] as usize] as usize,
        smoothing: match p.eval {
            0 => T::from_f32(members[row / batch].label_smoothing),
            _ => T::ZERO,
        },
        n_valid: T::from_f32(steps[row / batch].valid as f32),
    };
    for (row, pair) in samples.chunks_exact_mut(2).enumerate() {
        let mut loss = T::ZERO;
        let mut correct = T::ZERO;
        let d = &mut d[row * ld..][..ld];
        if valid(row) {
            let row = row_of(row);
            loss = f(&row, &mut d[..classes]);
            if argmax(row.outputs) == row.label {
                correct = T::ONE;
            }
        } else {
            d.fill(T::ZERO);
        }
        pair.copy_from_slice(&[loss, correct]);
    }
}

/// The index of the largest value, the first among equals.
pub fn argmax<T: Real>(values: &[T]) -> usize {
    let mut best = 0;
    for (ix, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = ix;
        }
    }
    best
}
