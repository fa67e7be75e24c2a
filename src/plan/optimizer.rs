//! Optimisers and the two tables that steer a step: a row per member, a row per step and member.
//!
//! The formulas stand in `src/cpu/optimizer.rs` and `shaders/optimizer.wgsl`; defaults are PyTorch's.

use std::fmt;

use super::MAX_DROPOUT_LAYERS;

/// The code of a variant (`as u32`) is the kernel's branch; a member's row holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum OptimizerKind {
    /// w -= lr * g (Robbins and Monro 1951).
    Sgd = 0,
    /// b = mu * b + g; w -= lr * b (Polyak 1964, as Sutskever et al. 2013 and PyTorch write it).
    Momentum = 1,
    /// b = mu * b + g; w -= lr * (g + mu * b) (Nesterov 1983, PyTorch's form).
    Nesterov = 2,
    /// s += g^2; w -= lr * g / (sqrt(s) + eps) (Duchi, Hazan and Singer 2011).
    Adagrad = 3,
    /// s = alpha * s + (1 - alpha) * g^2; w -= lr * g / (sqrt(s) + eps) (Tieleman and Hinton 2012).
    Rmsprop = 4,
    /// Kingma and Ba 2014, arXiv:1412.6980, algorithm 1, with bias correction.
    Adam = 5,
    /// Loshchilov and Hutter 2017, arXiv:1711.05101, algorithm 2: Adam with decoupled decay.
    Adamw = 6,
}

impl OptimizerKind {
    pub const ALL: [OptimizerKind; 7] = [
        OptimizerKind::Sgd,
        OptimizerKind::Momentum,
        OptimizerKind::Nesterov,
        OptimizerKind::Adagrad,
        OptimizerKind::Rmsprop,
        OptimizerKind::Adam,
        OptimizerKind::Adamw,
    ];

    pub fn name(self) -> &'static str {
        match self {
            OptimizerKind::Sgd => "sgd",
            OptimizerKind::Momentum => "momentum",
            OptimizerKind::Nesterov => "nesterov",
            OptimizerKind::Adagrad => "adagrad",
            OptimizerKind::Rmsprop => "rmsprop",
            OptimizerKind::Adam => "adam",
            OptimizerKind::Adamw => "adamw",
        }
    }

    pub fn from_name(name: &str) -> Option<OptimizerKind> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The learning rate where none is given. PyTorch's where it has one; 0.01 for momentum and
    /// Nesterov, whose steps are 1 / (1 - mu) = 10 times as long as plain SGD's 0.1.
    pub fn default_lr(self) -> f64 {
        match self {
            OptimizerKind::Sgd => 0.1,
            OptimizerKind::Momentum | OptimizerKind::Nesterov => 0.01,
            OptimizerKind::Adagrad => 0.01,
            OptimizerKind::Rmsprop => 0.001,
            OptimizerKind::Adam | OptimizerKind::Adamw => 0.001,
        }
    }

    pub fn default_eps(self) -> f64 {
        match self {
            OptimizerKind::Adagrad => 1e-10,
            _ => 1e-8,
        }
    }

    pub fn default_weight_decay(self) -> f64 {
        match self {
            OptimizerKind::Adamw => 0.01,
            _ => 0.0,
        }
    }
}

impl fmt::Display for OptimizerKind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One member's hyper-parameters, as a person thinks of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Hyper {
    pub optimizer: OptimizerKind,
    pub lr: f64,
    pub momentum: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    /// Smoothing constant of RMSProp.
    pub alpha: f64,
    pub weight_decay: f64,
    pub l1: f64,
    pub l2: f64,
    /// Largest global gradient norm; 0 is off.
    pub clip_norm: f64,
    pub label_smoothing: f64,
    /// Where the Huber loss turns from a parabola into a line.
    pub huber_delta: f64,
    /// Largest norm of a unit's incoming weights; 0 is off.
    pub max_norm: f64,
    /// Rate of each dropout layer, in the order of the layers.
    pub dropout: Vec<f64>,
    pub seed: u64,
    /// A frozen member's parameters do not move.
    pub active: bool,
}

