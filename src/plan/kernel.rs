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
    /// x\[p,b,j\] = pixel\[index\[s,p,b\], j\] * scale\[p,j'\] + shift\[p,j'\], zero where b >= valid.
    /// Buffers: pixels (u8, four to a word), indices, steps, norm, x.
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

    /// A loss head over raw outputs \[P, B, C\]. Buffers: outputs, labels, indices, rows, steps, d,
    /// samples. `d` is the gradient (train) or the prediction (eval); `samples`\[s,p,b\] is
    /// (loss, correct).
    LossHead {
        members,
        batch,
        classes,
        ld,
        /// 0 trains: d is the gradient, smoothing acts. 1 evaluates: d is the prediction.
        eval,
    }

    /// Counts predictions: counts\[p, label, argmax\] += 1. Buffers: outputs, labels, indices,
    /// steps, counts.
    Confusion { members, batch, classes, ld }

    /// metrics\[s,p\] = sum over b of samples\[s,p,b\], a pair each. Buffers: samples, metrics.
    ReduceMetrics { members, batch }

    /// Partial sums of g^2 per member, g with its L1 and L2 terms. Buffers: parameters, grads,
    /// rows, partials.
    GradNorm {
        /// Elements of one member's arena.
        n,
        /// Elements that L1 and L2 act on: the weights, which come first.
        n_weights,
        n_partials,
        /// `vec4`s that one partial covers.
        span,
    }

    /// One update of all parameters. Buffers: grads, rows, steps, partials, state, parameters.
    Optimizer {
        members,
        n,
        n_weights,
        /// Partial sums of the squared norm to add up; 0 where nothing clips.
        n_partials,
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
    /// Mean squared error of raw outputs against one-hot labels, mean over samples and outputs.
    Mse(LossHead),
    Confusion(Confusion),
    ReduceMetrics(ReduceMetrics),
    GradNorm(GradNorm),
    Optimizer(Optimizer),
}

impl Kernel {
    /// Names in table order; `shaders/NAME.wgsl` and `src/cpu/NAME.rs` exist for each.
    pub const NAMES: [&'static str; 12] = [
        "gather",
        "matmul",
        "activation",
        "activation_grad",
        "add",
        "dropout",
        "softmax_xent",
        "mse",
        "confusion",
        "reduce_metrics",
        "grad_norm",
        "optimizer",
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
            Kernel::Mse(_) => 7,
            Kernel::Confusion(_) => 8,
            Kernel::ReduceMetrics(_) => 9,
            Kernel::GradNorm(_) => 10,
            Kernel::Optimizer(_) => 11,
        }]
    }

    /// How many of a dispatch's buffers, counted from the end, the kernel writes.
    pub fn n_outputs(&self) -> usize {
        match self {
            Kernel::SoftmaxXent(_) | Kernel::Mse(_) | Kernel::Optimizer(_) => 2,
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
            "softmax_xent" | "mse" => LossHead::FIELDS,
            "confusion" => Confusion::FIELDS,
            "reduce_metrics" => ReduceMetrics::FIELDS,
            "grad_norm" => GradNorm::FIELDS,
            "optimizer" => Optimizer::FIELDS,
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
            Kernel::SoftmaxXent(p) | Kernel::Mse(p) => bytemuck::bytes_of(p),
            Kernel::Confusion(p) => bytemuck::bytes_of(p),
            Kernel::ReduceMetrics(p) => bytemuck::bytes_of(p),
            Kernel::GradNorm(p) => bytemuck::bytes_of(p),
            Kernel::Optimizer(p) => bytemuck::bytes_of(p),
        }
    }
}
