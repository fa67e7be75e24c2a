//! A study as the charts see it: finite values in the objectives' units, and what is best.

use super::Study;
use super::scale::{Scale, words};
use crate::report::canvas::axis::Axis;
use crate::report::canvas::text::significant;
use crate::report::canvas::{HUGE, Rgb};
use crate::report::html::parts::grouped;
use crate::report::metric::Metric;
use crate::tune::distribution::{Distribution, Scalar};
use crate::tune::space::Parameter;
use crate::tune::trial::{Trial, TrialState};

/// More parameters than this are not drawn, only listed.
const MOST_PARAMETERS: usize = 12;
/// Values so many times as far from the best as the median lie beyond the edge.
const FURTHER: f64 = 6.0;
/// One of several objectives has a logarithmic axis from this factor on.
const FAR_APART: f64 = 50.0;
/// From the worst to the best.
const SHADES: [Rgb; 3] = [[212, 220, 228], [86, 160, 211], [0, 62, 120]];
/// Stands in where a study has no objective.
const UNKNOWN: Metric = Metric {
    name: "objective",
    unit: "",
    scale: 1.0,
    bounds: (f64::NEG_INFINITY, f64::INFINITY),
    higher_is_better: false,
};

pub(super) struct View<'a> {
    pub(super) study: &'a Study<'a>,
    /// The trials by number.
    pub(super) trials: Vec<&'a Trial>,
    /// The best trial, the first of equals; of several objectives all that none is better than,
    /// by the first objective. Places in `trials`.
    pub(super) winners: Vec<usize>,
    /// What is drawn of the space, in its order: all or the most important ones.
    pub(super) shown: Vec<Scale<'a>>,
    /// An axis per objective over what the complete trials came to.
    pub(super) axes: Vec<Axis>,
    /// Whether trials were trained in folds.
    pub(super) in_folds: bool,
}

impl<'a> View<'a> {
    pub(super) fn new(study: &'a Study<'a>) -> Self {
        let mut trials: Vec<&Trial> = study.trials.iter().collect();
        trials.sort_by_key(|trial| trial.number);
        let mut view = Self {
            study,
            trials,
            winners: Vec::new(),
            shown: Vec::new(),
            axes: Vec::new(),
            in_folds: false,
        };
        view.in_folds = view.trials.iter().any(|t| view.deviation(t).is_some());
        let objectives = 0..study.objectives.len().max(1);
        view.axes = objectives
            .map(|objective| view.axis(objective, false))
            .collect();
        view.winners = view.front();
        let parameters = study.space.parameters();
        let names: Vec<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
        let shown = most_important(study, &names, MOST_PARAMETERS).into_iter();
        view.shown = shown
            .map(|ix| Scale::new(&parameters[ix], &view.trials))
            .collect();
        view
    }

    /// The axis of an objective. A single objective's follows the complete trials, of which the
    /// bad ones may leave the picture, so that the good ones are told apart; `wider` makes some
    /// room for pruned ones. Of several objectives every value is shown.
    pub(super) fn axis(&self, objective: usize, wider: bool) -> Axis {
        let metric = self.metric(objective);
        let of = |state| {
            let trials = self.trials.iter().filter(move |t| t.state == state);
            let values = trials.filter_map(|t| self.value(t, objective));
            sorted(values)
        };
        let (mut complete, pruned) = (of(TrialState::Complete), of(TrialState::Pruned));
        if self.study.objectives.len() > 1
            && let [low, .., high] = complete[..]
        {
            let far = low > 0.0 && high / low > FAR_APART && metric.bounds.1 >= HUGE;
            return match far {
                true => Axis::logarithmic(&metric.heading(), (low, high), 0.04),
                false => Axis::linear(&metric.heading(), (low, high), metric.bounds),
            };
        }
        complete = near_the_best(complete, &metric);
        let steps = if wider || complete.is_empty() {
            pruned
        } else {
            Vec::new()
        };
        Axis::metric(&metric, &complete, &steps)
    }

