//! `gpu-train bench`: CPU against GPU over networks and batch sizes, with what a start costs.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use serde_json::json;

use super::open::{self, Backend};
use super::ui::{Ui, thousands};
use super::{compare, memory};
use crate::data::load::{Loaded, load};
use crate::data::options::DataOptions;
use crate::executor::Executor;
use crate::gpu::Device;
use crate::models::{Sequential, initial_parameters};
use crate::plan::{Hyper, Loss, OptimizerKind, PassKind, Plan};
use crate::train::compare::{Budget, Comparison, Start, compare as measure};
use crate::train::feed::{self, Feed, Residence, Segment, Sizing};
use crate::train::schedule::{Planned, Schedule, Warmup};
use crate::train::score::Score;
use crate::train::{self, EpochRecord, Job, MemberState, Observer, Snapshot, State, StepRecord};
use crate::{Error, Result};

/// Hidden layers and the words for the network.
const NETWORKS: [(&str, &str); 3] = [
    ("", "784-10"),
    ("linear:128,relu", "784-128-10"),
    ("linear:1024,relu,linear:1024,relu", "784-1024-1024-10"),
];

const BATCHES: [usize; 3] = [32, 128, 512];

#[derive(clap::Args)]
pub struct Args {
    /// The adapter to time: gpu (the best), or an adapter's number or name
    #[arg(long, value_name = "WHICH", default_value = "gpu")]
    device: String,
    /// Only the default network, 784-128-10, at batch 128
    #[arg(long)]
    quick: bool,
    /// Also train the default run with this many seeds on both sides and report the accuracy
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    seeds: u32,
    /// Epochs of the seeds' runs
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    epochs: u32,
    /// One JSON object a line on standard output; prose goes to standard error
    #[arg(long)]
    pub json: bool,
}

/// Data and adapter, shared by all measurements.
struct Bench {
    ui: Ui,
    loaded: Loaded,
    device: Arc<Device>,
}

pub fn run(args: &Args, started: Instant) -> Result<()> {
    let ui = Ui {
        json: args.json,
        quiet: false,
    };
    let loading = std::thread::spawn(|| load("mnist", &DataOptions::default(), false));
    let Some(device) = open::adapter_or_cpu(&args.device)? else {
        return Err(Error::Usage(
            "--device cpu: bench times an adapter against the CPU; name the adapter".to_string(),
        ));
    };
    let loaded = loading
        .join()
        .map_err(|_| Error::Data("reading the data failed".to_string()))??;
    let bench = Bench { ui, loaded, device };
    bench.start_up(started)?;
    bench.grid(args.quick)?;
    if args.seeds > 0 {
        bench.seeds(args.seeds, args.epochs)?;
    }
    if let Some(peak) = memory::peak() {
        ui.say(&format!(
            "peak memory of this bench: {} MB",
            peak / 1_000_000
        ));
        ui.event(&json!({"event": "peak_memory", "bytes": peak}));
    }
    Ok(())
}

impl Bench {
    fn plan(&self, network: &str, members: usize, batch: usize) -> Result<Arc<Plan>> {
        let data = &self.loaded.data;
        let model = Sequential::parse(network, data.outputs())?;
        let sizing = Sizing {
            members,
            batch,
            loss: Loss::CrossEntropy,
            norm: &self.loaded.normalization,
            residence: Residence::Whole,
        };
        memory::record(&feed::spec(data, &sizing), &model)
    }

