//! `gpu-train bench`: CPU against GPU over networks, batch sizes and populations, each against its
//! own roof, with what a start costs.

mod grid;
mod network;
mod point;
mod seeds;
mod start_up;
mod words;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;

use super::memory;
use super::open;
use super::roof;
use super::ui::Ui;
use crate::data::load::{Loaded, load};
use crate::data::options::DataOptions;
use crate::executor::{Executor, Measured};
use crate::files::write_whole;
use crate::gpu::Device;
use crate::gpu::adapter::describe;
use crate::models::{Sequential, initial_parameters};
use crate::plan::{Hyper, Loss, OptimizerKind, Plan};
use crate::report::throughput;
use crate::train;
use crate::train::feed::{self, Feed, Residence, Sizing};
use crate::{Error, Result};
use grid::Wanted;
use network::Network;

#[derive(clap::Args)]
pub struct Args {
    /// What to time against the CPU: gpu (the best adapter), an adapter's number or name, or cpu alone
    #[arg(long, value_name = "WHICH", default_value = "gpu")]
    device: String,
    /// Networks over MNIST, by the widths of their layers
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values = ["784-10", "784-128-10", "784-1024-1024-10", "784-4096-4096-10"])]
    networks: Vec<Network>,
    /// Batch sizes
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = [32, 128, 512, 4096], value_parser = clap::value_parser!(u32).range(1..=60_000))]
    batches: Vec<u32>,
    /// Members that train in the same dispatches
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = [1, 4, 16, 64], value_parser = clap::value_parser!(u32).range(1..=65_535))]
    populations: Vec<u32>,
    /// About how long the grid may take; what would take too much of it is left out, on either side
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    budget: u32,
    /// Only the default network, 784-128-10, at batch 128
    #[arg(long, conflicts_with_all = ["networks", "batches", "populations"])]
    quick: bool,
    /// Also train the default run with this many seeds on both sides and report the accuracy
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    seeds: u32,
    /// Epochs of the seeds' runs
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    epochs: u32,
    /// Where the chart goes
    #[arg(long, value_name = "FILE", default_value = "bench.png")]
    plot: PathBuf,
    /// One JSON object a line on standard output; prose goes to standard error
    #[arg(long)]
    pub json: bool,
}

/// Data, adapter and roofs, shared by all measurements.
struct Bench {
    ui: Ui,
    loaded: Loaded,
    /// None where the CPU alone is timed.
    device: Option<Arc<Device>>,
}

/// One of the two sides: its name and what it can do at best.
struct Rival {
    name: String,
    measured: Measured,
}

struct Rivals {
    cpu: Rival,
    gpu: Option<Rival>,
}

pub fn run(args: &Args, started: Instant) -> Result<()> {
    let ui = Ui {
        json: args.json,
        quiet: false,
        silent: false,
    };
    // How long the data took is part of the CPU's start, and the adapter's opening is not.
    let loading = std::thread::spawn(move || {
        let loaded = load("mnist", &DataOptions::default(), false);
        loaded.map(|loaded| (loaded, started.elapsed()))
    });
    let device = open::adapter_or_cpu(&args.device)?;
    let (loaded, loading) = loading
        .join()
        .map_err(|_| Error::Data("reading the data failed".to_string()))??;
    let bench = Bench { ui, loaded, device };
    let cpu = bench.start_up(started, loading)?;
    let rivals = bench.rivals(cpu)?;
    let wanted = match args.quick {
        true => Wanted::quick(),
        false => Wanted {
            networks: args.networks.clone(),
            batches: args.batches.iter().map(|&b| b as usize).collect(),
            populations: args.populations.iter().map(|&p| p as usize).collect(),
        },
    };
    let points = bench.grid(&wanted, &rivals, f64::from(args.budget))?;
    bench.plot(&points, args)?;
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
            folds: &[],
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

    fn hyper(members: usize) -> Vec<Hyper> {
        (0..members as u64)
            .map(|seed| Hyper {
                seed,
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

    /// Measures what each side can do at best, and says so; `cpu` is the CPU path's name.
    fn rivals(&self, cpu: String) -> Result<Rivals> {
        let cpu = Rival {
            name: cpu,
            measured: crate::cpu::roof::measure()?,
        };
        roof::say(&self.ui, "cpu", &cpu.name, &cpu.measured);
        let gpu = match &self.device {
            None => None,
            Some(device) => {
                let gpu = Rival {
                    name: describe(&device.info),
                    measured: crate::gpu::roof::measure(device)?,
                };
                roof::say(&self.ui, "gpu", &gpu.name, &gpu.measured);
                Some(gpu)
            }
        };
        Ok(Rivals { cpu, gpu })
    }

    /// Draws samples per second over the batch size, of the smallest population.
    fn plot(&self, points: &[point::Point], args: &Args) -> Result<()> {
        let population = points.iter().map(|p| p.population).min().unwrap_or(1);
        let mut series: Vec<throughput::Series> = Vec::new();
        for point in points.iter().filter(|p| p.population == population) {
            let name = &point.network.name;
            if series.last().is_none_or(|s| s.name != *name) {
                series.push(throughput::Series {
                    name: name.clone(),
                    ..Default::default()
                });
            }
            if let Some(series) = series.last_mut() {
                let at = |side: &point::Side| (point.batch as f64, side.timing.samples_per_second);
                series.cpu.extend(point.cpu.as_ref().ok().map(at));
                series.gpu.extend(point.gpu.as_ref().ok().map(at));
            }
        }
        let against = match &self.device {
            Some(device) => format!("CPU against {}", device.info.name),
            None => "on the CPU".to_string(),
        };
        let members = match population {
            1 => String::new(),
            p => format!(", {p} members"),
        };
        let title = format!("training on MNIST with adam, {against}{members}");
        let png = throughput::draw(&title, &series)
            .map_err(|e| Error::Data(format!("cannot draw {}: {e}", args.plot.display())))?;
        write_whole(&args.plot, &png)?;
        self.ui.say(&format!("plot {}", args.plot.display()));
        let plot = args.plot.display().to_string();
        self.ui.event(&json!({"event": "plot", "plot": plot}));
        Ok(())
    }
}
