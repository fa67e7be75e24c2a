//! A Gaussian process with a Matérn 5/2 kernel and a length scale per dimension; its hyper-parameters
//! are those of the highest posterior density, under the priors of Optuna's `GPSampler`.

use pulp::{Arch, Simd, WithSimd};

use super::cholesky::{Cholesky, dot};
use super::exponential::exp;
use super::lbfgs::{self, Limits};

/// The least variance of the noise, for the factor's sake.
const MIN_NOISE: f64 = 1e-6;

/// Logarithms of hyper-parameters stay within this of 0.
const MAX_LOG: f64 = 20.0;

/// Observations: N points of D dimensions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Data {
    /// (N, D) row-major, in the unit cube; a choice is an index.
    pub x: Vec<f64>,
    /// (N), of mean 0 and variance 1.
    pub y: Vec<f64>,
    /// (D): the distance of two choices is 0 or 1.
    pub is_choice: Vec<bool>,
}

/// What the kernel depends on.
#[derive(Clone, Debug, PartialEq)]
struct Hyper {
    /// (D), inverse squared length scales.
    weights: Vec<f64>,
    /// Variance of the signal.
    scale: f64,
    /// Variance of the noise.
    noise: f64,
}

/// A fitted process.
#[derive(Clone, Debug)]
pub struct Model {
    data: Data,
    hyper: Hyper,
    factor: Cholesky,
    /// K^-1 y.
    alpha: Vec<f64>,
}

/// What a model predicts at a point, and the derivatives by its coordinates; 0 for choices.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    pub mean: f64,
    pub variance: f64,
    pub d_mean: Vec<f64>,
    pub d_variance: Vec<f64>,
}

/// The Matérn 5/2 correlation at a squared distance, and its derivative by that.
#[inline(always)]
fn matern(squared: f64) -> (f64, f64) {
    let r = (5.0 * squared).sqrt();
    let decay = exp(-r);
    let value = decay * (5.0 / 3.0 * squared + r + 1.0);
    (value, -5.0 / 6.0 * (r + 1.0) * decay)
}

impl Data {
    fn n(&self) -> usize {
        self.y.len()
    }

    fn d(&self) -> usize {
        self.is_choice.len()
    }

    fn points(&self) -> impl Iterator<Item = &[f64]> {
        self.x.chunks(self.d())
    }

    /// Squared distance along one dimension.
    #[inline(always)]
    fn squared(&self, d: usize, a: f64, b: f64) -> f64 {
        match self.is_choice[d] {
            true => f64::from(u8::from(a != b)),
            false => (a - b) * (a - b),
        }
    }

    /// Covariances of a point with the first of the data, and their derivatives by the squared distance.
    #[inline(always)]
    fn covariances(&self, hyper: &Hyper, a: &[f64], values: &mut [f64], slopes: &mut [f64]) {
        for (distance, b) in values.iter_mut().zip(self.points()) {
            *distance = 0.0;
            for (d, weight) in hyper.weights.iter().enumerate() {
                *distance += weight * self.squared(d, a[d], b[d]);
            }
        }
        for (value, slope) in values.iter_mut().zip(slopes) {
            let (of_one, derivative) = matern(*value);
            *value = hyper.scale * of_one;
            *slope = hyper.scale * derivative;
        }
    }

    /// The lower triangle of K, (N, N), and that of its derivative by the squared distance.
    #[inline(always)]
    fn kernel(&self, hyper: &Hyper) -> (Vec<f64>, Vec<f64>) {
        let n = self.n();
        let (mut kernel, mut slope) = (vec![0.0; n * n], vec![0.0; n * n]);
        for (i, a) in self.points().enumerate() {
            let before = i * n..i * n + i;
            let (values, slopes) = (&mut kernel[before.clone()], &mut slope[before]);
            self.covariances(hyper, a, values, slopes);
            kernel[i * n + i] = hyper.scale + hyper.noise;
        }
        (kernel, slope)
    }
}

