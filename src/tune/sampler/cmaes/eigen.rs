//! Eigen-decomposition of a small symmetric matrix: Householder's reduction to tridiagonal form, then
//! the QL algorithm with implicit shifts (Bowdler, Martin, Reinsch and Wilkinson 1968).

/// At most so many QL steps for one eigenvalue; two are usual.
const MAX_STEPS: usize = 60;

/// Eigenvalues and eigenvectors of a symmetric matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Eigen {
    /// In no order.
    pub values: Vec<f64>,
    /// (n, n), row-major: row k is the unit eigenvector of `values[k]`.
    pub vectors: Vec<f64>,
}

/// Decomposes `matrix`, (n, n) row-major and symmetric.
pub fn decompose(matrix: &[f64], n: usize) -> Eigen {
    let mut vectors = matrix.to_vec();
    let (mut diagonal, mut off) = tridiagonalise(&mut vectors, n);
    diagonalise(&mut diagonal, &mut off, &mut vectors, n);
    Eigen {
        values: diagonal,
        vectors,
    }
}

/// Leaves in `a` the rows q_k of an orthogonal Q with Q a Q^T tridiagonal; returns its diagonal and
/// what is below it (`off[i]` couples i and i + 1; the last is 0).
fn tridiagonalise(a: &mut [f64], n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut reflections: Vec<Option<(Vec<f64>, f64)>> = vec![None; n];
    let mut off = vec![0.0; n];
    // Row i is reflected onto its entry i - 1.
    for i in (1..n).rev() {
        let row = &a[i * n..i * n + i];
        let scale: f64 = row.iter().map(|x| x.abs()).sum();
        if i == 1 || scale == 0.0 {
            off[i - 1] = a[i * n + i - 1];
            continue;
        }
        let mut v: Vec<f64> = row.iter().map(|x| x / scale).collect();
        let norm = dot(&v, &v).sqrt();
        let alpha = if v[i - 1] > 0.0 { -norm } else { norm };
        v[i - 1] -= alpha;
        let beta = 2.0 / dot(&v, &v);
        off[i - 1] = alpha * scale;
        reflect_both_sides(a, n, &v, beta);
        reflections[i] = Some((v, beta));
    }
    let diagonal = (0..n).map(|i| a[i * n + i]).collect();
    a.fill(0.0);
    (0..n).for_each(|i| a[i * n + i] = 1.0);
    // Q = H_2 ... H_{n-1}; row k of Q is column k of H_{n-1} ... H_2, each of them symmetric.
    for (v, beta) in reflections.iter().rev().flatten() {
        reflect_rows(a, n, v, *beta);
    }
    (diagonal, off)
}

/// a = H a H with H = I - beta v v^T in the leading block of v's size.
fn reflect_both_sides(a: &mut [f64], n: usize, v: &[f64], beta: f64) {
    let m = v.len();
    let mut p: Vec<f64> = (0..m)
        .map(|i| beta * dot(&a[i * n..i * n + m], v))
        .collect();
    let k = 0.5 * beta * dot(&p, v);
    p.iter_mut().zip(v).for_each(|(p, v)| *p -= k * v);
    for i in 0..m {
        let row = &mut a[i * n..i * n + m];
        for ((x, v_j), p_j) in row.iter_mut().zip(v).zip(&p) {
            *x -= v[i] * p_j + p[i] * v_j;
        }
    }
}

/// a = H a, where H reflects the first rows.
fn reflect_rows(a: &mut [f64], n: usize, v: &[f64], beta: f64) {
    let mut w = vec![0.0; n];
    for (i, v_i) in v.iter().enumerate() {
        let row = &a[i * n..(i + 1) * n];
        w.iter_mut().zip(row).for_each(|(w, x)| *w += v_i * x);
    }
    for (i, v_i) in v.iter().enumerate() {
        let row = &mut a[i * n..(i + 1) * n];
        row.iter_mut()
            .zip(&w)
            .for_each(|(x, w)| *x -= beta * v_i * w);
    }
}

/// QL steps until nothing is left beside the diagonal; rotates the rows of `vectors` along.
fn diagonalise(d: &mut [f64], e: &mut [f64], vectors: &mut [f64], n: usize) {
    for l in 0..n {
        for _ in 0..MAX_STEPS {
            let is_small =
                |m: &usize| e[*m].abs() <= f64::EPSILON * (d[*m].abs() + d[*m + 1].abs());
            let m = (l..n - 1).find(is_small).unwrap_or(n - 1);
            if m == l {
                break;
            }
            ql_step(d, e, vectors, n, l, m);
        }
    }
}