    fn feed(&self) -> Feed<'_> {
        let Loaded {
            data,
            normalization,
            target,
            ..
        } = &self.loaded;
        Feed::new(data, normalization, *target, &[], Residence::Whole)
    }

    fn hyper(members: u32) -> Vec<Hyper> {
        (0..members)
            .map(|seed| Hyper {
                seed: u64::from(seed),
                ..Hyper::new(OptimizerKind::Adam)
            })
            .collect()
    }

    fn initial(plan: &Plan, hyper: &[Hyper]) -> Vec<f32> {
        let arenas = hyper.iter().map(|h| initial_parameters(plan, h.seed));
        arenas.flatten().collect()
    }

    fn load(&self, exec: &mut dyn Executor, feed: &Feed, hyper: &[Hyper]) -> Result<()> {
        let initial = Self::initial(exec.plan(), hyper);
        feed.load(exec)?;
        feed::upload_rows(exec, hyper)?;
        train::start_from(exec, &initial)
    }

    /// From the start of the process to the first step's loss on the host, data decoded, adapter
    /// opened and pipelines compiled.
    fn start_up(&self, started: Instant) -> Result<()> {
        let plan = self.plan("mlp", 1, 128)?;
        let hyper = Self::hyper(1);
        let mut gpu = open::gpu(&plan, &self.device)?;
        let feed = self.feed();
        self.load(&mut *gpu.exec, &feed, &hyper)?;
        let tables = Segment {
            hyper: &hyper,
            orders: &feed::epoch_order(&hyper, 1, &feed.data.parts.train, true),
            lr: &|member, _| hyper[member].lr,
            steps_before: 0,
            updates_before: 0,
            accumulate: 1,
            ema: 0.0,
            first: 0,
            count: 1,
        };
        feed.train_segment(&mut *gpu.exec, &tables)?;
        gpu.exec.submit(PassKind::Train, 0..1)?;
        gpu.exec.collect()?;
        let seconds = started.elapsed().as_secs_f64();
        self.ui.say(&format!(
            "start to first step on {}: {seconds:.2} s; {} dispatches a step",
            gpu.name,
            plan.train.per_step.len()
        ));
        self.ui.event(&json!({
            "event": "start_up",
            "device": gpu.device,
            "seconds": seconds,
            "dispatches_per_step": plan.train.per_step.len(),
        }));
        Ok(())
    }

    fn grid(&self, quick: bool) -> Result<()> {
        self.ui.say("");
        self.ui.say(&format!(
            "{:<18} {:>5}  {:>9} {:>9} {:>12} {:>12} {:>8} {:>8}  {}",
            "network (adam)",
            "batch",
            "cpu ms",
            "gpu ms",
            "cpu samp/s",
            "gpu samp/s",
            "cpu GF/s",
            "gpu GF/s",
            "cpu/gpu"
        ));
        let mut pays: Option<String> = None;
        for (network, name) in NETWORKS {
            for batch in BATCHES {
                if quick && (name, batch) != ("784-128-10", 128) {
                    continue;
                }
                let c = self.point(network, name, batch)?;
                if c.a.ms_per_step > c.b.ms_per_step && pays.is_none() {
                    pays = Some(format!("{name} at batch {batch}"));
                }
            }
        }
        if !quick {
            self.ui.say(&match pays {
                Some(point) => format!("on this adapter the GPU pays from {point}"),
                None => "on this adapter the CPU is faster at every size measured".to_string(),
            });
        }
        Ok(())
    }

    fn point(&self, network: &str, name: &str, batch: usize) -> Result<Comparison> {
        let plan = self.plan(network, 1, batch)?;
        let hyper = Self::hyper(1);
        let initial = Self::initial(&plan, &hyper);
        let (mut cpu, mut gpu) = (open::cpu(&plan)?, open::gpu(&plan, &self.device)?);
        let start = Start {
            feed: &self.feed(),
            hyper: &hyper,
            accumulate: 1,
            ema: 0.0,
            arenas: &initial,
        };
        let never = AtomicBool::new(false);
        let (a, b) = (&mut *cpu.exec, &mut *gpu.exec);
        let c = measure(a, b, &start, Budget::FULL, &never)?;
        let flops = step_flops(&plan, batch);
        let gflops = |ms: f64| flops / ms / 1e6;
        self.ui.say(&format!(
            "{name:<18} {batch:>5}  {:>9.3} {:>9.3} {:>12} {:>12} {:>8.1} {:>8.1}  {:.2}",
            c.a.ms_per_step,
            c.b.ms_per_step,
            thousands(c.a.samples_per_second),
            thousands(c.b.samples_per_second),
            gflops(c.a.ms_per_step),
            gflops(c.b.ms_per_step),
            c.a.ms_per_step / c.b.ms_per_step
        ));
        if (name, batch) == ("784-128-10", 128) {
            self.ui.say(&format!(
                "  an epoch of 60,000: {:.2} s on {}, {:.2} s on {}; {}",
                c.a.seconds_per_epoch,
                cpu.name,
                c.b.seconds_per_epoch,
                gpu.device,
                compare::words(c.a.ms_per_step / c.b.ms_per_step)
            ));
        }
        self.ui.event(&json!({
            "event": "bench",
            "network": name,
            "batch": batch,
            "cpu": cpu.name,
            "gpu": gpu.name,
            "cpu_ms_per_step": c.a.ms_per_step,
            "gpu_ms_per_step": c.b.ms_per_step,
            "cpu_samples_per_second": c.a.samples_per_second,
            "gpu_samples_per_second": c.b.samples_per_second,
            "cpu_gflops": gflops(c.a.ms_per_step),
            "gpu_gflops": gflops(c.b.ms_per_step),
            "speedup": c.a.ms_per_step / c.b.ms_per_step,
            "max_relative_difference": c.max_relative_difference,
        }));
        Ok(c)
    }

    /// The default run with several seeds, trained as one population on each side.
    fn seeds(&self, seeds: u32, epochs: u32) -> Result<()> {
        let plan = self.plan("mlp", seeds as usize, 128)?;
        let hyper = Self::hyper(seeds);
        self.ui.say("");
        for side in ["cpu", "gpu"] {
            let mut backend: Backend = if side == "cpu" {
                open::cpu(&plan)?
            } else {
                open::gpu(&plan, &self.device)?
            };
            let feed = self.feed();
            self.load(&mut *backend.exec, &feed, &hyper)?;
            let never = AtomicBool::new(false);
            let steps = feed.data.parts.train.len().div_ceil(128);
            let planned = Planned::new(Schedule::Constant, Warmup::Steps(0), steps as u64, epochs)?;
            let job = Job {
                hyper: &hyper,
                schedules: &vec![planned; hyper.len()],
                feed: &feed,
                score: Score::Accuracy,
                epochs,
                shuffle: true,
                accumulate: 1,
                ema: 0.0,
                time: None,
                target_accuracy: None,
                checkpoint_every: Duration::MAX,
                stop: &never,
            };
            let clock = Instant::now();
            let mut state = State::new(steps, vec![MemberState::default(); hyper.len()]);
            let exec = &mut *backend.exec;
            train::train(exec, &job, &mut state, &mut None, &mut Silent)?;
            let seconds = clock.elapsed().as_secs_f64();
            let tests = train::evaluate(exec, &feed, &feed.data.parts.test)?;
            let percent: Vec<f64> = tests.iter().map(|t| t.score * 100.0).collect();
            let mean = percent.iter().sum::<f64>() / percent.len() as f64;
            let least = percent.iter().copied().fold(f64::INFINITY, f64::min);
            let most = percent.iter().copied().fold(0.0, f64::max);
            self.ui.say(&format!(
                "{seeds} seeds, {epochs} epochs on {}: test accuracy {mean:.2} % on average ({least:.2} to {most:.2}), {seconds:.1} s for all",
                backend.name
            ));
            self.ui.event(&json!({
                "event": "seeds",
                "device": backend.device,
                "epochs": epochs,
                "test_accuracy": percent,
                "mean": mean,
                "seconds": seconds,
            }));
        }
        Ok(())
    }
}

/// Multiplications and additions of the matrix products of one step.
fn step_flops(plan: &Plan, batch: usize) -> f64 {
    let weights: Vec<_> = plan.params.iter().filter(|p| p.is_weight()).collect();
    let all: usize = weights.iter().map(|p| p.len()).sum();
    let first = weights.first().map_or(0, |p| p.len());
    // Forward, weight gradient, and input gradient for all layers but the first.
    2.0 * batch as f64 * (3 * all - first) as f64
}

/// An observer that keeps nothing.
struct Silent;

impl Observer for Silent {
    fn steps(&mut self, _: &[StepRecord], _: &State) -> Result<()> {
        Ok(())
    }

    fn epoch(&mut self, _: &[EpochRecord], _: &State) -> Result<()> {
        Ok(())
    }

    fn checkpoint(&mut self, _: &mut Snapshot) -> Result<()> {
        Ok(())
    }
}
