// use: member, step, index, penalty, update
// tiles: stream, block, split, broadcast
//
// A linear layer's weight and bias gradients and the optimiser's update by them in one: the product
// dz^T * x, whose every element moves its weight as it is made. The gradient is never stored: the
// weights and their moments are read and written once.

struct Params {
    m: u32,
    n: u32,
    k: u32,
    lda: u32,
    ldb: u32,
    ldc: u32,
    a_offset: u32,
    a_stride: u32,
    b_stride: u32,
    members: u32,
    w_offset: u32,
    d_offset: u32,
    stride: u32,
}

// TN: a [k,m], b [k,n].
const ORIENTATION: u32 = 2u;
const BIAS_GRAD: bool = true;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> members: array<Member>;
@group(0) @binding(4) var<storage, read> steps: array<Step>;
@group(0) @binding(5) var<storage, read_write> state: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> parameters: array<vec4<f32>>;

fn a_start(member: u32) -> u32 {
    return (params.a_offset + member * params.a_stride) / 4u;
}

fn b_start(member: u32) -> u32 {
    return member * params.b_stride / 4u;
}

// Whether there is anything to do for a member, and what `finish` needs to know of it.
fn takes_part(member: u32) -> bool {
    return moves(member);
}

// Four weights of row m; a tile may overhang the product.
fn finish(member: u32, m: u32, n4: u32, sum: vec4<f32>) {
    if m >= params.m || n4 * 4u >= params.n {
        return;
    }
    let place = params.w_offset / 4u + m * (params.ldc / 4u) + n4;
    update(member, place, select(vec4<f32>(0.0), sum, within(n4 * 4u, params.n)), true, 1.0);
}

// Four elements of the bias.
fn finish_sums(member: u32, m4: u32, sum: vec4<f32>) {
    if m4 * 4u >= params.m {
        return;
    }
    let g = select(vec4<f32>(0.0), sum, within(m4 * 4u, params.m));
    update(member, params.d_offset / 4u + m4, g, false, 1.0);
}
