//! What a plan is recorded for: its sizes, its loss, and the choices that change its dispatches.

use super::pad4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    CrossEntropy,
    /// Mean squared error.
    Mse,
    /// Mean absolute error.
    Mae,
    /// Squared near zero, absolute beyond [`super::Hyper::huber_delta`].
    Huber,
}

impl Loss {
    pub const ALL: [Loss; 4] = [Loss::CrossEntropy, Loss::Mse, Loss::Mae, Loss::Huber];

    pub fn name(self) -> &'static str {
        match self {
            Loss::CrossEntropy => "cross-entropy",
            Loss::Mse => "mse",
            Loss::Mae => "mae",
            Loss::Huber => "huber",
        }
    }

    pub fn from_name(name: &str) -> Option<Loss> {
        Self::ALL.into_iter().find(|loss| loss.name() == name)
    }
}

/// The sizes of a plan and the few choices that change its dispatches. The default is one member
/// that does not train, u8 samples, and one entry in the normalisation table.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// P, at least 1.
    pub members: usize,
    /// Inputs per sample.
    pub inputs: usize,
    /// Outputs of the model, C; 1 in regression.
    pub classes: usize,
    /// Samples resident on the device, all parts together.
    pub n_samples: usize,
    /// Entries of the normalisation table, and how many neighbouring inputs share one.
    pub n_norm: usize,
    pub norm_span: usize,
    /// 0 leaves training out: no gradients, no optimiser state, an empty training pass.
    pub train_batch: usize,
    pub train_capacity: usize,
    pub eval_batch: usize,
    pub eval_capacity: usize,
    pub loss: Loss,
    /// Samples are f32, a word each, in rows of `pad4(inputs)` words; and not u8, four to a word.
    pub floats: bool,
    /// Labels are the f32 bits of one target a sample, and not class numbers. Not with cross-entropy.
    pub regression: bool,
    /// Some member clips its gradient norm: one dispatch more.
    pub clips: bool,
    /// Optimiser steps may have several batches: one dispatch more.
    pub accumulates: bool,
    /// Some member bounds the norms of its units' weights: a dispatch more for each weight matrix.
    pub max_norm: bool,
    /// Keeps a moving average of the weights, which evaluation uses: one dispatch more.
    pub ema: bool,
    /// Stores the gradients, for those who want to see them, where the optimiser would otherwise
    /// take them as they come: a dispatch more, and the same numbers.
    pub stores_grads: bool,
    /// Layers whose parameters do not train, by their names: "0" stands for all of "0.*".
    pub frozen: Vec<String>,
}

impl Default for Spec {
    fn default() -> Spec {
        Spec {
            members: 1,
            inputs: 1,
            classes: 1,
            n_samples: 0,
            n_norm: 1,
            norm_span: 1,
            train_batch: 0,
            train_capacity: 0,
            eval_batch: 1,
            eval_capacity: 1,
            loss: Loss::CrossEntropy,
            floats: false,
            regression: false,
            clips: false,
            accumulates: false,
            max_norm: false,
            ema: false,
            stores_grads: false,
            frozen: Vec::new(),
        }
    }
}

impl Spec {
    /// Words of one sample in the resident data.
    pub fn row_words(&self) -> usize {
        match self.floats {
            true => pad4(self.inputs),
            false => self.inputs.div_ceil(4),
        }
    }

    /// Whether the tensor called `name` belongs to a layer that does not train.
    pub(super) fn freezes(&self, name: &str) -> bool {
        self.frozen.iter().any(|layer| {
            name.strip_prefix(layer.as_str())
                .is_some_and(|rest| rest.starts_with('.'))
        })
    }
}
