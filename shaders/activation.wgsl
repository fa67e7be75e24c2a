// use: activation, index
//
// y = f(z) over [P, rows, ld], four columns an invocation.

struct Params {
    rows: u32,
    cols: u32,
    ld: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> z: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

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
    let column = (ix % (params.ld / 4u)) * 4u;
    y[ix] = select(vec4<f32>(0.0), activate(z[ix]), within(column, params.cols));
}
