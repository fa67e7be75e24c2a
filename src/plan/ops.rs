//! Differentiable operations: each checks its shapes, records its kernels and leaves a node for the
//! backward walk in `gradient.rs`.

use super::gradient::Node;
use super::recorder::Mode;
use super::*;

impl Recorder {
    /// y = f(x * w^T + b): x \[P,B,in\], w \[P,out,in\], b \[P,out\], y \[P,B,out\].
    ///
    /// The parameters are called `name.weight` and `name.bias`; a name that was met before shares
    /// them. Bias and activation are the epilogue of the matrix product, so the pre-activation is
    /// never stored, except for GELU, whose derivative needs it.
    pub fn linear(&mut self, x: Value, name: &str, out: usize, activation: Activation) -> Value {
        if !activation.gradient_from_output() {
            let z = self.linear(x, name, out, Activation::None);
            return self.activation(z, activation);
        }
        let inputs = self.values[x.0].cols;
        let weight = self.param(&format!("{name}.weight"), out, inputs, Role::Weight);
        let bias = self.param(&format!("{name}.bias"), 1, out, Role::Bias);
        let needs_grad = self.values[x.0].needs_grad || self.params[weight].trainable;
        let y = self.value(&format!("{name}: output"), out, None, needs_grad);
        let y_buffer = self.values[y.0].buffer;
        if activation != Activation::None {
            self.values[y.0].activation = Some((activation, y_buffer));
        }
        self.values[x.0].consumers += 1;

        let (b, ldx, ldy) = (self.batch, pad4(inputs), pad4(out));
        let shape = Matmul {
            m: b as u32,
            n: out as u32,
            k: inputs as u32,
            lda: ldx as u32,
            ldb: ldx as u32,
            ldc: ldy as u32,
            a_offset: 0,
            a_stride: (b * ldx) as u32,
            b_offset: self.params[weight].offset as u32,
            b_stride: self.arena_len as u32,
            c_offset: 0,
            c_stride: (b * ldy) as u32,
            e_offset: self.params[bias].offset as u32,
            e_stride: self.arena_len as u32,
            d_offset: 0,
        };
        let kernel = Kernel::Matmul {
            shape,
            orientation: Orientation::NT,
            epilogue: Epilogue::Bias(activation),
            accumulate: false,
            bias_grad: false,
        };
        let parameters = self.weights();
        let operands = [self.values[x.0].buffer, parameters, parameters, y_buffer];
        let label = match activation {
            Activation::None => format!("{name}: linear"),
            act => format!("{name}: linear + {act}"),
        };
        self.dispatch(kernel, &operands, label);
        self.nodes.push(Node::Linear { x, y, weight, bias });
        y
    }

    /// y = f(x), element by element.
    pub fn activation(&mut self, x: Value, activation: Activation) -> Value {
        if activation == Activation::None {
            return x;
        }
        let cols = self.values[x.0].cols;
        let x_buffer = self.values[x.0].buffer;
        let needs_grad = self.values[x.0].needs_grad;
        let y = self.value(&format!("{activation}: output"), cols, None, needs_grad);
        let y_buffer = self.values[y.0].buffer;
        let saved = if activation.gradient_from_output() {
            y_buffer
        } else {
            x_buffer
        };
        self.values[y.0].activation = Some((activation, saved));
        self.values[x.0].consumers += 1;
        let kernel = Kernel::Activation(self.elementwise(cols), activation);
        self.dispatch(kernel, &[x_buffer, y_buffer], activation.to_string());
        self.nodes.push(Node::Activation { x, y });
        y
    }

    /// Inverted dropout (Srivastava et al. 2014): each element is zeroed with probability `rate`,
    /// the others are scaled by 1 / (1 - rate). Nothing happens in evaluation. No mask is stored:
    /// the backward pass draws the same numbers again.
    pub fn dropout(&mut self, x: Value, rate: f64) -> Value {
        if self.mode == Mode::Eval {
            return x;
        }
        let slot = self.n_dropout;
        assert!(slot < MAX_DROPOUT_LAYERS, "too many dropout layers");
        self.n_dropout += 1;
        if self.mode == Mode::Declare {
            self.dropout.push(rate);
        }
        let cols = self.values[x.0].cols;
        let needs_grad = self.values[x.0].needs_grad;
        let y = self.value(&format!("dropout {slot}: output"), cols, None, needs_grad);
        self.values[x.0].consumers += 1;
        let kernel = Kernel::Dropout(Dropout {
            members: self.members as u32,
            rows: self.batch as u32,
            cols: cols as u32,
            ld: pad4(cols) as u32,
            slot: slot as u32,
            op: slot as u32,
        });
        let (x_buffer, y_buffer) = (self.values[x.0].buffer, self.values[y.0].buffer);
        let operands = [x_buffer, self.shared().rows, self.steps, y_buffer];
        self.dispatch(kernel, &operands, format!("dropout {slot}"));
        self.nodes.push(Node::Dropout { x, y, kernel });
        y
    }

