//! dz = dy * f'(saved), the backward pass of an activation that no matrix product has absorbed.

use super::Real;
use super::parallel::for_rows;
use crate::plan::{Activation, Elementwise};

pub fn activation_grad<T: Real>(
    p: &Elementwise,
    f: Activation,
    dy: &[T],
    saved: &[T],
    dz: &mut [T],
) {
    let (ld, cols) = (p.ld as usize, p.cols as usize);
    for_rows(dz, ld, |row, dz| {
        let (dy, saved) = (&dy[row * ld..][..cols], &saved[row * ld..][..cols]);
        for ((dz, &dy), &s) in dz.iter_mut().zip(dy).zip(saved) {
            *dz = dy * f.derivative(s);
        }
    });
}
