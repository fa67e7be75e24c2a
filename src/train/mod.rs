//! The training loop: generic over the executor, knowing neither a backend nor a command line.
//!
//! Work is submitted ahead, many steps at a time, and collected behind: at most three ranges are
//! under way, each of about 0.15 seconds, so that an interrupt or a diverging loss acts within a
//! second while the device never waits for the host. Everything that a run is, beside the arenas on
//! the device, is a [`State`]: written down at any range's end and read back, it goes on bit for bit.

pub mod checkpoint;
pub mod class_weights;
pub mod compare;
pub mod config;
pub mod evaluate;
pub mod feed;
pub mod file;
pub mod history;
mod host;
pub mod lr_find;
mod observer;
pub mod options;
mod orders;
mod pace;
pub mod run_folder;
pub mod schedule;
pub mod score;
pub mod state;
pub mod stopping;
pub mod time_limit;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::executor::{Executor, RangeMetrics, floats, words};
use crate::plan::{BufferId, Hyper, PassKind, Plan};
use crate::{Error, Result};

pub use config::{Config, TrainOptions};
pub use evaluate::{Evaluation, evaluate, evaluate_each, predictions};
use feed::{Feed, Scratch, Segment};
pub use host::HostTime;
use host::clocked;
pub use observer::{EpochRecord, Observer, Snapshot, StepRecord};
use orders::Orders;
use pace::Pace;
use schedule::Planned;
use score::Score;
pub use state::{MemberState, State};
use stopping::Reason;

/// A sum of losses from here on is no number: one sample's stand-in for it, DIVERGED in
/// `shaders/lib/head.wgsl`, is 1e30.
const DIVERGED: f64 = 1e29;

/// A checkpoint at an epoch's end is this long behind the last one at least, so that small epochs do
/// not spend their time waiting for the disk; or as long as they are apart inside an epoch, if that
/// is less. One that ends the run is always written.
const CHECKPOINTS_APART: Duration = Duration::from_secs(1);

/// Steps of an epoch's first segment: few, so that the device begins while the rest is packed.
const FIRST_SEGMENT: usize = 32;

/// Whether a sum of losses, as a kernel made it, stands for a number.
fn is_number(sum: f64) -> bool {
    sum.is_finite() && sum < DIVERGED
}

/// What is trained, beside the executor and the state.
pub struct Job<'a> {
    /// One entry per member, as are `schedules`.
    pub hyper: &'a [Hyper],
    pub schedules: &'a [Planned],
    pub feed: &'a Feed<'a>,
    /// One per member, or one for them all.
    pub scores: &'a [Score],
    pub epochs: u32,
    pub shuffle: bool,
    /// Batches per optimiser update.
    pub accumulate: usize,
    /// Decay of the weights' average, which is then what is evaluated; 0 where there is none.
    pub ema: f64,
    /// Training time after which the run stops.
    pub time: Option<Duration>,
    /// Validation accuracy at which a member stops.
    pub target_accuracy: Option<f64>,
    /// A checkpoint is written at an epoch's end, at most one a second, and inside an epoch this long
    /// after the last.
    pub checkpoint_every: Duration,
    /// Set by Ctrl-C: the loop saves what it has and stops.
    pub stop: &'a AtomicBool,
}

/// Why steps stop being submitted before an epoch's end.
#[derive(Clone, Copy, PartialEq)]
enum Halt {
    Interrupt,
    Time,
    Checkpoint,
}

/// Trains from the executor's current arenas and from `state`, until a rule stops every member.
/// `best` is kept where a member's early stopping asks for it.
///
/// # Errors
/// [`Error::Check`] where a member's loss is no finite number, [`Error::Interrupted`]
/// after `stop` was set, [`Error::Device`] from the executor.
pub fn train(
    exec: &mut dyn Executor,
    job: &Job,
    state: &mut State,
    best: &mut Option<Vec<f32>>,
    observer: &mut dyn Observer,
) -> Result<()> {
    assert_eq!(job.hyper.len(), exec.plan().members);
    assert_eq!(job.hyper.len(), job.schedules.len());
    let mut hyper = job.hyper.to_vec();
    for (hyper, member) in hyper.iter_mut().zip(&state.members) {
        hyper.active = member.stopped.is_none();
    }
    feed::upload_rows(exec, &hyper)?;
    let mut run = Run {
        batch: exec.plan().train.batch,
        capacity: exec.plan().train.capacity,
        exec,
        job,
        hyper,
        state,
        best,
        observer,
        pace: Pace::new(),
        clock: Instant::now(),
        seconds_before: 0.0,
        last_checkpoint: Instant::now(),
        checkpoint_step: 0,
        parameters: None,
        scratch: Scratch::default(),
    };
    run.checkpoint_step = run.state.step_in_epoch;
    run.seconds_before = run.state.seconds;
    let began = run.state.members.iter().map(|m| m.began).collect();
    std::thread::scope(|scope| run.train(&mut Orders::new(scope, job, began)))
}

