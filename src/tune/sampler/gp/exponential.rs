//! The exponential function in operations that vectorise, and that give the same bits on every machine.

use std::f64::consts::LOG2_E;

/// ln 2 in two parts, of which a whole number times the first is exact (W. Cody and W. Waite 1980,
/// "Software Manual for the Elementary Functions").
const LN_2: [f64; 2] = [0.693_359_375, -2.121_944_400_546_905_8e-4];

/// 1.5 * 2^52: what is added to it is rounded to a whole number, in its last bits.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// exp(x) for x of at most 0, within 2 units of the last place; what is below exp(-700) is that.
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    let x = if x > -700.0 { x } else { -700.0 };
    let rounded = x * LOG2_E + ROUNDER;
    let n = rounded - ROUNDER;
    let rest = (x - n * LN_2[0]) - n * LN_2[1];
    // The series, to 1 / 13!: |rest| is at most ln(2) / 2.
    let mut sum = 1.0 / 6_227_020_800.0;
    for divisor in [
        479_001_600.0,
        39_916_800.0,
        3_628_800.0,
        362_880.0,
        40_320.0,
        5_040.0,
        720.0,
        120.0,
        24.0,
        6.0,
        2.0,
        1.0,
        1.0,
    ] {
        sum = sum * rest + 1.0 / divisor;
    }
    let power = f64::from_bits(rounded.to_bits().wrapping_add(1023) << 52);
    sum * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_exponential() {
        let mut worst = 0.0_f64;
        for step in 0..700_000 {
            let x = -f64::from(step) * 1e-3 - 1e-7 * f64::from(step % 97);
            let expected = libm::exp(x);
            worst = worst.max(((exp(x) - expected) / expected).abs());
        }
        assert!(worst < 2.0 * f64::EPSILON, "{worst:e}");
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-0.0), 1.0);
        for x in [-701.0, -1e9, f64::NEG_INFINITY] {
            assert_eq!(exp(x), exp(-700.0), "{x}");
        }
    }
}
