//! A member's bits do not depend on the population it is in, on threads, or on the day.

mod common;

use std::ops::Range;
use std::sync::Arc;

use common::{Load, Random, Samples};
use gpu_train::cpu::Cpu;
use gpu_train::executor::{Executor, RangeMetrics};
use gpu_train::gpu::{Device, Gpu};
use gpu_train::models::Sequential;
use gpu_train::plan::{
    Batch, Hyper, Loss, MemberRow, OptimizerKind, PassKind, Plan, Spec, StepRow,
};
use gpu_train::verify;

const INPUTS: usize = 61;
const CLASSES: usize = 5;
const SAMPLES: usize = 150;
const STEPS: usize = 5;
const LAYERS: &str = "linear:33,relu,dropout:0.25,linear:18,gelu,dropout:0.5";

/// The same with everything else that a layer can be.
const NORMED: &str = "linear:33,batchnorm,relu,dropout:0.25,residual(layernorm,linear:18,gelu,dropout:0.5,linear:33)";

/// Members that differ in everything that a row can say.
fn hypers() -> [Hyper; 3] {
    [
        Hyper {
            lr: 0.01,
            dropout: vec![0.25, 0.5],
            seed: 0x0123_4567_89AB_CDEF,
            label_smoothing: 0.1,
            clip_norm: 0.5,
            max_norm: 0.9,
            huber_delta: 0.3,
            weight_decay: 0.02,
            ..Hyper::new(OptimizerKind::Adamw)
        },
        Hyper {
            lr: 0.05,
            dropout: vec![0.0, 0.1],
            seed: 2,
            l1: 0.001,
            l2: 0.002,
            max_norm: 1.2,
            ..Hyper::new(OptimizerKind::Nesterov)
        },
        Hyper {
            lr: 0.002,
            dropout: vec![0.7, 0.3],
            seed: 3,
            label_smoothing: 0.2,
            clip_norm: 1e3,
            ..Hyper::new(OptimizerKind::Rmsprop)
        },
    ]
}

/// What the members of a run see. Every member has index lists and initial weights of its own, made
/// from its number in the full population.
struct Run {
    batch: usize,
    loss: Loss,
    layers: &'static str,
    /// Norms, residuals, class weights, accumulation, averages, bounded norms, a frozen layer.
    full: bool,
    members: Vec<(usize, Hyper)>,
}

impl Run {
    fn of(batch: usize, hypers: &[Hyper]) -> Run {
        Run {
            batch,
            loss: Loss::CrossEntropy,
            layers: LAYERS,
            full: false,
            members: hypers.iter().cloned().enumerate().collect(),
        }
    }

    /// A run with all that the plan can do.
    fn full(batch: usize, hypers: &[Hyper], loss: Loss) -> Run {
        Run {
            loss,
            layers: NORMED,
            full: true,
            ..Run::of(batch, hypers)
        }
    }

    /// The run that holds one member alone.
    fn alone(&self, member: usize) -> Run {
        Run {
            members: vec![self.members[member].clone()],
            ..*self
        }
    }

    fn plan(&self) -> Arc<Plan> {
        let spec = Spec {
            members: self.members.len(),
            inputs: INPUTS,
            classes: CLASSES,
            n_samples: SAMPLES,
            train_batch: self.batch,
            train_capacity: STEPS,
            eval_batch: self.batch,
            eval_capacity: 1,
            loss: self.loss,
            clips: self.members.iter().any(|(_, hyper)| hyper.clip_norm > 0.0),
            accumulates: self.full,
            max_norm: self.full,
            ema: self.full,
            frozen: if self.full {
                vec!["4.1".to_string()]
            } else {
                Vec::new()
            },
            ..Spec::default()
        };
        let model = Sequential::parse(self.layers, CLASSES).expect("layers");
        Arc::new(Plan::record(&spec, |rec, input| model.forward(rec, input)))
    }

