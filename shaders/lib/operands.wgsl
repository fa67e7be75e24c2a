// Reading the operands of a product in blocks of four products of k, the same in all orientations:
// column i of a block belongs to k = 4 k4 + i, its elements to four rows of A, or columns of B.
//
// Nothing is read outside of the operands, so that nothing needs checking, and nothing is branched on:
// rows past the last one repeat it, for results that nobody stores, and products past the last k have
// a factor of A that is zero.

// Where one member's operand lies, in vec4s, and where it ends.
struct Operand {
    start: u32,
    // Row length.
    ld: u32,
    // The last row of A, or column of B, that the product has.
    last: u32,
    k_last: u32,
}

fn operand_a(member: u32) -> Operand {
    return Operand(a_start(member), params.lda / 4u, params.m - 1u, params.k - 1u);
}

fn operand_b(member: u32) -> Operand {
    return Operand(b_start(member), params.ldb / 4u, params.n - 1u, params.k - 1u);
}

// Rows 4 m4 to 4 m4 + 3 of A.
fn a_block(o: Operand, k4: u32, m4: u32) -> mat4x4<f32> {
    if ORIENTATION == 2u {
        let at = o.start + min(m4, o.last / 4u);
        let k = k4 * 4u;
        let zero = vec4<f32>(0.0);
        return mat4x4<f32>(
            a[at + k * o.ld],
            select(zero, a[at + min(k + 1u, o.k_last) * o.ld], k + 1u <= o.k_last),
            select(zero, a[at + min(k + 2u, o.k_last) * o.ld], k + 2u <= o.k_last),
            select(zero, a[at + min(k + 3u, o.k_last) * o.ld], k + 3u <= o.k_last),
        );
    }
    // The padding columns of A are zero.
    let m = m4 * 4u;
    let at = o.start + k4;
    return transpose(mat4x4<f32>(
        a[at + min(m, o.last) * o.ld],
        a[at + min(m + 1u, o.last) * o.ld],
        a[at + min(m + 2u, o.last) * o.ld],
        a[at + min(m + 3u, o.last) * o.ld],
    ));
}

// Columns 4 n4 to 4 n4 + 3 of B.
fn b_block(o: Operand, k4: u32, n4: u32) -> mat4x4<f32> {
    if ORIENTATION == 1u {
        let n = n4 * 4u;
        let at = o.start + k4;
        return transpose(mat4x4<f32>(
            b[at + min(n, o.last) * o.ld],
            b[at + min(n + 1u, o.last) * o.ld],
            b[at + min(n + 2u, o.last) * o.ld],
            b[at + min(n + 3u, o.last) * o.ld],
        ));
    }
    let at = o.start + min(n4, o.last / 4u);
    let k = k4 * 4u;
    return mat4x4<f32>(
        b[at + k * o.ld],
        b[at + min(k + 1u, o.k_last) * o.ld],
        b[at + min(k + 2u, o.k_last) * o.ld],
        b[at + min(k + 3u, o.k_last) * o.ld],
    );
}

// acc + the products of one row of A, x, with the four rows of a block of B; k ascends.
fn dot4(x: vec4<f32>, y: mat4x4<f32>, acc: vec4<f32>) -> vec4<f32> {
    var sum = fma(vec4<f32>(x.x), y[0], acc);
    sum = fma(vec4<f32>(x.y), y[1], sum);
    sum = fma(vec4<f32>(x.z), y[2], sum);
    return fma(vec4<f32>(x.w), y[3], sum);
}
