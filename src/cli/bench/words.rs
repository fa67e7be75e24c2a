//! What the points come to, in sentences: of measured points alone, nothing between them is guessed.

use serde_json::{Value, json};

use super::point::{LeftOut, Point, Side};

/// From which width on the GPU is the faster side at one batch size.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pays {
    /// At this width and every wider one.
    From(usize),
    /// At these alone, and at the widest it is not.
    Only(Vec<usize>),
    Never,
}

/// Batch sizes with what was measured there on both sides with one member.
fn crossover(points: &[Point]) -> Vec<(usize, Pays)> {
    let mut batches: Vec<usize> = points.iter().map(|p| p.batch).collect();
    batches.sort_unstable();
    batches.dedup();
    let pays = |batch: usize| {
        let at = points
            .iter()
            .filter(|p| p.batch == batch && p.population == 1);
        let speedups = at.filter_map(|p| Some((p.network.width(), p.speedup()?)));
        let mut widths: Vec<(usize, bool)> = speedups.map(|(w, s)| (w, s > 1.0)).collect();
        widths.sort_unstable();
        let wide = widths.iter().rev().take_while(|(_, faster)| *faster).last();
        let only = widths.iter().filter(|(_, faster)| *faster).map(|(w, _)| *w);
        let only: Vec<usize> = only.collect();
        Some(match (widths.is_empty(), wide) {
            (true, _) => return None,
            (_, Some((width, _))) => Pays::From(*width),
            (_, None) if only.is_empty() => Pays::Never,
            (_, None) => Pays::Only(only),
        })
    };
    let of = |batch| Some((batch, pays(batch)?));
    batches.into_iter().filter_map(of).collect()
}

/// The crossover in one sentence.
fn crossover_sentence(points: &[Point]) -> Option<String> {
    let found = crossover(points);
    if found.is_empty() {
        return None;
    }
    if found.iter().all(|(_, pays)| *pays == Pays::Never) {
        return Some("on this adapter the CPU is faster at every size measured".to_string());
    }
    let list = |pick: &dyn Fn(&Pays) -> Option<String>| {
        let some = found.iter();
        let some =
            some.filter_map(|(batch, pays)| Some(format!("{} at batch {batch}", pick(pays)?)));
        some.collect::<Vec<_>>().join(", ")
    };
    let from = list(&|pays| match pays {
        Pays::From(width) => Some(format!("from width {width}")),
        _ => None,
    });
    let only = list(&|pays| match pays {
        Pays::Only(widths) => {
            let widths: Vec<String> = widths.iter().map(usize::to_string).collect();
            Some(format!("at width {} alone", widths.join(" and ")))
        }
        _ => None,
    });
    let never: Vec<String> = found
        .iter()
        .filter(|(_, pays)| *pays == Pays::Never)
        .map(|(batch, _)| batch.to_string())
        .collect();
    let mut parts = Vec::new();
    if !from.is_empty() {
        parts.push(format!("the GPU pays {from}"));
    }
    if !only.is_empty() {
        parts.push(format!("the GPU is faster {only}"));
    }
    if !never.is_empty() {
        let batches = never.join(", ");
        parts.push(format!(
            "the CPU is faster at every width measured at batch {batches}"
        ));
    }
    Some(format!("on this adapter {}", parts.join("; ")))
}

/// One side's gain from a population: its point, and samples per second over those of one member.
fn gain(points: &[Point], side: impl Fn(&Point) -> Option<Side>) -> Option<(&Point, f64)> {
    let gains = points
        .iter()
        .filter(|p| p.population > 1)
        .filter_map(|many| {
            let is_one = |p: &&Point| {
                (p.population, p.batch) == (1, many.batch) && p.network == many.network
            };
            let one = side(points.iter().find(is_one)?)?;
            let ratio = side(many)?.timing.samples_per_second / one.timing.samples_per_second;
            Some((many, ratio))
        });
    // Of the largest population, the default run where it was measured.
    gains.max_by_key(|(p, _)| {
        let default = p.network.name == "784-128-10" && p.batch == 128;
        (default, p.population)
    })
}

fn gain_sentence(points: &[Point]) -> Option<String> {
    let of_side = |name: &str, gain: Option<(&Point, f64)>| {
        let (point, ratio) = gain?;
        Some(format!(
            "{ratio:.2}x as many samples a second as one on the {name} ({})",
            point.name()
        ))
    };
    let cpu = of_side("CPU", gain(points, |p| p.cpu.as_ref().ok().copied()));
    let gpu = of_side("GPU", gain(points, |p| p.gpu.as_ref().ok().copied()));
    let found: Vec<String> = cpu.into_iter().chain(gpu).collect();
    match found.is_empty() {
        true => None,
        false => Some(format!("a population trains {}", found.join(", "))),
    }
}

/// How many points a side was left out of and why, with one of them.
fn left_out(points: &[Point], budget: f64) -> Vec<String> {
    let mut lines = Vec::new();
    for side in ["cpu", "gpu"] {
        let all = points.iter().filter_map(|point| {
            let side = if side == "cpu" {
                &point.cpu
            } else {
                &point.gpu
            };
            Some((point, side.as_ref().err()?))
        });
        let all: Vec<_> = all.collect();
        let late = all.iter().filter_map(|(point, why)| match why {
            LeftOut::Time(seconds) => Some((point, seconds)),
            _ => None,
        });
        let n = points.len();
        if let Some((point, seconds)) = late.clone().next() {
            lines.push(format!(
                "- {side}: {} of {n} points left out, each longer than --budget {budget} leaves for it, such as {}, about {seconds:.0} s",
                late.count(),
                point.name()
            ));
        }
        let large = all.iter().filter_map(|(point, why)| match why {
            LeftOut::Memory(why) => Some((point, why)),
            _ => None,
        });
        if let Some((point, why)) = large.clone().next() {
            lines.push(format!(
                "- {side}: {} of {n} points left out, too large, such as {}: {why}",
                large.count(),
                point.name()
            ));
        }
    }
    lines
}

