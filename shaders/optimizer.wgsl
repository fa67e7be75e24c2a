// use: member, step, index, penalty, update
//
// The whole update in one dispatch: penalties, clipping, decay, moments and step; gradients are read
// once and nothing between is stored. The member's row says which optimiser, so that members of one
// population may differ.

struct Params {
    members: u32,
    n: u32,
    n_weights: u32,
    n_partials: u32,
    stride: u32,
}

// Some member clips: the workgroup adds the partial squared norms up first.
override CLIP: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> members: array<Member>;
@group(0) @binding(3) var<storage, read> steps: array<Step>;
@group(0) @binding(4) var<storage, read> partials: array<f32>;
@group(0) @binding(5) var<storage, read_write> state: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> parameters: array<vec4<f32>>;

var<workgroup> sh_sums: array<f32, LANES>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) n_groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let member = group.z;
    let i = flat_index(group, n_groups, lane);
    let n4 = params.n / 4u;
    let moved = moves(member);

    var clip = 1.0;
    if CLIP {
        var sum = 0.0;
        for (var j = lane; j < params.n_partials; j += LANES) {
            sum += partials[member * params.n_partials + j];
        }
        sh_sums[lane] = sum;
        for (var half = LANES / 2u; half > 0u; half /= 2u) {
            workgroupBarrier();
            if lane < half {
                sh_sums[lane] += sh_sums[lane + half];
            }
        }
        workgroupBarrier();
        let clip_norm = members[member].clip_norm;
        if clip_norm > 0.0 {
            clip = min(1.0, clip_norm / (sqrt(sh_sums[0]) + 1e-6));
        }
    }
    if i >= n4 || !moved {
        return;
    }
    update(member, i, grads[member * (params.stride / 4u) + i], i * 4u < params.n_weights, clip);
}
