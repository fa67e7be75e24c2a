//! Tests of the learning-rate finder's picture.

use super::*;
use crate::report::canvas::INK;
use crate::report::canvas::tests::{about, decode};

fn seen(name: &str, sweep: &Sweep) -> image::RgbImage {
    let png = draw(sweep).expect("draws");
    assert_eq!(png, draw(sweep).expect("draws again"));
    decode(name, &png)
}

/// A sweep from 1e-6 to 10: flat, falling to 1e-1, then running away.
fn sweep() -> (Vec<Xy>, Vec<Xy>) {
    let smooth: Vec<Xy> = (0..200)
        .map(|i| {
            let power = -6.0 + 7.0 * f64::from(i) / 199.0;
            let fall = 2.0 / (1.0 + f64::exp(3.0 * (power + 2.5)));
            let away = f64::exp(5.0 * (power + 0.3)).min(1e6);
            (10f64.powf(power), 0.3 + fall + away)
        })
        .collect();
    let raw = smooth
        .iter()
        .enumerate()
        .map(|(i, at)| {
            (
                at.0,
                at.1 * (1.0 + 0.2 * (((i * 7919) % 101) as f64 / 101.0 - 0.5)),
            )
        })
        .collect();
    (raw, smooth)
}

#[test]
fn the_suggestion_is_marked_on_the_curve() {
    let (raw, smooth) = sweep();
    let found = |rate| {
        let sweep = Sweep {
            title: "lr-find: mnist · linear:128,relu · adam",
            raw: &raw,
            smooth: &smooth,
            suggestion: Some(rate),
        };
        let image = seen("lr-find", &sweep);
        assert!(about(&image, BLUE, 0..1200, 63..560) > 400);
        assert!(about(&image, PALE_BLUE, 0..1200, 63..560) > 100);
        let hits = image.enumerate_pixels();
        let hits = hits.filter(|at| at.1 > 62 && at.2.0[0] > at.2.0[2].saturating_add(60));
        let columns: Vec<u32> = hits.map(|at| at.0).collect();
        assert!(columns.len() > 100);
        columns.iter().sum::<u32>() / columns.len() as u32
    };
    let (left, right) = (found(1e-4), found(1e-2));
    // Two of a little over seven decades on some 1100 pixels.
    assert!((280..340).contains(&(right - left)), "{left} {right}");
}

#[test]
fn the_run_away_end_leaves_the_picture() {
    let (raw, smooth) = sweep();
    let axis = losses(&raw, &smooth);
    assert!(axis.high > 2.3 && axis.high < 6.0 && !axis.log, "{axis:?}");
    let rising: Vec<Xy> = (1..10).map(|i| (f64::from(i), f64::from(i))).collect();
    assert!(
        losses(&[], &rising).high >= 9.0,
        "nothing fell: all is shown"
    );
}

#[test]
fn strange_sweeps_are_drawn() {
    let strange = [
        (0.0, 1.0),
        (-1.0, 1.0),
        (f64::NAN, 1.0),
        (1e-3, f64::NAN),
        (1e-3, f64::INFINITY),
    ];
    let empty = Sweep {
        title: "nothing",
        ..Sweep::default()
    };
    let with = |points| Sweep {
        raw: points,
        smooth: points,
        suggestion: Some(f64::NAN),
        ..empty
    };
    assert_eq!(seen("lr-empty", &with(&strange)), seen("lr-empty", &empty));
    let one = [(1e-3, 2.0)];
    assert!(about(&seen("lr-one", &with(&one)), BLUE, 0..1200, 63..560) > 10);
    let narrow = [(2.1e-3, 2.0), (2.9e-3, 1.0)];
    let image = seen("lr-narrow", &with(&narrow));
    assert!(about(&image, BLUE, 0..1200, 63..560) > 400);
    let axis = Axis::logarithmic("", (2.1e-3, 2.9e-3), 0.01);
    assert!(axis.ticks.len() >= 3, "{:?}", axis.ticks);
    let huge = [(1e-90, -1e90), (1.0, 1e90), (1e90, 0.0)];
    let marked = Sweep {
        suggestion: Some(1e80),
        ..with(&huge)
    };
    let image = seen("lr-huge", &marked);
    assert!(about(&image, VERMILLION, 0..1200, 63..560) > 50);
    assert!(about(&image, INK, 0..1200, 500..560) > 50);
}
