//! Records a model function into a [`Plan`].
//!
//! The model is an ordinary function from input [`Value`] to output [`Value`]. It is called three
//! times: once to learn which parameters it has (the arena lays weights before biases), once for
//! the training pass, whose backward half is written while recording, and once for evaluation.

use std::sync::Arc;

use super::gradient::Node;
use super::head::{Head, Tables};
use super::*;

/// A matrix \[P, B, cols\] of the pass being recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Value(pub(super) usize);

pub(super) struct ValueInfo {
    pub label: String,
    pub cols: usize,
    pub buffer: BufferId,
    /// Operations that read it.
    pub consumers: usize,
    /// False for the inputs and for what frozen layers alone make of them: nobody wants the gradient.
    pub needs_grad: bool,
    /// The activation that made it, and what its derivative is computed from.
    pub activation: Option<(Activation, BufferId)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Learns the parameters; what is recorded is thrown away.
    Declare,
    Train,
    Eval,
}

pub struct Recorder {
    pub(super) mode: Mode,
    pub(super) members: usize,
    pub(super) batch: usize,
    pub(super) buffers: Vec<Buffer>,
    pub(super) dispatches: Vec<Dispatch>,
    pub(super) values: Vec<ValueInfo>,
    pub(super) nodes: Vec<Node>,
    pub(super) params: Vec<Param>,
    pub(super) spec: Spec,
    pub(super) arena_len: usize,
    n_trainable: usize,
    pub(super) dropout: Vec<f64>,
    /// Dropout layers met so far in this recording.
    pub(super) n_dropout: usize,
    pub(super) shared: Option<Shared>,
    pub(super) steps: BufferId,
    /// Weight gradients go into the optimiser as they are made and are never stored.
    pub(super) fuses_update: bool,
}

/// Buffers that both passes use.
#[derive(Clone, Copy)]
pub(super) struct Shared {
    pixels: BufferId,
    pub labels: BufferId,
    norm: BufferId,
    pub class_weights: BufferId,
    pub rows: BufferId,
    pub parameters: BufferId,
    averages: Option<BufferId>,
    pub grads: BufferId,
    accumulated: BufferId,
    pub state: BufferId,
    confusion: BufferId,
}

impl Plan {
    /// Records `model`, whose output must be \[P, B, `spec.classes`\].
    ///
    /// # Panics
    /// On shapes that contradict each other: a programmer's error, since a layer notation has been
    /// checked before it gets here.
    pub fn record(spec: &Spec, model: impl Fn(&mut Recorder, Value) -> Value) -> Plan {
        let mut plan = Plan::record_members(spec, &model);
        if spec.members > 1 {
            let one = Spec {
                members: 1,
                ..spec.clone()
            };
            plan.alone = Some(Arc::new(Plan::record_members(&one, &model)));
        }
        plan
    }

    fn record_members(spec: &Spec, model: &impl Fn(&mut Recorder, Value) -> Value) -> Plan {
        assert!(spec.members > 0 && spec.inputs > 0 && spec.classes > 0);
        assert!(spec.eval_batch > 0);
        assert!(
            !spec.regression || (spec.classes == 1 && spec.loss != Loss::CrossEntropy),
            "regression has one output and no cross-entropy"
        );
        let mut rec = Recorder::declare(spec, model);
        rec.shared = Some(rec.shared_buffers(spec));
        let train = rec.pass(spec, Mode::Train, model);
        let eval = rec.pass(spec, Mode::Eval, model);
        let shared = rec.shared();
        Plan {
            members: spec.members,
            alone: None,
            buffers: rec.buffers,
            params: rec.params,
            arena_len: rec.arena_len,
            n_trainable: rec.n_trainable,
            dropout: rec.dropout,
            train,
            eval,
            pixels: shared.pixels,
            labels: shared.labels,
            norm: shared.norm,
            class_weights: shared.class_weights,
            rows: shared.rows,
            parameters: shared.parameters,
            averages: shared.averages,
            grads: shared.grads,
            accumulated: spec.accumulates.then_some(shared.accumulated),
            state: shared.state,
            confusion: shared.confusion,
        }
    }
}

