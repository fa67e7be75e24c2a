// use: operands, column_sums
// variant block64x64: ROWS = 4, VECS = 1, STEP = 16
// variant block128x128: ROWS = 8, VECS = 2, STEP = 8
//
// A tile in workgroup memory: 16 x 16 lanes make 16 ROWS rows of 64 VECS columns, a lane ROWS rows of
// VECS vec4s in registers. STEP products at a time are brought to workgroup memory, where each
// element serves 16 lanes. The edges are dealt with there: what lies past k is zero, so that the inner
// loop has nothing to check. A lane's rows come in fours that are 64 rows apart, and its vec4s are
// 16 apart, so that neighbouring lanes read neighbouring vec4s.

const SIDE: u32 = 16u;
const TILE_LANES: u32 = SIDE * SIDE;
const FOURS: u32 = ROWS / 4u;
// vec4s of a product's row of A, and of B.
const A_WIDTH: u32 = SIDE * FOURS;
const B_WIDTH: u32 = SIDE * VECS;

var<workgroup> sh_a: array<vec4<f32>, STEP * A_WIDTH>;
var<workgroup> sh_b: array<vec4<f32>, STEP * B_WIDTH>;

@compute @workgroup_size(TILE_LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let member = group.z;
    if !takes_part(member) {
        return;
    }
    let m4 = group.y * A_WIDTH;
    if sums_columns(group, B_WIDTH * 4u) {
        column_sums(member, m4, A_WIDTH, lane);
        return;
    }
    let n4 = group.x * B_WIDTH;
    let from_a = operand_a(member);
    let from_b = operand_b(member);
    let down = lane / SIDE;
    let across = lane % SIDE;
    var acc: array<vec4<f32>, ROWS * VECS>;
    let k4_end = (params.k + 3u) / 4u;
    for (var k4 = 0u; k4 < k4_end; k4 += STEP / 4u) {
        // A block of four by four is a lane's work.
        for (var i = lane; i < STEP / 4u * A_WIDTH; i += TILE_LANES) {
            let k = i / A_WIDTH;
            let at = k * 4u * A_WIDTH + i % A_WIDTH;
            var x = mat4x4<f32>();
            if k4 + k < k4_end {
                x = a_block(from_a, k4 + k, m4 + i % A_WIDTH);
            }
            sh_a[at] = x[0];
            sh_a[at + A_WIDTH] = x[1];
            sh_a[at + 2u * A_WIDTH] = x[2];
            sh_a[at + 3u * A_WIDTH] = x[3];
        }
        for (var i = lane; i < STEP / 4u * B_WIDTH; i += TILE_LANES) {
            let k = i / B_WIDTH;
            let at = k * 4u * B_WIDTH + i % B_WIDTH;
            var y = mat4x4<f32>();
            if k4 + k < k4_end {
                y = b_block(from_b, k4 + k, n4 + i % B_WIDTH);
            }
            sh_b[at] = y[0];
            sh_b[at + B_WIDTH] = y[1];
            sh_b[at + 2u * B_WIDTH] = y[2];
            sh_b[at + 3u * B_WIDTH] = y[3];
        }
        workgroupBarrier();
        for (var k = 0u; k < STEP; k += 1u) {
            var y: array<vec4<f32>, VECS>;
            for (var v = 0u; v < VECS; v += 1u) {
                y[v] = sh_b[k * B_WIDTH + v * SIDE + across];
            }
            for (var f = 0u; f < FOURS; f += 1u) {
                let x = sh_a[k * A_WIDTH + f * SIDE + down];
                for (var v = 0u; v < VECS; v += 1u) {
                    let i = f * 4u * VECS + v;
                    acc[i] = fma(vec4<f32>(x.x), y[v], acc[i]);
                    acc[i + VECS] = fma(vec4<f32>(x.y), y[v], acc[i + VECS]);
                    acc[i + 2u * VECS] = fma(vec4<f32>(x.z), y[v], acc[i + 2u * VECS]);
                    acc[i + 3u * VECS] = fma(vec4<f32>(x.w), y[v], acc[i + 3u * VECS]);
                }
            }
        }
        workgroupBarrier();
    }
    for (var f = 0u; f < FOURS; f += 1u) {
        let m = (m4 + f * SIDE + down) * 4u;
        for (var v = 0u; v < VECS; v += 1u) {
            let n = n4 + v * SIDE + across;
            let i = f * 4u * VECS + v;
            finish(member, m, n, acc[i]);
            finish(member, m + 1u, n, acc[i + VECS]);
            finish(member, m + 2u, n, acc[i + 2u * VECS]);
            finish(member, m + 3u, n, acc[i + 3u * VECS]);
        }
    }
}
