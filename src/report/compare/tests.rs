//! Tests of the comparison.

use super::*;
use crate::report::canvas::tests::{about, decode};

fn point(epoch: f64, loss: f64, metric: f64) -> Point {
    Point {
        epoch,
        loss,
        metric: Some(metric),
    }
}

/// Twenty epochs of a run that learns the faster the smaller `slow` is.
fn run(slow: f64, gap: f64) -> Vec<Point> {
    let at = |i: i32| {
        let fall = (-f64::from(i) / slow).exp();
        point(
            f64::from(i),
            0.1 + gap + 2.0 * fall,
            0.95 - gap - 0.8 * fall,
        )
    };
    (1..=20).map(at).collect()
}

fn seen(name: &str, comparison: &Comparison) -> image::RgbImage {
    let png = draw(comparison).expect("draws");
    assert_eq!(png, draw(comparison).expect("draws again"));
    decode(name, &png)
}

/// Pixels of a run's colour in one panel, below the legend.
fn of_run(image: &image::RgbImage, index: usize, columns: std::ops::Range<u32>) -> usize {
    about(image, colour(index), columns, 120..image.height())
}

#[test]
fn ten_runs_have_their_colours_and_the_rest_is_counted() {
    let train: Vec<_> = (0..14).map(|i| run(2.0 + f64::from(i), 0.0)).collect();
    let validation: Vec<_> = (0..14).map(|i| run(2.0 + f64::from(i), 0.05)).collect();
    let names: Vec<String> = (0..14)
        .map(|i| {
            format!(
                "runs/mnist-{i} with a long name: adam lr 0.00{i} batch {}",
                32 << (i % 4)
            )
        })
        .collect();
    let runs: Vec<Series> = (0..14)
        .map(|i| Series {
            name: &names[i],
            train: &train[i],
            validation: &validation[i],
        })
        .collect();
    let comparison = Comparison {
        title: "14 members, best first",
        runs: &runs,
        ..Comparison::default()
    };
    let image = seen("compare", &comparison);
    for index in 0..10 {
        for columns in [0..600, 600..1200] {
            let found = of_run(&image, index, columns);
            assert!(found > 60, "run {index}: {found}");
        }
    }
    let ten = Comparison {
        runs: &runs[..10],
        ..comparison
    };
    assert_eq!(legend(&runs).len(), 11);
    assert_eq!(legend(&runs)[10].1, "and 4 more");
    assert_eq!(legend(&runs[..10]).len(), 10);
    assert_ne!(image, seen("compare-ten", &ten));
}

#[test]
fn validation_is_dashed() {
    let curve = run(4.0, 0.0);
    let with = |train, validation| {
        let runs = [Series {
            name: "one",
            train,
            validation,
        }];
        let comparison = Comparison {
            title: "one run",
            runs: &runs,
            ..Comparison::default()
        };
        of_run(&seen("compare-one", &comparison), 0, 0..600)
    };
    let (solid, dashed) = (with(&curve, &[]), with(&[], &curve));
    assert!(
        dashed * 2 > solid && dashed * 5 < solid * 4,
        "{solid} {dashed}"
    );
}

#[test]
fn a_diverged_run_does_not_squeeze_the_others() {
    let (good, better) = (run(4.0, 0.0), run(3.0, 0.0));
    let bad: Vec<_> = (1..=4)
        .map(|i| point(f64::from(i), 10f64.powi(i * 9), f64::NAN))
        .collect();
    let runs = [&good, &better, &bad].map(|train| Series {
        name: "run",
        train,
        validation: &[],
    });
    let losses = lines(&runs, |point| Some(point.loss));
    let limit = ceiling(&losses);
    assert!((5.0..50.0).contains(&limit), "{limit}");
    let comparison = Comparison {
        title: "one of three diverged",
        runs: &runs,
        ..Comparison::default()
    };
    let image = seen("compare-diverged", &comparison);
    // The good runs' first and last losses are far apart in the picture.
    let rows: Vec<u32> = image
        .enumerate_pixels()
        .filter(|at| at.0 < 600 && at.1 > 120 && at.2.0 == colour(0))
        .map(|at| at.1)
        .collect();
    let span = rows.iter().max().expect("drawn") - rows.iter().min().expect("drawn");
    assert!(span > 150, "{span}");
}

#[test]
fn nothing_and_strange_values_are_drawn() {
    let empty = Comparison {
        title: "nothing",
        ..Comparison::default()
    };
    assert!(about(&seen("compare-empty", &empty), [45; 3], 0..1200, 0..540) > 100);
    let strange = [
        point(f64::NAN, 1.0, 0.5),
        point(1.0, f64::INFINITY, 0.5),
        point(2.0, -1e300, -7.0),
        point(1e300, 0.0, 2.0),
        point(3.0, 1e-300, 1.5),
    ];
    for points in [&strange[..], &strange[4..], &strange[..2]] {
        let runs = [Series {
            name: "<script>\u{202e}\n日本",
            train: points,
            validation: &[],
        }];
        let comparison = Comparison {
            title: "",
            runs: &runs,
            ..Comparison::default()
        };
        let image = seen("compare-strange", &comparison);
        assert!(of_run(&image, 0, 0..1200) > 0);
    }
}
