//! The cores against the plain sum, at every vector width, and their bits under any division.

use super::*;

/// Collects C \[m, n\]; counts how often each element came.
struct Collect {
    n: usize,
    values: Vec<f32>,
    times: Vec<u32>,
}

impl Sink<f32> for Collect {
    fn take(&mut self, row: usize, first: usize, values: &[f32]) {
        let at = row * self.n + first;
        self.values[at..at + values.len()].copy_from_slice(values);
        for times in &mut self.times[at..at + values.len()] {
            *times += 1;
        }
    }
}

fn matrix(rows: usize, ld: usize, seed: u32) -> Vec<f32> {
    let mut word = seed;
    (0..rows * ld)
        .map(|_| {
            word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            word as f32 / u32::MAX as f32 - 0.5
        })
        .collect()
}

const SHAPES: [(usize, usize, usize); 11] = [
    (1, 1, 1),
    (1, 10, 3),
    (5, 7, 0),
    (6, 16, 4),
    (7, 33, 17),
    (13, 3, 257),
    (12, 130, 64),
    (97, 131, 300),
    (128, 20, 784),
    (40, 17, 1025),
    (600, 5, 50),
];

fn shaped(
    orientation: Orientation,
    m: usize,
    n: usize,
    k: usize,
) -> (Vec<f32>, usize, Vec<f32>, usize) {
    let (a_rows, lda) = match orientation {
        Orientation::TN => (k, m + 3),
        _ => (m, k + 1),
    };
    let (b_rows, ldb) = match orientation {
        Orientation::NT => (n, k + 2),
        _ => (k, n + 1),
    };
    (matrix(a_rows, lda, 1), lda, matrix(b_rows, ldb, 2), ldb)
}

const ALL: [Orientation; 3] = [Orientation::NN, Orientation::NT, Orientation::TN];

/// Runs the cores over any of pulp's widths, which one machine alone does not have.
fn at_width<S: Simd>(simd: S, product: &Product<f32>, n: usize) -> Collect {
    let m = product.rows.end;
    let mut sink = Collect {
        n,
        values: vec![0.0; m * n],
        times: vec![0; m * n],
    };
    if !product.rows.is_empty() {
        Vectorised {
            product,
            scratch: &mut None,
            sink: &mut sink,
        }
        .with_simd(simd);
    }
    sink
}

#[test]
fn every_width_against_f64() {
    for orientation in ALL {
        for (m, n, k) in SHAPES {
            let (a, lda, b, ldb) = shaped(orientation, m, n, k);
            let product = Product {
                orientation,
                k,
                a: &a,
                lda,
                b: &b,
                ldb,
                rows: 0..m,
                cols: 0..n,
            };
            let results = [
                at_width(pulp::Scalar, &product, n),
                at_width(pulp::Scalar128b, &product, n),
                at_width(pulp::Scalar256b, &product, n),
                at_width(pulp::Scalar512b, &product, n),
            ];
            for result in &results {
                assert!(result.times.iter().all(|&times| times == 1), "{m}x{n}x{k}");
                for row in 0..m {
                    for col in 0..n {
                        let (mut sum, mut size) = (0.0, 0.0);
                        for p in 0..k {
                            let term = f64::from(a[product.place_a(row, p)])
                                * f64::from(b[product.place_b(p, col)]);
                            sum += term;
                            size += term.abs();
                        }
                        let bound = (k as f64 + 8.0) * f64::from(f32::EPSILON) / 2.0 * 1.001 * size;
                        let got = f64::from(result.values[row * n + col]);
                        assert!(
                            (got - sum).abs() <= bound,
                            "{orientation:?} {m}x{n}x{k}, [{row}, {col}]: {got} and not {sum}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn bits_do_not_depend_on_the_division() {
    for orientation in ALL {
        for (m, n, k) in SHAPES {
            let (a, lda, b, ldb) = shaped(orientation, m, n, k);
            let run = |pieces: &[(Range<usize>, Range<usize>)]| {
                let mut sink = Collect {
                    n,
                    values: vec![0.0; m * n],
                    times: vec![0; m * n],
                };
                for (rows, cols) in pieces {
                    let product = Product {
                        orientation,
                        k,
                        a: &a,
                        lda,
                        b: &b,
                        ldb,
                        rows: rows.clone(),
                        cols: cols.clone(),
                    };
                    product.vectorised(&mut sink);
                }
                assert!(sink.times.iter().all(|&times| times == 1));
                sink.values
            };
            let whole = run(&[(0..m, 0..n)]);
            for cut in [1, n / 3, n / 2 + 1] {
                let cut = cut.min(n);
                assert_eq!(whole, run(&[(0..m, 0..cut), (0..m, cut..n)]), "{m}x{n}x{k}");
            }
            for cut in [1, m / 3, m / 2 + 1] {
                let cut = cut.min(m);
                assert_eq!(whole, run(&[(0..cut, 0..n), (cut..m, 0..n)]), "{m}x{n}x{k}");
            }
        }
    }
}
