// use: activation, index
// tiles: stream, block, split, broadcast
//
// C = A * B per member, m x n with k products each, with the layer's epilogue fused in: bias and
// activation forward, the derivative of the input's activation backward, the bias gradient beside
// the weight gradient. None of the pre-activations or unscaled gradients is ever stored. The product
// itself is a tile of lib/tile_*.wgsl; which one, gpu/candidates.rs says.

struct Params {
    m: u32,
    n: u32,
    k: u32,
    lda: u32,
    ldb: u32,
    ldc: u32,
    a_offset: u32,
    a_stride: u32,
    b_offset: u32,
    b_stride: u32,
    c_offset: u32,
    c_stride: u32,
    e_offset: u32,
    e_stride: u32,
    d_offset: u32,
}

// 0 NN: a [m,k], b [k,n]. 1 NT: a [m,k], b [n,k]. 2 TN: a [k,m], b [k,n].
override ORIENTATION: u32 = 0u;
// 0 none, 1 bias and activation, 2 times the activation's derivative at e.
override EPILOGUE: u32 = 0u;
override ACCUMULATE: bool = false;
override BIAS_GRAD: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> e: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> c: array<vec4<f32>>;

fn a_start(member: u32) -> u32 {
    return (params.a_offset + member * params.a_stride) / 4u;
}

fn b_start(member: u32) -> u32 {
    return (params.b_offset + member * params.b_stride) / 4u;
}

fn takes_part(member: u32) -> bool {
    return true;
}

// What becomes of four elements of row m of the product; a tile may overhang it.
fn finish(member: u32, m: u32, n4: u32, sum: vec4<f32>) {
    if m >= params.m || n4 * 4u >= params.n {
        return;
    }
    var y = sum;
    let ldc = params.ldc / 4u;
    let at_c = (params.c_offset + member * params.c_stride) / 4u + m * ldc + n4;
    let at_e = (params.e_offset + member * params.e_stride) / 4u + n4;
    if EPILOGUE == 1u {
        y = activate(y + e[at_e]);
    }
    if EPILOGUE == 2u {
        y *= derivative(e[at_e + m * ldc]);
    }
    y = select(vec4<f32>(0.0), y, within(n4 * 4u, params.n));
    if ACCUMULATE {
        y += c[at_c];
    }
    c[at_c] = y;
}

// The bias gradient of four rows of the product.
fn finish_sums(member: u32, m4: u32, sum: vec4<f32>) {
    if m4 * 4u >= params.m {
        return;
    }
    let at = (params.d_offset + member * params.c_stride) / 4u + m4;
    var y = select(vec4<f32>(0.0), sum, within(m4 * 4u, params.m));
    if ACCUMULATE {
        y += c[at];
    }
    c[at] = y;
}
