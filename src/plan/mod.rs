//! The plan: what a training step and an evaluation step do, as plain data.
//!
//! A [`Plan`] is recorded once from a model function (see [`Recorder`]) and then run by either
//! executor, [`crate::cpu::Cpu`] or [`crate::gpu::Gpu`]. It holds buffer descriptions and two flat
//! lists of kernel dispatches ([`Pass`]): nothing in it borrows, computes or knows a device.

mod activation;
mod gradient;
mod head;
mod kernel;
mod ops;
mod optimizer;
mod print;
mod recorder;
mod spec;
mod work;

use std::sync::Arc;

pub use activation::{Activation, LEAKY_SLOPE};
pub use kernel::*;
pub use optimizer::{Batch, Hyper, MemberRow, OptimizerKind, StepRow};
pub use recorder::{Recorder, Value};
pub use spec::{Loss, Spec};
pub use work::{Roof, Work};

/// Dropout layers that one member row has room for.
pub const MAX_DROPOUT_LAYERS: usize = 8;

/// Index into [`Plan::buffers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(pub usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    F32,
    U32,
}

/// One buffer of the plan; the executors own the memory. Starts out as zeros.
#[derive(Clone, Debug, PartialEq)]
pub struct Buffer {
    /// Reads as a phrase: "grad of 0.weight".
    pub label: String,
    pub dtype: Dtype,
    /// Elements, all members together.
    pub len: usize,
}

/// One kernel with the buffers it reads and then those it writes.
#[derive(Clone, Debug, PartialEq)]
pub struct Dispatch {
    pub kernel: Kernel,
    pub buffers: Vec<BufferId>,
    /// What it computes in the model's terms: "0: linear + relu".
    pub label: String,
}

/// A list of dispatches that is run once per step, and one that is run once per submitted range.
#[derive(Clone, Debug, PartialEq)]
pub struct Pass {
    pub per_step: Vec<Dispatch>,
    /// Reductions over the range's steps: metrics that the host will read.
    pub per_range: Vec<Dispatch>,
    /// Rows of a full batch.
    pub batch: usize,
    /// Steps that the tables below hold: the longest segment that can be uploaded ahead.
    pub capacity: usize,
    /// Sample numbers \[S, P, B\].
    pub indices: BufferId,
    /// [`StepRow`]s \[S, P\].
    pub steps: BufferId,
    /// (loss, correct) of each sample \[S, P, B, 2\]; (loss, squared error) in regression.
    pub samples: BufferId,
    /// The sums of these pairs over each step's batch \[S, P, 2\].
    pub metrics: BufferId,
    /// What the model made of the batch \[P, B, ld\]: the gradient of its outputs in the training
    /// pass, its prediction (probabilities with cross-entropy, raw outputs else) in the evaluation pass.
    pub head: BufferId,
    /// Elements before it in that buffer.
    pub head_offset: usize,
}

/// What a tensor is to its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// A matrix \[out, in\]: what L1 and L2 act on.
    Weight,
    Bias,
    /// gamma of a normalisation; PyTorch calls it `weight`, too.
    Scale,
    /// beta of a normalisation; PyTorch calls it `bias`, too.
    Shift,
    /// Statistics that batch normalisation gathers while training; no optimiser moves them.
    RunningMean,
    RunningVar,
}

impl Role {
    /// What the optimiser may move.
    pub fn is_parameter(self) -> bool {
        !matches!(self, Role::RunningMean | Role::RunningVar)
    }
}

/// A tensor of the model: its place in every member's stretch of the parameter arena.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// PyTorch's name in the equivalent `torch.nn.Sequential`: "0.weight".
    pub name: String,
    pub rows: usize,
    pub cols: usize,
    /// First element; a multiple of 64.
    pub offset: usize,
    pub role: Role,
    /// The optimiser moves it: a parameter of a layer that is not frozen.
    pub trainable: bool,
}

