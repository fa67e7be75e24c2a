//! How much each hyper-parameter matters: PED-ANOVA (Watanabe, Bansal and Hutter 2023,
//! arXiv:2304.10255) with its extension to conditional parameters (arXiv:2601.20800), as Optuna 5
//! does by default.
//!
//! The values that a parameter has in the best tenth of the trials are compared with those it has in
//! all of them: where the two distributions differ, the parameter decides how good a trial is.

use super::distribution::Distribution;
use super::space::Space;
use super::trial::{Direction, Trial, TrialState};

/// Fewer finished trials tell nothing.
const MIN_TRIALS: usize = 4;

/// Part of the trials that counts as good.
const QUANTILE: f64 = 0.1;

/// Cells that a range is cut into at most.
const MAX_CELLS: usize = 50;

/// Trials that must have a parameter with one distribution.
const MIN_SHARING: usize = 2;

/// Importance of each parameter of a study of one objective, in descending order; they sum to 1, or
/// are all the same where no parameter shows any. Complete trials with finite values count; there are
/// no importances of fewer than four.
pub fn importances(space: &Space, trials: &[Trial], direction: Direction) -> Vec<(String, f64)> {
    let loss = |trial: &Trial| direction.as_loss(trial.values.first().copied().unwrap_or(f64::NAN));
    let is_usable = |t: &&Trial| t.state == TrialState::Complete && loss(t).is_finite();
    let trials: Vec<&Trial> = trials.iter().filter(is_usable).collect();
    if trials.len() < MIN_TRIALS {
        return Vec::new();
    }
    let mut losses: Vec<f64> = trials.iter().map(|trial| loss(trial)).collect();
    losses.sort_by(f64::total_cmp);
    let n_good = (QUANTILE * losses.len() as f64).ceil() as usize;
    let bound = losses[n_good - 1];
    let split: Vec<(&Trial, bool)> = trials.iter().map(|t| (*t, loss(t) <= bound)).collect();
    let named = space.parameters().iter().map(|parameter| {
        let name = &parameter.name;
        (name.clone(), importance(name, &split))
    });
    let mut importances: Vec<(String, f64)> = named.collect();
    let sum: f64 = importances.iter().map(|(_, value)| value).sum();
    let equal = 1.0 / importances.len() as f64;
    for (_, value) in &mut importances {
        *value = if sum > 0.0 { *value / sum } else { equal };
    }
    importances.sort_by(|a, b| b.1.total_cmp(&a.1));
    importances
}

/// Trials that have a parameter with the same distribution.
struct Regime<'a> {
    distribution: &'a Distribution,
    /// Each value, and whether its trial is good.
    values: Vec<(f64, bool)>,
}

/// Of one parameter, up to a factor that all parameters share. Trials come with whether they are good.
fn importance(name: &str, trials: &[(&Trial, bool)]) -> f64 {
    let mut regimes: Vec<Regime> = Vec::new();
    for (trial, is_good) in trials {
        let (Some(distribution), Some(&value)) =
            (trial.distributions.get(name), trial.params.get(name))
        else {
            continue;
        };
        match regimes.iter_mut().find(|r| r.distribution == distribution) {
            Some(regime) => regime.values.push((value, *is_good)),
            None => regimes.push(Regime {
                distribution,
                values: vec![(value, *is_good)],
            }),
        }
    }
    let all_good = trials.iter().filter(|(_, is_good)| *is_good).count() as f64;
    let shares = regimes.iter().map(
        |Regime {
             distribution,
             values,
         }| {
            let good: Vec<f64> = values.iter().filter(|v| v.1).map(|v| v.0).collect();
            if distribution.is_single() || values.len() < MIN_SHARING || good.is_empty() {
                return 0.0;
            }
            let good_share = good.len() as f64 / all_good;
            let share = values.len() as f64 / trials.len() as f64;
            let good = density(distribution, good.into_iter());
            let all = density(distribution, values.iter().map(|v| v.0));
            good_share * good_share / share * divergence(&good, &all)
        },
    );
    shares.sum()
}

/// Pearson's divergence of two densities.
fn divergence(good: &[f64], all: &[f64]) -> f64 {
    let cells = good
        .iter()
        .zip(all)
        .map(|(good, all)| (good + 1e-12, all + 1e-12));
    cells
        .map(|(good, all)| all * (good / all - 1.0) * (good / all - 1.0))
        .sum()
}

/// The probability of each cell of a distribution, by a Parzen estimate that begins with one uniform
/// or wide kernel.
fn density(distribution: &Distribution, values: impl Iterator<Item = f64>) -> Vec<f64> {
    let n = n_cells(distribution);
    let mut counts = vec![0.0; n];
    for value in values {
        counts[cell(distribution, value, n)] += 1.0;
    }
    match distribution {
        Distribution::Categorical { .. } => smoothed_choices(&counts),
        _ => smoothed_range(&counts),
    }
}

