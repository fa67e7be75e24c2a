//! What the two loss heads share: their tables, and walking the valid rows of a batch.

use super::Real;
use crate::plan::{LossHead, MemberRow, StepRow};

/// What a loss head reads beside its parameters.
pub struct Tables<'a, T> {
    /// Raw outputs \[P, B, ld\].
    pub outputs: &'a [T],
    /// Class numbers, or f32 bits of targets \[N\].
    pub labels: &'a [u32],
    /// This step's \[P, B\].
    pub indices: &'a [u32],
    /// \[P\]; empty for the cross-entropy, which does without.
    pub members: &'a [MemberRow],
    /// This step's \[P\].
    pub steps: &'a [StepRow],
    /// \[P, C\]
    pub class_weights: &'a [T],
}

/// One valid row of a batch.
pub struct Row<'a, T> {
    /// Raw outputs \[C\].
    pub outputs: &'a [T],
    /// A class number, or the f32 bits of a target.
    pub label: u32,
    pub member: Option<&'a MemberRow>,
    pub step: &'a StepRow,
    /// Class weights \[C\]; `None` in evaluation, which knows neither weights nor smoothing.
    pub weights: Option<&'a [T]>,
    pub grad_scale: T,
}

/// Calls `f(row, d)` for every valid row, `d` \[C\] being its stretch of the head's output; `f`
/// returns the two numbers of the sample's metrics, the weighted loss first. Rows past the valid
/// count become zeros.
pub fn for_samples<T: Real>(
    p: &LossHead,
    tables: &Tables<T>,
    d: &mut [T],
    samples: &mut [T],
    f: impl Fn(&Row<T>, &mut [T]) -> [T; 2] + Sync,
) {
    let (batch, classes, ld) = (p.batch as usize, p.classes as usize, p.ld as usize);
    for (row, pair) in samples.chunks_exact_mut(2).enumerate() {
        let member = row / batch;
        let step = &tables.steps[member];
        let d = &mut d[row * ld..][..ld];
        if row % batch >= step.valid as usize {
            d.fill(T::ZERO);
            pair.fill(T::ZERO);
            continue;
        }
        let train = p.eval == 0;
        let weights = &tables.class_weights[member * classes..][..classes];
        let row = Row {
            outputs: &tables.outputs[row * ld..][..classes],
            label: tables.labels[tables.indices[row] as usize],
            member: tables.members.get(member),
            step,
            weights: train.then_some(weights),
            grad_scale: T::from_f32(step.grad_scale),
        };
        let [mut loss, other] = f(&row, &mut d[..classes]);
        if train {
            loss = loss * T::from_f32(step.loss_scale);
        }
        pair.copy_from_slice(&[loss, other]);
    }
}

/// 1 where the largest output, the first among equals, is the label's.
pub fn is_correct<T: Real>(outputs: &[T], label: u32) -> T {
    if argmax(outputs) == label as usize {
        T::ONE
    } else {
        T::ZERO
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
