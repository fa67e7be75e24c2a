//! The kernel table: everything an executor can be asked to run.
//!
//! A kernel is executable and not differentiable. Each has a WGSL shader `shaders/NAME.wgsl` and a
//! CPU twin `src/cpu/NAME.rs` that take the same buffers in the same order; adding a variant here
//! without the two is a compile error in both executors.
//!
//! Shape letters: P members, B batch rows, M N K of a matrix product, C classes, S steps of a
//! segment. A matrix lies row-major with its row length `ld` rounded up to four elements (see
//! [`pad4`]); the padding columns of every matrix are zero, and every kernel keeps them so. Offsets,
//! strides and `ld` are in elements. The `_stride` of a buffer is the distance between members.

use super::Activation;

/// Row length of a matrix of `cols` columns: rounded up, so that rows are whole `vec4`s.
pub fn pad4(cols: usize) -> usize {
    cols.next_multiple_of(4)
}

/// What a normalisation adds to a variance before its root is taken; PyTorch's default.
pub const NORM_EPS: f64 = 1e-5;

/// The part of a batch's statistics that batch normalisation's running ones take; PyTorch's default.
pub const NORM_MOMENTUM: f64 = 0.1;

/// The most classes that [`LinearXent`] takes: their outputs stay in registers.
pub const LINEAR_XENT_CLASSES: usize = 32;

/// Declares a parameter block: a `Params` uniform of u32 fields whose WGSL twin has the same
/// fields in the same order (a test walks the shaders and compares).
macro_rules! params {
    ($($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident),* $(,)? })*) => {$(
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, bytemuck::Pod, bytemuck::Zeroable)]
        pub struct $name { $($(#[$field_meta])* pub $field: u32),* }

        impl $name {
            pub const FIELDS: &[&str] = &[$(stringify!($field)),*];
        }
    )*};
}

