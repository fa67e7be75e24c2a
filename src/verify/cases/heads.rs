//! What stands at the two ends of a model: gathering a batch, the losses, and their counts.
//!
//! Bounds by [`crate::verify::bounded`]: gather rounds twice; a loss is a sum of C terms, gamma_C,
//! with exp's 3 + 2 |z| ulp each and log's 2^-21, times a weight and a scale; counts are integers
//! and exact.

use super::{Builder, Case, Random, STALE, hypers};
use crate::gpu::shader::SHADERS;
use crate::plan::{
    Activation, Batch, BufferId, Confusion, ErrorKind, Gather, Hyper, Kernel, LinearXent, LossHead,
    MemberRow, OptimizerKind, ReduceMetrics, StepRow, Targets, pad4,
};

/// The valid count of a step differs from member to member, and is often short of the batch.
fn step(random: &mut Random, batch: usize) -> StepRow {
    let valid = match random.below(3) {
        0 => batch as u32,
        _ => 1 + random.below(batch),
    };
    // Class weights that sum to something else than the number of samples.
    let weight = f64::from(valid) * (0.5 + f64::from(random.unit()));
    let batch = Batch {
        weight,
        update_weight: 3.0 * weight,
        ..Batch::whole(valid, random.word())
    };
    Hyper::new(OptimizerKind::Sgd).step(1, 0.1, &batch)
}

pub fn gather() -> Vec<Case> {
    let mut cases = Vec::new();
    // (batch, inputs, entries of the normalisation table, inputs that share one)
    let shapes: [(usize, usize, usize, usize); 6] = [
        (1, 1, 1, 1),
        (7, 13, 1, 13),
        (33, 784, 1, 784),
        (5, 12, 3, 4),
        (4, 13, 13, 1),
        (3, 27, 3, 9),
    ];
    for (batch, cols, n_norm, norm_span) in shapes {
        for (members, floats) in [(1, false), (3, false), (1, true), (3, true)] {
            let build = Builder::new(members, (batch * 1000 + cols) as u64);
            let mut build = build.steps_of(3, 1..2);
            let row_words = if floats { pad4(cols) } else { cols.div_ceil(4) };
            let n_samples = 11;
            // Bytes and words behind a sample's last input hold anything.
            let words = (0..n_samples * row_words).map(|ix| match floats {
                true if ix % row_words < cols => build.random.signed(1e3).to_bits(),
                _ => build.random.word(),
            });
            let words = words.collect();
            let pixels = build.words("pixels", words);
            let indices = build.indices(batch, n_samples);
            let steps = build.steps(|random| step(random, batch));
            let table: Vec<f32> = (0..members * n_norm)
                .flat_map(|_| [build.random.unit() / 64.0, build.random.signed(90.0)])
                .collect();
            let norm = build.floats("normalisation table", &table);
            let x = build.stale("x", batch, cols);
            let kernel = Kernel::Gather(Gather {
                members: members as u32,
                batch: batch as u32,
                cols: cols as u32,
                ld: pad4(cols) as u32,
                row_words: row_words as u32,
                n_norm: n_norm as u32,
                norm_span: norm_span as u32,
                floats: u32::from(floats),
            });
            let of = if floats { "f32 " } else { "" };
            let label = format!("{of}{batch}x{cols}, table of {n_norm}");
            cases.push(build.case(label, kernel, &[pixels, indices, steps, norm, x]));
        }
    }
    cases
}

/// What a loss head's case asks of it.
#[derive(Clone, Copy)]
struct Head {
    /// `None` is cross-entropy.
    error: Option<ErrorKind>,
    batch: usize,
    classes: usize,
    members: usize,
    mode: Mode,
    targets: Targets,
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    /// Trains without smoothing and with equal class weights.
    Plain,
    Smoothed,
    /// Smoothing and class weights, one of them zero.
    Weighted,
    /// Evaluates, which neither may touch.
    Eval,
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(match self {
            Mode::Plain => "",
            Mode::Smoothed => ", smoothed",
            Mode::Weighted => ", weighted",
            Mode::Eval => ", eval",
        })
    }
}

const MODES: [Mode; 4] = [Mode::Plain, Mode::Smoothed, Mode::Weighted, Mode::Eval];

fn smoothed_steps(build: &mut Builder, hypers: &[Hyper], mode: Mode, batch: usize) -> BufferId {
    let mut of_member = hypers.iter().cycle();
    build.steps(|random| StepRow {
        label_smoothing: match (mode, of_member.next()) {
            (Mode::Plain, _) | (_, None) => 0.0,
            (_, Some(hyper)) => hyper.label_smoothing as f32,
        },
        ..step(random, batch)
    })
}

/// \[P, C\]
fn class_weights(build: &mut Builder, classes: usize, mode: Mode) -> BufferId {
    let weights: Vec<f32> = (0..build.members() * classes)
        .map(|ix| match mode {
            Mode::Plain | Mode::Smoothed => 1.0,
            _ if ix % 5 == 3 => 0.0,
            _ => build.random.unit() * 4.0,
        })
        .collect();
    build.floats("class weights", &weights)
}

