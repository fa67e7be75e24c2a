//! The gradient of every operation against central differences, at f64.
//!
//! A model is recorded as any model is, one step is run with a learning rate of zero, and every
//! parameter is then moved a little to see what the loss does.

mod common;

use std::sync::Arc;

use common::{Load, Random};
use gpu_train::cpu::Cpu;
use gpu_train::executor::Executor;
use gpu_train::plan::{
    Activation, Hyper, Loss, OptimizerKind, PassKind, Plan, Recorder, Spec, Value, pad4,
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
}

const PLAIN: Setting = Setting {
    members: 1,
    loss: Loss::CrossEntropy,
    smoothing: 0.0,
};

/// A recorded model with its data, able to say its loss.
struct Bench {
    cpu: Cpu<f64>,
    valid: Vec<u32>,
}

impl Bench {
    fn new(setting: &Setting, model: impl Fn(&mut Recorder, Value) -> Value) -> Bench {
        let p = setting.members;
        let spec = Spec {
            members: p,
            inputs: INPUTS,
            classes: CLASSES,
            n_samples: SAMPLES,
            n_norm: 1,
            norm_span: INPUTS,
            train_batch: BATCH,
            train_capacity: 1,
            eval_batch: BATCH,
            eval_capacity: 1,
            loss: setting.loss,
            clips: false,
        };
        let plan = Arc::new(Plan::record(&spec, model));
        let mut random = Random(7);
        let hypers: Vec<Hyper> = (0..p)
            .map(|member| Hyper {
                lr: 0.0,
                label_smoothing: setting.smoothing * (1 + member) as f64,
                dropout: plan.dropout.clone(),
                seed: 11 + member as u64,
                ..Hyper::new(OptimizerKind::Sgd)
            })
            .collect();
        // One batch is full and the next has a masked row.
        let valid: Vec<u32> = (0..p).map(|member| [3, 4, 2][member % 3]).collect();
        let pixels: Vec<u8> = (0..SAMPLES * INPUTS).map(|_| random.word() as u8).collect();
        let labels: Vec<u32> = (0..SAMPLES).map(|_| random.below(CLASSES as u32)).collect();
        let indices: Vec<u32> = (0..p * BATCH)
            .map(|_| random.below(SAMPLES as u32))
            .collect();
        let mut parameters = vec![0.0f32; p * plan.arena_len];
        for arena in parameters.chunks_exact_mut(plan.arena_len) {
            for param in &plan.params {
                let values: Vec<f32> = (0..param.len()).map(|_| random.signed()).collect();
                param.pack(&values, arena);
            }
        }
        let mut cpu = Cpu::<f64>::new(plan, 1).expect("one thread");
        let load = Load {
            pixels: &pixels,
            labels: &labels,
            norm: [1.0 / 64.0, -2.0],
            rows: &hypers.iter().map(Hyper::row).collect::<Vec<_>>(),
            steps: &hypers
                .iter()
                .zip(&valid)
                .map(|(hyper, &valid)| hyper.step(1, hyper.lr, valid))
                .collect::<Vec<_>>(),
            indices: &indices,
            parameters: &parameters,
        };
        load.upload(&mut cpu, INPUTS);
        Bench { cpu, valid }
    }

    /// One step: the mean loss of each member. The parameters stay as they are.
    fn losses(&mut self) -> Vec<f64> {
        self.cpu.submit(PassKind::Train, 0..1).expect("a step");
        let metrics = self.cpu.collect().expect("metrics").expect("one range");
        let means = metrics.sums.iter().zip(&self.valid);
        means
            .map(|(sums, &valid)| sums[0] / f64::from(valid))
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
        assert_eq!(
            self.cpu.floats(plan.parameters),
            before,
            "{name}: lr is zero"
        );
        let grads = self.cpu.floats(plan.grads).to_vec();
        let mut largest: f64 = 0.0;
        for member in 0..plan.members {
            for param in &plan.params {
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
        for param in &plan.params {
            let ld = pad4(param.cols);
            for row in 0..param.rows {
                let start = param.offset + row * ld;
                is_element[start..start + param.cols].fill(true);
            }
        }
        for (at, grad) in grads.iter().enumerate() {
            assert!(
                is_element[at % plan.arena_len] || *grad == 0.0,
                "{name}: padding at {at}"
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
    for loss in [Loss::CrossEntropy, Loss::Mse] {
        for smoothing in [0.0, 0.1] {
            for members in [1, 3] {
                let setting = Setting {
                    members,
                    loss,
                    smoothing,
                };
                let name = format!("{}, smoothing {smoothing}, P = {members}", loss.name());
                check(&name, &setting, mlp);
            }
        }
    }
}

#[test]
fn a_population() {
    let setting = Setting {
        members: 3,
        loss: Loss::CrossEntropy,
        smoothing: 0.05,
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