    /// Uploads everything and runs all steps, in two ranges.
    fn train(&self, executor: &mut impl Executor) -> Trained {
        let plan = executor.plan().clone();
        let mut random = Random(99);
        let pixels: Vec<u8> = (0..SAMPLES * INPUTS).map(|_| random.word() as u8).collect();
        let labels: Vec<u32> = (0..SAMPLES).map(|_| random.below(CLASSES as u32)).collect();
        let rows: Vec<MemberRow> = self.members.iter().map(|(_, hyper)| hyper.row()).collect();
        let (mut steps, mut indices) = (Vec::<StepRow>::new(), Vec::new());
        for step in 0..STEPS {
            for (number, hyper) in &self.members {
                // A short batch at the end, shorter for some members.
                let valid = match step {
                    3 => self.batch - 1 - number,
                    _ => self.batch,
                };
                let mut batch = Batch::whole(valid as u32, step as u32 + 1);
                if self.full {
                    // Members go by pairs of batches, not all of them in step.
                    batch.begins = (step + number) % 2 == 0;
                    batch.applies = !batch.begins || step + 1 == STEPS;
                    batch.weight = valid as f64 * (1.0 + 0.25 * *number as f64);
                    batch.update_weight = 2.0 * batch.weight;
                    batch.ema = [0.5, 0.9, 0.0][*number];
                }
                steps.push(hyper.step(step as u64 + 1, hyper.lr, &batch));
                let mut random = Random((1 + step + 100 * number) as u64);
                indices.extend((0..self.batch).map(|_| random.below(SAMPLES as u32)));
            }
        }
        let weights: Vec<f32> = self
            .members
            .iter()
            .flat_map(|(number, _)| {
                let mut random = Random(500 + *number as u64);
                std::array::from_fn::<f32, CLASSES, _>(|_| match self.full {
                    true => 1.5 + random.signed(),
                    false => 1.0,
                })
            })
            .collect();
        let mut parameters = vec![0.0; self.members.len() * plan.arena_len];
        for ((number, _), arena) in self
            .members
            .iter()
            .zip(parameters.chunks_exact_mut(plan.arena_len))
        {
            let mut random = Random(1000 + *number as u64);
            for param in &plan.params {
                let values: Vec<f32> = (0..param.len()).map(|_| random.signed() * 0.3).collect();
                param.pack(&values, arena);
            }
        }
        let load = Load {
            samples: Samples::Bytes(&pixels),
            labels: &labels,
            norm: [1.0 / 255.0, 127.5],
            class_weights: &weights,
            rows: &rows,
            steps: &steps,
            indices: &indices,
            parameters: &parameters,
        };
        load.upload(executor, INPUTS);
        let ranges = [0..2, 2..STEPS];
        for range in ranges.clone() {
            executor.submit(PassKind::Train, range).expect("steps");
        }
        let mut metrics = Vec::new();
        for range in ranges {
            metrics.extend(sums(
                executor.collect().expect("metrics").expect("a range"),
                range,
            ));
        }
        let p = self.members.len();
        let mut tensors = Vec::new();
        for member in 0..p {
            let mut of_member = Vec::new();
            let averages = plan.averages.unwrap_or(plan.parameters);
            for id in [
                plan.parameters,
                plan.state,
                plan.grads,
                plan.train.head,
                averages,
            ] {
                // Gradients are not stored where they go straight into the optimiser.
                if plan.buffer(id).len == 0 {
                    of_member.push(Vec::new());
                    continue;
                }
                let mut words = executor.download(id).expect("download");
                if id == plan.train.head {
                    words.drain(..plan.train.head_offset);
                }
                let stretch = words.len() / p;
                of_member.push(words[member * stretch..][..stretch].to_vec());
            }
            tensors.push(of_member);
        }
        let metrics = (0..p).map(|member| {
            let of_member = metrics.iter().skip(member).step_by(p);
            of_member.copied().collect()
        });
        Trained {
            metrics: metrics.collect(),
            tensors,
            before: parameters,
        }
    }
}

/// The sums' bits, so that equal means equal.
fn sums(metrics: RangeMetrics, range: Range<usize>) -> Vec<[u64; 2]> {
    assert_eq!(metrics.range, range);
    metrics
        .sums
        .iter()
        .map(|pair| pair.map(f64::to_bits))
        .collect()
}

#[derive(PartialEq)]
struct Trained {
    /// \[P\]\[S\]
    metrics: Vec<Vec<[u64; 2]>>,
    /// \[P\]: parameters, optimiser state, gradients, the gradient of the outputs, averages.
    tensors: Vec<Vec<Vec<u32>>>,
    before: Vec<f32>,
}

impl Trained {
    fn loss(&self, member: usize, step: usize) -> f64 {
        f64::from_bits(self.metrics[member][step][0])
    }

    /// Asserts that `member` here and `other_member` there went the same way, bit for bit.
    fn assert_same(&self, member: usize, other: &Trained, other_member: usize, what: &str) {
        assert_eq!(
            self.metrics[member], other.metrics[other_member],
            "{what}: the metrics of member {member}"
        );
        let names = [
            "parameters",
            "optimiser state",
            "gradients",
            "gradient of outputs",
            "averages of parameters",
        ];
        let pairs = self.tensors[member]
            .iter()
            .zip(&other.tensors[other_member]);
        for (name, (a, b)) in names.iter().zip(pairs) {
            // A population whose members clip stores what a member alone need not.
            if *name == "gradients" && (a.is_empty() || b.is_empty()) {
                continue;
            }
            let first = a.iter().zip(b).position(|(a, b)| a != b);
            if let Some(ix) = first {
                panic!(
                    "{what}: {name}[{ix}] of member {member} is {:e} and {:e}",
                    f32::from_bits(a[ix]),
                    f32::from_bits(b[ix])
                );
            }
            assert_eq!(a.len(), b.len());
        }
    }

    fn moved(&self, member: usize) -> bool {
        let now = &self.tensors[member][0];
        let before = &self.before[member * now.len()..][..now.len()];
        now.iter()
            .zip(before)
            .any(|(now, before)| *now != before.to_bits())
    }
}

fn on_cpu(run: &Run, threads: usize) -> Trained {
    let mut cpu = Cpu::<f32>::new(run.plan(), threads).expect("threads");
    assert_eq!(cpu.threads(), threads);
    run.train(&mut cpu)
}

