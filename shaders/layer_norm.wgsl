// use: reduce, norm, index
//
// y = (x - mean) / sqrt(var + eps) * gamma + beta, row by row. One workgroup a row; statistics in two
// passes, each a fixed tree. See cpu/layer_norm.rs.

struct Params {
    members: u32,
    rows: u32,
    cols: u32,
    ld: u32,
    scale_offset: u32,
    shift_offset: u32,
    stride: u32,
    trains: u32,
    adds: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> stats: array<vec2<f32>>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) n_groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = group.y * n_groups.x + group.x;
    if row >= params.rows {
        return;
    }
    let member = group.z;
    let ld4 = params.ld / 4u;
    let x0 = (member * params.rows + row) * ld4;
    let ones = vec4<f32>(1.0);
    let n = f32(params.cols);
    var sum = vec4<f32>(0.0);
    for (var i = lane; i < ld4; i += LANES) {
        sum += x[x0 + i];
    }
    let mean = dot(sum_lanes(lane, sum), ones) / n;
    sum = vec4<f32>(0.0);
    for (var i = lane; i < ld4; i += LANES) {
        let centred = select(vec4<f32>(0.0), x[x0 + i] - mean, within(i * 4u, params.cols));
        sum += centred * centred;
    }
    let inverse = inverseSqrt(dot(sum_lanes(lane, sum), ones) / n + NORM_EPS);
    if lane == 0u {
        stats[member * params.rows + row] = vec2<f32>(mean, inverse);
    }
    // Padding columns of gamma and beta are zero, and so are those of y.
    let scale0 = (member * params.stride + params.scale_offset) / 4u;
    let shift0 = (member * params.stride + params.shift_offset) / 4u;
    for (var i = lane; i < ld4; i += LANES) {
        y[x0 + i] = (x[x0 + i] - mean) * inverse * parameters[scale0 + i] + parameters[shift0 + i];
    }
}
