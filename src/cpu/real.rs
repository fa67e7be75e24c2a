//! The arithmetic of a CPU executor: f32 for training and timing, f64 for the oracle.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

use super::product::{Product, Sink};

/// A floating-point number that every CPU kernel can be written over.
pub trait Real:
    Default
    + PartialOrd
    + Debug
    + Send
    + Sync
    + bytemuck::Pod
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
{
    const ZERO: Self;
    const ONE: Self;
    /// Half the distance from 1 to the next number: the u of an error bound.
    const UNIT_ROUNDOFF: f64;

    fn from_f32(x: f32) -> Self;
    fn from_f64(x: f64) -> Self;
    fn to_f32(self) -> f32;
    fn to_f64(self) -> f64;
    fn max(self, other: Self) -> Self;
    fn sqrt(self) -> Self;
    fn exp(self) -> Self;
    fn ln(self) -> Self;
    fn tanh(self) -> Self;
    /// 1 - erf(x).
    fn erfc(self) -> Self;

    /// The product, given to `sink`; with the machine's vectors for the number that trains.
    fn product(product: &Product<Self>, sink: &mut impl Sink<Self>) {
        product.plain(sink);
    }

    /// Runs `loops`, which a compiler may vectorise; with the machine's widest vectors for the number
    /// that trains.
    #[inline(always)]
    fn wide(loops: impl Loops) {
        loops.run();
    }
}

/// Loops to be compiled for each width of vectors. `run` must be `#[inline(always)]`: what is called
/// from inside it keeps to the vectors that every machine has. That is why this is no closure.
pub trait Loops {
    fn run(self);
}

struct Wide<L>(L);

impl<L: Loops> pulp::WithSimd for Wide<L> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        self.0.run();
    }
}

macro_rules! real {
    ($t:ty, $erfc:path, { $($more:tt)* }) => {
        impl Real for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const UNIT_ROUNDOFF: f64 = <$t>::EPSILON as f64 / 2.0;

            #[inline(always)]
            fn from_f32(x: f32) -> Self {
                x as $t
            }
            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn to_f32(self) -> f32 {
                self as f32
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                if self > other { self } else { other }
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                self.sqrt()
            }
            #[inline(always)]
            fn exp(self) -> Self {
                self.exp()
            }
            #[inline(always)]
            fn ln(self) -> Self {
                self.ln()
            }
            #[inline(always)]
            fn tanh(self) -> Self {
                self.tanh()
            }
            #[inline(always)]
            fn erfc(self) -> Self {
                $erfc(self)
            }
            $($more)*
        }
    };
}

real!(f32, libm::erfcf, {
    fn product(product: &Product<Self>, sink: &mut impl Sink<Self>) {
        product.vectorised(sink);
    }

    #[inline(always)]
    fn wide(loops: impl Loops) {
        pulp::Arch::new().dispatch(Wide(loops));
    }
});
real!(f64, libm::erfc, {});
