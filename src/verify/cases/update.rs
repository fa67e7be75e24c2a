//! The gradient norm and the optimiser, and what stands around them: accumulation, the largest norm,
//! the moving average.
//!
//! Bounds by [`crate::verify::bounded`]: a partial norm is a sum of n squares, gamma_n, over
//! gradients that round once a penalty; an update carries every operation of its formula, with
//! 4.5 ulp of square root and 2.5 of division.

use super::{Builder, Case, Random};
use crate::plan::{
    Accumulate, Batch, BufferId, Ema, GradNorm, Hyper, Kernel, MaxNorm, MemberRow, Optimizer,
    OptimizerKind, pad4,
};

/// Elements of a member's arena, and of its weights: less than one partial sum; several; a last one
/// that is short; and the boundary of weights inside a workgroup's stretch.
const ARENAS: [(usize, usize); 3] = [(64, 64), (1024, 320), (8448, 4160)];

/// Elements of an arena behind those that train.
const FROZEN: usize = 128;

/// As the recorder divides an arena into partial sums, but with a span short enough to make several.
fn partials(n: usize, span: usize) -> usize {
    (n / 4).div_ceil(span)
}

pub fn grad_norm() -> Vec<Case> {
    let mut cases = Vec::new();
    for (n, n_weights) in ARENAS {
        for span in [1024, 100] {
            for members in [1, 3] {
                let mut build = Builder::new(members, n as u64);
                let stride = n + FROZEN;
                let list = |build: &mut Builder, label: &str| {
                    let values: Vec<f32> = (0..stride * members)
                        .map(|_| build.random.signed(1.0))
                        .collect();
                    build.floats(label, &values)
                };
                let parameters = list(&mut build, "parameters");
                let grads = list(&mut build, "grads");
                let rows: Vec<MemberRow> = (0..members)
                    .map(|p| {
                        Hyper {
                            l1: [0.01, 0.0, 0.0][p % 3],
                            l2: [0.02, 0.0, 0.5][p % 3],
                            ..Hyper::new(OptimizerKind::Sgd)
                        }
                        .row()
                    })
                    .collect();
                let rows = build.rows(&rows);
                let n_partials = partials(n, span);
                let out = build.stale_list("partials", members * n_partials);
                let kernel = Kernel::GradNorm(GradNorm {
                    n: n as u32,
                    n_weights: n_weights as u32,
                    n_partials: n_partials as u32,
                    span: span as u32,
                    stride: stride as u32,
                });
                let label = format!("{n} in {n_partials} parts");
                cases.push(build.case(label, kernel, &[parameters, grads, rows, out]));
            }
        }
    }
    cases
}

/// What a case asks of the optimiser beside its formula.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Extras {
    Plain,
    /// Penalties and decay.
    Penalties,
    /// Penalties, decay, and a norm that is clipped.
    Clip,
}

pub fn optimizer() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in OptimizerKind::ALL {
        for extras in [Extras::Plain, Extras::Penalties, Extras::Clip] {
            cases.push(update(&[kind], extras, ARENAS[1], 3, Second::Moves));
        }
    }
    // Three members with three optimisers, the second of them at rest; all arenas.
    let population = [
        OptimizerKind::Adamw,
        OptimizerKind::Momentum,
        OptimizerKind::Rmsprop,
    ];
    for arena in ARENAS {
        for (extras, n_partials, second) in [
            (Extras::Penalties, 0, Second::Frozen),
            (Extras::Clip, 1, Second::Accumulates),
            (Extras::Clip, 200, Second::Frozen),
        ] {
            cases.push(update(&population, extras, arena, n_partials, second));
        }
    }
    cases
}

/// What the second member of a population does.
#[derive(Clone, Copy, PartialEq)]
enum Second {
    Moves,
    Frozen,
    /// More batches of its optimiser step are to come.
    Accumulates,
}

