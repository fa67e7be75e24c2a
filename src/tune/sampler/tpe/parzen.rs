//! The density of a set of trials: a mixture of one product of kernels per trial and a prior.

use std::f64::consts::FRAC_1_SQRT_2;
use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::history::{Column, Set};
use super::normal;
use crate::rng::Stream;
use crate::tune::distribution::Distribution;

/// Kernels that are worked on at a time, so that the sums stay in the first cache.
const BLOCK: usize = 64;

/// A summand this far (in logarithms) below the greatest changes no digit of a sum of thousands.
const NEGLIGIBLE: f64 = -50.0;

/// A mixture over some columns. Component k < n stands on the k-th row, component n is the prior.
pub struct Parzen<'a> {
    columns: Vec<&'a Column>,
    rows: Vec<u32>,
    /// By component; their sum is 1.
    weights: Vec<f64>,
    /// By component: ln of the weight and of what its kernels are divided by.
    offsets: Vec<f64>,
    /// By column.
    terms: Vec<Term>,
}

/// What a column adds to the logarithm of each component.
enum Term {
    /// -((x - mu) / sigma)^2 / 2, with mu and sigma of the column.
    Normal,
    /// Components of one class add the same.
    Classes { class: Vec<u32>, kinds: Kinds },
}

enum Kinds {
    /// By class: mu and sigma of the kernel, whose mass in a value's cell counts.
    Cells(Vec<(f64, f64)>),
    /// Class k stands on choice k, the last one is the prior: ln of the share of its own choice, of
    /// each other choice, and of each choice in the prior.
    Choices { own: f64, other: f64, prior: f64 },
}

impl<'a> Parzen<'a> {
    /// The mixture over the rows of a set, whose kernels are fitted, with a weight for each.
    pub fn new(columns: Vec<&'a Column>, sets: &[Set], set: Set, weights: Vec<f64>) -> Parzen<'a> {
        let rows = (0..sets.len() as u32).filter(|&row| sets[row as usize] == set);
        let rows: Vec<u32> = rows.collect();
        let total = weights.iter().sum::<f64>() + 1.0;
        let weights: Vec<f64> = weights.iter().chain([&1.0]).map(|w| w / total).collect();
        let mut offsets: Vec<f64> = weights.iter().map(|&w| libm::log(w)).collect();
        let terms = columns
            .iter()
            .map(|column| Term::new(column, sets, set, &rows, &mut offsets))
            .collect();
        Parzen {
            columns,
            rows,
            weights,
            offsets,
            terms,
        }
    }

    /// ln of the density at points, which are given by column; as many values as points.
    pub fn log_density(&self, points: &[Vec<f64>]) -> Vec<f64> {
        let logs = self.log_components(points);
        let components = logs.chunks_exact(self.offsets.len());
        components.map(log_sum_exp).collect()
    }

    /// The weights of the components where some coordinates are known: each times its density there.
    /// `point` has one value per column.
    pub fn weights_given(&self, point: &[f64]) -> Vec<f64> {
        let points: Vec<Vec<f64>> = point.iter().map(|&x| vec![x]).collect();
        let logs = self.log_components(&points);
        let total = log_sum_exp(&logs);
        logs.iter().map(|log| libm::exp(log - total)).collect()
    }

    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// ln of weight times density, by point and component.
    fn log_components(&self, points: &[Vec<f64>]) -> Vec<f64> {
        let n = self.offsets.len();
        let n_points = points.first().map_or(1, Vec::len);
        let tables: Vec<Vec<Vec<f64>>> = (self.terms.iter().zip(&self.columns).zip(points))
            .map(|((term, column), points)| term.tables(column, points))
            .collect();
        let mut logs = vec![0.0; n_points * n];
        Arch::new().dispatch(Sums {
            of: self,
            points,
            tables: &tables,
            logs: &mut logs,
        });
        logs
    }

    /// Draws a point from the mixture with these weights; by column, where `known` has no value.
    pub fn draw(&self, weights: &[f64], known: &[Option<f64>], stream: &mut Stream) -> Vec<f64> {
        let component = pick(weights.iter().copied(), stream.unit());
        let row = self.rows.get(component).map(|&row| row as usize);
        let columns = self.columns.iter().zip(known);
        columns
            .map(|(column, known)| {
                let unit = stream.unit();
                known.unwrap_or_else(|| self.draw_value(column, row, unit))
            })
            .collect()
    }

    /// The value of a column at the share `unit` of the kernel on a row, or of the prior.
    fn draw_value(&self, column: &Column, row: Option<usize>, unit: f64) -> f64 {
        if let Distribution::Categorical { choices } = &column.distribution {
            let (own, other) = shares(self.rows.len() + 1, choices.len());
            let share = |choice| match row {
                None => 1.0 / choices.len() as f64,
                Some(row) if column.values[row] == choice as f64 => own,
                Some(_) => other,
            };
            return pick((0..choices.len()).map(share), unit) as f64;
        }
        let (mu, sigma, cut) = match row {
            Some(row) => (column.values[row], column.sigmas[row], &column.cuts[row]),
            None => (column.prior.mu, column.prior.sigma, &column.prior.cut),
        };
        let value = (mu + sigma * cut.quantile(unit)).clamp(column.low, column.high);
        if column.is_in_cells() {
            column.transform(column.untransform(value))
        } else {
            value
        }
    }
}

impl Term {
    fn new(column: &Column, sets: &[Set], set: Set, rows: &[u32], offsets: &mut [f64]) -> Term {
        if let Distribution::Categorical { choices } = &column.distribution {
            let (own, other) = shares(rows.len() + 1, choices.len());
            let of_rows = rows.iter().map(|&row| column.values[row as usize] as u32);
            return Term::Classes {
                class: of_rows.chain([choices.len() as u32]).collect(),
                kinds: Kinds::Choices {
                    own: libm::log(own),
                    other: libm::log(other),
                    prior: -libm::log(choices.len() as f64),
                },
            };
        }
        let prior = &column.prior;
        let divisors = rows.iter().map(|&row| column.log_divisors[row as usize]);
        for (offset, divisor) in offsets.iter_mut().zip(divisors.chain([prior.log_divisor])) {
            *offset -= divisor;
        }
        if column.is_in_cells() {
            cells(column, sets, set, rows)
        } else {
            Term::Normal
        }
    }

