//! Reverse-mode differentiation, done once, while recording (Griewank and Walther 2008, chapter 3).
//!
//! The walk visits the nodes from last to first and emits the kernels that carry the gradient `dy`
//! of a node's output to its inputs. The first contribution to a gradient is a store and later ones
//! add, so nothing is ever zeroed. Where a value was made by an activation and is read by one
//! linear layer alone, the derivative is applied in that layer's backward matrix product, and the
//! gradient that reaches the activation is already the one of its input.

use super::head::Head;
use super::recorder::Shared;
use super::*;

pub(super) enum Node {
    Linear {
        x: Value,
        y: Value,
        weight: usize,
        bias: usize,
    },
    Activation {
        x: Value,
        y: Value,
    },
    Dropout {
        x: Value,
        y: Value,
        kernel: Kernel,
    },
    Add {
        a: Value,
        b: Value,
        c: Value,
    },
    /// `scale`: the index of gamma, which stands for beta, too.
    BatchNorm {
        x: Value,
        y: Value,
        norm: BatchNorm,
        stats: BufferId,
        scale: usize,
    },
    LayerNorm {
        x: Value,
        y: Value,
        norm: LayerNorm,
        stats: BufferId,
        scale: usize,
    },
}

/// The gradient of a value, as far as it has been gathered.
#[derive(Clone, Copy)]
pub(super) struct Gradient {
    pub buffer: BufferId,
    /// Made for this value alone, so that a further contribution may be added in place.
    pub owned: bool,
    /// Already multiplied by the derivative of the activation that made the value.
    pub through_activation: bool,
}

/// A linear layer and the gradient of its pre-activation, from element `offset` of `dz` on.
struct Layer {
    x: Value,
    y: Value,
    weight: usize,
    bias: usize,
    dz: BufferId,
    offset: usize,
}

struct Gradients(Vec<Option<Gradient>>);

impl Recorder {
    /// Records the backward half: from what the head left of `y` to all parameters that train.
    pub(super) fn backward(&mut self, y: Value, head: &Head) {
        let mut grads = Gradients(vec![None; self.values.len()]);
        if !self.values[y.0].needs_grad {
            return;
        }
        let mut has_grad = vec![false; self.params.len()];
        match head {
            Head::Loss(dy) => {
                grads.0[y.0] = Some(Gradient {
                    buffer: *dy,
                    owned: false,
                    through_activation: false,
                });
            }
            Head::Fused(fused) => {
                let layer = Layer {
                    x: fused.x,
                    y: fused.y,
                    weight: fused.weight,
                    bias: fused.bias,
                    dz: fused.grads,
                    offset: fused.d_offset,
                };
                grads.0[fused.x.0] = fused.input;
                self.weight_grad(&layer, &mut has_grad);
            }
        }
        for node in std::mem::take(&mut self.nodes).into_iter().rev() {
            match node {
                Node::Linear { x, y, weight, bias } => {
                    let Some(dz) = self.before_activation(&mut grads, y) else {
                        continue;
                    };
                    let layer = Layer {
                        x,
                        y,
                        weight,
                        bias,
                        dz,
                        offset: 0,
                    };
                    // First what reads the weights, then what may move them.
                    if self.values[x.0].needs_grad {
                        self.input_grad(x, y, weight, dz, &mut grads);
                    }
                    self.weight_grad(&layer, &mut has_grad);
                }
                Node::Activation { x, y } => {
                    if let Some(dz) = self.before_activation(&mut grads, y) {
                        self.pass_on(&mut grads, x, dz, true);
                    }
                }
                Node::Dropout { x, y, kernel } => {
                    let Some(dy) = grads.0[y.0].take() else {
                        continue;
                    };
                    if !self.values[x.0].needs_grad {
                        continue;
                    }
                    let (label, cols) = self.grad_label(x);
                    let dx = self.matrix(&label, cols);
                    let operands = [dy.buffer, self.shared().rows, self.steps, dx];
                    self.dispatch(kernel, &operands, "dropout, backward".to_string());
                    self.pass_on(&mut grads, x, dx, true);
                }
                Node::Add { a, b, c } => {
                    if let Some(dc) = grads.0[c.0].take() {
                        self.pass_on(&mut grads, a, dc.buffer, false);
                        self.pass_on(&mut grads, b, dc.buffer, false);
                    }
                }
                Node::BatchNorm {
                    x,
                    y,
                    mut norm,
                    stats,
                    scale,
                } => {
                    let Some(dy) = grads.0[y.0].take() else {
                        continue;
                    };
                    norm.adds = u32::from(std::mem::replace(&mut has_grad[scale], true));
                    let (label, cols) = self.grad_label(x);
                    let dx = self.matrix(&label, cols);
                    let Shared {
                        parameters,
                        grads: arena,
                        ..
                    } = self.shared();
                    let x_buffer = self.values[x.0].buffer;
                    let operands = [
                        dy.buffer, x_buffer, stats, self.steps, parameters, dx, arena,
                    ];
                    let label = "batchnorm, backward".to_string();
                    self.dispatch(Kernel::BatchNormGrad(norm), &operands, label);
                    self.pass_on(&mut grads, x, dx, true);
                }
                Node::LayerNorm {
                    x,
                    y,
                    mut norm,
                    stats,
                    scale,
                } => {
                    let Some(dy) = grads.0[y.0].take() else {
                        continue;
                    };
                    norm.adds = u32::from(std::mem::replace(&mut has_grad[scale], true));
                    let (label, cols) = self.grad_label(x);
                    let dx = self.matrix(&label, cols);
                    let Shared {
                        parameters,
                        grads: arena,
                        ..
                    } = self.shared();
                    let x_buffer = self.values[x.0].buffer;
                    let operands = [dy.buffer, x_buffer, stats, parameters, dx, arena];
                    let label = "layernorm, backward".to_string();
                    self.dispatch(Kernel::LayerNormGrad(norm), &operands, label);
                    self.pass_on(&mut grads, x, dx, true);
                }
            }
        }
    }

