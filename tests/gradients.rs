//! The gradient of every operation against central differences, at f64.
//!
//! A model is recorded as any model is, one step is run with a learning rate of zero, and every
//! parameter is then moved a little to see what the loss does.

mod common;

use std::sync::Arc;

use common::{Load, Random, Samples};
use gpu_train::cpu::Cpu;
use gpu_train::executor::Executor;
use gpu_train::models::Sequential;
use gpu_train::plan::{
    Activation, Batch, Hyper, Loss, OptimizerKind, PassKind, Plan, Recorder, Role, Spec, StepRow,
    Value, pad4,
};

const INPUTS: usize = 5;
const CLASSES: usize = 3;
const BATCH: usize = 4;
const SAMPLES: usize = 6;

/// Distance of the differences. The five-point formula is off by h^4 |f^(5)| / 30, about 1e-17
/// here, and by the loss's own rounding over h, about 1e-12.
const STEP: f64 = 1e-4;
const TOLERANCE: f64 = 1e-9;

struct Setting {
    members: usize,
    loss: Loss,
    smoothing: f64,
    /// Class weights that differ, and an optimiser step of more than this batch.
    weighted: bool,
    /// One f32 target a sample, of f32 samples.
    regression: bool,
    frozen: &'static [&'static str],
}

const PLAIN: Setting = Setting {
    members: 1,
    loss: Loss::CrossEntropy,
    smoothing: 0.0,
    weighted: false,
    regression: false,
    frozen: &[],
};

/// A recorded model with its data, able to say its loss.
struct Bench {
    cpu: Cpu<f64>,
    steps: Vec<StepRow>,
}

impl Bench {
    fn new(setting: &Setting, model: impl Fn(&mut Recorder, Value) -> Value) -> Bench {
        let p = setting.members;
        let spec = Spec {
            members: p,
            inputs: INPUTS,
            classes: if setting.regression { 1 } else { CLASSES },
            n_samples: SAMPLES,
            train_batch: BATCH,
            train_capacity: 1,
            eval_batch: BATCH,
            eval_capacity: 1,
            loss: setting.loss,
            floats: setting.regression,
            regression: setting.regression,
            accumulates: setting.weighted,
            stores_grads: true,
            frozen: setting.frozen.iter().map(|name| name.to_string()).collect(),
            ..Spec::default()
        };
        let plan = Arc::new(Plan::record(&spec, model));
        let mut random = Random(7);
        let hypers: Vec<Hyper> = (0..p)
            .map(|member| Hyper {
                lr: 0.0,
                label_smoothing: setting.smoothing * (1 + member) as f64,
                dropout: plan.dropout.clone(),
                seed: 11 + member as u64,
                huber_delta: 0.57 + 0.9 * member as f64,
                ..Hyper::new(OptimizerKind::Sgd)
            })
            .collect();
        // One batch is full and the next has a masked row.
        let valid: Vec<u32> = (0..p).map(|member| [3, 4, 2][member % 3]).collect();
        let pixels: Vec<u8> = (0..SAMPLES * INPUTS).map(|_| random.word() as u8).collect();
        let values: Vec<f32> = (0..SAMPLES * INPUTS).map(|_| random.signed()).collect();
        let labels: Vec<u32> = (0..SAMPLES)
            .map(|_| match setting.regression {
                true => random.signed().to_bits(),
                false => random.below(CLASSES as u32),
            })
            .collect();
        let class_weights: Vec<f32> = (0..p * spec.classes)
            .map(|_| match setting.weighted {
                true => 1.5 + random.signed(),
                false => 1.0,
            })
            .collect();
        let indices: Vec<u32> = (0..p * BATCH)
            .map(|_| random.below(SAMPLES as u32))
            .collect();
        let mut parameters = vec![0.0f32; p * plan.arena_len];
        for arena in parameters.chunks_exact_mut(plan.arena_len) {
            for param in &plan.params {
                let draw = |_| match param.role {
                    Role::RunningVar => 1.1 + random.signed(),
                    _ => random.signed(),
                };
                let values: Vec<f32> = (0..param.len()).map(draw).collect();
                param.pack(&values, arena);
            }
        }
        let step = |member: usize| {
            let valid = valid[member] as usize;
            let samples = &indices[member * BATCH..][..valid];
            let weight = |&sample: &u32| match setting.regression {
                true => 1.0,
                false => {
                    let class = labels[sample as usize] as usize;
                    f64::from(class_weights[member * CLASSES + class])
                }
            };
            let weight: f64 = samples.iter().map(weight).sum();
            let batch = Batch {
                weight,
                update_weight: weight * if setting.weighted { 1.7 } else { 1.0 },
                ..Batch::whole(valid as u32, 1)
            };
            hypers[member].step(1, 0.0, &batch)
        };
        let steps: Vec<StepRow> = (0..p).map(step).collect();
        let mut cpu = Cpu::<f64>::new(plan, 1).expect("one thread");
        let load = Load {
            samples: match setting.regression {
                true => Samples::Floats(&values),
                false => Samples::Bytes(&pixels),
            },
            labels: &labels,
            norm: match setting.regression {
                true => [2.0, 0.25],
                false => [1.0 / 64.0, 128.0],
            },
            class_weights: &class_weights,
            rows: &hypers.iter().map(Hyper::row).collect::<Vec<_>>(),
            steps: &steps,
            indices: &indices,
            parameters: &parameters,
        };
        load.upload(&mut cpu, INPUTS);
        Bench { cpu, steps }
    }

