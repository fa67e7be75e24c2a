//! The learning-rate range test (Smith 2017, arXiv:1506.01186, section 3.3): train a little while the
//! rate grows geometrically, and read a good rate off the losses.

use std::ops::Range;

use super::is_number;
use crate::{Error, Result};

/// Decay of the exponential smoothing, fastai's.
const BETA: f64 = 0.98;
/// The sweep is over where the smoothed loss is this many times its lowest.
const DIVERGED: f64 = 4.0;

/// One step of the sweep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub lr: f64,
    /// Of the batch, before the update with `lr`.
    pub loss: f64,
    /// Exponentially smoothed, with bias correction.
    pub smoothed: f64,
}

/// How a rate is chosen from the losses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rule {
    /// Where the loss falls fastest per decade of the rate, before its minimum.
    ///
    /// The slope is that of a least-squares line through the raw losses of an eighth of the sweep
    /// around the rate. fastai takes the slope of the smoothed losses: these lag by up to 49 steps,
    /// which puts the rate half a decade too high, and their noisy start often has the steepest
    /// step of all. A centred window has no lag and no such start.
    #[default]
    Steepest,
    /// A tenth of the rate where the smoothed loss is lowest, as fastai has it.
    MinimumOverTen,
}

/// What a sweep came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suggestion {
    /// The rate to train with.
    pub lr: f64,
    /// Where the loss is lowest: from here on the rate is too high.
    pub lowest: f64,
}

/// A sweep in progress, or done.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    lo: f64,
    hi: f64,
    n: usize,
    points: Vec<Point>,
    /// The moving average without its bias correction.
    average: f64,
    /// Of the smoothed losses.
    lowest: f64,
}

impl Sweep {
    /// fastai's range and length: (lo, hi, n).
    pub const DEFAULT: (f64, f64, usize) = (1e-7, 10.0, 100);

    /// Steps that the shortest sweep has.
    pub const SHORTEST: usize = 20;

    /// `n` rates from `lo` to `hi`, both included.
    ///
    /// # Errors
    /// [`Error::Usage`] where they do not make a range.
    pub fn new(lo: f64, hi: f64, n: usize) -> Result<Sweep> {
        if !(lo > 0.0 && lo < hi && hi.is_finite()) {
            return Err(Error::Usage(format!(
                "learning rates from {lo:?} to {hi:?} are no range: write two numbers over 0, the smaller first"
            )));
        }
        if n < Self::SHORTEST {
            return Err(Error::Usage(format!(
                "{n} steps are too few to find a learning rate with: take at least {}",
                Self::SHORTEST
            )));
        }
        Ok(Sweep {
            lo,
            hi,
            n,
            points: Vec::with_capacity(n),
            average: 0.0,
            lowest: f64::INFINITY,
        })
    }

    /// The rate of each step, \[n\].
    pub fn rates(&self) -> impl Iterator<Item = f64> {
        let (lo, hi, last) = (self.lo, self.hi, (self.n - 1) as f64);
        (0..self.n).map(move |step| match step as f64 / last {
            1.0 => hi,
            part => lo * (hi / lo).powf(part),
        })
    }

    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Hears the loss of the next step; false where the sweep is over, because it is complete, or
    /// the loss is no number (and left out) or its smoothed value over four times the lowest.
    ///
    /// # Panics
    /// If the sweep was complete.
    pub fn push(&mut self, loss: f64) -> bool {
        let step = self.points.len();
        assert!(step < self.n, "the sweep is complete");
        if !is_number(loss) {
            return false;
        }
        self.average = BETA * self.average + (1.0 - BETA) * loss;
        let smoothed = self.average / (1.0 - BETA.powi(step as i32 + 1));
        self.lowest = self.lowest.min(smoothed);
        let lr = self.rates().nth(step).expect("below n");
        self.points.push(Point { lr, loss, smoothed });
        step + 1 < self.n && smoothed <= DIVERGED * self.lowest
    }