struct Run<'a, 'j> {
    exec: &'a mut dyn Executor,
    job: &'a Job<'j>,
    /// The job's, with the members that have stopped frozen.
    hyper: Vec<Hyper>,
    state: &'a mut State,
    best: &'a mut Option<Vec<f32>>,
    observer: &'a mut dyn Observer,
    batch: usize,
    capacity: usize,
    pace: Pace,
    clock: Instant,
    seconds_before: f64,
    last_checkpoint: Instant,
    /// The step of the epoch that it stands at: another one there would say nothing new.
    checkpoint_step: usize,
    /// The parameters \[P, arena_len\] as they are at rest, once they have been looked at.
    parameters: Option<Vec<f32>>,
    scratch: Scratch,
}

/// A submitted range: the step of the epoch that slot 0 of its tables was, and its steps.
struct Flight {
    first: usize,
    steps: usize,
}

impl Run<'_, '_> {
    fn train(&mut self, orders: &mut Orders) -> Result<()> {
        while self.state.epoch <= self.job.epochs && self.learns() {
            let orders = orders.of(self.state.epoch);
            match self.epoch(&orders)? {
                None => self.end_epoch()?,
                Some(Halt::Interrupt) => {
                    self.checkpoint()?;
                    return Err(Error::Interrupted);
                }
                Some(_) => {
                    self.check_parameters()?;
                    let limit = self.job.time.unwrap_or_default();
                    self.stop_all(&Reason::Time { limit });
                    self.checkpoint()?;
                }
            }
        }
        self.stop_all(&Reason::Epochs {
            epochs: self.job.epochs,
        });
        Ok(())
    }

    /// Whether some member has not stopped.
    fn learns(&self) -> bool {
        self.state.members.iter().any(|m| m.stopped.is_none())
    }

    fn stop_all(&mut self, reason: &Reason) {
        for member in self.state.members.iter_mut() {
            member.stopped.get_or_insert_with(|| reason.clone());
        }
    }

    /// Samples of a member's training part.
    fn n_train(&self, member: usize) -> usize {
        self.job.feed.parts(member).train.len()
    }

    /// Steps of a member's epoch.
    fn steps(&self, member: usize) -> usize {
        self.n_train(member).div_ceil(self.batch)
    }

    /// The epoch that a member is in, from 1.
    fn epoch_of(&self, member: usize) -> u32 {
        self.state.epoch_of(member)
    }

    /// The update that step `step` of a member's epoch belongs to, from 0 over the whole run.
    fn update_of(&self, member: usize, step: usize) -> u64 {
        let per_epoch = self.steps(member).div_ceil(self.job.accumulate) as u64;
        u64::from(self.epoch_of(member) - 1) * per_epoch + (step / self.job.accumulate) as u64
    }

    fn lr(&self, member: usize, update: u64) -> f64 {
        let (planned, state) = (&self.job.schedules[member], &self.state.members[member]);
        let base = self.hyper[member].lr;
        planned.lr(base, update, self.epoch_of(member) - 1, &state.plateau)
    }

    fn score(&self, member: usize) -> &Score {
        &self.job.scores[member % self.job.scores.len()]
    }