/// One QL step with Wilkinson's shift on the block l..=m.
fn ql_step(d: &mut [f64], e: &mut [f64], vectors: &mut [f64], n: usize, l: usize, m: usize) {
    let half = (d[l + 1] - d[l]) / (2.0 * e[l]);
    let r = (half * half + 1.0).sqrt();
    let mut g = d[m] - d[l] + e[l] / (half + r.copysign(half));
    let (mut s, mut c, mut p) = (1.0, 1.0, 0.0);
    for i in (l..m).rev() {
        let (f, b) = (s * e[i], c * e[i]);
        let r = libm::hypot(f, g);
        e[i + 1] = r;
        if r == 0.0 {
            d[i + 1] -= p;
            e[m] = 0.0;
            return;
        }
        (s, c) = (f / r, g / r);
        g = d[i + 1] - p;
        let r = (d[i] - g) * s + 2.0 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
        let (lower, upper) = vectors.split_at_mut((i + 1) * n);
        for (x, y) in lower[i * n..].iter_mut().zip(&mut upper[..n]) {
            (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
        }
    }
    d[l] -= p;
    e[l] = g;
    e[m] = 0.0;
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};

    /// sum over k of value_k v_k v_k^T.
    fn rebuilt(eigen: &Eigen, n: usize) -> Vec<f64> {
        let mut matrix = vec![0.0; n * n];
        for (v, value) in eigen.vectors.chunks(n).zip(&eigen.values) {
            for (i, row) in matrix.chunks_mut(n).enumerate() {
                row.iter_mut()
                    .zip(v)
                    .for_each(|(x, v_j)| *x += value * v[i] * v_j);
            }
        }
        matrix
    }

    fn assert_decomposed(matrix: &[f64], n: usize) {
        let eigen = decompose(matrix, n);
        let scale = matrix.iter().fold(1e-300, |m: f64, x| m.max(x.abs()));
        let bound = 1e-13 * scale * n as f64;
        for (got, want) in rebuilt(&eigen, n).iter().zip(matrix) {
            assert!((got - want).abs() <= bound, "n = {n}: {got} for {want}");
        }
        for (i, v) in eigen.vectors.chunks(n).enumerate() {
            for (j, w) in eigen.vectors.chunks(n).enumerate() {
                let want = f64::from(u8::from(i == j));
                assert!(
                    (dot(v, w) - want).abs() < 1e-13 * n as f64,
                    "{i} and {j} of {n}"
                );
            }
        }
    }

    #[test]
    fn eigenvectors_rebuild_the_matrix_and_are_orthonormal() {
        for n in [1, 2, 3, 5, 17, 40] {
            let mut stream = Stream::new(1, Purpose::Init, n as u32);
            let mut matrix = vec![0.0; n * n];
            for i in 0..n {
                for j in 0..=i {
                    let x = f64::from(stream.normal(1.0));
                    (matrix[i * n + j], matrix[j * n + i]) = (x, x);
                }
            }
            assert_decomposed(&matrix, n);
        }
    }

    #[test]
    fn degenerate_matrices_are_decomposed() {
        let identity = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        assert_eq!(decompose(&identity, 3).values, [1.0; 3]);
        assert_decomposed(&[0.0; 16], 4);
        assert_decomposed(&[1.0; 25], 5);
        assert_decomposed(&[1e12, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1e-12], 3);
    }

    #[test]
    fn the_second_difference_has_its_known_eigenvalues() {
        let n = 12;
        let mut matrix = vec![0.0; n * n];
        for i in 0..n {
            matrix[i * n + i] = 2.0;
            if i > 0 {
                (matrix[i * n + i - 1], matrix[(i - 1) * n + i]) = (-1.0, -1.0);
            }
        }
        let mut values = decompose(&matrix, n).values;
        values.sort_by(f64::total_cmp);
        for (k, value) in values.iter().enumerate() {
            let angle = std::f64::consts::PI * (k + 1) as f64 / (n + 1) as f64;
            assert!(
                (value - (2.0 - 2.0 * angle.cos())).abs() < 1e-13,
                "{k}: {value}"
            );
        }
    }
}
