//! The trials as columns of numbers, one per parameter, kept from one question to the next.

use std::f64::consts::PI;

use super::normal;
use crate::tune::distribution::Distribution;
use crate::tune::sampler::unit;
use crate::tune::space::Space;
use crate::tune::trial::Trial;

/// Where a trial stands in the estimate for some parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// It lacks one of the parameters.
    Outside,
    /// Among the best.
    Below,
    Above,
}

/// One row per trial that takes part, by number.
#[derive(Debug, Default)]
pub struct History {
    space: Space,
    /// Id and number of parameters of each row's trial; rows are kept while these are the same.
    keys: Vec<(i64, usize)>,
    pub columns: Vec<Column>,
}

/// A parameter's values and the kernels that stand on them. What is read in one go lies in one array.
#[derive(Debug)]
pub struct Column {
    pub distribution: Distribution,
    /// Bounds of the values: half a step past the last ones, in logarithms on a log scale.
    pub low: f64,
    pub high: f64,
    /// By row, in logarithms on a log scale; no number where the trial lacks the parameter or has a
    /// value that is none of the distribution's.
    pub values: Vec<f64>,
    /// The rows that have a value, by value and row, with it.
    order: Vec<(f64, u32)>,
    /// Of the kernels, by row, as [`Self::fit`] left them.
    pub sigmas: Vec<f64>,
    pub log_divisors: Vec<f64>,
    pub cuts: Vec<Cut>,
    pub prior: Kernel,
}

/// A normal distribution, cut off at its column's bounds.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    pub mu: f64,
    pub sigma: f64,
    /// ln of what exp(-((x - mu) / sigma)^2 / 2) is divided by for a density; in a column of cells, of what
    /// the mass of a cell is divided by.
    pub log_divisor: f64,
    pub cut: Cut,
}

/// Of a normal distribution, the mass below the lower bound and that between the bounds.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    pub below: f64,
    pub between: f64,
}

impl History {
    /// Brings the rows up to date with the trials that take part.
    pub fn follow(&mut self, space: &Space, trials: &[&Trial]) {
        if &self.space != space {
            let columns = space.parameters().iter();
            *self = History {
                space: space.clone(),
                keys: Vec::new(),
                columns: columns.map(|p| Column::new(&p.distribution)).collect(),
            };
        }
        let key = |trial: &Trial| (trial.id, trial.params.len());
        let pairs = self.keys.iter().zip(trials);
        let kept = pairs.take_while(|(old, trial)| **old == key(trial)).count();
        self.keys.truncate(kept);
        for column in &mut self.columns {
            column.truncate(kept);
        }
        for trial in &trials[kept..] {
            self.keys.push(key(trial));
            for (column, parameter) in self.columns.iter_mut().zip(space.parameters()) {
                column.push(trial.params.get(&parameter.name).copied());
            }
        }
    }
}

impl Column {
    fn new(distribution: &Distribution) -> Column {
        let (low, high) = unit::bounds(distribution);
        let in_cells = half_step(distribution) > 0.0;
        Column {
            distribution: distribution.clone(),
            low,
            high,
            values: Vec::new(),
            order: Vec::new(),
            sigmas: Vec::new(),
            log_divisors: Vec::new(),
            cuts: Vec::new(),
            prior: Kernel::new(0.5 * (low + high), high - low, (low, high), in_cells),
        }
    }

    fn truncate(&mut self, n_rows: usize) {
        if n_rows < self.values.len() {
            self.values.truncate(n_rows);
            self.order.retain(|&(_, row)| (row as usize) < n_rows);
            self.sigmas.truncate(n_rows);
            self.log_divisors.truncate(n_rows);
            self.cuts.truncate(n_rows);
        }
    }

    fn push(&mut self, internal: Option<f64>) {
        let value = internal
            .filter(|&internal| self.distribution.contains(internal))
            .map_or(f64::NAN, |internal| self.transform(internal));
        let row = self.values.len() as u32;
        self.values.push(value);
        // A width that no kernel has: the first fit puts in the rest.
        self.sigmas.push(0.0);
        self.log_divisors.push(0.0);
        self.cuts.push(self.prior.cut);
        if !value.is_nan() {
            let at = self.order.partition_point(|&(other, _)| other <= value);
            self.order.insert(at, (value, row));
        }
    }

    pub fn is_categorical(&self) -> bool {
        matches!(self.distribution, Distribution::Categorical { .. })
    }

    /// Whether values have cells: whole numbers and steps.
    pub fn is_in_cells(&self) -> bool {
        half_step(&self.distribution) > 0.0
    }

    fn is_log(&self) -> bool {
        matches!(
            self.distribution,
            Distribution::Float { log: true, .. } | Distribution::Int { log: true, .. }
        )
    }

    /// An internal value as the columns hold it.
    pub fn transform(&self, internal: f64) -> f64 {
        if self.is_log() {
            libm::log(internal)
        } else {
            internal
        }
    }