params! {
    /// x\[p,b,j\] = (sample\[index\[s,p,b\], j\] - centre\[p,j'\]) * scale\[p,j'\], zero where
    /// b >= valid. A difference and a product, which no compiler fuses: both executors make the same
    /// bits. Buffers: pixels (u8, four to a word, or f32), indices, steps, norm, x.
    Gather {
        members,
        batch,
        /// Inputs per sample.
        cols,
        ld,
        /// Words per sample in `pixels`.
        row_words,
        /// Entries of one member's normalisation table.
        n_norm,
        /// Neighbouring columns that share an entry (the pixels of a channel).
        norm_span,
        /// 1 where a word of `pixels` is one f32 sample, 0 where it is four u8 samples.
        floats,
    }

    /// C = A * B in one of three orientations ([`Orientation`]), m x n with k products each.
    /// Buffers: a, b, e (the epilogue's operand), c.
    Matmul {
        m,
        n,
        k,
        lda,
        ldb,
        ldc,
        a_offset,
        a_stride,
        b_offset,
        b_stride,
        c_offset,
        c_stride,
        /// The epilogue's operand: a bias row \[n\], or a matrix shaped like C.
        e_offset,
        e_stride,
        /// Where the bias gradient \[m\] goes in c's buffer.
        d_offset,
    }

    /// An element-wise pass over \[P, rows, ld\]. Buffers of `activation`: z, y; of
    /// `activation_grad`: dy, saved, dz; of `add`: a, b, c.
    Elementwise { rows, cols, ld }

    /// y = x * keep / (1 - rate), keep drawn by Philox from (seed, step, op, element); its own
    /// backward pass. Buffers: x, rows, steps, y.
    Dropout {
        members,
        rows,
        cols,
        ld,
        /// Column of the member row that holds this layer's threshold and scale.
        slot,
        /// Counter word that tells this layer's draws from another's.
        op,
    }

    /// A loss head over raw outputs \[P, B, C\]. Buffers: outputs, labels, indices, rows
    /// (`regression_loss` alone), steps, class weights, d, samples. `d` is the gradient (train) or the prediction (eval);
    /// `samples`\[s,p,b\] is (loss, correct), for regression (loss, squared error).
    LossHead {
        members,
        batch,
        classes,
        ld,
        /// 0 trains: d is the gradient, smoothing and class weights act. 1 evaluates: d is the
        /// prediction.
        eval,
    }

    /// The output layer of a classifier with its loss, in training: outputs = x * w^T + b, their
    /// softmax, cross-entropy and its gradient d, and dx = d * w times the derivative of the
    /// activation that made x. The outputs are never stored. Buffers: x, parameters, labels,
    /// indices, steps, class weights, grads (dx \[P, B, ldx\], behind it d \[P, B, ld\]), samples.
    LinearXent {
        members,
        batch,
        /// Columns of x.
        inputs,
        ldx,
        /// At most [`LINEAR_XENT_CLASSES`].
        classes,
        ld,
        w_offset,
        b_offset,
        /// Elements of one member's arena.
        stride,
        /// Where d begins in grads.
        d_offset,
        /// 0 leaves dx out: nobody wants the gradient of x.
        input_grad,
    }

    /// The optimiser's update of a linear layer's weights \[m,n\] and bias \[m\], by the gradient
    /// dw = dz^T * x and db = sum over k of dz, which is never stored. Buffers: dz \[P,k,m\],
    /// x \[P,k,n\], rows, steps, state, parameters.
    WeightUpdate {
        m,
        n,
        k,
        lda,
        ldb,
        ldc,
        a_offset,
        a_stride,
        b_stride,
        members,
        /// Where the weights, and the bias, lie in a member's arena.
        w_offset,
        d_offset,
        /// Elements of one member's arena.
        stride,
    }

    /// Counts predictions: counts\[p, label, argmax\] += 1. Buffers: outputs, labels, indices,
    /// steps, counts.
    Confusion { members, batch, classes, ld }

    /// metrics\[s,p\] = sum over b of samples\[s,p,b\], a pair each. Buffers: samples, metrics.
    ReduceMetrics { members, batch }

    /// Partial sums of g^2 per member, g with its L1 and L2 terms. Buffers: parameters, grads,
    /// rows, partials.
    GradNorm {
        /// Elements that train: the first stretch of one member's arena.
        n,
        /// Elements that L1 and L2 act on: the weights, which come first.
        n_weights,
        n_partials,
        /// `vec4`s that one partial covers.
        span,
        /// Elements of one member's arena.
        stride,
    }

    /// One update of all that trains. Buffers: grads, rows, steps, partials, state, parameters.
    Optimizer {
        members,
        n,
        n_weights,
        /// Partial sums of the squared norm to add up; 0 where nothing clips.
        n_partials,
        stride,
    }

    /// sum = g where a batch begins an optimiser step, sum + g elsewhere. Buffers: grads, steps, sum.
    Accumulate { members, n, stride }

    /// averages += (1 - decay) (w - averages) over the first n elements of an arena, the others are
    /// copied. Buffers: parameters, rows, steps, averages.
    Ema { members, n, stride }

    /// Scales each row of a weight matrix back to the member's largest norm. Buffers: rows, steps,
    /// parameters.
    MaxNorm { members, rows, cols, ld, offset, stride }

    /// Normalisation of columns over the batch. Buffers of `batch_norm`: x, rows, steps, y, stats
    /// \[P, 2, ld\], parameters; of `batch_norm_grad`: dy, x, stats, steps, parameters, dx, grads.
    BatchNorm {
        members,
        rows,
        cols,
        ld,
        /// Where gamma, beta and the running statistics lie in a member's arena.
        scale_offset,
        shift_offset,
        mean_offset,
        var_offset,
        /// Elements of one member's arena.
        stride,
        /// 1 normalises by the running statistics: evaluation, and a frozen layer.
        running,
        /// The gradients of gamma and beta add to what is there.
        adds,
    }

    /// Normalisation of rows over their columns. Buffers of `layer_norm`: x, parameters, y, stats
    /// \[P, B, 2\]; of `layer_norm_grad`: dy, x, stats, parameters, dx, grads.
    LayerNorm {
        members,
        rows,
        cols,
        ld,
        scale_offset,
        shift_offset,
        stride,
        /// 0 leaves the gradients of gamma and beta out: a frozen layer.
        trains,
        adds,
    }
}

