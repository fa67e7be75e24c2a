// The sums of A's columns over k, beside a product of A^T: the bias gradient beside that of the
// weights. The tiles are one workgroup wider than the product; its last column does nothing else, so
// that no tile is late for it.

var<workgroup> sh_sums: array<vec4<f32>, TILE_LANES>;

// Whether a workgroup is one of that last column, the tiles being `width` columns wide.
fn sums_columns(group: vec3<u32>, width: u32) -> bool {
    return BIAS_GRAD && group.x * width >= params.n;
}

// Sums `count` vec4s of columns from the m4-th on: as many lanes as there are for each, every one an
// interleaved part of k, and a fixed tree over them. `count` is a power of two and at most TILE_LANES, which
// is one too.
fn column_sums(member: u32, m4: u32, count: u32, lane: u32) {
    let o = operand_a(member);
    let at = o.start + min(m4 + lane % count, o.last / 4u);
    var sum = vec4<f32>(0.0);
    for (var k = lane / count; k < params.k; k += TILE_LANES / count) {
        sum += a[at + k * o.ld];
    }
    sh_sums[lane] = sum;
    for (var half = TILE_LANES / 2u; half >= count; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            sh_sums[lane] += sh_sums[lane + half];
        }
    }
    if lane < count {
        finish_sums(member, m4 + lane, sh_sums[lane]);
    }
}
