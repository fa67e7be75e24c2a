//! Gradients of batch normalisation over the n valid rows, with h = (x - mean) / sqrt(var + eps):
//!
//! dbeta = sum dy, dgamma = sum dy h, and
//! dx = gamma / sqrt(var + eps) (dy - dbeta / n - h dgamma / n) (Ioffe and Szegedy 2015, section 3).
//!
//! With running statistics, which do not depend on x, dx = gamma / sqrt(var + eps) dy; such a layer
//! is frozen, and gamma and beta get no gradient.

use super::Real;
use super::parallel::Disjoint;
use super::team::fork;
use crate::plan::{BatchNorm, StepRow};

/// Columns that one task takes through, row by row.
const COLUMNS: usize = 32;

#[allow(clippy::too_many_arguments)]
pub fn batch_norm_grad<T: Real>(
    p: &BatchNorm,
    dy: &[T],
    x: &[T],
    stats: &[T],
    steps: &[StepRow],
    parameters: &[T],
    dx: &mut [T],
    grads: &mut [T],
) {
    let (rows, ld) = (p.rows as usize, p.ld as usize);
    let stride = p.stride as usize;
    let len = rows * ld;
    let chunks = ld.div_ceil(COLUMNS);
    let (dx, grads) = (Disjoint::new(dx), Disjoint::new(grads));
    fork(steps.len() * chunks, |task| {
        let (member, first) = (task / chunks, task % chunks * COLUMNS);
        let columns = first..(first + COLUMNS).min(ld);
        let width = columns.len();
        let stats = &stats[member * 2 * ld..][..2 * ld];
        let (mean, inverse) = (&stats[columns.clone()], &stats[ld + first..][..width]);
        let valid = steps[member].valid as usize;
        let n = T::from_f32(valid.max(1) as f32);
        let (dy, x) = (&dy[member * len..][..len], &x[member * len..][..len]);
        let mut sums = [[T::ZERO; 2]; COLUMNS];
        if p.running == 0 {
            for row in 0..valid {
                for (j, sum) in sums[..width].iter_mut().enumerate() {
                    let at = row * ld + first + j;
                    let normal = (x[at] - mean[j]) * inverse[j];
                    sum[0] += dy[at];
                    sum[1] += dy[at] * normal;
                }
            }
            for (side, offset) in [(0, p.shift_offset), (1, p.scale_offset)] {
                let start = member * stride + offset as usize + first;
                // SAFETY: each column of gamma and of beta belongs to one task.
                let grads = unsafe { grads.range(start..start + width) };
                for (grad, sum) in grads.iter_mut().zip(&sums) {
                    *grad = match p.adds {
                        0 => sum[side],
                        _ => sum[side] + *grad,
                    };
                }
            }
        }
        let scale = &parameters[member * stride + p.scale_offset as usize + first..][..width];
        for row in 0..rows {
            let start = row * ld + first;
            let at = member * len + start;
            // SAFETY: each column of dx belongs to one task.
            let dx = unsafe { dx.range(at..at + width) };
            if row >= valid {
                dx.fill(T::ZERO);
                continue;
            }
            let (dy, x) = (&dy[start..][..width], &x[start..][..width]);
            for (j, dx) in dx.iter_mut().enumerate() {
                let [mean_dy, mean_dy_x] = sums[j].map(|sum| sum / n);
                let normal = (x[j] - mean[j]) * inverse[j];
                *dx = inverse[j] * scale[j] * (dy[j] - mean_dy - normal * mean_dy_x);
            }
        }
    });
}
