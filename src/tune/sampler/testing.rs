//! What the tests of all samplers share: spaces, studies played through in memory, and the checks
//! that hold for every sampler.

use super::{Question, Sampler};
use crate::tune::distribution::{Distribution, Scalar};
use crate::tune::space::{Condition, Parameter, Space};
use crate::tune::trial::{Direction, Point, Trial, TrialState};

pub const MINIMIZE: &[Direction] = &[Direction::Minimize];

pub fn parameter(name: &str, distribution: Distribution) -> Parameter {
    Parameter {
        name: name.to_string(),
        distribution,
        when: None,
    }
}

pub fn under(mut parameter: Parameter, parent: &str, any_of: &[&str]) -> Parameter {
    parameter.when = Some(Condition {
        parameter: parent.to_string(),
        any_of: any_of.iter().map(|word| Scalar::from_word(word)).collect(),
    });
    parameter
}

pub fn choices(words: &[&str]) -> Distribution {
    let choices = words.iter().map(|word| Scalar::from_word(word)).collect();
    Distribution::categorical(choices).unwrap()
}

/// Every kind of distribution, and two levels of conditions.
pub fn mixed_space() -> Space {
    let float = |low, high, log, step| Distribution::float(low, high, log, step).unwrap();
    let int = |low, high, log, step| Distribution::int(low, high, log, step).unwrap();
    Space::new(vec![
        parameter("lr", float(1e-5, 1.0, true, None)),
        parameter("dropout", float(-0.5, 0.25, false, None)),
        parameter("decay", float(0.1, 0.9, false, Some(0.2))),
        parameter("layers", int(-3, 11, false, 2)),
        parameter("width", int(1, 300, true, 1)),
        parameter("opt", choices(&["sgd", "momentum", "adam"])),
        parameter("amsgrad", choices(&["true", "false"])),
        under(
            parameter("momentum", float(0.5, 0.99, false, None)),
            "opt",
            &["momentum"],
        ),
        under(
            parameter("kind", choices(&["plain", "nesterov"])),
            "opt",
            &["momentum"],
        ),
        under(parameter("lag", int(1, 4, false, 1)), "kind", &["nesterov"]),
        parameter("single", float(0.3, 0.3, false, None)),
    ])
    .unwrap()
}

/// Every parameter countable, with conditions: 2 * (1 + 3 * 2 + 2) = 18 points.
pub fn countable_space() -> Space {
    Space::new(vec![
        parameter("size", Distribution::int(2, 4, false, 2).unwrap()),
        parameter("opt", choices(&["sgd", "momentum", "adam"])),
        under(
            parameter(
                "m",
                Distribution::float(0.25, 0.75, false, Some(0.25)).unwrap(),
            ),
            "opt",
            &["momentum"],
        ),
        under(
            parameter("nesterov", choices(&["true", "false"])),
            "opt",
            &["momentum", "adam"],
        ),
    ])
    .unwrap()
}

/// Floats in [-1, 1].
pub fn cube(n: usize) -> Space {
    let range = Distribution::float(-1.0, 1.0, false, None).unwrap();
    let name = |ix| format!("x{ix:02}");
    Space::new(
        (0..n)
            .map(|ix| parameter(&name(ix), range.clone()))
            .collect(),
    )
    .unwrap()
}

/// A smooth loss with its minimum inside.
pub fn loss(point: &Point) -> f64 {
    let of = |(name, value): (&String, &f64)| match name.as_str() {
        "lr" => (value.log10() + 2.0).powi(2),
        "width" => (value.ln() - 3.0).powi(2),
        "opt" => (value - 1.0).abs(),
        "layers" => (value - 3.0).powi(2) / 20.0,
        _ => (value - 0.2).powi(2),
    };
    point.iter().map(of).sum()
}

/// A finished trial.
pub fn finished(number: u32, space: &Space, point: Point, value: f64) -> Trial {
    let mut trial = Trial::new(i64::from(number) + 1, number, TrialState::Complete);
    for name in point.keys() {
        if let Some(parameter) = space.get(name) {
            let distribution = parameter.distribution.clone();
            trial.distributions.insert(name.clone(), distribution);
        }
    }
    trial.params = point;
    trial.values = vec![value];
    trial
}

