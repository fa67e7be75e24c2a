// Invocations of a workgroup of an element-wise kernel.
const LANES: u32 = 64u;

// The number of an element-wise invocation; the host folds long grids into x and y.
fn flat_index(group: vec3<u32>, n_groups: vec3<u32>, lane: u32) -> u32 {
    return (group.y * n_groups.x + group.x) * LANES + lane;
}

// A mask over the four columns from `column`: padding columns must stay zero.
fn within(column: u32, cols: u32) -> vec4<bool> {
    return vec4<u32>(column) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(cols);
}
