//! Running error analysis (Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.3):
//! the CPU kernels run over numbers that carry a bound of what f32 arithmetic may do to them.
//!
//! A sum that a shader may order differently must be gathered by `+=`, whose bound holds in any order.
//!
//! `Cpu<Bounded>` so derives the bound of each element of a kernel's output from the kernel's own
//! formula and the table below; nothing is measured and nothing is tuned. The table is WGSL's
//! (<https://www.w3.org/TR/WGSL/#concrete-float-accuracy>), with additions, products and fused
//! products rounded to nearest, as every known adapter does, and not merely to a neighbour. The CPU
//! executor's f32 functions are more accurate than the table, so both executors share it.

use bytemuck::{Pod, Zeroable};
use std::cmp::Ordering;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

use crate::cpu::Real;

/// Unit roundoff of f32, with room for the oracle's own f64 roundings.
pub const U: f64 = (1.0 + 1e-6) / 16_777_216.0;

/// One unit in the last place of f32 is at most this times the number.
const ULP: f64 = 2.0 * U;

/// What may be left where a result is not exactly zero but next to nothing: arguments of exp are
/// clamped at 80 and those of erfc at 12 / sqrt 2, and denormals may be flushed.
pub const FLOOR: f64 = 1e-28;

/// gamma_n = n u / (1 - n u): a sum of n products is off by at most gamma_n sum |a| |b|, in any
/// order and fused or not (Higham, section 3.1).
pub fn gamma(n: f64) -> f64 {
    n * U / (1.0 - n * U)
}

/// A value, and a bound of its error at f32.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct Bounded {
    pub value: f64,
    pub error: f64,
    /// Of a sum gathered by `+=`: how many terms, and the sum of their magnitudes. The order of such
    /// a sum is free, so its bound is gamma_n sum |t| and not that of the order written down.
    terms: f64,
    magnitude: f64,
}

impl Bounded {
    /// `value` after a function that is off by at most `error`.
    pub fn new(value: f64, error: f64) -> Bounded {
        Bounded {
            value,
            error,
            terms: 0.0,
            magnitude: 0.0,
        }
    }

    pub fn exact(value: f64) -> Bounded {
        Bounded::new(value, 0.0)
    }

    /// A result of operands' errors `inherited`, off by a further `ulps` of itself.
    fn ulps(value: f64, inherited: f64, ulps: f64) -> Bounded {
        Bounded::new(value, inherited + ulps * ULP * (value.abs() + inherited))
    }

    /// Correctly rounded: half an ulp.
    fn rounded(value: f64, inherited: f64) -> Bounded {
        Bounded::ulps(value, inherited, 0.5)
    }
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// Comparisons are of values: kernels compare inputs, whose bits both sides share.
impl PartialOrd for Bounded {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

impl Add for Bounded {
    type Output = Bounded;
    fn add(self, b: Bounded) -> Bounded {
        Bounded::rounded(self.value + b.value, self.error + b.error)
    }
}

impl Sub for Bounded {
    type Output = Bounded;
    fn sub(self, b: Bounded) -> Bounded {
        self + -b
    }
}

impl Neg for Bounded {
    type Output = Bounded;
    fn neg(self) -> Bounded {
        Bounded::new(-self.value, self.error)
    }
}

impl Mul for Bounded {
    type Output = Bounded;
    fn mul(self, b: Bounded) -> Bounded {
        let inherited =
            self.value.abs() * b.error + b.value.abs() * self.error + self.error * b.error;
        Bounded::rounded(self.value * b.value, inherited)
    }
}

/// 2.5 ulp, and half an ulp more: shaders multiply by the reciprocal of a common divisor.
impl Div for Bounded {
    type Output = Bounded;
    fn div(self, b: Bounded) -> Bounded {
        let value = self.value / b.value;
        // A divisor that may be zero gives an infinite bound, which the comparison refuses.
        let least = (b.value.abs() - b.error).max(0.0);
        let inherited = match self.error + value.abs() * b.error {
            0.0 => 0.0,
            error => error / least,
        };
        Bounded::ulps(value, inherited, 3.0)
    }
}

impl AddAssign for Bounded {
    fn add_assign(&mut self, term: Bounded) {
        let (terms, magnitude) = match self.terms {
            0.0 => (0.0, self.value.abs()),
            terms => (terms, self.magnitude),
        };
        let more = magnitude + term.value.abs() + term.error;
        let rounding = gamma(terms + 1.0) * more - gamma(terms) * magnitude;
        self.value += term.value;
        self.error += term.error + rounding;
        self.terms = terms + 1.0;
        self.magnitude = more;
    }
}

impl Real for Bounded {
    const ZERO: Self = Bounded {
        value: 0.0,
        error: 0.0,
        terms: 0.0,
        magnitude: 0.0,
    };
    const ONE: Self = Bounded {
        value: 1.0,
        ..Self::ZERO
    };
    const UNIT_ROUNDOFF: f64 = U;