fn n_cells(distribution: &Distribution) -> usize {
    let n = match *distribution {
        Distribution::Categorical { ref choices } => return choices.len(),
        Distribution::Int {
            low,
            high,
            log: true,
            ..
        } => libm::ceil(libm::log((high - low + 1) as f64) / std::f64::consts::LN_2) as usize + 1,
        _ => distribution.count().map_or(MAX_CELLS, |n| n as usize),
    };
    n.min(MAX_CELLS)
}

/// The cell of a value: cells' middles go from the least value to the greatest.
fn cell(distribution: &Distribution, value: f64, n: usize) -> usize {
    let (low, high, log) = match *distribution {
        Distribution::Categorical { .. } => return value as usize,
        Distribution::Float { low, high, log, .. } => (low, high, log),
        Distribution::Int { low, high, log, .. } => (low as f64, high as f64, log),
    };
    let scaled = |x: f64| if log { libm::log(x) } else { x };
    let width = (scaled(high) - scaled(low)) / (n - 1) as f64;
    let middle = ((scaled(value) - scaled(low)) / width - 0.5).ceil();
    middle.clamp(0.0, (n - 1) as f64) as usize
}

/// Choices: every distinct one that was seen is a kernel that leaves the others their share.
fn smoothed_choices(counts: &[f64]) -> Vec<f64> {
    let n = counts.len() as f64;
    let kernels = counts.iter().filter(|count| **count > 0.0).count() as f64 + 1.0;
    let (total, row) = (counts.iter().sum::<f64>() + 1.0, n / kernels + 1.0);
    let seen = counts.iter().sum::<f64>() / total;
    let smoothed = counts
        .iter()
        .map(|count| count / total / row + seen / kernels / row + 1.0 / total / n);
    smoothed.collect()
}

/// A range: normal kernels that are cut off at its ends, of Scott's width (1992), and one over all.
fn smoothed_range(counts: &[f64]) -> Vec<f64> {
    let seen: Vec<(f64, f64)> = (0..counts.len())
        .filter(|&cell| counts[cell] > 0.0)
        .map(|cell| (cell as f64, counts[cell]))
        .collect();
    let n: f64 = seen.iter().map(|(_, count)| count).sum();
    let width = scott_width(&seen, n);
    let ends = (-0.5, counts.len() as f64 - 0.5);
    let last = counts.len() as f64 - 1.0;
    let mut kernels: Vec<(f64, f64, f64)> = seen
        .iter()
        .map(|(middle, count)| (*middle, width, *count))
        .collect();
    kernels.push((last / 2.0, last + 1.0, 1.0));
    let mut density = vec![0.0; counts.len()];
    for (middle, width, weight) in kernels {
        let below =
            |x: f64| 0.5 * libm::erfc(-(x - middle) / width * std::f64::consts::FRAC_1_SQRT_2);
        let whole = below(ends.1) - below(ends.0);
        for (cell, share) in density.iter_mut().enumerate() {
            let mass = below(cell as f64 + 0.5) - below(cell as f64 - 0.5);
            *share += weight / (n + 1.0) * mass / whole;
        }
    }
    density
}

