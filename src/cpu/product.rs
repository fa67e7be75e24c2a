//! The core of every matrix product: register tiles over packed panels, at the machine's vector
//! width; what becomes of a result is the [`Sink`]'s business, as it is an epilogue's on a GPU.
//!
//! After Goto and van de Geijn (2008, Anatomy of High-Performance Matrix Multiplication): a panel of
//! B, packed as a few vectors of columns for each of k (for B \[n,k\] that transposes it), stays in
//! the first cache while slivers of a few rows of A pass by, and the sums of their outer products stay
//! in registers. Each element's products are added in the order of k, so its bits do not depend on
//! which rows and columns are asked for together, nor on the number of threads.

use std::cell::RefCell;
use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::Real;
use super::buffer::Buffer;
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
            // The core reads without further checks; offsets grow with each index.
            assert!(self.place_a(self.rows.end - 1, self.k - 1) < self.a.len());
            assert!(self.place_b(self.k - 1, self.cols.end - 1) < self.b.len());
        }
        SCRATCH.with_borrow_mut(|scratch| {
            Arch::new().dispatch(Vectorised {
                product: self,
                scratch,
                sink,
            });
        });
    }
}

struct Vectorised<'a, K> {
    product: &'a Product<'a, f32>,
    scratch: &'a mut Option<Buffer<f32>>,
    sink: &'a mut K,
}

impl<K: Sink<f32>> WithSimd for Vectorised<'_, K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Vectorised {
            product,
            scratch,
            sink,
        } = self;
        // The sums, the columns at hand and one element of A fill the registers.
        match S::REGISTER_COUNT >= 32 {
            true => multiply::<S, K, 12, 11, 2>(simd, product, scratch, sink),
            false => multiply::<S, K, 6, 5, 2>(simd, product, scratch, sink),
        }
    }
}

/// Products of one pass: a panel of so many stays in the first cache.
const BLOCK_K: usize = 256;
/// Elements of packed B, which stays in the second cache, or near it, while all rows pass by.
const PACKED_B: usize = 128 * 1024;
/// The most columns of C at work at once.
const BLOCK_COLS: usize = 512;
/// The most rows of C at work at once, a multiple of both heights of a sliver.
const BLOCK_ROWS: usize = 96;

