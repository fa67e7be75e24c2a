//! Tests of the training curves.

use std::ops::Range;

use super::*;
use crate::report::canvas::tests::{count as pixels, decode};

fn point(epoch: f64, loss: f64, metric: f64) -> Point {
    let metric = Some(metric);
    Point {
        epoch,
        loss,
        metric,
    }
}

/// Draws the curves twice, and decodes the picture.
fn seen(name: &str, curves: &Curves) -> image::RgbImage {
    let png = draw(curves).expect("draws");
    assert_eq!(png, draw(curves).expect("draws again"), "not deterministic");
    let image = decode(name, &png);
    let strip = if curves.rates.is_empty() { 0 } else { STRIP };
    assert_eq!(image.dimensions(), (WIDTH, HEIGHT + strip));
    image
}

/// Draws training steps, epochs and a test point.
fn picture(steps: &[Point], epochs: &[Point], test: Option<Point>) -> image::RgbImage {
    let curves = Curves {
        title: "run · 784×10 – é",
        steps,
        epochs,
        test,
        ..Curves::default()
    };
    seen("curves-small", &curves)
}

/// Pixels of exactly the colour of a series in the panels, that is below the legend.
fn count(image: &image::RgbImage, series: usize, columns: Range<u32>) -> usize {
    pixels(image, SERIES[series].1, columns, 63..HEIGHT)
}

#[test]
fn both_panels_show_the_series_and_only_those() {
    let epochs = [
        point(1.0, 0.9, 0.7),
        point(2.0, 0.4, 0.85),
        point(3.0, 0.3, 0.9),
    ];
    let image = picture(&[], &epochs, Some(point(3.0, 0.35, 0.88)));
    for columns in [0..600, 600..1200] {
        assert!(count(&image, 1, columns.clone()) > 200);
        assert!(count(&image, 3, columns.clone()) > 20);
        assert_eq!(
            count(&image, 0, columns.clone()) + count(&image, 2, columns),
            0
        );
    }
}

#[test]
fn without_accuracy_the_loss_takes_the_full_width() {
    let bare = [1.0, 2.0, 3.0].map(|epoch| Point {
        metric: None,
        ..point(epoch, 1.0 / epoch, 0.0)
    });
    let image = picture(&[], &bare, None);
    assert!(
        count(&image, 1, 450..700) > 200,
        "the line crosses the middle"
    );
}

#[test]
fn values_that_are_not_finite_are_skipped() {
    let nan = [
        point(1.0, f64::NAN, f64::NAN),
        point(f64::NAN, 1.0, 0.5),
        point(2.0, f64::INFINITY, -f64::INFINITY),
    ];
    assert_eq!(picture(&nan, &nan, Some(nan[0])), picture(&[], &[], None));
    let good = [point(1.0, 0.9, 0.7), point(2.0, 0.4, 0.85)];
    let mixed = [good[0], nan[0], nan[1], good[1], nan[2]];
    assert_eq!(picture(&mixed, &mixed, None), picture(&good, &good, None));
}

#[test]
fn extreme_and_constant_values_are_drawn() {
    let cases = [
        [0.0; 3],
        [5.0; 3],
        [1e38, 1.0, 1e-38],
        [1e38; 3],
        [1e-300; 3],
        [0.0, 1e-9, 3.0],
        [-2.0, 50.0, 0.0],
        [1e9, 1e9 + 1.0, 1e9],
    ];
    for losses in cases {
        let points: Vec<_> = (0..3)
            .map(|i| point(i as f64 + 1.0, losses[i], 1.0))
            .collect();
        let image = picture(&points, &points, Some(points[2]));
        assert!(count(&image, 1, 0..600) > 20, "{losses:?}");
    }
    let one = [point(1.0, 2.3, 0.1)];
    assert!(count(&picture(&[], &one, None), 1, 600..1200) > 10);
}

#[test]
fn the_picture_follows_the_data() {
    let with_last = |loss, accuracy| {
        picture(
            &[],
            &[
                point(1.0, 0.9, 0.7),
                point(2.0, 0.5, 0.8),
                point(3.0, loss, accuracy),
            ],
            None,
        )
    };
    let (base, other) = (with_last(0.4, 0.9), with_last(0.45, 0.9));
    let part =
        |image: &image::RgbImage, x| image::imageops::crop_imm(image, x, 0, 600, HEIGHT).to_image();
    assert_ne!(part(&base, 0), part(&other, 0), "loss panel");
    assert_eq!(part(&base, 600), part(&other, 600), "accuracy panel");
    assert_ne!(base, with_last(0.4, 0.91));
}

