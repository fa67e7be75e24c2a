//! Ten-step training runs against PyTorch's, on every executor. See tests/reference/README.md.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{Load, Samples};
use gpu_train::cpu::Cpu;
use gpu_train::executor::{Executor, words};
use gpu_train::gpu::Gpu;
use gpu_train::models::Sequential;
use gpu_train::plan::{Batch, BufferId, Hyper, Loss, OptimizerKind, PassKind, Plan, Spec, StepRow};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    problems: BTreeMap<String, Problem>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Problem {
    shape: [usize; 3],
    classes: usize,
    layers: String,
    batches: Vec<Vec<u32>>,
    #[serde(flatten)]
    data: Data,
    init: BTreeMap<String, Tensor>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Data {
    Pictures {
        labels: Vec<u32>,
        pixels: Vec<Vec<u8>>,
    },
    /// Regression.
    Values {
        samples: Vec<Vec<f32>>,
        targets: Vec<f32>,
        scale: f32,
        centre: f32,
    },
}

impl Data {
    fn len(&self) -> usize {
        match self {
            Data::Pictures { labels, .. } => labels.len(),
            Data::Values { targets, .. } => targets.len(),
        }
    }

    fn is_regression(&self) -> bool {
        matches!(self, Data::Values { .. })
    }
}

/// A weight or a bias, as nested lists.
#[derive(Deserialize)]
#[serde(untagged)]
enum Tensor {
    Matrix(Vec<Vec<f64>>),
    Row(Vec<f64>),
}

impl Tensor {
    fn values(&self) -> Vec<f64> {
        match self {
            Tensor::Matrix(rows) => rows.concat(),
            Tensor::Row(row) => row.clone(),
        }
    }
}

#[derive(Deserialize)]
struct Case {
    name: String,
    problem: String,
    opt: String,
    loss: String,
    hyper: Settings,
    losses: Vec<f64>,
    correct: Vec<f64>,
    #[serde(rename = "final")]
    last: BTreeMap<String, Tensor>,
    average: Option<BTreeMap<String, Tensor>>,
    eval_loss: f64,
}

#[derive(Deserialize)]
struct Settings {
    lr: f64,
    momentum: f64,
    beta1: f64,
    beta2: f64,
    eps: f64,
    alpha: f64,
    weight_decay: f64,
    l1: f64,
    l2: f64,
    clip_norm: f64,
    label_smoothing: f64,
    huber_delta: f64,
    max_norm: f64,
    ema: f64,
    accumulate: usize,
    class_weights: Vec<f32>,
    frozen: Vec<String>,
}

fn reference() -> Reference {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/reference/trajectories.json"
    );
    let text = std::fs::read_to_string(path).expect("the reference is committed");
    let reference: Reference = serde_json::from_str(&text).expect("its format is known");
    assert!(
        reference.cases.len() >= 47,
        "only {} cases",
        reference.cases.len()
    );
    reference
}

fn plan(case: &Case, problem: &Problem) -> Arc<Plan> {
    let inputs = problem.shape.iter().product();
    let batch = problem.batches.iter().map(Vec::len).max().expect("batches");
    let spec = Spec {
        inputs,
        classes: problem.classes,
        n_samples: problem.data.len(),
        train_batch: batch,
        train_capacity: problem.batches.len(),
        eval_batch: problem.data.len(),
        eval_capacity: 1,
        floats: problem.data.is_regression(),
        regression: problem.data.is_regression(),
        accumulates: case.hyper.accumulate > 1,
        max_norm: case.hyper.max_norm > 0.0,
        ema: case.hyper.ema > 0.0,
        frozen: case.hyper.frozen.clone(),
        loss: Loss::from_name(&case.loss).expect("a loss"),
        clips: case.hyper.clip_norm > 0.0,
        ..Spec::default()
    };
    let model = Sequential::parse(&problem.layers, problem.classes).expect("layers");
    Arc::new(Plan::record(&spec, |rec, input| model.forward(rec, input)))
}

fn hyper(case: &Case) -> Hyper {
    let h = &case.hyper;
    Hyper {
        lr: h.lr,
        momentum: h.momentum,
        beta1: h.beta1,
        beta2: h.beta2,
        eps: h.eps,
        alpha: h.alpha,
        weight_decay: h.weight_decay,
        l1: h.l1,
        l2: h.l2,
        clip_norm: h.clip_norm,
        label_smoothing: h.label_smoothing,
        huber_delta: h.huber_delta,
        max_norm: h.max_norm,
        ..Hyper::new(OptimizerKind::from_name(&case.opt).expect("an optimiser"))
    }
}

