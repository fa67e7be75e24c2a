//! Batch and layer normalisation with their gradients.
//!
//! Bounds by [`crate::verify::bounded`]: means and variances are sums of n terms, gamma_n, whose
//! errors a reciprocal root of 4.5 ulp and a division carries on into each element.

use super::{Builder, Case, Random, hypers};
use crate::plan::{
    Batch, BatchNorm, BufferId, Hyper, Kernel, LayerNorm, MemberRow, OptimizerKind, pad4,
};

/// (rows, cols): one, primes, more rows than a workgroup has lanes, more columns than its vec4s.
const SHAPES: [(usize, usize); 5] = [(1, 1), (7, 13), (67, 6), (130, 4), (5, 261)];

/// A member's arena: gamma, beta, running mean and running variance, 64 elements before and behind.
struct Arena {
    stretch: usize,
    len: usize,
}

impl Arena {
    fn of(cols: usize) -> Arena {
        let stretch = pad4(cols).next_multiple_of(64);
        Arena {
            stretch,
            len: 4 * stretch + 128,
        }
    }

    fn offset(&self, part: usize) -> u32 {
        (64 + part * self.stretch) as u32
    }

    /// Contents of all members; padding is zero.
    fn fill(&self, random: &mut Random, members: usize, cols: usize) -> Vec<f32> {
        let mut values = vec![0.0; members * self.len];
        for arena in values.chunks_exact_mut(self.len) {
            for part in 0..4 {
                let start = self.offset(part) as usize;
                arena[start..start + cols].fill_with(|| match part {
                    3 => 0.1 + random.unit() * 3.0,
                    _ => random.signed(2.0),
                });
            }
        }
        values
    }
}

fn batch_norm_params(
    (rows, cols): (usize, usize),
    members: usize,
    arena: &Arena,
    running: bool,
    adds: bool,
) -> BatchNorm {
    BatchNorm {
        members: members as u32,
        rows: rows as u32,
        cols: cols as u32,
        ld: pad4(cols) as u32,
        scale_offset: arena.offset(0),
        shift_offset: arena.offset(1),
        mean_offset: arena.offset(2),
        var_offset: arena.offset(3),
        stride: arena.len as u32,
        running: u32::from(running),
        adds: u32::from(adds),
    }
}

/// One valid row among others, all rows, and a number between.
fn steps(build: &mut Builder, rows: usize) -> BufferId {
    let mut next = 0;
    build.steps(|random| {
        next += 1;
        let valid = match next % 3 {
            0 => 1,
            1 => rows as u32,
            _ => 1 + random.below(rows),
        };
        Hyper::new(OptimizerKind::Sgd).step(1, 0.1, &Batch::whole(valid, 0))
    })
}

pub fn batch_norm() -> Vec<Case> {
    let mut cases = Vec::new();
    for shape in SHAPES {
        for members in [1, 3] {
            for running in [false, true] {
                let (rows, cols) = shape;
                let build = Builder::new(members, (rows * 1000 + cols) as u64);
                let mut build = build.steps_of(3, 1..2);
                let arena = Arena::of(cols);
                // Far from zero: a variance taken as a difference of squares would drown.
                let x = build.matrix("x", rows, cols, |random| 20.0 + random.signed(2.0));
                let mut hypers = hypers(&mut build.random, members);
                if members > 1 {
                    hypers[1].active = false;
                }
                let table: Vec<MemberRow> = hypers.iter().map(|hyper| hyper.row()).collect();
                let member_rows = build.rows(&table);
                let steps = steps(&mut build, rows);
                let y = build.stale("y", rows, cols);
                let stats = build.stale_list("statistics", members * 2 * pad4(cols));
                let values = arena.fill(&mut build.random, members, cols);
                let parameters = build.floats("parameters", &values);
                let norm = batch_norm_params(shape, members, &arena, running, false);
                let what = if running { ", running" } else { "" };
                let operands = [x, member_rows, steps, y, stats, parameters];
                let label = format!("{rows}x{cols}{what}");
                cases.push(build.case(label, Kernel::BatchNorm(norm), &operands));
            }
        }
    }
    cases
}