impl Hyper {
    /// From logarithms: of the D weights, the scale, and the noise above its least.
    fn from_raw(raw: &[f64]) -> Hyper {
        let (&[scale, noise], weights) = raw.split_last_chunk().map(|(w, l)| (l, w)).expect("2");
        Hyper {
            weights: weights.iter().map(|w| libm::exp(*w)).collect(),
            scale: libm::exp(scale),
            noise: libm::exp(noise) + MIN_NOISE,
        }
    }

    /// Minus the logarithm of the prior's density; adds its derivatives by the raw values.
    fn penalty(&self, gradient: &mut [f64]) -> f64 {
        let d = self.weights.len();
        let mut penalty = 0.0;
        for (w, g) in self.weights.iter().zip(&mut *gradient) {
            penalty += 0.1 / w + 0.1 * w;
            *g += 0.1 * w - 0.1 / w;
        }
        // Gamma distributions: shape 2 and rate 1, shape 1.1 and rate 30.
        penalty += self.scale - libm::log(self.scale);
        gradient[d] += self.scale - 1.0;
        penalty += 30.0 * self.noise - 0.1 * libm::log(self.noise);
        gradient[d + 1] += (30.0 - 0.1 / self.noise) * (self.noise - MIN_NOISE);
        penalty
    }
}

/// Minus the logarithm of the posterior density of the hyper-parameters with these logarithms, up to a
/// constant; infinite where the kernel is singular.
fn objective(data: &Data, raw: &[f64], gradient: &mut [f64]) -> f64 {
    Arch::new().dispatch(Posterior {
        data,
        raw,
        gradient,
    })
}

/// The sums of [`objective`], compiled for each width of vectors: no sum's order depends on it.
struct Posterior<'a> {
    data: &'a Data,
    raw: &'a [f64],
    gradient: &'a mut [f64],
}

impl WithSimd for Posterior<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        posterior(self.data, self.raw, self.gradient)
    }
}

#[inline(always)]
fn posterior(data: &Data, raw: &[f64], gradient: &mut [f64]) -> f64 {
    let (n, d) = (data.n(), data.d());
    let hyper = Hyper::from_raw(raw);
    let (kernel, slope) = data.kernel(&hyper);
    let Some(factor) = Cholesky::new(kernel.clone(), n) else {
        return f64::INFINITY;
    };
    let alpha = factor.solve(&data.y);
    let inverse = factor.inverse();
    gradient.fill(0.0);
    // dL / dK = (K^-1 - alpha alpha^T) / 2; entries below the diagonal count twice.
    for (i, a) in data.points().enumerate() {
        for (j, b) in data.points().take(i).enumerate() {
            let ij = i * n + j;
            let d_kernel = inverse[ij] - alpha[i] * alpha[j];
            gradient[d] += d_kernel * kernel[ij];
            let d_distance = d_kernel * slope[ij];
            for (k, g) in gradient[..d].iter_mut().enumerate() {
                *g += d_distance * hyper.weights[k] * data.squared(k, a[k], b[k]);
            }
        }
        let d_kernel = 0.5 * (inverse[i * n + i] - alpha[i] * alpha[i]);
        gradient[d] += d_kernel * hyper.scale;
        gradient[d + 1] += d_kernel * (hyper.noise - MIN_NOISE);
    }
    0.5 * dot(&data.y, &alpha) + factor.log_diagonal + hyper.penalty(gradient)
}

/// Logarithms of the hyper-parameters, D + 2, that a fit starts from where nothing is known.
pub fn usual_starts(d: usize) -> Vec<Vec<f64>> {
    let start = |[weight, scale, noise]: [f64; 3]| {
        let mut raw = vec![weight; d];
        raw.extend([scale, noise]);
        raw
    };
    [[0.0, 0.0, 0.0], [1.5, 0.0, -5.0]].map(start).to_vec()
}

