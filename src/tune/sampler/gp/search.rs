//! The point of the greatest acquisition value: the best of many random points and of local searches
//! from some of them, as Optuna's `GPSampler`.

use super::domain::{Domain, Kind};
use super::lbfgs::{self, Limits};
use super::log_ei::{log_ei, log_ei_with_slope};
use super::model::Model;
use crate::rng::Stream;

/// Random points.
const CANDIDATES: usize = 2048;

/// Local searches.
const STARTS: usize = 10;

/// Rounds over all coordinates in a local search.
const MAX_ROUNDS: usize = 100;

/// Grids of more values are searched by steps that halve, not one by one.
const EXHAUSTIVE: u64 = 16;

/// A point and its acquisition value.
#[derive(Clone, Debug)]
struct Found {
    x: Vec<f64>,
    value: f64,
}

struct Search<'a> {
    model: &'a Model,
    domain: &'a Domain,
    /// What is to be improved on.
    best: f64,
}

/// Where the model expects the greatest improvement. `incumbent` is the best point so far.
pub fn propose(model: &Model, domain: &Domain, incumbent: &[f64], stream: &mut Stream) -> Vec<f64> {
    let search = Search {
        model,
        domain,
        best: model.best(),
    };
    let draw = |_| {
        let units: Vec<f64> = (0..domain.len()).map(|_| stream.unit()).collect();
        search.at(domain.spread(&units))
    };
    let candidates: Vec<Found> = (0..CANDIDATES).map(draw).collect();
    let mut incumbent = incumbent.to_vec();
    domain.settle(&mut incumbent);
    let mut starts = choose(candidates, STARTS - 1, stream);
    starts.push(search.at(incumbent));
    let found = starts.into_iter().map(|start| search.climb(start));
    let best = found.max_by(|a, b| a.value.total_cmp(&b.value));
    best.expect("a search starts at the incumbent").x
}

/// The best candidate, and others with chances that are proportional to their expected improvement.
fn choose(mut candidates: Vec<Found>, n: usize, stream: &mut Stream) -> Vec<Found> {
    candidates.sort_by(|a, b| b.value.total_cmp(&a.value));
    let greatest = candidates[0].value;
    let chance = |found: &Found| libm::exp(found.value - greatest);
    let mut chances: Vec<f64> = candidates.iter().map(chance).collect();
    chances[0] = 0.0;
    let mut chosen = vec![candidates[0].clone()];
    while chosen.len() < n {
        let mut left = stream.unit() * chances.iter().sum::<f64>();
        let hit = chances.iter().position(|chance| {
            left -= chance;
            left < 0.0
        });
        let Some(hit) = hit else { break };
        chances[hit] = 0.0;
        chosen.push(candidates[hit].clone());
    }
    chosen
}