pub fn batch_norm_grad() -> Vec<Case> {
    let mut cases = Vec::new();
    for shape in SHAPES {
        for members in [1, 3] {
            for (running, adds) in [(false, false), (true, false), (false, true)] {
                let (rows, cols) = shape;
                let build = Builder::new(members, (rows * 1000 + cols) as u64);
                let mut build = build.steps_of(3, 1..2);
                let arena = Arena::of(cols);
                let dy = build.matrix("dy", rows, cols, |random| random.signed(1.0));
                let x = build.matrix("x", rows, cols, |random| random.signed(2.0));
                let stats = statistics(&mut build, members, pad4(cols));
                let steps = steps(&mut build, rows);
                let values = arena.fill(&mut build.random, members, cols);
                let parameters = build.floats("parameters", &values);
                let dx = build.stale("dx", rows, cols);
                let grads = build.stale_list("grads", members * arena.len);
                let norm = batch_norm_params(shape, members, &arena, running, adds);
                let what = match (running, adds) {
                    (true, _) => ", running",
                    (false, true) => ", adds",
                    (false, false) => "",
                };
                let operands = [dy, x, stats, steps, parameters, dx, grads];
                let label = format!("{rows}x{cols}{what}");
                cases.push(build.case(label, Kernel::BatchNormGrad(norm), &operands));
            }
        }
    }
    cases
}

/// Means, then reciprocal deviations, `len` of each for every member.
fn statistics(build: &mut Builder, members: usize, len: usize) -> BufferId {
    let values: Vec<f32> = (0..members * 2 * len)
        .map(|ix| match ix / len % 2 {
            0 => build.random.signed(1.0),
            _ => 0.5 + build.random.unit(),
        })
        .collect();
    build.floats("statistics", &values)
}

fn layer_norm_params(
    (rows, cols): (usize, usize),
    members: usize,
    arena: &Arena,
    trains: bool,
    adds: bool,
) -> LayerNorm {
    LayerNorm {
        members: members as u32,
        rows: rows as u32,
        cols: cols as u32,
        ld: pad4(cols) as u32,
        scale_offset: arena.offset(0),
        shift_offset: arena.offset(1),
        stride: arena.len as u32,
        trains: u32::from(trains),
        adds: u32::from(adds),
    }
}

pub fn layer_norm() -> Vec<Case> {
    let mut cases = Vec::new();
    for shape in SHAPES {
        for members in [1, 3] {
            let (rows, cols) = shape;
            let mut build = Builder::new(members, (rows * 1000 + cols) as u64);
            let arena = Arena::of(cols);
            let x = build.matrix("x", rows, cols, |random| 20.0 + random.signed(2.0));
            let values = arena.fill(&mut build.random, members, cols);
            let parameters = build.floats("parameters", &values);
            let y = build.stale("y", rows, cols);
            let stats = build.stale_list("statistics", members * rows * 2);
            let norm = layer_norm_params(shape, members, &arena, true, false);
            let operands = [x, parameters, y, stats];
            cases.push(build.case(format!("{rows}x{cols}"), Kernel::LayerNorm(norm), &operands));
        }
    }
    cases
}

pub fn layer_norm_grad() -> Vec<Case> {
    let mut cases = Vec::new();
    for shape in SHAPES {
        for members in [1, 3] {
            for (trains, adds) in [(true, false), (false, false), (true, true)] {
                let (rows, cols) = shape;
                let mut build = Builder::new(members, (rows * 1000 + cols) as u64);
                let arena = Arena::of(cols);
                let dy = build.matrix("dy", rows, cols, |random| random.signed(1.0));
                let x = build.matrix("x", rows, cols, |random| random.signed(2.0));
                // (mean, reciprocal deviation) of each row.
                let stats = statistics(&mut build, members * rows, 1);
                let values = arena.fill(&mut build.random, members, cols);
                let parameters = build.floats("parameters", &values);
                let dx = build.stale("dx", rows, cols);
                let grads = build.stale_list("grads", members * arena.len);
                let norm = layer_norm_params(shape, members, &arena, trains, adds);
                let what = match (trains, adds) {
                    (false, _) => ", frozen",
                    (true, true) => ", adds",
                    (true, false) => "",
                };
                let operands = [dy, x, stats, parameters, dx, grads];
                let label = format!("{rows}x{cols}{what}");
                cases.push(build.case(label, Kernel::LayerNormGrad(norm), &operands));
            }
        }
    }
    cases
}