    /// By point: what each class adds. Empty for [`Term::Normal`].
    fn tables(&self, column: &Column, points: &[f64]) -> Vec<Vec<f64>> {
        let Term::Classes { kinds, .. } = self else {
            return Vec::new();
        };
        let mut tables: Vec<Vec<f64>> = Vec::with_capacity(points.len());
        for (ix, &x) in points.iter().enumerate() {
            let same = points[..ix].iter().position(|&other| other == x);
            let table = match same {
                Some(same) => tables[same].clone(),
                None => kinds.table(column, x),
            };
            tables.push(table);
        }
        tables
    }
}

impl Kinds {
    fn table(&self, column: &Column, x: f64) -> Vec<f64> {
        match (self, &column.distribution) {
            (Kinds::Choices { own, other, prior }, Distribution::Categorical { choices }) => {
                let of = |choice| if choice as f64 == x { *own } else { *other };
                (0..choices.len()).map(of).chain([*prior]).collect()
            }
            (Kinds::Choices { .. }, _) => Vec::new(),
            (Kinds::Cells(kernels), _) => {
                let (left, right) = column.cell(column.untransform(x));
                let of = |&(mu, sigma): &(f64, f64)| {
                    normal::log_mass((left - mu) / sigma, (right - mu) / sigma)
                };
                kernels.iter().map(of).collect()
            }
        }
    }
}

/// Classes of equal kernels: where values repeat, they are few.
fn cells(column: &Column, sets: &[Set], set: Set, rows: &[u32]) -> Term {
    let mut of_row = vec![0; sets.len()];
    let mut kernels: Vec<(f64, f64)> = Vec::new();
    for (mu, row) in column.sorted(sets, set) {
        let kernel = (mu, column.sigmas[row as usize]);
        // Equal ones are near: of one value there are at most three widths.
        let mut near = kernels.len().saturating_sub(3)..kernels.len();
        let class = near.find(|&class| kernels[class] == kernel);
        of_row[row as usize] = class.unwrap_or_else(|| {
            kernels.push(kernel);
            kernels.len() - 1
        }) as u32;
    }
    kernels.push((column.prior.mu, column.prior.sigma));
    let of_rows = rows.iter().map(|&row| of_row[row as usize]);
    Term::Classes {
        class: of_rows.chain([kernels.len() as u32 - 1]).collect(),
        kinds: Kinds::Cells(kernels),
    }
}

/// Of a kernel on one choice: the share of this choice and of each other one, the prior being spread
/// over the components.
fn shares(n_components: usize, n_choices: usize) -> (f64, f64) {
    let spread = 1.0 / n_components as f64;
    let total = 1.0 + spread * n_choices as f64;
    ((1.0 + spread) / total, spread / total)
}

/// The sums over the columns, for every point and component. A type of its own, so that they are
/// compiled for each width of vectors; no sum depends on the width.
struct Sums<'a> {
    of: &'a Parzen<'a>,
    points: &'a [Vec<f64>],
    /// By column and point.
    tables: &'a [Vec<Vec<f64>>],
    /// By point and component.
    logs: &'a mut [f64],
}

