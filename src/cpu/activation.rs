//! Activations and their derivatives: the formulas, and the kernel y = f(z).

use super::Real;
use super::parallel::for_rows;
use crate::plan::{Activation, Elementwise, LEAKY_SLOPE};

impl Activation {
    /// y = f(z).
    #[inline(always)]
    pub fn apply<T: Real>(self, z: T) -> T {
        match self {
            Activation::None => z,
            // Written so that a NaN passes through: a diverged unit must not look like a dead one.
            Activation::Relu if z < T::ZERO => T::ZERO,
            Activation::Relu => z,
            Activation::LeakyRelu if z < T::ZERO => z * T::from_f64(LEAKY_SLOPE),
            Activation::LeakyRelu => z,
            Activation::Tanh => z.tanh(),
            Activation::Sigmoid => T::ONE / (T::ONE + (-z).exp()),
            Activation::Gelu => z * normal_cdf(z),
        }
    }

    /// f'(z), given `saved`: the output y where [`Self::gradient_from_output`], else z.
    #[inline(always)]
    pub fn derivative<T: Real>(self, saved: T) -> T {
        match self {
            Activation::None => T::ONE,
            Activation::Relu if saved > T::ZERO => T::ONE,
            Activation::Relu => T::ZERO,
            Activation::LeakyRelu if saved > T::ZERO => T::ONE,
            Activation::LeakyRelu => T::from_f64(LEAKY_SLOPE),
            Activation::Tanh => T::ONE - saved * saved,
            Activation::Sigmoid => saved * (T::ONE - saved),
            Activation::Gelu => {
                let density = T::from_f64(0.398_942_280_401_432_7)
                    * (T::from_f64(-0.5) * saved * saved).exp();
                normal_cdf(saved) + saved * density
            }
        }
    }
}

/// Phi(z) = erfc(-z / sqrt 2) / 2; erfc keeps the lower tail, which 1 + erf would cancel.
#[inline(always)]
fn normal_cdf<T: Real>(z: T) -> T {
    T::from_f64(0.5) * (-z * T::from_f64(std::f64::consts::FRAC_1_SQRT_2)).erfc()
}

/// y = f(z) over \[P, rows, ld\]; padding columns stay zero.
pub fn activation<T: Real>(p: &Elementwise, f: Activation, z: &[T], y: &mut [T]) {
    let (ld, cols) = (p.ld as usize, p.cols as usize);
    for_rows(y, ld, |row, y| {
        let z = &z[row * ld..][..cols];
        for (y, &z) in y.iter_mut().zip(z) {
            *y = f.apply(z);
        }
    });
}
