//! When a run ends: early stopping on the validation loss, convergence of the training loss, and
//! the other reasons. Small machines that hear one number an epoch and can be stored in between.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time_limit::format_time;
use crate::{Error, Result};

/// Why a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// All of them were run.
    Epochs { epochs: u32 },
    /// The validation loss did not improve for `patience` epochs.
    EarlyStop {
        patience: u32,
        #[serde(default)]
        min_delta: f64,
        best: Option<Best>,
    },
    /// The training loss no longer moves: see [`Converged`].
    Converged { tol: f64, epochs: u32 },
    /// The time that `--time` grants is over.
    Time { limit: Duration },
    /// The accuracy that was asked for is reached.
    TargetAccuracy { target: f64, accuracy: f64 },
    /// A loss or a weight of this member of a population is no number any more.
    Diverged { epoch: u32 },
    /// Nobody is in this place of the population.
    Vacant,
}

impl Reason {
    /// The word for it in events and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Reason::Epochs { .. } => "epochs",
            Reason::EarlyStop { .. } => "early-stop",
            Reason::Converged { .. } => "converged",
            Reason::Time { .. } => "time",
            Reason::TargetAccuracy { .. } => "target-accuracy",
            Reason::Diverged { .. } => "diverged",
            Reason::Vacant => "vacant",
        }
    }
}

/// Fits behind "stopped: ".
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Reason::Epochs { epochs: 1 } => f.write_str("the one epoch is done"),
            Reason::Epochs { epochs } => write!(f, "all {epochs} epochs are done"),
            Reason::EarlyStop {
                patience,
                min_delta,
                best,
            } => {
                let s = if *patience == 1 { "" } else { "s" };
                write!(
                    f,
                    "the validation loss has not improved for {patience} epoch{s}"
                )?;
                if *min_delta > 0.0 {
                    write!(f, " by more than {min_delta}")?;
                }
                match best {
                    Some(Best { epoch, loss }) => {
                        write!(f, "; the best is {loss:.4}, of epoch {epoch}")
                    }
                    None => f.write_str("; it never was a number"),
                }
            }
            Reason::Converged { tol, epochs } => write!(
                f,
                "the training loss has converged: the last {epochs} epochs lowered it by less than {tol} of itself"
            ),
            Reason::Time { limit } => {
                write!(f, "the time limit of {} is reached", format_time(*limit))
            }
            Reason::TargetAccuracy { target, accuracy } => write!(
                f,
                "the accuracy of {:.2} % has reached the target of {:.2} %",
                100.0 * accuracy,
                100.0 * target
            ),
            Reason::Diverged { epoch } => write!(
                f,
                "it diverged in epoch {epoch}: its loss or a weight is no number any more"
            ),
            Reason::Vacant => f.write_str("nobody is in this place"),
        }
    }
}

/// The lowest loss so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// From 1.
    pub epoch: u32,
    pub loss: f64,
}

/// What an epoch's validation loss means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The lowest so far, by however little: these are the weights to keep.
    pub is_best: bool,
    /// The patience is used up.
    pub stop: bool,
}

/// Early stopping on the validation loss (Prechelt 1998, "Early Stopping - But When?"), with the
/// patience of Keras' and PyTorch Lightning's `EarlyStopping`.
///
/// An epoch improves where its loss lies more than `min_delta` below that of the last epoch that
/// improved; small steps down add up. The run stops with the `patience`-th epoch in a row that does
/// not improve. A loss that is no finite number improves nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EarlyStop {
    patience: u32,
    min_delta: f64,
    best: Option<Best>,
    /// Loss of the last epoch that improved.
    bar: Option<f64>,
    bad_epochs: u32,
}

impl EarlyStop {
    /// # Errors
    /// [`Error::Usage`] for a patience of 0 or a `min_delta` that is no number from 0 up.
    pub fn new(patience: u32, min_delta: f64) -> Result<EarlyStop> {
        if patience == 0 {
            return Err(Error::Usage(
                "--early-stop 0: the patience is a number of epochs, at least 1".to_string(),
            ));
        }
        if !(min_delta.is_finite() && min_delta >= 0.0) {
            return Err(Error::Usage(format!(
                "--min-delta {min_delta}: not a number from 0 up"
            )));
        }
        Ok(EarlyStop {
            patience,
            min_delta,
            best: None,
            bar: None,
            bad_epochs: 0,
        })
    }

