//! Mean squared error of raw outputs against one-hot labels, mean over samples and outputs, with its
//! gradient 2 (y - t) / (C * valid). In evaluation the prediction is the outputs themselves.

use super::Real;
use super::loss::for_samples;
use crate::plan::{LossHead, MemberRow, StepRow};

#[allow(clippy::too_many_arguments)]
pub fn mse<T: Real>(
    p: &LossHead,
    outputs: &[T],
    labels: &[u32],
    indices: &[u32],
    members: &[MemberRow],
    steps: &[StepRow],
    d: &mut [T],
    samples: &mut [T],
) {
    for_samples(
        p,
        outputs,
        labels,
        indices,
        members,
        steps,
        d,
        samples,
        |row, d| {
            let classes = T::from_f32(d.len() as f32);
            let scale = T::from_f32(2.0) / (classes * row.n_valid);
            let mut sum = T::ZERO;
            for (class, (d, &y)) in d.iter_mut().zip(row.outputs).enumerate() {
                let target = if class == row.label { T::ONE } else { T::ZERO };
                let error = y - target;
                sum += error * error;
                *d = if p.eval == 0 { scale * error } else { y };
            }
            sum / classes
        },
    );
}
