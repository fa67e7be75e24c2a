//! The cases of every kernel: awkward shapes, populations of one and of three, seeded inputs.
//!
//! A kernel without a function here is a compile error ([`of`] matches the table), and one without a
//! case fails the test that walks the table.

mod elementwise;
mod heads;
mod matmul;
mod norms;
mod update;
mod weight_update;

use super::builder::{Builder, Random, STALE};
use super::case::Case;
use crate::plan::{Hyper, OptimizerKind};

/// The cases of the kernel called `name`, one of [`crate::plan::Kernel::NAMES`].
pub fn of(name: &str) -> Vec<Case> {
    match name {
        "gather" => heads::gather(),
        "matmul" => matmul::cases(),
        "activation" => elementwise::activation(),
        "activation_grad" => elementwise::activation_grad(),
        "add" => elementwise::add(),
        "dropout" => elementwise::dropout(),
        "softmax_xent" => heads::softmax_xent(),
        "regression_loss" => heads::regression_loss(),
        "linear_xent" => heads::linear_xent(),
        "confusion" => heads::confusion(),
        "reduce_metrics" => heads::reduce_metrics(),
        "grad_norm" => update::grad_norm(),
        "optimizer" => update::optimizer(),
        "weight_update" => weight_update::cases(),
        "accumulate" => update::accumulate(),
        "ema" => update::ema(),
        "max_norm" => update::max_norm(),
        "batch_norm" => norms::batch_norm(),
        "batch_norm_grad" => norms::batch_norm_grad(),
        "layer_norm" => norms::layer_norm(),
        "layer_norm_grad" => norms::layer_norm_grad(),
        other => panic!("no kernel is named {other}"),
    }
}

/// Hyper-parameters that no two members share.
fn hypers(random: &mut Random, members: usize) -> Vec<Hyper> {
    (0..members)
        .map(|p| Hyper {
            seed: (u64::from(random.word()) << 32) | u64::from(random.word()),
            label_smoothing: [0.1, 0.0, 0.25][p % 3],
            huber_delta: [1.0, 0.5, 3.0][p % 3],
            ..Hyper::new(OptimizerKind::Sgd)
        })
        .collect()
}