    /// Hears the validation loss of an epoch, numbered from 1.
    pub fn observe(&mut self, epoch: u32, loss: f64) -> Verdict {
        let below = |bar: Option<f64>, margin: f64| {
            loss.is_finite() && bar.is_none_or(|bar| loss < bar - margin)
        };
        let is_best = below(self.best.map(|best| best.loss), 0.0);
        if is_best {
            self.best = Some(Best { epoch, loss });
        }
        if below(self.bar, self.min_delta) {
            self.bar = Some(loss);
            self.bad_epochs = 0;
        } else {
            self.bad_epochs += 1;
        }
        Verdict {
            is_best,
            stop: self.bad_epochs >= self.patience,
        }
    }

    /// The best epoch so far; none before the first loss that is a number.
    pub fn best(&self) -> Option<Best> {
        self.best
    }

    /// The reason to give where [`Verdict::stop`] is set.
    pub fn reason(&self) -> Reason {
        Reason::EarlyStop {
            patience: self.patience,
            min_delta: self.min_delta,
            best: self.best,
        }
    }
}

/// Whether the training loss has stopped moving.
///
/// After an epoch, let `recent` be the lowest loss of the last `epochs` epochs and `before` the
/// lowest of all epochs before those. The run has converged where
/// `before - recent <= tol * |before|`: `epochs` epochs together did not lower the best loss by more
/// than `tol` of itself (a loss that rises does not improve either). That needs `epochs + 1` epochs
/// at least. Losses that are no finite number are left out; nothing is said while either side has none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Converged {
    tol: f64,
    epochs: u32,
    /// Of the last `epochs` epochs, oldest first; none where it was no number.
    recent: VecDeque<Option<f64>>,
    /// Lowest of all epochs before.
    before: Option<f64>,
}

impl Default for Converged {
    fn default() -> Self {
        Converged::new(1e-4, 10)
    }
}

impl Converged {
    /// # Panics
    /// If `epochs` is 0 or `tol` no finite number.
    pub fn new(tol: f64, epochs: u32) -> Converged {
        assert!(epochs > 0 && tol.is_finite());
        Converged {
            tol,
            epochs,
            recent: VecDeque::new(),
            before: None,
        }
    }

    /// Hears the training loss of the next epoch; true where the run has converged.
    pub fn observe(&mut self, loss: f64) -> bool {
        let lower = |a: Option<f64>, b: Option<f64>| a.into_iter().chain(b).reduce(f64::min);
        if self.recent.len() == self.epochs as usize {
            let oldest = self.recent.pop_front().flatten();
            self.before = lower(self.before, oldest);
        }
        self.recent.push_back(Some(loss).filter(|l| l.is_finite()));
        let recent = self.recent.iter().copied().fold(None, lower);
        match (self.before, recent) {
            (Some(before), Some(recent)) => before - recent <= self.tol * before.abs(),
            _ => false,
        }
    }

