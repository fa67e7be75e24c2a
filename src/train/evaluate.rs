//! Loss, accuracy and confusion counts over a range of resident samples.

use std::ops::Range;

use super::pace::Pace;
use super::{feed, is_number};
use crate::Result;
use crate::executor::Executor;
use crate::plan::PassKind;

/// One member's result over the evaluated samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Mean loss per sample; the data term alone, without smoothing. NaN where a sample's is none.
    pub loss: f64,
    /// Part of the samples whose largest output is the label's.
    pub accuracy: f64,
    /// Counts \[C, C\] by (label, prediction).
    pub confusion: Vec<u32>,
}

/// Evaluates every member on the samples `range` of the resident data.
pub fn evaluate(exec: &mut dyn Executor, range: Range<usize>) -> Result<Vec<Evaluation>> {
    let (members, capacity, batch, confusion, classes2) = {
        let plan = exec.plan();
        let len = plan.buffer(plan.confusion).len;
        (
            plan.members,
            plan.eval.capacity,
            plan.eval.batch,
            plan.confusion,
            len / plan.members,
        )
    };
    exec.upload(confusion, 0, &vec![0; members * classes2])?;
    let mut sums = vec![[0.0f64; 2]; members];
    let mut pace = Pace::new();
    let mut in_flight = 0;
    let mut start = range.start;
    while start < range.end {
        let end = (start + capacity * batch).min(range.end);
        let steps = feed::upload_eval(exec, start..end)?;
        pace.start_segment();
        let (mut submitted, mut collected) = (0, 0);
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
            for (ix, &[loss, correct]) in done.sums.iter().enumerate() {
                // One sample's stand-in for NaN must not be averaged away.
                sums[ix % members][0] += if is_number(loss) { loss } else { f64::NAN };
                sums[ix % members][1] += correct;
            }
        }
        start = end;
    }
    let counts = exec.download(confusion)?;
    let n = range.len() as f64;
    Ok(sums
        .iter()
        .zip(counts.chunks_exact(classes2))
        .map(|([loss, correct], counts)| Evaluation {
            loss: loss / n,
            accuracy: correct / n,
            confusion: counts.to_vec(),
        })
        .collect())
}
