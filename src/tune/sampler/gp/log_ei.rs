//! The logarithm of the expected improvement (Ament, Daulton, Eriksson, Balandat and Bakshy 2023,
//! arXiv:2310.20708): it tells points apart where the improvement itself rounds to 0.

use super::model::{Model, Prediction};

/// Keeps the standard deviation above 0.
const STABILISER: f64 = 1e-12;

/// Below this z the closed form cancels, and a series is more exact.
const FAR: f64 = -25.0;

/// ln h(z) with h(z) = z cdf(z) + pdf(z) of the standard normal distribution, and its derivative.
fn log_h(z: f64) -> (f64, f64) {
    let log_pdf = -0.5 * z * z - 0.5 * libm::log(std::f64::consts::TAU);
    if z < FAR {
        // With u = 1 / z^2: h = pdf u (1 - 3u + 15u^2 - ...) and cdf = pdf / |z| (1 - u + 3u^2 - ...).
        let u = 1.0 / (z * z);
        let h = 1.0 - u * (3.0 - u * (15.0 - u * (105.0 - u * 945.0)));
        let cdf = 1.0 - u * (1.0 - u * (3.0 - u * (15.0 - u * 105.0)));
        return (log_pdf + libm::log(u * h), -z * cdf / h);
    }
    let cdf = 0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2);
    let h = z * cdf + libm::exp(log_pdf);
    (libm::log(h), cdf / h)
}

/// ln E max(0, f(x) - best) of the model's f at a point.
pub fn log_ei(model: &Model, best: f64, x: &[f64]) -> f64 {
    let (mean, variance) = model.predict(x);
    let deviation = (variance + STABILISER).sqrt();
    log_h((mean - best) / deviation).0 + libm::log(deviation)
}

/// As [`log_ei`], with its derivatives by the coordinates written to `slope`.
pub fn log_ei_with_slope(model: &Model, best: f64, x: &[f64], slope: &mut [f64]) -> f64 {
    let Prediction {
        mean,
        variance,
        d_mean,
        d_variance,
    } = model.predict_with_slope(x);
    let deviation = (variance + STABILISER).sqrt();
    let z = (mean - best) / deviation;
    let (value, ratio) = log_h(z);
    for ((s, d_mean), d_variance) in slope.iter_mut().zip(d_mean).zip(d_variance) {
        let d_deviation = 0.5 * d_variance / deviation;
        *s = (ratio * d_mean + (1.0 - ratio * z) * d_deviation) / deviation;
    }
    value + libm::log(deviation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::sampler::gp::model::Data;

    #[test]
    fn known_values() {
        // z, ln h(z) and cdf(z) / h(z) in 60 digits by mpmath.
        let known = [
            (0.0, -0.918_938_533_204_672_7, 1.253_314_137_315_500_3),
            (2.0, 0.697_383_545_788_228_3, 0.486_559_318_785_283_87),
            (-1.0, -2.485_121_025_712_641_3, 1.904_271_233_329_691_8),
            (-5.0, -16.744_301_162_660_99, 5.361_816_241_288_088),
            (-30.0, -457.724_653_760_598, 30.066_446_154_162_45),
            (-100.0, -5_010.129_578_800_25, 100.019_994_004_195_87),
            (-1000.0, -500_014.734_452_091_14, 1_000.001_999_994),
        ];
        for (z, value, ratio) in known {
            let got = log_h(z);
            assert!((got.0 - value).abs() < 1e-9 * value.abs(), "{z}: {got:?}");
            assert!((got.1 - ratio).abs() < 1e-9 * ratio, "{z}: {got:?}");
        }
    }

    #[test]
    fn both_forms_meet_and_derivatives_are_right() {
        let (near, far) = (log_h(FAR + 1e-9), log_h(FAR - 1e-9));
        assert!((near.0 - far.0).abs() < 1e-6, "{near:?} {far:?}");
        assert!((near.1 - far.1).abs() < 1e-6 * far.1, "{near:?} {far:?}");
        for z in [-1e4, -200.0, -26.0, -20.0, -3.0, 0.0, 4.0] {
            let h = 1e-5;
            let numeric = (log_h(z + h).0 - log_h(z - h).0) / (2.0 * h);
            let (value, slope) = log_h(z);
            assert!(value.is_finite());
            assert!(
                (numeric - slope).abs() < 1e-4 * (1.0 + slope),
                "{z}: {slope} for {numeric}"
            );
        }
    }

    #[test]
    fn slopes_at_a_point_are_those_of_finite_differences() {
        let data = Data {
            x: vec![0.1, 0.9, 0.4, 0.3, 0.8, 0.5, 0.6, 0.1],
            y: vec![1.2, -0.3, 0.4, -1.3],
            is_choice: vec![false; 2],
        };
        let model = Model::fit(data, None).unwrap();
        let (x, h) = ([0.3, 0.7], 1e-6);
        let mut slope = [0.0; 2];
        let value = log_ei_with_slope(&model, 1.2, &x, &mut slope);
        assert_eq!(value, log_ei(&model, 1.2, &x));
        for d in 0..2 {
            let at = |h: f64| {
                let mut x = x;
                x[d] += h;
                log_ei(&model, 1.2, &x)
            };
            let numeric = (at(h) - at(-h)) / (2.0 * h);
            assert!((numeric - slope[d]).abs() < 1e-4 * (1.0 + slope[d].abs()));
        }
    }
}
