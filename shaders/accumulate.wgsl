// use: step, index
//
// sum = g where a batch begins an optimiser step, sum + g elsewhere, over what trains.

struct Params {
    members: u32,
    n: u32,
    stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> steps: array<Step>;
@group(0) @binding(3) var<storage, read_write> sum: array<vec4<f32>>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) n_groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let member = group.z;
    let i = flat_index(group, n_groups, lane);
    if i >= params.n / 4u {
        return;
    }
    let ix = member * (params.stride / 4u) + i;
    var g = grads[ix];
    if steps[at.slot * params.members + member].begins == 0u {
        g += sum[ix];
    }
    sum[ix] = g;
}
