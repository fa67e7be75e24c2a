//! A study in memory whose trials may run side by side, for tests of samplers.

use super::{Answer, Question, Sampler};
use crate::tune::distribution::Distribution;
use crate::tune::sampler::testing::parameter;
use crate::tune::space::Space;
use crate::tune::trial::{Direction, Point, Trial, TrialState};

/// A study and what decides it.
#[derive(Clone)]
pub struct Study {
    pub space: Space,
    pub directions: Vec<Direction>,
    pub seed: u64,
    pub fixed: Point,
    pub trials: Vec<Trial>,
}

impl Study {
    /// A study of one objective that is to be made small.
    pub fn new(space: Space, seed: u64) -> Study {
        Study {
            space,
            directions: vec![Direction::Minimize],
            seed,
            fixed: Point::new(),
            trials: Vec::new(),
        }
    }

    /// `n` parameters, each in `low..high`.
    pub fn box_of(n: usize, low: f64, high: f64, seed: u64) -> Study {
        let range = Distribution::float(low, high, false, None).unwrap();
        let name = |ix| format!("x{ix:02}");
        let parameters = (0..n).map(|ix| parameter(&name(ix), range.clone()));
        Study::new(Space::new(parameters.collect()).unwrap(), seed)
    }

    /// What comes next.
    pub fn question(&self) -> Question<'_> {
        Question {
            space: &self.space,
            directions: &self.directions,
            trials: &self.trials,
            number: self.trials.len() as u32,
            seed: self.seed,
            fixed: &self.fixed,
        }
    }

    /// Starts a trial; its index.
    pub fn start(&mut self, sampler: &mut dyn Sampler) -> usize {
        let Answer { point, system } = sampler.sample(&self.question()).unwrap();
        let number = self.trials.len();
        let mut trial = Trial::new(number as i64 + 100, number as u32, TrialState::Running);
        for name in point.keys() {
            let parameter = self.space.get(name).expect("a parameter of the space");
            let distribution = parameter.distribution.clone();
            trial.distributions.insert(name.clone(), distribution);
        }
        (trial.params, trial.system) = (point, system);
        self.trials.push(trial);
        number
    }

    /// Ends a trial.
    pub fn finish(&mut self, ix: usize, values: Vec<f64>) {
        self.trials[ix].values = values;
        self.trials[ix].state = TrialState::Complete;
    }

    /// Runs trials one after the other.
    pub fn run(&mut self, sampler: &mut dyn Sampler, n: usize, f: impl Fn(&Point) -> Vec<f64>) {
        for _ in 0..n {
            let ix = self.start(sampler);
            let values = f(&self.trials[ix].params);
            self.finish(ix, values);
        }
    }

    /// Four trials at a time, which end out of order; some of them fail. The last still run.
    /// `start` starts one.
    pub fn run_side_by_side(
        &mut self,
        n: usize,
        f: impl Fn(&Point) -> Vec<f64>,
        mut start: impl FnMut(&mut Study) -> usize,
    ) {
        let mut running = Vec::new();
        for round in 0..n {
            running.push(start(self));
            if running.len() == 4 {
                let ix = running.remove([2, 0, 3, 1, 1][round % 5]);
                match ix % 7 {
                    3 => self.trials[ix].state = TrialState::Fail,
                    _ => self.finish(ix, f(&self.trials[ix].params)),
                }
            }
        }
    }

    /// The least value of the first objective.
    pub fn minimum(&self) -> f64 {
        let values = self.trials.iter().filter_map(|trial| trial.values.first());
        values.fold(f64::INFINITY, |least, value| least.min(*value))
    }
}

/// A sampler that is asked all questions of a study whose trials overlap, and one that starts anew
/// with every question, must give the same answers; they are returned.
pub fn check_side_by_side<S: Sampler + Default>(
    study: &Study,
    n: usize,
    f: impl Fn(&Point) -> Vec<f64>,
) -> Vec<Trial> {
    let (mut fresh, mut kept) = (study.clone(), study.clone());
    fresh.run_side_by_side(n, &f, |study| study.start(&mut S::default()));
    let mut sampler = S::default();
    kept.run_side_by_side(n, &f, |study| study.start(&mut sampler));
    assert_eq!(fresh.trials, kept.trials);
    kept.trials
}
