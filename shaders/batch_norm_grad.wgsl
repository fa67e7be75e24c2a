// use: step, reduce, index
//
// Gradients of batch normalisation: of x, and of gamma and beta, which are column sums that the first
// needs anyway. One workgroup four columns. See cpu/batch_norm_grad.rs.

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

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> stats: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> steps: array<Step>;
@group(0) @binding(5) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> dx: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> grads: array<vec4<f32>>;

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
    let mean = stats[member * 2u * ld4 + column];
    let inverse = stats[(member * 2u + 1u) * ld4 + column];
    let factor = inverse * parameters[arena + params.scale_offset / 4u];
    var mean_dy = vec4<f32>(0.0);
    var mean_dy_x = vec4<f32>(0.0);
    if params.running == 0u {
        var sum = vec4<f32>(0.0);
        var sum_x = vec4<f32>(0.0);
        for (var b = lane; b < valid; b += LANES) {
            let ix = x0 + b * ld4;
            sum += dy[ix];
            sum_x += dy[ix] * ((x[ix] - mean) * inverse);
        }
        sum = sum_lanes(lane, sum);
        sum_x = sum_lanes(lane, sum_x);
        let n = f32(max(valid, 1u));
        mean_dy = sum / n;
        mean_dy_x = sum_x / n;
        if lane == 0u {
            let scale_ix = arena + params.scale_offset / 4u;
            let shift_ix = arena + params.shift_offset / 4u;
            if params.adds != 0u {
                sum += grads[shift_ix];
                sum_x += grads[scale_ix];
            }
            grads[scale_ix] = sum_x;
            grads[shift_ix] = sum;
        }
    }
    for (var b = lane; b < params.rows; b += LANES) {
        let ix = x0 + b * ld4;
        let normal = (x[ix] - mean) * inverse;
        let d = factor * (dy[ix] - mean_dy - normal * mean_dy_x);
        dx[ix] = select(vec4<f32>(0.0), d, b < valid);
    }
}
