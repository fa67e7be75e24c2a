//! Every combination once, in a shuffled order.

use serde_json::{Map, Value};

use super::{Answer, Question, Sampler};
use crate::rng::{Purpose, Stream};
use crate::tune::distribution::Distribution;
use crate::tune::space::{Parameter, Space};
use crate::tune::trial::{Attributes, Point, Trial};
use crate::{Error, Result};

/// A grid is kept whole, so it has an end.
const MAX_POINTS: usize = 1_000_000;

/// In a row of the grid: this parameter does not exist here.
const ABSENT: u32 = u32::MAX;

/// Walks the cartesian product of all values. Points that differ in inactive parameters alone are
/// one point. The order is a shuffle by the seed; a trial gets the first point in it that no other
/// trial has, whatever became of that trial, and so trial n the n-th where nothing was queued.
///
/// As Optuna's `GridSampler`, it notes `grid_id` (the place in the order) and `search_space`.
#[derive(Debug, Default)]
pub struct Grid {
    listing: Option<Listing>,
}

/// The grid of one space, in the order of one seed.
#[derive(Debug)]
struct Listing {
    space: Space,
    seed: u64,
    /// One per point and parameter: which of its values. The rows ascend.
    indices: Vec<u32>,
    /// Numbers of rows, shuffled.
    order: Vec<u32>,
}

impl Sampler for Grid {
    fn name(&self) -> &'static str {
        "grid"
    }

    fn sample(&mut self, question: &Question) -> Result<Answer> {
        let listing = self.listing_for(question)?;
        let tried = listing.tried(question);
        let fixed = listing.fixed_indices(question.fixed);
        let agrees = |place: &usize| listing.agrees(listing.order[*place], &fixed);
        let left = (0..listing.order.len()).filter(|&place| !tried[listing.order[place] as usize]);
        let place = match left.clone().find(|place| agrees(place)) {
            Some(place) => place,
            // All have been tried: once more, as Optuna does.
            None => {
                let all: Vec<usize> = (0..listing.order.len()).filter(agrees).collect();
                all[question.number as usize % all.len()]
            }
        };
        let on_grid = listing.point(listing.order[place]);
        let mut point = on_grid.clone();
        for (name, value) in &mut point {
            *value = question.fixed.get(name).copied().unwrap_or(*value);
        }
        let system = if point == on_grid {
            Attributes::from([
                ("grid_id".to_string(), place.to_string()),
                ("search_space".to_string(), listing.values_as_json()),
            ])
        } else {
            Attributes::new()
        };
        Ok(Answer { point, system })
    }

    fn is_model_based(&self) -> bool {
        false
    }

    fn is_exhausted(&self, question: &Question) -> bool {
        let check = |listing: &Listing| listing.has_tried_all(question);
        match &self.listing {
            Some(listing) if listing.is_for(question) => check(listing),
            _ => Listing::new(question.space, question.seed).is_ok_and(|listing| check(&listing)),
        }
    }
}

impl Grid {
    fn listing_for(&mut self, question: &Question) -> Result<&Listing> {
        let listing = match self.listing.take() {
            Some(listing) if listing.is_for(question) => listing,
            _ => Listing::new(question.space, question.seed)?,
        };
        Ok(self.listing.insert(listing))
    }
}

impl Listing {
    /// Lists all points.
    ///
    /// # Errors
    /// [`Error::Usage`] where a parameter is a continuum, or the points are too many.
    fn new(space: &Space, seed: u64) -> Result<Listing> {
        for parameter in space.parameters() {
            if parameter.distribution.count().is_none() {
                return Err(Error::Usage(format!(
                    "{}={} is a continuum, which no grid covers: give it a step (0.1..0.9:0.2) or \
                     a list of choices (0.001|0.01|0.1)",
                    parameter.name, parameter.distribution
                )));
            }
        }
        let mut indices = Vec::new();
        list(space, &mut Vec::new(), &mut Point::new(), &mut indices)?;
        let n_points = match space.parameters().len() {
            0 => 1,
            n_parameters => indices.len() / n_parameters,
        };
        let mut order: Vec<u32> = (0..n_points as u32).collect();
        // No trial has this number.
        Stream::new(seed, Purpose::Sampler, u32::MAX).shuffle(&mut order);
        Ok(Listing {
            space: space.clone(),
            seed,
            indices,
            order,
        })
    }

    fn is_for(&self, question: &Question) -> bool {
        self.seed == question.seed && &self.space == question.space
    }

