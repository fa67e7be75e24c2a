//! Data sets that are computed: a linear relation with known weights, and points in the plane for
//! teaching. The same name always gives the same samples.

use std::f64::consts::{PI, TAU};

use super::ImageShape;
use super::source::{Content, Samples, Source, Targets};
use crate::rng::{Purpose, Stream};
use crate::{Error, Result};

/// The weights of `synthetic:linear`.
pub const LINEAR_WEIGHTS: [f32; 3] = [2.0, -3.5, 0.75];
/// Its bias.
pub const LINEAR_BIAS: f32 = 4.25;
/// The standard deviation of the noise on its targets.
pub const LINEAR_NOISE: f32 = 0.1;
/// The number of samples where none is given.
pub const DEFAULT_SAMPLES: usize = 1000;

const MAX_SAMPLES: usize = 10_000_000;
const SEED: u64 = 20_250_101;

/// Name, number of classes (0: values) and what it shows.
const SETS: [(&str, u32, &str); 5] = [
    (
        "linear",
        0,
        "y = 2 x1 - 3.5 x2 + 0.75 x3 + 4.25 + noise of 0.1",
    ),
    ("moons", 2, "two half circles that reach into each other"),
    ("circles", 2, "a ring around another"),
    ("spiral", 3, "three arms around a centre"),
    ("blobs", 4, "four round clouds"),
];

/// The names of the sets, as in `linear, moons`.
pub fn names() -> String {
    SETS.map(|set| set.0).join(", ")
}

/// Makes the set of that name: `NAME` or `NAME:N`, with or without `synthetic:` before it. There is
/// no test part.
///
/// # Errors
/// [`Error::Usage`] where there is no such set, or N is not from 10 to ten million.
pub fn read(name: &str) -> Result<Source> {
    let bad = |what: String| {
        let known = names();
        Error::Usage(format!(
            "{name}: {what}; write synthetic:NAME or synthetic:NAME:SAMPLES with one of {known}"
        ))
    };
    let short = name.strip_prefix("synthetic:").unwrap_or(name);
    let (short, n) = match short.split_once(':') {
        None => (short, DEFAULT_SAMPLES),
        Some((short, n)) => {
            let n = n.parse().ok().filter(|n| (10..=MAX_SAMPLES).contains(n));
            let n = n.ok_or_else(|| bad(format!("the samples are 10 to {MAX_SAMPLES}")))?;
            (short, n)
        }
    };
    let set = SETS.iter().zip(0..).find(|(set, _)| set.0 == short);
    let Some((&(_, classes, what), number)) = set else {
        return Err(bad("there is no synthetic set of this name".to_string()));
    };
    let mut draws = Draws(Stream::new(SEED, Purpose::Synthetic, number));
    let (width, inputs, targets) = if classes == 0 {
        linear(n, &mut draws)
    } else {
        plane(short, n, classes, &mut draws)
    };
    Ok(Source {
        content: Content::Samples {
            shape: ImageShape {
                channels: 1,
                height: 1,
                width,
            },
            samples: Samples::Floats(inputs),
        },
        targets,
        test: None,
        val: None,
        names: Vec::new(),
        notes: vec![format!("synthetic {short}: {what}")],
    })
}

/// Numbers of the usual distributions. The functions are libm's, so that every machine draws the same.
struct Draws(Stream);

impl Draws {
    /// Uniform in [0, 1).
    fn unit(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / 4_294_967_296.0
    }

    /// Standard normal (Box and Muller 1958).
    fn normal(&mut self) -> f64 {
        // 1 - u lies in (0, 1], where the logarithm is finite.
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.unit()));
        radius * libm::cos(TAU * self.unit())
    }
}

