//! Refusing what this machine's memory cannot hold, before the kernel kills the process for it.

use crate::models::Sequential;
use crate::plan::Plan;
use crate::{Error, Result};

/// Refuses models whose arenas cannot be addressed: offsets in kernels are 32-bit.
pub fn check_model(model: &Sequential, inputs: usize, members: usize) -> Result<()> {
    let parameters = model.n_parameters(inputs);
    let limit = u128::from(u32::MAX) / 4;
    if parameters * members as u128 > limit {
        return Err(Error::Usage(format!(
            "--model \"{model}\" has {parameters} parameters for {members} member(s); kernels address at most {limit}: use smaller layers (the widest has {} units)",
            model.widest()
        )));
    }
    Ok(())
}

/// Refuses a plan that the CPU path could not hold in the memory that is free.
pub fn check_plan(plan: &Plan) -> Result<()> {
    let needed = plan.bytes() as u64;
    match available() {
        Some(free) if needed > free => Err(Error::Device(format!(
            "the CPU path needs {:.1} GB for {} parameters and {} buffers, and {:.1} GB of memory are free: use smaller layers or a smaller --batch",
            needed as f64 / 1e9,
            plan.n_parameters(),
            plan.buffers.len(),
            free as f64 / 1e9
        ))),
        _ => Ok(()),
    }
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