    /// Chooses a rate.
    ///
    /// # Errors
    /// [`Error::Check`] where the loss does not fall: by 1 in 100, and by four standard errors of
    /// the noise that neighbouring losses show, from the first eighth to the lowest.
    pub fn suggest(&self, rule: Rule) -> Result<Suggestion> {
        let window = (self.n / 8).max(5) | 1;
        let losses: Vec<f64> = self.points.iter().map(|point| point.loss).collect();
        let refuse = |what: &str| {
            Error::Check(format!(
                "no learning rate to suggest: {what}\ntry another range of rates, another --opt, or look at the data"
            ))
        };
        if losses.len() < 2 * window {
            return Err(refuse(&format!(
                "training diverged after {} of {} steps, from {:e} up",
                losses.len(),
                self.n,
                self.lo
            )));
        }
        let windows = || losses.windows(window);
        let levels: Vec<f64> = windows().map(mean).collect();
        let bottom = lowest(&levels, 0..levels.len());
        let descent = &losses[..bottom + window];
        let noise = noise(descent) * (2.0 / window as f64).sqrt();
        let fall = levels[0] - levels[bottom];
        if fall <= (0.01 * levels[0].abs()).max(4.0 * noise) {
            let last = self.points[losses.len() - 1].lr;
            return Err(refuse(&format!(
                "the loss does not fall at any rate from {:e} to {last:e}",
                self.lo
            )));
        }
        let centre = |ix: usize| self.points[ix + window / 2].lr;
        let lr = match rule {
            Rule::Steepest => {
                let slopes: Vec<f64> = windows().map(slope).collect();
                centre(lowest(&slopes, 0..bottom + 1))
            }
            Rule::MinimumOverTen => {
                let smoothed: Vec<f64> = self.points.iter().map(|p| p.smoothed).collect();
                self.points[lowest(&smoothed, 0..smoothed.len())].lr / 10.0
            }
        };
        Ok(Suggestion {
            lr,
            lowest: centre(bottom),
        })
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Slope per step of the least-squares line through evenly spaced values, up to a factor that
/// depends on their number alone.
fn slope(values: &[f64]) -> f64 {
    let middle = (values.len() - 1) as f64 / 2.0;
    let products = values.iter().enumerate();
    products.map(|(ix, y)| (ix as f64 - middle) * y).sum()
}

/// Standard deviation of the noise on a smooth curve, from the differences of neighbours.
fn noise(values: &[f64]) -> f64 {
    let differences = values.windows(2).map(|pair| (pair[1] - pair[0]).powi(2));
    (differences.sum::<f64>() / (2.0 * (values.len() - 1) as f64)).sqrt()
}

/// Index of the first lowest value in `range`.
fn lowest(values: &[f64], range: Range<usize>) -> usize {
    let mut best = range.start;
    for ix in range {
        if values[ix] < values[best] {
            best = ix;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};

    /// Runs a sweep over a loss that depends on log10 of the rate.
    fn sweep(n: usize, loss: impl Fn(f64) -> f64) -> Sweep {
        let mut sweep = Sweep::new(1e-6, 10.0, n).unwrap();
        let rates: Vec<f64> = sweep.rates().collect();
        for lr in rates {
            if !sweep.push(loss(lr.log10())) {
                break;
            }
        }
        sweep
    }

    /// Falls from 2.3 to 0.4, fastest at 10^centre, and explodes at 1.
    fn valley(x: f64, centre: f64) -> f64 {
        0.4 + 1.9 / (1.0 + ((x - centre) / 0.35).exp()) + (x / 0.15).exp()
    }

    #[test]
    fn rates_are_geometric_and_end_exactly() {
        let sweep = Sweep::new(1e-3, 10.0, 41).unwrap();
        let rates: Vec<f64> = sweep.rates().collect();
        assert_eq!((rates.len(), rates[0], rates[40]), (41, 1e-3, 10.0));
        for (step, lr) in rates.iter().enumerate() {
            assert!((lr.log10() - (-3.0 + step as f64 / 10.0)).abs() < 1e-12);
        }
        for (lo, hi, n) in [
            (0.0, 1.0, 100),
            (1.0, 1.0, 100),
            (1.0, 0.1, 100),
            (-1.0, 1.0, 100),
            (f64::NAN, 1.0, 100),
            (0.1, f64::INFINITY, 100),
            (0.1, 1.0, 19),
        ] {
            assert!(matches!(Sweep::new(lo, hi, n), Err(Error::Usage(_))));
        }
    }

    #[test]
    fn smoothing_corrects_its_bias() {
        let mut sweep = Sweep::new(1e-3, 1.0, 20).unwrap();
        for loss in [3.0, 1.0, 2.0] {
            assert!(sweep.push(loss));
        }
        // Weights 0.98^2, 0.98 and 1, normalised.
        let expected = [
            3.0,
            (0.98 * 3.0 + 1.0) / 1.98,
            (0.9604 * 3.0 + 0.98 + 2.0) / 2.9404,
        ];
        for (point, expected) in sweep.points().iter().zip(expected) {
            assert!((point.smoothed - expected).abs() < 1e-12, "{point:?}");
        }
    }

    #[test]
    fn a_sweep_stops_where_the_loss_explodes() {
        let mut sweep = Sweep::new(1e-3, 1.0, 20).unwrap();
        assert!(sweep.push(1.0) && sweep.push(1.0));
        assert!(sweep.push(9.8), "the smoothed loss is just under 4");
        assert!(!sweep.push(9.8));
        assert_eq!(sweep.points().len(), 4);
        for loss in [f64::NAN, f64::INFINITY, 1e30] {
            let mut sweep = Sweep::new(1e-3, 1.0, 20).unwrap();
            assert!(sweep.push(1.0));
            assert!(!sweep.push(loss), "{loss}");
            assert_eq!(sweep.points().len(), 1);
        }
        let mut complete = Sweep::new(1e-3, 1.0, 20).unwrap();
        let told: Vec<bool> = (0..20).map(|_| complete.push(1.0)).collect();
        assert_eq!(told.iter().position(|go_on| !go_on), Some(19));
    }

    #[test]
    fn a_clean_valley_is_read_exactly() {
        for n in [50, 100, 400] {
            for centre in [-3.0, -2.0, -1.2] {
                let sweep = sweep(n, |x| valley(x, centre));
                assert!(sweep.points().len() < n, "the explosion ends it");
                let found = sweep.suggest(Rule::Steepest).unwrap();
                // One step of the sweep, or the explosion's tail, beside the centre.
                let off = found.lr.log10() - centre;
                assert!(off.abs() < 0.1, "{n} steps, {centre}: {off} decades off");
                assert!(found.lowest > found.lr && found.lowest < 1.0, "{found:?}");
                let tenth = sweep.suggest(Rule::MinimumOverTen).unwrap();
                let smoothed = |p: &&Point| p.lr > tenth.lr * 9.99 && p.lr < tenth.lr * 10.01;
                let at = sweep.points().iter().find(smoothed).unwrap().smoothed;
                assert!(sweep.points().iter().all(|p| p.smoothed >= at));
            }
        }
    }

    #[test]
    fn noise_moves_it_little() {
        for (n, noise, bound) in [(100, 0.1, 0.6), (100, 0.3, 1.2), (400, 0.3, 0.8)] {
            for seed in 0..50 {
                let stream = std::cell::RefCell::new(Stream::new(seed, Purpose::Init, 0));
                let jitter = || f64::from(stream.borrow_mut().normal(noise));
                let sweep = sweep(n, |x| valley(x, -2.0) + jitter());
                let off = sweep.suggest(Rule::Steepest).unwrap().lr.log10() + 2.0;
                assert!(
                    off.abs() < bound,
                    "{n}, {noise}, seed {seed}: {off} decades off"
                );
            }
        }
    }

    #[test]
    fn a_loss_that_never_falls_suggests_nothing() {
        let seeds = 0..50;
        type Curve = fn(f64) -> f64;
        let curves: [Curve; 3] = [
            |_| 2.3,
            |x| 2.3 + 0.2 * (x + 6.0),
            |x| 2.3 + ((x + 1.0) / 0.25).exp(),
        ];
        for curve in curves {
            for seed in seeds.clone() {
                for noise in [0.0, 0.1] {
                    let stream = std::cell::RefCell::new(Stream::new(seed, Purpose::Init, 0));
                    let sweep = sweep(100, |x| {
                        curve(x) + f64::from(stream.borrow_mut().normal(noise))
                    });
                    for rule in [Rule::Steepest, Rule::MinimumOverTen] {
                        let error = sweep.suggest(rule).expect_err("nothing falls");
                        assert!(matches!(error, Error::Check(_)));
                        assert!(error.to_string().contains("does not fall"), "{error}");
                    }
                }
            }
        }
    }

    #[test]
    fn numbers_that_end_are_what_counts() {
        let cut = sweep(100, |x| if x > -1.0 { f64::NAN } else { valley(x, -2.5) });
        assert_eq!(cut.points().len(), 71);
        let found = cut.suggest(Rule::Steepest).unwrap();
        assert!((found.lr.log10() + 2.5).abs() < 0.1, "{found:?}");
        let at_once = sweep(100, |x| if x > -5.0 { f64::NAN } else { 2.3 });
        let error = at_once.suggest(Rule::Steepest).unwrap_err().to_string();
        assert!(error.contains("diverged after 15 of 100 steps"), "{error}");
    }
}
