//! The space as the Gaussian process sees it: one coordinate per parameter, in the unit interval where
//! it is a range and an index where it is a list of choices.

use crate::tune::distribution::Distribution;
use crate::tune::sampler::unit;
use crate::tune::space::Space;
use crate::tune::trial::Point;

/// The coordinate of a parameter that does not exist at a point: the middle of a range, and no choice.
const ABSENT: f64 = 0.5;

/// How a coordinate may move.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Continuous,
    /// A number of values in order.
    Grid(u64),
    /// A number of choices.
    Choice(u64),
    /// One value, or decided already.
    Fixed,
}

/// A parameter.
#[derive(Clone, Debug)]
struct Dimension {
    name: String,
    distribution: Distribution,
    kind: Kind,
    /// It exists where that dimension has one of these choices.
    when: Option<(usize, Vec<f64>)>,
}

/// All parameters of a space, in its order.
#[derive(Clone, Debug)]
pub struct Domain {
    dimensions: Vec<Dimension>,
    /// Coordinates of what is fixed; others are not used.
    fixed: Vec<f64>,
}

impl Domain {
    /// The domain of a space, where the values of `fixed` stay as they are.
    pub fn new(space: &Space, fixed: &Point) -> Domain {
        let mut domain = Domain {
            dimensions: Vec::new(),
            fixed: Vec::new(),
        };
        for parameter in space.parameters() {
            let when = parameter.when.as_ref().and_then(|when| {
                let ix = space
                    .parameters()
                    .iter()
                    .position(|p| p.name == when.parameter)?;
                let parent = &space.parameters()[ix].distribution;
                let any_of = when
                    .any_of
                    .iter()
                    .filter_map(|choice| parent.internal(choice));
                Some((ix, any_of.collect()))
            });
            let dimension = Dimension {
                name: parameter.name.clone(),
                distribution: parameter.distribution.clone(),
                kind: kind_of(&parameter.distribution),
                when,
            };
            let value = fixed.get(&parameter.name);
            let single = dimension.kind == Kind::Fixed;
            domain.fixed.push(match value {
                Some(&value) => dimension.coordinate(value),
                None if single => dimension.coordinate(dimension.distribution.nearest(0.0)),
                None => ABSENT,
            });
            let kind = if value.is_some() {
                Kind::Fixed
            } else {
                dimension.kind
            };
            domain.dimensions.push(Dimension { kind, ..dimension });
        }
        domain
    }

    /// Number of coordinates.
    pub fn len(&self) -> usize {
        self.dimensions.len()
    }

    /// How a coordinate may move.
    pub fn kind(&self, d: usize) -> Kind {
        self.dimensions[d].kind
    }

    /// Which coordinates are indices of choices.
    pub fn is_choice(&self) -> Vec<bool> {
        let dimensions = self.dimensions.iter();
        let is_list = |d: &Dimension| matches!(d.distribution, Distribution::Categorical { .. });
        dimensions.map(is_list).collect()
    }

    /// Whether a parameter exists at a point.
    pub fn is_active(&self, d: usize, x: &[f64]) -> bool {
        match &self.dimensions[d].when {
            None => true,
            Some((parent, any_of)) => any_of.contains(&x[*parent]),
        }
    }

    /// Where a trial was; `None` where it lacks a parameter or has what the space does not.
    pub fn coordinates(&self, point: &Point) -> Option<Vec<f64>> {
        let mut x = Vec::with_capacity(self.len());
        for (d, dimension) in self.dimensions.iter().enumerate() {
            x.push(match point.get(&dimension.name) {
                _ if !self.is_active(d, &x) => ABSENT,
                Some(&value) if dimension.distribution.contains(value) => {
                    dimension.coordinate(value)
                }
                _ => return None,
            });
        }
        Some(x)
    }

    /// The values at coordinates.
    pub fn point(&self, x: &[f64]) -> Point {
        let active = (0..self.len()).filter(|&d| self.is_active(d, x));
        let named = active.map(|d| {
            let dimension = &self.dimensions[d];
            (dimension.name.clone(), dimension.value(x[d]))
        });
        named.collect()
    }

    /// The point at numbers in [0, 1), one per coordinate.
    pub fn spread(&self, units: &[f64]) -> Vec<f64> {
        let spread = self.dimensions.iter().zip(units);
        let mut x: Vec<f64> = spread
            .map(|(dimension, unit)| dimension.spread(*unit))
            .collect();
        self.settle(&mut x);
        x
    }