    /// One step: what each member's gradients are of. That is its mean loss, with the scales of its
    /// samples as f32 has them, which a step table holds. The parameters stay as they are.
    fn losses(&mut self) -> Vec<f64> {
        self.cpu.submit(PassKind::Train, 0..1).expect("a step");
        let metrics = self.cpu.collect().expect("metrics").expect("one range");
        let steps = metrics.sums.iter().zip(&self.steps);
        steps
            .map(|(sums, step)| sums[0] / f64::from(step.loss_scale) * f64::from(step.grad_scale))
            .collect()
    }

    /// Every parameter's gradient, as recorded and by differences.
    fn check(&mut self, name: &str) {
        let plan = Arc::new(self.cpu.plan().clone());
        let before = self.cpu.floats(plan.parameters).to_vec();
        let losses = self.losses();
        assert!(
            losses.iter().all(|loss| *loss > 0.0),
            "{name}: losses {losses:?}"
        );
        let after = self.cpu.floats(plan.parameters);
        let arenas = after
            .chunks(plan.arena_len)
            .zip(before.chunks(plan.arena_len));
        for (after, before) in arenas {
            let trainable = ..plan.n_trainable;
            assert_eq!(after[trainable], before[trainable], "{name}: lr is zero");
        }
        let grads = self.cpu.floats(plan.grads).to_vec();
        let mut largest: f64 = 0.0;
        for member in 0..plan.members {
            for param in plan.params.iter().filter(|param| param.trainable) {
                for element in 0..param.len() {
                    let (row, col) = (element / param.cols, element % param.cols);
                    let at = member * plan.arena_len + param.offset + row * pad4(param.cols) + col;
                    let mut loss_at = |delta: f64| -> f64 {
                        let mut moved = before.clone();
                        moved[at] += delta;
                        self.cpu.set_floats(plan.parameters, &moved);
                        let moved = self.losses();
                        for other in (0..plan.members).filter(|&other| other != member) {
                            assert_eq!(moved[other], losses[other], "{name}: members are apart");
                        }
                        moved[member]
                    };
                    let near = loss_at(STEP) - loss_at(-STEP);
                    let far = loss_at(2.0 * STEP) - loss_at(-2.0 * STEP);
                    let want = (8.0 * near - far) / (12.0 * STEP);
                    largest = largest.max(want.abs());
                    assert!(
                        (grads[at] - want).abs() <= TOLERANCE * want.abs().max(1.0),
                        "{name}: member {member}, {} [{row}, {col}]: the gradient is {} and the loss moves by {want}",
                        param.name,
                        grads[at]
                    );
                }
            }
        }
        assert!(
            largest > 1e-3,
            "{name}: every gradient is next to zero, which tests nothing"
        );
        // Padding stays zero, or it would leak into products.
        let mut is_element = vec![false; plan.arena_len];
        for param in plan.params.iter().filter(|param| param.trainable) {
            let ld = pad4(param.cols);
            for row in 0..param.rows {
                let start = param.offset + row * ld;
                is_element[start..start + param.cols].fill(true);
            }
        }
        for (at, grad) in grads.iter().enumerate() {
            assert!(
                is_element[at % plan.arena_len] || *grad == 0.0,
                "{name}: padding, or what is frozen, at {at}"
            );
        }
    }
}

fn check(name: &str, setting: &Setting, model: impl Fn(&mut Recorder, Value) -> Value) {
    Bench::new(setting, model).check(name);
}

