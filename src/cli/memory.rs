//! Recording a plan that this machine's memory and 32-bit offsets can hold, refusing any other
//! before the operating system ends the process for it.

use std::sync::Arc;

use crate::models::Sequential;
use crate::plan::{Plan, Spec};
use crate::{Error, Result};

/// Arenas that the host holds beside the plan's own: initial weights, uploads, a checkpoint.
const HOST_ARENAS: usize = 6;

/// Records `model`, or says where its widths do not agree, or by how much it is too large.
pub fn record(spec: &Spec, model: &Sequential) -> Result<Arc<Plan>> {
    model.check(spec.inputs)?;
    model.check_frozen(&spec.frozen)?;
    let parameters = model.n_parameters(spec.inputs);
    let limit = u128::from(u32::MAX) / 4;
    if parameters * spec.members as u128 > limit {
        return Err(Error::Usage(format!(
            "--model \"{model}\" has {parameters} parameters{}; kernels address at most {limit}: use smaller layers (the widest has {} units)",
            if spec.members > 1 {
                format!(" for each of {} members", spec.members)
            } else {
                String::new()
            },
            model.widest()
        )));
    }
    let plan = Plan::record(spec, |rec, x| model.forward(rec, x));
    if let Some(buffer) = plan.too_long() {
        return Err(Error::Usage(format!(
            "the buffer \"{}\" would have {} elements; kernels address at most {}: use a smaller --batch or smaller layers",
            buffer.label,
            buffer.len,
            u32::MAX
        )));
    }
    check(&plan, 1)?;
    Ok(Arc::new(plan))
}

/// Whether the memory that is free holds `executors` of this plan beside each other.
pub fn check(plan: &Plan, executors: usize) -> Result<()> {
    let arenas = HOST_ARENAS * 4 * plan.arena_len * plan.members;
    let needed = (plan.bytes() * executors + arenas) as u64;
    match available() {
        Some(free) if needed > free => Err(Error::Device(format!(
            "{} parameters and a batch of {} need {:.1} GB of memory, and {:.1} GB are free: use smaller layers or a smaller --batch",
            plan.n_parameters(),
            plan.train.batch.max(plan.eval.batch),
            needed as f64 / 1e9,
            free as f64 / 1e9
        ))),
        _ => Ok(()),
    }
}

/// The most bytes that resident samples may take, `limit` being a device's own: a quarter of the
/// memory that is free, and what 32-bit offsets reach.
pub fn for_samples(limit: Option<u64>) -> u64 {
    let free = available().map_or(u64::MAX, |free| free / 4);
    limit
        .unwrap_or(u64::MAX)
        .min(free)
        .min(u64::from(u32::MAX) * 4)
}

/// Bytes of memory that are free, where the system tells (Linux).
fn available() -> Option<u64> {
    kilobytes("/proc/meminfo", "MemAvailable:")
}

/// The most memory this process has had, in bytes, where the system tells (Linux).
pub fn peak() -> Option<u64> {
    kilobytes("/proc/self/status", "VmHWM:")
}

fn kilobytes(file: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    let number = line.split_whitespace().nth(1)?;
    Some(number.parse::<u64>().ok()? * 1024)
}
