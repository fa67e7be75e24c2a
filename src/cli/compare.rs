//! The CPU against the GPU: which trains, and by how much they differ.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::json;

use super::open::{self, Backend, Variants};
use super::setup::Setup;
use super::ui::{Ui, err, thousands};
use super::verdict::{self, Verdict};
use crate::cache::Cache;
use crate::gpu::Device;
use crate::gpu::adapter::{REMEDY, describe, is_software};
use crate::train::compare::{Budget, Comparison, Timing, compare};
use crate::{Error, Result};

/// What `--device auto` took, and the adapter where it is open.
pub struct Taken {
    pub backend: Backend,
    pub device: Option<Arc<Device>>,
}

/// `--device auto`: a few steps of this very plan on both, and the faster one in one plain line;
/// or what an earlier run measured of the same, unless `remeasure`. Where the adapter cannot do it,
/// the CPU path with the reason.
pub fn faster(
    ui: &Ui,
    setup: &Setup,
    adapters: &[wgpu::Adapter],
    variants: &Variants,
    remeasure: bool,
    stop: &AtomicBool,
) -> Result<Taken> {
    let on_cpu = |backend: Backend, reason: &Error| {
        ui.say(&format!("training on cpu: {reason}"));
        Taken {
            backend,
            device: None,
        }
    };
    let Some(info) = adapters.first().map(wgpu::Adapter::get_info) else {
        let reason = Error::Device(REMEDY.to_string());
        return Ok(on_cpu(open::cpu(&setup.plan)?, &reason));
    };
    let (cpu, cache) = (open::name_of_cpu(), Cache::from_env());
    let key = verdict::key(&setup.plan, &info, &cpu, setup.config.deterministic);
    if let (false, Some(known)) = (remeasure, Verdict::read(&cache, &key)) {
        say_verdict(ui, setup, &info, &known, true);
        if known.takes_cpu() {
            return Ok(Taken {
                backend: open::cpu(&setup.plan)?,
                device: None,
            });
        }
        let opened = open::best_of(adapters).and_then(|device| {
            Ok(Taken {
                backend: open::gpu_with(&setup.plan, &device, variants)?,
                device: Some(device),
            })
        });
        return match opened {
            Err(e) => Ok(on_cpu(open::cpu(&setup.plan)?, &e)),
            opened => opened,
        };
    }
    let mut cpu = open::cpu(&setup.plan)?;
    let measured = open::best_of(adapters).and_then(|device| {
        let mut gpu = open::gpu_with(&setup.plan, &device, variants)?;
        let (a, b) = (&mut *cpu.exec, &mut *gpu.exec);
        let feed = setup.feed();
        let c = compare(a, b, &setup.start(&feed), Budget::SHORT, stop)?;
        Ok((gpu, device, c))
    });
    let (gpu, device, c) = match measured {
        Ok(measured) => measured,
        Err(Error::Interrupted) => return Err(Error::Interrupted),
        Err(e) => return Ok(on_cpu(cpu, &e)),
    };
    let verdict = Verdict::new(c.a.ms_per_step, c.b.ms_per_step);
    // Another adapter than the first, where that one did not open, is not what the key says.
    if device.info == info {
        verdict.write(&cache, &key);
    }
    say_verdict(ui, setup, &device.info, &verdict, false);
    Ok(Taken {
        backend: if verdict.takes_cpu() { cpu } else { gpu },
        device: Some(device),
    })
}

/// The table, what is taken, and when that was measured where it was not just now.
fn say_verdict(ui: &Ui, setup: &Setup, info: &wgpu::AdapterInfo, verdict: &Verdict, known: bool) {
    let plan = &setup.plan;
    let n_train = setup.loaded.data.parts.train.len();
    let timing = |ms| Timing::new(ms, plan.train.batch, plan.members, n_train);
    let (cpu, gpu) = (open::name_of_cpu(), describe(info));
    let (a, b) = (
        timing(verdict.cpu_ms_per_step),
        timing(verdict.gpu_ms_per_step),
    );
    for line in table([&cpu, &gpu], [&a, &b]) {
        ui.say(&line);
    }
    let when = match known {
        true => format!(" (measured {}; `--remeasure` measures again)", verdict.date),
        false => String::new(),
    };
    let ratio = verdict.cpu_ms_per_step / verdict.gpu_ms_per_step;
    let kind = match is_software(info) {
        true => ", a software adapter",
        false => "",
    };
    let name = &info.name;
    ui.say(&match verdict.takes_cpu() {
        false => format!(
            "training on {name}: {ratio:.1}x as fast here as the cpu; `--device cpu` insists on the cpu{when}"
        ),
        true => format!(
            "training on cpu: {:.1}x as fast here as {name}{kind}; `--device gpu` insists on the adapter{when}",
            1.0 / ratio
        ),
    });
    ui.event(&json!({
        "event": "auto",
        "cpu": cpu,
        "gpu": gpu,
        "cpu_ms_per_step": verdict.cpu_ms_per_step,
        "gpu_ms_per_step": verdict.gpu_ms_per_step,
        "takes": if verdict.takes_cpu() { "cpu" } else { name },
        "measured": verdict.date,
        "known": known,
    }));
}

/// The comparison proper, on the executor that trained and the one that did not. The run is done and
/// saved: what stands in the way of a comparison is said, and is no failure.
pub fn after_training(
    ui: &Ui,
    setup: &Setup,
    trained: Backend,
    device: Option<Arc<Device>>,
    variants: &Variants,
    stop: &AtomicBool,
) -> Result<()> {
    let compared = both(setup, trained, device, variants).and_then(|(mut cpu, mut gpu)| {
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
    variants: &Variants,
) -> Result<(Backend, Backend)> {
    if trained.device != "cpu" {
        return Ok((open::cpu(&setup.plan)?, trained));
    }
    let device = match device {
        Some(device) => device,
        None => open::best()?,
    };
    Ok((trained, open::gpu_with(&setup.plan, &device, variants)?))
}

/// Prints the comparison of `cpu` (a) and `gpu` (b), and its event.
fn report(ui: &Ui, cpu: &Backend, gpu: &Backend, c: &Comparison) {
    ui.say("");
    for line in table([&cpu.name, &gpu.name], [&c.a, &c.b]) {
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
fn table(names: [&str; 2], timings: [&Timing; 2]) -> Vec<String> {
    let width = names[0].len().max(names[1].len());
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
        row(names[0], timings[0]),
        row(names[1], timings[1]),
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
