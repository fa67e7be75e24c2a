//! The roof of this machine's CPU: the bandwidth of a large copy, the peak of multiply-adds, and what
//! it costs to start all threads; each on all threads, as the executor runs a dispatch.

use std::hint::black_box;
use std::time::Instant;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::executor::{Measured, best};
use crate::plan::Roof;
use crate::{Error, Result};

/// Elements of each of the two arrays, 128 MiB: beyond any cache.
const ELEMENTS: usize = 32 << 20;
/// Elements that one measurement copies; the next one copies those behind them.
const PIECE: usize = 4 << 20;
/// Measurements of each kind; the best counts. Many short ones find the moments in which a machine
/// does nothing else.
const TIMES: usize = 50;
/// Seconds that one measurement of the peak should take at least.
const LONG: f64 = 0.002;
/// Sums that a thread keeps at once: two units with a latency of four or five cycles want about
/// ten, and 16 registers hold twelve beside the two factors.
const SUMS: usize = 12;

/// Measures on a pool of all threads; takes about half a second.
pub fn measure() -> Result<Measured> {
    let pool = rayon::ThreadPoolBuilder::new()
        .build()
        .map_err(|e| Error::Device(format!("cannot start threads: {e}")))?;
    let roof = Roof {
        bytes_per_second: pool.install(copy)?,
        flops_per_second: pool.install(multiply_add)?,
    };
    let forks = 100;
    let dispatch = pool.install(|| {
        best(TIMES, || {
            let started = Instant::now();
            for _ in 0..forks {
                rayon::broadcast(|context| {
                    black_box(context.index());
                });
            }
            Ok(f64::from(forks) / started.elapsed().as_secs_f64())
        })
    })?;
    let submit = best(TIMES, || {
        let started = Instant::now();
        for _ in 0..forks {
            pool.install(|| black_box(forks));
        }
        Ok(f64::from(forks) / started.elapsed().as_secs_f64())
    })?;
    Ok(Measured {
        roof,
        dispatch: 1.0 / dispatch,
        submit: 1.0 / submit,
    })
}

/// Bytes read and written a second.
fn copy() -> Result<f64> {
    let from = vec![1.0f32; ELEMENTS];
    // Other values, so that every page of it is there before the clock starts.
    let mut to = vec![2.0f32; ELEMENTS];
    let share = PIECE.div_ceil(rayon::current_num_threads());
    let mut at = 0;
    best(TIMES, || {
        let (from, to) = (&from[at..at + PIECE], &mut to[at..at + PIECE]);
        at = (at + PIECE) % ELEMENTS;
        let started = Instant::now();
        let pieces = to.par_chunks_mut(share).zip(from.par_chunks(share));
        pieces.for_each(|(to, from)| to.copy_from_slice(from));
        let seconds = started.elapsed().as_secs_f64();
        black_box(to);
        Ok(2.0 * 4.0 * PIECE as f64 / seconds)
    })
}

/// Operations a second, a multiply-add being two.
fn multiply_add() -> Result<f64> {
    let threads = rayon::current_num_threads();
    let run = |rounds: usize| {
        let started = Instant::now();
        let all = (0..threads).into_par_iter().with_max_len(1);
        let flops: f64 = all.map(|_| Arch::new().dispatch(Chains { rounds })).sum();
        (flops, started.elapsed().as_secs_f64())
    };
    let mut rounds = 1 << 12;
    while run(rounds).1 < LONG {
        rounds *= 2;
    }
    best(TIMES, || {
        let (flops, seconds) = run(rounds);
        Ok(flops / seconds)
    })
}

/// Chains of multiply-adds that need nothing of one another, at the machine's vector width.
struct Chains {
    rounds: usize,
}

impl WithSimd for Chains {
    /// Operations done.
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        // x -> 0.5 x + 1 stays finite and normal. The compiler knows neither the numbers, which it
        // could fold, nor that nobody reads the sums.
        let factor = simd.splat_f32s(black_box(0.5));
        let summand = simd.splat_f32s(black_box(1.0));
        let mut sums = [simd.splat_f32s(black_box(0.25)); SUMS];
        for _ in 0..self.rounds {
            for sum in &mut sums {
                *sum = simd.mul_add_e_f32s(*sum, factor, summand);
            }
        }
        let lanes = (size_of::<S::f32s>() / size_of::<f32>()) as f64;
        let total = sums.into_iter().map(|sum| simd.reduce_sum_f32s(sum));
        black_box(total.sum::<f32>());
        2.0 * lanes * (SUMS * self.rounds) as f64
    }
}
