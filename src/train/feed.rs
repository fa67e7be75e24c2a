//! Feeds an executor: the data set once, then the index lists and step scalars of a segment ahead.

use crate::Result;
use crate::data::Dataset;
use crate::executor::{Executor, words};
use crate::plan::{BufferId, Hyper, Loss, MemberRow, PassKind, Plan, Spec, StepRow};
use crate::rng::{Purpose, Stream};

/// Samples of an evaluation batch, where there are as many.
const EVAL_BATCH: usize = 500;

/// Bytes of tables that a segment of steps may take on the device.
const SEGMENT_BYTES: usize = 32 << 20;

/// The plan's sizes for training on `data`; test samples follow the training samples.
pub fn spec(data: &Dataset, members: usize, batch: usize, clips: bool, loss: Loss) -> Spec {
    let inputs = data.shape.len();
    let capacity = |samples: usize, batch: usize| {
        let steps = samples.div_ceil(batch).max(1);
        // Indices and metrics of each sample, a row a member, and the step's number.
        let fit = SEGMENT_BYTES / (members * (batch * 12 + 24) + 256);
        steps.min(fit.max(1))
    };
    let eval_batch = EVAL_BATCH.min(data.test.len().max(1));
    Spec {
        members,
        inputs,
        classes: data.classes.len(),
        n_samples: data.train.len() + data.test.len(),
        n_norm: 1,
        norm_span: inputs,
        train_batch: batch,
        train_capacity: capacity(data.train.len(), batch),
        eval_batch,
        eval_capacity: capacity(data.test.len(), eval_batch),
        loss,
        clips,
    }
}

/// Uploads the resident data set: pixels, labels, and the normalisation table \[n_norm, 2\] that all
/// members share.
pub fn upload_data(exec: &mut dyn Executor, data: &Dataset, norm: &[f32]) -> Result<()> {
    let (pixels, labels, table, members, row_words) = {
        let plan = exec.plan();
        let row_words = data.shape.len().div_ceil(4);
        (plan.pixels, plan.labels, plan.norm, plan.members, row_words)
    };
    let mut start = 0;
    let mut first_label = 0;
    for part in [&data.train, &data.test] {
        let width = data.shape.len();
        if width.is_multiple_of(4) {
            let packed: Vec<u32>;
            let whole: &[u32] = match bytemuck::try_cast_slice(&part.pixels) {
                Ok(aligned) => aligned,
                Err(_) => {
                    packed = bytemuck::pod_collect_to_vec(&part.pixels);
                    &packed
                }
            };
            exec.upload(pixels, start, whole)?;
        } else {
            let mut packed = vec![0u8; part.len() * row_words * 4];
            for (row, pixels) in packed
                .chunks_exact_mut(row_words * 4)
                .zip(part.pixels.chunks_exact(width))
            {
                row[..width].copy_from_slice(pixels);
            }
            exec.upload(
                pixels,
                start,
                &bytemuck::pod_collect_to_vec::<u8, u32>(&packed),
            )?;
        }
        exec.upload(labels, first_label, &part.labels)?;
        start += part.len() * row_words;
        first_label += part.len();
    }
    let tables: Vec<f32> = norm.repeat(members);
    exec.upload(table, 0, words(&tables))
}

/// Uploads all that a run starts from: data, normalisation table of one member \[n_norm, 2\], member
/// rows, parameters \[P, arena_len\], and a zero optimiser state where the plan trains.
pub fn load(
    exec: &mut dyn Executor,
    data: &Dataset,
    norm: &[f32],
    hyper: &[Hyper],
    arenas: &[f32],
) -> Result<()> {
    upload_data(exec, data, norm)?;
    upload_rows(exec, hyper)?;
    super::set_parameters(exec, arenas)?;
    clear_state(exec)
}

/// Zeroes the optimiser state, in pieces.
fn clear_state(exec: &mut dyn Executor) -> Result<()> {
    let plan = exec.plan();
    let (state, len) = (plan.state, plan.buffer(plan.state).len);
    let zeros = vec![0; len.min(1 << 20)];
    let mut start = 0;
    while start < len {
        let count = zeros.len().min(len - start);
        exec.upload(state, start, &zeros[..count])?;
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

/// The order in which each member sees the training samples in one epoch.
pub fn epoch_order(hyper: &[Hyper], epoch: u32, n_train: usize, shuffle: bool) -> Vec<Vec<u32>> {
    hyper
        .iter()
        .map(|member| {
            let mut order: Vec<u32> = (0..n_train as u32).collect();
            if shuffle {
                Stream::new(member.seed, Purpose::Shuffle, epoch).shuffle(&mut order);
            }
            order
        })
        .collect()
}

/// Uploads the tables of training steps `first`, `first + 1`, ..., `count` of them, of an epoch that
/// `steps_before` optimiser steps came before.
pub fn upload_segment(
    exec: &mut dyn Executor,
    hyper: &[Hyper],
    orders: &[Vec<u32>],
    steps_before: u64,
    first: usize,
    count: usize,
) -> Result<()> {
    let (batch, indices_id, steps_id) = tables(exec.plan(), PassKind::Train);
    let mut indices = vec![0u32; count * hyper.len() * batch];
    let mut rows = Vec::with_capacity(count * hyper.len());
    let mut lists = indices.chunks_exact_mut(batch);
    for step in first..first + count {
        for (member, order) in hyper.iter().zip(orders) {
            let start = step * batch;
            let samples = &order[start..(start + batch).min(order.len())];
            if let Some(list) = lists.next() {
                list[..samples.len()].copy_from_slice(samples);
            }
            let t = steps_before + step as u64 + 1;
            rows.push(member.step(t, member.lr, samples.len() as u32));
        }
    }
    exec.upload(indices_id, 0, &indices)?;
    exec.upload(steps_id, 0, words(&rows))
}

/// Uploads the evaluation tables for `samples`, in order, the same for every member; returns the
/// number of steps.
pub fn upload_eval(exec: &mut dyn Executor, samples: std::ops::Range<usize>) -> Result<usize> {
    let members = exec.plan().members;
    let (batch, indices_id, steps_id) = tables(exec.plan(), PassKind::Eval);
    let steps = samples.len().div_ceil(batch);
    let mut indices = vec![0u32; steps * members * batch];
    let mut rows = Vec::with_capacity(steps * members);
    for (ix, list) in indices.chunks_exact_mut(batch).enumerate() {
        let start = samples.start + (ix / members) * batch;
        let valid = batch.min(samples.end - start);
        for (to, sample) in list.iter_mut().zip(start..start + valid) {
            *to = sample as u32;
        }
        rows.push(StepRow {
            valid: valid as u32,
            ..StepRow::default()
        });
    }
    exec.upload(indices_id, 0, &indices)?;
    exec.upload(steps_id, 0, words(&rows))?;
    Ok(steps)
}

fn tables(plan: &Plan, kind: PassKind) -> (usize, BufferId, BufferId) {
    let pass = plan.pass(kind);
    (pass.batch, pass.indices, pass.steps)
}
