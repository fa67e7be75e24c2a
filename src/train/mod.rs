//! The training loop: generic over the executor, knowing neither a backend nor a command line.
//!
//! Work is submitted ahead, many steps at a time, and collected behind: at most
//! three ranges are under way, each of about 0.15 seconds, so that an interrupt or
//! a diverging loss acts within a second while the device never waits for the host.

pub mod checkpoint;
pub mod compare;
pub mod config;
pub mod evaluate;
pub mod feed;
mod pace;
pub mod run_folder;
pub mod schedule;
pub mod stopping;
pub mod time_limit;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::executor::{Executor, RangeMetrics, floats, words};
use crate::plan::{Hyper, PassKind};
use crate::{Error, Result};

pub use config::{Config, TrainOptions};
pub use evaluate::{Evaluation, evaluate};
use pace::Pace;

/// A sum of losses from here on is no number: one sample's stand-in, DIVERGED in
/// `shaders/lib/head.wgsl`, is 1e30.
const DIVERGED: f64 = 1e20;

/// Whether a sum of losses, as a kernel made it, stands for a number.
fn is_number(sum: f64) -> bool {
    sum.is_finite() && sum < DIVERGED
}

/// What is trained, beside the executor.
pub struct Job<'a> {
    /// One entry per member.
    pub hyper: &'a [Hyper],
    pub n_train: usize,
    pub epochs: u32,
    pub shuffle: bool,
    /// Set by Ctrl-C: the loop saves what it has and stops.
    pub stop: &'a AtomicBool,
}

/// Where a run stands; what a checkpoint stores beside the arenas.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Epoch being trained, from 1.
    pub epoch: u32,
    /// Steps of that epoch done.
    pub step_in_epoch: usize,
    /// Steps of an epoch.
    pub steps_per_epoch: usize,
    /// (sum of losses, correct) of the epoch so far, per member.
    pub sums: Vec<[f64; 2]>,
}

/// One step of one member, for `steps.csv`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepRecord {
    /// From 1, over all epochs.
    pub step: u64,
    pub epoch: u32,
    pub member: usize,
    pub lr: f64,
    /// Mean over the batch.
    pub loss: f64,
    pub accuracy: f64,
}

/// One epoch of one member.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochRecord {
    pub epoch: u32,
    pub member: usize,
    pub train_loss: f64,
    pub train_accuracy: f64,
    /// Wall time of the epoch.
    pub seconds: f64,
    /// All members together.
    pub samples_per_second: f64,
}

/// Hears of a run as it goes.
pub trait Observer {
    /// Steps have come back from the device; the last of them is where the run stands.
    fn steps(&mut self, records: &[StepRecord], progress: &Progress) -> Result<()>;

    /// An epoch is complete: a record a member. Checkpoints are written from here.
    fn epoch(
        &mut self,
        records: &[EpochRecord],
        progress: &Progress,
        exec: &mut dyn Executor,
    ) -> Result<()>;

    /// The run is stopped in the middle of an epoch.
    fn interrupted(&mut self, progress: &Progress, exec: &mut dyn Executor) -> Result<()>;
}

/// Trains from the executor's current parameters.
///
/// # Errors
/// [`Error::Check`] where a member's loss is no finite number, [`Error::Interrupted`]
/// after `stop` was set, [`Error::Device`] from the executor.
pub fn train(exec: &mut dyn Executor, job: &Job, observer: &mut dyn Observer) -> Result<()> {
    let (batch, capacity) = (exec.plan().train.batch, exec.plan().train.capacity);
    let members = job.hyper.len();
    assert_eq!(members, exec.plan().members);
    let steps_per_epoch = job.n_train.div_ceil(batch);
    let mut pace = Pace::new();
    for epoch in 1..=job.epochs {
        let started = Instant::now();
        let steps_before = u64::from(epoch - 1) * steps_per_epoch as u64;
        let orders = feed::epoch_order(job.hyper, epoch, job.n_train, job.shuffle);
        let mut progress = Progress {
            epoch,
            step_in_epoch: 0,
            steps_per_epoch,
            sums: vec![[0.0; 2]; members],
        };
        let mut first = 0;
        while first < steps_per_epoch {
            let count = capacity.min(steps_per_epoch - first);
            feed::upload_segment(exec, job.hyper, &orders, steps_before, first, count)?;
            let mut segment = Segment {
                job,
                first,
                steps_before,
                batch,
                progress: &mut progress,
            };
            let finished = run_segment(exec, &mut pace, count, &mut segment, observer)?;
            if !finished {
                observer.interrupted(&progress, exec)?;
                return Err(Error::Interrupted);
            }
            first += count;
        }
        // A step's loss is from before its update: the last update of the epoch shows here alone.
        check_parameters(exec, epoch)?;
        let seconds = started.elapsed().as_secs_f64();
        let n = job.n_train as f64;
        let records: Vec<EpochRecord> = progress
            .sums
            .iter()
            .enumerate()
            .map(|(member, [loss, correct])| EpochRecord {
                epoch,
                member,
                train_loss: loss / n,
                train_accuracy: correct / n,
                seconds,
                samples_per_second: n * members as f64 / seconds,
            })
            .collect();
        observer.epoch(&records, &progress, exec)?;
    }
    Ok(())
}

