// use: member, step, reduce, norm, index
//
// y = (x - mean) / sqrt(var + eps) * gamma + beta, column by column over the valid rows, and the
// running statistics. One workgroup four columns; statistics in two passes, each a fixed tree. Padding
// columns of x, gamma and beta are zero, and so are those of y. See cpu/batch_norm.rs.

struct Params {
    members: u32,
    rows: u32,
    cols: u32,
    ld: u32,
    scale_offset: u32,
    shift_offset: u32,
    mean_offset: u32,
    var_offset: u32,
    stride: u32,
    running: u32,
    adds: u32,
}

// The part of a batch's statistics that the running ones take: NORM_MOMENTUM in plan/kernel.rs.
const NORM_MOMENTUM: f32 = 0.1;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> members: array<Member>;
@group(0) @binding(3) var<storage, read> steps: array<Step>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> stats: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> parameters: array<vec4<f32>>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) n_groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let column = group.y * n_groups.x + group.x;
    let ld4 = params.ld / 4u;
    if column >= ld4 {
        return;
    }
    let member = group.z;
    let valid = steps[at.slot * params.members + member].valid;
    let x0 = member * params.rows * ld4 + column;
    let arena = member * (params.stride / 4u) + column;
    let mean_ix = arena + params.mean_offset / 4u;
    let var_ix = arena + params.var_offset / 4u;
    var mean = parameters[mean_ix];
    var variance = parameters[var_ix];
    if params.running == 0u {
        let n = f32(max(valid, 1u));
        let running_mean = mean;
        let running_var = variance;
        var sum = vec4<f32>(0.0);
        for (var b = lane; b < valid; b += LANES) {
            sum += x[x0 + b * ld4];
        }
        mean = sum_lanes(lane, sum) / n;
        sum = vec4<f32>(0.0);
        for (var b = lane; b < valid; b += LANES) {
            let centred = x[x0 + b * ld4] - mean;
            sum += centred * centred;
        }
        let squares = sum_lanes(lane, sum);
        variance = squares / n;
        if lane == 0u && valid > 0u && members[member].active_flag != 0u {
            let rest = 1.0 - NORM_MOMENTUM;
            let unbiased = squares / max(n - 1.0, 1.0);
            parameters[mean_ix] = rest * running_mean + NORM_MOMENTUM * mean;
            parameters[var_ix] = rest * running_var + NORM_MOMENTUM * unbiased;
        }
    }
    let inverse = inverseSqrt(variance + NORM_EPS);
    if lane == 0u {
        stats[member * 2u * ld4 + column] = mean;
        stats[(member * 2u + 1u) * ld4 + column] = inverse;
    }
    let scale = parameters[arena + params.scale_offset / 4u];
    let shift = parameters[arena + params.shift_offset / 4u];
    for (var b = lane; b < params.rows; b += LANES) {
        let ix = x0 + b * ld4;
        y[ix] = select(vec4<f32>(0.0), (x[ix] - mean) * inverse * scale + shift, b < valid);
    }
}
