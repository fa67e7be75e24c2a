//! Where a run stands, beside the arenas on the device: what a checkpoint writes down as JSON.

use serde::{Deserialize, Serialize};

use super::schedule::PlateauState;
use super::score::Scores;
use super::stopping::{Converged, EarlyStop, Reason};

/// Counters, sums and the memory of every rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Epoch being trained, from 1; past the last one where a run is complete.
    pub epoch: u32,
    /// Steps of that epoch done.
    pub step_in_epoch: usize,
    pub steps_per_epoch: usize,
    /// (sum of losses, sum of scores) of the epoch so far, per member.
    pub sums: Vec<[f64; 2]>,
    /// Training time of the whole run, and of the epoch so far.
    pub seconds: f64,
    pub epoch_seconds: f64,
    pub members: Vec<MemberState>,
}

/// What the rules remember of one member.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MemberState {
    /// Epochs of the population before this member's first: it took another's place.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub began: u32,
    pub plateau: PlateauState,
    pub early: Option<EarlyStop>,
    pub converged: Option<Converged>,
    /// The epoch with the lowest validation loss, or training loss where nothing is validated.
    pub best: Option<Best>,
    /// Epochs that it has trained.
    pub epochs: u32,
    /// The last epoch's numbers over the same part.
    pub last: Option<Scores>,
    /// Why it learns no more.
    pub stopped: Option<Reason>,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// The best epoch of a member.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    pub epoch: u32,
    pub scores: Scores,
}

impl State {
    /// The start of a run.
    pub fn new(steps_per_epoch: usize, members: Vec<MemberState>) -> State {
        State {
            epoch: 1,
            step_in_epoch: 0,
            steps_per_epoch,
            sums: vec![[0.0; 2]; members.len()],
            seconds: 0.0,
            epoch_seconds: 0.0,
            members,
        }
    }

    /// Epochs that are complete.
    pub fn epochs_done(&self) -> u32 {
        self.epoch - 1
    }

    /// The epoch that a member is in, from 1.
    pub fn epoch_of(&self, member: usize) -> u32 {
        self.epoch - self.members[member].began
    }

    /// Forgets that a run ended for want of epochs or time: it is to go on.
    pub fn reopen(&mut self) {
        for member in &mut self.members {
            member
                .stopped
                .take_if(|reason| matches!(reason, Reason::Epochs { .. } | Reason::Time { .. }));
        }
    }

    pub(super) fn next_epoch(&mut self) {
        self.epoch += 1;
        self.step_in_epoch = 0;
        self.epoch_seconds = 0.0;
        self.sums.fill([0.0; 2]);
    }
}

impl MemberState {
    /// The epoch whose weights come back at the end: the best, where early stopping keeps it and
    /// the last ones were not what was asked for.
    pub fn restores(&self) -> Option<Best> {
        let reached = matches!(self.stopped, Some(Reason::TargetAccuracy { .. }));
        self.early.as_ref().and(self.best).filter(|_| !reached)
    }

    /// The numbers of the weights that the member ends with.
    pub fn ends_with(&self) -> Option<Scores> {
        self.restores().map(|best| best.scores).or(self.last)
    }

    pub fn has_diverged(&self) -> bool {
        matches!(self.stopped, Some(Reason::Diverged { .. }))
    }

    /// Hears an epoch's numbers and decides whether the member learns on. True where this epoch is
    /// the best so far, by however little.
    pub(super) fn observe(
        &mut self,
        epoch: u32,
        train: &Scores,
        val: Option<&Scores>,
        target_accuracy: Option<f64>,
    ) -> bool {
        let judged = val.unwrap_or(train);
        self.epochs = epoch;
        self.last = Some(*judged);
        // A loss that is no number is better than none.
        let lower = self.best.is_none_or(|b| judged.loss < b.scores.loss);
        let mut is_best = lower && judged.loss.is_finite();
        if let (Some(early), Some(val)) = (&mut self.early, val) {
            let verdict = early.observe(epoch, val.loss);
            is_best = verdict.is_best;
            if verdict.stop {
                self.stopped.get_or_insert(early.reason());
            }
        }
        if is_best {
            self.best = Some(Best {
                epoch,
                scores: *judged,
            });
        }
        if let Some(converged) = &mut self.converged
            && converged.observe(train.loss)
        {
            self.stopped.get_or_insert(converged.reason());
        }
        let reached = val.and_then(|v| v.accuracy).zip(target_accuracy);
        if let Some((accuracy, target)) = reached
            && accuracy >= target
        {
            self.stopped = Some(Reason::TargetAccuracy { target, accuracy });
        }
        is_best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_that_is_no_number_is_never_the_best() {
        let mut member = MemberState::default();
        let of = |loss: f64| Scores {
            loss,
            accuracy: None,
            mse: None,
            r2: None,
        };
        let val = [f64::NAN, 0.5, f64::NAN, 0.7, 0.4];
        let best: Vec<bool> = (1..)
            .zip(val)
            .map(|(epoch, val)| member.observe(epoch, &of(1.0), Some(&of(val)), None))
            .collect();
        assert_eq!(best, [false, true, false, false, true]);
        assert_eq!(
            member.best.map(|b| (b.epoch, b.scores.loss)),
            Some((5, 0.4))
        );
    }
}
