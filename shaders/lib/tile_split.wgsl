// use: operands, column_sums
// variant split: ROWS = 8, WIDTH = 4
//
// A small tile, for products with few rows or columns and a long k: ROWS rows of WIDTH vec4s a
// workgroup, k dealt to its lanes. Each of PARTS lanes to a vec4 sums every PARTS-th four products;
// then a fixed tree over workgroup memory adds the parts up. This second stage lies in the same
// dispatch: one of its own would wait for the first to drain, microseconds where the sum takes
// fewer than one, and would store and read the parts.

const PARTS: u32 = 16u;
const TILE_LANES: u32 = WIDTH * PARTS;

var<workgroup> sh_parts: array<array<vec4<f32>, ROWS>, TILE_LANES>;

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
    if sums_columns(group, WIDTH * 4u) {
        column_sums(member, m0 / 4u, ROWS / 4u, lane);
        return;
    }
    let n0 = group.x * WIDTH;
    let from_a = operand_a(member);
    let from_b = operand_b(member);
    var acc: array<vec4<f32>, ROWS>;
    let k4_end = (params.k + 3u) / 4u;
    for (var k4 = lane / WIDTH; k4 < k4_end; k4 += PARTS) {
        let y = b_block(from_b, k4, n0 + lane % WIDTH);
        for (var r = 0u; r < ROWS; r += 4u) {
            let x = transpose(a_block(from_a, k4, (m0 + r) / 4u));
            acc[r] = dot4(x[0], y, acc[r]);
            acc[r + 1u] = dot4(x[1], y, acc[r + 1u]);
            acc[r + 2u] = dot4(x[2], y, acc[r + 2u]);
            acc[r + 3u] = dot4(x[3], y, acc[r + 3u]);
        }
    }
    for (var r = 0u; r < ROWS; r += 1u) {
        sh_parts[lane][r] = acc[r];
    }
    for (var half = TILE_LANES / 2u; half >= WIDTH; half /= 2u) {
        workgroupBarrier();
        // Sums of the lower half, dealt to all lanes.
        for (var i = lane; i < half * ROWS; i += TILE_LANES) {
            sh_parts[i / ROWS][i % ROWS] += sh_parts[i / ROWS + half][i % ROWS];
        }
    }
    workgroupBarrier();
    for (var i = lane; i < WIDTH * ROWS; i += TILE_LANES) {
        finish(member, m0 + i / WIDTH, n0 + i % WIDTH, sh_parts[i % WIDTH][i / WIDTH]);
    }
}