use Activation::{Gelu, LeakyRelu, None as Linear, Relu, Sigmoid, Tanh};

/// y = f(x) + x: the gradient of x has two contributions.
#[test]
fn fan_in() {
    check("f(x) + x", &PLAIN, |rec, input| {
        let x = rec.linear(input, "0", 6, Linear);
        let f = rec.linear(x, "1", 6, Tanh);
        let sum = rec.add(f, x);
        rec.linear(sum, "2", CLASSES, Linear)
    });
    check("x + f(x), x an activation", &PLAIN, |rec, input| {
        let x = rec.linear(input, "0", 6, Sigmoid);
        let f = rec.linear(x, "1", 6, Relu);
        let sum = rec.add(x, f);
        rec.linear(sum, "2", CLASSES, Linear)
    });
    check("x + x", &PLAIN, |rec, input| {
        let x = rec.linear(input, "0", CLASSES, Tanh);
        rec.add(x, x)
    });
    check("input + f(input)", &PLAIN, |rec, input| {
        let f = rec.linear(input, "0", INPUTS, Tanh);
        let sum = rec.add(input, f);
        rec.linear(sum, "1", CLASSES, Linear)
    });
}

/// Fused forward into the layer that makes it, and backward into the layer that reads it.
#[test]
fn activations_fused_into_linear() {
    for act in Activation::NAMED.into_iter().chain([Linear]) {
        check(&format!("linear + {act}"), &PLAIN, |rec, input| {
            let x = rec.linear(input, "0", 7, act);
            let x = rec.linear(x, "1", 6, act);
            rec.linear(x, "2", CLASSES, Linear)
        });
        check(
            &format!("linear + {act} as the output"),
            &PLAIN,
            |rec, input| {
                let x = rec.linear(input, "0", 7, Tanh);
                rec.linear(x, "1", CLASSES, act)
            },
        );
    }
}

#[test]
fn activations_on_their_own() {
    for act in Activation::NAMED {
        check(&format!("{act} of a sum"), &PLAIN, |rec, input| {
            let a = rec.linear(input, "0", 6, Linear);
            let b = rec.linear(input, "1", 6, Tanh);
            let sum = rec.add(a, b);
            let x = rec.activation(sum, act);
            rec.linear(x, "2", CLASSES, Linear)
        });
        check(&format!("{act} with two readers"), &PLAIN, |rec, input| {
            let x = rec.linear(input, "0", 6, Linear);
            let y = rec.activation(x, act);
            let a = rec.linear(y, "1", CLASSES, Linear);
            let b = rec.linear(y, "2", CLASSES, Tanh);
            rec.add(a, b)
        });
        check(&format!("{act} of an activation"), &PLAIN, |rec, input| {
            let x = rec.linear(input, "0", 6, Sigmoid);
            let y = rec.activation(x, act);
            let z = rec.activation(y, Tanh);
            rec.linear(z, "1", CLASSES, Linear)
        });
        check(&format!("{act} of the input"), &PLAIN, |rec, input| {
            let x = rec.activation(input, act);
            rec.linear(x, "0", CLASSES, Linear)
        });
    }
}

#[test]
fn dropout() {
    check("dropout after relu", &PLAIN, |rec, input| {
        let x = rec.linear(input, "0", 9, Relu);
        let x = rec.dropout(x, 0.5);
        rec.linear(x, "1", CLASSES, Linear)
    });
    check(
        "dropout after gelu and of the input",
        &PLAIN,
        |rec, input| {
            let x = rec.dropout(input, 0.25);
            let x = rec.linear(x, "0", 9, Gelu);
            let x = rec.dropout(x, 0.5);
            rec.linear(x, "1", CLASSES, Linear)
        },
    );
    check("dropout beside its own input", &PLAIN, |rec, input| {
        let x = rec.linear(input, "0", 9, Tanh);
        let y = rec.dropout(x, 0.5);
        let sum = rec.add(x, y);
        rec.linear(sum, "1", CLASSES, Linear)
    });
    check("dropout of the output", &PLAIN, |rec, input| {
        let x = rec.linear(input, "0", CLASSES, LeakyRelu);
        rec.dropout(x, 0.4)
    });
}