    /// The internal value nearest to a number as the columns hold it.
    pub fn untransform(&self, value: f64) -> f64 {
        let value = if self.is_log() {
            libm::exp(value)
        } else {
            value
        };
        self.distribution.nearest(value)
    }

    /// The cell of an internal value.
    pub fn cell(&self, internal: f64) -> (f64, f64) {
        let half = half_step(&self.distribution);
        (
            self.transform(internal - half),
            self.transform(internal + half),
        )
    }

    /// The rows of a set by value, with it.
    pub fn sorted(&self, sets: &[Set], set: Set) -> Vec<(f64, u32)> {
        let mut sorted = Vec::with_capacity(self.order.len());
        let rows = self.order.iter().copied();
        sorted.extend(rows.filter(|&(_, row)| sets[row as usize] == set));
        sorted
    }

    /// Gives each row of both sets its kernel, as Optuna does: as wide as the wider gap to its
    /// neighbours in its set, at the ends the one gap to a neighbour; not wider than the range, and
    /// not narrower than 1 / min(100, n + 2) of it ("magic clip"), n being the size of the set.
    pub fn fit(&mut self, sets: &[Set]) {
        let size = |set| sets.iter().filter(|other| **other == set).count();
        let mut walks = [Set::Below, Set::Above].map(|set| Walk::new(size(set), self));
        for ix in 0..self.order.len() {
            let (value, row) = self.order[ix];
            let walk = match sets[row as usize] {
                Set::Outside => continue,
                Set::Below => &mut walks[0],
                Set::Above => &mut walks[1],
            };
            if let Some((row, sigma)) = walk.pass(value, row) {
                self.set_width(row, sigma);
            }
        }
        for walk in walks {
            if let Some((row, sigma)) = walk.end() {
                self.set_width(row, sigma);
            }
        }
    }

    fn set_width(&mut self, row: u32, sigma: f64) {
        // Most gaps stay as they are from one trial to the next.
        if self.sigmas[row as usize] != sigma {
            self.set_kernel(row as usize, sigma);
        }
    }

    fn set_kernel(&mut self, row: usize, sigma: f64) {
        let bounds = (self.low, self.high);
        let kernel = Kernel::new(self.values[row], sigma, bounds, self.is_in_cells());
        self.sigmas[row] = sigma;
        self.log_divisors[row] = kernel.log_divisor;
        self.cuts[row] = kernel.cut;
    }
}

/// A walk along a set's values, in ascending order, that knows the gaps on either side of the last one.
struct Walk {
    last: Option<(f64, u32)>,
    gap_before: f64,
    n: usize,
    low: f64,
    high: f64,
    narrowest: f64,
}

impl Walk {
    fn new(n: usize, column: &Column) -> Walk {
        let range = column.high - column.low;
        Walk {
            last: None,
            gap_before: 0.0,
            n,
            low: column.low,
            high: column.high,
            narrowest: range / 100_f64.min(n as f64 + 2.0),
        }
    }

    /// Goes on to a value; the row before it and the width of that one's kernel.
    fn pass(&mut self, value: f64, row: u32) -> Option<(u32, f64)> {
        let (last, last_row) = self.last.replace((value, row))?;
        let gap_before = std::mem::replace(&mut self.gap_before, value - last);
        let sigma = self.gap_before.max(gap_before);
        Some((last_row, sigma.clamp(self.narrowest, self.high - self.low)))
    }

    /// The last row and its width.
    fn end(self) -> Option<(u32, f64)> {
        let (value, row) = self.last?;
        let sigma = match self.n {
            1 => (value - self.low).max(self.high - value),
            _ => self.gap_before,
        };
        Some((row, sigma.clamp(self.narrowest, self.high - self.low)))
    }
}

/// Half the width of a value's cell; 0 for a continuum.
fn half_step(distribution: &Distribution) -> f64 {
    match *distribution {
        Distribution::Float { step, .. } => step.unwrap_or(0.0) / 2.0,
        Distribution::Int { step, .. } => step as f64 / 2.0,
        Distribution::Categorical { .. } => 0.5,
    }
}

impl Kernel {
    fn new(mu: f64, sigma: f64, (low, high): (f64, f64), in_cells: bool) -> Kernel {
        let below = normal::cdf((low - mu) / sigma);
        // mu lies within the bounds, which are not closer than sigma: no cancellation.
        let between = normal::cdf((high - mu) / sigma) - below;
        let divisor = if in_cells {
            between
        } else {
            between * sigma * libm::sqrt(2.0 * PI)
        };
        Kernel {
            mu,
            sigma,
            log_divisor: libm::log(divisor),
            cut: Cut { below, between },
        }
    }
}

impl Cut {
    /// How many sigmas from mu the value is below which a share `q` of the mass lies.
    pub fn quantile(&self, q: f64) -> f64 {
        normal::quantile(self.below + q * self.between)
    }
}