thread_local! {
    /// Each thread's room for packed operands and the block of C at work.
    static SCRATCH: RefCell<Option<Buffer<f32>>> = const { RefCell::new(None) };
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

/// Slivers have ROWS or ROWS - 1 = LESS rows where there are enough of them, so that few are
/// padded; panels have VECS vectors of columns.
#[inline(always)]
fn multiply<S: Simd, K: Sink<f32>, const ROWS: usize, const LESS: usize, const VECS: usize>(
    simd: S,
    p: &Product<f32>,
    scratch: &mut Option<Buffer<f32>>,
    sink: &mut K,
) {
    let width = VECS * S::F32_LANES;
    let packs_a = p.orientation == Orientation::TN;
    let depth = even(p.k, BLOCK_K).max(1);
    let most_cols = (PACKED_B / p.k.max(1)).clamp(width, BLOCK_COLS);
    let block_cols = even(p.cols.len(), most_cols / width * width).next_multiple_of(width);
    let block_rows = even(p.rows.len(), BLOCK_ROWS);
    // A padded sliver reads, and writes, up to ROWS rows.
    let room_b = block_cols * p.k;
    let room_a = (block_rows * depth + ROWS) * usize::from(packs_a);
    let room = room_b + room_a + block_rows.div_ceil(ROWS) * ROWS * block_cols;
    let scratch = match scratch {
        Some(scratch) if scratch.len() >= room => scratch,
        _ => scratch.insert(Buffer::new(room).expect("room for a block of a product")),
    };
    let (packed_b, rest) = scratch.split_at_mut(room_b);
    let (packed_a, tile) = rest.split_at_mut(room_a);
    for cols in blocks_of(&p.cols, block_cols) {
        // Elements between two rows of the tile.
        let ld = cols.len().next_multiple_of(width);
        for ks in blocks_of(&(0..p.k), depth) {
            let packed = &mut packed_b[ks.start * ld..ks.end * ld];
            pack_b::<S, VECS>(p, &ks, &cols, packed);
        }
        for rows in blocks_of(&p.rows, block_rows) {
            let slivers = Slivers::new::<ROWS>(&rows);
            if p.k == 0 {
                tile.fill(0.0);
            }
            for ks in blocks_of(&(0..p.k), depth) {
                if packs_a {
                    pack_a::<ROWS, LESS>(p, &ks, &slivers, packed_a);
                }
                let packed = &packed_b[ks.start * ld..ks.end * ld];
                for (panel, b) in packed.chunks_exact(width * ks.len()).enumerate() {
                    for (ix, sliver) in slivers.iter().enumerate() {
                        let mut a = [std::ptr::null(); ROWS];
                        let step = if packs_a {
                            let first = (sliver.start - rows.start) * ks.len();
                            let packed = &packed_a[first..first + sliver.len() * ks.len() + ROWS];
                            for (r, a) in a.iter_mut().enumerate() {
                                *a = packed[r..].as_ptr();
                            }
                            sliver.len()
                        } else {
                            // Past the last row the last one stands in, and its sums go nowhere.
                            for (r, a) in a.iter_mut().enumerate() {
                                let row = (sliver.start + r).min(sliver.end - 1);
                                *a = p.a[row * p.lda + ks.start..][..ks.len()].as_ptr();
                            }
                            1
                        };
                        let c = &mut tile[ix * ROWS * ld + panel * width..];
                        let c = c[..(ROWS - 1) * ld + width].as_mut_ptr();
                        let (b, adds) = (b.as_ptr(), ks.start > 0);
                        // SAFETY: a and b hold ROWS and `width` elements for each product, and c
                        // ROWS rows of `width` elements, `ld` apart.
                        unsafe {
                            if sliver.len() > LESS {
                                add::<S, ROWS, VECS>(simd, ks.len(), &a, step, b, c, ld, adds);
                            } else {
                                let a = a.first_chunk::<LESS>().expect("LESS < ROWS");
                                add::<S, LESS, VECS>(simd, ks.len(), a, step, b, c, ld, adds);
                            }
                        }
                    }
                }
            }
            for (sliver, tile) in slivers.iter().zip(tile.chunks_exact(ROWS * ld)) {
                for (row, values) in sliver.zip(tile.chunks_exact(ld)) {
                    sink.take(row, cols.start, &values[..cols.len()]);
                }
            }
        }
    }
}

/// c (+)= the sum over k of a\[k, ROWS\] * b\[k, VECS vectors\]: the sums stay in registers.
///
/// # Safety
/// Each of `a` has an element at every `step` for each of `k`, `b` VECS vectors of them; `c` has ROWS
/// rows of VECS vectors, `ld` elements apart.
#[allow(clippy::too_many_arguments)]
#[inline(always)]
unsafe fn add<S: Simd, const ROWS: usize, const VECS: usize>(
    simd: S,
    k: usize,
    a: &[*const f32; ROWS],
    step: usize,
    mut b: *const f32,
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
        let mut at = 0;
        let end = b.add(k * VECS * lanes);
        while b != end {
            let mut columns = [simd.splat_f32s(0.0); VECS];
            for (v, column) in columns.iter_mut().enumerate() {
                *column = load::<S>(b.add(v * lanes));
            }
            for (sums, a) in sums.iter_mut().zip(a) {
                let x = simd.splat_f32s(*a.add(at));
                for (sum, column) in sums.iter_mut().zip(columns) {
                    *sum = simd.mul_add_e_f32s(x, column, *sum);
                }
            }
            b = b.add(VECS * lanes);
            at += step;
        }
        for (r, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                store::<S>(c.add(r * ld + v * lanes), *sum);
            }
        }
    }
}

/// Panels of VECS vectors of columns, each \[k, columns\]; zeros past the last column.
#[inline(always)]
fn pack_b<S: Simd, const VECS: usize>(
    p: &Product<f32>,
    ks: &Range<usize>,
    cols: &Range<usize>,
    packed: &mut [f32],
) {
    let lanes = S::F32_LANES;
    let width = VECS * lanes;
    let panel_len = width * ks.len();
    if !cols.len().is_multiple_of(width) {
        packed[cols.len() / width * panel_len..].fill(0.0);
    }
    if p.orientation == Orientation::NT {
        for (cols, panel) in blocks_of(cols, width).zip(packed.chunks_exact_mut(panel_len)) {
            transpose(p, ks, &cols, width, panel);
        }
        return;
    }
    // Row by row, as they lie.
    for (at, k) in ks.clone().enumerate() {
        let row = &p.b[k * p.ldb..][cols.clone()];
        let panels = packed.chunks_exact_mut(panel_len);
        for (from, panel) in row.chunks(width).zip(panels) {
            let to = &mut panel[at * width..][..width];
            if from.len() < width {
                to[..from.len()].copy_from_slice(from);
                continue;
            }
            for v in 0..VECS {
                // SAFETY: both are VECS vectors long.
                unsafe {
                    let vector = load::<S>(from.as_ptr().add(v * lanes));
                    store::<S>(to.as_mut_ptr().add(v * lanes), vector);
                }
            }
        }
    }
}

