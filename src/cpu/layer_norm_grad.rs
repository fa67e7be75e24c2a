//! Gradients of layer normalisation, with h = (x - mean) / sqrt(var + eps) and d = dy gamma:
//!
//! dx = (d - mean(d) - h mean(d h)) / sqrt(var + eps), means over the row; dbeta = sum dy and
//! dgamma = sum dy h, sums over the rows. Masked rows have a dy of zero and add nothing.

use super::Real;
use super::parallel::{Disjoint, for_rows};
use super::team::fork;
use crate::plan::LayerNorm;

/// Columns whose sums one task gathers, row by row.
const COLUMNS: usize = 32;

pub fn layer_norm_grad<T: Real>(
    p: &LayerNorm,
    dy: &[T],
    x: &[T],
    stats: &[T],
    parameters: &[T],
    dx: &mut [T],
    grads: &mut [T],
) {
    let (rows, cols, ld) = (p.rows as usize, p.cols as usize, p.ld as usize);
    let stride = p.stride as usize;
    let n = T::from_f32(p.cols as f32);
    for_rows(dx, ld, |row, dx| {
        let scale = &parameters[row / rows * stride + p.scale_offset as usize..][..cols];
        let (dy, x) = (&dy[row * ld..][..cols], &x[row * ld..][..cols]);
        let (mean, inverse) = (stats[2 * row], stats[2 * row + 1]);
        let (mut sum, mut sum_x) = (T::ZERO, T::ZERO);
        for j in 0..cols {
            let d = dy[j] * scale[j];
            sum += d;
            sum_x += d * ((x[j] - mean) * inverse);
        }
        let (mean_d, mean_d_x) = (sum / n, sum_x / n);
        for (j, dx) in dx[..cols].iter_mut().enumerate() {
            let normal = (x[j] - mean) * inverse;
            *dx = inverse * (dy[j] * scale[j] - mean_d - normal * mean_d_x);
        }
    });
    if p.trains == 0 {
        return;
    }
    let chunks = ld.div_ceil(COLUMNS);
    let members = grads.len() / stride;
    let grads = Disjoint::new(grads);
    fork(members * chunks, |task| {
        let (member, first) = (task / chunks, task % chunks * COLUMNS);
        let width = COLUMNS.min(ld - first);
        let mut sums = [[T::ZERO; 2]; COLUMNS];
        for row in member * rows..(member + 1) * rows {
            let (mean, inverse) = (stats[2 * row], stats[2 * row + 1]);
            for (j, sum) in sums[..width].iter_mut().enumerate() {
                let at = row * ld + first + j;
                sum[0] += dy[at];
                sum[1] += dy[at] * ((x[at] - mean) * inverse);
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
    });
}
