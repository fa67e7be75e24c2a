//! The grid: which points run on which side, within a time and the memory there is.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::network::Network;
use super::point::{LeftOut, Point, Side, heading};
use super::{Bench, Rival, Rivals, words};
use crate::cli::open::{self, Backend};
use crate::cli::{compare, memory};
use crate::gpu::adapter::is_software;
use crate::plan::Plan;
use crate::train::compare::{Budget, LEAST_STEPS, Start, compare as both, time};
use crate::{Error, Result};

/// Part of its peak that a side is believed to reach before anything was measured on it.
const FIRST_GUESS: f64 = 0.05;

/// The axes of the grid.
pub struct Wanted {
    pub networks: Vec<Network>,
    pub batches: Vec<usize>,
    pub populations: Vec<usize>,
}

impl Wanted {
    /// The default run alone.
    pub fn quick() -> Wanted {
        Wanted {
            networks: vec!["784-128-10".parse().expect("a network")],
            batches: vec![128],
            populations: vec![1],
        }
    }
}

/// How fast a side was at the points measured so far.
struct Pace {
    seen: Vec<Seen>,
    /// Operations a second.
    guess: f64,
}

struct Seen {
    network: Network,
    /// Operations of a step, and of a second.
    flops: f64,
    speed: f64,
}

impl Pace {
    fn new(rival: &Rival) -> Pace {
        Pace {
            seen: Vec::new(),
            guess: rival.measured.roof.flops_per_second * FIRST_GUESS,
        }
    }

    /// Seconds of a step of so many operations: at the speed of the point of this network that is
    /// nearest in size, else at the best speed of the others.
    fn step(&self, network: &Network, flops: f64) -> f64 {
        let apart = |seen: &&Seen| (seen.flops / flops).ln().abs();
        let alike = self.seen.iter().filter(|seen| seen.network == *network);
        let nearest = alike.min_by(|a, b| apart(a).total_cmp(&apart(b)));
        let best = || self.seen.iter().max_by(|a, b| a.speed.total_cmp(&b.speed));
        flops / nearest.or_else(best).map_or(self.guess, |seen| seen.speed)
    }
}

/// The time of the grid, shared out to its points and their sides.
struct Clock {
    started: Instant,
    budget: f64,
    /// Sides of points still to come.
    left: usize,
}

impl Clock {
    /// Seconds that one side of one point may take: four even shares of what is left, since most
    /// points take far less than one.
    fn allows(&self) -> f64 {
        let left = (self.budget - self.started.elapsed().as_secs_f64()).max(0.0);
        left.min(4.0 * left / self.left.max(1) as f64)
    }
}

impl Bench {
    /// Measures the points one after the other, in a table, and what they come to in sentences.
    pub(super) fn grid(&self, wanted: &Wanted, rivals: &Rivals, budget: f64) -> Result<Vec<Point>> {
        self.ui.say("");
        self.ui.say(&heading());
        let sides = 1 + usize::from(self.device.is_some());
        let Wanted {
            networks,
            batches,
            populations,
        } = wanted;
        let mut clock = Clock {
            started: Instant::now(),
            budget,
            left: sides * networks.len() * batches.len() * populations.len(),
        };
        let mut paces = [Some(&rivals.cpu), rivals.gpu.as_ref()].map(|m| m.map(Pace::new));
        let mut points = Vec::new();
        for network in networks {
            for &batch in batches {
                for &population in populations {
                    let mut point = Point {
                        network: network.clone(),
                        batch,
                        population,
                        cpu: Err(LeftOut::NotAsked),
                        gpu: Err(LeftOut::NotAsked),
                        max_relative_difference: None,
                    };
                    self.measure(&mut point, rivals, &mut paces, &clock)?;
                    clock.left -= sides;
                    points.push(point);
                }
            }
        }
        for line in words::summary(&points, budget) {
            self.ui.say(&line);
        }
        self.ui.event(&words::event(&points));
        Ok(points)
    }

