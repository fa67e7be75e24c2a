//! Times two executors over the same steps from the same weights, and compares what they computed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::feed::{self, Feed, Segment};
use crate::executor::{Executor, floats};
use crate::plan::{Hyper, PassKind};
use crate::{Error, Result};

/// Steps that nobody times: compilers, caches and clocks settle.
const WARM_UP: usize = 3;

/// Timed chunks per side; the median is quoted.
const CHUNKS: usize = 5;

/// What one timed side took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// Median over the chunks.
    pub ms_per_step: f64,
    pub samples_per_second: f64,
    /// Projected from the median.
    pub seconds_per_epoch: f64,
}

/// The two sides over the same steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub a: Timing,
    pub b: Timing,
    /// Steps that both sides did from the same weights, warm-up included.
    pub steps: usize,
    /// max over tensors of max|b - a| / max|a|.
    pub max_relative_difference: f64,
}

/// How much time a comparison may take.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Seconds that a chunk should take on the faster side, so that a submit's own cost vanishes.
    pub chunk: f64,
    /// Seconds for all chunks on the slower side.
    pub total: f64,
}

impl Budget {
    /// Decides `--device auto`.
    pub const SHORT: Budget = Budget {
        chunk: 0.02,
        total: 0.15,
    };
    /// The comparison after a training run.
    pub const FULL: Budget = Budget {
        chunk: 0.05,
        total: 2.0,
    };
}

/// Loads everything, and the tables of the first epoch's steps.
fn prepare(exec: &mut dyn Executor, start: &Start) -> Result<()> {
    start.feed.load(exec)?;
    feed::upload_rows(exec, start.hyper)?;
    super::start_from(exec, start.arenas)?;
    let (capacity, batch) = (exec.plan().train.capacity, exec.plan().train.batch);
    let train = &start.feed.data.parts.train;
    let orders = feed::epoch_order(start.hyper, 1, train, true);
    let tables = Segment {
        hyper: start.hyper,
        orders: &orders,
        lr: &|member, _| start.hyper[member].lr,
        steps_before: 0,
        updates_before: 0,
        accumulate: start.accumulate,
        ema: start.ema,
        first: 0,
        count: capacity.min(train.len().div_ceil(batch)),
    };
    start.feed.train_segment(exec, &tables)
}

/// Runs `count` steps, round and round the uploaded table, and waits for them; seconds.
fn run(exec: &mut dyn Executor, from: usize, count: usize) -> Result<f64> {
    let capacity = exec.plan().train.capacity;
    let started = Instant::now();
    let mut at = from % capacity;
    let mut left = count;
    while left > 0 {
        let end = (at + left).min(capacity);
        exec.submit(PassKind::Train, at..end)?;
        left -= end - at;
        at = end % capacity;
    }
    while exec.collect()?.is_some() {}
    Ok(started.elapsed().as_secs_f64())
}

/// What both sides start from.
#[derive(Clone, Copy)]
pub struct Start<'a> {
    pub feed: &'a Feed<'a>,
    pub hyper: &'a [Hyper],
    pub accumulate: usize,
    pub ema: f64,
    /// Parameters \[P, arena_len\].
    pub arenas: &'a [f32],
}

/// Times `a` and `b`, which run equal plans, alternating; the state of both is overwritten.
///
/// # Errors
/// [`Error::Interrupted`] soon after `stop` is set, [`Error::Device`] from an executor.
pub fn compare(
    a: &mut dyn Executor,
    b: &mut dyn Executor,
    start: &Start,
    budget: Budget,
    stop: &AtomicBool,
) -> Result<Comparison> {
    let go_on = || match stop.load(Ordering::Relaxed) {
        true => Err(Error::Interrupted),
        false => Ok(()),
    };
    prepare(a, start)?;
    prepare(b, start)?;
    let mut estimate = [0.0f64; 2];
    let sides: [&mut dyn Executor; 2] = [a, b];
    for (side, estimate) in estimate.iter_mut().enumerate() {
        go_on()?;
        // The first step compiles pipelines; the next ones estimate.
        run(sides[side], 0, 1)?;
        *estimate = run(sides[side], 1, WARM_UP - 1)? / (WARM_UP - 1) as f64;
    }
    let (fast, slow) = (
        estimate[0].min(estimate[1]).max(1e-6),
        estimate[0].max(estimate[1]).max(1e-6),
    );
    let chunk = (budget.chunk / fast).ceil();
    let fit = (budget.total / (CHUNKS as f64 * slow)).floor();
    let chunk = chunk.min(fit).max(1.0) as usize;

    let mut times = [Vec::new(), Vec::new()];
    let mut done = WARM_UP;
    for _ in 0..CHUNKS {
        for (side, times) in times.iter_mut().enumerate() {
            go_on()?;
            times.push(run(sides[side], done, chunk)? / chunk as f64);
        }
        done += chunk;
    }
    let [a, b] = sides;
    let batch = a.plan().train.batch * a.plan().members;
    let per_epoch = start
        .feed
        .data
        .parts
        .train
        .len()
        .div_ceil(a.plan().train.batch) as f64;
    let timing = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        let median = times[times.len() / 2];
        Timing {
            ms_per_step: median * 1e3,
            samples_per_second: batch as f64 / median,
            seconds_per_epoch: median * per_epoch,
        }
    };
    let [mut times_a, mut times_b] = times;
    Ok(Comparison {
        a: timing(&mut times_a),
        b: timing(&mut times_b),
        steps: done,
        max_relative_difference: difference(a, b)?,
    })
}

/// max over tensors of max|b - a| / max|a|, over all members.
fn difference(a: &mut dyn Executor, b: &mut dyn Executor) -> Result<f64> {
    let id = a.plan().parameters;
    let of_a = floats(a.download(id)?);
    let of_b = floats(b.download(id)?);
    let plan = a.plan();
    let mut worst = 0.0f64;
    let members = of_a
        .chunks_exact(plan.arena_len)
        .zip(of_b.chunks_exact(plan.arena_len));
    for (arena_a, arena_b) in members {
        for param in &plan.params {
            let (x, y) = (param.unpack(arena_a), param.unpack(arena_b));
            let scale = x.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            let mut apart = 0.0f64;
            // A NaN on either side must not vanish in a maximum.
            for (x, y) in x.iter().zip(&y) {
                let d = f64::from((y - x).abs());
                if d.is_nan() {
                    return Ok(f64::NAN);
                }
                apart = apart.max(d);
            }
            if apart > 0.0 {
                // A tensor of zeros on one side alone is infinitely far off.
                worst = worst.max(apart / f64::from(scale));
            }
        }
    }
    Ok(worst)
}
