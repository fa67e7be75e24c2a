//! Hyper-parameter search: what is searched ([`space`], [`notation`]), where to look next
//! ([`sampler`]), what is not worth going on with ([`pruner`]), and what was found ([`storage`]),
//! brought together by a [`study::Study`].
//!
//! Studies are kept as Optuna 5 keeps them, so that Python and other machines work on the same one.
//! All that is random derives from (seed, number of the trial): a resumed study goes on as it would
//! have, and neither repeats itself nor strays.

pub mod distribution;
pub mod importance;
pub mod notation;
pub mod pareto;
pub mod pbt;
pub mod pruner;
pub mod sampler;
pub mod settings;
pub mod space;
pub mod storage;
pub mod study;
pub mod trial;