#[test]
fn three_readers() {
    check("two linear layers and a sum", &PLAIN, |rec, input| {
        let x = rec.linear(input, "0", 6, Tanh);
        let a = rec.linear(x, "1", 6, Relu);
        let b = rec.linear(x, "2", 6, Linear);
        let sum = rec.add(a, b);
        let sum = rec.add(sum, x);
        rec.linear(sum, "3", CLASSES, Linear)
    });
    check("three linear layers", &PLAIN, |rec, input| {
        let x = rec.linear(input, "0", 6, LeakyRelu);
        let a = rec.linear(x, "1", CLASSES, Linear);
        let b = rec.linear(x, "2", CLASSES, Tanh);
        let c = rec.linear(x, "3", CLASSES, Sigmoid);
        let sum = rec.add(a, b);
        rec.add(sum, c)
    });
    check(
        "a sum, an activation and a dropout",
        &PLAIN,
        |rec, input| {
            let x = rec.linear(input, "0", 6, Sigmoid);
            let a = rec.activation(x, Tanh);
            let b = rec.dropout(x, 0.3);
            let sum = rec.add(a, b);
            let sum = rec.add(x, sum);
            rec.linear(sum, "1", CLASSES, Linear)
        },
    );
}

#[test]
fn tied_weights() {
    check("one layer twice", &PLAIN, |rec, input| {
        let x = rec.linear(input, "0", 6, Linear);
        let x = rec.linear(x, "1", 6, Tanh);
        let x = rec.linear(x, "1", 6, Sigmoid);
        rec.linear(x, "2", CLASSES, Linear)
    });
    check("one layer three times", &PLAIN, |rec, input| {
        let x = rec.linear(input, "0", INPUTS, Tanh);
        let x = rec.linear(x, "0", INPUTS, Gelu);
        let x = rec.linear(x, "0", INPUTS, Linear);
        rec.linear(x, "1", CLASSES, Linear)
    });
}

/// A branch that nothing reads has no gradient, and takes none from what it reads.
#[test]
fn an_unused_branch() {
    let model = |rec: &mut Recorder, input: Value| {
        let x = rec.linear(input, "0", 6, Tanh);
        let unused = rec.linear(x, "unused", 4, Relu);
        rec.dropout(unused, 0.5);
        rec.linear(x, "1", CLASSES, Linear)
    };
    check("an unused branch", &PLAIN, model);
    let mut bench = Bench::new(&PLAIN, model);
    bench.losses();
    let plan = bench.cpu.plan().clone();
    let grads = bench.cpu.floats(plan.grads);
    let unused = plan.params.iter().find(|p| p.name == "unused.weight");
    let unused = unused.expect("it was declared");
    let stretch = &grads[unused.offset..][..unused.rows * pad4(unused.cols)];
    assert!(stretch.iter().all(|&g| g == 0.0));
}

#[test]
fn losses() {
    let mlp = |rec: &mut Recorder, input: Value| {
        let x = rec.linear(input, "0", 6, Tanh);
        rec.linear(x, "1", CLASSES, Linear)
    };
    for loss in Loss::ALL {
        for (smoothing, weighted) in [(0.0, false), (0.1, false), (0.0, true), (0.1, true)] {
            for members in [1, 3] {
                let setting = Setting {
                    members,
                    loss,
                    smoothing,
                    weighted,
                    ..PLAIN
                };
                let weights = if weighted { ", weighted" } else { "" };
                let name = format!(
                    "{}, smoothing {smoothing}{weights}, P = {members}",
                    loss.name()
                );
                check(&name, &setting, mlp);
            }
        }
    }
}

#[test]
fn regression() {
    for loss in [Loss::Mse, Loss::Mae, Loss::Huber] {
        for members in [1, 3] {
            let setting = Setting {
                members,
                loss,
                regression: true,
                ..PLAIN
            };
            let name = format!("regression, {}, P = {members}", loss.name());
            check(&name, &setting, |rec, input| {
                let x = rec.linear(input, "0", 6, Tanh);
                rec.linear(x, "1", 1, Linear)
            });
        }
    }
}

/// A population of three, so that members have four, three and two valid rows.
const THREE: Setting = Setting {
    members: 3,
    ..PLAIN
};

