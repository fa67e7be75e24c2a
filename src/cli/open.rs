//! From `--device` to an executor.

use std::sync::Arc;

use crate::cache::Cache;
use crate::cpu::Cpu;
use crate::executor::Executor;
use crate::gpu::adapter::{self, REMEDY, adapters, describe, is_software};
use crate::gpu::choice::Choices;
use crate::gpu::{Device, Gpu, largest_buffer, measure};
use crate::plan::Plan;
use crate::{Error, Result};

/// What `--device` led to.
pub enum Opened {
    Cpu,
    Gpu(Arc<Device>),
    /// `auto`: the adapters to measure against, best first. None is open yet: what was measured
    /// before may say that none is needed.
    Auto(Vec<wgpu::Adapter>),
}

impl Opened {
    /// The most bytes that a buffer may have, where an adapter sets a limit.
    pub fn largest_buffer(&self) -> Option<u64> {
        match self {
            Opened::Cpu => None,
            Opened::Gpu(device) => Some(device.largest_buffer()),
            Opened::Auto(adapters) => Some(largest_buffer(&adapters.first()?.limits())),
        }
    }
}

/// Opens what `--device` names.
pub fn open(which: &str) -> Result<Opened> {
    match which.to_lowercase().as_str() {
        "cpu" => Ok(Opened::Cpu),
        "auto" => Ok(Opened::Auto(adapters())),
        _ => Ok(Opened::Gpu(device(&adapter::choose(which)?)?)),
    }
}

fn device(adapter: &wgpu::Adapter) -> Result<Arc<Device>> {
    Device::open_cached(adapter, &Cache::from_env())
}

/// The first of these adapters that opens.
///
/// # Errors
/// [`Error::Device`] with the reason why none does.
pub fn best_of(adapters: &[wgpu::Adapter]) -> Result<Arc<Device>> {
    let mut reason = Error::Device(REMEDY.to_string());
    for adapter in adapters {
        match device(adapter) {
            Ok(device) => return Ok(device),
            Err(e) => reason = e,
        }
    }
    Err(reason)
}

/// The best adapter that opens.
pub fn best() -> Result<Arc<Device>> {
    best_of(&adapters())
}

/// The adapter of a command that has no use for the CPU path alone; `None` for `cpu`.
pub fn adapter_or_cpu(which: &str) -> Result<Option<Arc<Device>>> {
    match open(which)? {
        Opened::Cpu => Ok(None),
        Opened::Gpu(device) => Ok(Some(device)),
        Opened::Auto(adapters) => best_of(&adapters).map(Some),
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
    /// The kernel variant of each shape, where there is a choice.
    pub kernels: Choices,
}

/// Which kernel variants an adapter is to run.
#[derive(Clone, Debug)]
pub enum Variants {
    /// What shapes alone decide, or what a resumed run took.
    Recorded(Choices),
    /// The fastest here, for this number of members: `--no-deterministic`.
    Fastest,
}

fn cpu_name(threads: usize) -> String {
    format!("cpu ({threads} threads)")
}

/// The name that [`cpu`] would give itself: all cores, or as many threads as rayon's variable says.
pub fn name_of_cpu() -> String {
    let set = std::env::var("RAYON_NUM_THREADS").ok();
    let set = set.and_then(|n| n.parse().ok()).filter(|n| *n > 0);
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    cpu_name(set.unwrap_or_else(cores))
}

pub fn cpu(plan: &Arc<Plan>) -> Result<Backend> {
    let exec = Cpu::<f32>::new(plan.clone(), 0)?;
    Ok(Backend {
        name: cpu_name(exec.threads()),
        exec: Box::new(exec),
        device: "cpu".to_string(),
        software: false,
        kernels: Choices::new(),
    })
}

/// The adapter, with the variants that shapes alone decide.
pub fn gpu(plan: &Arc<Plan>, device: &Arc<Device>) -> Result<Backend> {
    gpu_with(plan, device, &Variants::Recorded(Choices::new()))
}

pub fn gpu_with(plan: &Arc<Plan>, device: &Arc<Device>, variants: &Variants) -> Result<Backend> {
    let exec = match variants {
        Variants::Recorded(recorded) => Gpu::with_choices(plan.clone(), device.clone(), recorded)?,
        Variants::Fastest => {
            let fastest = measure::fastest(plan, device, &Cache::from_env())?;
            Gpu::with_choices(plan.clone(), device.clone(), &fastest)?
        }
    };
    Ok(Backend {
        kernels: exec.choices().clone(),
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
