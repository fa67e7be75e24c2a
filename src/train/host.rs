//! Where the host's time goes in the epochs' training.

use std::ops::AddAssign;
use std::time::{Duration, Instant};

/// Wall time of training steps, and what the host did of it; validation and checkpoints aside.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HostTime {
    pub epochs: u32,
    pub wall: Duration,
    /// Shuffling, packing and uploading the tables of the steps.
    pub packing: Duration,
    /// In submits: encoding on a GPU, and the very work on the CPU.
    pub submitting: Duration,
    /// Waiting for the device.
    pub blocked: Duration,
}

impl AddAssign for HostTime {
    fn add_assign(&mut self, other: HostTime) {
        self.epochs += other.epochs;
        self.wall += other.wall;
        self.packing += other.packing;
        self.submitting += other.submitting;
        self.blocked += other.blocked;
    }
}

/// Runs, and adds what it took.
pub(super) fn clocked<T>(time: &mut Duration, run: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let done = run();
    *time += started.elapsed();
    done
}
