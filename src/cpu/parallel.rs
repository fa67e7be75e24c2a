//! Splitting rows over the pool's threads. Every split is of independent rows, so the bits of a
//! result do not depend on the number of threads.

use rayon::prelude::*;

/// Elements below which waking other threads costs more than it saves.
const SERIAL_BELOW: usize = 16 * 1024;

/// Calls `f(row, out_row)` for every row of `out`, in parallel where it pays.
pub fn for_rows<A: Send>(out: &mut [A], ld: usize, f: impl Fn(usize, &mut [A]) + Sync) {
    if out.len() < SERIAL_BELOW {
        out.chunks_exact_mut(ld)
            .enumerate()
            .for_each(|(row, out)| f(row, out));
        return;
    }
    let rows = out.len() / ld;
    let block = rows.div_ceil(rayon::current_num_threads() * 2).max(1);
    out.par_chunks_mut(block * ld)
        .enumerate()
        .for_each(|(ix, out)| {
            for (r, out) in out.chunks_exact_mut(ld).enumerate() {
                f(ix * block + r, out);
            }
        });
}
