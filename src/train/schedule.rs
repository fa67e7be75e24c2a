//! Learning-rate schedules: what `--schedule` and `--warmup` say, and the rate of every update.
//!
//! A schedule multiplies the base rate by a factor. Step, exponential and plateau move from one
//! epoch to the next, the others from one update to the next. The values are those of
//! `torch.optim.lr_scheduler`: the rate of update t is what `optimizer.step()` number t uses where
//! `scheduler.step()` follows each, so update 0 has the schedule's first value and a run of n
//! updates uses the values 0..n. Everything is computed in closed form, not from the rate before,
//! so that a resumed run needs the update's number alone (and, for plateau, [`PlateauState`]).

use std::f64::consts::{FRAC_PI_2, PI};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result, suggest};

/// The names and forms that `--schedule` takes.
const FORMS: [(&str, &str); 7] = [
    ("constant", "constant"),
    ("step", "step:EPOCHS:GAMMA, such as step:10:0.1"),
    ("exponential", "exponential:GAMMA, such as exponential:0.9"),
    ("polynomial", "polynomial:POWER, such as polynomial:1"),
    ("cosine", "cosine"),
    (
        "one-cycle",
        "one-cycle or one-cycle:PCT, such as one-cycle:0.3",
    ),
    (
        "plateau",
        "plateau or plateau:PATIENCE:FACTOR, such as plateau:10:0.1",
    ),
];

/// How the learning rate moves. The rates are given for a base rate of `lr`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// lr
    Constant,
    /// lr * gamma^floor(epoch / epochs), `StepLR`.
    Step { epochs: u32, gamma: f64 },
    /// lr * gamma^epoch, `ExponentialLR`.
    Exponential { gamma: f64 },
    /// lr * (1 - t / n)^power over the n updates after the warm-up, `PolynomialLR`.
    Polynomial { power: f64 },
    /// lr * (1 + cos(pi t / n)) / 2 over the n updates after the warm-up, `CosineAnnealingLR` with
    /// eta_min 0 (Loshchilov and Hutter 2017, arXiv:1608.03983, equation 5, one period).
    Cosine,
    /// From lr / 25 up to lr in the first `pct` of the updates, then down to lr / 250,000, both by
    /// half a cosine: `OneCycleLR` with its defaults and the momentum left alone (Smith and Topin
    /// 2018, arXiv:1708.07120, in fastai's two phases).
    OneCycle { pct: f64 },
    /// Multiplied by `factor` once the loss has not improved for more than `patience` epochs,
    /// `ReduceLROnPlateau`.
    Plateau { patience: u32, factor: f64 },
}

impl Schedule {
    /// Every schedule's name, for help and hints.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FORMS.into_iter().map(|(name, _)| name)
    }

    /// Whether the rate follows the loss from epoch to epoch, so that [`Planned::observe`] matters.
    pub fn is_plateau(self) -> bool {
        matches!(self, Schedule::Plateau { .. })
    }

    /// Whether a value depends on the number of updates of the whole run.
    fn has_horizon(self) -> bool {
        matches!(
            self,
            Schedule::Polynomial { .. } | Schedule::Cosine | Schedule::OneCycle { .. }
        )
    }
}

/// Reads the notation of `--schedule`, in any case.
impl FromStr for Schedule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Schedule> {
        let lower = text.trim().to_lowercase();
        let refuse = |what: String| Error::Usage(format!("--schedule {text}: {what}"));
        let mut words = lower.split(':').map(str::trim);
        let name = words.next().unwrap_or_default();
        let arguments: Vec<&str> = words.collect();
        let Some((_, form)) = FORMS.iter().find(|(known, _)| *known == name) else {
            let hint = suggest::hint(name, Schedule::names());
            return Err(refuse(format!("no such schedule{hint}")));
        };
        let schedule = match (name, arguments.as_slice()) {
            ("constant", []) => Ok(Schedule::Constant),
            ("step", [epochs, gamma]) => count("EPOCHS", epochs, 1).and_then(|epochs| {
                let gamma = shrink("GAMMA", gamma, true)?;
                Ok(Schedule::Step { epochs, gamma })
            }),
            ("exponential", [gamma]) => {
                shrink("GAMMA", gamma, true).map(|gamma| Schedule::Exponential { gamma })
            }
            ("polynomial", [power]) => match power.parse::<f64>() {
                Ok(power) if power > 0.0 && power <= 100.0 => Ok(Schedule::Polynomial { power }),
                _ => Err(format!("POWER \"{power}\" is not a number in (0, 100]")),
            },
            ("cosine", []) => Ok(Schedule::Cosine),
            ("one-cycle", []) => Ok(Schedule::OneCycle { pct: 0.3 }),
            ("one-cycle", [pct]) => shrink("PCT", pct, false).map(|pct| Schedule::OneCycle { pct }),
            ("plateau", []) => Ok(Schedule::Plateau {
                patience: 10,
                factor: 0.1,
            }),
            ("plateau", [patience]) => count("PATIENCE", patience, 0).map(|patience| {
                let factor = 0.1;
                Schedule::Plateau { patience, factor }
            }),
            ("plateau", [patience, factor]) => {
                count("PATIENCE", patience, 0).and_then(|patience| {
                    let factor = shrink("FACTOR", factor, false)?;
                    Ok(Schedule::Plateau { patience, factor })
                })
            }
            _ => Err(format!("write {form}")),
        };
        schedule.map_err(refuse)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Schedule::Constant => f.write_str("constant"),
            Schedule::Step { epochs, gamma } => write!(f, "step:{epochs}:{gamma}"),
            Schedule::Exponential { gamma } => write!(f, "exponential:{gamma}"),
            Schedule::Polynomial { power } => write!(f, "polynomial:{power}"),
            Schedule::Cosine => f.write_str("cosine"),
            Schedule::OneCycle { pct } => write!(f, "one-cycle:{pct}"),
            Schedule::Plateau { patience, factor } => write!(f, "plateau:{patience}:{factor}"),
        }
    }
}