fn on_gpu(run: &Run, device: &Arc<Device>) -> Trained {
    run.train(&mut Gpu::new(run.plan(), device.clone()).expect("pipelines"))
}

/// A population against each of its members alone.
fn check_members(run: &Run, train: impl Fn(&Run) -> Trained, what: &str) {
    let together = train(run);
    for member in 0..3 {
        assert!(
            together.moved(member),
            "{what}: member {member} learns nothing"
        );
        let alone = train(&run.alone(member));
        alone.assert_same(
            0,
            &together,
            member,
            &format!("{what}, batch {}", run.batch),
        );
    }
    assert!(together.tensors[0] != together.tensors[1]);
}

/// The plain run, and the full one with each loss.
fn runs(batch: usize) -> Vec<Run> {
    let full = Loss::ALL.map(|loss| Run::full(batch, &hypers(), loss));
    std::iter::once(Run::of(batch, &hypers()))
        .chain(full)
        .collect()
}

#[test]
fn a_member_is_the_same_alone_on_the_cpu() {
    for batch in [7, 33, 100] {
        for threads in [1, 2] {
            for run in runs(batch) {
                let what = format!("{threads} threads");
                check_members(&run, |run| on_cpu(run, threads), &what);
            }
        }
    }
}

#[test]
fn a_member_is_the_same_alone_on_the_gpu() {
    let device = common::require_device();
    for batch in [7, 33, 100] {
        for run in runs(batch) {
            check_members(&run, |run| on_gpu(run, &device), &device.info.name);
        }
    }
}

#[test]
fn threads_do_not_change_bits() {
    for batch in [1, 16, 33, 100, 129] {
        // A lone member, whose rows are dealt out, and a population.
        let run = Run::of(batch.max(5), &hypers());
        let full = Run::full(batch.max(5), &hypers(), Loss::CrossEntropy);
        for run in [run.alone(1), run, full.alone(2), full] {
            let one = on_cpu(&run, 1);
            for threads in [2, 3, 5] {
                let many = on_cpu(&run, threads);
                for member in 0..run.members.len() {
                    let what = format!("batch {batch}, 1 and {threads} threads");
                    one.assert_same(member, &many, member, &what);
                }
            }
        }
    }
}

#[test]
fn threads_do_not_change_the_bits_of_a_matrix_product() {
    for case in verify::cases_of("matmul") {
        let on = |threads: usize| {
            let mut cpu = Cpu::<f32>::new(case.plan.clone(), threads).expect("threads");
            case.run(&mut cpu).expect("a product")
        };
        let one = on(1);
        for threads in [2, 3, 5] {
            assert!(
                one == on(threads),
                "{}: 1 and {threads} threads",
                case.label
            );
        }
    }
}

#[test]
fn two_gpu_runs_are_the_same() {
    let device = common::require_device();
    let run = Run::full(33, &hypers(), Loss::CrossEntropy);
    let [a, b] = [on_gpu(&run, &device), on_gpu(&run, &device)];
    for member in 0..3 {
        a.assert_same(member, &b, member, "two runs");
    }
    // Nor does it matter that the device is a fresh one.
    let other = common::require_device();
    on_gpu(&run, &other).assert_same(2, &a, 2, "two devices");
}

fn check_frozen(train: impl Fn(&Run) -> Trained) {
    check_frozen_in(&train, |hypers| Run::of(33, hypers));
    check_frozen_in(&train, |hypers| Run::full(33, hypers, Loss::Huber));
}

fn check_frozen_in(train: &impl Fn(&Run) -> Trained, run: impl Fn(&[Hyper]) -> Run) {
    let together = train(&run(&hypers()));
    let mut frozen = hypers();
    frozen[1].active = false;
    let without = train(&run(&frozen));
    assert!(!without.moved(1), "a frozen member's parameters move");
    assert!(
        without.tensors[1][1].iter().all(|&word| word == 0),
        "its state moves"
    );
    for member in [0, 2] {
        without.assert_same(member, &together, member, "beside a frozen member");
    }
}

#[test]
fn a_frozen_member_does_not_move() {
    let device = common::require_device();
    check_frozen(|run| on_cpu(run, 2));
    check_frozen(|run| on_gpu(run, &device));
}

fn check_diverging(train: impl Fn(&Run) -> Trained) {
    let together = train(&Run::of(33, &hypers()));
    let mut wild = hypers();
    wild[1] = Hyper {
        lr: 1e6,
        ..wild[1].clone()
    };
    let beside = train(&Run::of(33, &wild));
    let loss = beside.loss(1, STEPS - 1);
    assert!(
        loss.is_nan() || loss >= 1e3,
        "a learning rate of 1e6 leaves a loss of {loss}"
    );
    for member in [0, 2] {
        beside.assert_same(member, &together, member, "beside a diverging member");
    }
}

#[test]
fn a_diverging_member_disturbs_nobody() {
    let device = common::require_device();
    check_diverging(|run| on_cpu(run, 2));
    check_diverging(|run| on_gpu(run, &device));
}
