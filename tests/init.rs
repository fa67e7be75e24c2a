//! Initial parameters: their distributions against torch.nn.init, and the draws against their
//! distributions. See tests/reference/README.md.

use gpu_train::models::init::{Distribution, Initializer, fill};
use gpu_train::models::{Sequential, initial_parameters};
use gpu_train::plan::{Loss, Plan, Spec};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    init: String,
    shape: Vec<usize>,
    weight: (String, f64),
    bias: (String, f64),
}

/// The kind and the number, as the reference writes them.
fn kind(distribution: Distribution) -> (&'static str, f64) {
    match distribution {
        Distribution::Zeros => ("zeros", 0.0),
        Distribution::Uniform { bound } => ("uniform", bound),
        Distribution::Normal { std } => ("normal", std),
    }
}

#[test]
fn bounds_and_deviations_are_pytorchs() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/init.json");
    let text = std::fs::read_to_string(path).expect(path);
    let reference: Reference = serde_json::from_str(&text).expect(path);
    for initializer in Initializer::ALL {
        let of_name = |case: &&Case| case.init == initializer.name();
        let mut count = 0;
        for case in reference.cases.iter().filter(of_name) {
            count += 1;
            for (ours, theirs) in [
                (initializer.weights(&case.shape), &case.weight),
                (initializer.biases(&case.shape), &case.bias),
            ] {
                let (name, number) = kind(ours);
                assert_eq!(name, theirs.0, "{initializer} {:?}", case.shape);
                // Three roundings here and three there, each of half an ulp.
                let bound = 3.0 * f64::EPSILON * theirs.1;
                assert!(
                    (number - theirs.1).abs() <= bound,
                    "{initializer} {:?}: {number:?}, PyTorch {:?}",
                    case.shape,
                    theirs.1
                );
            }
        }
        assert!(count >= 8, "{initializer}: {count} cases");
    }
}

fn plan(layers: &str, inputs: usize, classes: usize) -> Plan {
    let spec = Spec {
        members: 1,
        inputs,
        classes,
        n_samples: 8,
        n_norm: 1,
        norm_span: inputs,
        train_batch: 4,
        train_capacity: 2,
        eval_batch: 4,
        eval_capacity: 2,
        loss: Loss::CrossEntropy,
        clips: false,
        ..Spec::default()
    };
    let model = Sequential::parse(layers, classes).expect("layers");
    Plan::record(&spec, |rec, input| model.forward(rec, input))
}

/// The tensor of this name in an arena.
fn tensor(plan: &Plan, arena: &[f32], name: &str) -> Vec<f32> {
    let param = plan.params.iter().find(|p| p.name == name);
    param.expect(name).unpack(arena)
}

/// A seed's weights do not change from one version to the next.
#[test]
fn the_default_draws_are_what_they_were() {
    let plan = plan("linear:7,relu,linear:5,tanh", 11, 3);
    let arena = initial_parameters(&plan, 42);
    for (name, first, last) in [
        ("0.weight", 0x3D0C_D009, 0xBE45_6DEC_u32),
        ("0.bias", 0x3E32_22CD, 0x3DDD_773F),
        ("2.weight", 0xBDBB_2665, 0x3E66_5646),
        ("2.bias", 0xBE54_C301, 0xBDC9_2BB3),
        ("4.weight", 0xBE73_934D, 0x3EAE_617C),
        ("4.bias", 0xBDC4_8B70, 0xBE3C_5FFD),
    ] {
        let values = tensor(&plan, &arena, name);
        let ends = [values[0].to_bits(), values[values.len() - 1].to_bits()];
        assert_eq!(ends, [first, last], "{name}");
    }
    let used: usize = plan.params.iter().map(|p| p.len()).sum();
    let zeros = arena.iter().filter(|&&x| x == 0.0).count();
    assert_eq!(
        zeros,
        arena.len() - used,
        "padding is zero and nothing else"
    );
    assert_eq!(arena, fill(Initializer::Pytorch, 42, &plan));
}

/// The distribution function of the standard normal distribution.
fn phi(z: f64) -> f64 {
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}

