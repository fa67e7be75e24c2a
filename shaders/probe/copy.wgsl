// duplicate = original: the bandwidth of a large copy. An invocation copies one vec4 after the other, a whole
// grid apart, so that neighbours read neighbours.

struct Params {
    // vec4s.
    len: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> original: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> duplicate: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) n_groups: vec3<u32>,
) {
    for (var i = id.x; i < params.len; i += n_groups.x * 64u) {
        duplicate[i] = original[i];
    }
}