fn update(
    kinds: &[OptimizerKind],
    extras: Extras,
    (n, n_weights): (usize, usize),
    n_partials: usize,
    second: Second,
) -> Case {
    let members = kinds.len();
    let n_partials = match extras {
        Extras::Clip => n_partials,
        _ => 0,
    };
    let mut build = Builder::new(members, (n + n_partials) as u64).steps_of(3, 1..2);
    let hypers: Vec<Hyper> = kinds
        .iter()
        .enumerate()
        .map(|(p, &kind)| hyper(kind, extras, second == Second::Frozen && p == 1))
        .collect();
    let list = |random: &mut Random, len: usize| -> Vec<f32> {
        (0..len).map(|_| random.signed(1.0)).collect()
    };
    let stride = n + FROZEN;
    let values = list(&mut build.random, stride * members);
    let grads = build.floats("grads", &values);
    let rows: Vec<MemberRow> = hypers.iter().map(Hyper::row).collect();
    let rows = build.rows(&rows);
    let mut next = 0;
    let steps = build.steps(|random| {
        next += 1;
        let t = 1 + u64::from(random.below(50));
        let batch = Batch {
            applies: second != Second::Accumulates || next % members != 2,
            ..Batch::whole(1, 0)
        };
        hypers[(next - 1) % members].step(t, 0.01 * next as f64, &batch)
    });
    // Squared norms well over the clipping bound of the first member and under that of the last.
    let sums: Vec<f32> = (0..members * n_partials)
        .map(|_| build.random.unit() * 3.0 / n_partials as f32)
        .collect();
    let partials = match n_partials {
        0 => grads,
        _ => build.floats("partials", &sums),
    };
    // First moments of both signs, second moments not below zero.
    let mut state = Vec::new();
    for _ in 0..members {
        state.extend(list(&mut build.random, stride));
        state.extend((0..stride).map(|_| build.random.signed(1.0).abs()));
    }
    let state = build.floats("state", &state);
    let values = list(&mut build.random, stride * members);
    let parameters = build.floats("parameters", &values);
    let kernel = Kernel::Optimizer(Optimizer {
        members: members as u32,
        n: n as u32,
        n_weights: n_weights as u32,
        n_partials: n_partials as u32,
        stride: stride as u32,
    });
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    let mut label = format!("{} {n}", names.join(" and "));
    match extras {
        Extras::Plain => {}
        Extras::Penalties => label += ", l1, l2 and decay",
        Extras::Clip => label += &format!(", l1, l2, decay and norm in {n_partials} parts"),
    }
    match second {
        Second::Moves => {}
        Second::Frozen => label += ", the second frozen",
        Second::Accumulates => label += ", the second accumulates",
    }
    let operands = [grads, rows, steps, partials, state, parameters];
    build.case(label, kernel, &operands)
}

pub(super) fn hyper(kind: OptimizerKind, extras: Extras, frozen: bool) -> Hyper {
    let mut hyper = Hyper::new(kind);
    hyper.active = !frozen;
    if extras != Extras::Plain {
        hyper.l1 = 0.01;
        hyper.l2 = 0.02;
        hyper.weight_decay = 0.05;
    }
    if extras == Extras::Clip {
        hyper.clip_norm = match kind {
            OptimizerKind::Rmsprop => 50.0,
            _ => 0.25,
        };
    }
    hyper
}

/// Random numbers in the arenas of all members.
fn arenas(build: &mut Builder, label: &str, len: usize) -> BufferId {
    let values: Vec<f32> = (0..len).map(|_| build.random.signed(1.0)).collect();
    build.floats(label, &values)
}

