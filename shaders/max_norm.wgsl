// use: member, step, reduce, index
//
// Scales a unit's incoming weights, a row of its layer's weight matrix, back to the largest norm that
// the member allows. One workgroup a row.

struct Params {
    members: u32,
    rows: u32,
    cols: u32,
    ld: u32,
    offset: u32,
    stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> members: array<Member>;
@group(0) @binding(2) var<storage, read> steps: array<Step>;
@group(0) @binding(3) var<storage, read_write> parameters: array<vec4<f32>>;

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
    let start = (member * params.stride + params.offset) / 4u + row * ld4;
    var squares = vec4<f32>(0.0);
    for (var i = lane; i < ld4; i += LANES) {
        let w = parameters[start + i];
        squares += w * w;
    }
    let norm = sqrt(dot(sum_lanes(lane, squares), vec4<f32>(1.0)));
    let bound = members[member].max_norm;
    let moves = members[member].active_flag != 0u
        && steps[at.slot * params.members + member].applies != 0u;
    if !moves || bound <= 0.0 || norm <= bound {
        return;
    }
    let scale = bound / norm;
    for (var i = lane; i < ld4; i += LANES) {
        parameters[start + i] *= scale;
    }
}
