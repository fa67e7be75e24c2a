// One workgroup that adds one to each of 64 numbers: a dispatch that does next to nothing and needs
// the dispatch before it.

@group(0) @binding(0) var<storage, read_write> counts: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
    counts[lane] += 1u;
}