/// Members begin, go on and begin; one rounding, u |sum|.
pub fn accumulate() -> Vec<Case> {
    let mut cases = Vec::new();
    for (n, _) in ARENAS {
        for (members, begins) in [(1, false), (1, true), (3, true)] {
            let mut build = Builder::new(members, n as u64).steps_of(3, 1..2);
            let stride = n + FROZEN;
            let grads = arenas(&mut build, "grads", stride * members);
            let mut next = 0;
            let steps = build.steps(|_| {
                next += 1;
                let batch = Batch {
                    begins: begins && (members == 1 || next % members != 0),
                    ..Batch::whole(1, 0)
                };
                Hyper::new(OptimizerKind::Sgd).step(1, 0.1, &batch)
            });
            let sum = arenas(&mut build, "sum", stride * members);
            let kernel = Kernel::Accumulate(Accumulate {
                members: members as u32,
                n: n as u32,
                stride: stride as u32,
            });
            let what = if begins { "begins" } else { "adds" };
            cases.push(build.case(format!("{n}, {what}"), kernel, &[grads, steps, sum]));
        }
    }
    cases
}

/// A difference, a product and a sum; of three members the second is frozen and the third waits.
pub fn ema() -> Vec<Case> {
    let mut cases = Vec::new();
    for (n, _) in ARENAS {
        for (members, t) in [(1, 1), (1, 7), (3, 7)] {
            let mut build = Builder::new(members, n as u64).steps_of(3, 1..2);
            let stride = n + FROZEN;
            let parameters = arenas(&mut build, "parameters", stride * members);
            let rows = second_frozen(&mut build, |_| 0.0);
            let steps = third_waits(&mut build, t);
            let averages = arenas(&mut build, "averages", stride * members);
            let kernel = Kernel::Ema(Ema {
                members: members as u32,
                n: n as u32,
                stride: stride as u32,
            });
            let operands = [parameters, rows, steps, averages];
            cases.push(build.case(format!("{n}, step {t}"), kernel, &operands));
        }
    }
    cases
}

/// Norms are sums of n squares, gamma_n, and a root of 4.5 ulp. A row is a unit: a first one far under
/// the bound stays as it is, bit for bit. Of three members the second is frozen.
pub fn max_norm() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, cols) in [(1, 1), (7, 13), (3, 300), (130, 6)] {
        for (members, bound) in [(1, 0.25), (1, 0.0), (3, 0.25)] {
            let build = Builder::new(members, (rows * 1000 + cols) as u64);
            let mut build = build.steps_of(3, 1..2);
            let member_rows = second_frozen(&mut build, |p| bound * [1.0, 1.0, 2.0][p % 3]);
            let steps = third_waits(&mut build, 2);
            let (ld, offset) = (pad4(cols), 64);
            let stride = (offset + rows * ld + 64).next_multiple_of(64);
            let mut values = vec![0.0; members * stride];
            for arena in values.chunks_exact_mut(stride) {
                for (row, weights) in arena[offset..][..rows * ld]
                    .chunks_exact_mut(ld)
                    .enumerate()
                {
                    let scale = if row == 1 { 1e-3 } else { 2.0 };
                    weights[..cols].fill_with(|| 0.1 * scale + build.random.signed(scale));
                }
            }
            let parameters = build.floats("parameters", &values);
            let kernel = Kernel::MaxNorm(MaxNorm {
                members: members as u32,
                rows: rows as u32,
                cols: cols as u32,
                ld: ld as u32,
                offset: offset as u32,
                stride: stride as u32,
            });
            let label = format!("{rows}x{cols}, bound {bound}");
            cases.push(build.case(label, kernel, &[member_rows, steps, parameters]));
        }
    }
    cases
}

fn second_frozen(build: &mut Builder, max_norm: impl Fn(usize) -> f64) -> BufferId {
    let rows: Vec<MemberRow> = (0..build.members())
        .map(|p| {
            Hyper {
                active: p != 1,
                max_norm: max_norm(p),
                ..Hyper::new(OptimizerKind::Sgd)
            }
            .row()
        })
        .collect();
    build.rows(&rows)
}

fn third_waits(build: &mut Builder, t: u64) -> BufferId {
    let members = build.members();
    let mut next = 0;
    build.steps(|_| {
        next += 1;
        let batch = Batch {
            applies: members < 3 || next % members != 0,
            ema: 0.75,
            ..Batch::whole(1, 0)
        };
        Hyper::new(OptimizerKind::Sgd).step(t, 0.1, &batch)
    })
}
