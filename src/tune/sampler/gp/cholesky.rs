//! The Cholesky factor of a symmetric positive definite matrix, and what follows from it. These are
//! loops without closures, inlined into what is compiled for each width of vectors: a closure would be
//! compiled for the vectors that every machine has.

/// L with A = L L^T, kept as its inverse too.
#[derive(Clone, Debug)]
pub struct Cholesky {
    n: usize,
    /// sum over i of ln L_ii: half the logarithm of A's determinant.
    pub log_diagonal: f64,
    /// L^-1, (n, n) row-major, lower triangle.
    inverse_factor: Vec<f64>,
}

impl Cholesky {
    /// Factors `a`, (n, n) row-major, of which the lower triangle is read; `None` where it is not
    /// positive definite.
    #[inline(always)]
    pub fn new(mut a: Vec<f64>, n: usize) -> Option<Cholesky> {
        let mut log_diagonal = 0.0;
        for i in 0..n {
            let (above, row) = a.split_at_mut(i * n);
            for j in 0..i {
                let other = &above[j * n..j * n + j + 1];
                row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
            }
            let pivot = row[i] - dot(&row[..i], &row[..i]);
            if !(pivot > 0.0 && pivot.is_finite()) {
                return None;
            }
            row[i] = pivot.sqrt();
            log_diagonal += libm::log(row[i]);
        }
        Some(Cholesky {
            n,
            log_diagonal,
            inverse_factor: invert_lower(&a, n),
        })
    }

    /// L^-1 b.
    #[inline(always)]
    pub fn half_solve(&self, b: &[f64]) -> Vec<f64> {
        let mut x = vec![0.0; self.n];
        for (i, row) in self.inverse_factor.chunks(self.n).enumerate() {
            x[i] = dot(&row[..=i], &b[..=i]);
        }
        x
    }

    /// L^-T b.
    #[inline(always)]
    pub fn half_solve_transposed(&self, b: &[f64]) -> Vec<f64> {
        let mut x = vec![0.0; self.n];
        for (i, row) in self.inverse_factor.chunks(self.n).enumerate() {
            for (x, l) in x.iter_mut().zip(&row[..=i]) {
                *x += b[i] * l;
            }
        }
        x
    }

    /// A^-1 b.
    #[inline(always)]
    pub fn solve(&self, b: &[f64]) -> Vec<f64> {
        self.half_solve_transposed(&self.half_solve(b))
    }

    /// The lower triangle of A^-1, (n, n) row-major.
    #[inline(always)]
    pub fn inverse(&self) -> Vec<f64> {
        let n = self.n;
        let mut inverse = vec![0.0; n * n];
        for (k, row) in self.inverse_factor.chunks(n).enumerate() {
            for (i, l) in row[..=k].iter().enumerate() {
                let out = &mut inverse[i * n..i * n + i + 1];
                for (x, r) in out.iter_mut().zip(row) {
                    *x += l * r;
                }
            }
        }
        inverse
    }
}

/// The inverse of a lower triangular matrix, (n, n) row-major.
#[inline(always)]
fn invert_lower(l: &[f64], n: usize) -> Vec<f64> {
    let mut inverse = vec![0.0; n * n];
    for i in 0..n {
        let (above, row) = inverse.split_at_mut(i * n);
        for k in 0..i {
            let factor = l[i * n + k];
            let other = &above[k * n..k * n + k + 1];
            for (x, o) in row.iter_mut().zip(other) {
                *x -= factor * o;
            }
        }
        let scale = 1.0 / l[i * n + i];
        for x in &mut row[..i] {
            *x *= scale;
        }
        row[i] = scale;
    }
    inverse
}

/// The scalar product, summed in eight lanes.
#[inline(always)]
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (a_chunks, b_chunks) = (a.chunks_exact(8), b.chunks_exact(8));
    let mut rest = 0.0;
    for (a, b) in a_chunks.remainder().iter().zip(b_chunks.remainder()) {
        rest += a * b;
    }
    for (a, b) in a_chunks.zip(b_chunks) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    let mut sum = 0.0;
    for lane in lanes {
        sum += lane;
    }
    sum + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};

    fn positive_definite(n: usize) -> Vec<f64> {
        let mut stream = Stream::new(1, Purpose::Init, n as u32);
        let b: Vec<f64> = (0..n * n).map(|_| f64::from(stream.normal(1.0))).collect();
        let mut a = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..n {
                a[i * n + j] = dot(&b[i * n..(i + 1) * n], &b[j * n..(j + 1) * n]);
            }
            a[i * n + i] += 0.5;
        }
        a
    }

    #[test]
    fn it_solves_and_inverts() {
        for n in [1, 2, 7, 8, 9, 40] {
            let a = positive_definite(n);
            let factor = Cholesky::new(a.clone(), n).unwrap();
            let b: Vec<f64> = (0..n).map(|i| i as f64 - 1.5).collect();
            let x = factor.solve(&b);
            for (row, b) in a.chunks(n).zip(&b) {
                assert!((dot(row, &x) - b).abs() < 1e-9, "n = {n}");
            }
            let inverse = factor.inverse();
            let full = |i: usize, j: usize| inverse[i.max(j) * n + i.min(j)];
            for i in 0..n {
                for j in 0..n {
                    let product: f64 = (0..n).map(|k| a[i * n + k] * full(k, j)).sum();
                    let want = f64::from(u8::from(i == j));
                    assert!((product - want).abs() < 1e-9, "n = {n}: {product}");
                }
            }
        }
    }

    #[test]
    fn the_determinant_comes_along_and_indefinite_matrices_are_refused() {
        let factor = Cholesky::new(vec![4.0, 0.0, 2.0, 3.0], 2).unwrap();
        assert!((2.0 * factor.log_diagonal - 8f64.ln()).abs() < 1e-15);
        assert!(Cholesky::new(vec![1.0, 2.0, 2.0, 1.0], 2).is_none());
        assert!(Cholesky::new(vec![f64::NAN], 1).is_none());
    }
}