    /// Trains the rest of the epoch that the state stands in; why it stopped before the end.
    fn epoch(&mut self, orders: &[Vec<u32>]) -> Result<Option<Halt>> {
        let steps = self.state.steps_per_epoch;
        let mut host = HostTime::default();
        let began = Instant::now();
        let mut in_flight: VecDeque<Flight> = VecDeque::new();
        // The uploaded segment, and what of it and of the epoch has been submitted.
        let mut segment = self.state.step_in_epoch..self.state.step_in_epoch;
        let mut submitted = segment.start;
        let mut capacity = self.capacity.min(FIRST_SEGMENT);
        self.parameters = None;
        self.pace.start();
        let mut since = Instant::now();
        loop {
            let halt = self.halt(submitted);
            if halt.is_none() && submitted < steps && in_flight.len() < self.pace.in_flight() {
                if submitted == segment.end {
                    segment = submitted..(submitted + capacity).min(steps);
                    capacity = self.capacity;
                    clocked(&mut host.packing, || self.upload(orders, &segment))?;
                }
                let end = (submitted + self.pace.steps()).min(segment.end);
                let slots = submitted - segment.start..end - segment.start;
                in_flight.push_back(Flight {
                    first: segment.start,
                    steps: slots.len(),
                });
                let submit = || self.exec.submit(PassKind::Train, slots);
                clocked(&mut host.submitting, submit)?;
                submitted = end;
                continue;
            }
            if let Some(metrics) = clocked(&mut host.blocked, || self.exec.collect())? {
                if let Some(flight) = in_flight.pop_front() {
                    self.pace.done(flight.steps);
                    self.take(&metrics, flight.first)?;
                }
                continue;
            }
            // Nothing is under way.
            self.state.seconds = self.seconds_before + self.clock.elapsed().as_secs_f64();
            self.state.epoch_seconds += since.elapsed().as_secs_f64();
            since = Instant::now();
            match halt {
                Some(Halt::Checkpoint) => {
                    self.checkpoint()?;
                    self.parameters = None;
                    self.pace.start();
                }
                halt => {
                    (host.epochs, host.wall) = (1, began.elapsed());
                    self.observer.host(&host);
                    return Ok(halt);
                }
            }
        }
    }

    /// Why nothing more should be submitted, where `submitted` steps of the epoch have been.
    fn halt(&self, submitted: usize) -> Option<Halt> {
        let seconds = self.seconds_before + self.clock.elapsed().as_secs_f64();
        if self.job.stop.load(Ordering::Relaxed) {
            Some(Halt::Interrupt)
        } else if self.job.time.is_some_and(|t| seconds >= t.as_secs_f64()) {
            Some(Halt::Time)
        } else if submitted > self.checkpoint_step
            && self.last_checkpoint.elapsed() >= self.job.checkpoint_every
        {
            Some(Halt::Checkpoint)
        } else {
            None
        }
    }

    fn upload(&mut self, orders: &[Vec<u32>], segment: &std::ops::Range<usize>) -> Result<()> {
        let (job, state, hyper) = (self.job, &*self.state, &self.hyper);
        let epochs: Vec<u32> = (0..hyper.len()).map(|ix| self.epoch_of(ix)).collect();
        let lr = |member: usize, update: u64| {
            let (planned, of_member) = (&job.schedules[member], &state.members[member]);
            let epoch = state.epoch_of(member) - 1;
            planned.lr(hyper[member].lr, update, epoch, &of_member.plateau)
        };
        let tables = Segment {
            hyper,
            orders,
            epochs: &epochs,
            lr: &lr,
            accumulate: job.accumulate,
            ema: job.ema,
            first: segment.start,
            count: segment.len(),
        };
        job.feed
            .train_segment_with(self.exec, &tables, &mut self.scratch)
    }

    /// Notes what a range of steps came to; slot 0 of its tables was step `first` of the epoch.
    fn take(&mut self, metrics: &RangeMetrics, first: usize) -> Result<()> {
        let members = self.hyper.len();
        let mut records = Vec::with_capacity(metrics.sums.len());
        for (ix, &[loss, score]) in metrics.sums.iter().enumerate() {
            let (slot, member) = (metrics.range.start + ix / members, ix % members);
            let step = first + slot;
            if self.state.members[member].stopped.is_some() || step >= self.steps(member) {
                continue;
            }
            let valid = self.batch.min(self.n_train(member) - step * self.batch) as f64;
            let epoch = self.epoch_of(member);
            let record = StepRecord {
                step: u64::from(epoch - 1) * self.steps(member) as u64 + step as u64 + 1,
                epoch,
                member,
                lr: self.lr(member, self.update_of(member, step)),
                loss: loss / valid,
                accuracy: self.score(member).step_accuracy(score / valid),
            };
            if !is_number(loss) {
                // The steps that led here are worth reading.
                self.observer.steps(&records, self.state)?;
                records.clear();
                self.diverge(member, &record)?;
                continue;
            }
            self.state.sums[member][0] += loss;
            self.state.sums[member][1] += score;
            records.push(record);
        }
        self.state.step_in_epoch = first + metrics.range.end;
        self.observer.steps(&records, self.state)
    }

