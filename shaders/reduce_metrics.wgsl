// use: step, index
//
// metrics[s,p] = sum over the batch of samples[s,p,b], one workgroup a row of the step table, from
// row at.slot on. A fixed tree: strided sums, then halves.

struct Params {
    members: u32,
    batch: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> samples: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> metrics: array<vec2<f32>>;

var<workgroup> sh_sums: array<vec2<f32>, LANES>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) n_groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = at.slot * params.members + group.y * n_groups.x + group.x;
    var sum = vec2<f32>(0.0);
    for (var b = lane; b < params.batch; b += LANES) {
        sum += samples[row * params.batch + b];
    }
    sh_sums[lane] = sum;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            sh_sums[lane] += sh_sums[lane + half];
        }
    }
    if lane == 0u && row < arrayLength(&metrics) {
        metrics[row] = sh_sums[0];
    }
}
