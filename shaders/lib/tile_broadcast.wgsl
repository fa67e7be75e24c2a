// use: operands, column_sums
// variant broadcast16x4: ROWS = 16
// variant broadcast32x4: ROWS = 32
//
// A tile of one subgroup: ROWS rows, a vec4 of each a lane. A lane loads ROWS / 8 vec4s of A and four
// of B, its own columns, for four products of k; A's elements reach the other lanes by broadcast, from
// lanes whose numbers are constants. So 2 or 4 and 4 loads serve 256 or 512 multiply-adds of each lane,
// in every orientation. A lies in the first eight lanes, whatever the size of the subgroup; any others
// load it again.
//
// Rows are written out and not looped over: a loop that a compiler leaves as one turns the registers
// into memory.

// The workgroup is exactly one subgroup, of at least eight lanes.
override TILE_LANES: u32 = 8u;

var<private> acc: array<vec4<f32>, ROWS>;
// Four rows of B, as far as k reaches, at the lane's columns.
var<private> y: mat4x4<f32>;

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
    if sums_columns(group, TILE_LANES * 4u) {
        column_sums(member, m0 / 4u, ROWS / 4u, lane);
        return;
    }
    let n4 = group.x * TILE_LANES + lane;
    let from_a = operand_a(member);
    let from_b = operand_b(member);
    let part = lane % 8u;
    let k4_end = (params.k + 3u) / 4u;
    for (var k4 = 0u; k4 < k4_end; k4 += 1u) {
        y = b_block(from_b, k4, n4);
        if ORIENTATION != 2u {
            // A row a lane, with its four products.
            eight_rows(0u, a_row(from_a, k4, m0 + part));
            eight_rows(8u, a_row(from_a, k4, m0 + 8u + part));
            if ROWS > 16u {
                eight_rows(16u, a_row(from_a, k4, m0 + 16u + part));
                eight_rows(24u, a_row(from_a, k4, m0 + 24u + part));
            }
        } else if ROWS > 16u {
            // Four rows a lane, for each of four products.
            let x = a_block(from_a, k4, m0 / 4u + part);
            four_rows(
                0u,
                subgroupBroadcast(x[0], 0u),
                subgroupBroadcast(x[1], 0u),
                subgroupBroadcast(x[2], 0u),
                subgroupBroadcast(x[3], 0u),
            );
            four_rows(
                4u,
                subgroupBroadcast(x[0], 1u),
                subgroupBroadcast(x[1], 1u),
                subgroupBroadcast(x[2], 1u),
                subgroupBroadcast(x[3], 1u),
            );
            four_rows(
                8u,
                subgroupBroadcast(x[0], 2u),
                subgroupBroadcast(x[1], 2u),
                subgroupBroadcast(x[2], 2u),
                subgroupBroadcast(x[3], 2u),
            );
            four_rows(
                12u,
                subgroupBroadcast(x[0], 3u),
                subgroupBroadcast(x[1], 3u),
                subgroupBroadcast(x[2], 3u),
                subgroupBroadcast(x[3], 3u),
            );
            four_rows(
                16u,
                subgroupBroadcast(x[0], 4u),
                subgroupBroadcast(x[1], 4u),
                subgroupBroadcast(x[2], 4u),
                subgroupBroadcast(x[3], 4u),
            );
            four_rows(
                20u,
                subgroupBroadcast(x[0], 5u),
                subgroupBroadcast(x[1], 5u),
                subgroupBroadcast(x[2], 5u),
                subgroupBroadcast(x[3], 5u),
            );
            four_rows(
                24u,
                subgroupBroadcast(x[0], 6u),
                subgroupBroadcast(x[1], 6u),
                subgroupBroadcast(x[2], 6u),
                subgroupBroadcast(x[3], 6u),
            );
            four_rows(
                28u,
                subgroupBroadcast(x[0], 7u),
                subgroupBroadcast(x[1], 7u),
                subgroupBroadcast(x[2], 7u),
                subgroupBroadcast(x[3], 7u),
            );
        } else {
            // Four rows a lane: two products in lanes 0 to 3, the next two in 4 to 7.
            let k = k4 * 4u + part / 4u * 2u;
            let at = from_a.start + min(m0 / 4u + part % 4u, from_a.last / 4u);
            let zero = vec4<f32>(0.0);
            let last = from_a.k_last;
            let x0 = select(zero, a[at + min(k, last) * from_a.ld], k <= last);
            let x1 = select(zero, a[at + min(k + 1u, last) * from_a.ld], k + 1u <= last);
            four_rows(
                0u,
                subgroupBroadcast(x0, 0u),
                subgroupBroadcast(x1, 0u),
                subgroupBroadcast(x0, 4u),
                subgroupBroadcast(x1, 4u),
            );
            four_rows(
                4u,
                subgroupBroadcast(x0, 1u),
                subgroupBroadcast(x1, 1u),
                subgroupBroadcast(x0, 5u),
                subgroupBroadcast(x1, 5u),
            );
            four_rows(
                8u,
                subgroupBroadcast(x0, 2u),
                subgroupBroadcast(x1, 2u),
                subgroupBroadcast(x0, 6u),
                subgroupBroadcast(x1, 6u),
            );
            four_rows(
                12u,
                subgroupBroadcast(x0, 3u),
                subgroupBroadcast(x1, 3u),
                subgroupBroadcast(x0, 7u),
                subgroupBroadcast(x1, 7u),
            );
        }
    }
    for (var r = 0u; r < ROWS; r += 1u) {
        finish(member, m0 + r, n4, acc[r]);
    }
}

// Four products of row m of A.
fn a_row(o: Operand, k4: u32, m: u32) -> vec4<f32> {
    return a[o.start + k4 + min(m, o.last) * o.ld];
}

// Adds a row's four products, x, at the lane's columns.
fn one_row(r: u32, x: vec4<f32>) {
    acc[r] = dot4(x, y, acc[r]);
}

// The same of eight rows, of which each of eight lanes has one.
fn eight_rows(r: u32, x: vec4<f32>) {
    one_row(r, subgroupBroadcast(x, 0u));
    one_row(r + 1u, subgroupBroadcast(x, 1u));
    one_row(r + 2u, subgroupBroadcast(x, 2u));
    one_row(r + 3u, subgroupBroadcast(x, 3u));
    one_row(r + 4u, subgroupBroadcast(x, 4u));
    one_row(r + 5u, subgroupBroadcast(x, 5u));
    one_row(r + 6u, subgroupBroadcast(x, 6u));
    one_row(r + 7u, subgroupBroadcast(x, 7u));
}

// The same of four rows, whose elements lie in one vec4 for each product.
fn four_rows(r: u32, k0: vec4<f32>, k1: vec4<f32>, k2: vec4<f32>, k3: vec4<f32>) {
    one_row(r, vec4<f32>(k0.x, k1.x, k2.x, k3.x));
    one_row(r + 1u, vec4<f32>(k0.y, k1.y, k2.y, k3.y));
    one_row(r + 2u, vec4<f32>(k0.z, k1.z, k2.z, k3.z));
    one_row(r + 3u, vec4<f32>(k0.w, k1.w, k2.w, k3.w));
}
