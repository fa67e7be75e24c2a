// use: step, index
//
// counts[p, label, argmax] += 1 for every valid row; integer atomics, so the order does not matter.

struct Params {
    members: u32,
    batch: u32,
    classes: u32,
    ld: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> outputs: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> indices: array<u32>;
@group(0) @binding(4) var<storage, read> steps: array<Step>;
@group(0) @binding(5) var<storage, read_write> counts: array<atomic<u32>>;

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
    if row % params.batch >= steps[at.slot * params.members + member].valid {
        return;
    }
    let base = row * params.ld;
    var highest = outputs[base];
    var best = 0u;
    for (var j = 1u; j < params.classes; j += 1u) {
        let y = outputs[base + j];
        if y > highest {
            highest = y;
            best = j;
        }
    }
    let label = labels[indices[at.slot * n_rows + row]];
    atomicAdd(&counts[(member * params.classes + label) * params.classes + best], 1u);
}
