//! The core of every matrix product: register tiles over packed panels, at the machine's vector
//! width; what becomes of a result is the [`Sink`]'s business, as it is an epilogue's on a GPU.
//!
//! Two cores after Goto and van de Geijn (2008, Anatomy of High-Performance Matrix Multiplication).
//! `outer`, for B \[k,n\], adds the outer products of a packed sliver of A and a packed panel of B.
//! `inner`, for B \[n,k\], takes the inner products of rows as they lie: nothing is transposed. Each
//! element's products are added in an order that depends on k alone, so its bits do not depend on
//! which rows and columns are asked for together, nor on the number of threads.

use std::cell::RefCell;
use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::Real;
use crate::plan::Orientation;

/// Rows and columns of C = A * B with k products each, of one member. The slices begin at the
/// member's matrices.
pub struct Product<'a, T> {
    pub orientation: Orientation,
    pub k: usize,
    pub a: &'a [T],
    pub lda: usize,
    pub b: &'a [T],
    pub ldb: usize,
    pub rows: Range<usize>,
    pub cols: Range<usize>,
}

/// Takes the results, each once.
pub trait Sink<T> {
    /// `values` are row `row` of C from column `first` on.
    fn take(&mut self, row: usize, first: usize, values: &[T]);
}

impl<T: Real> Product<'_, T> {
    /// Where A\[row, p\] and B\[p, col\] lie.
    fn place_a(&self, row: usize, p: usize) -> usize {
        match self.orientation {
            Orientation::NN | Orientation::NT => row * self.lda + p,
            Orientation::TN => p * self.lda + row,
        }
    }

    fn place_b(&self, p: usize, col: usize) -> usize {
        match self.orientation {
            Orientation::NN | Orientation::TN => p * self.ldb + col,
            Orientation::NT => col * self.ldb + p,
        }
    }

    /// Term by term, for numbers that the machine has no vectors of.
    pub fn plain(&self, sink: &mut impl Sink<T>) {
        let mut values = vec![T::ZERO; self.cols.len()];
        for row in self.rows.clone() {
            values.fill(T::ZERO);
            for p in 0..self.k {
                let a = self.a[self.place_a(row, p)];
                for (value, col) in values.iter_mut().zip(self.cols.clone()) {
                    *value += a * self.b[self.place_b(p, col)];
                }
            }
            sink.take(row, self.cols.start, &values);
        }
    }
}

impl Product<'_, f32> {
    /// With the machine's vectors.
    ///
    /// # Panics
    /// Where a row, column or product lies outside its slice.
    pub fn vectorised(&self, sink: &mut impl Sink<f32>) {
        if self.rows.is_empty() || self.cols.is_empty() {
            return;
        }
        if self.k > 0 {
            // The cores read without further checks; offsets grow with each index.
            assert!(self.place_a(self.rows.end - 1, self.k - 1) < self.a.len());
            assert!(self.place_b(self.k - 1, self.cols.end - 1) < self.b.len());
        }
        SCRATCH.with_borrow_mut(|scratch| {
            Arch::new().dispatch(Vectorised {
                product: self,
                room: Room::of(scratch),
                sink,
            });
        });
    }
}

struct Vectorised<'a, K> {
    product: &'a Product<'a, f32>,
    room: Room<'a>,
    sink: &'a mut K,
}

impl<K: Sink<f32>> WithSimd for Vectorised<'_, K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Vectorised {
            product,
            room,
            sink,
        } = self;
        // Accumulators, the operands at hand and one to spare fill the registers.
        match (product.orientation, S::REGISTER_COUNT >= 32) {
            (Orientation::NT, true) => inner::<S, K, 6, 4>(simd, product, room, sink),
            (Orientation::NT, false) => inner::<S, K, 4, 3>(simd, product, room, sink),
            (_, true) => outer::<S, K, 12, 2>(simd, product, room, sink),
            (_, false) => outer::<S, K, 6, 2>(simd, product, room, sink),
        }
    }
}

