// Activations and their derivatives; the twin of cpu/activation.rs. ACT is the code of
// plan::Activation, so that the branches are gone after specialisation.
override ACT: u32 = 0u;

const LEAKY_SLOPE: f32 = 0.01;

// y = f(z). The comparisons let a NaN through; arguments of exp and tanh are clamped where the
// result is already exact to f32, since WGSL promises nothing for infinities.
fn activate(z: vec4<f32>) -> vec4<f32> {
    let zero = vec4<f32>(0.0);
    if ACT == 1u {
        return select(z, zero, z < zero);
    }
    if ACT == 2u {
        return select(z, z * LEAKY_SLOPE, z < zero);
    }
    if ACT == 3u {
        return tanh(clamp(z, vec4<f32>(-12.0), vec4<f32>(12.0)));
    }
    if ACT == 4u {
        return 1.0 / (1.0 + exp(-clamp(z, vec4<f32>(-80.0), vec4<f32>(80.0))));
    }
    if ACT == 5u {
        return z * normal_cdf(z);
    }
    return z;
}

// f'(z) from what was saved: z for GELU, the output y for the others.
fn derivative(saved: vec4<f32>) -> vec4<f32> {
    let zero = vec4<f32>(0.0);
    let one = vec4<f32>(1.0);
    if ACT == 1u {
        return select(zero, one, saved > zero);
    }
    if ACT == 2u {
        return select(vec4<f32>(LEAKY_SLOPE), one, saved > zero);
    }
    if ACT == 3u {
        return one - saved * saved;
    }
    if ACT == 4u {
        return saved * (one - saved);
    }
    if ACT == 5u {
        let x = clamp(saved, vec4<f32>(-12.0), vec4<f32>(12.0));
        return normal_cdf(saved) + x * 0.3989422804014327 * exp(-0.5 * x * x);
    }
    return one;
}

// Phi(z) = erfc(-z / sqrt 2) / 2, erfc by a Chebyshev fit with a relative error below 1.2e-7
// (Press et al. 1992, Numerical Recipes, section 6.2).
fn normal_cdf(z: vec4<f32>) -> vec4<f32> {
    let x = clamp(z, vec4<f32>(-12.0), vec4<f32>(12.0)) * -0.7071067811865476;
    let a = abs(x);
    let t = 1.0 / (1.0 + 0.5 * a);
    var s = vec4<f32>(0.17087277);
    s = s * t - 0.82215223;
    s = s * t + 1.48851587;
    s = s * t - 1.13520398;
    s = s * t + 0.27886807;
    s = s * t - 0.18628806;
    s = s * t + 0.09678418;
    s = s * t + 0.37409196;
    s = s * t + 1.00002368;
    s = s * t - 1.26551223;
    let tail = t * exp(s - a * a);
    return 0.5 * select(tail, 2.0 - tail, x < vec4<f32>(0.0));
}