#[test]
fn many_steps_are_thinned_to_their_means() {
    let steps: Vec<_> = (0..5000)
        .map(|i| point(i as f64 / 1000.0, (i % 3) as f64, 0.5))
        .collect();
    let curves = Curves {
        title: "",
        steps: &steps,
        ..Curves::default()
    };
    let thin = &Panel::new(&curves, |point| Some(point.loss)).series[0];
    assert!((1000..=MAX_STEPS).contains(&thin.len()), "{}", thin.len());
    assert!(
        thin[..thin.len() - 1]
            .iter()
            .all(|at| (at.1 - 1.0).abs() < 1e-12)
    );
}

/// Thirty epochs of a run: a metric that rises to a best epoch, and rates of a warm-up and cosine.
fn whole_run() -> (Vec<Point>, Vec<Point>, Vec<Point>, Vec<Xy>) {
    let wave = |i: usize| ((i * 7919) % 101) as f64 / 101.0 - 0.5;
    let steps: Vec<_> = (1..=3000)
        .map(|i| {
            let (epoch, fall) = (i as f64 / 100.0, (-(i as f64) / 600.0).exp());
            point(
                epoch,
                0.1 + 1.9 * fall + 0.2 * fall * wave(i),
                (1.0 - 0.8 * fall + 0.05 * wave(i)).min(1.0),
            )
        })
        .collect();
    let epochs: Vec<_> = steps.iter().copied().skip(99).step_by(100).collect();
    let validation = (1..=30).map(|i| {
        let at = f64::from(i);
        let fall = (-at / 6.0).exp();
        let worse = (at - 18.0).max(0.0) * 0.01;
        point(
            at,
            0.2 + 1.8 * fall + worse,
            0.93 - 0.7 * fall - worse / 4.0,
        )
    });
    let rate = |i: usize| {
        let at = i as f64 / 3000.0;
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * at).cos());
        (
            i as f64 / 100.0,
            1e-3 * (i as f64 / 200.0).min(1.0) * cosine,
        )
    };
    let rates = (1..=3000).map(rate).collect();
    (steps, epochs, validation.collect(), rates)
}

#[test]
fn a_whole_run_shows_validation_best_epoch_and_learning_rate() {
    let (steps, epochs, validation, rates) = whole_run();
    let curves = Curves {
        title: "mnist-3: linear:128,relu · adam lr 0.001 · batch 128",
        steps: &steps,
        epochs: &epochs,
        validation: &validation,
        test: Some(point(18.0, 0.31, 0.895)),
        rates: &rates,
        best: Some(18.0),
        ..Curves::default()
    };
    let image = seen("curves", &curves);
    for columns in [0..600, 600..1200] {
        for series in 0..4 {
            let found = count(&image, series, columns.clone());
            assert!(found > 20, "series {series}: {found}");
        }
        // Lettering has a few pixels of any grey.
        assert!(
            pixels(&image, FAINT, columns, 63..HEIGHT) > 200,
            "best epoch"
        );
    }
    let strip = HEIGHT..HEIGHT + STRIP;
    let rate = |columns: Range<u32>| {
        (strip.clone())
            .flat_map(|y| columns.clone().map(move |x| (x, y)))
            .filter(|at| image.get_pixel(at.0, at.1).0 == INK)
            .filter(|at| at.1 < HEIGHT + 125)
            .map(|at| at.1)
            .min()
    };
    let (early, late) = (rate(180..200), rate(790..800));
    assert!(early < Some(HEIGHT + 40) && late > Some(HEIGHT + 80));
    let marked = Curves {
        test: None,
        ..curves
    };
    let plain = Curves {
        best: None,
        ..marked
    };
    let (marked, plain) = (
        seen("curves-best", &marked),
        seen("curves-without-best", &plain),
    );
    assert!(pixels(&plain, FAINT, 0..1200, 0..HEIGHT) < 60);
    for columns in [0..600, 600..1200] {
        let hollow = plain.enumerate_pixels().filter(|at| {
            columns.contains(&at.0)
                && at.2.0 == SERIES[2].1
                && marked.get_pixel(at.0, at.1).0 == [255; 3]
        });
        assert!(hollow.count() >= 5, "a ring around the validation's value");
    }
}

