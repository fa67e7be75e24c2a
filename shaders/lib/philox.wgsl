// Philox 4x32-10 (Salmon et al. 2011); the twin of cpu/philox.rs, equal bit for bit.
fn philox(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    var c = counter;
    var k = key;
    for (var round = 0u; round < 10u; round += 1u) {
        let lo0 = c.x * 0xD2511F53u;
        let hi0 = mul_hi(c.x, 0xD2511F53u);
        let lo1 = c.z * 0xCD9E8D57u;
        let hi1 = mul_hi(c.z, 0xCD9E8D57u);
        c = vec4<u32>(hi1 ^ c.y ^ k.x, lo1, hi0 ^ c.w ^ k.y, lo0);
        k += vec2<u32>(0x9E3779B9u, 0xBB67AE85u);
    }
    return c;
}

// The upper word of a 64-bit product, from 16-bit halves.
fn mul_hi(a: u32, b: u32) -> u32 {
    let a_lo = a & 0xFFFFu;
    let a_hi = a >> 16u;
    let b_lo = b & 0xFFFFu;
    let b_hi = b >> 16u;
    let low = a_lo * b_lo;
    let mid = a_hi * b_lo + (low >> 16u);
    let cross = a_lo * b_hi + (mid & 0xFFFFu);
    return a_hi * b_hi + (mid >> 16u) + (cross >> 16u);
}
