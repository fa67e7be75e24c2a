// use: activation, step, index, head, xent
// variant rows4: ROWS = 4
// variant rows8: ROWS = 8
//
// The output layer of a classifier with its loss, in training: outputs = x w^T + b, softmax,
// cross-entropy, the gradient d of its mean, and dx = (d w) f'(x), f being the activation that made x.
// A workgroup makes ROWS rows. Its lanes split the inputs, so that each element of w is read twice a
// workgroup, once forward and once back; a fixed tree over workgroup memory adds the lanes' parts of
// the outputs up, and a lane a row takes the loss. Outputs are never stored.

struct Params {
    members: u32,
    batch: u32,
    inputs: u32,
    ldx: u32,
    classes: u32,
    ld: u32,
    w_offset: u32,
    b_offset: u32,
    stride: u32,
    d_offset: u32,
    input_grad: u32,
}

// A power of two, at least ROWS.
override TILE_LANES: u32 = 32u;
// vec4s of a row of outputs.
override CLASSES4: u32 = 8u;
// TILE_LANES * ROWS * CLASSES4, which naga does not multiply out in an array's size.
override N_PARTS: u32 = 1024u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> labels: array<u32>;
@group(0) @binding(4) var<storage, read> indices: array<u32>;
@group(0) @binding(5) var<storage, read> steps: array<Step>;
@group(0) @binding(6) var<storage, read> class_weights: array<f32>;
@group(0) @binding(7) var<storage, read_write> grads: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> samples: array<vec2<f32>>;

// A lane's parts of the outputs [ROWS, CLASSES4]; at the end the first lane's are the outputs, and then
// their gradients.
var<workgroup> sh_parts: array<vec4<f32>, N_PARTS>;

@compute @workgroup_size(TILE_LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) n_groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let member = group.z;
    let first = (group.y * n_groups.x + group.x) * ROWS;
    let ldx4 = params.ldx / 4u;
    let x0 = member * params.batch * ldx4;
    let last = params.batch - 1u;

    // Forward. Up to 32 classes: eight vec4s of outputs a row.
    var part: array<vec4<f32>, ROWS * 8u>;
    for (var j4 = lane; j4 < ldx4; j4 += TILE_LANES) {
        var inputs: array<vec4<f32>, ROWS>;
        for (var r = 0u; r < ROWS; r += 1u) {
            inputs[r] = x[x0 + min(first + r, last) * ldx4 + j4];
        }
        for (var c = 0u; c < CLASSES4; c += 1u) {
            let w = weights(member, c, j4);
            for (var r = 0u; r < ROWS; r += 1u) {
                part[r * 8u + c] += inputs[r] * w;
            }
        }
    }
    let size = ROWS * CLASSES4;
    for (var r = 0u; r < ROWS; r += 1u) {
        for (var c = 0u; c < CLASSES4; c += 1u) {
            sh_parts[lane * size + r * CLASSES4 + c] = part[r * 8u + c];
        }
    }
    for (var half = TILE_LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        for (var i = lane; i < half * size; i += TILE_LANES) {
            sh_parts[i] += sh_parts[half * size + i];
        }
    }
    workgroupBarrier();

    // The loss, a lane a row.
    let step = steps[at.slot * params.members + member];
    if lane < ROWS && first + lane < params.batch {
        let row = first + lane;
        let place = (at.slot * params.members + member) * params.batch + row;
        let b0 = (member * params.stride + params.b_offset) / 4u;
        for (var c = 0u; c < CLASSES4; c += 1u) {
            sh_parts[lane * CLASSES4 + c] += parameters[b0 + c];
        }
        var sample = vec2<f32>(0.0);
        if row < step.valid {
            sample = xent(lane, member, labels[indices[place]], step);
        }
        samples[place] = sample;
        let d0 = (params.d_offset + (member * params.batch + row) * params.ld) / 4u;
        for (var c = 0u; c < CLASSES4; c += 1u) {
            let real = vec4<bool>(row < step.valid) & within(c * 4u, params.classes);
            let d = select(vec4<f32>(0.0), sh_parts[lane * CLASSES4 + c], real);
            sh_parts[lane * CLASSES4 + c] = d;
            grads[d0 + c] = d;
        }
    }
    if params.input_grad == 0u {
        return;
    }
    workgroupBarrier();

    // Back.
    var d: array<vec4<f32>, ROWS * 8u>;
    for (var r = 0u; r < ROWS; r += 1u) {
        for (var c = 0u; c < CLASSES4; c += 1u) {
            d[r * 8u + c] = sh_parts[r * CLASSES4 + c];
        }
    }
    for (var j4 = lane; j4 < ldx4; j4 += TILE_LANES) {
        var sums: array<vec4<f32>, ROWS>;
        for (var c = 0u; c < CLASSES4; c += 1u) {
            let w = weights(member, c, j4);
            for (var r = 0u; r < ROWS; r += 1u) {
                sums[r] += w * d[r * 8u + c];
            }
        }
        for (var r = 0u; r < ROWS; r += 1u) {
            if first + r < params.batch {
                let ix = x0 + (first + r) * ldx4 + j4;
                let real = vec4<bool>(first + r < step.valid) & within(j4 * 4u, params.inputs);
                grads[ix] = select(vec4<f32>(0.0), sums[r] * derivative(x[ix]), real);
            }
        }
    }
}

// Four rows of w at four inputs; rows past the last class repeat it, for outputs that nobody reads and
// gradients that are zero.
fn weights(member: u32, c: u32, j4: u32) -> mat4x4<f32> {
    let ldx4 = params.ldx / 4u;
    let w0 = (member * params.stride + params.w_offset) / 4u + j4;
    let last = params.classes - 1u;
    return mat4x4<f32>(
        parameters[w0 + min(c * 4u, last) * ldx4],
        parameters[w0 + min(c * 4u + 1u, last) * ldx4],
        parameters[w0 + min(c * 4u + 2u, last) * ldx4],
        parameters[w0 + min(c * 4u + 3u, last) * ldx4],
    );
}

// Both of a row of the first lane's part.
fn output_of(row: u32, j: u32) -> f32 {
    return sh_parts[row * CLASSES4 + j / 4u][j % 4u];
}

fn put_gradient(row: u32, j: u32, value: f32) {
    sh_parts[row * CLASSES4 + j / 4u][j % 4u] = value;
}
