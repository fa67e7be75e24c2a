// The optimisers' update of four neighbouring parameters in an arena [P, stride] and of their moments
// in `state` [P, 2, stride]; a kernel that uses it binds both. Formulas: cpu/optimizer.rs.
//
// All optimisers are one formula with coefficients, of which those that a member's optimiser does not
// have are ones and zeros and change no bit: m = m_keep m + m_take g, v = v_keep v + v_take g g,
// w = w decay - rate d / (sqrt(v) v_scale + eps), d being g, m or, after Nesterov, g + m_keep m. So
// the member's row is read once, and four parameters cost a few operations.
struct Rule {
    has_m: bool,
    has_v: bool,
    nesterov: bool,
    m_keep: f32,
    m_take: f32,
    v_keep: f32,
    v_take: f32,
    v_scale: f32,
    eps: f32,
    rate: f32,
    decay: f32,
    // Decay that is added to the gradient, and the penalties.
    coupled: f32,
    l1: f32,
    twice_l2: f32,
}

var<private> rule: Rule;

// Reads a member's rule; false where it is frozen, or its optimiser step takes more batches.
fn moves(member: u32) -> bool {
    let row = members[member];
    let step = steps[at.slot * params.members + member];
    let adam = row.optimizer >= 5u;
    rule.has_m = adam || row.optimizer == 1u || row.optimizer == 2u;
    rule.has_v = row.optimizer >= 3u;
    rule.nesterov = row.optimizer == 2u;
    rule.m_keep = select(row.momentum, row.beta1, adam);
    rule.m_take = select(1.0, row.one_minus_beta1, adam);
    rule.v_keep = select(select(1.0, row.alpha, row.optimizer == 4u), row.beta2, adam);
    rule.v_take = select(
        select(1.0, row.one_minus_alpha, row.optimizer == 4u),
        row.one_minus_beta2,
        adam,
    );
    rule.v_scale = select(1.0, step.inv_sqrt_bias2, adam);
    rule.eps = row.eps;
    rule.rate = select(step.lr, step.step_size, adam);
    rule.decay = select(1.0, step.decay, adam);
    rule.coupled = select(row.weight_decay, 0.0, row.optimizer == 6u);
    rule.l1 = row.l1;
    rule.twice_l2 = 2.0 * row.l2;
    return row.active_flag != 0u && step.applies != 0u;
}

// Moves the parameters at vec4 `place` of a member's arena by the data's gradient, as the rule says;
// `clip` scales the penalised gradient. Padding has no gradient and does not move.
fn update(member: u32, place: u32, gradient: vec4<f32>, is_weight: bool, clip: f32) {
    let stride4 = params.stride / 4u;
    let ix = member * stride4 + place;
    let ix_m = member * 2u * stride4 + place;
    let ix_v = ix_m + stride4;
    let w = parameters[ix];
    let g = penalised(rule.l1, rule.twice_l2, w, gradient, is_weight) * clip + rule.coupled * w;
    var d = g;
    if rule.has_m {
        let m = rule.m_keep * state[ix_m] + rule.m_take * g;
        state[ix_m] = m;
        d = select(m, g + rule.m_keep * m, rule.nesterov);
    }
    d *= rule.rate;
    if rule.has_v {
        let v = rule.v_keep * state[ix_v] + rule.v_take * g * g;
        state[ix_v] = v;
        d /= sqrt(v) * rule.v_scale + rule.eps;
    }
    parameters[ix] = w * rule.decay - d;
}
