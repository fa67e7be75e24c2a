//! The standard normal distribution: its distribution function, its quantiles, and the mass of an
//! interval in logarithms.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Phi(z).
pub fn cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * FRAC_1_SQRT_2)
}

/// The z with Phi(z) = p; infinite at 0 and 1. Wichura 1988, "Algorithm AS 241", PPND16: sixteen
/// digits. The coefficients are as published.
#[rustfmt::skip]
#[allow(clippy::excessive_precision)]
pub fn quantile(p: f64) -> f64 {
    if p <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if p >= 1.0 {
        return f64::INFINITY;
    }
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180625 - q * q;
        return q * ratio(
            r,
            [2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4,
             4.5921953931549871457e4, 1.3731693765509461125e4, 1.9715909503065514427e3,
             1.3314166789178437745e2, 3.3871328727963666080e0],
            [5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4,
             2.1213794301586595867e4, 5.3941960214247511077e3, 6.8718700749205790830e2,
             4.2313330701600911252e1, 1.0],
        );
    }
    let r = libm::sqrt(-libm::log(p.min(1.0 - p)));
    let z = if r <= 5.0 {
        ratio(
            r - 1.6,
            [7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1,
             1.27045825245236838258e0, 3.64784832476320460504e0, 5.76949722146069140550e0,
             4.63033784615654529590e0, 1.42343711074968357734e0],
            [1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2,
             1.48103976427480074590e-1, 6.89767334985100004550e-1, 1.67638483018380384940e0,
             2.05319162663775882187e0, 1.0],
        )
    } else {
        ratio(
            r - 5.0,
            [2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3,
             2.65321895265761230930e-2, 2.96560571828504891230e-1, 1.78482653991729133580e0,
             5.46378491116411436990e0, 6.65790464350110377720e0],
            [2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5,
             7.86869131145613259100e-4, 1.48753612908506148525e-2, 1.36929880922735805310e-1,
             5.99832206555887937690e-1, 1.0],
        )
    };
    if q < 0.0 { -z } else { z }
}

/// A quotient of two polynomials, the highest coefficients first.
fn ratio(x: f64, numerator: [f64; 8], denominator: [f64; 8]) -> f64 {
    let horner = |coefficients: [f64; 8]| coefficients.into_iter().fold(0.0, |sum, c| sum * x + c);
    horner(numerator) / horner(denominator)
}

/// ln(Phi(b) - Phi(a)) for a < b, also where the difference is smaller than any float.
pub fn log_mass(a: f64, b: f64) -> f64 {
    // By symmetry the interval lies on the left, where Phi has all its digits.
    let (a, b) = if a + b > 0.0 { (-b, -a) } else { (a, b) };
    let width = b - a;
    // Narrow: density times width, off by a factor of 1 + O((z width)^2).
    if width < 1e-6 {
        let middle = a + 0.5 * width;
        return libm::log(width) - 0.5 * middle * middle - 0.5 * libm::log(2.0 * PI);
    }
    if b > -30.0 {
        return libm::log(cdf(b) - cdf(a));
    }
    let (log_a, log_b) = (log_cdf_far_left(a), log_cdf_far_left(b));
    log_b + libm::log1p(-libm::exp(log_a - log_b))
}

/// ln Phi(z) for z < -30, by the asymptotic series; the first term left out is below 1e-9.
fn log_cdf_far_left(z: f64) -> f64 {
    let w = 1.0 / (z * z);
    let series = -w * (1.0 - 3.0 * w * (1.0 - 5.0 * w));
    -0.5 * z * z - libm::log(-z) - 0.5 * libm::log(2.0 * PI) + libm::log1p(series)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy.stats.norm.ppf.
    #[test]
    fn quantiles() {
        for (p, z) in [
            (1e-40, -13.31092137142517),
            (1e-12, -7.034483825301132),
            (0.01, -2.3263478740408408),
            (0.3, -0.5244005127080409),
            (0.5, 0.0),
            (0.975, 1.959963984540054),
        ] {
            assert!((quantile(p) - z).abs() < 1e-13, "{p}: {}", quantile(p));
        }
        for k in 1..1000 {
            let p = f64::from(k) / 1000.0;
            assert!((cdf(quantile(p)) - p).abs() < 1e-15, "{p}");
        }
        assert_eq!(quantile(0.0), f64::NEG_INFINITY);
        assert_eq!(quantile(1.0), f64::INFINITY);
    }

    /// With mpmath, at 60 digits.
    #[test]
    fn masses_of_intervals() {
        for (a, b, expected) in [
            (-1.0, 0.5, -0.6295956325528635),
            (-0.25, 3.0, -0.5152413125000841),
            (-6.0, -5.5, -17.83272882488047),
            (-29.5, -29.0, -424.78742034728907),
            (-31.0, -30.5, -469.4627375297716),
            (-90.0, -80.0, -3205.3011213568902),
            (-2.0000004, -2.0, -17.650740223569457),
            (0.3, 0.30000000001, -26.292374473400308),
        ] {
            for found in [log_mass(a, b), log_mass(-b, -a)] {
                let error = ((found - expected) / expected).abs();
                assert!(error < 1e-9, "{a} to {b}: {found}, not {expected}");
            }
        }
    }
}