    fn row(&self, number: u32) -> &[u32] {
        let n_parameters = self.space.parameters().len();
        &self.indices[number as usize * n_parameters..][..n_parameters]
    }

    fn point(&self, number: u32) -> Point {
        let parameters = self.space.parameters().iter();
        let values = parameters
            .zip(self.row(number))
            .filter(|(_, ix)| **ix != ABSENT);
        values
            .map(|(parameter, &ix)| (parameter.name.clone(), value(&parameter.distribution, ix)))
            .collect()
    }

    /// Whether there is no point left with what is fixed.
    fn has_tried_all(&self, question: &Question) -> bool {
        let tried = self.tried(question);
        let fixed = self.fixed_indices(question.fixed);
        let rows = 0..self.order.len() as u32;
        rows.filter(|&row| self.agrees(row, &fixed))
            .all(|row| tried[row as usize])
    }

    /// Which rows trials other than the asked one have, by number of the row.
    fn tried(&self, question: &Question) -> Vec<bool> {
        let mut tried = vec![false; self.order.len()];
        let others = question
            .trials
            .iter()
            .filter(|t| t.number != question.number);
        for number in others.filter_map(|trial| self.row_of(trial)) {
            tried[number] = true;
        }
        tried
    }

    fn row_of(&self, trial: &Trial) -> Option<usize> {
        let parameters = self.space.parameters().iter();
        let row: Option<Vec<u32>> = parameters
            .map(|parameter| match trial.params.get(&parameter.name) {
                None => Some(ABSENT),
                Some(&value) => index(&parameter.distribution, value),
            })
            .collect();
        let row = row?;
        let (mut low, mut high) = (0, self.order.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.row(middle as u32).cmp(&row[..]) {
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// By parameter, the index of the fixed value where it is one of the grid's.
    fn fixed_indices(&self, fixed: &Point) -> Vec<Option<u32>> {
        let of = |parameter: &Parameter| {
            let value = *fixed.get(&parameter.name)?;
            index(&parameter.distribution, value)
        };
        self.space.parameters().iter().map(of).collect()
    }

    fn agrees(&self, number: u32, fixed: &[Option<u32>]) -> bool {
        let pairs = self.row(number).iter().zip(fixed);
        pairs
            .filter(|(ix, _)| **ix != ABSENT)
            .all(|(ix, fixed)| fixed.is_none_or(|fixed| fixed == *ix))
    }

    /// The values of each parameter, as Optuna's attribute `search_space` holds them.
    fn values_as_json(&self) -> String {
        let of = |parameter: &Parameter| {
            let distribution = &parameter.distribution;
            let n = distribution.count().unwrap_or(0) as u32;
            let values = (0..n).map(|ix| distribution.external(value(distribution, ix)).to_json());
            (parameter.name.clone(), Value::Array(values.collect()))
        };
        let by_name: Map<String, Value> = self.space.parameters().iter().map(of).collect();
        Value::Object(by_name).to_string()
    }
}

/// Appends all rows that begin with `row`, whose values are those of `point`.
fn list(
    space: &Space,
    row: &mut Vec<u32>,
    point: &mut Point,
    indices: &mut Vec<u32>,
) -> Result<()> {
    let Some(parameter) = space.parameters().get(row.len()) else {
        if indices.len() >= MAX_POINTS * row.len().max(1) {
            return Err(Error::Usage(format!(
                "the grid has more than {MAX_POINTS} points: give wider steps or fewer choices, or \
                 take the sobol sampler"
            )));
        }
        indices.extend_from_slice(row);
        return Ok(());
    };
    if !space.is_active(parameter, point) {
        row.push(ABSENT);
        list(space, row, point, indices)?;
        row.pop();
        return Ok(());
    }
    let n = parameter.distribution.count().unwrap_or(0);
    for ix in 0..n.min(u64::from(ABSENT)) as u32 {
        row.push(ix);
        point.insert(parameter.name.clone(), value(&parameter.distribution, ix));
        list(space, row, point, indices)?;
        row.pop();
    }
    point.remove(&parameter.name);
    Ok(())
}

/// The value with this index, in ascending order.
fn value(distribution: &Distribution, ix: u32) -> f64 {
    let ix = f64::from(ix);
    let value = match *distribution {
        Distribution::Float { low, step, .. } => low + ix * step.unwrap_or(0.0),
        Distribution::Int { low, step, .. } => low as f64 + ix * step as f64,
        Distribution::Categorical { .. } => ix,
    };
    distribution.nearest(value)
}

fn index(distribution: &Distribution, value: f64) -> Option<u32> {
    let ix = match *distribution {
        _ if !distribution.contains(value) => return None,
        Distribution::Float { low, step, .. } => step.map_or(0.0, |step| (value - low) / step),
        Distribution::Int { low, step, .. } => (value - low as f64) / step as f64,
        Distribution::Categorical { .. } => value,
    };
    Some(ix.round() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::sampler::testing::{
        MINIMIZE, check_point, countable_space, cube, finished, play,
    };
    use crate::tune::trial::TrialState;

    fn question<'a>(space: &'a Space, trials: &'a [Trial], fixed: &'a Point) -> Question<'a> {
        Question {
            space,
            directions: MINIMIZE,
            trials,
            number: trials.len() as u32,
            seed: 3,
            fixed,
        }
    }

    #[test]
    fn every_point_comes_once_and_then_it_is_over() {
        let space = countable_space();
        let (mut grid, mut trials) = (Grid::default(), Vec::new());
        for n in 0..18 {
            assert!(!grid.is_exhausted(&question(&space, &trials, &Point::new())));
            play(&mut grid, &space, 3, n + 1, &mut trials, |_| 0.0);
            let last = trials.last().unwrap();
            check_point(&space, &last.params);
            assert_eq!(last.system["grid_id"], n.to_string());
            assert!(trials[..n as usize].iter().all(|t| t.params != last.params));
        }
        assert!(grid.is_exhausted(&question(&space, &trials, &Point::new())));
        assert!(Grid::default().is_exhausted(&question(&space, &trials, &Point::new())));
        assert_eq!(
            trials[0].system["search_space"],
            r#"{"m":[0.25,0.5,0.75],"nesterov":[true,false],"opt":["sgd","momentum","adam"],"size":[2,4]}"#
        );
    }

    #[test]
    fn the_order_is_the_seeds_and_a_new_sampler_goes_on_with_it() {
        let space = countable_space();
        let study = |seed, mut trials: Vec<Trial>| {
            play(&mut Grid::default(), &space, seed, 18, &mut trials, |_| 0.0);
            trials
        };
        let whole = study(3, Vec::new());
        assert_ne!(whole, study(4, Vec::new()));
        assert_eq!(whole, study(3, whole[..9].to_vec()));
    }

    #[test]
    fn failed_running_and_queued_points_are_taken() {
        let space = countable_space();
        let mut trials = Vec::new();
        play(&mut Grid::default(), &space, 3, 18, &mut trials, |_| 0.0);
        let last = trials.pop().unwrap();
        for (trial, state) in trials.iter_mut().zip(TrialState::ALL.into_iter().cycle()) {
            trial.state = state;
        }
        let answer = Grid::default()
            .sample(&question(&space, &trials, &Point::new()))
            .unwrap();
        assert_eq!(answer.point, last.params);
    }

    #[test]
    fn fixed_values_narrow_the_grid_or_leave_it() {
        let space = countable_space();
        let fixed = Point::from([("opt".to_string(), 1.0), ("size".to_string(), 4.0)]);
        let mut trials = Vec::new();
        for number in 0..6 {
            let answer = Grid::default()
                .sample(&question(&space, &trials, &fixed))
                .unwrap();
            assert!(
                fixed
                    .iter()
                    .all(|(name, value)| answer.point[name] == *value)
            );
            assert!(trials.iter().all(|t: &Trial| t.params != answer.point));
            trials.push(finished(number, &space, answer.point, 0.0));
        }
        // All six are tried: one of them again.
        let again = Grid::default()
            .sample(&question(&space, &trials, &fixed))
            .unwrap();
        assert!(trials.iter().any(|t| t.params == again.point));
        let off_grid = Point::from([("size".to_string(), 3.0)]);
        let answer = Grid::default()
            .sample(&question(&space, &trials, &off_grid))
            .unwrap();
        assert_eq!(answer.point["size"], 3.0);
        assert!(answer.system.is_empty());
    }

    #[test]
    fn a_continuum_and_a_giant_are_refused() {
        let ask = |space: &Space| {
            let error = Grid::default()
                .sample(&question(space, &[], &Point::new()))
                .unwrap_err();
            assert!(matches!(error, Error::Usage(_)));
            error.to_string()
        };
        assert!(ask(&cube(1)).contains("x00=-1.0..1.0 is a continuum"));
        let wide = Distribution::int(1, 1 << 40, false, 1).unwrap();
        let wide = Space::new(vec![crate::tune::sampler::testing::parameter("n", wide)]).unwrap();
        assert!(ask(&wide).contains("more than 1000000 points"));
    }
}
