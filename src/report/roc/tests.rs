//! Tests of the receiver operating characteristic.

use super::*;
use crate::report::canvas::tests::{about, decode};

fn seen(name: &str, roc: &Roc) -> image::RgbImage {
    let png = draw(roc).expect("draws");
    assert_eq!(png, draw(roc).expect("draws again"));
    decode(name, &png)
}

#[test]
fn the_curve_lies_above_the_diagonal() {
    let curve: Vec<_> = (0..=100)
        .map(|i| f64::from(i) / 100.0)
        .map(|x| (x, x.powf(0.25)))
        .collect();
    let roc = Roc {
        title: "cats and dogs",
        positive: "dog",
        points: &curve,
        auc: 0.8,
    };
    let image = seen("roc", &roc);
    assert!(about(&image, BLUE, 0..640, 0..660) > 400);
    assert!(about(&image, FAINT, 90..610, 60..590) > 100);
    // A column in the middle meets the curve above the diagonal.
    let row = |dark: fn(&image::Rgb<u8>) -> bool| {
        (60..590).find(|y| (340..350).any(|x| dark(image.get_pixel(x, *y))))
    };
    let curve = row(|at| at.0[2] > at.0[0].saturating_add(60)).expect("drawn");
    let diagonal = row(|at| at.0[0] < 160 && at.0[2] < 160).expect("drawn");
    assert!(curve + 100 < diagonal, "{curve} {diagonal}");
    let other = Roc { auc: 0.81, ..roc };
    assert_ne!(image, seen("roc-title", &other), "the title shows the area");
}

#[test]
fn strange_points_are_left_out_or_moved_inside() {
    let none = Roc {
        auc: f64::NAN,
        ..Roc::default()
    };
    let areas = [0.5, 0.6].map(|auc| seen("roc-bare", &Roc { auc, ..none }));
    assert_ne!(areas[0], areas[1], "the area is shown without a title too");
    assert_eq!(about(&seen("roc-empty", &none), BLUE, 0..640, 0..660), 0);
    let points = [
        (f64::NAN, 0.5),
        (0.0, 0.0),
        (0.5, f64::INFINITY),
        (-3.0, 7.0),
        (1.0, 1.0),
    ];
    let roc = Roc {
        points: &points,
        ..none
    };
    let image = seen("roc-strange", &roc);
    assert!(about(&image, BLUE, 60..640, 40..620) > 400);
    assert_eq!(about(&image, BLUE, 0..640, 0..45), 0);
}