pub fn softmax_xent() -> Vec<Case> {
    let mut cases = Vec::new();
    for (batch, classes) in [(1, 1), (7, 2), (65, 10), (5, 1000)] {
        for members in [1, 3] {
            for mode in MODES {
                cases.push(loss(&Head {
                    error: None,
                    batch,
                    classes,
                    members,
                    mode,
                    targets: Targets::Classes,
                }));
            }
        }
    }
    cases
}

pub fn regression_loss() -> Vec<Case> {
    use ErrorKind::{Absolute, Huber, Squared};
    let mut cases = Vec::new();
    for error in [Squared, Absolute, Huber] {
        let shapes = [(1, 1), (7, 2), (65, 10), (5, 1000)].map(|shape| (shape, Targets::Classes));
        let values = [(1, 1), (7, 1), (130, 1)].map(|shape| (shape, Targets::Values));
        for ((batch, classes), targets) in shapes.into_iter().chain(values) {
            for members in [1, 3] {
                for mode in [Mode::Plain, Mode::Weighted, Mode::Eval] {
                    cases.push(loss(&Head {
                        error: Some(error),
                        batch,
                        classes,
                        members,
                        mode,
                        targets,
                    }));
                }
            }
        }
    }
    cases
}

fn loss(head: &Head) -> Case {
    let &Head {
        batch,
        classes,
        members,
        mode,
        targets,
        ..
    } = head;
    let build = Builder::new(members, (batch * 1000 + classes) as u64);
    let mut build = build.steps_of(3, 1..2);
    // Every other draw of a wide spread: logits that leave nothing to the other classes.
    let outputs = build.matrix("outputs", batch, classes, |random| match random.below(64) {
        0 => random.signed(300.0),
        _ => random.signed(8.0),
    });
    let n_samples = 17;
    let labels = (0..n_samples).map(|_| match targets {
        Targets::Classes => build.random.below(classes),
        Targets::Values => build.random.signed(8.0).to_bits(),
    });
    let labels = labels.collect();
    let labels = build.words("labels", labels);
    let indices = build.indices(batch, n_samples);
    let hypers = hypers(&mut build.random, members);
    let rows: Vec<MemberRow> = hypers.iter().map(Hyper::row).collect();
    let rows = build.rows(&rows);
    let steps = smoothed_steps(&mut build, &hypers, mode, batch);
    let weights = class_weights(&mut build, classes, mode);
    let d = build.stale("d", batch, classes);
    let samples = build.stale_list("samples", build.capacity() * members * batch * 2);
    let params = LossHead {
        members: members as u32,
        batch: batch as u32,
        classes: classes as u32,
        ld: pad4(classes) as u32,
        eval: u32::from(mode == Mode::Eval),
    };
    let kernel = match head.error {
        None => Kernel::SoftmaxXent(params),
        Some(error) => Kernel::RegressionLoss(params, error, targets),
    };
    let what = match &kernel {
        Kernel::RegressionLoss(_, error, Targets::Classes) => format!("{error:?} "),
        Kernel::RegressionLoss(_, error, Targets::Values) => format!("{error:?} of values "),
        _ => String::new(),
    };
    let label = format!("{}{batch}x{classes}{mode}", what.to_lowercase());
    let mut operands = vec![outputs, labels, indices];
    if head.error.is_some() {
        operands.push(rows);
    }
    operands.extend([steps, weights, d, samples]);
    build.case(label, kernel, &operands)
}

/// Outputs are sums of `inputs` products, gamma_inputs, and the gradient of x one of C; what lies
/// between is the loss head's.
pub fn linear_xent() -> Vec<Case> {
    let mut cases = Vec::new();
    // (batch, inputs, classes)
    let shapes = [
        (1, 1, 1),
        (7, 13, 2),
        (65, 128, 10),
        (5, 300, 32),
        (9, 6, 5),
    ];
    let activations = [Activation::Relu, Activation::Tanh, Activation::None];
    for (ix, shape) in shapes.into_iter().enumerate() {
        for members in [1, 3] {
            for mode in [Mode::Plain, Mode::Smoothed, Mode::Weighted] {
                cases.push(head_layer(
                    shape,
                    members,
                    mode,
                    activations[ix % 3],
                    true,
                    None,
                ));
            }
        }
        cases.push(head_layer(
            shape,
            3,
            Mode::Weighted,
            Activation::None,
            false,
            None,
        ));
    }
    for act in Activation::NAMED {
        cases.push(head_layer((6, 11, 9), 3, Mode::Weighted, act, true, None));
    }
    for shader in SHADERS.iter().filter(|s| s.name == "linear_xent") {
        for (shape, members) in [((3, 5, 2), 1), ((19, 130, 11), 3), ((4, 70, 32), 1)] {
            let variant = Some(shader.variant);
            cases.push(head_layer(
                shape,
                members,
                Mode::Weighted,
                Activation::Relu,
                true,
                variant,
            ));
        }
    }
    cases
}