    fn from_f32(x: f32) -> Self {
        Bounded::exact(f64::from(x))
    }

    /// A constant of a formula, which f32 rounds.
    fn from_f64(x: f64) -> Self {
        Bounded::new(x, (f64::from(x as f32) - x).abs())
    }

    fn to_f32(self) -> f32 {
        self.value as f32
    }

    fn to_f64(self) -> f64 {
        self.value
    }

    fn max(self, other: Self) -> Self {
        if self > other { self } else { other }
    }

    /// Inherited from 1 / inverseSqrt(x): 2 ulp and 2.5 ulp.
    fn sqrt(self) -> Self {
        let value = self.value.sqrt();
        let below = value - (self.value - self.error).max(0.0).sqrt();
        let above = (self.value + self.error).sqrt() - value;
        Bounded::ulps(value, below.max(above), 4.5)
    }

    /// 3 + 2 |x| ulp. llvmpipe (Mesa 22.3) needs about 3 ulp of it near zero and 7 at |x| = 12.
    fn exp(self) -> Self {
        // Clamped as the shaders do at the upper end; see FLOOR for the lower.
        let x = self.value.min(80.0);
        let value = x.exp();
        let inherited = value * self.error.min(80.0).exp_m1();
        Bounded::ulps(value, inherited, 3.0 + 2.0 * x.abs())
    }

    /// Absolute 2^-21 in [0.5, 2], 3 ulp elsewhere.
    fn ln(self) -> Self {
        let value = self.value.ln();
        let inherited = -(-(self.error / self.value).min(1.0)).ln_1p();
        let near_one = self.value + self.error >= 0.5 && self.value - self.error <= 2.0;
        if near_one {
            Bounded::new(value, inherited + 1.0 / 2_097_152.0)
        } else {
            Bounded::ulps(value, inherited, 3.0)
        }
    }

    /// Absolute 1e-5: the table's, and generous; llvmpipe needs 1.5e-7 of it.
    fn tanh(self) -> Self {
        Bounded::new(self.value.tanh(), self.error + 1e-5)
    }

    /// The shader's formula (`normal_cdf` in shaders/lib/activation.wgsl), bounded operation by
    /// operation, and the relative 1.2e-7 that its authors state for exact arithmetic.
    fn erfc(self) -> Self {
        const COEFFICIENTS: [f64; 10] = [
            0.17087277,
            -0.82215223,
            1.48851587,
            -1.13520398,
            0.27886807,
            -0.18628806,
            0.09678418,
            0.37409196,
            1.00002368,
            -1.26551223,
        ];
        let clamp = 12.0 * std::f64::consts::FRAC_1_SQRT_2;
        let a = Bounded::new(self.value.abs().min(clamp), self.error);
        let t = Self::ONE / (Self::ONE + Self::from_f64(0.5) * a);
        let s = COEFFICIENTS[1..]
            .iter()
            .fold(Self::from_f64(COEFFICIENTS[0]), |s, &c| {
                s * t + Self::from_f64(c)
            });
        let tail = t * (s - a * a).exp();
        let mut error = tail.error + 1.2e-7 * tail.value;
        if self.value < 0.0 {
            error = Bounded::rounded(2.0 - tail.value, error).error;
        }
        if self.value.abs() > clamp {
            error += libm::erfc(clamp);
        }
        Bounded::new(libm::erfc(self.value), error)
    }
}
