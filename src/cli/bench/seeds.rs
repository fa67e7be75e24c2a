//! The accuracy of the default run over several seeds, on both sides.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Bench;
use crate::Result;
use crate::cli::open;
use crate::train::schedule::{Planned, Schedule, Warmup};
use crate::train::score::Score;
use crate::train::{self, EpochRecord, Job, MemberState, Observer, Snapshot, State, StepRecord};

impl Bench {
    /// The default run with several seeds, trained as one population on each side.
    pub(super) fn seeds(&self, seeds: u32, epochs: u32) -> Result<()> {
        let plan = self.plan("mlp", seeds as usize, 128)?;
        let hyper = Self::hyper(seeds as usize);
        self.ui.say("");
        for device in [None].into_iter().chain(self.device.iter().map(Some)) {
            let mut backend = match device {
                None => open::cpu(&plan)?,
                Some(device) => open::gpu(&plan, device)?,
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
                scores: &[Score::Accuracy],
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
