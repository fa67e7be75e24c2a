//! The weight update: a product's shapes, every optimiser, every tile.
//!
//! Bounds by [`crate::verify::bounded`]: a gradient is a sum of k products, gamma_k sum |dz| |x|, and
//! the update carries it through every operation of its formula.

use super::update::{Extras, hyper};
use super::{Builder, Case};
use crate::gpu::shader::SHADERS;
use crate::plan::{Batch, Hyper, Kernel, MemberRow, OptimizerKind, WeightUpdate, pad4};

/// Another row of weights and another bias beside those that move.
const AROUND: usize = 64;

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    // Shapes [m, n, k] as of the matrix products.
    let shapes = [
        [1, 1, 1],
        [7, 5, 3],
        [17, 65, 6],
        [10, 128, 130],
        [67, 130, 50],
    ];
    let population = [
        OptimizerKind::Adamw,
        OptimizerKind::Momentum,
        OptimizerKind::Rmsprop,
    ];
    for shape in shapes {
        cases.push(case(&[OptimizerKind::Adam], Extras::Plain, shape, None));
        cases.push(case(&population, Extras::Penalties, shape, None));
    }
    for kind in OptimizerKind::ALL {
        for extras in [Extras::Plain, Extras::Penalties] {
            cases.push(case(&[kind], extras, [9, 33, 13], None));
        }
    }
    for shader in SHADERS.iter().filter(|s| s.name == "weight_update") {
        let tile = Some(shader.variant);
        for shape in [[3, 5, 1], [131, 133, 39]] {
            cases.push(case(&[OptimizerKind::Adam], Extras::Plain, shape, tile));
        }
        cases.push(case(&population, Extras::Penalties, [35, 71, 150], tile));
    }
    cases
}

/// Of three members the second is frozen, or, where m is odd, waits for more batches.
fn case(
    kinds: &[OptimizerKind],
    extras: Extras,
    [m, n, k]: [usize; 3],
    tile: Option<&'static str>,
) -> Case {
    let members = kinds.len();
    let seed = (m * 1_000_003 + n * 1009 + k) as u64;
    let mut build = Builder::new(members, seed).steps_of(3, 1..2);
    if let Some(tile) = tile {
        build = build.variant(tile);
    }
    let (frozen, waits) = (m % 2 == 0, m % 2 == 1);
    let hypers: Vec<Hyper> = (0..members)
        .map(|p| hyper(kinds[p], extras, frozen && p == 1))
        .collect();
    // dz behind something else, as the head leaves it.
    let (lda, ldc, a_offset) = (pad4(m), pad4(n), 8);
    let mut values = vec![0.0; a_offset + members * k * lda];
    for row in values[a_offset..].chunks_exact_mut(lda) {
        row[..m].fill_with(|| build.random.signed(0.5));
    }
    let dz = build.floats("dz", &values);
    let x = build.matrix("x", k, n, |random| random.signed(1.0));
    let rows: Vec<MemberRow> = hypers.iter().map(Hyper::row).collect();
    let rows = build.rows(&rows);
    let mut next = 0;
    let steps = build.steps(|random| {
        let p = next % members;
        next += 1;
        let t = 1 + u64::from(random.below(50));
        let batch = Batch {
            applies: !(waits && p == 1),
            ..Batch::whole(k as u32, 0)
        };
        hypers[p].step(t, 0.01 * next as f64, &batch)
    });
    let w_offset = AROUND;
    let d_offset = w_offset + (m * ldc).next_multiple_of(64);
    let stride = d_offset + m.next_multiple_of(64) + AROUND;
    // A member's arena of numbers, padding left zero.
    let arena = |build: &mut Builder, values: &mut Vec<f32>, positive: bool| {
        let mut number = || match build.random.signed(1.0) {
            x if positive => x.abs(),
            x => x,
        };
        let start = values.len();
        values.resize(start + stride, 0.0);
        let arena = &mut values[start..];
        arena[..AROUND].fill_with(&mut number);
        for row in arena[w_offset..][..m * ldc].chunks_exact_mut(ldc) {
            row[..n].fill_with(&mut number);
        }
        arena[d_offset..][..m].fill_with(&mut number);
        arena[stride - AROUND..].fill_with(&mut number);
    };
    let (mut state, mut parameters) = (Vec::new(), Vec::new());
    for _ in 0..members {
        arena(&mut build, &mut state, false);
        arena(&mut build, &mut state, true);
        arena(&mut build, &mut parameters, false);
    }
    let state = build.floats("state", &state);
    let parameters = build.floats("parameters", &parameters);
    let kernel = Kernel::WeightUpdate(WeightUpdate {
        m: m as u32,
        n: n as u32,
        k: k as u32,
        lda: lda as u32,
        ldb: ldc as u32,
        ldc: ldc as u32,
        a_offset: a_offset as u32,
        a_stride: (k * lda) as u32,
        b_stride: (k * ldc) as u32,
        members: members as u32,
        w_offset: w_offset as u32,
        d_offset: d_offset as u32,
        stride: stride as u32,
    });
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    let mut label = format!("{} {m}x{n}x{k}", names.join(" and "));
    if extras != Extras::Plain {
        label += ", l1, l2 and decay";
    }
    build.case(label, kernel, &[dz, x, rows, steps, state, parameters])
}
