//! Feeds an executor: the data set once, or a window of it ahead of the steps that need it; then the
//! index lists and step scalars of a segment of steps.
//!
//! Everything is queued behind the work already submitted, so that the host packs the next segment
//! while the device is at the last one.

use crate::Result;
use crate::data::normalize::{Normalization, TargetScale};
use crate::data::{Dataset, Parts, Samples, Targets};
use crate::executor::{Executor, words};
use crate::plan::{Batch, BufferId, Hyper, Loss, MemberRow, PassKind, Plan, Spec, StepRow, pad4};
use crate::rng::{Purpose, Stream};

/// Samples of an evaluation batch, where there are as many.
const EVAL_BATCH: usize = 500;

/// Bytes of tables that a segment of steps may take on the device.
const SEGMENT_BYTES: usize = 32 << 20;

/// Bytes that one upload of resident samples takes at most: what is staged on the way.
const UPLOAD_BYTES: usize = 16 << 20;

/// How the samples lie on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residence {
    /// All of them, from the start.
    Whole,
    /// Those of the steps at hand, in a window of at most this many bytes.
    Streamed(u64),
}

/// What decides a plan's sizes, beside the data set.
#[derive(Clone, Debug)]
pub struct Sizing<'a> {
    pub members: usize,
    /// 0 leaves training out.
    pub batch: usize,
    pub loss: Loss,
    pub norm: &'a Normalization,
    pub residence: Residence,
    /// The parts of each member, where they have their own.
    pub folds: &'a [Fold],
}

/// The plan's sizes for `data`; flags such as clipping are the caller's to set.
pub fn spec(data: &Dataset, sizing: &Sizing) -> Spec {
    let Sizing { members, batch, .. } = *sizing;
    let parts = || std::iter::once(&data.parts).chain(sizing.folds.iter().map(|fold| &fold.parts));
    let n_train = parts().map(|p| p.train.len()).max().unwrap_or(0);
    let n_eval = parts().map(|p| p.val.len().max(p.test.len())).max();
    let n_eval = n_eval.unwrap_or(0).max(1);
    let eval_batch = EVAL_BATCH.min(n_eval);
    let row_bytes = row_words(data) * 4;
    let capacity = |samples: usize, batch: usize, distinct: usize| {
        let steps = samples.div_ceil(batch.max(1)).max(1);
        // Indices and metrics of each sample, a row a member, and the step's number.
        let fit = SEGMENT_BYTES / (members * (batch * 12 + 24) + 256);
        let fit = match sizing.residence {
            Residence::Whole => fit,
            Residence::Streamed(bytes) => {
                fit.min(bytes as usize / (distinct * batch.max(1) * row_bytes).max(1))
            }
        };
        steps.min(fit.max(1))
    };
    // Each member sees an order of its own in training and the same one in evaluation.
    let train_capacity = capacity(n_train, batch, members);
    let eval_lists = sizing.folds.len().max(1);
    let eval_capacity = capacity(n_eval, eval_batch, eval_lists);
    let n_samples = match sizing.residence {
        Residence::Whole => data.len(),
        Residence::Streamed(_) => {
            (train_capacity * members * batch).max(eval_capacity * eval_batch * eval_lists)
        }
    };
    Spec {
        members,
        inputs: data.shape.len(),
        classes: data.outputs(),
        n_samples,
        n_norm: sizing.norm.scale.len(),
        norm_span: sizing.norm.span,
        train_batch: batch,
        train_capacity,
        eval_batch,
        eval_capacity,
        loss: sizing.loss,
        floats: matches!(data.samples, Samples::Floats(_)),
        regression: data.is_regression(),
        ..Spec::default()
    }
}

/// Bytes of all samples as they lie on a device.
pub fn bytes(data: &Dataset) -> u64 {
    data.len() as u64 * row_words(data) as u64 * 4
}

/// Words of one sample on the device: four pixels to a word, or whole groups of four numbers.
fn row_words(data: &Dataset) -> usize {
    match data.samples {
        Samples::Bytes(_) => data.shape.len().div_ceil(4),
        Samples::Floats(_) => pad4(data.shape.len()),
    }
}

