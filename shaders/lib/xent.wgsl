// Softmax and cross-entropy of one row of outputs, wherever they lie: a kernel that uses this says how
// to read output j of a row (`output_of`), and where gradient j goes (`put_gradient`). Formulas:
// cpu/softmax_xent.rs.

struct Peak {
    // The largest output, and the first class that has it.
    value: f32,
    best: u32,
    // Whether all outputs are numbers.
    finite: bool,
}

fn peak_of(row: u32) -> Peak {
    var peak = Peak(output_of(row, 0u), 0u, true);
    peak.finite = is_finite_bits(peak.value);
    for (var j = 1u; j < params.classes; j += 1u) {
        let z = output_of(row, j);
        peak.finite = peak.finite && is_finite_bits(z);
        if z > peak.value {
            peak.value = z;
            peak.best = j;
        }
    }
    return peak;
}

// exp(z - peak), which no output can overflow.
fn exp_of(row: u32, j: u32, peak: Peak) -> f32 {
    return exp(max(output_of(row, j) - peak.value, -80.0));
}

fn exp_sum(row: u32, peak: Peak) -> f32 {
    var sum = 0.0;
    for (var j = 0u; j < params.classes; j += 1u) {
        sum += exp_of(row, j, peak);
    }
    return sum;
}

// What the metrics take of a row: (loss * scale, correct).
fn sample_of(loss: f32, scale: f32, label: u32, peak: Peak) -> vec2<f32> {
    let finite = peak.finite && is_finite_bits(loss);
    return vec2<f32>(
        select(DIVERGED, loss * scale, finite),
        select(0.0, 1.0, peak.best == label && finite),
    );
}

// The row's part of the weighted and smoothed mean loss, and its gradient.
fn xent(row: u32, member: u32, label: u32, step: Step) -> vec2<f32> {
    let peak = peak_of(row);
    let sum = exp_sum(row, peak);
    let inv_sum = 1.0 / sum;
    let weights = member * params.classes;
    let even = step.label_smoothing / f32(params.classes);
    let hit = 1.0 - step.label_smoothing;
    var total = 0.0;
    var weight = 0.0;
    for (var j = 0u; j < params.classes; j += 1u) {
        let w = class_weights[weights + j];
        total += w * (output_of(row, j) - peak.value);
        weight += w;
    }
    let own = hit * class_weights[weights + label];
    let mass = own + even * weight;
    let loss = mass * log(sum) - own * (output_of(row, label) - peak.value) - even * total;
    for (var j = 0u; j < params.classes; j += 1u) {
        // Read before it is written: the gradient may take the output's place.
        let probability = exp_of(row, j, peak) * inv_sum;
        let q = even + select(0.0, hit, j == label);
        put_gradient(row, j, (probability * mass - q * class_weights[weights + j]) * step.grad_scale);
    }
    return sample_of(loss, step.loss_scale, label, peak);
}
