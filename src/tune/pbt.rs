//! Population-based training (Jaderberg et al. 2017, arXiv:1711.09846): from time to time the worst of a
//! population go on from the weights of the best, with hyper-parameters a little off theirs.

use super::space::Space;
use super::trial::{Direction, Point};
use crate::rng::{Purpose, Stream};
use crate::tune::distribution::Distribution;

/// The part of a population that is replaced, and that it is replaced by.
const SHARE: f64 = 0.2;
/// What a number is multiplied or divided by.
const FACTOR: f64 = 1.2;
/// How often a choice is drawn anew.
const RESAMPLE: f64 = 0.25;

/// Epochs from one look at the population to the next, in runs of `epochs`.
pub fn interval(epochs: u32) -> u32 {
    (epochs / 10).max(1)
}

/// Draws of a trial at an epoch.
pub fn stream(seed: u64, number: u32, epoch: u32) -> Stream {
    Stream::new(
        seed,
        Purpose::Explore,
        number.wrapping_mul(0x1_0003) ^ epoch,
    )
}

/// Which members are to go on from which: (loser, winner) for each of the worst fifth, the winner drawn
/// from the best fifth. Nothing of fewer than four. `values`: the last one of each member.
pub fn exploit(
    values: &[f64],
    direction: Direction,
    mut draws: impl FnMut(usize) -> Stream,
) -> Vec<(usize, usize)> {
    let n = values.len();
    if n < 4 {
        return Vec::new();
    }
    let mut order: Vec<usize> = (0..n).collect();
    // The best first; no number is worse than any.
    let loss = |ix: usize| match values[ix].is_nan() {
        true => f64::INFINITY,
        false => direction.as_loss(values[ix]),
    };
    order.sort_by(|&a, &b| loss(a).total_cmp(&loss(b)).then(a.cmp(&b)));
    let share = ((n as f64 * SHARE) as usize).max(1);
    let (best, worst) = (&order[..share], &order[n - share..]);
    let pair = |&loser: &usize| (loser, best[draws(loser).below(share as u32) as usize]);
    worst.iter().map(pair).collect()
}

/// The winner's values a little off: numbers times or by 1.2, within their range, and one choice in four
/// anew. `may_change` says which parameters may differ within the population.
pub fn explore(
    space: &Space,
    winner: &Point,
    draws: &mut Stream,
    may_change: impl Fn(&str) -> bool,
) -> Point {
    let mut point = winner.clone();
    for parameter in space.parameters().iter().filter(|p| may_change(&p.name)) {
        let Some(value) = point.get_mut(&parameter.name) else {
            continue;
        };
        let distribution = &parameter.distribution;
        match distribution {
            Distribution::Categorical { choices } => {
                if draws.unit() < RESAMPLE {
                    *value = f64::from(draws.below(choices.len() as u32));
                }
            }
            _ => {
                let up = draws.unit() < 0.5;
                let moved = if up { *value * FACTOR } else { *value / FACTOR };
                *value = distribution.nearest(moved);
            }
        }
    }
    // A new choice may bring parameters into being that the winner lacks: they start in the middle.
    for parameter in space.parameters() {
        let is_new = !point.contains_key(&parameter.name);
        if is_new && may_change(&parameter.name) && space.is_active(parameter, &point) {
            let value = middle(&parameter.distribution);
            point.insert(parameter.name.clone(), value);
        }
    }
    space.prune_inactive(&mut point);
    point
}

fn middle(distribution: &Distribution) -> f64 {
    let value = match distribution {
        Distribution::Float { low, high, log, .. } => mean(*low, *high, *log),
        Distribution::Int { low, high, log, .. } => mean(*low as f64, *high as f64, *log),
        Distribution::Categorical { .. } => 0.0,
    };
    distribution.nearest(value)
}

fn mean(low: f64, high: f64, log: bool) -> f64 {
    match log {
        true => (low * high).sqrt(),
        false => (low + high) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::notation;

    #[test]
    fn the_worst_go_on_from_the_best() {
        let values = [0.9, 0.1, 0.8, f64::NAN, 0.7, 0.6, 0.5, 0.4, 0.95, 0.3];
        let pairs = exploit(&values, Direction::Maximize, |ix| stream(1, ix as u32, 2));
        let losers: Vec<usize> = pairs.iter().map(|(loser, _)| *loser).collect();
        assert_eq!(losers, [1, 3]);
        assert!(pairs.iter().all(|(_, winner)| [0, 8].contains(winner)));
        let pairs = exploit(&values, Direction::Minimize, |ix| stream(1, ix as u32, 2));
        assert!(pairs.iter().all(|(_, winner)| [1, 9].contains(winner)));
        let few = exploit(&values[..3], Direction::Maximize, |ix| {
            stream(1, ix as u32, 2)
        });
        assert!(few.is_empty());
    }

    #[test]
    fn values_stay_in_their_ranges_and_structures_stay() {
        let space = notation::space([
            "lr=log:1e-4..1e-1",
            "batch=32|64",
            "opt=sgd|momentum",
            "momentum=0.5..0.99 if opt=momentum",
        ])
        .unwrap();
        let winner = Point::from([
            ("lr".to_string(), 0.09),
            ("batch".to_string(), 1.0),
            ("opt".to_string(), 0.0),
        ]);
        let (mut moved, mut changed) = (0, 0);
        for number in 0..200 {
            let mut draws = stream(7, number, 3);
            let point = explore(&space, &winner, &mut draws, |name| name != "batch");
            assert_eq!(point["batch"], 1.0);
            assert!([0.09 / 1.2, 0.1].contains(&point["lr"]), "{point:?}");
            moved += u32::from(point["lr"] == 0.1);
            changed += u32::from(point["opt"] == 1.0);
            assert_eq!(point.contains_key("momentum"), point["opt"] == 1.0);
        }
        assert!((70..130).contains(&moved), "{moved}");
        assert!((10..45).contains(&changed), "{changed}");
    }
}
