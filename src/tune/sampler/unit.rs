//! Between a coordinate in [0, 1) and a parameter's internal value. Equal lengths of the unit
//! interval are equally likely values: on a log scale of equal ratios, on a grid of equal shares.

use crate::tune::distribution::Distribution;
use crate::tune::space::{Parameter, Space};
use crate::tune::trial::Point;

/// The value at a coordinate in [0, 1). A whole number on a log scale is the nearest one to a draw
/// between half below the least and half above the greatest, as in Optuna.
pub fn from_unit(distribution: &Distribution, unit: f64) -> f64 {
    let cell = |n: u64| ((unit * n as f64) as u64).min(n - 1) as f64;
    let value = match *distribution {
        Distribution::Float {
            low,
            step: Some(step),
            ..
        } => low + cell(distribution.count().unwrap_or(1)) * step,
        Distribution::Int {
            low,
            log: false,
            step,
            ..
        } => low as f64 + cell(distribution.count().unwrap_or(1)) * step as f64,
        Distribution::Categorical { ref choices } => cell(choices.len() as u64),
        Distribution::Float { log: true, .. } | Distribution::Int { log: true, .. } => {
            let (low, high) = bounds(distribution);
            libm::exp(low + unit * (high - low))
        }
        Distribution::Float { low, high, .. } => low + unit * (high - low),
    };
    distribution.nearest(value)
}

/// The coordinate of a value: where values have a share each, the middle of its share.
pub fn to_unit(distribution: &Distribution, value: f64) -> f64 {
    let middle = |cell: f64, n: u64| (cell + 0.5) / n as f64;
    let unit = match *distribution {
        Distribution::Float {
            low,
            step: Some(step),
            ..
        } => middle(
            ((value - low) / step).round(),
            distribution.count().unwrap_or(1),
        ),
        Distribution::Int {
            low,
            log: false,
            step,
            ..
        } => middle(
            (value - low as f64) / step as f64,
            distribution.count().unwrap_or(1),
        ),
        Distribution::Categorical { ref choices } => middle(value, choices.len() as u64),
        Distribution::Float { low, high, .. } if low == high => 0.5,
        Distribution::Float { log, .. } | Distribution::Int { log, .. } => {
            let (low, high) = bounds(distribution);
            let value = if log { libm::log(value) } else { value };
            (value - low) / (high - low)
        }
    };
    unit.clamp(0.0, 1.0)
}

/// The range in which a numerical parameter is searched: with half a step on either side, and in
/// logarithms where the scale is. A list of choices has the range of its indices.
pub fn bounds(distribution: &Distribution) -> (f64, f64) {
    let (low, high, log) = match *distribution {
        Distribution::Float {
            low,
            high,
            log,
            step,
        } => {
            let half = step.unwrap_or(0.0) / 2.0;
            (low - half, high + half, log)
        }
        Distribution::Int {
            low,
            high,
            log,
            step,
        } => {
            let half = step as f64 / 2.0;
            (low as f64 - half, high as f64 + half, log)
        }
        Distribution::Categorical { ref choices } => (-0.5, choices.len() as f64 - 0.5, false),
    };
    if log {
        (libm::log(low), libm::log(high))
    } else {
        (low, high)
    }
}

/// A point with a value for each active parameter: the fixed one, or the one that `draw` gives for
/// the parameter with this index. `draw` is asked for every parameter, so that what is fixed or
/// inactive moves no other draw.
pub fn complete(
    space: &Space,
    fixed: &Point,
    mut draw: impl FnMut(usize, &Parameter) -> f64,
) -> Point {
    let mut point = Point::new();
    for (ix, parameter) in space.parameters().iter().enumerate() {
        let drawn = draw(ix, parameter);
        if space.is_active(parameter, &point) {
            let value = fixed.get(&parameter.name).copied().unwrap_or(drawn);
            point.insert(parameter.name.clone(), value);
        }
    }
    point
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::sampler::testing::mixed_space;

    #[test]
    fn every_share_is_as_long_and_leads_back() {
        let steps = Distribution::float(0.1, 0.9, false, Some(0.2)).unwrap();
        let ints = Distribution::int(3, 11, false, 2).unwrap();
        for distribution in [steps, ints] {
            let values: Vec<f64> = (0..5)
                .map(|k| from_unit(&distribution, (f64::from(k) + 0.999) / 5.0))
                .collect();
            for (k, pair) in values.windows(2).enumerate() {
                assert_eq!(
                    pair[1],
                    from_unit(&distribution, (k as f64 + 1.001) / 5.0),
                    "the share of {} starts late",
                    pair[1]
                );
                assert!(pair[0] < pair[1]);
            }
            for &value in &values {
                assert!(distribution.contains(value));
                assert_eq!(
                    from_unit(&distribution, to_unit(&distribution, value)),
                    value
                );
            }
        }
    }

    #[test]
    fn a_log_scale_is_cut_by_ratios() {
        let float = Distribution::float(1e-4, 1.0, true, None).unwrap();
        assert!((from_unit(&float, 0.5) / 1e-2 - 1.0).abs() < 1e-12);
        assert!((to_unit(&float, 1e-3) - 0.25).abs() < 1e-12);
        let int = Distribution::int(1, 8, true, 1).unwrap();
        // 1 stands for [0.5, 1.5) of [0.5, 8.5).
        let share = libm::log(3.0) / libm::log(17.0);
        assert_eq!(from_unit(&int, share - 1e-9), 1.0);
        assert_eq!(from_unit(&int, share + 1e-9), 2.0);
    }

    #[test]
    fn the_ends_of_the_interval_stay_inside() {
        for parameter in mixed_space().parameters() {
            for unit in [0.0, 1.0 - f64::EPSILON / 2.0, 1.0] {
                let value = from_unit(&parameter.distribution, unit);
                assert!(parameter.distribution.contains(value), "{parameter:?}");
                assert!((0.0..=1.0).contains(&to_unit(&parameter.distribution, value)));
            }
        }
    }
}