/// Which operands of a matrix product are stored transposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Orientation {
    /// a \[m,k\], b \[k,n\]: the gradient of a layer's input, dy * w.
    NN = 0,
    /// a \[m,k\], b \[n,k\]: a layer's output, x * w^T.
    NT = 1,
    /// a \[k,m\], b \[k,n\]: the gradient of a layer's weights, dy^T * x.
    TN = 2,
}

/// What a matrix product does with an element before storing it; nothing of it is materialised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Epilogue {
    None,
    /// f(c + bias): a layer's forward pass in one kernel.
    Bias(Activation),
    /// c * f'(saved): the backward pass through the activation that made this layer's input.
    ActivationGrad(Activation),
}

/// The error of an output y against its target t that `regression_loss` takes; PyTorch's
/// definitions, mean over samples and outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum ErrorKind {
    /// (y - t)^2.
    Squared = 0,
    /// |y - t|.
    Absolute = 1,
    /// (y - t)^2 / 2 up to |y - t| = delta, delta (|y - t| - delta / 2) beyond (Huber 1964).
    Huber = 2,
}

/// What a prediction is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Targets {
    /// Labels are class numbers: the targets of a row are one-hot.
    Classes,
    /// Labels are the f32 bits of the target of the one output.
    Values,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kernel {
    Gather(Gather),
    Matmul {
        shape: Matmul,
        orientation: Orientation,
        epilogue: Epilogue,
        /// Add to what c holds: a later contribution to the same gradient.
        accumulate: bool,
        /// Also sum a over k into c's buffer: the bias gradient, for the TN orientation.
        bias_grad: bool,
    },
    Activation(Elementwise, Activation),
    ActivationGrad(Elementwise, Activation),
    Add(Elementwise),
    Dropout(Dropout),
    /// Softmax, cross-entropy and their gradient in one; log-sum-exp with the maximum taken out.
    SoftmaxXent(LossHead),
    /// The error of raw outputs against their targets, and its gradient.
    RegressionLoss(LossHead, ErrorKind, Targets),
    /// The output layer and its loss in one; the activation is the one that made x.
    LinearXent(LinearXent, Activation),
    Confusion(Confusion),
    ReduceMetrics(ReduceMetrics),
    GradNorm(GradNorm),
    Optimizer(Optimizer),
    /// A weight gradient and the optimiser in one.
    WeightUpdate(WeightUpdate),
    Accumulate(Accumulate),
    Ema(Ema),
    MaxNorm(MaxNorm),
    BatchNorm(BatchNorm),
    BatchNormGrad(BatchNorm),
    LayerNorm(LayerNorm),
    LayerNormGrad(LayerNorm),
}

impl Kernel {
    /// Names in table order; `shaders/NAME.wgsl` and `src/cpu/NAME.rs` exist for each.
    pub const NAMES: [&'static str; 21] = [
        "gather",
        "matmul",
        "activation",
        "activation_grad",
        "add",
        "dropout",
        "softmax_xent",
        "regression_loss",
        "linear_xent",
        "confusion",
        "reduce_metrics",
        "grad_norm",
        "optimizer",
        "weight_update",
        "accumulate",
        "ema",
        "max_norm",
        "batch_norm",
        "batch_norm_grad",
        "layer_norm",
        "layer_norm_grad",
    ];

