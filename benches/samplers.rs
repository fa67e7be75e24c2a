//! How good the samplers are: the best value after 100 and 300 trials of functions with known minima,
//! 30 seeds each, one JSON line a run. `samplers/compare.py` puts Optuna's samplers beside them.
//!
//! `cargo bench --bench samplers [-- SAMPLER... seeds=N] > ours.jsonl`; `-- speed` instead times 1,000
//! trials of 40 floats, of CMA-ES 10,000.

use std::f64::consts::{PI, TAU};
use std::time::Instant;

use gpu_train::tune::distribution::Distribution;
use gpu_train::tune::sampler::{NAMES, Question, Sampler, named};
use gpu_train::tune::space::{Parameter, Space};
use gpu_train::tune::trial::{Direction, Point, Trial, TrialState};

const CHECKPOINTS: [usize; 2] = [100, 300];

/// A function of a point, with its range in each dimension.
struct Function {
    name: &'static str,
    ranges: &'static [(f64, f64)],
    value: fn(&[f64]) -> f64,
}

/// The minimum is at no dyadic fraction of a range, where a Sobol sequence or the middle of a prior
/// would meet it by chance.
const FUNCTIONS: [Function; 5] = [
    Function {
        name: "sphere",
        ranges: &[(-5.0, 10.0); 5],
        value: sphere,
    },
    Function {
        name: "rastrigin",
        ranges: &[(-2.56, 5.12); 5],
        value: rastrigin,
    },
    Function {
        name: "rosenbrock",
        ranges: &[(-5.0, 10.0); 5],
        value: rosenbrock,
    },
    Function {
        name: "hartmann6",
        ranges: &[(0.0, 1.0); 6],
        value: hartmann6,
    },
    Function {
        name: "branin",
        ranges: &[(-5.0, 10.0), (0.0, 15.0)],
        value: branin,
    },
];

fn main() {
    // cargo passes --bench.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let speed = words.iter().any(|word| word == "speed");
    let seeds = words.iter().find_map(|word| word.strip_prefix("seeds="));
    let seeds = seeds.map_or(30, |n| n.parse().expect("a number of seeds"));
    let wanted: Vec<&str> = NAMES
        .into_iter()
        .filter(|name| words.iter().any(|word| word == name))
        .collect();
    // A grid has no continuum, and a Gaussian process over 1,000 trials takes minutes.
    let left_out = match speed {
        true => &["grid", "gp"][..],
        false => &["grid"],
    };
    let all = NAMES.into_iter().filter(|name| !left_out.contains(name));
    let names = if wanted.is_empty() {
        all.collect()
    } else {
        wanted
    };
    for name in names {
        if speed {
            time(name);
        } else {
            compare(name, seeds);
        }
    }
}

fn make(name: &str) -> Box<dyn Sampler> {
    named(name).expect("a name from NAMES")
}

fn compare(sampler: &str, seeds: u64) {
    for function in &FUNCTIONS {
        for seed in 0..seeds {
            let started = Instant::now();
            let values = minimise(&mut *make(sampler), function, seed, CHECKPOINTS[1]);
            let best =
                CHECKPOINTS.map(|n| values[..n].iter().copied().fold(f64::INFINITY, f64::min));
            println!(
                "{{\"sampler\": \"{sampler}\", \"function\": \"{}\", \"seed\": {seed}, \
                 \"best_100\": {:e}, \"best_300\": {:e}, \"seconds\": {:.4}}}",
                function.name,
                best[0],
                best[1],
                started.elapsed().as_secs_f64()
            );
        }
    }
}

/// Seconds for 1,000 trials of a sphere in 40 dimensions, asked and told; of CMA-ES 10,000.
fn time(sampler: &str) {
    let trials = if sampler == "cmaes" { 10_000 } else { 1000 };
    let sphere = Function {
        name: "sphere",
        ranges: &[(-5.0, 10.0); 40],
        value: sphere,
    };
    let started = Instant::now();
    let values = minimise(&mut *make(sampler), &sphere, 0, trials);
    println!(
        "{{\"sampler\": \"{sampler}\", \"trials\": {}, \"dimensions\": 40, \"seconds\": {:.3}}}",
        values.len(),
        started.elapsed().as_secs_f64()
    );
}

/// The values of `n` trials, one at a time.
fn minimise(sampler: &mut dyn Sampler, function: &Function, seed: u64, n: usize) -> Vec<f64> {
    let space = space_of(function);
    let mut trials: Vec<Trial> = Vec::with_capacity(n);
    for number in 0..n as u32 {
        let question = Question {
            space: &space,
            directions: &[Direction::Minimize],
            trials: &trials,
            number,
            seed,
            fixed: &Point::new(),
        };
        let answer = sampler
            .sample(&question)
            .expect("the space suits every sampler");
        let coordinates: Vec<f64> = answer.point.values().copied().collect();
        let mut trial = Trial::new(i64::from(number), number, TrialState::Complete);
        trial.values = vec![(function.value)(&coordinates)];
        trial.params = answer.point;
        trial.system = answer.system;
        for parameter in space.parameters() {
            let distribution = parameter.distribution.clone();
            trial
                .distributions
                .insert(parameter.name.clone(), distribution);
        }
        trials.push(trial);
    }
    trials.iter().map(|trial| trial.values[0]).collect()
}

/// Floats x00, x01, ..., whose alphabetical order is that of the dimensions.
fn space_of(function: &Function) -> Space {
    let parameter = |(ix, &(low, high)): (usize, &(f64, f64))| Parameter {
        name: format!("x{ix:02}"),
        distribution: Distribution::float(low, high, false, None).expect("a range"),
        when: None,
    };
    let parameters = function.ranges.iter().enumerate().map(parameter);
    Space::new(parameters.collect()).expect("names that differ")
}

fn sphere(x: &[f64]) -> f64 {
    x.iter().map(|v| v * v).sum()
}

fn rastrigin(x: &[f64]) -> f64 {
    x.iter()
        .map(|v| v * v - 10.0 * (TAU * v).cos() + 10.0)
        .sum()
}

fn rosenbrock(x: &[f64]) -> f64 {
    let term =
        |pair: &[f64]| 100.0 * (pair[1] - pair[0] * pair[0]).powi(2) + (1.0 - pair[0]).powi(2);
    x.windows(2).map(term).sum()
}

fn hartmann6(x: &[f64]) -> f64 {
    const ALPHA: [f64; 4] = [1.0, 1.2, 3.0, 3.2];
    const A: [[f64; 6]; 4] = [
        [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
        [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
        [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
        [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
    ];
    const P: [[f64; 6]; 4] = [
        [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
        [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
        [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
        [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
    ];
    let exponent = |k: usize| -> f64 { (0..6).map(|d| A[k][d] * (x[d] - P[k][d]).powi(2)).sum() };
    -(0..4).map(|k| ALPHA[k] * (-exponent(k)).exp()).sum::<f64>()
}

fn branin(x: &[f64]) -> f64 {
    let bend = x[1] - 5.1 / (4.0 * PI * PI) * x[0] * x[0] + 5.0 / PI * x[0] - 6.0;
    bend * bend + 10.0 * (1.0 - 1.0 / (8.0 * PI)) * x[0].cos() + 10.0
}
