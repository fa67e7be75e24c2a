// use: member, index, penalty
//
// Partial sums of g^2 per member, g with its L1 and L2 terms; the optimiser adds the partials up.
// One workgroup a partial, a fixed tree: strided sums, then halves.

struct Params {
    n: u32,
    n_weights: u32,
    n_partials: u32,
    span: u32,
    stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> members: array<Member>;
@group(0) @binding(4) var<storage, read_write> partials: array<f32>;

var<workgroup> sh_sums: array<f32, LANES>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let member = group.y;
    let n4 = params.n / 4u;
    let end = min((group.x + 1u) * params.span, n4);
    let row = members[member];
    var sum = 0.0;
    for (var i = group.x * params.span + lane; i < end; i += LANES) {
        let ix = member * (params.stride / 4u) + i;
        let g = penalised(row.l1, 2.0 * row.l2, parameters[ix], grads[ix], i * 4u < params.n_weights);
        sum += dot(g, g);
    }
    sh_sums[lane] = sum;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            sh_sums[lane] += sh_sums[lane + half];
        }
    }
    if lane == 0u {
        partials[member * params.n_partials + group.x] = sh_sums[0];
    }
}