/// Columns of C that are at work at once, and products of one pass over them: what a panel of B, and
/// a sliver of A with it, hold in the second cache.
const BLOCK_COLS: usize = 128;
const BLOCK_K: usize = 256;

/// Elements of packed A.
const PACKED_A: usize = 96 * BLOCK_K;

/// Rows of C at work at once where k takes several passes; a multiple of both tile heights.
const BLOCK_ROWS: usize = 96;

const PACKED_B: usize = BLOCK_COLS * BLOCK_K;
const TILE: usize = BLOCK_ROWS * BLOCK_COLS;

thread_local! {
    /// Each thread's room for packed operands and tiles.
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// The thread's packed A, packed B and tile.
struct Room<'a> {
    a: &'a mut [f32],
    b: &'a mut [f32],
    tile: &'a mut [f32],
}

impl<'a> Room<'a> {
    fn of(scratch: &'a mut Vec<f32>) -> Room<'a> {
        scratch.resize(PACKED_A + PACKED_B + TILE, 0.0);
        let (a, rest) = scratch.split_at_mut(PACKED_A);
        let (b, tile) = rest.split_at_mut(PACKED_B);
        Room { a, b, tile }
    }
}

/// # Safety
/// A whole vector can be read at `from`, which need not be aligned.
#[inline(always)]
unsafe fn load<S: Simd>(from: *const f32) -> S::f32s {
    // SAFETY: the caller's promise; a vector has no invalid bits.
    unsafe { from.cast::<S::f32s>().read_unaligned() }
}

/// # Safety
/// A whole vector can be written at `to`, which need not be aligned.
#[inline(always)]
unsafe fn store<S: Simd>(to: *mut f32, v: S::f32s) {
    // SAFETY: the caller's promise.
    unsafe { to.cast::<S::f32s>().write_unaligned(v) }
}

/// B \[k,n\]: slivers of ROWS rows of A against panels of VECS vectors of columns of B.
#[inline(always)]
fn outer<S: Simd, K: Sink<f32>, const ROWS: usize, const VECS: usize>(
    simd: S,
    p: &Product<f32>,
    room: Room,
    sink: &mut K,
) {
    let width = VECS * S::F32_LANES;
    let passes = p.k.div_ceil(BLOCK_K).max(1);
    let depth = p.k.div_ceil(passes);
    // With one pass a sliver is done when its panels are; with several the tile waits for them all.
    let block_rows = match passes {
        1 => (PACKED_A / depth.max(1)).next_multiple_of(ROWS) - ROWS,
        _ => BLOCK_ROWS,
    };
    let block_rows = block_rows.max(ROWS);
    let blocks = p.cols.len().div_ceil(BLOCK_COLS);
    let block_cols = p.cols.len().div_ceil(blocks).next_multiple_of(width);
    let one_block_of_a = passes == 1 && p.rows.len() <= block_rows;
    let Room {
        a: packed_a,
        b: packed_b,
        tile,
    } = room;
    for (n_block, cols) in blocks_of(&p.cols, block_cols).enumerate() {
        let panels = cols.len().div_ceil(width);
        let ld = panels * width;
        for (m_block, rows) in blocks_of(&p.rows, block_rows).enumerate() {
            for pass in 0..passes {
                let ks = pass * depth..((pass + 1) * depth).min(p.k);
                if passes > 1 || m_block == 0 {
                    pack_b(p, &ks, &cols, width, packed_b);
                }
                if !one_block_of_a || n_block == 0 {
                    pack_a::<ROWS>(p, &ks, &rows, packed_a);
                }
                for (sliver, rows) in blocks_of(&rows, ROWS).enumerate() {
                    let tile = match passes {
                        1 => &mut tile[..ROWS * ld],
                        _ => &mut tile[sliver * ROWS * ld..][..ROWS * ld],
                    };
                    let a = &packed_a[sliver * ROWS * ks.len()..][..ROWS * ks.len()];
                    for panel in 0..panels {
                        let b = &packed_b[panel * width * ks.len()..][..width * ks.len()];
                        let c = &mut tile[panel * width..][..(ROWS - 1) * ld + width];
                        // SAFETY: a and b hold ROWS and `width` elements for each product, and
                        // c ROWS rows of `width` elements, `ld` apart.
                        unsafe {
                            add_outer::<S, ROWS, VECS>(
                                simd,
                                ks.len(),
                                a.as_ptr(),
                                b.as_ptr(),
                                c.as_mut_ptr(),
                                ld,
                                pass > 0,
                            );
                        }
                    }
                    if pass + 1 == passes {
                        for (row, values) in rows.zip(tile.chunks_exact(ld)) {
                            sink.take(row, cols.start, &values[..cols.len()]);
                        }
                    }
                }
            }
        }
    }
}

/// c (+)= the sum over k of a\[k, ROWS\] * b\[k, VECS vectors\]: the sums stay in registers.
///
/// # Safety
/// `a` has ROWS and `b` VECS vectors of elements for each of `k`; `c` has ROWS rows of VECS vectors,
/// `ld` elements apart.
#[inline(always)]
unsafe fn add_outer<S: Simd, const ROWS: usize, const VECS: usize>(
    simd: S,
    k: usize,
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    ld: usize,
    adds: bool,
) {
    let lanes = S::F32_LANES;
    let mut sums = [[simd.splat_f32s(0.0); VECS]; ROWS];
    // SAFETY: all places are inside what the caller promises.
    unsafe {
        if adds {
            for (r, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = load::<S>(c.add(r * ld + v * lanes));
                }
            }
        }
        for p in 0..k {
            let mut columns = [simd.splat_f32s(0.0); VECS];
            for (v, column) in columns.iter_mut().enumerate() {
                *column = load::<S>(b.add((p * VECS + v) * lanes));
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let x = simd.splat_f32s(*a.add(p * ROWS + r));
                for (sum, column) in sums.iter_mut().zip(columns) {
                    *sum = simd.mul_add_e_f32s(x, column, *sum);
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                store::<S>(c.add(r * ld + v * lanes), *sum);
            }
        }
    }
}

/// Panels of `width` columns, each \[k, width\]; zeros past the last column.
#[inline(always)]
fn pack_b(
    p: &Product<f32>,
    ks: &Range<usize>,
    cols: &Range<usize>,
    width: usize,
    packed: &mut [f32],
) {
    for (panel, cols) in blocks_of(cols, width).enumerate() {
        let panel = &mut packed[panel * width * ks.len()..][..width * ks.len()];
        for (to, k) in panel.chunks_exact_mut(width).zip(ks.clone()) {
            let from = &p.b[k * p.ldb + cols.start..][..cols.len()];
            to[..from.len()].copy_from_slice(from);
            to[from.len()..].fill(0.0);
        }
    }
}

/// Slivers of ROWS rows, each \[k, ROWS\]; zeros past the last row.
#[inline(always)]
fn pack_a<const ROWS: usize>(
    p: &Product<f32>,
    ks: &Range<usize>,
    rows: &Range<usize>,
    packed: &mut [f32],
) {
    for (sliver, rows) in blocks_of(rows, ROWS).enumerate() {
        let sliver = &mut packed[sliver * ROWS * ks.len()..][..ROWS * ks.len()];
        if rows.len() < ROWS {
            sliver.fill(0.0);
        }
        if p.orientation == Orientation::TN {
            for (to, k) in sliver.chunks_exact_mut(ROWS).zip(ks.clone()) {
                let from = &p.a[k * p.lda + rows.start..][..rows.len()];
                to[..from.len()].copy_from_slice(from);
            }
        } else {
            for (r, row) in rows.enumerate() {
                let from = &p.a[row * p.lda + ks.start..][..ks.len()];
                for (to, &x) in sliver.chunks_exact_mut(ROWS).zip(from) {
                    to[r] = x;
                }
            }
        }
    }
}

/// B \[n,k\]: inner products of ROWS rows of A and COLS rows of B, along k.
#[inline(always)]
fn inner<S: Simd, K: Sink<f32>, const ROWS: usize, const COLS: usize>(
    simd: S,
    p: &Product<f32>,
    room: Room,
    sink: &mut K,
) {
    // Rows of B that stay in the second cache while all rows of A pass by.
    let block_cols = (PACKED_B / p.k.max(1)).clamp(COLS, BLOCK_COLS) / COLS * COLS;
    let tile = room.tile;
    for cols in blocks_of(&p.cols, block_cols) {
        for rows in blocks_of(&p.rows, ROWS) {
            for group in blocks_of(&cols, COLS) {
                // Past the last row or column the last one stands in, and its sums go nowhere.
                let (mut a, mut b) = ([&p.a[..0]; ROWS], [&p.b[..0]; COLS]);
                for (r, a) in a.iter_mut().enumerate() {
                    *a = &p.a[(rows.start + r).min(rows.end - 1) * p.lda..][..p.k];
                }
                for (c, b) in b.iter_mut().enumerate() {
                    *b = &p.b[(group.start + c).min(group.end - 1) * p.ldb..][..p.k];
                }
                let sums = inner_products(simd, p.k, &a, &b);
                for (sums, tile) in sums.iter().zip(tile.chunks_exact_mut(BLOCK_COLS)) {
                    let at = group.start - cols.start;
                    tile[at..at + group.len()].copy_from_slice(&sums[..group.len()]);
                }
            }
            for (row, values) in rows.zip(tile.chunks_exact(BLOCK_COLS)) {
                sink.take(row, cols.start, &values[..cols.len()]);
            }
        }
    }
}

#[inline(always)]
fn inner_products<S: Simd, const ROWS: usize, const COLS: usize>(
    simd: S,
    k: usize,
    a: &[&[f32]; ROWS],
    b: &[&[f32]; COLS],
) -> [[f32; COLS]; ROWS] {
    let lanes = S::F32_LANES;
    let mut sums = [[simd.splat_f32s(0.0); COLS]; ROWS];
    let whole = k / lanes * lanes;
    let mut p = 0;
    while p < whole {
        let mut columns = [simd.splat_f32s(0.0); COLS];
        for (column, b) in columns.iter_mut().zip(b) {
            // SAFETY: p + lanes <= k, which is the length of each row.
            *column = unsafe { load::<S>(b.as_ptr().add(p)) };
        }
        for (sums, a) in sums.iter_mut().zip(a) {
            // SAFETY: as above.
            let x = unsafe { load::<S>(a.as_ptr().add(p)) };
            for (sum, column) in sums.iter_mut().zip(columns) {
                *sum = simd.mul_add_e_f32s(x, column, *sum);
            }
        }
        p += lanes;
    }
    if whole < k {
        for (sums, a) in sums.iter_mut().zip(a) {
            let x = simd.partial_load_f32s(&a[whole..]);
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum = simd.mul_add_e_f32s(x, simd.partial_load_f32s(&b[whole..]), *sum);
            }
        }
    }
    let mut results = [[0.0; COLS]; ROWS];
    for (results, sums) in results.iter_mut().zip(sums) {
        for (result, sum) in results.iter_mut().zip(sums) {
            *result = simd.reduce_sum_f32s(sum);
        }
    }
    results
}

/// `range` in stretches of `len`.
#[inline(always)]
fn blocks_of(range: &Range<usize>, len: usize) -> impl Iterator<Item = Range<usize>> + use<> {
    let Range { start, end } = *range;
    (start..end)
        .step_by(len)
        .map(move |first| first..(first + len).min(end))
}

#[cfg(test)]
mod tests;