fn head_layer(
    (batch, inputs, classes): (usize, usize, usize),
    members: usize,
    mode: Mode,
    act: Activation,
    input_grad: bool,
    variant: Option<&'static str>,
) -> Case {
    let build = Builder::new(members, (batch * 100_000 + inputs * 100 + classes) as u64);
    let mut build = build.steps_of(3, 1..2);
    if let Some(variant) = variant {
        build = build.variant(variant);
    }
    let (ldx, ld) = (pad4(inputs), pad4(classes));
    let x = build.matrix("x", batch, inputs, |random| random.signed(1.0));
    let w_offset = 64;
    let b_offset = w_offset + (classes * ldx).next_multiple_of(64);
    let stride = b_offset + 64;
    let mut values = vec![0.0; members * stride];
    for arena in values.chunks_exact_mut(stride) {
        for row in arena[w_offset..][..classes * ldx].chunks_exact_mut(ldx) {
            row[..inputs].fill_with(|| build.random.signed(1.0));
        }
        arena[b_offset..][..classes].fill_with(|| build.random.signed(1.0));
    }
    let parameters = build.floats("parameters", &values);
    let labels = (0..17).map(|_| build.random.below(classes)).collect();
    let labels = build.words("labels", labels);
    let indices = build.indices(batch, 17);
    let hypers = hypers(&mut build.random, members);
    let steps = smoothed_steps(&mut build, &hypers, mode, batch);
    let weights = class_weights(&mut build, classes, mode);
    // dx, then d; stale but for their padding.
    let d_offset = match input_grad {
        true => (members * batch * ldx).next_multiple_of(64),
        false => 0,
    };
    let mut values = vec![0.0; d_offset + members * batch * ld];
    let (dx, d) = values.split_at_mut(d_offset);
    for row in dx.chunks_exact_mut(ldx).take(members * batch) {
        row[..inputs].fill(STALE);
    }
    for row in d.chunks_exact_mut(ld) {
        row[..classes].fill(STALE);
    }
    let grads = build.floats("dx and d", &values);
    let samples = build.stale_list("samples", build.capacity() * members * batch * 2);
    let kernel = Kernel::LinearXent(
        LinearXent {
            members: members as u32,
            batch: batch as u32,
            inputs: inputs as u32,
            ldx: ldx as u32,
            classes: classes as u32,
            ld: ld as u32,
            w_offset: w_offset as u32,
            b_offset: b_offset as u32,
            stride: stride as u32,
            d_offset: d_offset as u32,
            input_grad: u32::from(input_grad),
        },
        act,
    );
    let mut label = format!("{batch}x{inputs}x{classes}{mode}, {act}'");
    if !input_grad {
        label += ", no dx";
    }
    let operands = [
        x, parameters, labels, indices, steps, weights, grads, samples,
    ];
    build.case(label, kernel, &operands)
}

pub fn confusion() -> Vec<Case> {
    let mut cases = Vec::new();
    for (batch, classes) in [(1, 1), (7, 2), (65, 10), (130, 3)] {
        for members in [1, 3] {
            // Two steps count into the same table.
            let build = Builder::new(members, (batch * 1000 + classes) as u64).exact();
            let mut build = build.steps_of(4, 1..3);
            // A handful of levels, so that rows have ties: the first of the largest counts.
            let outputs = build.matrix("outputs", batch, classes, |random| random.below(4) as f32);
            let labels = (0..17).map(|_| build.random.below(classes)).collect();
            let labels = build.words("labels", labels);
            let indices = build.indices(batch, 17);
            let steps = build.steps(|random| step(random, batch));
            let counts = build.words("counts", vec![5; members * classes * classes]);
            let kernel = Kernel::Confusion(Confusion {
                members: members as u32,
                batch: batch as u32,
                classes: classes as u32,
                ld: pad4(classes) as u32,
            });
            let operands = [outputs, labels, indices, steps, counts];
            cases.push(build.case(format!("{batch}x{classes}"), kernel, &operands));
        }
    }
    cases
}

/// Sums of B terms: gamma_B sum |loss|.
pub fn reduce_metrics() -> Vec<Case> {
    let mut cases = Vec::new();
    for batch in [1, 7, 64, 65, 257] {
        for members in [1, 3] {
            let build = Builder::new(members, batch as u64);
            let mut build = build.steps_of(7, 2..6);
            let pairs = build.capacity() * members * batch;
            let values: Vec<f32> = (0..pairs)
                .flat_map(|_| [build.random.unit() * 5.0, build.random.below(2) as f32])
                .collect();
            let samples = build.floats("samples", &values);
            let metrics = build.stale_list("metrics", build.capacity() * members * 2);
            let kernel = Kernel::ReduceMetrics(ReduceMetrics {
                members: members as u32,
                batch: batch as u32,
            });
            let label = format!("batch {batch}, steps 2 to 5");
            cases.push(build.case(label, kernel, &[samples, metrics]));
        }
    }
    cases
}
