// use: member, step, index, penalty
//
// The whole update in one dispatch: penalties, clipping, decay, moments and step; gradients are read
// once and nothing between is stored. The member's row says which optimiser, so that members of one
// population may differ. Formulas and order: cpu/optimizer.rs.

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
    var row = members[member];
    let step = steps[at.slot * params.members + member];

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
        if row.clip_norm > 0.0 {
            clip = min(1.0, row.clip_norm / (sqrt(sh_sums[0]) + 1e-6));
        }
    }
    if i >= n4 || row.active_flag == 0u || step.applies == 0u {
        return;
    }

    let stride4 = params.stride / 4u;
    let ix = member * stride4 + i;
    let ix_m = member * 2u * stride4 + i;
    let ix_v = ix_m + stride4;
    var w = parameters[ix];
    var g = penalised(&row, w, grads[ix], i * 4u < params.n_weights) * clip;
    if row.optimizer != 6u {
        g += row.weight_decay * w;
    }
    switch row.optimizer {
        case 1u, 2u: {
            let m = row.momentum * state[ix_m] + g;
            state[ix_m] = m;
            w -= step.lr * select(m, g + row.momentum * m, row.optimizer == 2u);
        }
        case 3u: {
            let v = state[ix_v] + g * g;
            state[ix_v] = v;
            w -= step.lr * g / (sqrt(v) + row.eps);
        }
        case 4u: {
            let v = row.alpha * state[ix_v] + row.one_minus_alpha * g * g;
            state[ix_v] = v;
            w -= step.lr * g / (sqrt(v) + row.eps);
        }
        case 5u, 6u: {
            let m = row.beta1 * state[ix_m] + row.one_minus_beta1 * g;
            let v = row.beta2 * state[ix_v] + row.one_minus_beta2 * g * g;
            state[ix_m] = m;
            state[ix_v] = v;
            w = w * step.decay - step.step_size * m / (sqrt(v) * step.inv_sqrt_bias2 + row.eps);
        }
        default: {
            w -= step.lr * g;
        }
    }
    parameters[ix] = w;
}
