//! c = a + b, element by element.

use super::Real;
use super::parallel::for_rows;
use crate::plan::Elementwise;

pub fn add<T: Real>(p: &Elementwise, a: &[T], b: &[T], c: &mut [T]) {
    let ld = p.ld as usize;
    for_rows(c, ld, |row, c| {
        let (a, b) = (&a[row * ld..][..ld], &b[row * ld..][..ld]);
        for ((c, &a), &b) in c.iter_mut().zip(a).zip(b) {
            *c = a + b;
        }
    });
}