#[test]
fn another_metric_has_its_name_unit_and_bounds() {
    let (_, epochs, validation, _) = whole_run();
    let error = Metric {
        name: "mean absolute error",
        unit: "µg/m³",
        scale: 1.0,
        bounds: (0.0, f64::INFINITY),
        higher_is_better: false,
    };
    let decay: Vec<Xy> = (0..60)
        .map(|i| (f64::from(i) / 2.0, 0.1f64.powi(i / 15)))
        .collect();
    let errors = |points: &[Point]| -> Vec<Point> {
        let turned = |p: &Point| point(p.epoch, p.loss, 40.0 - 40.0 * p.metric.unwrap_or(0.0));
        points.iter().map(turned).collect()
    };
    let (falling, fallen) = (errors(&epochs), errors(&validation));
    let curves = Curves {
        title: "Größe: a regression",
        metric: error,
        epochs: &falling,
        validation: &fallen,
        rates: &decay,
        test: fallen.last().copied(),
        ..Curves::default()
    };
    let image = seen("curves-error", &curves);
    assert!(count(&image, 1, 600..1200) > 200 && count(&image, 3, 600..1200) > 20);
    let named = Curves {
        metric: Metric {
            name: "other",
            ..error
        },
        ..curves
    };
    assert_ne!(image, seen("curves-other", &named));

    let r2 = Axis::metric(&Metric::R2, &[-3.0, 0.8, 0.95], &[]);
    assert!(r2.title == "R²" && r2.high <= 1.0 && r2.low < 0.8, "{r2:?}");
    let falls = Axis::metric(&error, &[3.0, 3.5, 4.0, 5.0, 900.0], &[]);
    assert!(
        falls.title == "mean absolute error (µg/m³)" && falls.low >= 0.0,
        "{falls:?}"
    );
    assert!(
        falls.high > 5.0 && falls.high < 100.0,
        "the first bad value leaves the picture: {falls:?}"
    );
}

#[test]
fn rates_are_logarithmic_only_where_they_fall_by_factors() {
    let sorted = |rates: &dyn Fn(f64) -> f64| {
        let mut all: Vec<f64> = (0..100).map(|i| rates(f64::from(i) / 99.0)).collect();
        all.sort_by(f64::total_cmp);
        Axis::rates(&all)
    };
    assert!(!sorted(&|_| 0.01).log);
    assert!(!sorted(&|at| 1e-3 * (0.500001 + 0.5 * (std::f64::consts::PI * at).cos())).log);
    assert!(sorted(&|at| 0.1 * 0.001f64.powf(at)).log);
    assert!(!sorted(&|at| at).log, "a warm-up from zero");
    for strange in [&[][..], &[0.0], &[-1.0, 1.0], &[1e-300, 1e-299, 1e99]] {
        let axis = Axis::rates(strange);
        assert!(axis.low < axis.high, "{axis:?}");
    }
}

#[test]
fn axes_fit_their_values() {
    assert!(!Axis::loss(&[0.2, 2.3], &[]).log);
    let loss = Axis::loss(&[0.02, 2.3], &[]);
    let labels: Vec<_> = loss.ticks.iter().map(|tick| tick.1.as_str()).collect();
    assert!(
        loss.log && labels == ["0.02", "0.05", "0.1", "0.2", "0.5", "1", "2"],
        "{labels:?}"
    );
    let metric = |curves: &[f64], steps: &[f64]| Axis::metric(&Metric::ACCURACY, curves, steps);
    let accuracy = metric(
        &[88.0, 95.0, 97.0, 97.5, 98.0],
        &[5.0, 40.0, 90.0, 95.0, 97.0, 98.0],
    );
    assert!(accuracy.low > 75.0 && accuracy.low < 88.0 && accuracy.high <= 100.0);
    let late: Vec<f64> = [10.0]
        .into_iter()
        .chain((0..99).map(|i| 97.0 + i as f64 / 99.0))
        .collect();
    assert!(
        metric(&late, &[]).low > 95.0,
        "one bad epoch must not hide the rest"
    );
    for last in [1.0, 7.0, 30.0, 1234.0] {
        let labels = Axis::epochs([0.1, last].into_iter()).ticks;
        assert!(labels.len() >= 2 && labels.len() <= 12, "{labels:?}");
        assert!(
            labels.iter().all(|tick| tick.1.parse::<u32>().is_ok()),
            "{labels:?}"
        );
    }
}