/// A whole number of epochs from `least` to a million.
fn count(name: &str, text: &str, least: u32) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(number) if (least..=1_000_000).contains(&number) => Ok(number),
        _ => Err(format!(
            "{name} \"{text}\" is not a whole number from {least} to 1000000"
        )),
    }
}

/// A number between 0 and 1, 1 itself included or not.
fn shrink(name: &str, text: &str, with_one: bool) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && (number < 1.0 || (with_one && number == 1.0)) => Ok(number),
        _ => {
            let end = if with_one { "1]" } else { "1)" };
            Err(format!("{name} \"{text}\" is not a number in (0, {end}"))
        }
    }
}

/// How long the rate climbs at the start of a run, as `--warmup` says it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Warmup {
    /// Updates; 0 is none.
    Steps(u64),
    /// Percent of all updates, rounded up to whole updates; in \[0, 100).
    Percent(f64),
}

impl Default for Warmup {
    fn default() -> Self {
        Warmup::Steps(0)
    }
}

/// Reads `500` or `5%`.
impl FromStr for Warmup {
    type Err = Error;

    fn from_str(text: &str) -> Result<Warmup> {
        let word = text.trim();
        let read = match word.strip_suffix('%') {
            None => word.parse().ok().map(Warmup::Steps),
            Some(percent) => percent.trim().parse().ok().map(Warmup::Percent),
        };
        match read {
            Some(Warmup::Percent(percent)) if !(0.0..100.0).contains(&percent) => {
                let what = "a percentage is from 0 up and below 100";
                Err(Error::Usage(format!("--warmup {text}: {what}")))
            }
            Some(warmup) => Ok(warmup),
            None => Err(Error::Usage(format!(
                "--warmup {text}: write a number of steps, such as 500, or a percentage of all steps, such as 5%"
            ))),
        }
    }
}

impl fmt::Display for Warmup {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Warmup::Steps(steps) => write!(f, "{steps}"),
            Warmup::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

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
            Schedule::Step { epochs, gamma } => gamma.powf(f64::from(epoch / epochs)),
            Schedule::Exponential { gamma } => gamma.powf(f64::from(epoch)),
            Schedule::Polynomial { power } => ((n - t) as f64 / n as f64).powf(power),
            // (1 + cos x) / 2 = cos^2(x / 2), without the cancellation near the end
            Schedule::Cosine => (FRAC_PI_2 * (t as f64 / n as f64)).cos().powi(2),
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
        |start: f64, end: f64, part: f64| end + (start - end) / 2.0 * ((PI * part).cos() + 1.0);
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
    fn notation_round_trips() {
        for text in [
            "constant",
            "step:3:0.5",
            "exponential:0.95",
            "polynomial:0.9",
            "cosine",
            "one-cycle:0.3",
            "plateau:10:0.1",
        ] {
            let schedule: Schedule = text.parse().unwrap();
            assert_eq!(schedule.to_string(), text);
            assert_eq!(text.to_uppercase().parse::<Schedule>().unwrap(), schedule);
        }
        for (short, long) in [
            ("one-cycle", "one-cycle:0.3"),
            ("plateau", "plateau:10:0.1"),
            ("Plateau:3", "plateau:3:0.1"),
            (" step: 3 : 1e-7 ", "step:3:0.0000001"),
        ] {
            assert_eq!(short.parse::<Schedule>().unwrap().to_string(), long);
        }
        for text in ["0", "500", "5%", "2.5%"] {
            assert_eq!(text.parse::<Warmup>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn bad_schedules_name_what_is_wrong() {
        for (text, part) in [
            (
                "stp:3",
                "--schedule stp:3: no such schedule; did you mean step?",
            ),
            ("", "no such schedule"),
            ("step:3", "write step:EPOCHS:GAMMA"),
            ("step:3:0.1:4", "write step:EPOCHS:GAMMA"),
            ("step:0:0.1", "EPOCHS \"0\""),
            ("step:2.5:0.1", "whole number from 1"),
            ("step:3:0", "GAMMA \"0\" is not a number in (0, 1]"),
            ("step:3:1.5", "(0, 1]"),
            ("exponential", "write exponential:GAMMA"),
            ("exponential:nan", "(0, 1]"),
            ("polynomial:-1", "POWER \"-1\" is not a number in (0, 100]"),
            ("polynomial:inf", "(0, 100]"),
            ("cosine:3", "write cosine"),
            ("constant:1", "write constant"),
            ("one-cycle:30", "PCT \"30\" is not a number in (0, 1)"),
            ("one-cycle:1", "(0, 1)"),
            ("plateau:-1", "PATIENCE \"-1\""),
            ("plateau:3:1", "FACTOR \"1\" is not a number in (0, 1)"),
        ] {
            let error = text.parse::<Schedule>().unwrap_err();
            assert!(matches!(error, Error::Usage(_)));
            let error = error.to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        for (text, part) in [
            ("ten", "--warmup ten: write a number of steps"),
            ("-3", "number of steps"),
            ("1.5", "number of steps"),
            ("%", "number of steps"),
            ("100%", "below 100"),
            ("-1%", "from 0 up"),
            ("nan%", "from 0 up"),
        ] {
            let error = text.parse::<Warmup>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
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
