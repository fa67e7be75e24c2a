//! C = A * B in the three orientations of a training step, with its epilogue, per member.
//!
//! Each thread makes a stretch of rows or of columns, whichever C has more of, and each result gets
//! its epilogue while it is still in the first cache.

use std::ops::Range;

use super::Real;
use super::parallel::Disjoint;
use super::product::{Product, Sink};
use super::team::{fork, threads};
use crate::plan::{Activation, Epilogue, Kernel};

/// Multiplications below which waking other threads costs more than it saves.
const SERIAL_BELOW: usize = 64 * 1024;

/// How the results \[m, n\] of one member are dealt out: by rows or by columns.
#[derive(Clone, Copy)]
pub struct Division {
    m: usize,
    n: usize,
    by_rows: bool,
    /// Pieces of one member's results.
    pub pieces: usize,
}

impl Division {
    /// For a product of `m` x `n` results with `k` products each, for each of `members`: by whichever
    /// there are more of.
    pub fn new(m: usize, n: usize, k: usize, members: usize) -> Division {
        Division::by(m > n, m, n, k, members)
    }

    /// For results that move parameters: where that weighs beside the products, by rows if there are
    /// enough of them, since a thread's parameters and their moments then lie together.
    pub fn of_parameters(m: usize, n: usize, k: usize, members: usize) -> Division {
        let by_rows = m > n || (m >= 16 * threads() && m >= k);
        Division::by(by_rows, m, n, k, members)
    }

    fn by(by_rows: bool, m: usize, n: usize, k: usize, members: usize) -> Division {
        let len = if by_rows { m } else { n };
        let pieces = match m * n * k < SERIAL_BELOW {
            true => 1,
            false => threads().div_ceil(members).min(len.div_ceil(16)),
        };
        Division {
            m,
            n,
            by_rows,
            pieces,
        }
    }

    /// Rows and columns of a piece.
    pub fn piece(&self, ix: usize) -> (Range<usize>, Range<usize>) {
        let (m, n) = (self.m, self.n);
        // Whole vectors of columns, so that no two threads pad the same one.
        let cut = |len: usize, ix: usize| (len * ix / self.pieces).next_multiple_of(16).min(len);
        let of = |len: usize| cut(len, ix)..cut(len, ix + 1);
        match self.by_rows {
            true => (of(m), 0..n),
            false => (0..m, of(n)),
        }
    }
}

/// # Panics
/// If `kernel` is not a matrix product.
pub fn matmul<T: Real>(kernel: &Kernel, a: &[T], b: &[T], e: &[T], c: &mut [T]) {
    let Kernel::Matmul {
        shape: p,
        orientation,
        epilogue,
        accumulate,
        bias_grad,
    } = kernel
    else {
        panic!("{} is not a matrix product", kernel.name());
    };
    assert!(
        !accumulate || *epilogue == Epilogue::None,
        "a product that adds has no epilogue: the shader would apply it before adding, this after"
    );
    let members = match p.c_stride {
        0 => 1,
        stride => c.len() / stride as usize,
    };
    let (m, n, k) = (p.m as usize, p.n as usize, p.k as usize);
    let division = Division::new(m, n, k, members);
    let c = Disjoint::new(c);
    fork(members * division.pieces, |task| {
        let (member, piece) = (task / division.pieces, task % division.pieces);
        let a = &a[p.a_offset as usize + member * p.a_stride as usize..];
        let (rows, cols) = division.piece(piece);
        let product = Product {
            orientation: *orientation,
            k,
            a,
            lda: p.lda as usize,
            b: &b[p.b_offset as usize + member * p.b_stride as usize..],
            ldb: p.ldb as usize,
            rows,
            cols,
        };
        let e = match epilogue {
            Epilogue::None => &[],
            _ => &e[p.e_offset as usize + member * p.e_stride as usize..],
        };
        let mut store = Store {
            c: &c,
            first: p.c_offset as usize + member * p.c_stride as usize,
            ldc: p.ldc as usize,
            epilogue: *epilogue,
            e,
            adds: *accumulate,
        };
        T::product(&product, &mut store);
        if *bias_grad && piece == 0 {
            let first = p.d_offset as usize + member * p.c_stride as usize;
            // SAFETY: the bias lies beside the weights, and this task alone makes it.
            let d = unsafe { c.range(first..first + m) };
            if !accumulate {
                d.fill(T::ZERO);
            }
            column_sums(a, p.lda as usize, k, d);
        }
    });
}

/// The epilogue.
struct Store<'a, T> {
    c: &'a Disjoint<'a, T>,
    first: usize,
    ldc: usize,
    epilogue: Epilogue,
    /// The bias \[n\], or what the derivative is taken of \[m, ldc\].
    e: &'a [T],
    adds: bool,
}

impl<T: Real> Sink<T> for Store<'_, T> {
    #[inline(always)]
    fn take(&mut self, row: usize, first: usize, values: &[T]) {
        let start = self.first + row * self.ldc + first;
        // SAFETY: pieces have no results in common.
        let c = unsafe { self.c.range(start..start + values.len()) };
        match self.epilogue {
            Epilogue::None if self.adds => {
                for (c, &value) in c.iter_mut().zip(values) {
                    *c = value + *c;
                }
            }
            Epilogue::None => c.copy_from_slice(values),
            Epilogue::Bias(act) => {
                let bias = &self.e[first..][..values.len()];
                match act {
                    Activation::None => combine(c, values, bias, |z, bias| z + bias),
                    Activation::Relu => {
                        combine(c, values, bias, |z, bias| Activation::Relu.apply(z + bias));
                    }
                    act => combine(c, values, bias, |z, bias| act.apply(z + bias)),
                }
            }
            Epilogue::ActivationGrad(act) => {
                let saved = &self.e[row * self.ldc + first..][..values.len()];
                through(act, c, values, saved);
            }
        }
    }
}

/// c = d * f'(saved).
#[inline(always)]
pub fn through<T: Real>(act: Activation, c: &mut [T], d: &[T], saved: &[T]) {
    match act {
        Activation::None => c.copy_from_slice(d),
        Activation::Relu => combine(c, d, saved, |d, s| d * Activation::Relu.derivative(s)),
        act => combine(c, d, saved, |d, s| d * act.derivative(s)),
    }
}

/// c = f(x, y), element by element; generic over f so that each loop vectorises.
#[inline(always)]
fn combine<T: Real>(c: &mut [T], x: &[T], y: &[T], f: impl Fn(T, T) -> T) {
    for ((c, &x), &y) in c.iter_mut().zip(x).zip(y) {
        *c = f(x, y);
    }
}

/// d\[m\] += the sum over k of a\[k,m\], k ascending: the bias gradient of a TN product.
pub fn column_sums<T: Real>(a: &[T], lda: usize, k: usize, d: &mut [T]) {
    for row in a.chunks(lda).take(k) {
        for (d, &a) in d.iter_mut().zip(row) {
            *d += a;
        }
    }
}
