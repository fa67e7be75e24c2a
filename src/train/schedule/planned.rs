//! A schedule resolved against the length of a run. Powers and cosines are libm's, so that a run's
//! rates are the same bits on every system.

use std::f64::consts::{FRAC_PI_2, PI};

use libm::{cos, pow};
use serde::{Deserialize, Serialize};

use super::{Schedule, Warmup};
use crate::{Error, Result};

/// What plateau remembers from epoch to epoch, of one member; part of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlateauState {
    /// What the base rate is multiplied by.
    pub factor: f64,
    /// The lowest loss so far that was an improvement; none before the first.
    pub best: Option<f64>,
    /// Epochs since then, or since the last reduction.
    pub bad_epochs: u32,
}

impl Default for PlateauState {
    fn default() -> Self {
        PlateauState {
            factor: 1.0,
            best: None,
            bad_epochs: 0,
        }
    }
}

impl PlateauState {
    /// An epoch's loss has this much of the best one to lie below it to be an improvement.
    const THRESHOLD: f64 = 1e-4;
    /// A reduction of the rate by no more than this is not made.
    const EPS: f64 = 1e-8;

    /// Hears an epoch's loss; a loss that is no number is no improvement.
    fn observe(&mut self, loss: f64, base_lr: f64, patience: u32, factor: f64) {
        let bar = self
            .best
            .map_or(f64::INFINITY, |best| best * (1.0 - Self::THRESHOLD));
        if loss.is_finite() && loss < bar {
            self.best = Some(loss);
            self.bad_epochs = 0;
        } else {
            self.bad_epochs = self.bad_epochs.saturating_add(1);
        }
        if self.bad_epochs > patience {
            self.bad_epochs = 0;
            let reduced = self.factor * factor;
            if base_lr * self.factor - base_lr * reduced > Self::EPS {
                self.factor = reduced;
            }
        }
    }
}

/// A schedule and its warm-up, resolved against the length of a run.
///
/// The first N updates climb: their factor is (t + 1) / N, `LinearLR(start_factor = 1/N,
/// total_iters = N - 1)`. A schedule that moves with the updates begins behind them, with its first
/// value as what they climb to (`SequentialLR`; for one-cycle that is lr / 25); one that moves with
/// the epochs runs from the start and is multiplied (the chainable form).
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    schedule: Schedule,
    /// Updates.
    warmup: u64,
    warmup_is_relative: bool,
    /// Updates of the whole run.
    updates: u64,
}

impl Planned {
    /// `updates_per_epoch` counts optimiser updates, not accumulated micro-batches.
    ///
    /// # Errors
    /// [`Error::Usage`] where the warm-up leaves no update behind it.
    pub fn new(
        schedule: Schedule,
        warmup: Warmup,
        updates_per_epoch: u64,
        epochs: u32,
    ) -> Result<Planned> {
        let updates = updates_per_epoch * u64::from(epochs);
        let steps = match warmup {
            Warmup::Steps(steps) => steps,
            Warmup::Percent(percent) => (updates as f64 * percent / 100.0).ceil() as u64,
        };
        if steps > 0 && steps >= updates {
            return Err(Error::Usage(format!(
                "--warmup {warmup}: that is {steps} of the run's {updates} steps, which leaves none at the full rate\nlower --warmup or raise --epochs"
            )));
        }
        Ok(Planned {
            schedule,
            warmup: steps,
            warmup_is_relative: matches!(warmup, Warmup::Percent(percent) if percent > 0.0),
            updates,
        })
    }

    pub fn schedule(&self) -> Schedule {
        self.schedule
    }

    /// Updates of the warm-up.
    pub fn warmup(&self) -> u64 {
        self.warmup
    }

    /// Whether a rate depends on the number of updates of the whole run, so that a run of more
    /// epochs is another run from the start.
    pub fn has_horizon(&self) -> bool {
        self.schedule.has_horizon() || self.warmup_is_relative
    }

    /// The rate of an update, 0-based over the whole run, in `epoch`, 0-based. Updates past the
    /// planned end keep the last one's rate.
    pub fn lr(&self, base_lr: f64, update: u64, epoch: u32, plateau: &PlateauState) -> f64 {
        let climb = if update < self.warmup {
            (update + 1) as f64 / self.warmup as f64
        } else {
            1.0
        };
        let n = self.updates - self.warmup;
        let t = update.saturating_sub(self.warmup).min(n.saturating_sub(1));
        let factor = match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Step { epochs, gamma } => pow(gamma, f64::from(epoch / epochs)),
            Schedule::Exponential { gamma } => pow(gamma, f64::from(epoch)),
            Schedule::Polynomial { power } => pow((n - t) as f64 / n as f64, power),
            // (1 + cos x) / 2 = cos^2(x / 2), without the cancellation near the end
            Schedule::Cosine => cos(FRAC_PI_2 * (t as f64 / n as f64)).powi(2),
            Schedule::OneCycle { pct } => one_cycle(t as f64, n as f64, pct),
            Schedule::Plateau { .. } => plateau.factor,
        };
        base_lr * factor * climb
    }

    /// Tells plateau an epoch's loss (validation, where there is one); the other schedules do not
    /// listen. A reduction of the rate (the warm-up's factor left out) by 1e-8 or less is not made.
    pub fn observe(&self, state: &mut PlateauState, base_lr: f64, loss: f64) {
        if let Schedule::Plateau { patience, factor } = self.schedule {
            state.observe(loss, base_lr, patience, factor);
        }
    }
}