/// A data set on its way to an executor.
pub struct Feed<'a> {
    pub data: &'a Dataset,
    residence: Residence,
    norm: &'a Normalization,
    /// Targets as the kernels read them \[N\]: class numbers, or the bits of standardised values.
    labels: Vec<u32>,
    /// \[C\]; empty where all classes weigh 1.
    class_weights: &'a [f64],
    /// What each member has of its own; empty where all share one.
    folds: &'a [Fold],
}

/// One member's parts of the data, and what was fitted on its training part.
#[derive(Clone, Debug)]
pub struct Fold {
    pub parts: Parts,
    pub norm: Normalization,
    /// \[C\]; empty where all classes weigh 1.
    pub class_weights: Vec<f64>,
}

/// Memory of the tables of a segment, kept from one to the next.
#[derive(Default)]
pub struct Scratch {
    indices: Vec<u32>,
    rows: Vec<StepRow>,
    /// Samples of the window, in order, and how they lie on the device.
    window: Vec<u32>,
    packed: Vec<u32>,
}

/// Where a segment of training steps stands, and what its optimiser updates need.
pub struct Segment<'a> {
    pub hyper: &'a [Hyper],
    /// The order in which each member sees its training samples in this epoch.
    pub orders: &'a [Vec<u32>],
    /// The epoch that each member is in, from 1.
    pub epochs: &'a [u32],
    /// Learning rate of a member at an update, counted from 0 over the whole run.
    pub lr: &'a dyn Fn(usize, u64) -> f64,
    /// Batches per optimiser update.
    pub accumulate: usize,
    /// Decay of the weights' average; 0 where there is none.
    pub ema: f64,
    /// First step, and how many.
    pub first: usize,
    pub count: usize,
}

