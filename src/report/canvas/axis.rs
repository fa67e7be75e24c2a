//! The axes of a panel: how far they reach and where their ticks are.

use super::{HUGE, Xy};
use crate::report::metric::Metric;

/// The extent of an axis and its labelled ticks, in plotted units (powers of ten if `log`).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    pub(crate) title: String,
    pub(crate) log: bool,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Whole epochs from 0, or from shortly before the first one if the run was resumed late.
    pub(crate) fn epochs(values: impl Iterator<Item = f64>) -> Self {
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
            title: "epoch".to_string(),
            log: false,
            low,
            high: high + (high - low) * 0.015,
            ticks,
        }
    }

    /// Losses from the sorted values, logarithmic when they span more than a factor of 20; the
    /// lowest steps in a hundred may leave the picture, so that no lucky batch squeezes the rest.
    pub(crate) fn loss(curves: &[f64], steps: &[f64]) -> Self {
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
            return Self::linear("loss", (lowest, high), (bottom, HUGE));
        }
        Self::logarithmic("loss (log scale)", (floor, high), 0.04)
    }

    /// A metric from the sorted values. A few bad first epochs leave the picture, so that the
    /// median and the best epoch are at least 1/20 apart (or 1 % of the whole range fills 1/20),
    /// and single steps widen it only as far as their better half scatters.
    pub(crate) fn metric(metric: &Metric, curves: &[f64], steps: &[f64]) -> Self {
        let heading = metric.heading();
        let curves = if curves.is_empty() { steps } else { curves };
        if curves.is_empty() {
            let fill = |bound: f64, else_: f64| if bound.is_finite() { bound } else { else_ };
            let (low, high) = (fill(metric.bounds.0, 0.0), fill(metric.bounds.1, 1.0));
            return Self::linear(&heading, (low, high), metric.bounds);
        }
        // The rule is written for values of which the greatest is best.
        let sign = if metric.higher_is_better { 1.0 } else { -1.0 };
        let turned = |values: &[f64]| -> Vec<f64> {
            let mut values: Vec<f64> = values.iter().map(|value| value * sign).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let (curves, steps) = (turned(curves), turned(steps));
        let best = curves[curves.len() - 1];
        let median = quantile(&curves, 0.5).unwrap_or(best);
        let whole = metric.bounds.1 - metric.bounds.0;
        let grain = match whole < HUGE {
            true => whole / 100.0,
            false => best.abs().max(median.abs()) / 100.0,
        };
        let worst = best - 20.0 * (best - median).max(grain);
        let first = curves.iter().copied().find(|at| *at >= worst);
        let (mut low, mut high) = (first.unwrap_or(best), best);
        let at = |share| quantile(&steps, share).unwrap_or(best);
        let reach = ((high - low) / 2.0)
            .max(2.0 * (at(0.75) - at(0.5)))
            .max(grain / 2.0);
        low = low.min(at(0.05).max(low - reach));
        high = high.max(at(0.95).min(high + reach));
        if high - low < grain {
            (low, high) = (low - grain / 2.0, high + grain / 2.0);
        }
        let (low, high) = (low * sign, high * sign);
        Self::linear(&heading, (low.min(high), low.max(high)), metric.bounds)
    }

    /// Learning rates from the sorted values, logarithmic when half of them lie far below the
    /// greatest: a cosine keeps its shape, a decay by factors becomes a straight line.
    pub(crate) fn rates(sorted: &[f64]) -> Self {
        let (low, high) = (
            sorted.first().copied().unwrap_or(0.0),
            sorted.last().copied().unwrap_or(0.0),
        );
        let median = quantile(sorted, 0.5).unwrap_or(high);
        let title = "learning rate";
        if low > 0.0 && median * 8.0 <= high {
            return Self::logarithmic(title, (low, high), 0.06);
        }
        let bottom = if low < 0.0 { low } else { 0.0 };
        Self::linear(title, (bottom, high), (bottom, HUGE))
    }

    /// A linear axis a little wider than `ends`, but within `bounds`.
    pub(crate) fn linear(title: &str, ends: Xy, bounds: Xy) -> Self {
        let ends = if ends.0 > ends.1 { (0.0, 1.0) } else { ends };
        let (size, span) = (ends.0.abs().max(ends.1.abs()), ends.1 - ends.0);
        let pad = match span > (size * 1e-9).max(1.0 / HUGE) {
            true => span * 0.05,
            false if size > 1.0 / HUGE => size * 0.1,
            false => 0.5,
        };
        let (low, high) = ((ends.0 - pad).max(bounds.0), (ends.1 + pad).min(bounds.1));
        // Values beyond their bounds leave nothing of the axis: follow the values then.
        let (low, high) = match low < high {
            true => (low, high),
            false => (ends.0 - pad, ends.1 + pad),
        };
        Self {
            title: title.to_string(),
            log: false,
            low,
            high,
            ticks: ticks(low, high, nice((high - low) / 7.0)),
        }
    }

    /// A logarithmic axis over positive `ends`, wider on both sides by a share of its length.
    pub(crate) fn logarithmic(title: &str, ends: Xy, wider: f64) -> Self {
        let (low, high) = (ends.0.log10(), ends.1.log10());
        let pad = ((high - low) * wider).max(0.02);
        let (low, high) = (low - pad, high + pad);
        Self {
            title: title.to_string(),
            log: true,
            low,
            high,
            ticks: decades(low, high),
        }
    }

    /// Leaves out ticks that are less than `apart` from the one before on an axis of `length`
    /// pixels; of a crowded logarithmic axis the powers of ten stay first.
    pub(crate) fn thin(&mut self, length: f64, apart: f64) {
        let place = |tick: &(f64, String)| (tick.0 - self.low) / (self.high - self.low) * length;
        let crowded = |ticks: &[(f64, String)]| {
            ticks
                .windows(2)
                .any(|pair| place(&pair[1]) - place(&pair[0]) < apart)
        };
        let mut kept = self.ticks.clone();
        let power = |tick: &&(f64, String)| (tick.0 - tick.0.round()).abs() < 1e-9;
        if self.log && crowded(&kept) && kept.iter().filter(power).count() > 1 {
            kept.retain(|tick| power(&tick));
        }
        let mut last = f64::NEG_INFINITY;
        kept.retain(|tick| {
            let free = place(tick) - last >= apart;
            if free {
                last = place(tick);
            }
            free
        });
        self.ticks = kept;
    }

    /// The place of a value as a share of the axis, 0 at its low end and 1 at its high end; what
    /// a logarithm cannot show lies below.
    pub(crate) fn place(&self, value: f64) -> f64 {
        match self.log {
            true if value > 0.0 => self.share(value.log10()),
            true => -1.0,
            false => self.share(value),
        }
    }

    /// The place of a plotted value, such as a tick's.
    pub(crate) fn share(&self, plotted: f64) -> f64 {
        (plotted - self.low) / (self.high - self.low)
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
    let found: Vec<_> = all
        .map(tick)
        .filter(|tick| (low..=high).contains(&tick.0))
        .collect();
    if found.len() > 1 {
        return found;
    }
    // Less than a decade: equal steps, squeezed by the logarithm.
    let (low, high) = (10f64.powf(low), 10f64.powf(high));
    ticks(low, high, nice((high - low) / 7.0))
        .into_iter()
        .filter(|tick| tick.0 > 0.0)
        .map(|(at, label)| (at.log10(), label))
        .collect()
}
