// use: member, step, philox, index
//
// y = x * keep / (1 - rate); applied to dy it is its own backward pass. One counter a group of four
// columns: (group, step, layer); the decision compares integers.

struct Params {
    members: u32,
    rows: u32,
    cols: u32,
    ld: u32,
    slot: u32,
    op: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> members: array<Member>;
@group(0) @binding(3) var<storage, read> steps: array<Step>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) n_groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let ix = flat_index(group, n_groups, lane);
    if ix >= arrayLength(&y) {
        return;
    }
    let per_member = params.rows * (params.ld / 4u);
    let member = ix / per_member;
    let counter = vec4<u32>(
        ix % per_member,
        steps[at.slot * params.members + member].draw,
        params.op,
        0u,
    );
    let key = vec2<u32>(members[member].seed_lo, members[member].seed_hi);
    let keep = philox(counter, key) >= vec4<u32>(members[member].drop_threshold[params.slot]);
    let scaled = x[ix] * members[member].drop_scale[params.slot];
    y[ix] = select(vec4<f32>(0.0), scaled, keep);
}
