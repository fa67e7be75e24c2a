//! Where the populations of a study are trained.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::Result;
use crate::cli::compare::{self, Taken};
use crate::cli::open::{self, Backend, Opened, Variants};
use crate::cli::setup::Setup;
use crate::cli::ui::Ui;
use crate::gpu::Device;
use crate::gpu::choice::Choices;
use crate::plan::Plan;

/// The CPU path, an adapter, or what `--device auto` will find the faster.
pub enum Machine {
    Cpu,
    Gpu(Arc<Device>),
    Auto(Vec<wgpu::Adapter>),
}

impl Machine {
    pub fn open(which: &str) -> Result<Machine> {
        Ok(match open::open(which)? {
            Opened::Cpu => Machine::Cpu,
            Opened::Gpu(device) => Machine::Gpu(device),
            Opened::Auto(adapters) => Machine::Auto(adapters),
        })
    }

    /// The most bytes that a buffer may have, where an adapter sets a limit.
    pub fn largest_buffer(&self) -> Option<u64> {
        match self {
            Machine::Cpu => None,
            Machine::Gpu(device) => Some(device.largest_buffer()),
            Machine::Auto(adapters) => {
                let limits = adapters.first()?.limits();
                Some(crate::gpu::largest_buffer(&limits))
            }
        }
    }

    /// Whether the adapter that trains, where one does, allows buffers as large as this plan's.
    ///
    /// # Errors
    /// [`crate::Error::Device`] with the first one that is too large.
    pub fn check(&self, plan: &Plan) -> Result<()> {
        match self {
            Machine::Gpu(device) => device.check_buffers(plan),
            Machine::Cpu | Machine::Auto(_) => Ok(()),
        }
    }

    /// An executor for a population. The first one decides for all, where nothing is decided yet: a
    /// trial's bits do not depend on who trains beside it, but they do on the device.
    pub fn backend(&mut self, ui: &Ui, setup: &Setup, stop: &AtomicBool) -> Result<Backend> {
        let variants = Variants::Recorded(Choices::new());
        match self {
            Machine::Cpu => open::cpu(&setup.plan),
            Machine::Gpu(device) => open::gpu_with(&setup.plan, device, &variants),
            Machine::Auto(adapters) => {
                let taken = compare::faster(ui, setup, adapters, &variants, false, stop)?;
                let Taken { backend, device } = taken;
                *self = match device {
                    Some(device) if backend.device != "cpu" => Machine::Gpu(device),
                    _ => Machine::Cpu,
                };
                Ok(backend)
            }
        }
    }
}
