// use: member, step, index
//
// average += (1 - decay) (w - average) over what trains; what does not is copied. Only where the
// parameters have moved.

struct Params {
    members: u32,
    n: u32,
    stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> members: array<Member>;
@group(0) @binding(3) var<storage, read> steps: array<Step>;
@group(0) @binding(4) var<storage, read_write> averages: array<vec4<f32>>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) n_groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let member = group.z;
    let i = flat_index(group, n_groups, lane);
    let step = steps[at.slot * params.members + member];
    let stride4 = params.stride / 4u;
    if i >= stride4 || members[member].active_flag == 0u || step.applies == 0u {
        return;
    }
    let ix = member * stride4 + i;
    var w = parameters[ix];
    if i * 4u < params.n && step.ema_rest < 1.0 {
        let average = averages[ix];
        w = average + step.ema_rest * (w - average);
    }
    averages[ix] = w;
}