    /// Runs what of a point may run, prints its row and emits its event.
    fn measure(
        &self,
        point: &mut Point,
        rivals: &Rivals,
        paces: &mut [Option<Pace>; 2],
        clock: &Clock,
    ) -> Result<()> {
        let recorded = self.plan(&point.network.notation(), point.population, point.batch);
        let plan = match recorded {
            Ok(plan) => plan,
            Err(e) => {
                let why = LeftOut::Memory(e.to_string());
                point.cpu = Err(why.clone());
                if self.device.is_some() {
                    point.gpu = Err(why);
                }
                self.show(point, rivals);
                return Ok(());
            }
        };
        let hyper = Self::hyper(point.population);
        let (work, _) = plan.step_roof(&hyper, &rivals.cpu.measured.roof);
        let allowed = clock.allows();
        let in_time = |pace: &Option<Pace>| -> Option<std::result::Result<(), LeftOut>> {
            let seconds = pace.as_ref()?.step(&point.network, work.flops) * LEAST_STEPS as f64;
            Some(match seconds > allowed {
                true => Err(LeftOut::Time(seconds)),
                false => Ok(()),
            })
        };
        let [cpu, gpu] = [in_time(&paces[0]), in_time(&paces[1])];
        let mut gpu = match (gpu, &self.device) {
            (Some(Ok(())), Some(_)) => self.open_gpu(&plan)?,
            (Some(Err(why)), _) => Err(why),
            _ => Err(LeftOut::NotAsked),
        };
        // A software adapter's buffers lie in the same memory as the CPU path's.
        let software = self.device.as_ref().is_some_and(|d| is_software(&d.info));
        let executors = 1 + usize::from(gpu.is_ok() && software);
        let mut cpu = match cpu {
            Some(Ok(())) => match memory::check(&plan, executors) {
                Ok(()) => Ok(open::cpu(&plan)?),
                Err(e) => Err(LeftOut::Memory(e.to_string())),
            },
            Some(Err(why)) => Err(why),
            None => Err(LeftOut::NotAsked),
        };
        let initial = match cpu.is_ok() || gpu.is_ok() {
            true => Self::initial(&plan, &hyper),
            false => Vec::new(),
        };
        let feed = self.feed();
        let start = Start {
            feed: &feed,
            hyper: &hyper,
            accumulate: 1,
            ema: 0.0,
            arenas: &initial,
        };
        let budget = Budget {
            total: (allowed / 2.0).min(Budget::FULL.total),
            ..Budget::FULL
        };
        let never = AtomicBool::new(false);
        let (a, b) = match (&mut cpu, &mut gpu) {
            (Ok(cpu), Ok(gpu)) => {
                let c = both(&mut *cpu.exec, &mut *gpu.exec, &start, budget, &never)?;
                point.max_relative_difference = Some(c.max_relative_difference);
                (Ok(c.a), Ok(c.b))
            }
            (Ok(cpu), Err(why)) => {
                let timing = time(&mut *cpu.exec, &start, budget, &never)?;
                (Ok(timing), Err(why.clone()))
            }
            (Err(why), Ok(gpu)) => {
                let timing = time(&mut *gpu.exec, &start, budget, &never)?;
                (Err(why.clone()), Ok(timing))
            }
            (Err(a), Err(b)) => (Err(a.clone()), Err(b.clone())),
        };
        point.cpu = a.map(|timing| Side::new(timing, &plan, &hyper, &rivals.cpu.measured));
        if let Some(gpu) = &rivals.gpu {
            point.gpu = b.map(|timing| Side::new(timing, &plan, &hyper, &gpu.measured));
        }
        for (side, pace) in [&point.cpu, &point.gpu].into_iter().zip(paces) {
            if let (Ok(side), Some(pace)) = (side, pace) {
                pace.seen.push(Seen {
                    network: point.network.clone(),
                    flops: work.flops,
                    speed: side.gflops * 1e9,
                });
            }
        }
        self.show(point, rivals);
        Ok(())
    }

    /// The adapter's executor, or why it cannot have one; a device that has failed ends the bench.
    fn open_gpu(
        &self,
        plan: &std::sync::Arc<Plan>,
    ) -> Result<std::result::Result<Backend, LeftOut>> {
        let Some(device) = &self.device else {
            return Ok(Err(LeftOut::NotAsked));
        };
        match open::gpu(plan, device) {
            Ok(backend) => Ok(Ok(backend)),
            Err(Error::Device(why)) => {
                device.check()?;
                Ok(Err(LeftOut::Memory(why)))
            }
            Err(e) => Err(e),
        }
    }

    /// A point's row, and its event.
    fn show(&self, point: &Point, rivals: &Rivals) {
        self.ui.say(&point.row());
        let gpu = rivals.gpu.as_ref().map(|gpu| gpu.name.as_str());
        let default = (point.network.name.as_str(), point.batch, point.population);
        if let (("784-128-10", 128, 1), Ok(a), Ok(b), Some(gpu)) =
            (default, &point.cpu, &point.gpu, gpu)
        {
            self.ui.say(&format!(
                "  an epoch of 60,000: {:.2} s on {}, {:.2} s on {gpu}; {}",
                a.timing.seconds_per_epoch,
                rivals.cpu.name,
                b.timing.seconds_per_epoch,
                compare::words(a.timing.ms_per_step / b.timing.ms_per_step)
            ));
        }
        self.ui.event(&point.event(&rivals.cpu.name, gpu));
    }
}