impl WithSimd for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        let n = self.of.offsets.len();
        for start in (0..n).step_by(BLOCK) {
            self.add_block(start..(start + BLOCK).min(n));
        }
    }
}

impl Sums<'_> {
    #[inline(always)]
    fn add_block(&mut self, block: Range<usize>) {
        let n = self.of.offsets.len();
        for logs in self.logs.chunks_exact_mut(n) {
            logs[block.clone()].copy_from_slice(&self.of.offsets[block.clone()]);
        }
        for (ix, term) in self.of.terms.iter().enumerate() {
            match term {
                Term::Normal => self.add_normal(ix, block.clone()),
                Term::Classes { class, .. } => self.add_classes(ix, block.clone(), class),
            }
        }
    }

    #[inline(always)]
    fn add_normal(&mut self, ix: usize, block: Range<usize>) {
        let column = self.of.columns[ix];
        let (mut mu, mut scale) = ([0.0; BLOCK], [0.0; BLOCK]);
        for (k, component) in block.clone().enumerate() {
            let (at, sigma) = match self.of.rows.get(component) {
                Some(&row) => (column.values[row as usize], column.sigmas[row as usize]),
                None => (column.prior.mu, column.prior.sigma),
            };
            mu[k] = at;
            scale[k] = FRAC_1_SQRT_2 / sigma;
        }
        let points = self.points[ix].iter();
        for (&x, logs) in points.zip(self.logs.chunks_exact_mut(self.of.offsets.len())) {
            let kernels = mu.iter().zip(&scale);
            for (sum, (mu, scale)) in logs[block.clone()].iter_mut().zip(kernels) {
                let z = (x - mu) * scale;
                *sum -= z * z;
            }
        }
    }

    #[inline(always)]
    fn add_classes(&mut self, ix: usize, block: Range<usize>, class: &[u32]) {
        let tables = self.tables[ix].iter();
        for (table, logs) in tables.zip(self.logs.chunks_exact_mut(self.of.offsets.len())) {
            for (sum, &class) in logs[block.clone()].iter_mut().zip(&class[block.clone()]) {
                *sum += table[class as usize];
            }
        }
    }
}

fn log_sum_exp(logs: &[f64]) -> f64 {
    let greatest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if greatest == f64::NEG_INFINITY {
        return greatest;
    }
    let terms = logs.iter().map(|log| log - greatest);
    let sum: f64 = terms.filter(|&term| term > NEGLIGIBLE).map(libm::exp).sum();
    greatest + libm::log(sum)
}

/// The index at which the cumulative sum of shares, which come to 1, passes `unit`.
fn pick(shares: impl ExactSizeIterator<Item = f64>, unit: f64) -> usize {
    let last = shares.len() - 1;
    let mut sum = 0.0;
    let passes = |share| {
        sum += share;
        unit < sum
    };
    shares.map(passes).position(|passed| passed).unwrap_or(last)
}
