// use: member, step, index, head
//
// Squared, absolute or Huber error of raw outputs against one-hot labels or against one value a
// sample, with its gradient, one row an invocation. See cpu/regression_loss.rs.

struct Params {
    members: u32,
    batch: u32,
    classes: u32,
    ld: u32,
    eval: u32,
}

// 0 squared, 1 absolute, 2 Huber.
override ERROR: u32 = 0u;
// Labels are the bits of targets, and not class numbers.
override VALUES: bool = false;

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
    let base = row * params.ld;
    let place = at.slot * n_rows + row;
    if row % params.batch >= steps[step_ix].valid {
        for (var j = 0u; j < params.classes; j += 1u) {
            d[base + j] = 0.0;
        }
        samples[place] = vec2<f32>(0.0);
        return;
    }
    let label = labels[indices[place]];
    let delta = members[member].huber_delta;
    var weight = 1.0;
    var loss_scale = 1.0;
    if params.eval == 0u {
        loss_scale = steps[step_ix].loss_scale;
        if !VALUES {
            weight = class_weights[member * params.classes + label];
        }
    }
    let scale = weight * steps[step_ix].grad_scale / f32(params.classes);
    var highest = outputs[base];
    var best = 0u;
    var finite = true;
    var sum = 0.0;
    var squares = 0.0;
    for (var j = 0u; j < params.classes; j += 1u) {
        let y = outputs[base + j];
        finite = finite && is_finite_bits(y);
        if y > highest {
            highest = y;
            best = j;
        }
        var t = select(0.0, 1.0, j == label);
        if VALUES {
            t = bitcast<f32>(label);
        }
        let error = y - t;
        sum += loss_of(error, delta);
        squares += error * error;
        d[base + j] = select(scale * slope_of(error, delta), y, params.eval != 0u);
    }
    finite = finite && is_finite_bits(sum) && is_finite_bits(squares);
    let loss = sum / f32(params.classes) * weight * loss_scale;
    var other = select(0.0, 1.0, best == label && finite);
    if VALUES {
        other = select(DIVERGED, squares, finite);
    }
    samples[place] = vec2<f32>(select(DIVERGED, loss, finite), other);
}

fn loss_of(error: f32, delta: f32) -> f32 {
    if ERROR == 1u {
        return abs(error);
    }
    if ERROR == 2u {
        let size = abs(error);
        return select(0.5 * error * error, delta * (size - 0.5 * delta), size > delta);
    }
    return error * error;
}

fn slope_of(error: f32, delta: f32) -> f32 {
    if ERROR == 1u {
        return sign(error);
    }
    if ERROR == 2u {
        return clamp(error, -delta, delta);
    }
    return 2.0 * error;
}
