//! The checkpoint: one file with everything that an exact resume needs, written whole.
//!
//! A safetensors file with the tensors `parameters` \[P, arena\] and `state` \[P, 2, arena\] (the
//! arenas as they lie on the device) and one metadata key of JSON: the configuration, the position
//! and the lengths of the two logs, to which a resume cuts them back.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};

use super::{Config, Progress};
use crate::executor::Executor;
use crate::files::write_whole;
use crate::{Error, Result};

const KEY: &str = "gpu-train-checkpoint";
const FORMAT: u32 = 1;

/// What a checkpoint says beside the arenas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    pub format: u32,
    /// The program's version, which fixes what kernel variant runs for a shape.
    pub program: String,
    pub config: Config,
    pub epoch: u32,
    pub step_in_epoch: usize,
    pub steps_per_epoch: usize,
    pub sums: Vec<[f64; 2]>,
    pub metrics_bytes: u64,
    pub steps_bytes: u64,
}

impl Position {
    pub fn new(config: &Config, progress: &Progress, metrics_bytes: u64, steps_bytes: u64) -> Self {
        Position {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_string(),
            config: config.clone(),
            epoch: progress.epoch,
            step_in_epoch: progress.step_in_epoch,
            steps_per_epoch: progress.steps_per_epoch,
            sums: progress.sums.clone(),
            metrics_bytes,
            steps_bytes,
        }
    }
}

/// Copies the arenas out of the executor and writes `path` whole.
pub fn write(path: &Path, exec: &mut dyn Executor, position: &Position) -> Result<()> {
    let (members, arena, parameters, state) = {
        let plan = exec.plan();
        (plan.members, plan.arena_len, plan.parameters, plan.state)
    };
    let parameters = exec.download(parameters)?;
    let state = exec.download(state)?;
    let view = |shape: Vec<usize>, words| {
        TensorView::new(Dtype::F32, shape, bytemuck::cast_slice(words))
            .map_err(|e| Error::Data(format!("cannot write a checkpoint: {e}")))
    };
    let views = [
        ("parameters", view(vec![members, arena], &parameters)?),
        ("state", view(vec![members, 2, arena], &state)?),
    ];
    let json = serde_json::to_value(position)
        .map_err(|e| Error::Data(format!("cannot write a checkpoint: {e}")))?
        .to_string();
    let metadata = HashMap::from([(KEY.to_string(), json)]);
    let bytes = safetensors::serialize(views, Some(metadata))
        .map_err(|e| Error::Data(format!("cannot write a checkpoint: {e}")))?;
    write_whole(path, &bytes)
}
