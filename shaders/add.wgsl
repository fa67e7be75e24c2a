// use: index
//
// c = a + b over [P, rows, ld]; padding columns are zero in both, so that nothing is masked and the
// parameter block, the same for all element-wise kernels, is not read.

struct Params {
    rows: u32,
    cols: u32,
    ld: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> c: array<vec4<f32>>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) n_groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let ix = flat_index(group, n_groups, lane);
    if ix >= arrayLength(&c) {
        return;
    }
    c[ix] = a[ix] + b[ix];
}
