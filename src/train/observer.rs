//! What a run tells as it goes, and who hears of it.

use super::host::HostTime;
use super::score::Scores;
use super::state::State;
use crate::Result;
use crate::executor::Executor;

/// One step of one member, for `steps.csv`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepRecord {
    /// From 1, over all epochs.
    pub step: u64,
    pub epoch: u32,
    pub member: usize,
    pub lr: f64,
    /// Mean over the batch.
    pub loss: f64,
    /// `None` where a value is predicted.
    pub accuracy: Option<f64>,
}

/// One epoch of one member.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochRecord {
    pub epoch: u32,
    pub member: usize,
    /// Of the epoch's last update.
    pub lr: f64,
    pub train: Scores,
    /// `None` without a validation part.
    pub val: Option<Scores>,
    /// The lowest validation loss so far.
    pub is_best: bool,
    /// Wall time of the epoch's training.
    pub seconds: f64,
    /// Of all members that learned together.
    pub samples_per_second: f64,
}

/// Everything that a checkpoint holds.
pub struct Snapshot<'a> {
    pub exec: &'a mut dyn Executor,
    /// Parameters \[P, arena_len\] of the executor, every one a number where its member learns.
    pub parameters: &'a [f32],
    pub state: &'a State,
    /// Weights \[P, arena_len\] of each member's best epoch, where they are kept.
    pub best: Option<&'a [f32]>,
}

/// Hears of a run as it goes.
pub trait Observer {
    /// Steps have come back from the device; the last of them is where the run stands.
    fn steps(&mut self, records: &[StepRecord], state: &State) -> Result<()>;

    /// An epoch is complete: a record for each member that still learned.
    fn epoch(&mut self, records: &[EpochRecord], state: &State) -> Result<()>;

    /// All is at rest, and worth writing down: an interrupt, the run's end, or some time after the
    /// last one.
    fn checkpoint(&mut self, snapshot: &mut Snapshot) -> Result<()>;

    /// The steps of an epoch, or of the part of it that ran, are done. Few care where the time went.
    fn host(&mut self, _: &HostTime) {}
}
