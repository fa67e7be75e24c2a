//! gpu-train: train, tune and ship neural networks on any GPU with one binary.
//!
//! The life of one batch: [`data`] holds the samples; a model of [`models`] is recorded into a
//! [`plan`], which is a flat list of kernel dispatches, forward, backward and optimiser; an
//! [`executor`] runs that list, [`cpu`] with one Rust function per kernel or [`gpu`] with one WGSL
//! shader per kernel; [`train`] feeds index lists and step scalars ahead and collects metrics
//! behind; [`metrics`] says how good the predictions are and [`report`] draws what came of it.
//! [`verify`] holds every kernel of both executors to the f64 oracle. Nothing flows back up.
//!
//! Every buffer has a member axis P first: a run trains a population whose size is usually one.

pub mod cache;
pub mod cli;
pub mod cpu;
pub mod data;
mod error;
pub mod executor;
mod files;
pub mod gpu;
pub mod metrics;
pub mod models;
pub mod plan;
pub mod report;
pub mod rng;
pub mod suggest;
pub mod train;
pub mod tune;
pub mod verify;

pub use error::{Error, Result};
