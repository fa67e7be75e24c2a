//! Layer normalisation (Ba, Kiros and Hinton 2016, arXiv:1607.06450), as `torch.nn.LayerNorm` has it:
//! y = (x - mean) / sqrt(var + eps) * gamma + beta, mean and var (biased) being the row's own.

use super::Real;
use super::parallel::for_rows;
use crate::plan::{LayerNorm, NORM_EPS};

/// `stats` \[P, B, 2\] receives mean and 1 / sqrt(var + eps) for the backward pass.
pub fn layer_norm<T: Real>(p: &LayerNorm, x: &[T], parameters: &[T], y: &mut [T], stats: &mut [T]) {
    let (rows, cols, ld) = (p.rows as usize, p.cols as usize, p.ld as usize);
    let n = T::from_f32(p.cols as f32);
    for_rows(stats, 2, |row, pair| {
        let x = &x[row * ld..][..cols];
        let mut sum = T::ZERO;
        for &x in x {
            sum += x;
        }
        let mean = sum / n;
        let mut squares = T::ZERO;
        for &x in x {
            let centred = x - mean;
            squares += centred * centred;
        }
        pair[0] = mean;
        pair[1] = T::ONE / (squares / n + T::from_f64(NORM_EPS)).sqrt();
    });
    for_rows(y, ld, |row, y| {
        let arena = &parameters[row / rows * p.stride as usize..];
        let scale = &arena[p.scale_offset as usize..][..cols];
        let shift = &arena[p.shift_offset as usize..][..cols];
        let (mean, inverse) = (stats[2 * row], stats[2 * row + 1]);
        for (j, (y, &x)) in y.iter_mut().zip(&x[row * ld..][..cols]).enumerate() {
            *y = (x - mean) * inverse * scale[j] + shift[j];
        }
    });
}
