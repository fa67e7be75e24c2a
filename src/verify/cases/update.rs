//! The gradient norm and the optimiser.
//!
//! Bounds by [`crate::verify::bounded`]: a partial norm is a sum of n squares, gamma_n, over
//! gradients that round once a penalty; an update carries every operation of its formula, with
//! 4.5 ulp of square root and 2.5 of division.

use super::{Builder, Case, Random};
use crate::plan::{GradNorm, Hyper, Kernel, MemberRow, Optimizer, OptimizerKind};

/// Elements of a member's arena, and of its weights: less than one partial sum; several; a last one
/// that is short; and the boundary of weights inside a workgroup's stretch.
const ARENAS: [(usize, usize); 3] = [(64, 64), (1024, 320), (8448, 4160)];

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
                let list = |build: &mut Builder, label: &str| {
                    let values: Vec<f32> =
                        (0..n * members).map(|_| build.random.signed(1.0)).collect();
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
enum Extras {
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
            cases.push(update(&[kind], extras, ARENAS[1], 3, false));
        }
    }
    // Three members with three optimisers, the second of them frozen; all arenas.
    let population = [
        OptimizerKind::Adamw,
        OptimizerKind::Momentum,
        OptimizerKind::Rmsprop,
    ];
    for arena in ARENAS {
        for (extras, n_partials) in [
            (Extras::Penalties, 0),
            (Extras::Clip, 1),
            (Extras::Clip, 200),
        ] {
            cases.push(update(&population, extras, arena, n_partials, true));
        }
    }
    cases
}

fn update(
    kinds: &[OptimizerKind],
    extras: Extras,
    (n, n_weights): (usize, usize),
    n_partials: usize,
    freeze: bool,
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
        .map(|(p, &kind)| hyper(kind, extras, freeze && p == 1))
        .collect();
    let list = |random: &mut Random, len: usize| -> Vec<f32> {
        (0..len).map(|_| random.signed(1.0)).collect()
    };
    let values = list(&mut build.random, n * members);
    let grads = build.floats("grads", &values);
    let rows: Vec<MemberRow> = hypers.iter().map(Hyper::row).collect();
    let rows = build.rows(&rows);
    let mut next = 0;
    let steps = build.steps(|random| {
        next += 1;
        let t = 1 + u64::from(random.below(50));
        hypers[(next - 1) % members].step(t, 0.01 * next as f64, 1)
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
        state.extend(list(&mut build.random, n));
        state.extend((0..n).map(|_| build.random.signed(1.0).abs()));
    }
    let state = build.floats("state", &state);
    let values = list(&mut build.random, n * members);
    let parameters = build.floats("parameters", &values);
    let kernel = Kernel::Optimizer(Optimizer {
        members: members as u32,
        n: n as u32,
        n_weights: n_weights as u32,
        n_partials: n_partials as u32,
    });
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    let mut label = format!("{} {n}", names.join(" and "));
    match extras {
        Extras::Plain => {}
        Extras::Penalties => label += ", l1, l2 and decay",
        Extras::Clip => label += &format!(", l1, l2, decay and norm in {n_partials} parts"),
    }
    if freeze {
        label += ", the second frozen";
    }
    let operands = [grads, rows, steps, partials, state, parameters];
    build.case(label, kernel, &operands)
}

fn hyper(kind: OptimizerKind, extras: Extras, frozen: bool) -> Hyper {
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