impl Hyper {
    /// PyTorch's defaults for `optimizer`; no dropout, no penalties.
    pub fn new(optimizer: OptimizerKind) -> Hyper {
        Hyper {
            optimizer,
            lr: optimizer.default_lr(),
            momentum: 0.9,
            beta1: 0.9,
            beta2: 0.999,
            eps: optimizer.default_eps(),
            alpha: 0.99,
            weight_decay: optimizer.default_weight_decay(),
            l1: 0.0,
            l2: 0.0,
            clip_norm: 0.0,
            label_smoothing: 0.0,
            huber_delta: 1.0,
            max_norm: 0.0,
            dropout: Vec::new(),
            seed: 0,
            active: true,
        }
    }

    /// The row that the kernels read. Complements such as 1 - beta2 are taken in f64: in f32 they
    /// would carry a relative error of up to 5e-5.
    pub fn row(&self) -> MemberRow {
        assert!(self.dropout.len() <= MAX_DROPOUT_LAYERS);
        let mut row = MemberRow {
            optimizer: self.optimizer as u32,
            active_flag: self.active as u32,
            seed_lo: self.seed as u32,
            seed_hi: (self.seed >> 32) as u32,
            momentum: self.momentum as f32,
            beta1: self.beta1 as f32,
            beta2: self.beta2 as f32,
            one_minus_beta1: (1.0 - self.beta1) as f32,
            one_minus_beta2: (1.0 - self.beta2) as f32,
            eps: self.eps as f32,
            alpha: self.alpha as f32,
            one_minus_alpha: (1.0 - self.alpha) as f32,
            weight_decay: self.weight_decay as f32,
            l1: self.l1 as f32,
            l2: self.l2 as f32,
            clip_norm: self.clip_norm as f32,
            huber_delta: self.huber_delta as f32,
            max_norm: self.max_norm as f32,
            ..MemberRow::default()
        };
        for (slot, &rate) in self.dropout.iter().enumerate() {
            // keep where the draw reaches the threshold: P(keep) = 1 - threshold / 2^32
            row.drop_threshold[slot] = (rate * 4_294_967_296.0).min(4_294_967_295.0) as u32;
            row.drop_scale[slot] = (1.0 / (1.0 - rate)) as f32;
        }
        row
    }

    /// The scalars of a batch that belongs to optimiser step `t` (counted from 1) at learning rate
    /// `lr`.
    pub fn step(&self, t: u64, lr: f64, batch: &Batch) -> StepRow {
        let (bias1, bias2) = match self.optimizer {
            OptimizerKind::Adam | OptimizerKind::Adamw => (
                1.0 - self.beta1.powf(t as f64),
                1.0 - self.beta2.powf(t as f64),
            ),
            _ => (1.0, 1.0),
        };
        let decay = match self.optimizer {
            OptimizerKind::Adamw => 1.0 - lr * self.weight_decay,
            _ => 1.0,
        };
        StepRow {
            valid: batch.valid,
            draw: batch.draw,
            lr: lr as f32,
            step_size: (lr / bias1) as f32,
            inv_sqrt_bias2: (1.0 / bias2.sqrt()) as f32,
            decay: decay as f32,
            grad_scale: quotient(1.0, batch.update_weight),
            loss_scale: quotient(f64::from(batch.valid), batch.weight),
            begins: batch.begins as u32,
            applies: batch.applies as u32,
            ema_rest: if t == 1 {
                1.0
            } else {
                (1.0 - batch.ema) as f32
            },
            label_smoothing: self.label_smoothing as f32,
        }
    }
}

/// a / b; 0 where b is: samples that weigh nothing move nothing.
fn quotient(a: f64, b: f64) -> f32 {
    if b == 0.0 { 0.0 } else { (a / b) as f32 }
}