/// Holds n draws to what they are said to be drawn from. Each limit is passed by chance with a
/// probability of about 1e-4 or less; seeds being fixed, the outcome is fixed, too.
fn check_draws(draws: &[f32], distribution: Distribution, what: &str) {
    let n = draws.len() as f64;
    let x: Vec<f64> = draws.iter().map(|&x| f64::from(x)).collect();
    // Standard deviation, and that of the sample's standard deviation: sqrt((kurtosis - 1) / 4n).
    let (std, std_of_std) = match distribution {
        Distribution::Zeros => {
            assert!(draws.iter().all(|&x| x == 0.0), "{what}: not all zero");
            return;
        }
        Distribution::Uniform { bound } => (bound / 3f64.sqrt(), (0.8 / (4.0 * n)).sqrt()),
        Distribution::Normal { std } => (std, (2.0 / (4.0 * n)).sqrt()),
    };
    let mean = x.iter().sum::<f64>() / n;
    assert!(mean.abs() < 4.0 * std / n.sqrt(), "{what}: mean {mean:e}");
    let sample_std = (x.iter().map(|x| x * x).sum::<f64>() / n).sqrt();
    assert!(
        (sample_std / std - 1.0).abs() < 4.0 * std_of_std,
        "{what}: standard deviation {sample_std:e} for {std:e}"
    );
    // Neighbours are independent, those of one Philox block as well.
    for lag in 1..=4 {
        let pairs = x.iter().zip(&x[lag..]);
        let correlation = pairs.map(|(a, b)| a * b).sum::<f64>() / (std * std * n);
        assert!(
            correlation.abs() < 4.0 / n.sqrt(),
            "{what}: lag {lag} correlates by {correlation:e}"
        );
    }
    let mut sorted = x;
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted[0], sorted[sorted.len() - 1]);
    match distribution {
        // None of n draws lies in the outermost 10/n: exp(-10) = 5e-5.
        Distribution::Uniform { bound } => {
            let edge = f64::from(bound as f32);
            let least = bound * (1.0 - 2.0 * 10.0 / n);
            assert!(
                (least..=edge).contains(&high) && (least..=edge).contains(&-low),
                "{what}: {low:e} to {high:e} for {bound:e}"
            );
        }
        // From where 10 draws are expected beyond, to where 1e-4 is.
        Distribution::Normal { std } => {
            let beyond = |z: f64| n * phi(-z);
            let right = |z: f64| beyond(z) < 10.0 && beyond(z) > 1e-4;
            assert!(
                right(high / std) && right(-low / std),
                "{what}: {low:e} to {high:e} for {std:e}"
            );
        }
        Distribution::Zeros => unreachable!("returned above"),
    }
    // Kolmogorov and Smirnov: sqrt(n) D exceeds 2.25 with probability 2 exp(-2 * 2.25^2) = 8e-5.
    let expected = |x: f64| match distribution {
        Distribution::Uniform { bound } => 0.5 + 0.5 * x / bound,
        _ => phi(x / std),
    };
    let distance = sorted.iter().enumerate().fold(0f64, |d, (i, &x)| {
        let (below, above) = (i as f64 / n, (i + 1) as f64 / n);
        d.max(expected(x) - below).max(above - expected(x))
    });
    assert!(
        distance * n.sqrt() < 2.25,
        "{what}: Kolmogorov-Smirnov distance {distance:e} of {n} draws"
    );
}

#[test]
fn draws_follow_their_distributions() {
    let plan = plan("linear:300,relu,linear:7", 199, 5000);
    for initializer in Initializer::ALL {
        let arena = fill(initializer, 7, &plan);
        for param in plan.params.iter() {
            let values = param.unpack(&arena);
            let layer = param.name.split('.').next().expect("a number");
            let weight = plan
                .params
                .iter()
                .find(|p| p.name == format!("{layer}.weight"));
            let shape = weight.expect("a weight").shape();
            let distribution = match param.name.ends_with("weight") {
                true => initializer.weights(&shape),
                false => initializer.biases(&shape),
            };
            // Small tensors' statistics say little; zeros are zeros at any size.
            if values.len() >= 1000 || distribution == Distribution::Zeros {
                check_draws(
                    &values,
                    distribution,
                    &format!("{initializer} {}", param.name),
                );
            }
        }
    }
    let large = plan.params.iter().filter(|p| p.len() >= 1000).count();
    assert_eq!(large, 4, "0.weight, 2.weight, 3.weight and 3.bias");
}

#[test]
fn every_parameter_and_seed_draws_its_own() {
    let plan = plan("linear:16,relu,linear:16,relu", 16, 16);
    for initializer in [Initializer::XavierNormal, Initializer::HeUniform] {
        let arena = fill(initializer, 1, &plan);
        assert_eq!(arena, fill(initializer, 1, &plan));
        let a = tensor(&plan, &arena, "0.weight");
        let b = tensor(&plan, &arena, "2.weight");
        let c = tensor(&plan, &fill(initializer, 2, &plan), "0.weight");
        for other in [&b, &c] {
            assert!(a.iter().zip(other).all(|(a, b)| a != b), "{initializer}");
        }
    }
}

/// The comparator refuses what it should.
#[test]
fn wrong_draws_are_refused() {
    use gpu_train::rng::{Purpose, Stream};
    let n = 60_000;
    let mut stream = Stream::new(5, Purpose::Init, 0);
    let normal: Vec<f32> = (0..n).map(|_| stream.normal(0.1)).collect();
    let uniform: Vec<f32> = (0..n).map(|_| stream.uniform(0.1)).collect();
    let (gauss, flat) = (
        Distribution::Normal { std: 0.1 },
        Distribution::Uniform { bound: 0.1 },
    );
    check_draws(&normal, gauss, "normal");
    check_draws(&uniform, flat, "uniform");
    let scaled = |x: &[f32], by: f32| x.iter().map(|x| x * by).collect::<Vec<f32>>();
    let clipped = normal.iter().map(|x| x.clamp(-0.3, 0.3)).collect();
    let twice = normal[..n / 2].iter().flat_map(|&x| [x, x]).collect();
    for (draws, distribution, what) in [
        (scaled(&normal, 1.02), gauss, "2% too wide"),
        (normal.iter().map(|x| x + 0.003).collect(), gauss, "shifted"),
        (clipped, gauss, "without tails"),
        (twice, gauss, "each draw twice"),
        (
            scaled(&uniform, 3f32.sqrt()),
            gauss,
            "uniform of the same deviation",
        ),
        (scaled(&uniform, 0.99), flat, "1% too narrow"),
        (scaled(&uniform, 1.001), flat, "past the bound"),
    ] {
        let refused = std::panic::catch_unwind(|| check_draws(&draws, distribution, what));
        assert!(refused.is_err(), "{what}: accepted");
    }
}