/// Goes on with a study, one trial at a time, until it has `n` trials.
pub fn play(
    sampler: &mut dyn Sampler,
    space: &Space,
    seed: u64,
    n: u32,
    trials: &mut Vec<Trial>,
    loss: impl Fn(&Point) -> f64,
) {
    let fixed = Point::new();
    for number in trials.len() as u32..n {
        let answer = sampler
            .sample(&Question {
                space,
                directions: MINIMIZE,
                trials,
                number,
                seed,
                fixed: &fixed,
            })
            .unwrap();
        let value = loss(&answer.point);
        let mut trial = finished(number, space, answer.point, value);
        trial.system = answer.system;
        trials.push(trial);
    }
}

/// `n` points that a sampler gives for the mixed space, the history being a few finished trials.
/// Every value must be one of its distribution, and every active parameter must have one.
pub fn check_respects(sampler: &mut dyn Sampler, n: u32) -> Vec<Point> {
    let space = mixed_space();
    let mut trials = Vec::new();
    play(sampler, &space, 1, 40, &mut trials, loss);
    let draw = |number| {
        let point = sampler
            .sample(&Question {
                space: &space,
                directions: MINIMIZE,
                trials: &trials,
                number,
                seed: 1,
                fixed: &Point::new(),
            })
            .unwrap()
            .point;
        check_point(&space, &point);
        point
    };
    (40..40 + n).map(draw).collect()
}

/// Inactive parameters have no value, active ones have each one of theirs.
pub fn check_point(space: &Space, point: &Point) {
    for parameter in space.parameters() {
        match point.get(&parameter.name) {
            Some(&value) => {
                assert!(space.is_active(parameter, point), "{parameter:?} {point:?}");
                assert!(
                    parameter.distribution.contains(value),
                    "{parameter:?}: {value}"
                );
            }
            None => assert!(
                !space.is_active(parameter, point),
                "{parameter:?} {point:?}"
            ),
        }
    }
    assert!(point.keys().all(|name| space.get(name).is_some()));
}

/// All branches of the mixed space are reached.
pub fn check_conditions(sampler: &mut dyn Sampler, n: u32) {
    let points = check_respects(sampler, n);
    let with = |name: &str| points.iter().filter(|p| p.contains_key(name)).count();
    for name in ["momentum", "kind", "lag"] {
        let count = with(name);
        assert!(count > 0 && count < points.len(), "{name}: {count}");
    }
}

/// Fixed values come back, together with what hangs on them.
pub fn check_fixed(sampler: &mut dyn Sampler, n: u32) {
    let space = mixed_space();
    let fixed = Point::from([
        ("lr".to_string(), 0.125),
        ("opt".to_string(), 1.0),
        ("kind".to_string(), 1.0),
        ("layers".to_string(), 5.0),
    ]);
    let mut trials = Vec::new();
    play(sampler, &space, 1, 30, &mut trials, loss);
    for number in 30..30 + n {
        let point = sampler
            .sample(&Question {
                space: &space,
                directions: MINIMIZE,
                trials: &trials,
                number,
                seed: 1,
                fixed: &fixed,
            })
            .unwrap()
            .point;
        check_point(&space, &point);
        for (name, value) in &fixed {
            assert_eq!(point[name], *value, "{name} of trial {number}");
        }
        assert!(point.contains_key("momentum") && point.contains_key("lag"));
    }
}

/// The same seed gives the same study and another one another; a sampler that sees the first half
/// of a study goes on with the second.
pub fn check_reproducible(sampler: impl Fn() -> Box<dyn Sampler>, n: u32) {
    let space = mixed_space();
    let study = |seed, mut trials: Vec<Trial>| {
        play(&mut *sampler(), &space, seed, n, &mut trials, loss);
        trials
    };
    let whole = study(7, Vec::new());
    assert_eq!(whole, study(7, Vec::new()));
    assert_ne!(whole, study(8, Vec::new()));
    for half in [n / 2, n - 1] {
        let resumed = study(7, whole[..half as usize].to_vec());
        assert_eq!(whole, resumed, "resumed after {half} trials");
    }
}

/// The range that draws are uniform over, in logarithms where the scale is.
pub fn range_of(distribution: &Distribution) -> (f64, f64) {
    match *distribution {
        Distribution::Categorical { ref choices } => (0.0, choices.len() as f64 - 1.0),
        // Rounding moves the mean: half a share on either side is the fair range.
        Distribution::Int { log: true, .. } | Distribution::Float { step: None, .. } => {
            let (low, high) = super::unit::bounds(distribution);
            if low == high {
                (low - 1.0, high + 1.0)
            } else {
                (low, high)
            }
        }
        Distribution::Float { low, high, .. } => (low, high),
        Distribution::Int { low, high, .. } => (low as f64, high as f64),
    }
}
