//! Bayesian optimisation with a Gaussian process, as Optuna's `GPSampler`: the next trial is where the
//! logarithm of the expected improvement is greatest.
//!
//! The model spans the whole space. A parameter that does not exist at a point has one and the same
//! coordinate wherever it does not, so that it says nothing there. Running trials are believed to come
//! to what the model predicts of them. A pruned trial counts by its last intermediate value, within the
//! range of the values that trials were completed with.

mod cholesky;
mod domain;
mod exponential;
mod lbfgs;
mod log_ei;
mod model;
mod search;
#[cfg(test)]
mod tests;

use domain::Domain;
use model::{Data, Model, usual_starts};

use super::random::Random;
use super::{Answer, Question, Sampler};
use crate::rng::{Purpose, Stream};
use crate::tune::trial::{Direction, Trial, TrialState};
use crate::{Error, Result};

/// Completed trials before there is a model.
const STARTUP_TRIALS: usize = 10;

/// The model's cost grows with the cube of its points; of more trials than this, it sees the better
/// half and the latest half.
const MAX_POINTS: usize = 600;

/// The sampler.
#[derive(Clone, Debug, Default)]
pub struct Gp {
    anchor: Option<Anchor>,
}

/// A fit of the first trials alone, from the usual starting points; the fit of all of them starts there,
/// where it is almost at its end. It follows from the history, as if nothing were kept.
#[derive(Clone, Debug)]
struct Anchor {
    data: Data,
    /// Logarithms of hyper-parameters; none where the fit came to nothing.
    raw: Option<Vec<f64>>,
}

/// A trial as the model sees it.
struct Observation {
    number: u32,
    x: Vec<f64>,
    loss: f64,
}

impl Sampler for Gp {
    fn name(&self) -> &'static str {
        "gp"
    }

    fn sample(&mut self, question: &Question) -> Result<Answer> {
        let &[direction] = question.directions else {
            return Err(Error::Usage(format!(
                "the sampler gp takes one objective, not {}: use nsga2 or tpe",
                question.directions.len()
            )));
        };
        let domain = Domain::new(question.space, question.fixed);
        let observations = observe(&domain, question.trials, direction);
        let is_complete = |trial: &&Trial| trial.state == TrialState::Complete;
        let n_complete = question.trials.iter().filter(is_complete).count();
        if n_complete < STARTUP_TRIALS || observations.is_empty() {
            return Random.sample(question);
        }
        let start = self.start(&observations, &domain);
        let observations = thinned(observations);
        let best = observations.iter().min_by(|a, b| a.loss.total_cmp(&b.loss));
        let fitted = Model::fit(standardised(&observations, &domain), start);
        let Some((model, best)) = fitted.zip(best) else {
            return Random.sample(question);
        };
        let running = question
            .trials
            .iter()
            .filter(|t| t.state == TrialState::Running);
        let running: Vec<Vec<f64>> = running
            .filter_map(|trial| domain.coordinates(&trial.params))
            .collect();
        let model = model.believing(&running);
        let mut stream = Stream::new(question.seed, Purpose::Sampler, question.number);
        let x = search::propose(&model, &domain, &best.x, &mut stream);
        let mut point = domain.point(&x);
        for (name, value) in &mut point {
            *value = *question.fixed.get(name).unwrap_or(value);
        }
        Ok(Answer {
            point,
            ..Answer::default()
        })
    }
}

impl Gp {
    /// Where the fit of these observations, by number, starts.
    fn start(&mut self, observations: &[Observation], domain: &Domain) -> Option<&[f64]> {
        let first = &observations[..anchor_size(observations.len())];
        let data = standardised(first, domain);
        if self.anchor.as_ref().is_none_or(|kept| kept.data != data) {
            let raw = model::fit(&data, &usual_starts(domain.len()));
            self.anchor = Some(Anchor { data, raw });
        }
        self.anchor.as_ref()?.raw.as_deref()
    }
}

/// How many of n observations an anchor is fitted to: it grows in steps of a quarter.
fn anchor_size(n: usize) -> usize {
    let mut size = STARTUP_TRIALS.min(n);
    while size + size.div_ceil(4) <= n.min(MAX_POINTS) {
        size += size.div_ceil(4);
    }
    size
}

/// Trials that came to something, with finite losses.
fn observe(domain: &Domain, trials: &[Trial], direction: Direction) -> Vec<Observation> {
    let loss = |trial: &Trial| trial.judged().map(|value| direction.as_loss(value));
    let completed = trials
        .iter()
        .filter(|trial| trial.state == TrialState::Complete);
    let finite = completed.filter_map(loss).filter(|loss| loss.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), loss| {
        (low.min(loss), high.max(loss))
    });
    if low > high {
        return Vec::new();
    }
    let observed = trials.iter().filter_map(|trial| {
        let loss = loss(trial)?;
        Some(Observation {
            number: trial.number,
            x: domain.coordinates(&trial.params)?,
            loss: if loss.is_nan() {
                high
            } else {
                loss.clamp(low, high)
            },
        })
    });
    observed.collect()
}

/// At most [`MAX_POINTS`] of them, by number.
fn thinned(mut observations: Vec<Observation>) -> Vec<Observation> {
    if observations.len() > MAX_POINTS {
        observations.sort_by(|a, b| a.loss.total_cmp(&b.loss).then(a.number.cmp(&b.number)));
        observations[MAX_POINTS / 2..].sort_by_key(|o| std::cmp::Reverse(o.number));
        observations.truncate(MAX_POINTS);
        observations.sort_by_key(|o| o.number);
    }
    observations
}

/// Values of mean 0 and variance 1, the greater the better.
fn standardised(observations: &[Observation], domain: &Domain) -> Data {
    let n = observations.len() as f64;
    let losses = || observations.iter().map(|o| o.loss);
    let mean = losses().sum::<f64>() / n;
    let variance = losses()
        .map(|loss| (loss - mean) * (loss - mean))
        .sum::<f64>()
        / n;
    let deviation = variance.sqrt().max(1e-12);
    Data {
        x: observations
            .iter()
            .flat_map(|o| o.x.iter().copied())
            .collect(),
        y: losses().map(|loss| (mean - loss) / deviation).collect(),
        is_choice: domain.is_choice(),
    }
}
