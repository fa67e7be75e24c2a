//! From `--device` to an executor.

use std::sync::Arc;

use crate::cpu::Cpu;
use crate::executor::Executor;
use crate::gpu::adapter::{self, REMEDY, adapters, describe, is_software};
use crate::gpu::{Device, Gpu};
use crate::plan::Plan;
use crate::{Error, Result};

/// What `--device` led to.
pub enum Opened {
    Cpu,
    Gpu(Arc<Device>),
    /// `auto`: measure against this adapter, or the reason why there is none to measure.
    Auto(std::result::Result<Arc<Device>, String>),
}

/// Opens what `--device` names.
pub fn open(which: &str) -> Result<Opened> {
    match which.to_lowercase().as_str() {
        "cpu" => Ok(Opened::Cpu),
        "auto" => Ok(Opened::Auto(best())),
        _ => Ok(Opened::Gpu(Device::open(&adapter::choose(which)?)?)),
    }
}

/// The best adapter that opens; else why none does.
pub fn best() -> std::result::Result<Arc<Device>, String> {
    let mut reason = REMEDY.to_string();
    for adapter in adapters() {
        match Device::open(&adapter) {
            Ok(device) => return Ok(device),
            Err(e) => reason = e.to_string(),
        }
    }
    Err(reason)
}

/// The adapter of a command that has no use for the CPU path alone; `None` for `cpu`.
pub fn adapter_or_cpu(which: &str) -> Result<Option<Arc<Device>>> {
    match open(which)? {
        Opened::Cpu => Ok(None),
        Opened::Gpu(device) => Ok(Some(device)),
        Opened::Auto(found) => found.map(Some).map_err(Error::Device),
    }
}

/// An executor with the words that tell a person what it is.
pub struct Backend {
    pub exec: Box<dyn Executor>,
    /// "cpu (2 threads)", or the adapter's name.
    pub name: String,
    /// What a configuration records: `cpu`, or the adapter's name.
    pub device: String,
    pub software: bool,
}

pub fn cpu(plan: &Arc<Plan>) -> Result<Backend> {
    let exec = Cpu::<f32>::new(plan.clone(), 0)?;
    Ok(Backend {
        name: format!("cpu ({} threads)", exec.threads()),
        exec: Box::new(exec),
        device: "cpu".to_string(),
        software: false,
    })
}

pub fn gpu(plan: &Arc<Plan>, device: &Arc<Device>) -> Result<Backend> {
    let exec = Gpu::new(plan.clone(), device.clone())?;
    Ok(Backend {
        exec: Box::new(exec),
        name: describe(&device.info),
        device: device.info.name.clone(),
        software: is_software(&device.info),
    })
}

/// The executor for commands that do not measure; `auto` takes the CPU path, which starts at once.
pub fn simple(which: &str, plan: &Arc<Plan>) -> Result<Backend> {
    if which == "auto" {
        return cpu(plan);
    }
    match adapter_or_cpu(which)? {
        Some(device) => gpu(plan, &device),
        None => cpu(plan),
    }
}