    /// The scales of at most so many parameters, the most important ones in the space's order.
    pub(super) fn most_important(&self, most: usize) -> Vec<&Scale<'a>> {
        let names = self.shown.iter().map(|s| s.parameter.name.as_str());
        let names: Vec<&str> = names.collect();
        let places = most_important(self.study, &names, most).into_iter();
        places.map(|ix| &self.shown[ix]).collect()
    }

    pub(super) fn metric(&self, objective: usize) -> Metric<'a> {
        let metric = self.study.objectives.get(objective);
        metric.copied().unwrap_or(UNKNOWN)
    }

    /// What a trial came to as it is drawn: its value, or where it was pruned the last
    /// intermediate one, in the objective's unit.
    pub(super) fn value(&self, trial: &Trial, objective: usize) -> Option<f64> {
        let value = match trial.state {
            TrialState::Complete => trial.values.get(objective).copied(),
            TrialState::Pruned if objective == 0 => trial.judged(),
            _ => None,
        };
        drawn(value? * self.metric(objective).scale)
    }

    /// Standard deviation of the first objective over a complete trial's folds, in its unit.
    pub(super) fn deviation(&self, trial: &Trial) -> Option<f64> {
        let noted = trial.user.get("deviation")?;
        let value: f64 = noted.parse().ok()?;
        let complete = trial.state == TrialState::Complete;
        drawn(value * self.metric(0).scale).filter(|_| complete)
    }

    /// The finite intermediate values as they are drawn, by epoch.
    pub(super) fn curve(&self, trial: &Trial) -> Vec<(f64, f64)> {
        let scale = self.metric(0).scale;
        let steps = trial.intermediate.range(0..);
        steps
            .filter_map(|(&step, &value)| Some((drawn(step as f64)?, drawn(value * scale)?)))
            .collect()
    }

    pub(super) fn has_curves(&self) -> bool {
        let is_drawn = |t: &&&Trial| matches!(t.state, TrialState::Complete | TrialState::Pruned);
        let mut drawn = self.trials.iter().filter(is_drawn);
        drawn.any(|t| !self.curve(t).is_empty())
    }

    /// How good a value is, from 0 for the worst that the axis shows to 1 for the best.
    pub(super) fn quality(&self, value: f64, objective: usize) -> f64 {
        let place = self.axes[objective].place(value).clamp(0.0, 1.0);
        match self.metric(objective).higher_is_better {
            true => place,
            false => 1.0 - place,
        }
    }

    /// Places of the complete trials that no other is better than.
    fn front(&self) -> Vec<usize> {
        let count = self.axes.len();
        // Values of which the greatest is best.
        let sign = |k: usize| match self.metric(k).higher_is_better {
            true => 1.0,
            false => -1.0,
        };
        let points: Vec<(usize, Vec<f64>)> = (0..self.trials.len())
            .filter(|&ix| self.trials[ix].state == TrialState::Complete)
            .filter_map(|ix| {
                let value = |k| Some(self.value(self.trials[ix], k)? * sign(k));
                Some((ix, (0..count).map(value).collect::<Option<_>>()?))
            })
            .collect();
        let beats = |(a_ix, a): &(usize, Vec<f64>), (b_ix, b): &(usize, Vec<f64>)| {
            let none_worse = a.iter().zip(b).all(|(a, b)| a >= b);
            none_worse && (a != b || (count == 1 && a_ix < b_ix))
        };
        let mut front: Vec<&(usize, Vec<f64>)> = points
            .iter()
            .filter(|point| !points.iter().any(|other| beats(other, point)))
            .collect();
        front.sort_by(|a, b| b.1[0].total_cmp(&a.1[0]));
        front.iter().map(|point| point.0).collect()
    }

    /// A value of an objective with its unit.
    pub(super) fn worded(&self, value: f64, objective: usize) -> String {
        let unit = self.metric(objective).unit;
        let gap = if unit.is_empty() { "" } else { " " };
        format!("{}{gap}{unit}", significant(value))
    }

    /// "trial 17: 98.12 %".
    pub(super) fn name(&self, ix: usize) -> String {
        let trial = self.trials[ix];
        let values = (0..self.axes.len())
            .filter_map(|k| Some(self.worded(self.value(trial, k)?, k)))
            .collect::<Vec<String>>();
        let pruned = match trial.state {
            TrialState::Pruned => ", pruned",
            _ => "",
        };
        format!("trial {}: {}{pruned}", trial.number, values.join(", "))
    }

    /// A trial in lines: its name and the parameters that are drawn.
    pub(super) fn lines(&self, ix: usize) -> Vec<String> {
        let parameters = self.shown.iter().filter_map(|scale| {
            let value = value_of(self.trials[ix], scale.parameter)?;
            Some(format!("{} {}", scale.parameter.name, words(&value)))
        });
        [self.name(ix)].into_iter().chain(parameters).collect()
    }

    /// How many parameters are left out, as a sentence's end; empty where none is.
    pub(super) fn left_out(&self, drawn: usize) -> String {
        let all = self.study.space.parameters().len();
        match all > drawn {
            true => format!(" ({drawn} of {all} parameters)"),
            false => String::new(),
        }
    }

    pub(super) fn count(&self, state: TrialState) -> usize {
        self.trials.iter().filter(|t| t.state == state).count()
    }
}