impl Recorder {
    fn declare(spec: &Spec, model: &impl Fn(&mut Recorder, Value) -> Value) -> Recorder {
        let mut rec = Recorder {
            mode: Mode::Declare,
            members: spec.members,
            batch: spec.train_batch,
            buffers: Vec::new(),
            dispatches: Vec::new(),
            values: Vec::new(),
            nodes: Vec::new(),
            params: Vec::new(),
            spec: spec.clone(),
            arena_len: 0,
            n_trainable: 0,
            dropout: Vec::new(),
            n_dropout: 0,
            shared: None,
            steps: BufferId(0),
            fuses_update: false,
        };
        // Parameters go to a stand-in buffer while their places are unknown.
        let stand_in = rec.buffer("stand-in", Dtype::F32, 0);
        rec.shared = Some(Shared {
            pixels: stand_in,
            labels: stand_in,
            norm: stand_in,
            class_weights: stand_in,
            rows: stand_in,
            parameters: stand_in,
            averages: None,
            grads: stand_in,
            accumulated: stand_in,
            state: stand_in,
            confusion: stand_in,
        });
        let x = rec.value("input", spec.inputs, None, false);
        let y = model(&mut rec, x);
        assert_eq!(
            rec.values[y.0].cols, spec.classes,
            "the model's output has {} columns and the data has {} classes",
            rec.values[y.0].cols, spec.classes
        );
        // What trains first and its weights first of all, so that "trains" and "is a weight" are
        // one comparison each in the kernels.
        let mut offset = 0;
        for (trainable, weights) in [(true, true), (true, false), (false, true), (false, false)] {
            for param in &mut rec.params {
                if (param.trainable, param.is_weight()) != (trainable, weights) {
                    continue;
                }
                param.offset = offset;
                offset += (param.rows * pad4(param.cols)).next_multiple_of(64);
            }
            if trainable {
                rec.n_trainable = offset;
            }
        }
        rec.arena_len = offset;
        rec.buffers.clear();
        rec
    }

    fn shared_buffers(&mut self, spec: &Spec) -> Shared {
        use Dtype::{F32, U32};
        let p = spec.members;
        let trained = if spec.train_batch == 0 {
            0
        } else {
            p * self.arena_len
        };
        let pixels = self.buffer("pixels", U32, spec.n_samples * spec.row_words());
        let labels = self.buffer("labels", U32, spec.n_samples);
        let norm = self.buffer("normalisation table", F32, p * spec.n_norm * 2);
        let class_weights = self.buffer("class weights", F32, p * spec.classes);
        let rows = self.buffer("member rows", U32, p * size_of::<MemberRow>() / 4);
        let parameters = self.buffer("parameters", F32, p * self.arena_len);
        let averages = (spec.ema && trained > 0)
            .then(|| self.buffer("averages of parameters", F32, p * self.arena_len));
        let grads = self.buffer("gradients", F32, trained);
        let accumulated = match spec.accumulates {
            true => self.buffer("accumulated gradients", F32, trained),
            false => grads,
        };
        Shared {
            pixels,
            labels,
            norm,
            class_weights,
            rows,
            parameters,
            averages,
            grads,
            accumulated,
            state: self.buffer("optimiser state", F32, 2 * trained),
            confusion: self.buffer("confusion counts", U32, p * spec.classes * spec.classes),
        }
    }