/// Side of the squares in which a panel is transposed.
const SQUARE: usize = 4;

/// Columns of B \[n,k\] as a panel \[k, width\].
#[inline(always)]
fn transpose(
    p: &Product<f32>,
    ks: &Range<usize>,
    cols: &Range<usize>,
    width: usize,
    panel: &mut [f32],
) {
    for group in blocks_of(cols, SQUARE) {
        let at = group.start - cols.start;
        let row = |col: usize| &p.b[col * p.ldb + ks.start..][..ks.len()];
        let mut done = 0;
        if group.len() == SQUARE {
            let first = group.start;
            let rows = [row(first), row(first + 1), row(first + 2), row(first + 3)];
            let [(a, _), (b, _), (c, _), (d, _)] = rows.map(<[f32]>::as_chunks::<SQUARE>);
            let squares = a.iter().zip(b).zip(c).zip(d);
            for ((((a, b), c), d), to) in squares.zip(panel.chunks_exact_mut(SQUARE * width)) {
                let square = transposed([*a, *b, *c, *d]);
                for (row, to) in square.iter().zip(to.chunks_exact_mut(width)) {
                    to[at..at + SQUARE].copy_from_slice(row);
                }
            }
            done = a.len() * SQUARE;
        }
        for (j, col) in group.enumerate() {
            for (q, &x) in row(col).iter().enumerate().skip(done) {
                panel[q * width + at + j] = x;
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn transposed(rows: [[f32; SQUARE]; SQUARE]) -> [[f32; SQUARE]; SQUARE] {
    use std::arch::x86_64::{__m128, _MM_TRANSPOSE4_PS};
    // SAFETY: SSE is part of x86-64, and four of its vectors are sixteen floats.
    unsafe {
        let [mut a, mut b, mut c, mut d]: [__m128; SQUARE] = std::mem::transmute(rows);
        _MM_TRANSPOSE4_PS(&mut a, &mut b, &mut c, &mut d);
        std::mem::transmute([a, b, c, d])
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn transposed(rows: [[f32; SQUARE]; SQUARE]) -> [[f32; SQUARE]; SQUARE] {
    std::array::from_fn(|q| rows.map(|row| row[q]))
}

/// Rows cut into the fewest slivers, as evenly as can be.
struct Slivers {
    rows: Range<usize>,
    count: usize,
}

impl Slivers {
    fn new<const ROWS: usize>(rows: &Range<usize>) -> Slivers {
        Slivers {
            rows: rows.clone(),
            count: rows.len().div_ceil(ROWS),
        }
    }

    #[inline(always)]
    fn iter(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (first, len, count) = (self.rows.start, self.rows.len(), self.count);
        let cut = move |ix: usize| first + len * ix / count;
        (0..count).map(move |ix| cut(ix)..cut(ix + 1))
    }
}

/// Slivers of A \[k,m\], each \[k, rows\].
#[inline(always)]
fn pack_a<const ROWS: usize, const LESS: usize>(
    p: &Product<f32>,
    ks: &Range<usize>,
    slivers: &Slivers,
    packed: &mut [f32],
) {
    for sliver in slivers.iter() {
        let first = (sliver.start - slivers.rows.start) * ks.len();
        let to = &mut packed[first..first + sliver.len() * ks.len()];
        let from = &p.a[ks.start * p.lda + sliver.start..];
        // Of a length that the compiler knows: calls would take longer than the copies.
        if sliver.len() == ROWS {
            pack_sliver::<ROWS>(from, p.lda, to);
        } else if sliver.len() == LESS {
            pack_sliver::<LESS>(from, p.lda, to);
        } else {
            for (to, from) in to.chunks_exact_mut(sliver.len()).zip(from.chunks(p.lda)) {
                to.copy_from_slice(&from[..to.len()]);
            }
        }
    }
}

#[inline(always)]
fn pack_sliver<const ROWS: usize>(from: &[f32], ld: usize, to: &mut [f32]) {
    let (to, _) = to.as_chunks_mut::<ROWS>();
    for (to, from) in to.iter_mut().zip(from.chunks(ld)) {
        to.copy_from_slice(&from[..ROWS]);
    }
}

/// `len` in the fewest pieces of at most `most`: the length of the longest.
fn even(len: usize, most: usize) -> usize {
    len.div_ceil(len.div_ceil(most).max(1))
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
