//! The axes of a panel: how far they reach and where their ticks are.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, ValueFormatter};
use plotters::prelude::*;

use super::{HUGE, Xy};

/// The extent of an axis and its labelled ticks, in plotted units (powers of ten if `log`).
#[derive(Clone)]
pub(super) struct Axis {
    pub(super) title: &'static str,
    pub(super) unit: &'static str,
    pub(super) log: bool,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Whole epochs from 0, or from shortly before the first one if the run was resumed late.
    pub(super) fn epochs(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values.fold((HUGE, 0.0f64), |ends, at| (ends.0.min(at), ends.1.max(at)));
        let (low, high) = if low > high { (0.0, 1.0) } else { (low, high) };
        let low = if low > high / 2.0 {
            (low.ceil() - 1.0).max(0.0)
        } else {
            0.0
        };
        let high = high.max(low + 1.0);
        let ticks = ticks(low, high, nice((high - low) / 9.0).max(1.0));
        Self {
            title: "epoch",
            unit: "",
            log: false,
            low,
            high: high + (high - low) * 0.015,
            ticks,
        }
    }

    /// Losses from the sorted values, logarithmic when they span more than a factor of 20; the
    /// lowest steps in a hundred may leave the picture, so that no lucky batch squeezes the rest.
    pub(super) fn loss(curves: &[f64], steps: &[f64]) -> Self {
        let all = || curves.iter().chain(steps).copied();
        let high = all().fold(-HUGE, f64::max);
        let lowest = curves
            .iter()
            .copied()
            .chain(quantile(steps, 0.01))
            .fold(HUGE, f64::min);
        let floor = all()
            .filter(|at| *at > 0.0 && *at >= lowest)
            .fold(HUGE, f64::min);
        if lowest < 0.0 || floor * 20.0 >= high {
            let bottom = if lowest < 0.0 { -HUGE } else { 0.0 };
            return Self::linear("loss", "", (lowest, high), (bottom, HUGE));
        }
        let (low, high) = (floor.log10(), high.log10());
        let pad = (high - low) * 0.04;
        let (low, high) = (low - pad, high + pad);
        let ticks = decades(low, high);
        Self {
            title: "loss (log scale)",
            unit: "",
            log: true,
            low,
            high,
            ticks,
        }
    }

    /// Percentages from the sorted values. A few bad first epochs leave the picture, so that the
    /// median and the best epoch are at least 1/20 apart (or 1 % fills 1/20), and single steps
    /// widen it only as far as their better half scatters.
    pub(super) fn accuracy(curves: &[f64], steps: &[f64]) -> Self {
        let curves = if curves.is_empty() { steps } else { curves };
        let (Some(best), Some(median)) = (curves.last(), quantile(curves, 0.5)) else {
            return Self::linear("accuracy (%)", " %", (0.0, 100.0), (0.0, 100.0));
        };
        let worst = best - 20.0 * (best - median).max(1.0);
        let (mut low, mut high) = (
            curves
                .iter()
                .copied()
                .find(|at| *at >= worst)
                .unwrap_or(*best),
            *best,
        );
        let at = |share| quantile(steps, share).unwrap_or(*best);
        let reach = ((high - low) / 2.0)
            .max(2.0 * (at(0.75) - at(0.5)))
            .max(0.5);
        low = low.min(at(0.05).max(low - reach));
        high = high.max(at(0.95).min(high + reach));
        if high - low < 1.0 {
            (low, high) = (low - 0.5, high + 0.5);
        }
        Self::linear("accuracy (%)", " %", (low, high), (0.0, 100.0))
    }

    /// A linear axis a little wider than `ends`, but within `bounds`.
    fn linear(title: &'static str, unit: &'static str, ends: Xy<f64>, bounds: Xy<f64>) -> Self {
        let ends = if ends.0 > ends.1 { (0.0, 1.0) } else { ends };
        let (size, span) = (ends.0.abs().max(ends.1.abs()), ends.1 - ends.0);
        let pad = match span > (size * 1e-9).max(1.0 / HUGE) {
            true => span * 0.05,
            false if size > 1.0 / HUGE => size * 0.1,
            false => 0.5,
        };
        let (low, high) = ((ends.0 - pad).max(bounds.0), (ends.1 + pad).min(bounds.1));
        let ticks = ticks(low, high, nice((high - low) / 7.0));
        Self {
            title,
            unit,
            log: false,
            low,
            high,
            ticks,
        }
    }

    /// The place of a value on the axis; what a logarithm cannot show lies below its low end.
    pub(super) fn scaled(&self, value: f64) -> f64 {
        match self.log {
            true if value > 0.0 => value.log10(),
            true => self.low - 1.0,
            false => value,
        }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, at: &f64, (first, last): (i32, i32)) -> i32 {
        let share = (at - self.low) / (self.high - self.low);
        first + (share * f64::from(last - first)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        let bold = !hint.weight().allow_light_points();
        self.ticks
            .iter()
            .filter(|_| bold)
            .map(|tick| tick.0)
            .collect()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, at: &f64) -> String {
        let tick = self.ticks.iter().find(|tick| tick.0 == *at);
        tick.map(|tick| tick.1.clone()).unwrap_or_default()
    }
}

/// The value that a share of the sorted values lies below.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    sorted
        .get((sorted.len().saturating_sub(1) as f64 * share).round() as usize)
        .copied()
}

/// The smallest of 1, 2, 5, 10 times a power of ten that is not below `step`.
fn nice(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let fits = [1.0, 2.0, 5.0]
        .map(|digit| digit * power)
        .into_iter()
        .find(|nice| *nice >= step);
    fits.unwrap_or(10.0 * power)
}

/// Multiples of `step` from `low` to `high` with as many digits as the step needs.
fn ticks(low: f64, high: f64, step: f64) -> Vec<(f64, String)> {
    let place = |value: f64| (value.log10() + 1e-9).floor() as i32;
    let top = place(low.abs().max(high.abs()));
    let (first, last) = ((low / step - 1e-6).ceil(), (high / step + 1e-6).floor());
    let count = (last - first).clamp(0.0, 20.0) as usize;
    let values = (0..=count).map(|index| (first + index as f64) * step);
    let label = |at: f64| match (top, place(step)) {
        _ if at == 0.0 => "0".to_string(),
        (-4..=6, digits) => format!("{at:.*}", -digits.min(0) as usize),
        (_, digits) => format!("{at:.*e}", (place(at.abs()) - digits).clamp(0, 9) as usize),
    };
    values.map(|at| (at, label(at))).collect()
}

/// Ticks of a logarithmic axis: 1, 2 and 5 of each decade, or every n-th decade if there are many.
fn decades(low: f64, high: f64) -> Vec<(f64, String)> {
    let digits: &[i32] = if high - low < 3.5 { &[1, 2, 5] } else { &[1] };
    let every = ((high - low) / 9.0).ceil().max(1.0) as i32;
    let powers = (low.floor() as i32..=high as i32 + 1).filter(|power| power % every == 0);
    let all = powers.flat_map(|power| digits.iter().map(move |digit| (*digit, power)));
    let tick = |(digit, power): (i32, i32)| {
        let label = match power {
            0.. => format!("{digit}{}", "0".repeat(power as usize)),
            _ => format!("0.{}{digit}", "0".repeat((-power - 1) as usize)),
        };
        let label = if (-4..=4).contains(&power) {
            label
        } else {
            format!("{digit}e{power}")
        };
        (f64::from(digit).log10() + f64::from(power), label)
    };
    all.map(tick)
        .filter(|tick| (low..=high).contains(&tick.0))
        .collect()
}