    /// c = a + b, the residual connection.
    pub fn add(&mut self, a: Value, b: Value) -> Value {
        let cols = self.values[a.0].cols;
        assert_eq!(
            cols, self.values[b.0].cols,
            "add: the operands have {cols} and {} columns",
            self.values[b.0].cols
        );
        let needs_grad = self.values[a.0].needs_grad || self.values[b.0].needs_grad;
        let c = self.value("sum", cols, None, needs_grad);
        self.values[a.0].consumers += 1;
        self.values[b.0].consumers += 1;
        let kernel = Kernel::Add(self.elementwise(cols));
        let operands = [a, b, c].map(|v| self.values[v.0].buffer);
        self.dispatch(kernel, &operands, "add".to_string());
        self.nodes.push(Node::Add { a, b, c });
        c
    }

    /// y = (x - mean) / sqrt(var + eps) * gamma + beta, mean and var being those of each column over
    /// the batch in training and running averages of them in evaluation (Ioffe and Szegedy 2015).
    ///
    /// gamma and beta are called `name.weight` and `name.bias`, the averages `name.running_mean` and
    /// `name.running_var`. A frozen layer takes the averages in training, too, and leaves them.
    pub fn batch_norm(&mut self, x: Value, name: &str) -> Value {
        let cols = self.values[x.0].cols;
        let scale = self.param(&format!("{name}.weight"), 1, cols, Role::Scale);
        let shift = self.param(&format!("{name}.bias"), 1, cols, Role::Shift);
        let mean = self.param(&format!("{name}.running_mean"), 1, cols, Role::RunningMean);
        let var = self.param(&format!("{name}.running_var"), 1, cols, Role::RunningVar);
        let trains = self.params[scale].trainable;
        let needs_grad = self.values[x.0].needs_grad || trains;
        let y = self.value(&format!("{name}: output"), cols, None, needs_grad);
        self.values[x.0].consumers += 1;
        let len = self.members * 2 * pad4(cols);
        let stats = self.buffer(&format!("{name}: statistics"), Dtype::F32, len);
        let offset = |ix: usize| self.params[ix].offset as u32;
        let norm = BatchNorm {
            members: self.members as u32,
            rows: self.batch as u32,
            cols: cols as u32,
            ld: pad4(cols) as u32,
            scale_offset: offset(scale),
            shift_offset: offset(shift),
            mean_offset: offset(mean),
            var_offset: offset(var),
            stride: self.arena_len as u32,
            running: u32::from(self.mode == Mode::Eval || !trains),
            adds: 0,
        };
        let (x_buffer, y_buffer) = (self.values[x.0].buffer, self.values[y.0].buffer);
        let (rows, parameters) = (self.shared().rows, self.weights());
        let operands = [x_buffer, rows, self.steps, y_buffer, stats, parameters];
        self.dispatch(
            Kernel::BatchNorm(norm),
            &operands,
            format!("{name}: batchnorm"),
        );
        self.nodes.push(Node::BatchNorm {
            x,
            y,
            norm,
            stats,
            scale,
        });
        y
    }

    /// y = (x - mean) / sqrt(var + eps) * gamma + beta, mean and var being those of each row over its
    /// columns (Ba, Kiros and Hinton 2016). gamma and beta are called `name.weight` and `name.bias`.
    pub fn layer_norm(&mut self, x: Value, name: &str) -> Value {
        let cols = self.values[x.0].cols;
        let scale = self.param(&format!("{name}.weight"), 1, cols, Role::Scale);
        let shift = self.param(&format!("{name}.bias"), 1, cols, Role::Shift);
        let trains = self.params[scale].trainable;
        let needs_grad = self.values[x.0].needs_grad || trains;
        let y = self.value(&format!("{name}: output"), cols, None, needs_grad);
        self.values[x.0].consumers += 1;
        let len = self.members * self.batch * 2;
        let stats = self.buffer(&format!("{name}: statistics"), Dtype::F32, len);
        let norm = LayerNorm {
            members: self.members as u32,
            rows: self.batch as u32,
            cols: cols as u32,
            ld: pad4(cols) as u32,
            scale_offset: self.params[scale].offset as u32,
            shift_offset: self.params[shift].offset as u32,
            stride: self.arena_len as u32,
            trains: u32::from(trains),
            adds: 0,
        };
        let (x_buffer, y_buffer) = (self.values[x.0].buffer, self.values[y.0].buffer);
        let operands = [x_buffer, self.weights(), y_buffer, stats];
        self.dispatch(
            Kernel::LayerNorm(norm),
            &operands,
            format!("{name}: layernorm"),
        );
        self.nodes.push(Node::LayerNorm {
            x,
            y,
            norm,
            stats,
            scale,
        });
        y
    }

    /// The place of a parameter; declares it on the first recording.
    fn param(&mut self, name: &str, rows: usize, cols: usize, role: Role) -> usize {
        let known = self.params.iter().position(|p| p.name == name);
        if let Some(ix) = known {
            let param = &self.params[ix];
            assert_eq!(
                (param.rows, param.cols),
                (rows, cols),
                "{name} is used with two shapes"
            );
            return ix;
        }
        assert!(
            self.mode == Mode::Declare,
            "the model function is not the same on each call: {name} is new"
        );
        self.params.push(Param {
            name: name.to_string(),
            rows,
            cols,
            offset: 0,
            role,
            trainable: role.is_parameter() && !self.spec.freezes(name),
        });
        self.params.len() - 1
    }
}
