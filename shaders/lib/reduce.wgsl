var<workgroup> sh_sums: array<vec4<f32>, LANES>;

// The sum over the lanes of a workgroup, by a fixed tree of halves; every lane gets it.
fn sum_lanes(lane: u32, value: vec4<f32>) -> vec4<f32> {
    // Whoever read an earlier sum is done.
    workgroupBarrier();
    sh_sums[lane] = value;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            sh_sums[lane] += sh_sums[lane + half];
        }
    }
    workgroupBarrier();
    return sh_sums[0];
}
