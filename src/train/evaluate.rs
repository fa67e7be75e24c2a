//! Loss, accuracy, confusion counts and predictions over a list of samples.

use super::feed::Feed;
use super::is_number;
use super::pace::Pace;
use crate::Result;
use crate::executor::{Executor, floats};
use crate::plan::{PassKind, pad4};

/// One member's result over the evaluated samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Mean loss per sample; the data term alone, without smoothing or weights. NaN where a
    /// sample's is none.
    pub loss: f64,
    /// Part of the samples whose largest output is the label's; for values the mean squared error,
    /// in the standardised units of the kernels.
    pub score: f64,
    /// Counts \[C, C\] by (label, prediction); for classes alone.
    pub confusion: Vec<u32>,
}

/// Evaluates every member on `samples`.
pub fn evaluate(exec: &mut dyn Executor, feed: &Feed, samples: &[u32]) -> Result<Vec<Evaluation>> {
    evaluate_each(exec, feed, &[samples])
}

/// Evaluates each member on a list of its own; one list is for all of them.
pub fn evaluate_each(
    exec: &mut dyn Executor,
    feed: &Feed,
    lists: &[&[u32]],
) -> Result<Vec<Evaluation>> {
    let plan = exec.plan();
    let (members, capacity, batch) = (plan.members, plan.eval.capacity, plan.eval.batch);
    let confusion = plan.confusion;
    let counts = plan.buffer(confusion).len;
    exec.upload(confusion, 0, &vec![0; counts])?;
    let mut sums = vec![[0.0f64; 2]; members];
    let longest = lists.iter().map(|list| list.len()).max().unwrap_or(0);
    for first in (0..longest).step_by(capacity * batch) {
        let part = |list: &&[u32]| {
            let (first, last) = (
                first.min(list.len()),
                (first + capacity * batch).min(list.len()),
            );
            first..last
        };
        let chunks: Vec<&[u32]> = lists.iter().map(|list| &list[part(list)]).collect();
        let steps = feed.eval_segment(exec, &chunks)?;
        let mut pace = Pace::new();
        let (mut submitted, mut collected, mut in_flight) = (0, 0, 0);
        while collected < steps {
            if submitted < steps && in_flight < pace.in_flight() {
                let end = (submitted + pace.steps()).min(steps);
                exec.submit(PassKind::Eval, submitted..end)?;
                submitted = end;
                in_flight += 1;
                continue;
            }
            let Some(done) = exec.collect()? else { break };
            in_flight -= 1;
            pace.done(done.range.len());
            collected = done.range.end;
            for (ix, &[loss, score]) in done.sums.iter().enumerate() {
                // One sample's stand-in for NaN must not be averaged away.
                sums[ix % members][0] += if is_number(loss) { loss } else { f64::NAN };
                sums[ix % members][1] += score;
            }
        }
    }
    let counts = match feed.data.is_regression() {
        true => Vec::new(),
        false => exec.download(confusion)?,
    };
    let of_member = counts.len() / members;
    Ok(sums
        .iter()
        .enumerate()
        .map(|(member, [loss, score])| {
            let n = lists[member % lists.len()].len() as f64;
            Evaluation {
                loss: loss / n,
                score: score / n,
                confusion: counts[member * of_member..][..of_member].to_vec(),
            }
        })
        .collect())
}

/// What every member makes of `samples` \[P\]\[N, C\]: probabilities, or raw outputs where the loss is
/// none of probabilities.
pub fn predictions(exec: &mut dyn Executor, feed: &Feed, samples: &[u32]) -> Result<Vec<Vec<f32>>> {
    let plan = exec.plan();
    let (members, capacity, batch) = (plan.members, plan.eval.capacity, plan.eval.batch);
    let (head, outputs) = (plan.eval.head, feed.data.outputs());
    let ld = pad4(outputs);
    let mut all = vec![Vec::with_capacity(samples.len() * outputs); members];
    for chunk in samples.chunks(capacity * batch) {
        let steps = feed.eval_segment(exec, &[chunk])?;
        for step in 0..steps {
            exec.submit(PassKind::Eval, step..step + 1)?;
            exec.collect()?;
            let rows = batch.min(chunk.len() - step * batch);
            let of_step = floats(exec.download(head)?);
            for (all, of_member) in all.iter_mut().zip(of_step.chunks_exact(batch * ld)) {
                for row in of_member.chunks_exact(ld).take(rows) {
                    all.extend_from_slice(&row[..outputs]);
                }
            }
        }
    }
    Ok(all)
}
