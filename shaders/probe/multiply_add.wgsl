// The peak of multiply-adds: three chains of vec4s, twelve sums an invocation, that need nothing of
// one another. The factors come from a buffer and the sums are stored, so that no compiler folds or
// drops them; x -> 0.5 x + 1 stays finite and normal.

struct Params {
    rounds: u32,
    factor: f32,
    summand: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> sums: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let factor = vec4<f32>(params.factor);
    let summand = vec4<f32>(params.summand);
    var x = vec4<f32>(f32(id.x % 7u));
    var y = x + 1.0;
    var z = x + 2.0;
    for (var i = 0u; i < params.rounds; i += 1u) {
        x = fma(x, factor, summand);
        y = fma(y, factor, summand);
        z = fma(z, factor, summand);
        x = fma(x, factor, summand);
        y = fma(y, factor, summand);
        z = fma(z, factor, summand);
        x = fma(x, factor, summand);
        y = fma(y, factor, summand);
        z = fma(z, factor, summand);
        x = fma(x, factor, summand);
        y = fma(y, factor, summand);
        z = fma(z, factor, summand);
    }
    sums[id.x] = x + y + z;
}