/// How far a run may be from the reference: losses relative to themselves, final tensors relative
/// to the larger of 1 and their largest magnitude.
struct Tolerance {
    loss: f64,
    tensor: f64,
}

/// The step table: what each batch is of its optimiser step.
fn steps(case: &Case, problem: &Problem, hyper: &Hyper) -> Vec<StepRow> {
    let h = &case.hyper;
    let weight = |batch: &[u32]| -> f64 {
        let weights = batch.iter().map(|&sample| match &problem.data {
            Data::Pictures { labels, .. } if !h.class_weights.is_empty() => {
                f64::from(h.class_weights[labels[sample as usize] as usize])
            }
            _ => 1.0,
        });
        weights.sum()
    };
    let mut rows = Vec::new();
    for (batches, t) in problem.batches.chunks(h.accumulate).zip(1..) {
        let update_weight = batches.iter().map(|batch| weight(batch)).sum();
        for (ix, batch) in batches.iter().enumerate() {
            let batch = Batch {
                weight: weight(batch),
                update_weight,
                begins: ix == 0,
                applies: ix + 1 == batches.len(),
                ema: h.ema,
                ..Batch::whole(batch.len() as u32, rows.len() as u32)
            };
            rows.push(hyper.step(t, hyper.lr, &batch));
        }
    }
    rows
}

/// Runs a case; the largest deviations as fractions of the tolerance (loss, tensor).
fn replay(
    name: &str,
    executor: &mut impl Executor,
    case: &Case,
    problem: &Problem,
    tolerance: &Tolerance,
) -> (f64, f64) {
    let plan = Arc::new(executor.plan().clone());
    let n_steps = problem.batches.len();
    let hyper = hyper(case);
    let steps = steps(case, problem, &hyper);
    let mut indices = vec![0; n_steps * plan.train.batch];
    for (row, batch) in indices
        .chunks_exact_mut(plan.train.batch)
        .zip(&problem.batches)
    {
        row[..batch.len()].copy_from_slice(batch);
    }
    let mut parameters = vec![0.0; plan.arena_len];
    for param in &plan.params {
        let values: Vec<f32> = problem.init[&param.name]
            .values()
            .into_iter()
            .map(|x| x as f32)
            .collect();
        param.pack(&values, &mut parameters);
    }
    let (pixels, samples, labels, norm);
    let load = Load {
        samples: match &problem.data {
            Data::Pictures { pixels: rows, .. } => {
                pixels = rows.concat();
                Samples::Bytes(&pixels)
            }
            Data::Values { samples: rows, .. } => {
                samples = rows.concat();
                Samples::Floats(&samples)
            }
        },
        labels: match &problem.data {
            Data::Pictures { labels, .. } => {
                norm = [1.0 / 255.0, 0.0];
                labels
            }
            Data::Values {
                targets,
                scale,
                centre,
                ..
            } => {
                norm = [*scale, *centre];
                labels = targets.iter().map(|t| t.to_bits()).collect::<Vec<u32>>();
                &labels
            }
        },
        norm,
        class_weights: &case.hyper.class_weights,
        rows: &[hyper.row()],
        steps: &steps,
        indices: &indices,
        parameters: &parameters,
    };
    load.upload(executor, problem.shape.iter().product());
    executor.submit(PassKind::Train, 0..n_steps).expect("steps");
    let metrics = executor.collect().expect("metrics").expect("one range");
    let mut worst: (f64, f64) = (0.0, 0.0);
    for (step, sums) in metrics.sums.iter().enumerate() {
        let loss = sums[0] / problem.batches[step].len() as f64;
        let want = case.losses[step];
        let off = (loss - want).abs() / want;
        worst.0 = worst.0.max(off / tolerance.loss);
        assert!(
            off <= tolerance.loss,
            "{}: step {step}: the loss on {name} is {loss}, the reference has {want}: off by {off:.2e} of it",
            case.name
        );
        // Squared errors, in regression: twice a residual's relative error.
        let off = (sums[1] - case.correct[step]).abs() / case.correct[step].max(1.0);
        let allowed = match problem.data.is_regression() {
            true => 4.0 * tolerance.loss,
            false => 0.0,
        };
        assert!(
            off <= allowed,
            "{}: step {step} on {name}: {} correct, or squared error, for {}",
            case.name,
            sums[1],
            case.correct[step]
        );
    }
    let mut compare = |id: BufferId, reference: &BTreeMap<String, Tensor>| {
        let arena = common::download(executor, id);
        assert_eq!(reference.len(), plan.params.len());
        for param in &plan.params {
            let want = reference[&param.name].values();
            let got = param.unpack(&arena);
            assert_eq!(got.len(), want.len());
            let scale = want.iter().fold(1.0f64, |m, x| m.max(x.abs()));
            for (ix, (&got, &want)) in got.iter().zip(&want).enumerate() {
                let off = (f64::from(got) - want).abs() / scale;
                worst.1 = worst.1.max(off / tolerance.tensor);
                assert!(
                    off <= tolerance.tensor,
                    "{}: {}[{ix}] on {name} is {got}, the reference has {want}: off by {off:.2e}",
                    case.name,
                    param.name
                );
            }
        }
    };
    compare(plan.parameters, &case.last);
    assert_eq!(plan.averages.is_some(), case.average.is_some());
    if let (Some(id), Some(reference)) = (plan.averages, &case.average) {
        compare(id, reference);
    }
    let loss = evaluate(executor, problem.data.len());
    let off = (loss - case.eval_loss).abs() / case.eval_loss;
    worst.0 = worst.0.max(off / tolerance.loss);
    assert!(
        off <= tolerance.loss,
        "{}: the evaluation's loss on {name} is {loss}, the reference has {}: off by {off:.2e} of it",
        case.name,
        case.eval_loss
    );
    worst
}

