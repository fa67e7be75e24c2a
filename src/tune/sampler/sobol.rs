//! A scrambled Sobol sequence: points that leave no gap.

mod joe_kuo;

use joe_kuo::DIRECTIONS;

use super::unit::{complete, from_unit};
use super::{Answer, Question, Sampler};
use crate::Result;
use crate::cpu::philox::philox;
use crate::rng::{Purpose, Stream};

/// Bits of a coordinate.
const BITS: u32 = 32;

/// Dimensions of the sequence.
pub const MAX_DIMENSIONS: usize = DIRECTIONS.len() + 1;

/// Trial n gets point n of a Sobol sequence with Owen's nested uniform scrambling, keyed by the seed
/// (A. B. Owen 1995, "Randomly permuted (t,m,s)-nets and (t,s)-sequences"). Every parameter with
/// more than one value has a dimension, active or not; those past the last are drawn at random.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sobol;

impl Sampler for Sobol {
    fn name(&self) -> &'static str {
        "sobol"
    }

    fn sample(&mut self, question: &Question) -> Result<Answer> {
        let mut stream = Stream::new(question.seed, Purpose::Sampler, question.number);
        let mut dimension = 0;
        let point = complete(question.space, question.fixed, |_, parameter| {
            if parameter.distribution.is_single() {
                return from_unit(&parameter.distribution, 0.0);
            }
            let unit = if dimension < MAX_DIMENSIONS {
                unit(question.number, dimension, question.seed)
            } else {
                stream.unit()
            };
            dimension += 1;
            from_unit(&parameter.distribution, unit)
        });
        Ok(Answer {
            point,
            ..Answer::default()
        })
    }

    fn is_model_based(&self) -> bool {
        false
    }
}

/// The scrambled coordinate, the middle of its share of 2^-32.
fn unit(number: u32, dimension: usize, seed: u64) -> f64 {
    let bits = scrambled(sobol(number, dimension), dimension, seed);
    (f64::from(bits) + 0.5) / 4_294_967_296.0
}

/// A coordinate of the plain sequence, its first binary digit in the highest bit; the points are in
/// the order of the Gray code (Antonov and Saleev 1979).
fn sobol(number: u32, dimension: usize) -> u32 {
    let gray = number ^ (number >> 1);
    let digits = (0..BITS).zip(direction_numbers(dimension));
    digits
        .filter(|(digit, _)| gray >> digit & 1 == 1)
        .fold(0, |x, (_, v)| x ^ v)
}

/// v_1, v_2, ..., as fractions of 2^32. The first dimension is van der Corput's sequence.
fn direction_numbers(dimension: usize) -> [u32; BITS as usize] {
    let mut v = [0; BITS as usize];
    if dimension == 0 {
        for (k, v) in v.iter_mut().enumerate() {
            *v = 1 << (BITS as usize - 1 - k);
        }
        return v;
    }
    let (polynomial, initial) = DIRECTIONS[dimension - 1];
    let degree = initial.len();
    for k in 0..BITS as usize {
        v[k] = match initial.get(k) {
            Some(m) => m << (BITS as usize - 1 - k),
            None => (1..=degree)
                .filter(|i| polynomial >> (degree - i) & 1 == 1)
                .fold(v[k - degree] >> degree, |x, i| x ^ v[k - i]),
        };
    }
    v
}