/// The logarithms of the best hyper-parameters, D + 2, that are found from these starting points; `None`
/// where the kernel is singular at all of them.
pub fn fit(data: &Data, starts: &[Vec<f64>]) -> Option<Vec<f64>> {
    let n = data.d() + 2;
    let (low, high) = (vec![-MAX_LOG; n], vec![MAX_LOG; n]);
    let limits = Limits {
        gradient: 1e-2,
        iterations: 100,
    };
    let fits = starts.iter().map(|start| {
        let f = |raw: &[f64], gradient: &mut [f64]| objective(data, raw, gradient);
        lbfgs::minimise(f, start, (&low, &high), limits)
    });
    let best = fits.min_by(|a, b| a.value.total_cmp(&b.value))?;
    best.value.is_finite().then_some(best.x)
}

impl Model {
    /// Fits the hyper-parameters from a starting point, logarithms as [`fit`] returns them, and from the
    /// usual ones where nothing comes of that.
    pub fn fit(data: Data, start: Option<&[f64]>) -> Option<Model> {
        let raw = start.and_then(|start| fit(&data, &[start.to_vec()]));
        let raw = raw.or_else(|| fit(&data, &usual_starts(data.d())))?;
        Model::with(data, Hyper::from_raw(&raw))
    }

    fn with(data: Data, hyper: Hyper) -> Option<Model> {
        let factor = Arch::new().dispatch(Factoring(&data, &hyper))?;
        let alpha = factor.solve(&data.y);
        Some(Model {
            data,
            hyper,
            factor,
            alpha,
        })
    }

    /// The model that has seen these points, (M, D), come to what it predicts of them (Ginsbourger, Le
    /// Riche and Carraro 2010: kriging believer).
    pub fn believing(self, points: &[Vec<f64>]) -> Model {
        let mut data = self.data.clone();
        for point in points {
            data.y.push(self.predict(point).0);
            data.x.extend(point);
        }
        Model::with(data, self.hyper.clone()).unwrap_or(self)
    }

    /// Length scale of a dimension.
    pub fn length(&self, d: usize) -> f64 {
        1.0 / self.hyper.weights[d].sqrt()
    }

    /// The greatest of the observed and believed values.
    pub fn best(&self) -> f64 {
        self.data
            .y
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max)
    }

    /// Mean and variance of the noiseless function at a point.
    pub fn predict(&self, x: &[f64]) -> (f64, f64) {
        Arch::new().dispatch(Predicting(self, x))
    }

    /// As [`Self::predict`], with derivatives.
    pub fn predict_with_slope(&self, x: &[f64]) -> Prediction {
        Arch::new().dispatch(PredictingSlope(self, x))
    }

    #[inline(always)]
    fn mean_and_variance(&self, x: &[f64]) -> (f64, f64) {
        let n = self.data.n();
        let (mut k, mut slope) = (vec![0.0; n], vec![0.0; n]);
        self.data.covariances(&self.hyper, x, &mut k, &mut slope);
        let half = self.factor.half_solve(&k);
        let variance = self.hyper.scale - dot(&half, &half);
        (dot(&k, &self.alpha), variance.max(0.0))
    }

    #[inline(always)]
    fn with_slope(&self, x: &[f64]) -> Prediction {
        let Hyper { weights, scale, .. } = &self.hyper;
        let n = self.data.n();
        let (mut k, mut slope) = (vec![0.0; n], vec![0.0; n]);
        self.data.covariances(&self.hyper, x, &mut k, &mut slope);
        let half = self.factor.half_solve(&k);
        let solved = self.factor.half_solve_transposed(&half);
        let mut prediction = Prediction {
            mean: dot(&k, &self.alpha),
            variance: (scale - dot(&half, &half)).max(0.0),
            d_mean: vec![0.0; x.len()],
            d_variance: vec![0.0; x.len()],
        };
        for (i, b) in self.data.points().enumerate() {
            for d in (0..x.len()).filter(|&d| !self.data.is_choice[d]) {
                let d_k = slope[i] * 2.0 * weights[d] * (x[d] - b[d]);
                prediction.d_mean[d] += self.alpha[i] * d_k;
                prediction.d_variance[d] -= 2.0 * solved[i] * d_k;
            }
        }
        prediction
    }
}