/// The mean loss of all samples, by the evaluation pass.
fn evaluate(executor: &mut impl Executor, n_samples: usize) -> f64 {
    let plan = Arc::new(executor.plan().clone());
    let indices: Vec<u32> = (0..n_samples as u32).collect();
    let steps = [StepRow {
        valid: n_samples as u32,
        ..StepRow::default()
    }];
    executor
        .upload(plan.eval.indices, 0, &indices)
        .expect("upload");
    executor
        .upload(plan.eval.steps, 0, words(&steps))
        .expect("upload");
    executor.submit(PassKind::Eval, 0..1).expect("a step");
    let metrics = executor.collect().expect("metrics").expect("one range");
    metrics.sums[0][0] / n_samples as f64
}

fn report(name: &str, worst: &[(f64, f64)]) {
    let loss = worst.iter().fold(0.0f64, |m, w| m.max(w.0));
    let tensor = worst.iter().fold(0.0f64, |m, w| m.max(w.1));
    println!("{name}: worst loss {loss:.3}, worst tensor {tensor:.3} of the tolerance");
}

/// f32: a loss passes through some 30 roundings a step (two or three products of up to 13 terms, an
/// exponential, a logarithm), and the weights it is computed from carry those of the steps before:
/// 32 u = 2e-6. A weight's own steps add their roundings up, ten times 8 u = 5e-6.
const F32: Tolerance = Tolerance {
    loss: 2e-6,
    tensor: 5e-6,
};

/// f64: what is left is that hyper-parameters and step sizes are f32, off by up to u = 6e-8 each.
const F64: Tolerance = Tolerance {
    loss: 1e-6,
    tensor: 1e-6,
};

#[test]
fn cpu_f64() {
    let reference = reference();
    let mut worst = Vec::new();
    for case in &reference.cases {
        let problem = &reference.problems[&case.problem];
        let mut cpu = Cpu::<f64>::new(plan(case, problem), 1).expect("one thread");
        worst.push(replay("cpu f64", &mut cpu, case, problem, &F64));
    }
    report("cpu f64", &worst);
}

#[test]
fn cpu_f32() {
    let reference = reference();
    let mut worst = Vec::new();
    for case in &reference.cases {
        let problem = &reference.problems[&case.problem];
        let mut cpu = Cpu::<f32>::new(plan(case, problem), 2).expect("two threads");
        worst.push(replay("cpu f32", &mut cpu, case, problem, &F32));
    }
    report("cpu f32", &worst);
}

#[test]
fn gpu() {
    let device = common::require_device();
    let name = device.info.name.clone();
    let reference = reference();
    let mut worst = Vec::new();
    for case in &reference.cases {
        let problem = &reference.problems[&case.problem];
        let mut gpu = Gpu::new(plan(case, problem), device.clone()).expect("pipelines");
        worst.push(replay(&name, &mut gpu, case, problem, &F32));
    }
    report(&name, &worst);
}
