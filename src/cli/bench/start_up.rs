//! From the start of the process to the first step's loss on the host.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Bench;
use crate::Result;
use crate::cli::open::{self, Backend};
use crate::plan::{PassKind, Plan};
use crate::train::feed::{self, Segment};

impl Bench {
    /// Data decoded, adapter opened, pipelines compiled, first step done; `loading` is how long
    /// after the process the data were there. The name of the CPU path.
    pub(super) fn start_up(&self, started: Instant, loading: Duration) -> Result<String> {
        // The adapter first, whose clock has run since the start; the CPU needs the data alone.
        if let Some(device) = &self.device {
            let plan = self.plan("mlp", 1, 128)?;
            let backend = open::gpu(&plan, device)?;
            self.first_step(&plan, backend, started, Duration::ZERO)?;
        }
        let began = Instant::now();
        let plan = self.plan("mlp", 1, 128)?;
        self.first_step(&plan, open::cpu(&plan)?, began, loading)
    }

    /// Takes the first step, `before` and the time since `began` into the start.
    fn first_step(
        &self,
        plan: &Arc<Plan>,
        mut backend: Backend,
        began: Instant,
        before: Duration,
    ) -> Result<String> {
        let hyper = Self::hyper(1);
        let feed = self.feed();
        let exec = &mut *backend.exec;
        self.load(exec, &feed, &hyper)?;
        let tables = Segment {
            hyper: &hyper,
            orders: &[feed::epoch_order(
                &hyper[0],
                1,
                &feed.data.parts.train,
                true,
            )],
            epochs: &[1],
            lr: &|member, _| hyper[member].lr,
            accumulate: 1,
            ema: 0.0,
            first: 0,
            count: 1,
        };
        feed.train_segment(exec, &tables)?;
        exec.submit(PassKind::Train, 0..1)?;
        exec.collect()?;
        let seconds = (before + began.elapsed()).as_secs_f64();
        let dispatches = plan.train.per_step.len();
        self.ui.say(&format!(
            "start to first step on {}: {seconds:.2} s; {dispatches} dispatches a step",
            backend.name
        ));
        self.ui.event(&json!({
            "event": "start_up",
            "device": backend.device,
            "seconds": seconds,
            "dispatches_per_step": dispatches,
        }));
        Ok(backend.name)
    }
}
