//! What the training loop asks of an executor; it knows nothing else about one.

mod profile;
mod roof;

use std::ops::Range;

use crate::Result;
use crate::plan::{BufferId, PassKind, Plan};

pub use profile::{PassProfile, Profile, Timed};
pub use roof::{Measured, best};

/// The reduced metrics of the steps of one submitted range.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeMetrics {
    pub pass: PassKind,
    /// Rows of the pass's step table.
    pub range: Range<usize>,
    /// (sum of losses, number correct) \[S, P\], over the valid samples of each step.
    pub sums: Vec<[f64; 2]>,
}

/// Runs a plan. Work is queued by [`Self::submit`] in order; [`Self::collect`] takes the results in
/// the same order. A device error surfaces at the next call.
pub trait Executor {
    fn plan(&self) -> &Plan;

    /// Writes words (f32 bits or u32) into a buffer from element `start`, after everything that
    /// was submitted before and ahead of everything submitted later.
    fn upload(&mut self, buffer: BufferId, start: usize, words: &[u32]) -> Result<()>;

    /// Queues the steps `range` of the pass's step table, followed by their reductions.
    fn submit(&mut self, pass: PassKind, range: Range<usize>) -> Result<()>;

    /// Waits for the oldest range not yet collected. `None` where none is in flight.
    fn collect(&mut self) -> Result<Option<RangeMetrics>>;

    /// Waits for everything queued and copies a whole buffer out, as words.
    fn download(&mut self, buffer: BufferId) -> Result<Vec<u32>>;

    /// Times every dispatch that is submitted from here on, or stops that; the results stay the same
    /// to the bit. What was timed and collected so far is handed out: `None` where nothing was.
    ///
    /// # Errors
    /// [`crate::Error::Device`] with `on` where the device cannot time a dispatch.
    fn profile(&mut self, on: bool) -> Result<Option<Profile>>;
}

/// f32 values as the words that [`Executor::upload`] takes.
pub fn words<A: bytemuck::NoUninit>(values: &[A]) -> &[u32] {
    bytemuck::cast_slice(values)
}

/// The words of [`Executor::download`] as f32 values.
pub fn floats(words: Vec<u32>) -> Vec<f32> {
    bytemuck::cast_vec(words)
}