/// The value where it can be drawn.
fn drawn(value: f64) -> Option<f64> {
    (value.abs() < HUGE).then_some(value)
}

/// A trial's value of a parameter; none where a stored trial has no such choice.
pub(super) fn value_of(trial: &Trial, parameter: &Parameter) -> Option<Scalar> {
    let internal = *trial.params.get(&parameter.name)?;
    let own = trial.distributions.get(&parameter.name);
    let distribution = own.unwrap_or(&parameter.distribution);
    let is_choice = matches!(distribution, Distribution::Categorical { .. });
    (!is_choice || distribution.contains(internal)).then(|| distribution.external(internal))
}

/// Places of at most so many of the names, the most important ones in their order.
fn most_important(study: &Study, names: &[&str], most: usize) -> Vec<usize> {
    let share = |ix: usize| {
        let found = study.importances.iter().find(|i| i.0 == names[ix]);
        found.map_or(0.0, |i| if i.1.is_nan() { 0.0 } else { i.1 })
    };
    let mut places: Vec<usize> = (0..names.len()).collect();
    // A stable sort: where nothing is known the first ones are taken.
    places.sort_by(|&a, &b| share(b).total_cmp(&share(a)));
    places.truncate(most);
    places.sort_unstable();
    places
}

pub(super) fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Of sorted values those that are not much further from the best than the median is.
fn near_the_best(mut values: Vec<f64>, metric: &Metric) -> Vec<f64> {
    let best = match metric.higher_is_better {
        true => values.last(),
        false => values.first(),
    };
    let (Some(&best), Some(&median)) = (best, values.get(values.len() / 2)) else {
        return values;
    };
    values.retain(|value| (value - best).abs() <= FURTHER * (median - best).abs());
    values
}

/// The colour of a quality from 0 to 1.
pub(super) fn shade(quality: f64) -> Rgb {
    let along = quality.clamp(0.0, 1.0) * (SHADES.len() - 1) as f64;
    let first = (along as usize).min(SHADES.len() - 2);
    let share = along - first as f64;
    std::array::from_fn(|channel| {
        let [from, to] = [first, first + 1].map(|ix| f64::from(SHADES[ix][channel]));
        (from + (to - from) * share).round() as u8
    })
}

/// Width of one of many lines.
pub(super) fn line_width(lines: usize) -> f64 {
    match lines {
        0..=100 => 1.5,
        101..=300 => 1.0,
        _ => 0.5,
    }
}

/// "1 trial", "1,000 trials".
pub(super) fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(count as u64))
}
