//! Gradients of batch normalisation over the n valid rows, with h = (x - mean) / sqrt(var + eps):
//!
//! dbeta = sum dy, dgamma = sum dy h, and
//! dx = gamma / sqrt(var + eps) (dy - dbeta / n - h dgamma / n) (Ioffe and Szegedy 2015, section 3).
//!
//! With running statistics, which do not depend on x, dx = gamma / sqrt(var + eps) dy; such a layer
//! is frozen, and gamma and beta get no gradient.

use rayon::prelude::*;

use super::Real;
use super::parallel::for_rows;
use crate::plan::{BatchNorm, StepRow};

/// Columns whose sums one task gathers, row by row.
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
    for (member, stats) in stats.chunks_exact(2 * ld).enumerate() {
        let (mean, inverse) = stats.split_at(ld);
        let valid = steps[member].valid as usize;
        let n = T::from_f32(valid.max(1) as f32);
        let (dy, x) = (&dy[member * len..][..len], &x[member * len..][..len]);
        let mut sums = vec![[T::ZERO; 2]; ld];
        if p.running == 0 {
            sums.par_chunks_mut(COLUMNS)
                .enumerate()
                .for_each(|(ix, sums)| {
                    for row in 0..valid {
                        for (j, sum) in sums.iter_mut().enumerate() {
                            let column = ix * COLUMNS + j;
                            let at = row * ld + column;
                            let normal = (x[at] - mean[column]) * inverse[column];
                            sum[0] += dy[at];
                            sum[1] += dy[at] * normal;
                        }
                    }
                });
            let grads = &mut grads[member * stride..][..stride];
            for (j, &[shift, scale]) in sums.iter().enumerate() {
                for (offset, sum) in [(p.shift_offset, shift), (p.scale_offset, scale)] {
                    let grad = &mut grads[offset as usize + j];
                    *grad = match p.adds {
                        0 => sum,
                        _ => sum + *grad,
                    };
                }
            }
        }
        let scale = &parameters[member * stride + p.scale_offset as usize..][..ld];
        let terms: Vec<[T; 3]> = (0..ld)
            .map(|j| [inverse[j] * scale[j], sums[j][0] / n, sums[j][1] / n])
            .collect();
        for_rows(&mut dx[member * len..][..len], ld, |row, dx| {
            if row >= valid {
                dx.fill(T::ZERO);
                return;
            }
            let (dy, x) = (&dy[row * ld..][..ld], &x[row * ld..][..ld]);
            for (j, dx) in dx.iter_mut().enumerate() {
                let [factor, mean_dy, mean_dy_x] = terms[j];
                let normal = (x[j] - mean[j]) * inverse[j];
                *dx = factor * (dy[j] - mean_dy - normal * mean_dy_x);
            }
        });
    }
}
