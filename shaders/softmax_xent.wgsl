// use: step, index, head, xent
//
// Softmax, cross-entropy with label smoothing and class weights, and the gradient of their mean, one
// row an invocation; the probabilities are never stored in training. See cpu/softmax_xent.rs for
// the formulas.

struct Params {
    members: u32,
    batch: u32,
    classes: u32,
    ld: u32,
    eval: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> outputs: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> indices: array<u32>;
@group(0) @binding(4) var<storage, read> steps: array<Step>;
@group(0) @binding(5) var<storage, read> class_weights: array<f32>;
@group(0) @binding(6) var<storage, read_write> d: array<f32>;
@group(0) @binding(7) var<storage, read_write> samples: array<vec2<f32>>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) n_groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = flat_index(group, n_groups, lane);
    let n_rows = params.members * params.batch;
    if row >= n_rows {
        return;
    }
    let member = row / params.batch;
    let step_ix = at.slot * params.members + member;
    let valid = steps[step_ix].valid;
    let base = row * params.ld;
    let place = at.slot * n_rows + row;
    if row % params.batch >= valid {
        for (var j = 0u; j < params.classes; j += 1u) {
            d[base + j] = 0.0;
        }
        samples[place] = vec2<f32>(0.0);
        return;
    }
    let label = labels[indices[place]];
    if params.eval == 0u {
        samples[place] = xent(base, member, label, steps[step_ix]);
        return;
    }
    let peak = peak_of(base);
    let sum = exp_sum(base, peak);
    let inv_sum = 1.0 / sum;
    for (var j = 0u; j < params.classes; j += 1u) {
        d[base + j] = exp_of(base, j, peak) * inv_sum;
    }
    let loss = log(sum) - (outputs[base + label] - peak.value);
    samples[place] = sample_of(loss, 1.0, label, peak);
}

fn output_of(row: u32, j: u32) -> f32 {
    return outputs[row + j];
}

fn put_gradient(row: u32, j: u32, value: f32) {
    d[row + j] = value;
}