impl<'a> Feed<'a> {
    pub fn new(
        data: &'a Dataset,
        norm: &'a Normalization,
        target: TargetScale,
        class_weights: &'a [f64],
        residence: Residence,
    ) -> Feed<'a> {
        let labels = match &data.targets {
            Targets::Classes { labels, .. } => labels.clone(),
            Targets::Values { values, .. } => values
                .iter()
                .map(|&value| target.standardise(value).to_bits())
                .collect(),
        };
        Feed {
            data,
            residence,
            norm,
            labels,
            class_weights,
            folds: &[],
        }
    }

    /// With parts of each member's own.
    pub fn with_folds(self, folds: &'a [Fold]) -> Feed<'a> {
        Feed { folds, ..self }
    }

    /// What a member trains and validates on.
    pub fn parts(&self, member: usize) -> &'a Parts {
        let own = self.folds.get(member);
        own.map_or(&self.data.parts, |fold| &fold.parts)
    }

    /// Whether each member has its own parts.
    pub fn has_folds(&self) -> bool {
        !self.folds.is_empty()
    }

    fn norm(&self, member: usize) -> &'a Normalization {
        self.folds.get(member).map_or(self.norm, |fold| &fold.norm)
    }

    fn class_weights(&self, member: usize) -> &'a [f64] {
        let own = self.folds.get(member);
        own.map_or(self.class_weights, |fold| &fold.class_weights)
    }

    /// Uploads what does not change during a run: the samples where they are resident, and each
    /// member's normalisation table and class weights.
    pub fn load(&self, exec: &mut dyn Executor) -> Result<()> {
        let plan = exec.plan();
        let (members, outputs) = (plan.members, self.data.outputs());
        let (norm, class_weights) = (plan.norm, plan.class_weights);
        if self.residence == Residence::Whole {
            self.upload_all(exec)?;
        }
        let tables: Vec<_> = (0..members).flat_map(|m| self.norm(m).table()).collect();
        exec.upload(norm, 0, words(&tables))?;
        let weights: Vec<f32> = (0..members)
            .flat_map(|member| match self.class_weights(member) {
                [] => vec![1.0; outputs],
                weights => weights.iter().map(|&w| w as f32).collect(),
            })
            .collect();
        exec.upload(class_weights, 0, words(&weights))
    }

    fn upload_all(&self, exec: &mut dyn Executor) -> Result<()> {
        let (pixels, labels) = (exec.plan().pixels, exec.plan().labels);
        let row = row_words(self.data);
        let rows = (UPLOAD_BYTES / (row * 4)).max(1);
        let mut packed = Vec::new();
        for first in (0..self.data.len()).step_by(rows) {
            let count = rows.min(self.data.len() - first);
            match self.whole_words(first, count) {
                Some(words) => exec.upload(pixels, first * row, words)?,
                None => {
                    self.pack(first..first + count, &mut packed);
                    exec.upload(pixels, first * row, &packed)?;
                }
            }
        }
        exec.upload(labels, 0, &self.labels)
    }

    /// Samples `first..` as they lie in memory, where that is how they lie on a device.
    fn whole_words(&self, first: usize, count: usize) -> Option<&[u32]> {
        let len = self.data.shape.len();
        if !len.is_multiple_of(4) {
            return None;
        }
        match &self.data.samples {
            Samples::Bytes(bytes) => {
                bytemuck::try_cast_slice(&bytes[first * len..][..count * len]).ok()
            }
            Samples::Floats(floats) => {
                Some(bytemuck::cast_slice(&floats[first * len..][..count * len]))
            }
        }
    }

    /// The rows of `samples`, one after the other, as they lie on a device.
    fn pack(&self, samples: impl ExactSizeIterator<Item = usize>, packed: &mut Vec<u32>) {
        let (len, row) = (self.data.shape.len(), row_words(self.data));
        packed.clear();
        packed.resize(samples.len() * row, 0);
        for (to, ix) in packed.chunks_exact_mut(row).zip(samples) {
            match &self.data.samples {
                Samples::Bytes(bytes) => {
                    let to: &mut [u8] = bytemuck::cast_slice_mut(to);
                    to[..len].copy_from_slice(&bytes[ix * len..][..len]);
                }
                Samples::Floats(floats) => {
                    let to: &mut [f32] = bytemuck::cast_slice_mut(to);
                    to[..len].copy_from_slice(&floats[ix * len..][..len]);
                }
            }
        }
    }

    /// Sends these samples into the window, one place after the other.
    fn send(&self, exec: &mut dyn Executor, samples: &[u32], packed: &mut Vec<u32>) -> Result<()> {
        let (pixels, labels) = (exec.plan().pixels, exec.plan().labels);
        self.pack(samples.iter().map(|&ix| ix as usize), packed);
        exec.upload(pixels, 0, packed)?;
        let list: Vec<u32> = samples.iter().map(|&ix| self.labels[ix as usize]).collect();
        exec.upload(labels, 0, &list)
    }

    /// The sum of a member's class weights over `samples`; their number where all weigh 1.
    fn weight(&self, member: usize, samples: &[u32]) -> f64 {
        let weights = self.class_weights(member);
        if weights.is_empty() {
            return samples.len() as f64;
        }
        let of = |&ix: &u32| weights[self.labels[ix as usize] as usize];
        samples.iter().map(of).sum()
    }

    /// Uploads the tables of a segment of training steps, and its samples where they are streamed.
    pub fn train_segment(&self, exec: &mut dyn Executor, segment: &Segment) -> Result<()> {
        self.train_segment_with(exec, segment, &mut Scratch::default())
    }

    /// [`Self::train_segment`], in memory that the caller keeps.
    pub fn train_segment_with(
        &self,
        exec: &mut dyn Executor,
        segment: &Segment,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let (batch, indices_id, steps_id) = tables(exec.plan(), PassKind::Train);
        let members = segment.hyper.len();
        let Scratch {
            indices,
            rows,
            window,
            packed,
        } = scratch;
        indices.clear();
        indices.resize(segment.count * members * batch, 0);
        rows.clear();
        window.clear();
        let mut lists = indices.chunks_exact_mut(batch);
        // Each member's update at hand: the step that it begins with, and the weight of its samples.
        let mut updates = vec![(usize::MAX, 0.0); members];
        for step in segment.first..segment.first + segment.count {
            for (member, (hyper, order)) in segment.hyper.iter().zip(segment.orders).enumerate() {
                let of_step = |step: usize| {
                    let start = (step * batch).min(order.len());
                    &order[start..(start + batch).min(order.len())]
                };
                let samples = of_step(step);
                if let Some(list) = lists.next() {
                    match self.residence {
                        Residence::Whole => list[..samples.len()].copy_from_slice(samples),
                        Residence::Streamed(_) => {
                            for (place, &sample) in list.iter_mut().zip(samples) {
                                *place = window.len() as u32;
                                window.push(sample);
                            }
                        }
                    }
                }
                // A member whose epoch is over waits for the others in steps of no samples.
                let (accumulate, steps) = (segment.accumulate, order.len().div_ceil(batch));
                let begin = step - step % accumulate;
                let end = (begin + accumulate).min(steps);
                let weight = self.weight(member, samples);
                if updates[member].0 != begin {
                    let all = (begin..end).map(|step| self.weight(member, of_step(step)));
                    updates[member] = (begin, all.sum());
                }
                let epochs_before = u64::from(segment.epochs[member] - 1);
                let updates_before = epochs_before * steps.div_ceil(accumulate) as u64;
                let update = updates_before + (step / accumulate) as u64;
                let row = Batch {
                    valid: samples.len() as u32,
                    draw: (epochs_before * steps as u64 + step as u64 + 1) as u32,
                    weight,
                    update_weight: updates[member].1,
                    begins: step == begin,
                    applies: step + 1 == end,
                    ema: segment.ema,
                };
                rows.push(hyper.step(update + 1, (segment.lr)(member, update), &row));
            }
        }
        if !window.is_empty() {
            self.send(exec, window, packed)?;
        }
        exec.upload(indices_id, 0, indices)?;
        exec.upload(steps_id, 0, words(rows))
    }

    /// Uploads the evaluation tables for each member's samples, in order, and the samples themselves
    /// where they are streamed; returns the number of steps. One list is for all members.
    pub fn eval_segment(&self, exec: &mut dyn Executor, lists: &[&[u32]]) -> Result<usize> {
        let members = exec.plan().members;
        let (batch, indices_id, steps_id) = tables(exec.plan(), PassKind::Eval);
        let longest = lists.iter().map(|list| list.len()).max().unwrap_or(0);
        let steps = longest.div_ceil(batch);
        let mut indices = vec![0u32; steps * members * batch];
        let mut rows = Vec::with_capacity(steps * members);
        // Where each list begins in the window.
        let starts: Vec<usize> = (0..lists.len())
            .map(|ix| lists[..ix].iter().map(|list| list.len()).sum())
            .collect();
        for (ix, places) in indices.chunks_exact_mut(batch).enumerate() {
            let list = (ix % members) % lists.len();
            let samples = lists[list];
            let first = ((ix / members) * batch).min(samples.len());
            let of_step = &samples[first..(first + batch).min(samples.len())];
            match self.residence {
                Residence::Whole => places[..of_step.len()].copy_from_slice(of_step),
                Residence::Streamed(_) => {
                    for (place, at) in places.iter_mut().zip(first..first + of_step.len()) {
                        *place = (starts[list] + at) as u32;
                    }
                }
            }
            rows.push(StepRow {
                valid: of_step.len() as u32,
                ..StepRow::default()
            });
        }
        if let Residence::Streamed(_) = self.residence {
            self.send(exec, &lists.concat(), &mut Vec::new())?;
        }
        exec.upload(indices_id, 0, &indices)?;
        exec.upload(steps_id, 0, words(&rows))?;
        Ok(steps)
    }
}