/// Standard normal inputs `[n, 3]`, and y = w x + b + noise.
fn linear(n: usize, draws: &mut Draws) -> (usize, Vec<f32>, Targets) {
    let mut inputs = Vec::with_capacity(n * LINEAR_WEIGHTS.len());
    let mut values = Vec::with_capacity(n);
    for _ in 0..n {
        let mut y = f64::from(LINEAR_BIAS);
        for weight in LINEAR_WEIGHTS {
            let x = draws.normal() as f32;
            y += f64::from(weight) * f64::from(x);
            inputs.push(x);
        }
        values.push((y + f64::from(LINEAR_NOISE) * draws.normal()) as f32);
    }
    let name = "y".to_string();
    (
        LINEAR_WEIGHTS.len(),
        inputs,
        Targets::Values { values, name },
    )
}

/// Points `[n, 2]` of one class after the other in turn, so that every stretch has all classes.
fn plane(set: &str, n: usize, classes: u32, draws: &mut Draws) -> (usize, Vec<f32>, Targets) {
    let mut inputs = Vec::with_capacity(n * 2);
    let labels: Vec<u32> = (0..n as u32).map(|ix| ix % classes).collect();
    for &label in &labels {
        let class = f64::from(label);
        let (x, y, noise) = match set {
            "moons" => {
                let angle = PI * draws.unit();
                let (x, y) = (libm::cos(angle), libm::sin(angle));
                // The second one hangs from the first one's middle.
                if label == 0 {
                    (x, y, 0.1)
                } else {
                    (1.0 - x, 0.5 - y, 0.1)
                }
            }
            "circles" => {
                let (angle, radius) = (TAU * draws.unit(), 1.0 - 0.5 * class);
                (radius * libm::cos(angle), radius * libm::sin(angle), 0.07)
            }
            "spiral" => {
                // One turn from near the centre to 1.
                let along = 0.05 + 0.95 * draws.unit();
                let angle = TAU * (along + class / f64::from(classes));
                (along * libm::cos(angle), along * libm::sin(angle), 0.03)
            }
            _ => {
                let angle = TAU * (class + 0.5) / f64::from(classes);
                (3.0 * libm::cos(angle), 3.0 * libm::sin(angle), 0.8)
            }
        };
        for value in [x, y] {
            inputs.push((value + noise * draws.normal()) as f32);
        }
    }
    let names = (0..classes).map(|class| class.to_string()).collect();
    (2, inputs, Targets::Classes { labels, names })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(source: &Source) -> &[f32] {
        match &source.content {
            Content::Samples {
                samples: Samples::Floats(floats),
                ..
            } => floats,
            other => panic!("no floats: {other:?}"),
        }
    }

    /// Least squares over `rows` of inputs, solved by Gauss' elimination: weights, then the bias.
    fn least_squares(inputs: &[f32], values: &[f32]) -> Vec<f64> {
        const N: usize = 4;
        let mut system = [[0.0; N + 1]; N];
        for (x, &y) in inputs.chunks(3).zip(values) {
            let row = [x[0], x[1], x[2], 1.0, y].map(f64::from);
            for i in 0..N {
                for j in 0..=N {
                    system[i][j] += row[i] * row[j];
                }
            }
        }
        for pivot in 0..N {
            for row in (0..N).filter(|&row| row != pivot) {
                let factor = system[row][pivot] / system[pivot][pivot];
                let above = system[pivot];
                for (value, above) in system[row].iter_mut().zip(above) {
                    *value -= factor * above;
                }
            }
        }
        (0..N).map(|i| system[i][N] / system[i][i]).collect()
    }

    #[test]
    fn least_squares_recovers_the_published_weights() {
        let source = read("synthetic:linear").unwrap();
        let Targets::Values { values, .. } = &source.targets else {
            panic!("no values")
        };
        assert_eq!((values.len(), floats(&source).len()), (1000, 3000));
        let found = least_squares(floats(&source), values);
        let wanted = [
            LINEAR_WEIGHTS[0],
            LINEAR_WEIGHTS[1],
            LINEAR_WEIGHTS[2],
            LINEAR_BIAS,
        ];
        // The standard error of each is 0.1 / sqrt(1000), about 0.003.
        for (found, wanted) in found.iter().zip(wanted) {
            assert!(
                (found - f64::from(wanted)).abs() < 0.015,
                "{found} {wanted}"
            );
        }
        let errors = floats(&source).chunks(3).zip(values).map(|(x, &y)| {
            let sum: f32 = x.iter().zip(LINEAR_WEIGHTS).map(|(x, w)| x * w).sum();
            f64::from(y - sum - LINEAR_BIAS).powi(2)
        });
        let deviation = (errors.sum::<f64>() / 1000.0).sqrt();
        assert!((deviation - 0.1).abs() < 0.01, "{deviation}");
    }

    #[test]
    fn normal_draws_have_mean_zero_and_variance_one() {
        let source = read("linear:20000").unwrap();
        let x = floats(&source);
        let n = x.len() as f64;
        let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
        let variance = x
            .iter()
            .map(|&x| (f64::from(x) - mean).powi(2))
            .sum::<f64>()
            / n;
        assert!(
            mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03,
            "{mean} {variance}"
        );
    }

    #[test]
    fn the_same_name_gives_the_same_samples_and_more_go_on_from_fewer() {
        for set in SETS {
            let (few, many) = (
                read(set.0).unwrap(),
                read(&format!("synthetic:{}:1500", set.0)).unwrap(),
            );
            assert_eq!(floats(&few), floats(&read(set.0).unwrap()), "{}", set.0);
            assert_eq!(
                *floats(&few),
                floats(&many)[..floats(&few).len()],
                "{}",
                set.0
            );
            assert_eq!(many.targets.len(), 1500);
        }
        // These bits are what the recipes' expected results rest on.
        let moons = read("moons").unwrap();
        let bits: Vec<u32> = floats(&moons)[..4].iter().map(|x| x.to_bits()).collect();
        assert_eq!(bits, [3211136374, 1059266167, 1068392945, 3199965649]);
    }

    /// Distances that tell the classes apart without any training.
    #[test]
    fn the_shapes_are_what_they_say() {
        let fits = |name: &str, class: &dyn Fn(f32, f32) -> u32| {
            let source = read(name).unwrap();
            let Targets::Classes { labels, names } = &source.targets else {
                panic!("no classes")
            };
            assert!(labels.iter().all(|&label| (label as usize) < names.len()));
            let points = floats(&source).chunks(2).zip(labels);
            points
                .filter(|(p, label)| class(p[0], p[1]) == **label)
                .count()
        };
        let circles = fits("circles", &|x, y| u32::from(x.hypot(y) < 0.75));
        assert!(circles > 990, "{circles}");
        let blobs = fits("blobs", &|x, y| match (x > 0.0, y > 0.0) {
            (true, true) => 0,
            (false, true) => 1,
            (false, false) => 2,
            (true, false) => 3,
        });
        assert!(blobs > 980, "{blobs}");
        let moons = fits("moons", &|x, y| {
            let to = |cx: f32, cy: f32, up: bool| {
                let off = (x - cx).hypot(y - cy) - 1.0;
                if (y > cy) == up {
                    off.abs()
                } else {
                    off.abs() + 1.0
                }
            };
            u32::from(to(1.0, 0.5, false) < to(0.0, 0.0, true))
        });
        assert!(moons > 950, "{moons}");
        let spiral = fits("spiral", &|x, y| {
            let turn = y.atan2(x) / std::f32::consts::TAU - x.hypot(y);
            ((turn * 3.0).round() as i32).rem_euclid(3) as u32
        });
        assert!(spiral > 950, "{spiral}");
    }

    #[test]
    fn unknown_names_and_counts_are_refused() {
        for name in [
            "synthetic:",
            "synthetic:moon",
            "moons:",
            "moons:9",
            "moons:1e3",
            "moons:5:5",
        ] {
            let error = read(name).unwrap_err();
            assert!(matches!(error, Error::Usage(_)));
            assert!(
                error
                    .to_string()
                    .contains("linear, moons, circles, spiral, blobs"),
                "{error}"
            );
        }
    }
}
