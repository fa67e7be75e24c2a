//! The CPU against GPU table.

use serde_json::json;

use super::open::Backend;
use super::ui::{Ui, thousands};
use crate::train::compare::{Comparison, Timing};

/// Prints the comparison of `cpu` (a) and `gpu` (b), and its event.
pub fn report(ui: &Ui, cpu: &Backend, gpu: &Backend, c: &Comparison) {
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
pub fn table(cpu: &Backend, gpu: &Backend, a: &Timing, b: &Timing) -> Vec<String> {
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
