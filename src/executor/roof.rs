//! What a device was measured to do at best.

use crate::Result;
use crate::plan::Roof;

/// A device's roof, and what it costs to start anything on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    pub roof: Roof,
    /// Seconds of one dispatch of a chain in which each needs the one before: the floor of a step is
    /// at least so many of them.
    pub dispatch: f64,
    /// Seconds of a submit that does almost nothing, waiting included.
    pub submit: f64,
}

/// The greatest speed of `count` measurements: whatever else the machine does only slows one down.
pub fn best(count: usize, mut measure: impl FnMut() -> Result<f64>) -> Result<f64> {
    let mut best = 0.0f64;
    for _ in 0..count {
        best = best.max(measure()?);
    }
    Ok(best)
}