/// Of cells and their counts, n in all.
fn scott_width(seen: &[(f64, f64)], n: f64) -> f64 {
    let mean = seen.iter().map(|(cell, count)| cell * count).sum::<f64>() / n;
    let squares = seen
        .iter()
        .map(|(cell, count)| (cell - mean) * (cell - mean) * count);
    let deviation = (squares.sum::<f64>() / (n - 1.0).max(1.0)).sqrt();
    let mut total = 0.0;
    let until: Vec<f64> = seen
        .iter()
        .map(|(_, count)| {
            total += count;
            total
        })
        .collect();
    let first = until.partition_point(|total| *total < (n / 4.0).floor());
    let third = until.partition_point(|total| *total <= (3.0 * n / 4.0).floor());
    let spread = seen[third.min(seen.len() - 1)].0 - seen[first].0;
    let width = 1.059 * deviation.min(spread / 1.34) * libm::pow(n, -0.2);
    width.max(0.5 / 1.64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::sampler::testing::{choices, parameter, under};
    use crate::tune::trial::Point;

    fn space() -> Space {
        let float = |low, high, log, step| Distribution::float(low, high, log, step).unwrap();
        let int = |low, high, log, step| Distribution::int(low, high, log, step).unwrap();
        Space::new(vec![
            parameter("rate", float(1e-5, 1e-1, true, None)),
            parameter("part", float(0.0, 1.0, false, Some(0.25))),
            parameter("width", int(16, 512, true, 1)),
            parameter("layers", int(1, 9, false, 2)),
            parameter("opt", choices(&["sgd", "momentum", "adam"])),
            under(
                parameter("momentum", float(0.5, 0.99, false, None)),
                "opt",
                &["momentum"],
            ),
            parameter("one", float(0.3, 0.3, false, None)),
        ])
        .unwrap()
    }

    /// Trials at multiples of the roots of primes.
    fn trials(n: u32, loss: impl Fn(&Point) -> f64) -> Vec<Trial> {
        let space = space();
        let trial = |number: u32| {
            let part = |prime: f64| (f64::from(number + 1) * prime.sqrt()).fract();
            let mut point = Point::new();
            let scale = libm::log(1e4) * part(2.0);
            point.insert("rate".to_string(), libm::exp(libm::log(1e-5) + scale));
            point.insert("part".to_string(), 0.25 * (5.0 * part(3.0)).floor());
            point.insert("width".to_string(), 16.0 + (497.0 * part(5.0)).floor());
            point.insert("layers".to_string(), 1.0 + 2.0 * (5.0 * part(7.0)).floor());
            point.insert("opt".to_string(), (3.0 * part(11.0)).floor());
            point.insert("momentum".to_string(), 0.5 + 0.49 * part(13.0));
            point.insert("one".to_string(), 0.3);
            space.prune_inactive(&mut point);
            let mut trial = Trial::new(i64::from(number), number, TrialState::Complete);
            for parameter in space
                .parameters()
                .iter()
                .filter(|p| point.contains_key(&p.name))
            {
                let distribution = parameter.distribution.clone();
                trial
                    .distributions
                    .insert(parameter.name.clone(), distribution);
            }
            trial.values = vec![loss(&point)];
            trial.params = point;
            trial
        };
        (0..n).map(trial).collect()
    }

    fn loss(point: &Point) -> f64 {
        let rate = libm::log10(point["rate"]) + 3.0;
        let momentum = point.get("momentum").copied().unwrap_or(0.7);
        rate * rate + 0.3 * point["part"] + 0.5 * momentum + 0.01 * point["layers"]
    }

    #[test]
    fn they_are_those_of_optuna() {
        // optuna.importance.get_param_importances of Optuna 5.0.0, of the same sixty trials.
        let theirs = [
            ("rate", 0.587_668_920_331_254_7),
            ("part", 0.341_079_152_139_986_46),
            ("width", 0.033_839_222_446_069_094),
            ("opt", 0.024_599_380_154_162_694),
            ("momentum", 0.012_286_269_932_954_853),
            ("layers", 0.000_527_054_995_572_009),
            ("one", 0.0),
        ];
        let ours = importances(&space(), &trials(60, loss), Direction::Minimize);
        assert_eq!(ours.len(), theirs.len());
        for ((name, value), (their_name, their_value)) in ours.iter().zip(theirs) {
            assert_eq!(name, their_name);
            assert!(
                (value - their_value).abs() < 1e-9,
                "{name}: {value} for {their_value}"
            );
        }
    }

    #[test]
    fn the_one_that_matters_is_found() {
        type Loss = fn(&Point) -> f64;
        let losses: [(&str, Loss); 5] = [
            ("rate", |p| libm::log10(p["rate"])),
            ("part", |p| p["part"]),
            ("width", |p| (libm::log2(p["width"]) - 6.0).abs()),
            ("layers", |p| (p["layers"] - 5.0).abs()),
            ("opt", |p| (p["opt"] - 1.0).abs()),
        ];
        for (name, loss) in losses {
            let negative = |p: &Point| -loss(p);
            for (direction, trials) in [
                (Direction::Minimize, trials(200, loss)),
                (Direction::Maximize, trials(200, negative)),
            ] {
                let importances = importances(&space(), &trials, direction);
                assert_eq!(importances[0].0, name, "{importances:?}");
                assert!(importances[0].1 > 0.5, "{importances:?}");
                let sum: f64 = importances.iter().map(|i| i.1).sum();
                assert!((sum - 1.0).abs() < 1e-12);
                assert!(importances.is_sorted_by(|a, b| a.1 >= b.1));
            }
        }
    }

    #[test]
    fn few_or_useless_trials_tell_nothing() {
        let space = space();
        let mut trials = trials(4, loss);
        assert_eq!(importances(&space, &trials, Direction::Minimize).len(), 7);
        trials[2].values[0] = f64::INFINITY;
        assert!(importances(&space, &trials, Direction::Minimize).is_empty());
        trials[2].values[0] = 1.0;
        trials[1].state = TrialState::Pruned;
        assert!(importances(&space, &trials, Direction::Minimize).is_empty());
    }
}