/// The lines below the table.
pub fn summary(points: &[Point], budget: f64) -> Vec<String> {
    let mut lines = left_out(points, budget);
    let sides = || points.iter().flat_map(|p| [&p.cpu, &p.gpu]).flatten();
    if sides().any(|side| side.percent_of_roof > 100.0) {
        lines.push(
            "above 100 % of the roof: what lies in a cache moves faster than a large copy, or the machine was busier while its roof was measured"
                .to_string(),
        );
    }
    // One network at one batch size has no crossover.
    if points.len() > 1 {
        lines.extend(crossover_sentence(points));
        lines.extend(gain_sentence(points));
    }
    lines
}

/// The same as an event.
pub fn event(points: &[Point]) -> Value {
    let batches: Vec<Value> = crossover(points)
        .into_iter()
        .map(|(batch, pays)| {
            let width = match pays {
                Pays::From(width) => Some(width),
                Pays::Only(_) | Pays::Never => None,
            };
            json!({"batch": batch, "gpu_pays_from_width": width})
        })
        .collect();
    json!({
        "event": "crossover",
        "batches": batches,
        "sentence": crossover_sentence(points),
        "populations": gain_sentence(points),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::compare::Timing;

    fn side(ms: f64, samples: f64) -> Side {
        Side {
            timing: Timing {
                ms_per_step: ms,
                samples_per_second: samples,
                seconds_per_epoch: 1.0,
            },
            gflops: 1.0,
            percent_of_roof: 1.0,
            floor_ms: 0.1,
        }
    }

    fn point(network: &str, batch: usize, population: usize, cpu: f64, gpu: Option<f64>) -> Point {
        let samples = |ms: f64| (batch * population) as f64 / ms * 1e3;
        Point {
            network: network.parse().unwrap(),
            batch,
            population,
            cpu: Ok(side(cpu, samples(cpu))),
            gpu: match gpu {
                Some(gpu) => Ok(side(gpu, samples(gpu))),
                None => Err(LeftOut::Time(99.0)),
            },
            max_relative_difference: None,
        }
    }

    #[test]
    fn the_crossover_is_the_least_width_from_which_the_gpu_stays_ahead() {
        let points = [
            point("784-10", 32, 1, 1.0, Some(2.0)),
            point("784-64-10", 32, 1, 1.0, Some(2.0)),
            point("784-10", 128, 1, 1.0, Some(2.0)),
            point("784-64-10", 128, 1, 3.0, Some(2.0)),
            point("784-256-10", 128, 1, 9.0, Some(2.0)),
            // Left out on the GPU: it says nothing.
            point("784-512-10", 128, 1, 1.0, None),
            point("784-10", 512, 1, 3.0, Some(2.0)),
            point("784-64-10", 512, 1, 1.0, Some(2.0)),
        ];
        assert_eq!(
            crossover_sentence(&points).unwrap(),
            "on this adapter the GPU pays from width 64 at batch 128; the GPU is faster at width 10 alone at batch 512; the CPU is faster at every width measured at batch 32"
        );
        assert_eq!(
            crossover_sentence(&points[..2]).unwrap(),
            "on this adapter the CPU is faster at every size measured"
        );
        assert_eq!(crossover_sentence(&points[5..6]), None);
        let event = event(&points);
        assert_eq!(event["batches"][1]["gpu_pays_from_width"], 64);
        assert!(event["batches"][0]["gpu_pays_from_width"].is_null());
    }

    #[test]
    fn a_population_is_held_against_one_member_of_the_same_point() {
        let points = [
            point("784-10", 32, 1, 1.0, Some(2.0)),
            point("784-10", 32, 16, 8.0, None),
            point("784-128-10", 128, 1, 1.0, Some(2.0)),
            point("784-128-10", 128, 4, 2.0, Some(2.0)),
        ];
        assert_eq!(
            gain_sentence(&points).unwrap(),
            "a population trains 2.00x as many samples a second as one on the CPU (784-128-10 at batch 128, P 4), 4.00x as many samples a second as one on the GPU (784-128-10 at batch 128, P 4)"
        );
        assert_eq!(gain_sentence(&points[..1]), None);
    }

    #[test]
    fn what_was_left_out_is_counted_with_its_reason() {
        let mut points = [
            point("784-10", 32, 1, 1.0, Some(2.0)),
            point("784-10", 512, 1, 1.0, None),
            point("784-10", 4096, 1, 1.0, None),
        ];
        points[0].cpu = Err(LeftOut::Memory("too much".to_string()));
        assert_eq!(
            left_out(&points, 120.0),
            [
                "- cpu: 1 of 3 points left out, too large, such as 784-10 at batch 32, P 1: too much",
                "- gpu: 2 of 3 points left out, each longer than --budget 120 leaves for it, such as 784-10 at batch 512, P 1, about 99 s",
            ]
        );
    }
}
