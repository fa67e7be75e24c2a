//! Activations, their gradients, addition and dropout.
//!
//! Bounds by [`crate::verify::bounded`]: relu and its derivative round nothing; leaky-relu, add and
//! dropout round once, u |y|; tanh is off by 1e-5 and sigmoid by exp's 3 + 2 |z| ulp and a division;
//! gelu by 1.2e-7 relative in erfc and by exp's 3 + 2 z^2 ulp, times |z|.

use super::{Builder, Case, hypers};
use crate::gpu::lower::{LANES, MAX_GROUPS};
use crate::plan::{Activation, Batch, Dropout, Elementwise, Hyper, Kernel, MemberRow, pad4};

/// (rows, cols): one, primes, a row that is exactly one workgroup's four columns an invocation, and
/// one more.
const SHAPES: [(usize, usize); 5] = [(1, 1), (7, 13), (1, 256), (3, 257), (64, 4)];

fn elementwise(rows: usize, cols: usize) -> Elementwise {
    Elementwise {
        rows: rows as u32,
        cols: cols as u32,
        ld: pad4(cols) as u32,
    }
}

/// Moderate inputs, zeros, and some so large that arguments of exp and tanh must be clamped.
const EXTREMES: [f32; 8] = [100.0, -100.0, 20.0, -20.0, 1e4, -1e4, 1e-6, -0.0];

pub fn activation() -> Vec<Case> {
    let mut cases = vec![folded()];
    for act in Activation::NAMED {
        for (rows, cols) in SHAPES {
            for members in [1, 3] {
                let mut build = Builder::new(members, (rows * 1000 + cols) as u64);
                let z = build.matrix("z", rows, cols, |random| match random.below(12) {
                    0 => EXTREMES[random.below(EXTREMES.len()) as usize],
                    _ => random.signed(8.0),
                });
                let y = build.stale("y", rows, cols);
                let kernel = Kernel::Activation(elementwise(rows, cols), act);
                cases.push(build.case(format!("{act} {rows}x{cols}"), kernel, &[z, y]));
            }
        }
    }
    cases
}

/// More workgroups than one axis of a grid holds.
fn folded() -> Case {
    let (rows, cols) = (MAX_GROUPS as usize + 2, 4 * LANES as usize - 1);
    let mut build = Builder::new(1, 1).exact();
    let z = build.matrix("z", rows, cols, |random| random.signed(1.0));
    let y = build.stale("y", rows, cols);
    let kernel = Kernel::Activation(elementwise(rows, cols), Activation::Relu);
    build.case(format!("relu {rows}x{cols}"), kernel, &[z, y])
}

pub fn activation_grad() -> Vec<Case> {
    let mut cases = Vec::new();
    for act in Activation::NAMED {
        for (rows, cols) in SHAPES {
            for members in [1, 3] {
                let mut build = Builder::new(members, (rows * 1000 + cols) as u64);
                let dy = build.matrix("dy", rows, cols, |random| random.signed(2.0));
                // gelu saves its input, the others their output.
                let saved = build.matrix("saved", rows, cols, |random| match act {
                    Activation::Gelu if random.below(12) == 0 => {
                        EXTREMES[random.below(EXTREMES.len()) as usize]
                    }
                    Activation::Gelu => random.signed(6.0),
                    Activation::Sigmoid => random.unit(),
                    Activation::Tanh => random.signed(1.0),
                    _ => random.signed(4.0),
                });
                let dz = build.stale("dz", rows, cols);
                let kernel = Kernel::ActivationGrad(elementwise(rows, cols), act);
                cases.push(build.case(format!("{act} {rows}x{cols}"), kernel, &[dy, saved, dz]));
            }
        }
    }
    cases
}

pub fn add() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, cols) in SHAPES {
        for members in [1, 3] {
            let mut build = Builder::new(members, (rows * 1000 + cols) as u64);
            let a = build.matrix("a", rows, cols, |random| random.signed(1.7));
            let b = build.matrix("b", rows, cols, |random| random.signed(0.3));
            let c = build.stale("c", rows, cols);
            let kernel = Kernel::Add(elementwise(rows, cols));
            cases.push(build.case(format!("{rows}x{cols}"), kernel, &[a, b, c]));
        }
    }
    cases
}

/// A dropped element is exactly zero and a kept one is not, since x never is: the masks of the two
/// executors are compared bit for bit by comparing values.
pub fn dropout() -> Vec<Case> {
    let mut cases = Vec::new();
    for (ix, rate) in [0.0, 0.5, 0.9].into_iter().enumerate() {
        for (rows, cols) in SHAPES {
            for members in [1, 3] {
                // The second of three steps: draws are numbered by the step's own counter.
                let build = Builder::new(members, (rows * 1000 + cols) as u64);
                let mut build = build.steps_of(3, 1..2);
                let x = build.matrix("x", rows, cols, |random| random.unit() + 0.25);
                // Every layer's slot has a rate of its own; members differ in seed and in rates.
                let slot = [0, 3, 7][ix];
                let hypers = hypers(&mut build.random, members);
                let rows_of: Vec<MemberRow> = hypers
                    .iter()
                    .enumerate()
                    .map(|(p, hyper)| {
                        let mut rates = vec![0.25; 8];
                        rates[slot] = [rate, rate * 0.5, 0.75][p % 3];
                        Hyper {
                            dropout: rates,
                            ..hyper.clone()
                        }
                        .row()
                    })
                    .collect();
                let member_rows = build.rows(&rows_of);
                let steps =
                    build.steps(|random| hypers[0].step(1, 0.1, &Batch::whole(1, random.word())));
                let y = build.stale("y", rows, cols);
                let kernel = Kernel::Dropout(Dropout {
                    members: members as u32,
                    rows: rows as u32,
                    cols: cols as u32,
                    ld: pad4(cols) as u32,
                    slot: slot as u32,
                    op: [0, 3, 11][ix],
                });
                let operands = [x, member_rows, steps, y];
                cases.push(build.case(format!("rate {rate} {rows}x{cols}"), kernel, &operands));
            }
        }
    }
    cases
}
