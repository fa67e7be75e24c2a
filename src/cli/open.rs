//! From `--device` to an executor.

use std::sync::Arc;

use crate::Result;
use crate::cpu::Cpu;
use crate::executor::Executor;
use crate::gpu::adapter::{self, describe, is_software};
use crate::gpu::{Device, Gpu};
use crate::plan::Plan;

/// What `--device` led to.
pub enum Opened {
    Cpu,
    Gpu(Arc<Device>),
    /// `auto`: measure, if there is an adapter.
    Auto(Option<Arc<Device>>),
}

/// Opens what `--device` names.
pub fn open(which: &str) -> Result<Opened> {
    match which {
        "cpu" => Ok(Opened::Cpu),
        "auto" => {
            let best = adapter::adapters().into_iter().next();
            Ok(Opened::Auto(best.map(|a| Device::open(&a)).transpose()?))
        }
        which => Ok(Opened::Gpu(Device::open(&adapter::choose(which)?)?)),
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
    super::memory::check_plan(plan)?;
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

/// The executor for commands that do not measure: `auto` and `cpu` take the CPU path.
pub fn simple(which: &str, plan: &Arc<Plan>) -> Result<Backend> {
    match open(which)? {
        Opened::Gpu(device) => gpu(plan, &device),
        Opened::Cpu | Opened::Auto(_) => cpu(plan),
    }
}
