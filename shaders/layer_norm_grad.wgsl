// use: reduce, index
//
// Gradients of layer normalisation in one dispatch: the first workgroups make a row of dx each, those
// behind them four columns of the gradients of gamma and beta. See cpu/layer_norm_grad.rs.

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
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> stats: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> dx: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> grads: array<vec4<f32>>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) n_groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let place = group.y * n_groups.x + group.x;
    let ld4 = params.ld / 4u;
    let member = group.z;
    let scale0 = (member * params.stride + params.scale_offset) / 4u;
    if place < params.rows {
        let row = member * params.rows + place;
        let x0 = row * ld4;
        let stat = stats[row];
        var sum = vec4<f32>(0.0);
        var sum_x = vec4<f32>(0.0);
        // Padding columns of dy and gamma are zero and add nothing.
        for (var i = lane; i < ld4; i += LANES) {
            let d = dy[x0 + i] * parameters[scale0 + i];
            sum += d;
            sum_x += d * ((x[x0 + i] - stat.x) * stat.y);
        }
        let n = f32(params.cols);
        let ones = vec4<f32>(1.0);
        let mean = dot(sum_lanes(lane, sum), ones) / n;
        let mean_x = dot(sum_lanes(lane, sum_x), ones) / n;
        for (var i = lane; i < ld4; i += LANES) {
            let normal = (x[x0 + i] - stat.x) * stat.y;
            let d = dy[x0 + i] * parameters[scale0 + i];
            let y = stat.y * (d - mean - normal * mean_x);
            dx[x0 + i] = select(vec4<f32>(0.0), y, within(i * 4u, params.cols));
        }
        return;
    }
    let column = place - params.rows;
    if column >= ld4 || params.trains == 0u {
        return;
    }
    var sum = vec4<f32>(0.0);
    var sum_x = vec4<f32>(0.0);
    for (var b = lane; b < params.rows; b += LANES) {
        let row = member * params.rows + b;
        let ix = row * ld4 + column;
        let stat = stats[row];
        sum += dy[ix];
        sum_x += dy[ix] * ((x[ix] - stat.x) * stat.y);
    }
    sum = sum_lanes(lane, sum);
    sum_x = sum_lanes(lane, sum_x);
    if lane == 0u {
        let scale_ix = scale0 + column;
        let shift_ix = (member * params.stride + params.shift_offset) / 4u + column;
        if params.adds != 0u {
            sum += grads[shift_ix];
            sum_x += grads[scale_ix];
        }
        grads[scale_ix] = sum_x;
        grads[shift_ix] = sum;
    }
}