/// Owen's scrambling: each binary digit is flipped or not by a random bit that belongs to the digits
/// before it.
fn scrambled(x: u32, dimension: usize, seed: u64) -> u32 {
    let key = [seed as u32, (seed >> 32) as u32];
    (0..BITS).fold(0, |scrambled, digit| {
        let before = if digit == 0 { 0 } else { x >> (BITS - digit) };
        let node = dimension as u32 * BITS + digit;
        // The last 1 keeps it apart from the streams of `rng`.
        let random = philox([before, node, Purpose::Sampler as u32, 1], key)[0];
        let here = 1 << (BITS - 1 - digit);
        scrambled | ((x ^ (random & 1) << (BITS - 1 - digit)) & here)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::sampler::testing::{
        MINIMIZE, check_conditions, check_fixed, check_reproducible, check_respects, cube,
    };
    use crate::tune::trial::Point;

    #[test]
    fn what_is_common_to_all_samplers() {
        check_respects(&mut Sobol, 10_000);
        check_conditions(&mut Sobol, 500);
        check_fixed(&mut Sobol, 500);
        check_reproducible(|| Box::new(Sobol), 60);
    }

    /// Known answers of scipy.stats.qmc.Sobol(64, scramble=False, bits=32): points 1, 2, 3, 1000
    /// at some dimensions, times 2^32.
    #[test]
    fn known_answers() {
        let known = [
            (
                1,
                [2147483648, 2147483648, 2147483648, 2147483648, 2147483648],
            ),
            (
                2,
                [3221225472, 1073741824, 1073741824, 1073741824, 3221225472],
            ),
            (
                3,
                [1073741824, 3221225472, 3221225472, 3221225472, 1073741824],
            ),
            (
                1000,
                [943718400, 415236096, 2227175424, 2243952640, 1916796928],
            ),
        ];
        for (number, expected) in known {
            let found = [0, 1, 2, 20, 63].map(|dimension| sobol(number, dimension));
            assert_eq!(found, expected, "point {number}");
        }
    }

    /// In every dimension 2^10 points have one in each share of 2^-10, and the first two dimensions
    /// one in each rectangle of that area.
    #[test]
    fn scrambled_points_are_a_net() {
        let n = 1024;
        for dimension in 0..MAX_DIMENSIONS {
            let mut cells: Vec<u32> = (0..n)
                .map(|number| scrambled(sobol(number, dimension), dimension, 5) >> 22)
                .collect();
            cells.sort_unstable();
            assert_eq!(cells, (0..n).collect::<Vec<u32>>(), "dimension {dimension}");
        }
        for columns in 0..=10 {
            let cell = |number| {
                let of = |dimension| scrambled(sobol(number, dimension), dimension, 5);
                let (x, y) = (u64::from(of(0)), u64::from(of(1)));
                (x >> (32 - columns)) << (10 - columns) | y >> (22 + columns)
            };
            let mut cells: Vec<u64> = (0..n).map(cell).collect();
            cells.sort_unstable();
            assert_eq!(
                cells,
                (0..u64::from(n)).collect::<Vec<u64>>(),
                "2^{columns} columns"
            );
        }
    }

    #[test]
    fn scrambling_is_uniform_and_keeps_neighbours_independent() {
        let first = |seed| unit(0, 3, seed);
        let mean = (0..4000).map(first).sum::<f64>() / 4000.0;
        // A standard deviation is 0.0046.
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        assert_ne!(unit(0, 3, 1), unit(0, 4, 1));
        // Not one mask for all points: the digits before decide.
        let mask = |number| {
            let x = sobol(number, 3);
            (scrambled(x, 3, 5) ^ x) >> 22
        };
        let masks: std::collections::BTreeSet<u32> = (0..1024).map(mask).collect();
        assert!(masks.len() > 30, "{}", masks.len());
        assert!((0..1024).all(|number| mask(number) >> 9 == mask(0) >> 9));
    }

    #[test]
    fn dimensions_past_the_last_are_random() {
        let space = cube(MAX_DIMENSIONS + 2);
        let ask = |number| {
            let answer = Sobol.sample(&Question {
                space: &space,
                directions: MINIMIZE,
                trials: &[],
                number,
                seed: 0,
                fixed: &Point::new(),
            });
            answer.unwrap().point.into_values().collect::<Vec<f64>>()
        };
        let (a, b) = (ask(0), ask(1));
        assert!(a.iter().zip(&b).all(|(a, b)| a != b));
        assert!(a.iter().all(|x| (-1.0..=1.0).contains(x)));
    }
}