/// One batch of an optimiser step, which has one batch unless gradients are accumulated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Batch {
    /// Samples; rows past them are masked.
    pub valid: u32,
    /// Counter word of the batch's random draws: no two batches of a run share one.
    pub draw: u32,
    /// Sum of the class weights of the samples; without weights, their number.
    pub weight: f64,
    /// That sum over all batches of the optimiser step.
    pub update_weight: f64,
    /// The first batch of the optimiser step: its gradient is not added to an earlier one's.
    pub begins: bool,
    /// The last batch of the optimiser step: the parameters move.
    pub applies: bool,
    /// Decay of the moving average of the weights; 0 where there is none.
    pub ema: f64,
}

impl Batch {
    /// A batch that is an optimiser step of its own, without class weights or moving average.
    pub fn whole(valid: u32, draw: u32) -> Batch {
        Batch {
            valid,
            draw,
            weight: f64::from(valid),
            update_weight: f64::from(valid),
            begins: true,
            applies: true,
            ema: 0.0,
        }
    }
}

/// One row of the member table; the shaders' `Member` (a test compares the two).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct MemberRow {
    pub optimizer: u32,
    pub active_flag: u32,
    pub seed_lo: u32,
    pub seed_hi: u32,
    pub momentum: f32,
    pub beta1: f32,
    pub beta2: f32,
    pub one_minus_beta1: f32,
    pub one_minus_beta2: f32,
    pub eps: f32,
    pub alpha: f32,
    pub one_minus_alpha: f32,
    pub weight_decay: f32,
    pub l1: f32,
    pub l2: f32,
    pub clip_norm: f32,
    pub huber_delta: f32,
    pub max_norm: f32,
    pub drop_threshold: [u32; MAX_DROPOUT_LAYERS],
    pub drop_scale: [f32; MAX_DROPOUT_LAYERS],
}

impl MemberRow {
    pub const FIELDS: [&str; 20] = [
        "optimizer",
        "active_flag",
        "seed_lo",
        "seed_hi",
        "momentum",
        "beta1",
        "beta2",
        "one_minus_beta1",
        "one_minus_beta2",
        "eps",
        "alpha",
        "one_minus_alpha",
        "weight_decay",
        "l1",
        "l2",
        "clip_norm",
        "huber_delta",
        "max_norm",
        "drop_threshold",
        "drop_scale",
    ];
}

/// One row of the step table \[S, P\]; the shaders' `Step` (a test compares the two).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct StepRow {
    /// Samples of this batch; rows past them are masked.
    pub valid: u32,
    /// Counter word of this batch's random draws.
    pub draw: u32,
    pub lr: f32,
    /// lr / (1 - beta1^t) for Adam, lr elsewhere.
    pub step_size: f32,
    /// 1 / sqrt(1 - beta2^t) for Adam, 1 elsewhere.
    pub inv_sqrt_bias2: f32,
    /// 1 - lr * weight_decay for AdamW, 1 elsewhere.
    pub decay: f32,
    /// What a sample's gradient is multiplied by: 1 / the weights of the whole optimiser step.
    pub grad_scale: f32,
    /// What a sample's weighted training loss is multiplied by, so that the mean over the samples is
    /// the weighted mean: valid / the weights of this batch.
    pub loss_scale: f32,
    /// 1: accumulated gradients start anew with this batch.
    pub begins: u32,
    /// 1: the parameters move after this batch.
    pub applies: u32,
    /// 1 - decay of the moving average of the weights; 1 makes the average the weights themselves.
    pub ema_rest: f32,
    /// The member's own, here so that the cross-entropy of training reads one table and not two.
    pub label_smoothing: f32,
}

impl StepRow {
    pub const FIELDS: [&str; 12] = [
        "valid",
        "draw",
        "lr",
        "step_size",
        "inv_sqrt_bias2",
        "decay",
        "grad_scale",
        "loss_scale",
        "begins",
        "applies",
        "ema_rest",
        "label_smoothing",
    ];
}
