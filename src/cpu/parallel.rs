//! Splitting buffers over a team's threads. Every split is of independent elements, so the bits of
//! a result do not depend on the number of threads.

use std::marker::PhantomData;
use std::ops::Range;

use super::Real;
use super::real::Loops;
use super::team::{fork, threads};

/// Elements below which waking other threads costs more than it saves.
const SERIAL_BELOW: usize = 16 * 1024;

/// A slice that several tasks write to, each its own places.
pub struct Disjoint<'a, A> {
    first: *mut A,
    len: usize,
    slice: PhantomData<&'a mut [A]>,
}

// SAFETY: hands out exclusive references to disjoint places alone, by the promise of `range`.
unsafe impl<A: Send> Sync for Disjoint<'_, A> {}

impl<'a, A> Disjoint<'a, A> {
    pub fn new(slice: &'a mut [A]) -> Disjoint<'a, A> {
        Disjoint {
            first: slice.as_mut_ptr(),
            len: slice.len(),
            slice: PhantomData,
        }
    }

    /// # Safety
    /// While the result lives, nobody else asks for a range that overlaps it.
    #[allow(clippy::mut_from_ref)]
    #[inline(always)]
    pub unsafe fn range(&self, range: Range<usize>) -> &mut [A] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: inside the slice, and not shared by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.first.add(range.start), range.len()) }
    }
}

/// Calls `f(ix, chunk)` for every `len` elements of `out`, in parallel.
pub fn for_chunks<A: Send>(out: &mut [A], len: usize, f: impl Fn(usize, &mut [A]) + Sync) {
    let (total, chunks) = (out.len(), out.len().div_ceil(len));
    let out = Disjoint::new(out);
    fork(chunks, |ix| {
        // SAFETY: each chunk belongs to one task.
        f(ix, unsafe {
            out.range(ix * len..((ix + 1) * len).min(total))
        });
    });
}

/// What makes the rows of a matrix. `make` should be `#[inline(always)]`: a function that is called
/// keeps to the vectors that every machine has.
pub trait Rows<T>: Sync {
    fn make(&self, row: usize, out: &mut [T]);
}

/// Makes every row of `out`, in parallel where it pays, with the machine's widest vectors.
pub fn make_rows<T: Real>(out: &mut [T], ld: usize, rows: impl Rows<T>) {
    let count = out.len() / ld;
    let tasks = match out.len() < SERIAL_BELOW {
        true => 1,
        false => (threads() * 2).min(count),
    };
    let block = count.div_ceil(tasks.max(1)).max(1);
    for_chunks(&mut out[..count * ld], block * ld, |ix, out| {
        T::wide(Block {
            rows: &rows,
            first: ix * block,
            out,
            ld,
        });
    });
}

/// Calls `f(row, out_row)` for every row of `out`: [`make_rows`] for a closure, which is inlined
/// where it does little.
pub fn for_rows<T: Real>(out: &mut [T], ld: usize, f: impl Fn(usize, &mut [T]) + Sync) {
    make_rows(out, ld, Closure(f));
}

struct Closure<F>(F);

impl<T, F: Fn(usize, &mut [T]) + Sync> Rows<T> for Closure<F> {
    #[inline(always)]
    fn make(&self, row: usize, out: &mut [T]) {
        self.0(row, out);
    }
}

/// Some of the rows.
struct Block<'a, T, R> {
    rows: &'a R,
    first: usize,
    out: &'a mut [T],
    ld: usize,
}

impl<T: Real, R: Rows<T>> Loops for Block<'_, T, R> {
    #[inline(always)]
    fn run(self) {
        for (r, out) in self.out.chunks_exact_mut(self.ld).enumerate() {
            self.rows.make(self.first + r, out);
        }
    }
}