    pub fn name(&self) -> &'static str {
        Self::NAMES[match self {
            Kernel::Gather(_) => 0,
            Kernel::Matmul { .. } => 1,
            Kernel::Activation(..) => 2,
            Kernel::ActivationGrad(..) => 3,
            Kernel::Add(_) => 4,
            Kernel::Dropout(_) => 5,
            Kernel::SoftmaxXent(_) => 6,
            Kernel::RegressionLoss(..) => 7,
            Kernel::LinearXent(..) => 8,
            Kernel::Confusion(_) => 9,
            Kernel::ReduceMetrics(_) => 10,
            Kernel::GradNorm(_) => 11,
            Kernel::Optimizer(_) => 12,
            Kernel::WeightUpdate(_) => 13,
            Kernel::Accumulate(_) => 14,
            Kernel::Ema(_) => 15,
            Kernel::MaxNorm(_) => 16,
            Kernel::BatchNorm(_) => 17,
            Kernel::BatchNormGrad(_) => 18,
            Kernel::LayerNorm(_) => 19,
            Kernel::LayerNormGrad(_) => 20,
        }]
    }

    /// How many of a dispatch's buffers, counted from the end, the kernel writes.
    pub fn n_outputs(&self) -> usize {
        match self {
            Kernel::BatchNorm(_) => 3,
            Kernel::SoftmaxXent(_)
            | Kernel::RegressionLoss(..)
            | Kernel::LinearXent(..)
            | Kernel::Optimizer(_)
            | Kernel::WeightUpdate(_)
            | Kernel::BatchNormGrad(_)
            | Kernel::LayerNorm(_)
            | Kernel::LayerNormGrad(_) => 2,
            _ => 1,
        }
    }

    /// The fields of the kernel's uniform block, for the twin test.
    pub fn param_fields(name: &str) -> &'static [&'static str] {
        match name {
            "gather" => Gather::FIELDS,
            "matmul" => Matmul::FIELDS,
            "activation" | "activation_grad" | "add" => Elementwise::FIELDS,
            "dropout" => Dropout::FIELDS,
            "softmax_xent" | "regression_loss" => LossHead::FIELDS,
            "linear_xent" => LinearXent::FIELDS,
            "confusion" => Confusion::FIELDS,
            "reduce_metrics" => ReduceMetrics::FIELDS,
            "grad_norm" => GradNorm::FIELDS,
            "optimizer" => Optimizer::FIELDS,
            "weight_update" => WeightUpdate::FIELDS,
            "accumulate" => Accumulate::FIELDS,
            "ema" => Ema::FIELDS,
            "max_norm" => MaxNorm::FIELDS,
            "batch_norm" | "batch_norm_grad" => BatchNorm::FIELDS,
            "layer_norm" | "layer_norm_grad" => LayerNorm::FIELDS,
            other => panic!("no kernel is named {other}"),
        }
    }

    /// The uniform block as bytes.
    pub fn param_bytes(&self) -> &[u8] {
        match self {
            Kernel::Gather(p) => bytemuck::bytes_of(p),
            Kernel::Matmul { shape, .. } => bytemuck::bytes_of(shape),
            Kernel::Activation(p, _) | Kernel::ActivationGrad(p, _) | Kernel::Add(p) => {
                bytemuck::bytes_of(p)
            }
            Kernel::Dropout(p) => bytemuck::bytes_of(p),
            Kernel::SoftmaxXent(p) | Kernel::RegressionLoss(p, ..) => bytemuck::bytes_of(p),
            Kernel::LinearXent(p, _) => bytemuck::bytes_of(p),
            Kernel::Confusion(p) => bytemuck::bytes_of(p),
            Kernel::ReduceMetrics(p) => bytemuck::bytes_of(p),
            Kernel::GradNorm(p) => bytemuck::bytes_of(p),
            Kernel::Optimizer(p) => bytemuck::bytes_of(p),
            Kernel::WeightUpdate(p) => bytemuck::bytes_of(p),
            Kernel::Accumulate(p) => bytemuck::bytes_of(p),
            Kernel::Ema(p) => bytemuck::bytes_of(p),
            Kernel::MaxNorm(p) => bytemuck::bytes_of(p),
            Kernel::BatchNorm(p) | Kernel::BatchNormGrad(p) => bytemuck::bytes_of(p),
            Kernel::LayerNorm(p) | Kernel::LayerNormGrad(p) => bytemuck::bytes_of(p),
        }
    }
}
