//! Batch normalisation of vectors (Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 1), as
//! `torch.nn.BatchNorm1d` has it: y = (x - mean) / sqrt(var + eps) * gamma + beta, column by column.
//!
//! In training mean and var (biased) are the batch's, over its valid rows, and the running ones move
//! by a tenth towards them, the variance towards the unbiased one. In evaluation, and in a frozen
//! layer, mean and var are the running ones. Rows past the valid count become zeros.

use super::Real;
use super::parallel::{Disjoint, for_rows};
use super::team::fork;
use crate::plan::{BatchNorm, MemberRow, NORM_EPS, NORM_MOMENTUM, StepRow};

/// Columns whose statistics one task gathers, row by row.
const COLUMNS: usize = 32;

/// `stats` \[P, 2, ld\] receives mean and 1 / sqrt(var + eps) for the backward pass.
pub fn batch_norm<T: Real>(
    p: &BatchNorm,
    x: &[T],
    members: &[MemberRow],
    steps: &[StepRow],
    y: &mut [T],
    stats: &mut [T],
    parameters: &mut [T],
) {
    let (rows, ld) = (p.rows as usize, p.ld as usize);
    let stride = p.stride as usize;
    for (member, stats) in stats.chunks_exact_mut(2 * ld).enumerate() {
        let arena = &mut parameters[member * stride..][..stride];
        let (mean, inverse) = stats.split_at_mut(ld);
        let valid = steps[member].valid as usize;
        let n = T::from_f32(valid.max(1) as f32);
        if p.running == 0 {
            let x = &x[member * rows * ld..][..valid * ld];
            // `inverse` holds the sums of squares first.
            let (means, squares) = (Disjoint::new(&mut *mean), Disjoint::new(&mut *inverse));
            fork(ld.div_ceil(COLUMNS), |ix| {
                let range = ix * COLUMNS..((ix + 1) * COLUMNS).min(ld);
                // SAFETY: each column belongs to one task.
                let (mean, squares) = unsafe { (means.range(range.clone()), squares.range(range)) };
                column_statistics(x, ld, ix * COLUMNS, n, mean, squares);
            });
            if valid > 0 && members[member].active_flag != 0 {
                let (take, rest) = (
                    T::from_f64(NORM_MOMENTUM),
                    T::ONE - T::from_f64(NORM_MOMENTUM),
                );
                let others = T::from_f32((valid.max(2) - 1) as f32);
                for j in 0..ld {
                    let running = &mut arena[p.mean_offset as usize + j];
                    *running = rest * *running + take * mean[j];
                    let running = &mut arena[p.var_offset as usize + j];
                    *running = rest * *running + take * (inverse[j] / others);
                }
            }
        } else {
            mean.copy_from_slice(&arena[p.mean_offset as usize..][..ld]);
        }
        for (ix, inverse) in inverse.iter_mut().enumerate() {
            let variance = match p.running {
                0 => *inverse / n,
                _ => arena[p.var_offset as usize + ix],
            };
            *inverse = T::ONE / (variance + T::from_f64(NORM_EPS)).sqrt();
        }
        let (scale, shift) = (
            &arena[p.scale_offset as usize..][..ld],
            &arena[p.shift_offset as usize..][..ld],
        );
        let x = &x[member * rows * ld..][..rows * ld];
        let y = &mut y[member * rows * ld..][..rows * ld];
        for_rows(y, ld, |row, y| {
            if row >= valid {
                y.fill(T::ZERO);
                return;
            }
            for (j, (y, &x)) in y.iter_mut().zip(&x[row * ld..]).enumerate() {
                *y = (x - mean[j]) * inverse[j] * scale[j] + shift[j];
            }
        });
    }
}

/// Means, and sums of squared distances from them, of the columns from `first` on.
fn column_statistics<T: Real>(
    x: &[T],
    ld: usize,
    first: usize,
    n: T,
    mean: &mut [T],
    squares: &mut [T],
) {
    mean.fill(T::ZERO);
    squares.fill(T::ZERO);
    for row in x.chunks_exact(ld) {
        for (sum, &x) in mean.iter_mut().zip(&row[first..]) {
            *sum += x;
        }
    }
    for sum in mean.iter_mut() {
        *sum = *sum / n;
    }
    for row in x.chunks_exact(ld) {
        for ((sum, &mean), &x) in squares.iter_mut().zip(mean.iter()).zip(&row[first..]) {
            let centred = x - mean;
            *sum += centred * centred;
        }
    }
}
