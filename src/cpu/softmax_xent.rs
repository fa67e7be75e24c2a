//! Softmax, cross-entropy with label smoothing (Szegedy et al. 2016, arXiv:1512.00567, section 7)
//! and class weights, and the gradient of their mean, in one pass over each row.
//!
//! With q = (1 - s) * onehot + s / C, w the class weights and z the logits, a sample's loss is
//! sum_c q_c w_c (log sum exp(z) - z_c), and d loss / d z_j = softmax(z)_j sum_c q_c w_c - q_j w_j;
//! the mean divides by the sum of the samples' w\[label\], as PyTorch's does.

use super::Real;
use super::loss::{Row, Tables, for_samples, is_correct};
use crate::plan::LossHead;

pub fn softmax_xent<T: Real>(p: &LossHead, tables: &Tables<T>, d: &mut [T], samples: &mut [T]) {
    for_samples(p, tables, d, samples, xent);
}

/// One row: its loss and whether it is right; d becomes its gradient or, in evaluation, its
/// probabilities.
pub fn xent<T: Real>(row: &Row<T>, d: &mut [T]) -> [T; 2] {
    let label = row.label as usize;
    let max = row.outputs.iter().fold(row.outputs[0], |m, &z| m.max(z));
    let mut sum = T::ZERO;
    for (d, &z) in d.iter_mut().zip(row.outputs) {
        *d = (z - max).exp();
        sum += *d;
    }
    let Some(weights) = row.weights else {
        for d in d.iter_mut() {
            *d = *d / sum;
        }
        let loss = sum.ln() - (row.outputs[label] - max);
        return [loss, is_correct(row.outputs, row.label)];
    };
    let smoothing = T::from_f32(row.step.label_smoothing);
    let classes = T::from_f32(d.len() as f32);
    let (hit, even) = (T::ONE - smoothing, smoothing / classes);
    let mut total = T::ZERO;
    let mut weight = T::ZERO;
    for (&z, &w) in row.outputs.iter().zip(weights) {
        total += w * (z - max);
        weight += w;
    }
    let mass = hit * weights[label] + even * weight;
    let own = hit * weights[label] * (row.outputs[label] - max);
    let loss = mass * sum.ln() - own - even * total;
    for (class, (d, &w)) in d.iter_mut().zip(weights).enumerate() {
        let q = if class == label { even + hit } else { even };
        *d = (*d / sum * mass - q * w) * row.grad_scale;
    }
    [loss, is_correct(row.outputs, row.label)]
}
