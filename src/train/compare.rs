//! Times two executors over the same steps from the same weights, and compares what they computed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::feed::{self, Feed, Segment};
use crate::executor::{Executor, floats};
use crate::plan::{Hyper, PassKind, Plan};
use crate::{Error, Result};

/// Steps that nobody times: compilers, caches and clocks settle.
const WARM_UP: usize = 3;

/// Timed chunks per side; the median is quoted.
const CHUNKS: usize = 5;

/// Steps that a side takes at least, timed or not.
pub const LEAST_STEPS: usize = WARM_UP + CHUNKS;

/// What one timed side took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// Median over the chunks.
    pub ms_per_step: f64,
    pub samples_per_second: f64,
    /// Projected from the median.
    pub seconds_per_epoch: f64,
}

impl Timing {
    /// What `ms_per_step` comes to, for batches of `batch` samples of each of `members` members and
    /// an epoch of `n_train`.
    pub fn new(ms_per_step: f64, batch: usize, members: usize, n_train: usize) -> Timing {
        let seconds = ms_per_step / 1e3;
        Timing {
            ms_per_step,
            samples_per_second: (batch * members) as f64 / seconds,
            seconds_per_epoch: seconds * n_train.div_ceil(batch) as f64,
        }
    }

    /// From the seconds per step of each chunk.
    fn of(plan: &Plan, start: &Start, times: &mut [f64]) -> Timing {
        times.sort_by(f64::total_cmp);
        let (batch, members) = (plan.train.batch, plan.members);
        let n_train = start.feed.data.parts.train.len();
        Timing::new(times[times.len() / 2] * 1e3, batch, members, n_train)
    }
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

    /// Steps of a chunk, where the sides' steps take so many seconds.
    fn steps(&self, fast: f64, slow: f64) -> usize {
        let chunk = (self.chunk / fast).ceil();
        let fit = (self.total / (CHUNKS as f64 * slow)).floor();
        chunk.min(fit).max(1.0) as usize
    }
}

/// Loads everything, and the tables of the first epoch's steps.
fn prepare(exec: &mut dyn Executor, start: &Start) -> Result<()> {
    start.feed.load(exec)?;
    feed::upload_rows(exec, start.hyper)?;
    super::start_from(exec, start.arenas)?;
    let (capacity, batch) = (exec.plan().train.capacity, exec.plan().train.batch);
    let train = &start.feed.data.parts.train;
    let order = |hyper: &Hyper| feed::epoch_order(hyper, 1, train, true);
    let orders: Vec<_> = start.hyper.iter().map(order).collect();
    let tables = Segment {
        hyper: start.hyper,
        orders: &orders,
        epochs: &vec![1; orders.len()],
        lr: &|member, _| start.hyper[member].lr,
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
        *estimate = warm_up(sides[side])?;
    }
    let (fast, slow) = (estimate[0].min(estimate[1]), estimate[0].max(estimate[1]));
    let chunk = budget.steps(fast, slow);

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
    let [mut times_a, mut times_b] = times;
    Ok(Comparison {
        a: Timing::of(a.plan(), start, &mut times_a),
        b: Timing::of(b.plan(), start, &mut times_b),
        steps: done,
        max_relative_difference: difference(a, b)?,
    })
}

/// Times one executor alone, as [`compare`] does each of its two; its state is overwritten.
///
/// # Errors
/// As [`compare`].
pub fn time(
    exec: &mut dyn Executor,
    start: &Start,
    budget: Budget,
    stop: &AtomicBool,
) -> Result<Timing> {
    prepare(exec, start)?;
    let estimate = warm_up(exec)?;
    let chunk = budget.steps(estimate, estimate);
    let mut times = Vec::new();
    for ix in 0..CHUNKS {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        times.push(run(exec, WARM_UP + ix * chunk, chunk)? / chunk as f64);
    }
    Ok(Timing::of(exec.plan(), start, &mut times))
}

/// The first steps, which compile pipelines; seconds of one of those after.
fn warm_up(exec: &mut dyn Executor) -> Result<f64> {
    run(exec, 0, 1)?;
    Ok((run(exec, 1, WARM_UP - 1)? / (WARM_UP - 1) as f64).max(1e-6))
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
