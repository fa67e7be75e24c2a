//! C = A * B in the three orientations of a training step, with its epilogue, per member.
//!
//! The product is the `gemm` crate's; rows are dealt to the threads in one block each, and each
//! block gets its epilogue while it is still in the cache. A block's bits do not depend on where
//! the cuts are (a test holds the crate to it).

use super::Real;
use crate::plan::{Activation, Epilogue, Kernel, Matmul, Orientation, pad4};

/// How many blocks of rows one member's product is cut into, for `wanted` threads.
///
/// A block must be summed in the order in which any other cut would have summed it. gemm 0.19 takes
/// another order for a lone row, for m * n <= 256, and for k > 512 where m and n are at most 64. So
/// blocks stay above the first two, and where the third is near the cuts do not depend on threads.
fn n_blocks(m: usize, n: usize, k: usize, wanted: usize) -> usize {
    if k > 512 && n <= 64 && m > 64 {
        return m.div_ceil(64);
    }
    if m * n * k < 64 * 1024 {
        return 1;
    }
    let least = 16.max(256 / n + 1);
    wanted.min(m / least).max(1)
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
    let members = if p.c_stride == 0 {
        1
    } else {
        c.len() / p.c_stride as usize
    };
    let product = Product {
        p,
        orientation: *orientation,
        epilogue: *epilogue,
        accumulate: *accumulate,
        bias_grad: *bias_grad,
    };
    let (m, ldc) = (p.m as usize, p.ldc as usize);
    // One block per thread over all members.
    let wanted = rayon::current_num_threads().div_ceil(members);
    let blocks = n_blocks(m, p.n as usize, p.k as usize, wanted);
    rayon::scope(|scope| {
        for (member, c) in c.chunks_exact_mut(p.c_stride.max(1) as usize).enumerate() {
            let (head, tail) = c.split_at_mut(p.c_offset as usize + m * ldc);
            let mut rest = &mut head[p.c_offset as usize..];
            let mut start = 0;
            for block in 0..blocks {
                let end = m * (block + 1) / blocks;
                let (rows, later) = rest.split_at_mut((end - start) * ldc);
                rest = later;
                let product = &product;
                let (first, mut run) = (start, move || {
                    product.block(member, start, a, b, e, rows);
                });
                // The last block of the last member runs here, without waking anyone.
                if block + 1 == blocks && member + 1 == members {
                    run();
                } else {
                    scope.spawn(move |_| run());
                }
                debug_assert!(first < end);
                start = end;
            }
            if product.bias_grad {
                let at = p.d_offset as usize - head_len(p);
                product.column_sums(member, a, &mut tail[at..at + m]);
            }
        }
    });
}

/// Elements of c up to the end of the product's own rows; the bias gradient lies behind them,
/// since the arena puts weights before biases.
fn head_len(p: &Matmul) -> usize {
    p.c_offset as usize + p.m as usize * p.ldc as usize
}

struct Product<'a> {
    p: &'a Matmul,
    orientation: Orientation,
    epilogue: Epilogue,
    accumulate: bool,
    bias_grad: bool,
}

impl Product<'_> {
    /// Rows `start..` of one member's product, as many as `c` holds.
    fn block<T: Real>(&self, member: usize, start: usize, a: &[T], b: &[T], e: &[T], c: &mut [T]) {
        let p = self.p;
        let (n, k, ldc) = (p.n as usize, p.k as usize, p.ldc as usize);
        let (lda, ldb) = (p.lda as usize, p.ldb as usize);
        let m = c.len() / ldc;
        let a = &a[p.a_offset as usize + member * p.a_stride as usize..];
        let b = &b[p.b_offset as usize + member * p.b_stride as usize..];
        let (a, a_row, a_col) = match self.orientation {
            Orientation::NN | Orientation::NT => (&a[start * lda..], lda, 1),
            Orientation::TN => (&a[start..], 1, lda),
        };
        let (b_row, b_col) = match self.orientation {
            Orientation::NN | Orientation::TN => (ldb, 1),
            Orientation::NT => (1, ldb),
        };
        assert!(a.len() > (m - 1) * a_row + (k - 1) * a_col);
        assert!(b.len() > (k - 1) * b_row + (n - 1) * b_col);
        let alpha = if self.accumulate { T::ONE } else { T::ZERO };
        // SAFETY: the strides and extents were checked against the slices above, c is m x ldc with
        // n <= ldc and is not aliased: it is a unique borrow.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                c.as_mut_ptr(),
                1,
                ldc as isize,
                self.accumulate,
                a.as_ptr(),
                a_col as isize,
                a_row as isize,
                b.as_ptr(),
                b_col as isize,
                b_row as isize,
                alpha,
                T::ONE,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
        let e = e.get(p.e_offset as usize + member * p.e_stride as usize..);
        match (self.epilogue, e) {
            (Epilogue::Bias(act), Some(bias)) => match act {
                Activation::None => add_bias(c, ldc, &bias[..n], |z| z),
                Activation::Relu => add_bias(c, ldc, &bias[..n], |z| Activation::Relu.apply(z)),
                act => add_bias(c, ldc, &bias[..n], |z| act.apply(z)),
            },
            (Epilogue::ActivationGrad(act), Some(saved)) => {
                let saved = &saved[start * ldc..];
                for (c, saved) in c.chunks_exact_mut(ldc).zip(saved.chunks_exact(ldc)) {
                    for (c, &s) in c[..n].iter_mut().zip(saved) {
                        *c = *c * act.derivative(s);
                    }
                }
            }
            (Epilogue::None, _) => {}
            (_, None) => unreachable!("the epilogue's operand is shorter than its offset"),
        }
        debug_assert_eq!(ldc, pad4(n));
    }

    /// d\[m\] = sum over k of a\[k,m\], k ascending: the bias gradient of a TN product.
    fn column_sums<T: Real>(&self, member: usize, a: &[T], d: &mut [T]) {
        let p = self.p;
        let a = &a[p.a_offset as usize + member * p.a_stride as usize..];
        if !self.accumulate {
            d.fill(T::ZERO);
        }
        for row in a.chunks_exact(p.lda as usize).take(p.k as usize) {
            for (d, &a) in d.iter_mut().zip(row) {
                *d += a;
            }
        }
    }
}

/// c = f(c + bias), row by row; generic over f so that each activation's loop vectorises.
#[inline(always)]
fn add_bias<T: Real>(c: &mut [T], ldc: usize, bias: &[T], f: impl Fn(T) -> T) {
    for c in c.chunks_exact_mut(ldc) {
        for (c, &bias) in c.iter_mut().zip(bias) {
            *c = f(*c + bias);
        }
    }
}