impl Param {
    /// Elements without padding.
    pub fn len(&self) -> usize {
        self.rows * self.cols
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A weight matrix.
    pub fn is_weight(&self) -> bool {
        self.role == Role::Weight
    }

    /// The tensor's shape in PyTorch: all but weight matrices have one axis.
    pub fn shape(&self) -> Vec<usize> {
        if self.is_weight() {
            vec![self.rows, self.cols]
        } else {
            vec![self.cols]
        }
    }

    /// Copies the tensor out of one member's stretch of an arena, row-major without padding.
    pub fn unpack(&self, arena: &[f32]) -> Vec<f32> {
        let ld = pad4(self.cols);
        (0..self.rows)
            .flat_map(|r| {
                let start = self.offset + r * ld;
                arena[start..start + self.cols].iter().copied()
            })
            .collect()
    }

    /// The inverse of [`Self::unpack`].
    pub fn pack(&self, values: &[f32], arena: &mut [f32]) {
        let ld = pad4(self.cols);
        for (r, row) in values.chunks_exact(self.cols).enumerate() {
            let start = self.offset + r * ld;
            arena[start..start + self.cols].copy_from_slice(row);
        }
    }
}

/// Everything an executor needs, and all that there is to know of a run's arithmetic.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub members: usize,
    /// Where there are several: the same for one of them, buffer for buffer. An executor that has no
    /// use for their dispatches being one may run it for each.
    pub alone: Option<Arc<Plan>>,
    pub buffers: Vec<Buffer>,
    pub params: Vec<Param>,
    /// Elements of one member's stretch of the arenas, padding included: first the weights that
    /// train, then the other tensors that train, then frozen parameters and running statistics.
    pub arena_len: usize,
    /// Elements of the first two: what the optimiser moves.
    pub n_trainable: usize,
    /// Dropout rates as the layers give them: the default of [`Hyper::dropout`].
    pub dropout: Vec<f64>,
    pub train: Pass,
    pub eval: Pass,
    /// Samples \[N, row_words\]: u8, four to a word, or f32, a word each.
    pub pixels: BufferId,
    /// Class numbers, or f32 bits of targets \[N\].
    pub labels: BufferId,
    /// Per member (scale, centre) \[P, n_norm, 2\].
    pub norm: BufferId,
    /// Class weights \[P, C\] of the training loss; ones where there are none.
    pub class_weights: BufferId,
    /// [`MemberRow`]s \[P\].
    pub rows: BufferId,
    /// \[P, arena_len\]
    pub parameters: BufferId,
    /// The moving average of the parameters \[P, arena_len\], which the evaluation pass reads.
    pub averages: Option<BufferId>,
    /// \[P, arena_len\]; empty where gradients go into the optimiser as they are made.
    pub grads: BufferId,
    /// Gradients summed over the batches of one update \[P, arena_len\], where several make one.
    pub accumulated: Option<BufferId>,
    /// First and second moments \[P, 2, arena_len\].
    pub state: BufferId,
    /// Counts by (label, prediction) of the evaluation pass \[P, C, C\]; zeros in regression.
    pub confusion: BufferId,
}

/// Names one of a plan's two passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PassKind {
    Train,
    Eval,
}

impl Plan {
    pub fn pass(&self, kind: PassKind) -> &Pass {
        match kind {
            PassKind::Train => &self.train,
            PassKind::Eval => &self.eval,
        }
    }

    /// Parameters of one member, without padding and running statistics.
    pub fn n_parameters(&self) -> usize {
        let parameters = self.params.iter().filter(|p| p.role.is_parameter());
        parameters.map(Param::len).sum()
    }

    /// Numbers of one member that learn, without padding.
    pub fn n_trainable_parameters(&self) -> usize {
        let trains = |p: &&Param| p.offset < self.n_trainable;
        self.params.iter().filter(trains).map(Param::len).sum()
    }

    /// Bytes of all buffers together.
    pub fn bytes(&self) -> usize {
        self.buffers.iter().map(|b| b.len * 4).sum()
    }

    /// The first buffer that is too long for the kernels' 32-bit offsets.
    pub fn too_long(&self) -> Option<&Buffer> {
        self.buffers.iter().find(|b| b.len > u32::MAX as usize)
    }

    pub fn buffer(&self, id: BufferId) -> &Buffer {
        &self.buffers[id.0]
    }
}
