//! The comparator: an output against the oracle's, element by element.

use super::bounded::FLOOR;

/// What one output must hold.
#[derive(Clone, Debug)]
pub enum Expected {
    /// These very bits: counts, and kernels that round nothing.
    Words(Vec<u32>),
    /// Within `bounds` of `values`; a bound of zero is exact.
    Floats { values: Vec<f64>, bounds: Vec<f64> },
}

/// The element that comes closest to its bound, or passes it by most.
#[derive(Clone, Debug, PartialEq)]
pub struct Worst {
    /// Error as a fraction of the bound; infinite where the bound is zero or the element is no
    /// number.
    pub ratio: f64,
    pub output: String,
    pub index: usize,
    pub got: f64,
    pub want: f64,
    pub bound: f64,
}

impl Expected {
    /// Compares the words of an output named `label`. `None` where it is empty.
    pub fn compare(&self, label: &str, got: &[u32]) -> Option<Worst> {
        let mut worst: Option<Worst> = None;
        let mut note = |ratio: f64, index: usize, got: f64, want: f64, bound: f64| {
            // The first of equals is kept: a failure names the first wrong element.
            if worst.as_ref().is_none_or(|w| ratio > w.ratio) {
                worst = Some(Worst {
                    ratio,
                    output: label.to_string(),
                    index,
                    got,
                    want,
                    bound,
                });
            }
        };
        let len = match self {
            Expected::Words(words) => words.len(),
            Expected::Floats { values, .. } => values.len(),
        };
        if got.len() != len {
            note(f64::INFINITY, got.len().min(len), f64::NAN, f64::NAN, 0.0);
            return worst;
        }
        match self {
            Expected::Words(words) => {
                for (index, (&got, &want)) in got.iter().zip(words).enumerate() {
                    let ratio = if got == want { 0.0 } else { f64::INFINITY };
                    note(ratio, index, f64::from(got), f64::from(want), 0.0);
                }
            }
            Expected::Floats { values, bounds } => {
                let wanted = values.iter().zip(bounds);
                for (index, (&bits, (&want, &bound))) in got.iter().zip(wanted).enumerate() {
                    let got = f64::from(f32::from_bits(bits));
                    note(ratio(bits, want, bound), index, got, want, bound);
                }
            }
        }
        worst
    }
}

fn ratio(bits: u32, want: f64, bound: f64) -> f64 {
    // Finite by bits, on all three sides: a NaN or an infinity is never within a bound.
    let finite = bits & 0x7F80_0000 != 0x7F80_0000 && want.is_finite() && bound.is_finite();
    if !finite {
        return f64::INFINITY;
    }
    let error = (f64::from(f32::from_bits(bits)) - want).abs();
    if error == 0.0 {
        0.0
    } else if bound == 0.0 {
        f64::INFINITY
    } else {
        error / (bound + FLOOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuses(expected: &Expected, got: &[f32]) -> bool {
        let words: Vec<u32> = got.iter().map(|x| x.to_bits()).collect();
        expected.compare("y", &words).is_none_or(|w| w.ratio > 1.0)
    }

    #[test]
    fn a_bound_is_held_to() {
        let expected = Expected::Floats {
            values: vec![1.0, 0.0],
            bounds: vec![1e-6, 0.0],
        };
        assert!(!refuses(&expected, &[1.0, 0.0]));
        assert!(!refuses(&expected, &[1.000_000_6, 0.0]));
        assert!(!refuses(&expected, &[1.0, -0.0]));
        assert!(refuses(&expected, &[1.000_002, 0.0]));
        assert!(refuses(&expected, &[1.0, 1e-40]));
        assert!(refuses(&expected, &[f32::NAN, 0.0]));
        assert!(refuses(&expected, &[1.0, f32::INFINITY]));
        assert!(refuses(&expected, &[1.0]));
    }

    #[test]
    fn an_oracle_without_a_bound_accepts_nothing() {
        for (value, bound) in [(1.0, f64::INFINITY), (1.0, f64::NAN), (f64::NAN, 1.0)] {
            let expected = Expected::Floats {
                values: vec![value],
                bounds: vec![bound],
            };
            assert!(refuses(&expected, &[1.0]), "{value} {bound}");
        }
    }
}
