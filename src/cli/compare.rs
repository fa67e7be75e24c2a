//! The CPU against the GPU: which trains, and by how much they differ.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::json;

use super::open::{self, Backend};
use super::setup::Setup;
use super::ui::{Ui, err, thousands};
use crate::gpu::Device;
use crate::train::compare::{Budget, Comparison, Timing, compare};
use crate::{Error, Result};

/// `--device auto`: a few steps of this very plan on both, and the faster one in one plain line.
/// Where the adapter cannot do it, the CPU path with the reason.
pub fn faster(ui: &Ui, setup: &Setup, device: &Arc<Device>, stop: &AtomicBool) -> Result<Backend> {
    let mut cpu = open::cpu(&setup.plan)?;
    let measured = open::gpu(&setup.plan, device).and_then(|mut gpu| {
        let (a, b) = (&mut *cpu.exec, &mut *gpu.exec);
        let c = {
            let feed = setup.feed();
            compare(a, b, &setup.start(&feed), Budget::SHORT, stop)?
        };
        Ok((gpu, c))
    });
    let (gpu, c) = match measured {
        Ok(measured) => measured,
        Err(Error::Interrupted) => return Err(Error::Interrupted),
        Err(e) => {
            ui.say(&format!("training on cpu: {e}"));
            return Ok(cpu);
        }
    };
    for line in table(&cpu, &gpu, &c.a, &c.b) {
        ui.say(&line);
    }
    let ratio = c.a.ms_per_step / c.b.ms_per_step;
    let kind = if gpu.software {
        ", a software adapter"
    } else {
        ""
    };
    if ratio > 1.0 {
        ui.say(&format!(
            "training on {}: {ratio:.1}x as fast here as the cpu; `--device cpu` insists on the cpu",
            gpu.device
        ));
        Ok(gpu)
    } else {
        ui.say(&format!(
            "training on cpu: {:.1}x as fast here as {}{kind}; `--device gpu` insists on the adapter",
            1.0 / ratio,
            gpu.device
        ));
        Ok(cpu)
    }
}

/// The comparison proper, on the executor that trained and the one that did not. The run is done and
/// saved: what stands in the way of a comparison is said, and is no failure.
pub fn after_training(
    ui: &Ui,
    setup: &Setup,
    trained: Backend,
    device: Option<Arc<Device>>,
    stop: &AtomicBool,
) -> Result<()> {
    let compared = both(setup, trained, device).and_then(|(mut cpu, mut gpu)| {
        let (a, b) = (&mut *cpu.exec, &mut *gpu.exec);
        let c = {
            let feed = setup.feed();
            compare(a, b, &setup.start(&feed), Budget::FULL, stop)?
        };
        Ok((cpu, gpu, c))
    });
    match compared {
        Ok((cpu, gpu, c)) => report(ui, &cpu, &gpu, &c),
        Err(Error::Interrupted) => {
            err("the comparison was interrupted; the run itself is complete and saved");
            return Err(Error::Interrupted);
        }
        Err(e) => ui.say(&format!("no CPU against GPU comparison: {e}")),
    }
    Ok(())
}

/// The CPU path and the adapter, one of which has trained.
fn both(
    setup: &Setup,
    trained: Backend,
    device: Option<Arc<Device>>,
) -> Result<(Backend, Backend)> {
    if trained.device != "cpu" {
        return Ok((open::cpu(&setup.plan)?, trained));
    }
    let device = match device {
        Some(device) => device,
        None => open::best().map_err(Error::Device)?,
    };
    Ok((trained, open::gpu(&setup.plan, &device)?))
}

/// Prints the comparison of `cpu` (a) and `gpu` (b), and its event.
fn report(ui: &Ui, cpu: &Backend, gpu: &Backend, c: &Comparison) {
    ui.say("");
    for line in table(cpu, gpu, &c.a, &c.b) {
        ui.say(&line);
    }
    let ratio = c.a.ms_per_step / c.b.ms_per_step;
    ui.say(&format!(
        "{}; weights agree to {:.1e} after {} equal steps (max over tensors of max|gpu - cpu| / max|cpu|)",
        words(ratio),
        c.max_relative_difference,
        c.steps
    ));
    if gpu.software {
        ui.say(&format!(
            "{} is a software adapter: it checks correctness, not speed",
            gpu.device
        ));
    }
    ui.event(&json!({
        "event": "compare",
        "cpu": cpu.name,
        "gpu": gpu.name,
        "software_adapter": gpu.software,
        "cpu_ms_per_step": c.a.ms_per_step,
        "gpu_ms_per_step": c.b.ms_per_step,
        "speedup": ratio,
        "max_relative_difference": c.max_relative_difference,
        "steps": c.steps,
    }));
}

/// A heading and a row a side.
fn table(cpu: &Backend, gpu: &Backend, a: &Timing, b: &Timing) -> Vec<String> {
    let width = cpu.name.len().max(gpu.name.len());
    let row = |name: &str, t: &Timing| {
        format!(
            "{name:<width$}  {:>9.3}  {:>9.3}  {:>12}",
            t.ms_per_step,
            t.seconds_per_epoch,
            thousands(t.samples_per_second)
        )
    };
    vec![
        format!(
            "{:<width$}  {:>9}  {:>9}  {:>12}",
            "CPU against GPU", "ms/step", "s/epoch", "samples/s"
        ),
        row(&cpu.name, a),
        row(&gpu.name, b),
    ]
}

/// The ratio as a person would say it.
pub fn words(ratio: f64) -> String {
    if ratio >= 1.0 {
        format!("the GPU is {ratio:.1}x as fast as the CPU")
    } else {
        format!("the CPU is {:.1}x as fast as the GPU", 1.0 / ratio)
    }
}