    /// Puts what is fixed and what does not exist where it belongs.
    pub fn settle(&self, x: &mut [f64]) {
        for d in 0..self.len() {
            if self.kind(d) == Kind::Fixed {
                x[d] = self.fixed[d];
            }
            if !self.is_active(d, x) {
                x[d] = ABSENT;
            } else if let Kind::Choice(n) = self.kind(d)
                && x[d].fract() != 0.0
            {
                // A list that has come into being begins in its middle.
                x[d] = (n / 2) as f64;
            }
        }
    }

    /// The coordinate of the k-th value of a grid or list.
    pub fn coordinate_of(&self, d: usize, k: u64) -> f64 {
        let dimension = &self.dimensions[d];
        match dimension.distribution {
            Distribution::Float {
                low,
                step: Some(step),
                ..
            } => dimension.coordinate(low + k as f64 * step),
            Distribution::Int { low, step, .. } => {
                dimension.coordinate(low as f64 + (k as i64 * step) as f64)
            }
            _ => k as f64,
        }
    }

    /// Which value of a grid a coordinate is.
    pub fn index_of(&self, d: usize, coordinate: f64) -> u64 {
        let dimension = &self.dimensions[d];
        let value = dimension.value(coordinate);
        match dimension.distribution {
            Distribution::Float {
                low,
                step: Some(step),
                ..
            } => ((value - low) / step).round() as u64,
            Distribution::Int { low, step, .. } => ((value - low as f64) / step as f64) as u64,
            _ => value as u64,
        }
    }
}

fn kind_of(distribution: &Distribution) -> Kind {
    match (distribution, distribution.count()) {
        (_, Some(1)) => Kind::Fixed,
        (Distribution::Categorical { .. }, Some(n)) => Kind::Choice(n),
        (_, Some(n)) => Kind::Grid(n),
        (_, None) => Kind::Continuous,
    }
}

impl Dimension {
    fn coordinate(&self, value: f64) -> f64 {
        match self.distribution {
            Distribution::Categorical { .. } => value,
            _ => unit::to_unit(&self.distribution, value),
        }
    }

    fn value(&self, coordinate: f64) -> f64 {
        match self.distribution {
            Distribution::Categorical { .. } => coordinate,
            _ => unit::from_unit(&self.distribution, coordinate),
        }
    }

    fn spread(&self, unit: f64) -> f64 {
        match self.kind {
            Kind::Continuous => unit,
            _ => self.coordinate(unit::from_unit(&self.distribution, unit)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};
    use crate::tune::sampler::testing::{check_point, mixed_space};

    #[test]
    fn points_lead_to_coordinates_and_back() {
        let space = mixed_space();
        let domain = Domain::new(&space, &Point::new());
        let mut stream = Stream::new(1, Purpose::Init, 0);
        for _ in 0..1000 {
            let units: Vec<f64> = (0..domain.len()).map(|_| stream.unit()).collect();
            let x = domain.spread(&units);
            let point = domain.point(&x);
            check_point(&space, &point);
            let again = domain.coordinates(&point).unwrap();
            for (a, b) in x.iter().zip(&again) {
                assert!((a - b).abs() < 1e-9, "{x:?} {again:?}");
            }
        }
    }

    #[test]
    fn grids_are_numbered() {
        let domain = Domain::new(&mixed_space(), &Point::new());
        let mut grids = 0;
        for d in 0..domain.len() {
            if let Kind::Grid(n) = domain.kind(d) {
                grids += 1;
                for k in 0..n {
                    assert_eq!(domain.index_of(d, domain.coordinate_of(d, k)), k);
                }
            }
        }
        assert_eq!(grids, 4);
    }

    #[test]
    fn what_is_fixed_stays_and_what_does_not_fit_is_left_out() {
        let fixed = Point::from([("lr".to_string(), 0.125)]);
        let domain = Domain::new(&mixed_space(), &fixed);
        let x = domain.spread(&vec![0.3; domain.len()]);
        let mut point = domain.point(&x);
        assert!((point["lr"] - 0.125).abs() < 1e-12);
        point.insert("width".to_string(), 1e6);
        assert_eq!(domain.coordinates(&point), None);
    }
}
