//! What stands at the two ends of a model: gathering a batch, the losses, and their counts.
//!
//! Bounds by [`crate::verify::bounded`]: gather rounds twice; a loss is a sum of C terms, gamma_C,
//! with exp's 3 + 2 |z| ulp each and log's 2^-21; counts are integers and exact.

use super::{Builder, Case, Random, hypers};
use crate::plan::{
    Confusion, Gather, Hyper, Kernel, LossHead, MemberRow, ReduceMetrics, StepRow, pad4,
};

/// The valid count of a step differs from member to member, and is often short of the batch.
fn step(random: &mut Random, batch: usize) -> StepRow {
    let valid = match random.below(3) {
        0 => batch as u32,
        _ => 1 + random.below(batch),
    };
    StepRow {
        valid,
        step: random.word(),
        ..StepRow::default()
    }
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
        for members in [1, 3] {
            let build = Builder::new(members, (batch * 1000 + cols) as u64);
            let mut build = build.steps_of(3, 1..2);
            let (n_samples, row_words) = (11, cols.div_ceil(4));
            // Bytes behind a sample's last input hold anything.
            let words = (0..n_samples * row_words).map(|_| build.random.word());
            let words = words.collect();
            let pixels = build.words("pixels", words);
            let indices = build.indices(batch, n_samples);
            let steps = build.steps(|random| step(random, batch));
            let table: Vec<f32> = (0..members * n_norm)
                .flat_map(|_| [build.random.unit() / 64.0, build.random.signed(2.0)])
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
            });
            let label = format!("{batch}x{cols}, table of {n_norm}");
            cases.push(build.case(label, kernel, &[pixels, indices, steps, norm, x]));
        }
    }
    cases
}

pub fn softmax_xent() -> Vec<Case> {
    loss_cases(Kernel::SoftmaxXent)
}

pub fn mse() -> Vec<Case> {
    loss_cases(Kernel::Mse)
}

fn loss_cases(kernel: fn(LossHead) -> Kernel) -> Vec<Case> {
    let mut cases = Vec::new();
    for (batch, classes) in [(1, 1), (7, 2), (65, 10), (5, 1000)] {
        for members in [1, 3] {
            for eval in [false, true] {
                for smoothed in [false, true] {
                    if eval && !smoothed {
                        continue;
                    }
                    cases.push(loss(kernel, batch, classes, members, eval, smoothed));
                }
            }
        }
    }
    cases
}

fn loss(
    kernel: fn(LossHead) -> Kernel,
    batch: usize,
    classes: usize,
    members: usize,
    eval: bool,
    smoothed: bool,
) -> Case {
    let build = Builder::new(members, (batch * 1000 + classes) as u64);
    let mut build = build.steps_of(3, 1..2);
    // Every other draw of a wide spread: logits that leave nothing to the other classes.
    let outputs = build.matrix("outputs", batch, classes, |random| match random.below(64) {
        0 => random.signed(300.0),
        _ => random.signed(8.0),
    });
    let n_samples = 17;
    let labels = (0..n_samples)
        .map(|_| build.random.below(classes))
        .collect();
    let labels = build.words("labels", labels);
    let indices = build.indices(batch, n_samples);
    let hypers = hypers(&mut build.random, members);
    let rows: Vec<MemberRow> = hypers
        .into_iter()
        .map(|hyper| match smoothed {
            true => hyper.row(),
            false => Hyper {
                label_smoothing: 0.0,
                ..hyper
            }
            .row(),
        })
        .collect();
    let rows = build.rows(&rows);
    let steps = build.steps(|random| step(random, batch));
    let d = build.stale("d", batch, classes);
    let samples = build.stale_list("samples", build.capacity() * members * batch * 2);
    let head = LossHead {
        members: members as u32,
        batch: batch as u32,
        classes: classes as u32,
        ld: pad4(classes) as u32,
        eval: u32::from(eval),
    };
    let mode = match (eval, smoothed) {
        (true, _) => ", eval",
        (false, true) => ", smoothed",
        (false, false) => "",
    };
    let label = format!("{batch}x{classes}{mode}");
    let operands = [outputs, labels, indices, rows, steps, d, samples];
    build.case(label, kernel(head), &operands)
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
