//! Matrix products: three orientations, every epilogue, every register tile.
//!
//! The bound is derived in `matmul_bound.rs`: gamma_k |A| |B|, carried through the epilogue.

use super::{Builder, Case};
use crate::gpu::shader::SHADERS;
use crate::plan::{Activation, Epilogue, Kernel, Matmul, Orientation, pad4};

use Orientation::{NN, NT, TN};

/// What surrounds the product.
#[derive(Clone, Copy)]
struct Choice {
    orientation: Orientation,
    epilogue: Epilogue,
    accumulate: bool,
    bias_grad: bool,
}

fn plain(orientation: Orientation) -> Choice {
    Choice {
        orientation,
        epilogue: Epilogue::None,
        accumulate: false,
        bias_grad: false,
    }
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    // Shapes [m, n, k]: ones and primes; a tile of each width and one more; a long sum; and some big
    // enough for the CPU to deal its rows to several threads: where its library has other paths
    // for small products, and a layer of an MNIST model.
    let shapes = [
        [1, 1, 1],
        [7, 5, 3],
        [8, 32, 8],
        [9, 33, 13],
        [16, 64, 4],
        [17, 65, 6],
        [9, 129, 5],
        [2, 3, 785],
        [67, 130, 50],
        [135, 9, 83],
        [130, 33, 600],
        [100, 128, 784],
    ];
    for orientation in [NN, NT, TN] {
        for (ix, shape) in shapes.into_iter().enumerate() {
            // The epilogues that the recorder gives to each orientation.
            let mut choice = plain(orientation);
            match orientation {
                NN => choice.accumulate = ix % 3 == 1,
                NT => {
                    choice.epilogue = Epilogue::Bias([Activation::None, Activation::Relu][ix % 2])
                }
                TN => {
                    choice.bias_grad = true;
                    choice.accumulate = ix % 3 == 1;
                }
            }
            for members in [1, 3] {
                cases.push(case(choice, shape, members, None));
            }
        }
        // Every epilogue in every orientation, at a shape without a multiple of four in it.
        let activations = Activation::NAMED.into_iter().chain([Activation::None]);
        for act in activations {
            for epilogue in [Epilogue::Bias(act), Epilogue::ActivationGrad(act)] {
                let choice = Choice {
                    epilogue,
                    ..plain(orientation)
                };
                cases.push(case(choice, [6, 11, 9], 3, None));
            }
        }
        cases.push(case(plain(orientation), [6, 11, 9], 3, None));
        // Every tile, whichever shapes choose it: with one, two and three products past a multiple of
        // four, which their masks tell apart.
        for shader in SHADERS.iter().filter(|s| s.name == "matmul") {
            let tile = Some(shader.variant);
            let fused = Choice {
                epilogue: Epilogue::Bias(Activation::Relu),
                ..plain(orientation)
            };
            cases.push(case(fused, [3, 5, 1], 1, tile));
            cases.push(case(fused, [35, 71, 10], 3, tile));
            cases.push(case(fused, [131, 133, 39], 1, tile));
            cases.push(case(fused, [9, 18, 150], 1, tile));
            if orientation == TN {
                let summed = Choice {
                    bias_grad: true,
                    accumulate: true,
                    ..plain(TN)
                };
                cases.push(case(summed, [35, 71, 10], 3, tile));
            }
        }
    }
    cases
}

fn case(choice: Choice, shape: [usize; 3], members: usize, tile: Option<&'static str>) -> Case {
    let Choice {
        orientation,
        epilogue,
        accumulate,
        bias_grad,
    } = choice;
    let [m, n, k] = shape;
    let mut build = Builder::new(members, (m * 1_000_003 + n * 1009 + k) as u64);
    if let Some(tile) = tile {
        build = build.variant(tile);
    }
    // Operands lie past the start of their buffers, as tensors do in an arena; see `arena`.
    let (a_rows, a_cols) = match orientation {
        NN | NT => (m, k),
        TN => (k, m),
    };
    let (b_rows, b_cols) = match orientation {
        NN | TN => (k, n),
        NT => (n, k),
    };
    let ldc = pad4(n);
    let (e_rows, e_cols) = match epilogue {
        Epilogue::Bias(_) => (1, n),
        _ => (m, n),
    };
    let (a, a_stride) = arena(&mut build, "a", 0, a_rows, a_cols, 1.0);
    let (b, b_stride) = arena(&mut build, "b", 8, b_rows, b_cols, 1.0);
    // What is saved of a tanh or a sigmoid lies in (-1, 1) and (0, 1); any number does here.
    let (e, e_stride) = arena(&mut build, "epilogue operand", 12, e_rows, e_cols, 1.5);
    // c with the bias gradient [m] behind it.
    let (c_offset, d_offset) = (16, 16 + (m * ldc).next_multiple_of(64));
    let c_stride = d_offset + pad4(m) + 4;
    let mut values = vec![0.0; members * c_stride];
    for c in values.chunks_exact_mut(c_stride) {
        for row in c[c_offset..][..m * ldc].chunks_exact_mut(ldc) {
            row[..n].fill_with(|| build.random.signed(4.0));
        }
        c[d_offset..][..m].fill_with(|| build.random.signed(4.0));
    }
    let c = build.floats("c", &values);
    let shape = Matmul {
        m: m as u32,
        n: n as u32,
        k: k as u32,
        lda: pad4(a_cols) as u32,
        ldb: pad4(b_cols) as u32,
        ldc: ldc as u32,
        a_offset: 0,
        a_stride: a_stride as u32,
        b_offset: 8,
        b_stride: b_stride as u32,
        c_offset: c_offset as u32,
        c_stride: c_stride as u32,
        e_offset: 12,
        e_stride: e_stride as u32,
        d_offset: d_offset as u32,
    };
    let kernel = Kernel::Matmul {
        shape,
        orientation,
        epilogue,
        accumulate,
        bias_grad,
    };
    let mut label = format!("{orientation:?} {m}x{n}x{k}");
    match epilogue {
        Epilogue::None => {}
        Epilogue::Bias(act) => label += &format!(", bias + {act}"),
        Epilogue::ActivationGrad(act) => label += &format!(", * {act}'"),
    }
    if accumulate {
        label += ", adds";
    }
    if bias_grad {
        label += ", bias gradient";
    }
    build.case(label, kernel, &[a, b, e, c])
}

/// A random \[rows, ld\] per member, `offset` elements past the start of its stretch; the id and the
/// length of a stretch.
fn arena(
    build: &mut Builder,
    label: &str,
    offset: usize,
    rows: usize,
    cols: usize,
    scale: f32,
) -> (crate::plan::BufferId, usize) {
    let ld = pad4(cols);
    let stride = offset + rows * ld + 4;
    let mut values = vec![0.0; build.members() * stride];
    for stretch in values.chunks_exact_mut(stride) {
        for row in stretch[offset..][..rows * ld].chunks_exact_mut(ld) {
            row[..cols].fill_with(|| build.random.signed(scale));
        }
    }
    (build.floats(label, &values), stride)
}