    /// The reason to give where [`Self::observe`] was true.
    pub fn reason(&self) -> Reason {
        Reason::Converged {
            tol: self.tol,
            epochs: self.epochs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The machine after a checkpoint.
    fn stored<T: Serialize + for<'a> Deserialize<'a>>(machine: &T) -> T {
        serde_json::from_str(&serde_json::to_string(machine).unwrap()).unwrap()
    }

    /// (epochs that are the best so far, the epoch that stops) of losses from epoch 1 on.
    fn early_stop(patience: u32, min_delta: f64, losses: &[f64]) -> (Vec<u32>, Option<u32>) {
        let mut machine = EarlyStop::new(patience, min_delta).unwrap();
        let mut best = Vec::new();
        for (epoch, &loss) in (1..).zip(losses) {
            machine = stored(&machine);
            let verdict = machine.observe(epoch, loss);
            if verdict.is_best {
                best.push(epoch);
            }
            if verdict.stop {
                assert_eq!(machine.best().map(|b| b.epoch), best.last().copied());
                return (best, Some(epoch));
            }
        }
        (best, None)
    }

    #[test]
    fn early_stopping_waits_for_its_patience() {
        let falling = [1.0, 0.9, 0.8, 0.7, 0.6];
        assert_eq!(early_stop(1, 0.0, &falling), (vec![1, 2, 3, 4, 5], None));
        let valley = [1.0, 0.5, 0.6, 0.55, 0.7, 0.1];
        assert_eq!(early_stop(3, 0.0, &valley), (vec![1, 2], Some(5)));
        assert_eq!(early_stop(4, 0.0, &valley), (vec![1, 2, 6], None));
        assert_eq!(early_stop(1, 0.0, &valley), (vec![1, 2], Some(3)));
        // The same again is no improvement.
        assert_eq!(early_stop(2, 0.0, &[1.0, 1.0, 1.0]), (vec![1], Some(3)));
        // The counter starts anew.
        let saw = [1.0, 1.1, 0.9, 1.0, 0.8, 0.9, 0.7];
        assert_eq!(early_stop(2, 0.0, &saw), (vec![1, 3, 5, 7], None));
    }

    #[test]
    fn early_stopping_asks_for_more_than_its_delta_but_keeps_the_best() {
        // 0.25 at a time: exactly the delta is not more than it, twice the delta is.
        let steps = [2.0, 1.75, 1.5, 1.25, 1.0];
        assert_eq!(early_stop(2, 0.25, &steps), (vec![1, 2, 3, 4, 5], None));
        assert_eq!(early_stop(1, 0.25, &steps), (vec![1, 2], Some(2)));
        assert_eq!(early_stop(2, 0.5, &steps), (vec![1, 2, 3], Some(3)));
    }

    #[test]
    fn what_is_no_number_improves_nothing() {
        let nan = f64::NAN;
        assert_eq!(
            early_stop(2, 0.0, &[nan, 1.0, nan, nan]),
            (vec![2], Some(4))
        );
        assert_eq!(
            early_stop(3, 0.0, &[nan, f64::NEG_INFINITY, nan]),
            (vec![], Some(3))
        );
        assert_eq!(
            early_stop(2, 0.0, &[1.0, f64::INFINITY, 0.5]),
            (vec![1, 3], None)
        );
        let mut machine = Converged::new(1e-4, 2);
        let told = [nan, nan, nan, 1.0, 1.0, nan, nan, 1.0].map(|loss| {
            machine = stored(&machine);
            machine.observe(loss)
        });
        let expected = [false, false, false, false, false, true, false, true];
        assert_eq!(told, expected);
    }

    #[test]
    fn absurd_patience_is_refused() {
        for (patience, min_delta, part) in [
            (0, 0.0, "--early-stop 0"),
            (1, -0.1, "--min-delta -0.1"),
            (1, f64::NAN, "--min-delta NaN"),
            (1, f64::INFINITY, "--min-delta inf"),
        ] {
            let error = EarlyStop::new(patience, min_delta).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    /// The first epoch, from 1, after which the loss has converged.
    fn converged(loss: impl Fn(u32) -> f64) -> Option<u32> {
        let mut machine = Converged::default();
        (1..=300).find(|&epoch| {
            machine = stored(&machine);
            machine.observe(loss(epoch))
        })
    }

    #[test]
    fn convergence_is_ten_epochs_without_a_ten_thousandth() {
        assert_eq!(converged(|_| 0.5), Some(11));
        assert_eq!(converged(|_| 0.0), Some(11));
        assert_eq!(converged(f64::from), Some(11));
        // Ten epochs lower it by 2e-4, or by 5e-5, of itself.
        assert_eq!(converged(|epoch| (-2e-5 * f64::from(epoch)).exp()), None);
        assert_eq!(
            converged(|epoch| (-5e-6 * f64::from(epoch)).exp()),
            Some(11)
        );
        // The last improvement is at epoch 40: 41 to 50 bring nothing.
        assert_eq!(converged(|epoch| 1.0 / f64::from(epoch.min(40))), Some(50));
        // Noise above the best does not matter, a new best by enough does.
        let noisy = |epoch: u32| 1.0 + f64::from(epoch % 3) - f64::from(epoch / 9) * 0.01;
        assert_eq!(converged(noisy), None);
    }

    #[test]
    fn reasons_read_as_sentences() {
        let best = Some(Best {
            epoch: 7,
            loss: 0.123_44,
        });
        let mut early = EarlyStop::new(1, 0.0).unwrap();
        early.observe(1, f64::NAN);
        for (reason, code, sentence) in [
            (
                Reason::Epochs { epochs: 5 },
                "epochs",
                "all 5 epochs are done",
            ),
            (
                Reason::EarlyStop {
                    patience: 5,
                    min_delta: 0.0,
                    best,
                },
                "early-stop",
                "the validation loss has not improved for 5 epochs; the best is 0.1234, of epoch 7",
            ),
            (
                early.reason(),
                "early-stop",
                "the validation loss has not improved for 1 epoch; it never was a number",
            ),
            (
                Converged::default().reason(),
                "converged",
                "the training loss has converged: the last 10 epochs lowered it by less than 0.0001 of itself",
            ),
            (
                Reason::Time {
                    limit: Duration::from_secs(5400),
                },
                "time",
                "the time limit of 1h30m is reached",
            ),
            (
                Reason::TargetAccuracy {
                    target: 0.97,
                    accuracy: 0.9712,
                },
                "target-accuracy",
                "the accuracy of 97.12 % has reached the target of 97.00 %",
            ),
        ] {
            assert_eq!(
                (reason.code(), reason.to_string().as_str()),
                (code, sentence)
            );
        }
    }
}