/// [`Model::predict`], compiled for each width of vectors.
struct Predicting<'a>(&'a Model, &'a [f64]);

impl WithSimd for Predicting<'_> {
    type Output = (f64, f64);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> (f64, f64) {
        self.0.mean_and_variance(self.1)
    }
}

/// [`Model::predict_with_slope`], compiled for each width of vectors.
struct PredictingSlope<'a>(&'a Model, &'a [f64]);

impl WithSimd for PredictingSlope<'_> {
    type Output = Prediction;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Prediction {
        self.0.with_slope(self.1)
    }
}

/// The factor of a kernel, compiled for each width of vectors.
struct Factoring<'a>(&'a Data, &'a Hyper);

impl WithSimd for Factoring<'_> {
    type Output = Option<Cholesky>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Option<Cholesky> {
        Cholesky::new(self.0.kernel(self.1).0, self.0.n())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};

    /// Of two coordinates and a choice, only the first coordinate and the choice matter.
    fn data(n: usize) -> Data {
        let mut stream = Stream::new(5, Purpose::Init, 0);
        let mut data = Data {
            is_choice: vec![false, false, true],
            ..Data::default()
        };
        for _ in 0..n {
            let (a, b, c) = (stream.unit(), stream.unit(), f64::from(stream.below(3)));
            data.x.extend([a, b, c]);
            data.y.push(libm::sin(6.0 * a) + 0.5 * c - 0.5);
        }
        data
    }

    fn assert_slope(name: &str, f: impl Fn(f64) -> f64, slope: f64) {
        let h = 1e-5;
        let numeric = (f(h) - f(-h)) / (2.0 * h);
        let bound = 1e-5 * (1.0 + slope.abs());
        assert!(
            (numeric - slope).abs() < bound,
            "{name}: {slope} for {numeric}"
        );
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let data = data(12);
        let raw = [0.3, -0.7, 0.9, 0.2, -2.0];
        let mut gradient = vec![0.0; 5];
        objective(&data, &raw, &mut gradient);
        for k in 0..5 {
            let moved = |h: f64| {
                let mut raw = raw;
                raw[k] += h;
                objective(&data, &raw, &mut [0.0; 5])
            };
            assert_slope("hyper-parameter", moved, gradient[k]);
        }
        let model = Model::with(data, Hyper::from_raw(&raw)).unwrap();
        let x = [0.31, 0.72, 1.0];
        let prediction = model.predict_with_slope(&x);
        assert_eq!(model.predict(&x), (prediction.mean, prediction.variance));
        for d in 0..2 {
            let at = |h: f64| {
                let mut x = x;
                x[d] += h;
                model.predict(&x)
            };
            assert_slope("mean", |h| at(h).0, prediction.d_mean[d]);
            assert_slope("variance", |h| at(h).1, prediction.d_variance[d]);
        }
    }

    #[test]
    fn a_fit_finds_what_matters_and_predicts() {
        let model = Model::fit(data(40), None).unwrap();
        assert!(model.length(1) > 3.0 * model.length(0), "{:?}", model.hyper);
        assert!(model.hyper.noise < 1e-2, "{:?}", model.hyper);
        for a in [0.1, 0.45, 0.8] {
            let (mean, variance) = model.predict(&[a, 0.5, 2.0]);
            assert!(
                (mean - (libm::sin(6.0 * a) + 0.5)).abs() < 0.1,
                "{a}: {mean}"
            );
            assert!(variance < 0.02, "{a}: {variance}");
        }
    }

    #[test]
    fn believing_takes_the_doubt_and_leaves_the_mean() {
        let model = Model::fit(data(10), None).unwrap();
        let x = [0.95, 0.05, 1.0];
        let before = model.predict(&x);
        let after = model.believing(&[x.to_vec()]).predict(&x);
        assert!((before.0 - after.0).abs() < 1e-3, "{before:?} {after:?}");
        assert!(after.1 < 0.1 * before.1, "{before:?} {after:?}");
    }
}
