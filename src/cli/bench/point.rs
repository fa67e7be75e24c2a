//! One point of the grid: its times on both sides, or why a side was left out.

use serde_json::{Value, json};

use super::network::Network;
use crate::cli::ui::thousands;
use crate::executor::Measured;
use crate::plan::{Hyper, Plan};
use crate::train::compare::Timing;

/// One side's measurement.
#[derive(Clone, Copy, Debug)]
pub struct Side {
    pub timing: Timing,
    pub gflops: f64,
    /// What the step would take if every dispatch ran at the roof, against what it took.
    pub percent_of_roof: f64,
    /// What the step takes at least: its dispatches one after the other, each at its roof.
    pub floor_ms: f64,
}

impl Side {
    pub fn new(timing: Timing, plan: &Plan, hyper: &[Hyper], measured: &Measured) -> Side {
        let (work, roof) = plan.step_roof(hyper, &measured.roof);
        let seconds = timing.ms_per_step / 1e3;
        let dispatches = plan.train.per_step.len() as f64;
        Side {
            timing,
            gflops: work.flops / seconds / 1e9,
            percent_of_roof: 100.0 * roof / seconds,
            floor_ms: (dispatches * measured.dispatch + roof) * 1e3,
        }
    }
}

/// Why a side was left out.
#[derive(Clone, Debug, PartialEq)]
pub enum LeftOut {
    /// There is no adapter to time.
    NotAsked,
    /// It would take about so many seconds.
    Time(f64),
    /// It does not fit the memory, or the device's limits.
    Memory(String),
}

impl LeftOut {
    fn words(&self) -> Option<String> {
        match self {
            LeftOut::NotAsked => None,
            LeftOut::Time(seconds) => Some(format!(
                "it would take {seconds:.0} s, more than --budget leaves for it"
            )),
            LeftOut::Memory(why) => Some(why.clone()),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Point {
    pub network: Network,
    pub batch: usize,
    pub population: usize,
    pub cpu: Result<Side, LeftOut>,
    pub gpu: Result<Side, LeftOut>,
    /// Of the weights after equal steps, where both sides ran.
    pub max_relative_difference: Option<f64>,
}

/// The heading of the table of points.
pub fn heading() -> String {
    format!(
        "{:<18} {:>5} {:>3}  {:>9} {:>9} {:>12} {:>12} {:>8} {:>8} {:>6} {:>6}  {}",
        "network (adam)",
        "batch",
        "P",
        "cpu ms",
        "gpu ms",
        "cpu samp/s",
        "gpu samp/s",
        "cpu GF/s",
        "gpu GF/s",
        "cpu %",
        "gpu %",
        "cpu/gpu"
    )
}

impl Point {
    /// "784-128-10 at batch 128, P 4".
    pub fn name(&self) -> String {
        format!(
            "{} at batch {}, P {}",
            self.network.name, self.batch, self.population
        )
    }

    /// The GPU's speed over the CPU's, where both ran.
    pub fn speedup(&self) -> Option<f64> {
        let (cpu, gpu) = (self.cpu.as_ref().ok()?, self.gpu.as_ref().ok()?);
        Some(cpu.timing.ms_per_step / gpu.timing.ms_per_step)
    }

    /// A row of the table; `-` stands for what was left out.
    pub fn row(&self) -> String {
        let cell = |side: &Result<Side, LeftOut>, text: &dyn Fn(&Side) -> String| match side {
            Ok(side) => text(side),
            Err(_) => "-".to_string(),
        };
        let ms = |side: &Side| format!("{:.3}", side.timing.ms_per_step);
        let samples = |side: &Side| thousands(side.timing.samples_per_second);
        let gflops = |side: &Side| format!("{:.1}", side.gflops);
        let percent = |side: &Side| format!("{:.1}", side.percent_of_roof);
        let (cpu, gpu) = (&self.cpu, &self.gpu);
        format!(
            "{:<18} {:>5} {:>3}  {:>9} {:>9} {:>12} {:>12} {:>8} {:>8} {:>6} {:>6}  {}",
            self.network.name,
            self.batch,
            self.population,
            cell(cpu, &ms),
            cell(gpu, &ms),
            cell(cpu, &samples),
            cell(gpu, &samples),
            cell(cpu, &gflops),
            cell(gpu, &gflops),
            cell(cpu, &percent),
            cell(gpu, &percent),
            self.speedup()
                .map_or("-".to_string(), |s| format!("{s:.2}"))
        )
    }

    /// The `bench` event; what was left out is null, with the reason beside it.
    pub fn event(&self, cpu: &str, gpu: Option<&str>) -> Value {
        let mut event = json!({
            "event": "bench",
            "network": self.network.name,
            "batch": self.batch,
            "population": self.population,
            "cpu": cpu,
            "gpu": gpu,
            "speedup": self.speedup(),
            "max_relative_difference": self.max_relative_difference,
        });
        for (name, side) in [("cpu", &self.cpu), ("gpu", &self.gpu)] {
            let measured = side.as_ref().ok();
            let mut set =
                |key: &str, value: Option<f64>| event[format!("{name}_{key}")] = json!(value);
            set("ms_per_step", measured.map(|s| s.timing.ms_per_step));
            set(
                "samples_per_second",
                measured.map(|s| s.timing.samples_per_second),
            );
            set("gflops", measured.map(|s| s.gflops));
            set("percent_of_roof", measured.map(|s| s.percent_of_roof));
            set("latency_floor_ms", measured.map(|s| s.floor_ms));
            if let Some(why) = side.as_ref().err().and_then(LeftOut::words) {
                event[format!("{name}_left_out")] = why.into();
            }
        }
        event
    }
}