    /// A member's loss is no number any more: it is frozen and the others go on, if there are any.
    fn diverge(&mut self, member: usize, record: &StepRecord) -> Result<()> {
        self.state.members[member].stopped = Some(Reason::Diverged {
            epoch: record.epoch,
        });
        if self.state.members.iter().all(MemberState::has_diverged) {
            return Err(diverged(record, self.hyper.len()));
        }
        Ok(())
    }

    /// Validates, lets the rules speak, and steps the state on to the next epoch.
    fn end_epoch(&mut self) -> Result<()> {
        let apart = CHECKPOINTS_APART.min(self.job.checkpoint_every);
        let is_due = self.state.epoch == self.job.epochs || self.last_checkpoint.elapsed() >= apart;
        // A step's loss is from before its update: the last update of the epoch shows in the weights
        // alone, and no rule may take them, nor a checkpoint hold them, where they are no numbers.
        if is_due || self.has_rules() {
            self.check_parameters()?;
        }
        let members = self.hyper.len();
        let validated = self.validate()?;
        let seconds = self.state.epoch_seconds;
        let samples: usize = (0..members)
            .filter(|&member| self.state.members[member].stopped.is_none())
            .map(|member| self.n_train(member))
            .sum();
        let mut records = Vec::with_capacity(members);
        let mut improved = vec![false; members];
        for member in 0..members {
            if self.state.members[member].stopped.is_some() {
                continue;
            }
            let n = self.n_train(member) as f64;
            let [loss, score] = self.state.sums[member].map(|sum| sum / n);
            let train = self.score(member).scores(loss, score, score::Part::Train);
            let val = validated.as_ref().map(|all| {
                let e = &all[member];
                self.score(member).scores(e.loss, e.score, score::Part::Val)
            });
            let epoch = self.epoch_of(member);
            let lr = self.lr(member, self.update_of(member, self.steps(member) - 1));
            let target = self.job.target_accuracy;
            let is_best = self.state.members[member].observe(epoch, &train, val.as_ref(), target);
            if self.job.schedules[member].schedule().is_plateau()
                && let Some(val) = &val
            {
                let plateau = &mut self.state.members[member].plateau;
                let base = self.hyper[member].lr;
                self.job.schedules[member].observe(plateau, base, val.loss);
            }
            improved[member] = is_best && self.state.members[member].early.is_some();
            records.push(EpochRecord {
                epoch,
                member,
                lr,
                train,
                val,
                is_best,
                seconds,
                samples_per_second: samples as f64 / seconds,
            });
        }
        self.keep_best(&improved)?;
        self.freeze_stopped()?;
        self.state.next_epoch();
        self.state.seconds = self.seconds_before + self.clock.elapsed().as_secs_f64();
        self.observer.epoch(&records, self.state)?;
        match is_due || !self.learns() {
            true => self.checkpoint(),
            false => Ok(()),
        }
    }

    /// Every member on its validation part; `None` where there is none.
    fn validate(&mut self) -> Result<Option<Vec<Evaluation>>> {
        let feed = self.job.feed;
        let parts = |member: usize| &feed.parts(member).val[..];
        let lists: Vec<&[u32]> = match feed.has_folds() {
            true => (0..self.hyper.len()).map(parts).collect(),
            false => vec![parts(0)],
        };
        match lists.iter().all(|list| list.is_empty()) {
            true => Ok(None),
            false => evaluate_each(self.exec, feed, &lists).map(Some),
        }
    }

    /// Whether something may end a member's training, or keep its weights, at an epoch's end.
    fn has_rules(&self) -> bool {
        let has = |m: &MemberState| m.early.is_some() || m.converged.is_some();
        self.job.target_accuracy.is_some() || self.state.members.iter().any(has)
    }

    /// Refuses to go on, and to write a checkpoint, with weights that are no numbers. What it copies
    /// to the host serves whoever needs it until the next step.
    fn check_parameters(&mut self) -> Result<()> {
        if self.parameters.is_some() {
            return Ok(());
        }
        let id = self.exec.plan().parameters;
        let arenas = floats(self.exec.download(id)?);
        let len = arenas.len() / self.hyper.len();
        for (member, arena) in arenas.chunks_exact(len).enumerate() {
            let stopped = self.state.members[member].stopped.is_some();
            if !stopped && !arena.iter().all(|w| w.is_finite()) {
                self.lose(member, "weights are no longer numbers")?;
            }
        }
        self.parameters = Some(arenas);
        Ok(())
    }