    fn pass(
        &mut self,
        spec: &Spec,
        mode: Mode,
        model: &impl Fn(&mut Recorder, Value) -> Value,
    ) -> Pass {
        use Dtype::{F32, U32};
        let (batch, capacity, word) = match mode {
            Mode::Train => (spec.train_batch, spec.train_capacity, "train"),
            _ => (spec.eval_batch, spec.eval_capacity, "eval"),
        };
        self.mode = mode;
        self.batch = batch;
        self.n_dropout = 0;
        self.dispatches.clear();
        self.values.clear();
        self.nodes.clear();
        let p = spec.members;
        let shared = self.shared();
        let indices = self.buffer(&format!("{word} indices"), U32, capacity * p * batch);
        let step_words = size_of::<StepRow>() / 4;
        let steps = self.buffer(&format!("{word} steps"), U32, capacity * p * step_words);
        let samples = self.buffer(&format!("{word} samples"), F32, capacity * p * batch * 2);
        let metrics = self.buffer(&format!("{word} metrics"), F32, capacity * p * 2);
        self.steps = steps;

        if batch == 0 {
            return Pass {
                per_step: Vec::new(),
                per_range: Vec::new(),
                batch,
                capacity: 0,
                indices,
                steps,
                samples,
                metrics,
                head: samples,
                head_offset: 0,
            };
        }
        let x = self.value(&format!("{word} input"), spec.inputs, None, false);
        let gather = Kernel::Gather(Gather {
            members: p as u32,
            batch: batch as u32,
            cols: spec.inputs as u32,
            ld: pad4(spec.inputs) as u32,
            row_words: spec.row_words() as u32,
            n_norm: spec.n_norm as u32,
            norm_span: spec.norm_span as u32,
            floats: u32::from(spec.floats),
        });
        let x_buffer = self.values[x.0].buffer;
        let sources = [shared.pixels, indices, steps, shared.norm, x_buffer];
        self.dispatch(gather, &sources, "input".to_string());
        let y = model(self, x);

        let tables = Tables {
            indices,
            steps,
            samples,
        };
        let head = self.head(y, &tables);
        match mode {
            // With everything frozen there is nothing to move.
            Mode::Train if self.n_trainable == 0 => {}
            Mode::Train => {
                self.fuses_update = self.can_fuse_update(spec, &head);
                if self.fuses_update {
                    self.buffers[shared.grads.0].len = 0;
                }
                self.backward(y, &head);
                self.update(spec);
            }
            _ if spec.regression => {}
            _ => {
                let counts = Kernel::Confusion(Confusion {
                    members: p as u32,
                    batch: batch as u32,
                    classes: spec.classes as u32,
                    ld: pad4(spec.classes) as u32,
                });
                let outputs = self.values[y.0].buffer;
                let operands = [outputs, shared.labels, indices, steps, shared.confusion];
                self.dispatch(counts, &operands, "confusion counts".to_string());
            }
        }
        let reduce = ReduceMetrics {
            members: p as u32,
            batch: batch as u32,
        };
        Pass {
            per_step: std::mem::take(&mut self.dispatches),
            per_range: vec![Dispatch {
                kernel: Kernel::ReduceMetrics(reduce),
                buffers: vec![samples, metrics],
                label: "metrics".to_string(),
            }],
            batch,
            capacity,
            indices,
            steps,
            samples,
            metrics,
            head: head.place().0,
            head_offset: head.place().1,
        }
    }

    /// Whether each gradient can go into the optimiser as it is made: every tensor that trains is a
    /// linear layer's, read by that layer alone, and nobody asks for sums or norms of gradients.
    fn can_fuse_update(&self, spec: &Spec, head: &Head) -> bool {
        if spec.clips || spec.accumulates || spec.stores_grads {
            return false;
        }
        let mut readers = vec![0; self.params.len()];
        if let Head::Fused(fused) = head {
            readers[fused.weight] += 1;
            readers[fused.bias] += 1;
        }
        for node in &self.nodes {
            if let Node::Linear { weight, bias, .. } = node {
                readers[*weight] += 1;
                readers[*bias] += 1;
            }
        }
        let mut trained = self.params.iter().zip(readers).filter(|(p, _)| p.trainable);
        trained.all(|(_, readers)| readers == 1)
    }

