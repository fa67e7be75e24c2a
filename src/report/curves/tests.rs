//! Tests of the training curves.

use std::ops::Range;

use super::*;

fn point(epoch: f64, loss: f64, accuracy: f64) -> Point {
    let accuracy = Some(accuracy);
    Point {
        epoch,
        loss,
        accuracy,
    }
}

/// Draws training steps, epochs and a test point, and decodes the picture.
fn picture(steps: &[Point], epochs: &[Point], test: Option<Point>) -> image::RgbImage {
    let (title, validation) = ("run · 784×10 – é", &[]);
    let curves = Curves {
        title,
        steps,
        epochs,
        validation,
        test,
    };
    let png = draw(&curves).expect("draws");
    assert_eq!(
        png,
        draw(&curves).expect("draws again"),
        "not deterministic"
    );
    let image = image::load_from_memory_with_format(&png, image::ImageFormat::Png);
    let image = image.expect("decodes").to_rgb8();
    assert_eq!(image.dimensions(), SIZE);
    image
}

/// Pixels of exactly the colour of a series in the panels, that is below the legend.
fn count(image: &image::RgbImage, series: usize, columns: Range<u32>) -> usize {
    let RGBColor(r, g, b) = SERIES[series].1;
    let hit = |at: &(u32, u32, &image::Rgb<u8>)| {
        at.1 > 62 && columns.contains(&at.0) && at.2.0 == [r, g, b]
    };
    image.enumerate_pixels().filter(hit).count()
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
        accuracy: None,
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
        |image: &image::RgbImage, x| image::imageops::crop_imm(image, x, 0, 600, SIZE.1).to_image();
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
        epochs: &[],
        validation: &[],
        test: None,
    };
    let thin = &Panel::new(&curves, |point| Some(point.loss)).series[0];
    assert!((1000..=MAX_STEPS).contains(&thin.len()), "{}", thin.len());
    assert!(
        thin[..thin.len() - 1]
            .iter()
            .all(|at| (at.1 - 1.0).abs() < 1e-12)
    );
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
    let accuracy = Axis::accuracy(
        &[88.0, 95.0, 97.0, 97.5, 98.0],
        &[5.0, 40.0, 90.0, 95.0, 97.0, 98.0],
    );
    assert!(accuracy.low > 75.0 && accuracy.low < 88.0 && accuracy.high <= 100.0);
    let late: Vec<f64> = [10.0]
        .into_iter()
        .chain((0..99).map(|i| 97.0 + i as f64 / 99.0))
        .collect();
    assert!(
        Axis::accuracy(&late, &[]).low > 95.0,
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