    /// The gradient of the input of the activation that made `y`; of `y` itself where none did.
    fn before_activation(&mut self, grads: &mut Gradients, y: Value) -> Option<BufferId> {
        let dy = grads.0[y.0].take()?;
        let Some((activation, saved)) = self.values[y.0].activation else {
            return Some(dy.buffer);
        };
        if dy.through_activation {
            return Some(dy.buffer);
        }
        let cols = self.values[y.0].cols;
        let label = format!("grad before {}", self.values[y.0].label);
        let dz = self.matrix(&label, cols);
        let kernel = Kernel::ActivationGrad(self.elementwise(cols), activation);
        self.dispatch(
            kernel,
            &[dy.buffer, saved, dz],
            format!("{activation}, backward"),
        );
        Some(dz)
    }

    /// dw \[out,in\] = dz^T * x and db \[out\] = the column sums of dz, in one kernel, which moves
    /// the weights itself where nobody else needs the gradient. Nothing where the layer is frozen.
    fn weight_grad(&mut self, layer: &Layer, has_grad: &mut [bool]) {
        let &Layer {
            x,
            y,
            weight,
            bias,
            dz,
            offset,
        } = layer;
        if !self.params[weight].trainable {
            return;
        }
        let (inputs, out, b) = (self.values[x.0].cols, self.values[y.0].cols, self.batch);
        let (ldx, ldy) = (pad4(inputs), pad4(out));
        let shared = self.shared();
        let x_buffer = self.values[x.0].buffer;
        let name = self.params[weight].name.clone();
        if self.fuses_update {
            let update = WeightUpdate {
                m: out as u32,
                n: inputs as u32,
                k: b as u32,
                lda: ldy as u32,
                ldb: ldx as u32,
                ldc: ldx as u32,
                a_offset: offset as u32,
                a_stride: (b * ldy) as u32,
                b_stride: (b * ldx) as u32,
                members: self.members as u32,
                w_offset: self.params[weight].offset as u32,
                d_offset: self.params[bias].offset as u32,
                stride: self.arena_len as u32,
            };
            let operands = [
                dz,
                x_buffer,
                shared.rows,
                self.steps,
                shared.state,
                shared.parameters,
            ];
            let label = format!("update of {name} and bias");
            self.dispatch(Kernel::WeightUpdate(update), &operands, label);
            return;
        }
        let shape = Matmul {
            m: out as u32,
            n: inputs as u32,
            k: b as u32,
            lda: ldy as u32,
            ldb: ldx as u32,
            ldc: ldx as u32,
            a_offset: offset as u32,
            a_stride: (b * ldy) as u32,
            b_offset: 0,
            b_stride: (b * ldx) as u32,
            c_offset: self.params[weight].offset as u32,
            c_stride: self.arena_len as u32,
            e_offset: 0,
            e_stride: 0,
            d_offset: self.params[bias].offset as u32,
        };
        let kernel = Kernel::Matmul {
            shape,
            orientation: Orientation::TN,
            epilogue: Epilogue::None,
            accumulate: has_grad[weight],
            bias_grad: true,
        };
        has_grad[weight] = true;
        let operands = [dz, x_buffer, dz, shared.grads];
        let label = format!("grad of {name} and bias");
        self.dispatch(kernel, &operands, label);
    }