    /// The whole optimiser as one dispatch, unless every weight gradient has taken its own along.
    /// Before it, where the spec asks for them, batches are accumulated and the norm to clip by is
    /// reduced; after it norms are bounded and weights averaged.
    fn update(&mut self, spec: &Spec) {
        let Shared {
            rows,
            parameters,
            averages,
            grads: of_batch,
            accumulated: grads,
            state,
            ..
        } = self.shared();
        let members = self.members as u32;
        let n_weights = self
            .params
            .iter()
            .filter(|p| p.trainable && p.is_weight())
            .map(|p| (p.offset + p.rows * pad4(p.cols)).next_multiple_of(64))
            .max()
            .unwrap_or(0);
        let (n, n_weights) = (self.n_trainable as u32, n_weights as u32);
        let stride = self.arena_len as u32;
        if spec.accumulates {
            let sum = Kernel::Accumulate(Accumulate { members, n, stride });
            let operands = [of_batch, self.steps, grads];
            self.dispatch(sum, &operands, "accumulated gradients".into());
        }
        let mut partials = grads;
        let mut n_partials = 0;
        if spec.clips {
            // At most 256 partials, so that every group of the optimiser can add them up itself.
            let n4 = n / 4;
            let span = n4.div_ceil(256).max(1024);
            n_partials = n4.div_ceil(span);
            let len = self.members * n_partials as usize;
            partials = self.buffer("partial squared norms", Dtype::F32, len);
            let norm = GradNorm {
                n,
                n_weights,
                n_partials,
                span,
                stride,
            };
            let operands = [parameters, grads, rows, partials];
            self.dispatch(Kernel::GradNorm(norm), &operands, "gradient norm".into());
        }
        if !self.fuses_update {
            let update = Optimizer {
                members,
                n,
                n_weights,
                n_partials,
                stride,
            };
            let operands = [grads, rows, self.steps, partials, state, parameters];
            self.dispatch(Kernel::Optimizer(update), &operands, "optimiser".into());
        }
        if spec.max_norm {
            let weights = self.params.iter().filter(|p| p.trainable && p.is_weight());
            let bounds: Vec<(MaxNorm, String)> = weights
                .map(|param| {
                    let bound = MaxNorm {
                        members,
                        rows: param.rows as u32,
                        cols: param.cols as u32,
                        ld: pad4(param.cols) as u32,
                        offset: param.offset as u32,
                        stride,
                    };
                    (bound, format!("largest norm of {}", param.name))
                })
                .collect();
            for (bound, label) in bounds {
                let operands = [rows, self.steps, parameters];
                self.dispatch(Kernel::MaxNorm(bound), &operands, label);
            }
        }
        if let Some(averages) = averages {
            let average = Kernel::Ema(Ema { members, n, stride });
            let operands = [parameters, rows, self.steps, averages];
            self.dispatch(average, &operands, "moving average".into());
        }
    }

    /// The parameters that the pass computes with: evaluation takes their averages where it can.
    pub(super) fn weights(&self) -> BufferId {
        let shared = self.shared();
        match (self.mode, shared.averages) {
            (Mode::Eval, Some(averages)) => averages,
            _ => shared.parameters,
        }
    }

    pub(super) fn shared(&self) -> Shared {
        self.shared.expect("set before anything is recorded")
    }

    pub(super) fn buffer(&mut self, label: &str, dtype: Dtype, len: usize) -> BufferId {
        self.buffers.push(Buffer {
            label: label.to_string(),
            dtype,
            len,
        });
        BufferId(self.buffers.len() - 1)
    }

    /// A fresh \[P, B, ld\] matrix of the pass.
    pub(super) fn matrix(&mut self, label: &str, cols: usize) -> BufferId {
        let len = self.members * self.batch * pad4(cols);
        self.buffer(label, Dtype::F32, len)
    }

    pub(super) fn value(
        &mut self,
        label: &str,
        cols: usize,
        activation: Option<(Activation, BufferId)>,
        needs_grad: bool,
    ) -> Value {
        let buffer = self.matrix(label, cols);
        self.values.push(ValueInfo {
            label: label.to_string(),
            cols,
            buffer,
            consumers: 0,
            needs_grad,
            activation,
        });
        Value(self.values.len() - 1)
    }

    pub(super) fn dispatch(&mut self, kernel: Kernel, buffers: &[BufferId], label: String) {
        self.dispatches.push(Dispatch {
            kernel,
            buffers: buffers.to_vec(),
            label,
        });
    }

    pub(super) fn elementwise(&self, cols: usize) -> Elementwise {
        Elementwise {
            rows: self.batch as u32,
            cols: cols as u32,
            ld: pad4(cols) as u32,
        }
    }
}