    /// A member's weights have diverged.
    fn lose(&mut self, member: usize, what: &str) -> Result<()> {
        let epoch = self.epoch_of(member);
        self.state.members[member].stopped = Some(Reason::Diverged { epoch });
        if !self.state.members.iter().all(MemberState::has_diverged) {
            return Ok(());
        }
        Err(Error::Check(format!(
            "{what} in epoch {epoch}: training has diverged\ntry a smaller --lr, --clip-norm 1, or another --opt"
        )))
    }

    /// Copies the weights of the members that have just been better than ever before. They come to
    /// the host, where every checkpoint takes the arenas anyway.
    fn keep_best(&mut self, improved: &[bool]) -> Result<()> {
        if !improved.contains(&true) {
            return Ok(());
        }
        let averages = match self.exec.plan().averages {
            Some(id) => Some(floats(self.exec.download(id)?)),
            None => None,
        };
        self.check_parameters()?;
        let Some(now) = averages.as_ref().or(self.parameters.as_ref()) else {
            unreachable!("they have just been looked at");
        };
        let best = self.best.get_or_insert_with(|| now.clone());
        let len = now.len() / improved.len();
        let pairs = best.chunks_exact_mut(len).zip(now.chunks_exact(len));
        for ((best, now), _) in pairs.zip(improved).filter(|(_, improved)| **improved) {
            best.copy_from_slice(now);
        }
        Ok(())
    }

    fn freeze_stopped(&mut self) -> Result<()> {
        let mut changed = false;
        for (hyper, member) in self.hyper.iter_mut().zip(&self.state.members) {
            let active = member.stopped.is_none();
            changed |= hyper.active != active;
            hyper.active = active;
        }
        match changed && self.learns() {
            true => feed::upload_rows(self.exec, &self.hyper),
            false => Ok(()),
        }
    }

    fn checkpoint(&mut self) -> Result<()> {
        self.check_parameters()?;
        let mut snapshot = Snapshot {
            exec: &mut *self.exec,
            parameters: self.parameters.as_deref().unwrap_or_default(),
            state: self.state,
            best: self.best.as_deref(),
        };
        self.observer.checkpoint(&mut snapshot)?;
        self.last_checkpoint = Instant::now();
        self.checkpoint_step = self.state.step_in_epoch;
        Ok(())
    }
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
        (record.lr / 10.0).min(0.01)
    ))
}

/// The buffer that an evaluation reads weights from: their average where one is kept.
fn evaluated(plan: &Plan) -> BufferId {
    plan.averages.unwrap_or(plan.parameters)
}

/// The weights of all members that an evaluation uses \[P, arena_len\].
pub fn weights(exec: &mut dyn Executor) -> Result<Vec<f32>> {
    let id = evaluated(exec.plan());
    Ok(floats(exec.download(id)?))
}

/// Puts weights of all members \[P, arena_len\] where an evaluation reads them.
pub fn set_weights(exec: &mut dyn Executor, arenas: &[f32]) -> Result<()> {
    let id = evaluated(exec.plan());
    exec.upload(id, 0, words(arenas))
}

/// Puts `arenas` \[P, arena_len\] into the executor as the weights to start from, with a fresh
/// optimiser.
pub fn start_from(exec: &mut dyn Executor, arenas: &[f32]) -> Result<()> {
    let plan = exec.plan();
    let (parameters, averages, state) = (plan.parameters, plan.averages, plan.state);
    exec.upload(parameters, 0, words(arenas))?;
    if let Some(averages) = averages {
        exec.upload(averages, 0, words(arenas))?;
    }
    feed::clear(exec, state)
}

/// What a finished run leaves as its model \[P, arena_len\]: the best weights of the members that
/// stop early, the last of the others. They are put into the executor, to be tested.
pub fn finish(exec: &mut dyn Executor, state: &State, best: Option<&[f32]>) -> Result<Vec<f32>> {
    let mut arenas = weights(exec)?;
    let Some(best) = best else {
        return Ok(arenas);
    };
    let len = arenas.len() / state.members.len();
    let pairs = arenas.chunks_exact_mut(len).zip(best.chunks_exact(len));
    for ((arena, best), member) in pairs.zip(&state.members) {
        if member.restores().is_some() {
            arena.copy_from_slice(best);
        }
    }
    set_weights(exec, &arenas)?;
    Ok(arenas)
}