    /// The activation that made x, with what its derivative is computed from, where x has no other
    /// reader, so that the derivative can be applied as the gradient is made.
    pub(super) fn fusable_activation(&self, x: Value) -> Option<(Activation, BufferId)> {
        let info = &self.values[x.0];
        info.activation.filter(|_| info.consumers == 1)
    }

    /// dx \[B,in\] = dz * w, times the derivative of x's own activation where x has no other reader.
    fn input_grad(
        &mut self,
        x: Value,
        y: Value,
        weight: usize,
        dz: BufferId,
        grads: &mut Gradients,
    ) {
        let (inputs, out, b) = (self.values[x.0].cols, self.values[y.0].cols, self.batch);
        let (ldx, ldy) = (pad4(inputs), pad4(out));
        let fused = self.fusable_activation(x);
        let (epilogue, e) = match fused {
            Some((activation, saved)) => (Epilogue::ActivationGrad(activation), saved),
            None => (Epilogue::None, dz),
        };
        let earlier = grads.0[x.0];
        let (label, cols) = self.grad_label(x);
        let in_place = earlier.filter(|g| g.owned);
        let dx = match in_place {
            Some(g) => g.buffer,
            None => self.matrix(&label, cols),
        };
        let shape = Matmul {
            m: b as u32,
            n: inputs as u32,
            k: out as u32,
            lda: ldy as u32,
            ldb: ldx as u32,
            ldc: ldx as u32,
            a_offset: 0,
            a_stride: (b * ldy) as u32,
            b_offset: self.params[weight].offset as u32,
            b_stride: self.arena_len as u32,
            c_offset: 0,
            c_stride: (b * ldx) as u32,
            e_offset: 0,
            e_stride: (b * ldx) as u32,
            d_offset: 0,
        };
        let kernel = Kernel::Matmul {
            shape,
            orientation: Orientation::NN,
            epilogue,
            accumulate: in_place.is_some(),
            bias_grad: false,
        };
        let operands = [dz, self.shared().parameters, e, dx];
        let text = match fused {
            Some((activation, _)) => format!("{label} through {activation}"),
            None => label,
        };
        self.dispatch(kernel, &operands, text);
        if in_place.is_none() {
            self.pass_on(grads, x, dx, true);
        }
        if let Some(g) = &mut grads.0[x.0] {
            g.through_activation = fused.is_some();
        }
    }

    /// Makes `buffer` a contribution to the gradient of `x`. `owned`: it was made for `x` alone.
    fn pass_on(&mut self, grads: &mut Gradients, x: Value, buffer: BufferId, owned: bool) {
        if !self.values[x.0].needs_grad {
            return;
        }
        let gathered = match grads.0[x.0] {
            None => Gradient {
                buffer,
                owned,
                through_activation: false,
            },
            Some(earlier) => {
                let (label, cols) = self.grad_label(x);
                let sum = self.matrix(&label, cols);
                let kernel = Kernel::Add(self.elementwise(cols));
                self.dispatch(kernel, &[earlier.buffer, buffer, sum], label);
                Gradient {
                    buffer: sum,
                    owned: true,
                    through_activation: false,
                }
            }
        };
        grads.0[x.0] = Some(gathered);
    }

    fn grad_label(&self, x: Value) -> (String, usize) {
        let info = &self.values[x.0];
        (format!("grad of {}", info.label), info.cols)
    }
}
