// use: member, step, index, head
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
@group(0) @binding(4) var<storage, read> members: array<Member>;
@group(0) @binding(5) var<storage, read> steps: array<Step>;
@group(0) @binding(6) var<storage, read> class_weights: array<f32>;
@group(0) @binding(7) var<storage, read_write> d: array<f32>;
@group(0) @binding(8) var<storage, read_write> samples: array<vec2<f32>>;

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
    var highest = outputs[base];
    var best = 0u;
    var finite = is_finite_bits(highest);
    for (var j = 1u; j < params.classes; j += 1u) {
        let z = outputs[base + j];
        finite = finite && is_finite_bits(z);
        if z > highest {
            highest = z;
            best = j;
        }
    }
    var sum = 0.0;
    for (var j = 0u; j < params.classes; j += 1u) {
        sum += exp(max(outputs[base + j] - highest, -80.0));
    }
    let inv_sum = 1.0 / sum;
    var loss = log(sum);
    if params.eval != 0u {
        loss -= outputs[base + label] - highest;
        for (var j = 0u; j < params.classes; j += 1u) {
            d[base + j] = exp(max(outputs[base + j] - highest, -80.0)) * inv_sum;
        }
        finite = finite && is_finite_bits(loss);
    } else {
        let weights = member * params.classes;
        let smoothing = members[member].label_smoothing;
        let even = smoothing / f32(params.classes);
        let hit = 1.0 - smoothing;
        var total = 0.0;
        var weight = 0.0;
        for (var j = 0u; j < params.classes; j += 1u) {
            let w = class_weights[weights + j];
            total += w * (outputs[base + j] - highest);
            weight += w;
        }
        let own = hit * class_weights[weights + label];
        let mass = own + even * weight;
        loss = mass * loss - own * (outputs[base + label] - highest) - even * total;
        finite = finite && is_finite_bits(loss);
        loss *= steps[step_ix].loss_scale;
        let scale = steps[step_ix].grad_scale;
        for (var j = 0u; j < params.classes; j += 1u) {
            let probability = exp(max(outputs[base + j] - highest, -80.0)) * inv_sum;
            let q = even + select(0.0, hit, j == label);
            d[base + j] = (probability * mass - q * class_weights[weights + j]) * scale;
        }
    }
    samples[place] = vec2<f32>(
        select(DIVERGED, loss, finite),
        select(0.0, 1.0, best == label && finite),
    );
}
