//! Squared, absolute and Huber error of raw outputs against their targets, mean over samples and
//! outputs, with its gradient. Targets are one number a sample, or one-hot rows of its class, whose
//! errors are then weighted by the class. In evaluation the prediction is the outputs themselves.

use super::Real;
use super::loss::{Tables, for_samples, is_correct};
use crate::plan::{ErrorKind, LossHead, Targets};

pub fn regression_loss<T: Real>(
    p: &LossHead,
    kind: ErrorKind,
    targets: Targets,
    tables: &Tables<T>,
    d: &mut [T],
    samples: &mut [T],
) {
    for_samples(p, tables, d, samples, |row, d| {
        let delta = T::from_f32(row.member.map_or(1.0, |member| member.huber_delta));
        let outputs = T::from_f32(d.len() as f32);
        let weight = match (row.weights, targets) {
            (Some(weights), Targets::Classes) => weights[row.label as usize],
            _ => T::ONE,
        };
        let scale = weight * row.grad_scale / outputs;
        let mut sum = T::ZERO;
        let mut squares = T::ZERO;
        for (class, (d, &y)) in d.iter_mut().zip(row.outputs).enumerate() {
            let target = match targets {
                Targets::Values => T::from_f32(f32::from_bits(row.label)),
                Targets::Classes if class == row.label as usize => T::ONE,
                Targets::Classes => T::ZERO,
            };
            let error = y - target;
            sum += loss_of(kind, error, delta);
            squares += error * error;
            *d = match row.weights {
                Some(_) => slope_of(kind, error, delta) * scale,
                None => y,
            };
        }
        let other = match targets {
            Targets::Values => squares,
            Targets::Classes => is_correct(row.outputs, row.label),
        };
        [sum / outputs * weight, other]
    });
}

#[inline(always)]
fn loss_of<T: Real>(kind: ErrorKind, error: T, delta: T) -> T {
    let half = T::from_f32(0.5);
    let size = if error < T::ZERO { -error } else { error };
    match kind {
        ErrorKind::Squared => error * error,
        ErrorKind::Absolute => size,
        ErrorKind::Huber if size > delta => delta * (size - half * delta),
        ErrorKind::Huber => half * error * error,
    }
}

/// The derivative of [`loss_of`]; that of |0| is 0.
#[inline(always)]
fn slope_of<T: Real>(kind: ErrorKind, error: T, delta: T) -> T {
    match kind {
        ErrorKind::Squared => T::from_f32(2.0) * error,
        ErrorKind::Absolute if error > T::ZERO => T::ONE,
        ErrorKind::Absolute if error < T::ZERO => -T::ONE,
        // Zero, or no number, which must show.
        ErrorKind::Absolute => error,
        ErrorKind::Huber if error > delta => delta,
        ErrorKind::Huber if error < -delta => -delta,
        ErrorKind::Huber => error,
    }
}