/// Zeroes a buffer, in pieces.
pub fn clear(exec: &mut dyn Executor, buffer: BufferId) -> Result<()> {
    let len = exec.plan().buffer(buffer).len;
    let zeros = vec![0; len.min(1 << 20)];
    let mut start = 0;
    while start < len {
        let count = zeros.len().min(len - start);
        exec.upload(buffer, start, &zeros[..count])?;
        start += count;
    }
    Ok(())
}

/// Uploads the member rows.
pub fn upload_rows(exec: &mut dyn Executor, hyper: &[Hyper]) -> Result<()> {
    let rows: Vec<MemberRow> = hyper.iter().map(Hyper::row).collect();
    let id = exec.plan().rows;
    exec.upload(id, 0, words(&rows))
}

/// The order in which a member sees its training samples in one epoch.
pub fn epoch_order(hyper: &Hyper, epoch: u32, train: &[u32], shuffle: bool) -> Vec<u32> {
    let mut order = train.to_vec();
    if shuffle {
        Stream::new(hyper.seed, Purpose::Shuffle, epoch).shuffle(&mut order);
    }
    order
}

fn tables(plan: &Plan, kind: PassKind) -> (usize, BufferId, BufferId) {
    let pass = plan.pass(kind);
    (pass.batch, pass.indices, pass.steps)
}
