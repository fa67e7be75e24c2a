// use: member, step, index, head
//
// Mean squared error of raw outputs against one-hot labels with its gradient, one row an
// invocation. See cpu/mse.rs. The member table is part of a loss head's interface; squared error
// reads nothing of it.

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
    let valid = steps[at.slot * params.members + member].valid;
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
    let scale = 2.0 / (f32(params.classes) * f32(valid));
    var highest = outputs[base];
    var best = 0u;
    var finite = true;
    var sum = 0.0;
    for (var j = 0u; j < params.classes; j += 1u) {
        let y = outputs[base + j];
        finite = finite && is_finite_bits(y);
        if y > highest {
            highest = y;
            best = j;
        }
        let error = y - select(0.0, 1.0, j == label);
        sum += error * error;
        d[base + j] = select(scale * error, y, params.eval != 0u);
    }
    finite = finite && is_finite_bits(sum);
    samples[place] = vec2<f32>(
        select(DIVERGED, sum / f32(params.classes), finite),
        select(0.0, 1.0, best == label && finite),
    );
}
