// use: operands, column_sums
// variant stream8x4: ROWS = 8, VECS = 1
// variant stream16x4: ROWS = 16, VECS = 1
// variant stream16x8: ROWS = 16, VECS = 2
//
// A tile without workgroup memory, the portable one: a workgroup makes ROWS rows, a lane VECS vec4s
// of each, in registers. All lanes read the same elements of A, which a scalar unit or one cache line
// serves; each lane reads its own columns of B once per ROWS rows. k ascends, whatever the tile.

override TILE_LANES: u32 = 32u;

@compute @workgroup_size(TILE_LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let member = group.z;
    if !takes_part(member) {
        return;
    }
    let m0 = group.y * ROWS;
    if sums_columns(group, TILE_LANES * VECS * 4u) {
        column_sums(member, m0 / 4u, ROWS / 4u, lane);
        return;
    }
    let n0 = group.x * TILE_LANES * VECS + lane;
    let from_a = operand_a(member);
    let from_b = operand_b(member);
    var acc: array<vec4<f32>, ROWS * VECS>;
    let k4_end = (params.k + 3u) / 4u;
    for (var k4 = 0u; k4 < k4_end; k4 += 1u) {
        var y: array<mat4x4<f32>, VECS>;
        for (var v = 0u; v < VECS; v += 1u) {
            y[v] = b_block(from_b, k4, n0 + v * TILE_LANES);
        }
        for (var r = 0u; r < ROWS; r += 4u) {
            let x = transpose(a_block(from_a, k4, (m0 + r) / 4u));
            for (var v = 0u; v < VECS; v += 1u) {
                let i = r * VECS + v;
                acc[i] = dot4(x[0], y[v], acc[i]);
                acc[i + VECS] = dot4(x[1], y[v], acc[i + VECS]);
                acc[i + 2u * VECS] = dot4(x[2], y[v], acc[i + 2u * VECS]);
                acc[i + 3u * VECS] = dot4(x[3], y[v], acc[i + 3u * VECS]);
            }
        }
    }
    for (var r = 0u; r < ROWS; r += 1u) {
        for (var v = 0u; v < VECS; v += 1u) {
            finish(member, m0 + r, n0 + v * TILE_LANES, acc[r * VECS + v]);
        }
    }
}
