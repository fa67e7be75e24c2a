//! Mean, standard deviation and range per column or channel, in f64.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::source::Samples;

/// Rows per partial result. Fixed, so that the bits do not depend on the number of threads. Sums
/// of so few f32 values are exact in f64 unless they span many magnitudes, so that a constant
/// column has a deviation of exactly zero.
const BLOCK: usize = 512;

/// What was found in one column.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Values that are not NaN. Where it is 0 the other fields are NaN.
    pub count: usize,
    pub mean: f64,
    /// The population's standard deviation: the mean square deviation's root, without Bessel's
    /// correction, as scikit-learn's StandardScaler takes it.
    pub std: f64,
    pub min: f64,
    pub max: f64,
}

/// Statistics of `rows` of a row-major `[N, inputs]` matrix, one entry per `span` neighbouring
/// inputs: `span` is 1 for the columns of a table, H*W for the channels of images. NaN is skipped.
/// Deterministic for any number of threads.
///
/// # Panics
/// If `span` does not divide `inputs`, or a row is beyond the matrix.
pub fn column_stats<T>(matrix: &[T], inputs: usize, span: usize, rows: &[u32]) -> Vec<Stats>
where
    T: Copy + Into<f64> + Sync,
{
    stats_of(matrix, inputs, span, rows.len(), |ix| rows[ix] as usize)
}

/// [`column_stats`] of either kind of samples.
pub fn sample_stats(samples: &Samples, inputs: usize, span: usize, rows: &[u32]) -> Vec<Stats> {
    match samples {
        Samples::Bytes(bytes) => column_stats(bytes, inputs, span, rows),
        Samples::Floats(floats) => column_stats(floats, inputs, span, rows),
    }
}

/// [`column_stats`] of `n` rows, which `row_of` names.
pub(super) fn stats_of<T>(
    matrix: &[T],
    inputs: usize,
    span: usize,
    n: usize,
    row_of: impl Fn(usize) -> usize + Sync,
) -> Vec<Stats>
where
    T: Copy + Into<f64> + Sync,
{
    if inputs == 0 {
        return Vec::new();
    }
    assert_eq!(inputs % span, 0, "spans of {span} in {inputs} inputs");
    let entries = inputs / span;
    let row = |ix: usize| {
        let at = row_of(ix) * inputs;
        &matrix[at..at + inputs]
    };
    // The partial results of a wave of blocks are merged, in order, before the next wave starts:
    // memory stays small however many rows there are.
    let wave = BLOCK * 64;
    let mut total = vec![Moments::default(); entries];
    for start in (0..n).step_by(wave) {
        let end = n.min(start + wave);
        let blocks: Vec<Vec<Moments>> = (start..end)
            .into_par_iter()
            .step_by(BLOCK)
            .map(|from| block(entries, span, (from..end.min(from + BLOCK)).map(row)))
            .collect();
        for block in blocks {
            for (total, part) in total.iter_mut().zip(block) {
                total.merge(&part);
            }
        }
    }
    total.iter().map(Moments::stats).collect()
}

/// The moments of one block of rows, in two passes over it: the mean, then the deviations from it.
fn block<'a, T>(
    entries: usize,
    span: usize,
    rows: impl Iterator<Item = &'a [T]> + Clone,
) -> Vec<Moments>
where
    T: Copy + Into<f64> + 'a,
{
    let mut found = vec![Moments::default(); entries];
    for row in rows.clone() {
        for (moments, values) in found.iter_mut().zip(row.chunks_exact(span)) {
            for &value in values {
                moments.add(value.into());
            }
        }
    }
    for moments in &mut found {
        moments.mean /= moments.count.max(1) as f64;
    }
    for row in rows {
        for (moments, values) in found.iter_mut().zip(row.chunks_exact(span)) {
            for &value in values {
                let value: f64 = value.into();
                let off = value - moments.mean;
                moments.squares += if value.is_nan() { 0.0 } else { off * off };
            }
        }
    }
    found
}

#[derive(Clone)]
struct Moments {
    count: usize,
    /// The sum while a block is being added.
    mean: f64,
    /// The sum of squared deviations from the mean.
    squares: f64,
    min: f64,
    max: f64,
}

impl Default for Moments {
    fn default() -> Moments {
        Moments {
            count: 0,
            mean: 0.0,
            squares: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += usize::from(!value.is_nan());
        self.mean += if value.is_nan() { 0.0 } else { value };
        // min and max give the other operand where one is NaN.
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Pairs of moments become those of both (Chan, Golub, LeVeque 1983, eq. 2.1).
    fn merge(&mut self, part: &Moments) {
        if part.count == 0 {
            return;
        }
        let (n, m) = (self.count as f64, part.count as f64);
        let apart = part.mean - self.mean;
        self.count += part.count;
        self.mean += apart * (m / (n + m));
        self.squares += part.squares + apart * apart * (n * m / (n + m));
        self.min = self.min.min(part.min);
        self.max = self.max.max(part.max);
    }

    fn stats(&self) -> Stats {
        let seen = |value: f64| if self.count == 0 { f64::NAN } else { value };
        Stats {
            count: self.count,
            mean: seen(self.mean),
            std: seen((self.squares / self.count.max(1) as f64).sqrt()),
            min: seen(self.min),
            max: seen(self.max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_skip_nan_and_do_not_depend_on_threads() {
        let n = 100_000u32;
        let matrix: Vec<f32> = (0..2 * n)
            .map(|i| {
                if i % 2 == 0 {
                    0.1
                } else {
                    1e4 + (i % 977) as f32
                }
            })
            .collect();
        let rows: Vec<u32> = (0..n).rev().filter(|row| row % 3 > 0).collect();
        let pool = |threads| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap()
        };
        let found = pool(1).install(|| column_stats(&matrix, 2, 1, &rows));
        assert_eq!(
            found,
            pool(3).install(|| column_stats(&matrix, 2, 1, &rows))
        );
        assert_eq!((found[0].mean, found[0].std), (f64::from(0.1f32), 0.0));
        let column: Vec<f64> = rows
            .iter()
            .map(|&r| f64::from(matrix[2 * r as usize + 1]))
            .collect();
        let mean = column.iter().sum::<f64>() / column.len() as f64;
        let squares: f64 = column.iter().map(|x| (x - mean) * (x - mean)).sum();
        let std = (squares / column.len() as f64).sqrt();
        assert!((found[1].mean - mean).abs() < 1e-10 && (found[1].std - std).abs() < 1e-10 * std);

        let [one, none] = column_stats(&[1.0f32, f32::NAN, f32::NAN, f32::NAN], 2, 1, &[0, 1])[..]
        else {
            panic!();
        };
        assert_eq!(
            (one.count, one.mean, one.std, one.min, one.max),
            (1, 1.0, 0.0, 1.0, 1.0)
        );
        assert!(
            none.count == 0
                && [none.mean, none.std, none.min, none.max]
                    .iter()
                    .all(|x| x.is_nan())
        );
        // Two channels of two pixels.
        let channels = column_stats(&[0u8, 2, 10, 20, 4, 6, 30, 40], 4, 2, &[0, 1]);
        assert_eq!((channels[0].mean, channels[1].mean), (3.0, 25.0));
        assert_eq!(
            (channels[1].min, channels[1].max, channels[1].count),
            (10.0, 40.0, 4)
        );
        assert!((channels[0].std - 5f64.sqrt()).abs() < 1e-15);
        assert!(
            column_stats::<f32>(&[], 3, 1, &[])
                .iter()
                .all(|s| s.count == 0)
        );
    }
}
