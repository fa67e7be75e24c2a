//! Softmax, cross-entropy with label smoothing (Szegedy et al. 2016, arXiv:1512.00567, section 7)
//! and the gradient of their mean, in one pass over each row.
//!
//! With q = (1 - s) * onehot + s / C and z the logits, loss = log sum exp(z) - sum q z, and
//! d loss / d z = softmax(z) - q, divided by the number of valid samples.

use super::Real;
use super::loss::for_samples;
use crate::plan::{LossHead, MemberRow, StepRow};

#[allow(clippy::too_many_arguments)]
pub fn softmax_xent<T: Real>(
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
            let max = row.outputs.iter().fold(row.outputs[0], |m, &z| m.max(z));
            let mut sum = T::ZERO;
            let mut total = T::ZERO;
            for (d, &z) in d.iter_mut().zip(row.outputs) {
                *d = (z - max).exp();
                sum += *d;
                total += z - max;
            }
            let classes = T::from_f32(d.len() as f32);
            let (hit, even) = (T::ONE - row.smoothing, row.smoothing / classes);
            let loss = sum.ln() - hit * (row.outputs[row.label] - max) - even * total;
            for (class, d) in d.iter_mut().enumerate() {
                let probability = *d / sum;
                *d = match p.eval {
                    0 if class == row.label => (probability - even - hit) / row.n_valid,
                    0 => (probability - even) / row.n_valid,
                    _ => probability,
                };
            }
            loss
        },
    );
}
