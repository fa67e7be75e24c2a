//! The end of a recording: what compares the model's outputs with the targets.
//!
//! In training, a linear layer that makes the outputs, and whose loss is cross-entropy over few
//! classes, becomes one kernel with its loss and with the gradient of its input: on a GPU a small
//! network's step costs what its dependent dispatches cost, and these would be three.

use super::gradient::{Gradient, Node};
use super::recorder::Mode;
use super::*;

/// What the backward walk starts from.
pub(super) enum Head {
    /// The gradient of the outputs, in a buffer of its own.
    Loss(BufferId),
    /// The last linear layer has been through already.
    Fused(Fused),
}

pub(super) struct Fused {
    pub x: Value,
    pub y: Value,
    pub weight: usize,
    pub bias: usize,
    /// dx, and from `d_offset` on the gradient of the outputs.
    pub grads: BufferId,
    pub d_offset: usize,
    /// The gradient of x, where somebody wants it.
    pub input: Option<Gradient>,
}

impl Head {
    /// Where the head's output lies: the gradient of the outputs, or the prediction.
    pub fn place(&self) -> (BufferId, usize) {
        match self {
            Head::Loss(buffer) => (*buffer, 0),
            Head::Fused(fused) => (fused.grads, fused.d_offset),
        }
    }
}

/// The tables that a pass reads labels and scales from, and where its metrics go.
#[derive(Clone, Copy)]
pub(super) struct Tables {
    pub indices: BufferId,
    pub steps: BufferId,
    pub samples: BufferId,
}

impl Recorder {
    /// Records the loss of the outputs `y`.
    pub(super) fn head(&mut self, y: Value, tables: &Tables) -> Head {
        if let Some(fused) = self.linear_xent(y, tables) {
            return Head::Fused(fused);
        }
        let shared = self.shared();
        let (members, batch, classes) = (self.members, self.batch, self.spec.classes);
        let label = match self.mode {
            Mode::Train => "grad of outputs",
            _ => "prediction",
        };
        let head = self.matrix(label, classes);
        let params = LossHead {
            members: members as u32,
            batch: batch as u32,
            classes: classes as u32,
            ld: pad4(classes) as u32,
            eval: u32::from(self.mode == Mode::Eval),
        };
        let targets = match self.spec.regression {
            true => Targets::Values,
            false => Targets::Classes,
        };
        let error = |kind| Kernel::RegressionLoss(params, kind, targets);
        let kernel = match self.spec.loss {
            Loss::CrossEntropy => Kernel::SoftmaxXent(params),
            Loss::Mse => error(ErrorKind::Squared),
            Loss::Mae => error(ErrorKind::Absolute),
            Loss::Huber => error(ErrorKind::Huber),
        };
        let mut operands = vec![self.values[y.0].buffer, shared.labels, tables.indices];
        if self.spec.loss != Loss::CrossEntropy {
            operands.push(shared.rows);
        }
        operands.extend([tables.steps, shared.class_weights, head, tables.samples]);
        self.dispatch(kernel, &operands, self.spec.loss.name().to_string());
        Head::Loss(head)
    }

    /// Takes the last linear layer back and records it together with its loss; `None` where the
    /// outputs are made, or judged, by something else.
    fn linear_xent(&mut self, y: Value, tables: &Tables) -> Option<Fused> {
        let classes = self.spec.classes;
        if self.mode != Mode::Train
            || self.spec.loss != Loss::CrossEntropy
            || classes > LINEAR_XENT_CLASSES
            || self.values[y.0].activation.is_some()
            || self.values[y.0].consumers > 0
        {
            return None;
        }
        let Some(&Node::Linear {
            x,
            y: made,
            weight,
            bias,
        }) = self.nodes.last()
        else {
            return None;
        };
        if made != y {
            return None;
        }
        self.nodes.pop();
        let linear = self.dispatches.pop().expect("a node has its dispatch");
        let input_grad = self.values[x.0].needs_grad;
        let inputs = self.values[x.0].cols;
        let (ldx, ld) = (pad4(inputs), pad4(classes));
        let rows = self.members * self.batch;
        let d_offset = if input_grad { rows * ldx } else { 0 };
        let label = match input_grad {
            true => format!("grad of {} and of outputs", self.values[x.0].label),
            false => "grad of outputs".to_string(),
        };
        let grads = self.buffer(&label, Dtype::F32, d_offset + rows * ld);
        // The derivative can be told from x itself, except for GELU's.
        let through = self
            .fusable_activation(x)
            .filter(|_| input_grad)
            .filter(|(activation, _)| activation.gradient_from_output())
            .map(|(activation, _)| activation);
        let kernel = LinearXent {
            members: self.members as u32,
            batch: self.batch as u32,
            inputs: inputs as u32,
            ldx: ldx as u32,
            classes: classes as u32,
            ld: ld as u32,
            w_offset: self.params[weight].offset as u32,
            b_offset: self.params[bias].offset as u32,
            stride: self.arena_len as u32,
            d_offset: d_offset as u32,
            input_grad: u32::from(input_grad),
        };
        let shared = self.shared();
        let operands = [
            self.values[x.0].buffer,
            self.weights(),
            shared.labels,
            tables.indices,
            tables.steps,
            shared.class_weights,
            grads,
            tables.samples,
        ];
        let activation = through.unwrap_or(Activation::None);
        let label = format!("{} + {}", linear.label, self.spec.loss.name());
        self.dispatch(Kernel::LinearXent(kernel, activation), &operands, label);
        Some(Fused {
            x,
            y,
            weight,
            bias,
            grads,
            d_offset,
            input: input_grad.then_some(Gradient {
                buffer: grads,
                owned: true,
                through_activation: through.is_some(),
            }),
        })
    }
}