impl Search<'_> {
    fn at(&self, x: Vec<f64>) -> Found {
        let value = log_ei(self.model, self.best, &x);
        Found { x, value }
    }

    /// Moves coordinates, all continuous ones together and the others one by one, until no move helps.
    fn climb(&self, start: Found) -> Found {
        let mut found = start;
        for _ in 0..MAX_ROUNDS {
            let before = found.value;
            found = self.climb_slope(found);
            let after_slope = found.value;
            for d in 0..self.domain.len() {
                found = match self.domain.kind(d) {
                    _ if !self.domain.is_active(d, &found.x) => found,
                    Kind::Grid(n) if n > EXHAUSTIVE => self.climb_grid(found, d, n),
                    Kind::Grid(n) | Kind::Choice(n) => self.best_of(found, d, 0..n),
                    Kind::Continuous | Kind::Fixed => found,
                };
            }
            if found.value <= before || found.value <= after_slope {
                break;
            }
        }
        found
    }

    /// Along the gradient of the continuous coordinates, in units of their length scales.
    fn climb_slope(&self, start: Found) -> Found {
        let moves = |d: &usize| {
            self.domain.kind(*d) == Kind::Continuous && self.domain.is_active(*d, &start.x)
        };
        let free: Vec<usize> = (0..self.domain.len()).filter(moves).collect();
        if free.is_empty() {
            return start;
        }
        let lengths: Vec<f64> = free.iter().map(|&d| self.model.length(d)).collect();
        let mut x = start.x.clone();
        let mut slope = vec![0.0; x.len()];
        let loss = |scaled: &[f64], gradient: &mut [f64]| {
            for ((&d, scaled), length) in free.iter().zip(scaled).zip(&lengths) {
                x[d] = (scaled * length).clamp(0.0, 1.0);
            }
            let value = log_ei_with_slope(self.model, self.best, &x, &mut slope);
            for ((&d, g), length) in free.iter().zip(gradient).zip(&lengths) {
                *g = -slope[d] * length;
            }
            -value
        };
        let scaled: Vec<f64> = free
            .iter()
            .zip(&lengths)
            .map(|(&d, l)| start.x[d] / l)
            .collect();
        let low = vec![0.0; free.len()];
        let high: Vec<f64> = lengths.iter().map(|length| 1.0 / length).collect();
        let limits = Limits {
            gradient: 1e-2,
            iterations: 200,
        };
        let minimum = lbfgs::minimise(loss, &scaled, (&low, &high), limits);
        let mut x = start.x.clone();
        for ((&d, scaled), length) in free.iter().zip(&minimum.x).zip(&lengths) {
            x[d] = (scaled * length).clamp(0.0, 1.0);
        }
        self.better(start, x)
    }

    /// The best of these values of a coordinate.
    fn best_of(&self, start: Found, d: usize, values: impl Iterator<Item = u64>) -> Found {
        values.fold(start, |found, k| {
            let coordinate = self.domain.coordinate_of(d, k);
            if coordinate == found.x[d] {
                return found;
            }
            let mut x = found.x.clone();
            x[d] = coordinate;
            self.domain.settle(&mut x);
            self.better(found, x)
        })
    }

    /// Steps up and down a grid of n values, from its half to its neighbours, as long as they help.
    fn climb_grid(&self, start: Found, d: usize, n: u64) -> Found {
        let mut found = start;
        let mut step = (n / 2).next_power_of_two();
        while step > 0 {
            let before = found.value;
            let k = self.domain.index_of(d, found.x[d]);
            let neighbours = [k.checked_sub(step), Some(k + step).filter(|&k| k < n)];
            found = self.best_of(found, d, neighbours.into_iter().flatten());
            if found.value <= before {
                step /= 2;
            }
        }
        found
    }

    fn better(&self, found: Found, x: Vec<f64>) -> Found {
        let other = self.at(x);
        if other.value > found.value {
            other
        } else {
            found
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::Data;
    use super::*;
    use crate::rng::Purpose;
    use crate::tune::distribution::Distribution;
    use crate::tune::sampler::testing::parameter;
    use crate::tune::space::Space;
    use crate::tune::trial::Point;

    /// Two ranges and a grid of many values, and what a smooth function had at 20 points of them.
    fn fitted(seed: u64) -> (Domain, Model, Vec<f64>, Stream) {
        let range = || Distribution::float(0.0, 1.0, false, None).unwrap();
        let space = Space::new(vec![
            parameter("a", range()),
            parameter("b", range()),
            parameter("n", Distribution::int(0, 1999, false, 1).unwrap()),
        ]);
        let domain = Domain::new(&space.unwrap(), &Point::new());
        let mut stream = Stream::new(seed, Purpose::Sampler, 0);
        let mut x = Vec::new();
        for _ in 0..20 {
            let units: Vec<f64> = (0..3).map(|_| stream.unit()).collect();
            x.extend(domain.spread(&units));
        }
        let height = |x: &[f64]| libm::cos(5.0 * x[0]) - x[1] * x[1] + libm::sin(4.0 * x[2]);
        let y: Vec<f64> = x.chunks(3).map(height).collect();
        let top = (0..20).max_by(|&a, &b| y[a].total_cmp(&y[b])).unwrap();
        let incumbent = x[top * 3..][..3].to_vec();
        let is_choice = domain.is_choice();
        let model = Model::fit(Data { x, y, is_choice }, None).unwrap();
        (domain, model, incumbent, stream)
    }

    #[test]
    fn no_small_move_improves_a_proposal() {
        for seed in 0..5 {
            let (domain, model, incumbent, mut stream) = fitted(seed);
            let x = propose(&model, &domain, &incumbent, &mut stream);
            let value = log_ei(&model, model.best(), &x);
            let moved = |d: usize, to: f64| {
                let mut other = x.clone();
                other[d] = to.clamp(0.0, 1.0);
                log_ei(&model, model.best(), &other)
            };
            for d in [0, 1] {
                for step in [-0.03, -0.01, -0.003, 0.003, 0.01, 0.03] {
                    let other = moved(d, x[d] + step);
                    assert!(
                        other <= value + 1e-3,
                        "seed {seed}, {d}, {step}: {other}, {value}"
                    );
                }
            }
            let k = domain.index_of(2, x[2]);
            for k in k.saturating_sub(1)..=(k + 1).min(1999) {
                let other = moved(2, domain.coordinate_of(2, k));
                assert!(other <= value, "seed {seed}, {k}: {other}, {value}");
            }
        }
    }

    #[test]
    fn starts_are_the_best_and_others_by_their_improvement() {
        let shares = [0.1, 1.0, 0.0, 0.3];
        let candidates: Vec<Found> = shares
            .iter()
            .map(|share: &f64| Found {
                x: vec![*share],
                value: libm::log(*share),
            })
            .collect();
        let mut stream = Stream::new(1, Purpose::Sampler, 0);
        let mut counts = [0; 2];
        for _ in 0..4000 {
            let chosen = choose(candidates.clone(), 2, &mut stream);
            assert_eq!(chosen[0].x, [1.0]);
            match chosen[1].x[0] {
                0.3 => counts[0] += 1,
                0.1 => counts[1] += 1,
                other => panic!("{other} has no chance"),
            }
        }
        // 3000 with a deviation of 27.
        assert!((2865..3135).contains(&counts[0]), "{counts:?}");
        let all = choose(candidates, 9, &mut stream);
        assert_eq!(all.len(), 3, "no candidate twice");
    }
}