/// Submits the uploaded steps 0..count in ranges and collects them all; false where it was stopped.
fn run_segment(
    exec: &mut dyn Executor,
    pace: &mut Pace,
    count: usize,
    segment: &mut Segment,
    observer: &mut dyn Observer,
) -> Result<bool> {
    pace.start_segment();
    let mut submitted = 0;
    let mut in_flight: VecDeque<usize> = VecDeque::new();
    loop {
        let stop = segment.job.stop.load(Ordering::Relaxed);
        if !stop && submitted < count && in_flight.len() < pace.in_flight() {
            let end = (submitted + pace.steps()).min(count);
            exec.submit(PassKind::Train, submitted..end)?;
            in_flight.push_back(end - submitted);
            submitted = end;
            continue;
        }
        match exec.collect()? {
            Some(metrics) => {
                if let Some(steps) = in_flight.pop_front() {
                    pace.done(steps);
                }
                segment.take(&metrics, observer)?;
            }
            None if stop => return Ok(false),
            None => return Ok(true),
        }
    }
}

/// One uploaded stretch of an epoch, and how to read its metrics.
struct Segment<'a, 'b> {
    job: &'a Job<'a>,
    /// Step of the epoch that row 0 of the tables is.
    first: usize,
    steps_before: u64,
    batch: usize,
    progress: &'b mut Progress,
}

impl Segment<'_, '_> {
    fn take(&mut self, metrics: &RangeMetrics, observer: &mut dyn Observer) -> Result<()> {
        let members = self.job.hyper.len();
        let mut records = Vec::with_capacity(metrics.sums.len());
        for (ix, &[loss, correct]) in metrics.sums.iter().enumerate() {
            let (slot, member) = (metrics.range.start + ix / members, ix % members);
            let step = self.first + slot;
            let valid = self.batch.min(self.job.n_train - step * self.batch) as f64;
            let record = StepRecord {
                step: self.steps_before + step as u64 + 1,
                epoch: self.progress.epoch,
                member,
                lr: self.job.hyper[member].lr,
                loss: loss / valid,
                accuracy: correct / valid,
            };
            if !is_number(loss) {
                // The steps that led here are worth reading.
                observer.steps(&records, self.progress)?;
                return Err(diverged(&record, members));
            }
            self.progress.sums[member][0] += loss;
            self.progress.sums[member][1] += correct;
            records.push(record);
        }
        self.progress.step_in_epoch = self.first + metrics.range.end;
        observer.steps(&records, self.progress)
    }
}

/// Refuses to go on, and to write a checkpoint, with weights that are no numbers.
fn check_parameters(exec: &mut dyn Executor, epoch: u32) -> Result<()> {
    if parameters(exec)?.iter().all(|w| w.is_finite()) {
        return Ok(());
    }
    Err(Error::Check(format!(
        "weights are no longer numbers at the end of epoch {epoch}: training has diverged\ntry a smaller --lr, --clip-norm 1, or another --opt"
    )))
}

fn diverged(record: &StepRecord, members: usize) -> Error {
    let who = if members > 1 {
        format!(" of member {}", record.member)
    } else {
        String::new()
    };
    Error::Check(format!(
        "the loss{who} is no longer a number at step {} (epoch {}), with lr {:?}: training has diverged\ntry a smaller --lr (such as {:.0e}), --clip-norm 1, or another --opt",
        record.step,
        record.epoch,
        record.lr,
        record.lr / 10.0
    ))
}

/// Copies the parameters of all members out of the executor, \[P, arena_len\].
pub fn parameters(exec: &mut dyn Executor) -> Result<Vec<f32>> {
    let id = exec.plan().parameters;
    Ok(floats(exec.download(id)?))
}

/// Puts the parameters of all members \[P, arena_len\] into the executor.
pub fn set_parameters(exec: &mut dyn Executor, arenas: &[f32]) -> Result<()> {
    let id = exec.plan().parameters;
    exec.upload(id, 0, words(arenas))
}