#[test]
fn batch_norm() {
    check("batchnorm of a layer", &THREE, |rec, input| {
        let x = rec.linear(input, "0", 6, Linear);
        let x = rec.batch_norm(x, "1");
        let x = rec.activation(x, Tanh);
        rec.linear(x, "2", CLASSES, Linear)
    });
    check("batchnorm of an activation", &THREE, |rec, input| {
        let x = rec.linear(input, "0", 7, Sigmoid);
        let x = rec.batch_norm(x, "1");
        rec.linear(x, "2", CLASSES, Linear)
    });
    check(
        "batchnorm of the input and of the output",
        &THREE,
        |rec, input| {
            let x = rec.batch_norm(input, "0");
            let x = rec.linear(x, "1", CLASSES, Tanh);
            rec.batch_norm(x, "2")
        },
    );
    check("batchnorm beside its own input", &THREE, |rec, input| {
        let x = rec.linear(input, "0", 6, Tanh);
        let y = rec.batch_norm(x, "1");
        let sum = rec.add(x, y);
        rec.linear(sum, "2", CLASSES, Linear)
    });
    check("one batchnorm twice", &THREE, |rec, input| {
        let x = rec.linear(input, "0", 6, Linear);
        let x = rec.batch_norm(x, "1");
        let x = rec.linear(x, "2", 6, Tanh);
        let x = rec.batch_norm(x, "1");
        rec.linear(x, "3", CLASSES, Linear)
    });
}

#[test]
fn layer_norm() {
    check("layernorm of a layer", &THREE, |rec, input| {
        let x = rec.linear(input, "0", 6, Linear);
        let x = rec.layer_norm(x, "1");
        let x = rec.activation(x, Tanh);
        rec.linear(x, "2", CLASSES, Linear)
    });
    check(
        "layernorm of the input and of the output",
        &THREE,
        |rec, input| {
            let x = rec.layer_norm(input, "0");
            let x = rec.linear(x, "1", CLASSES, Tanh);
            rec.layer_norm(x, "2")
        },
    );
    check(
        "one layernorm twice, beside its own input",
        &THREE,
        |rec, input| {
            let x = rec.linear(input, "0", 6, Sigmoid);
            let y = rec.layer_norm(x, "1");
            let sum = rec.add(x, y);
            let x = rec.layer_norm(sum, "1");
            rec.linear(x, "2", CLASSES, Linear)
        },
    );
}

/// The notation's residual blocks, nested.
#[test]
fn residual_blocks() {
    let text = "linear:6,tanh,residual(layernorm,linear:8,gelu,residual(linear:8,sigmoid),linear:6),batchnorm";
    let model = Sequential::parse(text, CLASSES).expect("layers");
    check("residual blocks", &THREE, |rec, input| {
        model.forward(rec, input)
    });
    let model = Sequential::parse("residual(linear:5,tanh),relu", CLASSES).expect("layers");
    check("a block of the input", &PLAIN, |rec, input| {
        model.forward(rec, input)
    });
}

/// Frozen layers pass gradients on and get none; below the lowest layer that trains nothing is done.
#[test]
fn frozen_layers() {
    let text = "linear:7,batchnorm,tanh,layernorm,linear:6,relu,residual(linear:6,batchnorm)";
    let model = Sequential::parse(text, CLASSES).expect("layers");
    for (frozen, backward) in [
        (&["4"][..], 11),
        (&["1", "3", "6.0"], 11),
        (&["6.1", "7"], 11),
        (&["0", "1", "3", "4"], 3),
        (&["0", "1", "3", "4", "6"], 1),
    ] {
        let setting = Setting { frozen, ..THREE };
        check(&format!("frozen {frozen:?}"), &setting, |rec, input| {
            model.forward(rec, input)
        });
        let bench = Bench::new(&setting, |rec, input| model.forward(rec, input));
        let plan = bench.cpu.plan();
        let labels: Vec<&str> = plan
            .train
            .per_step
            .iter()
            .map(|d| d.label.as_str())
            .collect();
        let head = labels
            .iter()
            .position(|label| label.ends_with("cross-entropy"));
        let count = labels.len() - head.expect("a loss") - 2;
        assert_eq!(count, backward, "frozen {frozen:?}: {labels:#?}");
    }
}

#[test]
fn a_population() {
    let setting = Setting {
        members: 3,
        smoothing: 0.05,
        ..PLAIN
    };
    check("everything, P = 3", &setting, |rec, input| {
        let x = rec.linear(input, "0", 6, Gelu);
        let y = rec.dropout(x, 0.4);
        let a = rec.linear(y, "1", 6, Relu);
        let b = rec.linear(x, "2", 6, Sigmoid);
        let sum = rec.add(a, b);
        let sum = rec.add(sum, x);
        let z = rec.activation(sum, LeakyRelu);
        rec.linear(z, "3", CLASSES, Linear)
    });
}