/// The one-cycle factor of update `t` of `n`. The climb ends at `pct * n - 1`, a fraction of an
/// update at times; where it has no length at all, the first update is at the top.
fn one_cycle(t: f64, n: f64, pct: f64) -> f64 {
    const DIV_FACTOR: f64 = 25.0;
    const FINAL_DIV_FACTOR: f64 = 1e4;
    let low = 1.0 / DIV_FACTOR;
    let top = pct * n - 1.0;
    let between =
        |start: f64, end: f64, part: f64| end + (start - end) / 2.0 * (cos(PI * part) + 1.0);
    if t <= top && top > 0.0 {
        between(low, 1.0, t / top)
    } else {
        between(1.0, low / FINAL_DIV_FACTOR, (t - top) / (n - 1.0 - top))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(schedule: &str, warmup: &str, per_epoch: u64, epochs: u32) -> Planned {
        let (schedule, warmup) = (schedule.parse().unwrap(), warmup.parse().unwrap());
        Planned::new(schedule, warmup, per_epoch, epochs).unwrap()
    }

    #[test]
    fn a_warm_up_as_long_as_the_run_is_refused() {
        for (warmup, fits) in [("9", true), ("10", false), ("89%", true), ("99.9%", false)] {
            let warmup: Warmup = warmup.parse().unwrap();
            let planned = Planned::new(Schedule::Cosine, warmup, 5, 2);
            match planned {
                Ok(planned) => assert!(fits && planned.warmup() == 9, "{warmup}"),
                Err(error) => assert!(!fits && error.to_string().contains("10 of the run's 10")),
            }
        }
        assert_eq!(planned("constant", "29%", 50, 2).warmup(), 29);
    }

    #[test]
    fn a_horizon_is_what_depends_on_the_number_of_epochs() {
        for (schedule, warmup) in [
            ("constant", "3"),
            ("constant", "10%"),
            ("step:2:0.5", "0"),
            ("exponential:0.9", "0%"),
            ("plateau", "2"),
            ("polynomial:2", "0"),
            ("cosine", "1"),
            ("one-cycle", "0"),
        ] {
            let (short, long) = (
                planned(schedule, warmup, 10, 4),
                planned(schedule, warmup, 10, 8),
            );
            let state = PlateauState::default();
            let differs = (0..40).any(|t| {
                let epoch = t as u32 / 10;
                short.lr(0.1, t, epoch, &state) != long.lr(0.1, t, epoch, &state)
            });
            assert_eq!(short.has_horizon(), differs, "{schedule} {warmup}");
        }
    }

    #[test]
    fn every_rate_is_a_number_from_0_to_the_base_rate() {
        for schedule in ["polynomial:2", "cosine", "one-cycle:0.25", "one-cycle:0.99"] {
            for (per_epoch, epochs) in [(1, 1), (2, 1), (4, 1), (3, 5), (1_000_000, 1000)] {
                let planned = planned(schedule, "0", per_epoch, epochs);
                let n = per_epoch * u64::from(epochs);
                let picked = [0, 1, 2, n / 4, n / 2, n - 1, n, n + 7];
                for t in picked {
                    let lr = planned.lr(0.1, t, 0, &PlateauState::default());
                    assert!(lr > 0.0 && lr <= 0.1, "{schedule}, {t} of {n}: {lr}");
                }
                let last = planned.lr(0.1, n - 1, 0, &PlateauState::default());
                assert_eq!(last, planned.lr(0.1, n + 7, 0, &PlateauState::default()));
            }
        }
    }

    #[test]
    fn a_plateau_survives_json_at_any_moment() {
        let planned = planned("plateau:1:0.3", "0", 10, 20);
        let mut straight = PlateauState::default();
        let mut stored = straight;
        for loss in [
            f64::NAN,
            1.0,
            0.7,
            0.7,
            0.8,
            f64::INFINITY,
            0.69999,
            0.1,
            0.1,
            0.1,
        ] {
            planned.observe(&mut straight, 0.1, loss);
            let json = serde_json::to_string(&stored).unwrap();
            stored = serde_json::from_str(&json).unwrap();
            planned.observe(&mut stored, 0.1, loss);
            assert_eq!(stored, straight);
        }
        assert_eq!(straight.best, Some(0.1));
        assert_eq!(straight.factor, 0.3 * 0.3 * 0.3);
        let deaf = self::planned("cosine", "0", 10, 20);
        let before = straight;
        deaf.observe(&mut straight, 0.1, 0.01);
        assert_eq!(straight, before);
    }
}
