//! Learning-rate schedules: what `--schedule` and `--warmup` say, and the rate of every update.
//!
//! A schedule multiplies the base rate by a factor. Step, exponential and plateau move from one
//! epoch to the next, the others from one update to the next. The values are those of
//! `torch.optim.lr_scheduler`: the rate of update t is what `optimizer.step()` number t uses where
//! `scheduler.step()` follows each, so update 0 has the schedule's first value and a run of n
//! updates uses the values 0..n. Everything is computed in closed form, not from the rate before,
//! so that a resumed run needs the update's number alone (and, for plateau, [`PlateauState`]).

mod planned;

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result, suggest};

pub use planned::{Planned, PlateauState};

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
