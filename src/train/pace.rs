//! How much to submit at once.

use std::time::Instant;

/// Ranges under way at most, once their pace is known.
const MAX_IN_FLIGHT: usize = 3;

/// How long one range should take: hardware drivers kill work that runs for seconds.
const RANGE_SECONDS: f64 = 0.15;

/// How many steps a range should have, from how long a stretch of steps took so far. The average is
/// over the whole stretch, because a synchronous executor does all its work in `submit` and hands
/// several ranges back at once. It begins with one step alone: nobody knows yet what one costs.
pub struct Pace {
    steps: usize,
    known: bool,
    collected: usize,
    started: Instant,
}

impl Pace {
    pub fn new() -> Pace {
        Pace {
            steps: 1,
            known: false,
            collected: 0,
            started: Instant::now(),
        }
    }

    /// Steps of the next range.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Ranges that may be under way together.
    pub fn in_flight(&self) -> usize {
        if self.known { MAX_IN_FLIGHT } else { 1 }
    }

    /// Work starts again after a pause, with nothing under way.
    pub fn start(&mut self) {
        self.collected = 0;
        self.started = Instant::now();
    }

    /// A range of `steps` came back.
    pub fn done(&mut self, steps: usize) {
        self.collected += steps;
        let per_step = self.started.elapsed().as_secs_f64() / self.collected as f64;
        let fit = (RANGE_SECONDS / per_step.max(1e-9)) as usize;
        self.steps = fit.clamp(1, self.steps * 4);
        self.known = true;
    }
}
