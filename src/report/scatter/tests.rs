//! Tests of the scatter plot.

use super::*;
use crate::report::canvas::tests::{about, decode};

fn seen(name: &str, scatter: &Scatter) -> image::RgbImage {
    let png = draw(scatter).expect("draws");
    assert_eq!(png, draw(scatter).expect("draws again"));
    decode(name, &png)
}

/// Pixels that are more blue than red: the points, however thin.
fn bluish(image: &image::RgbImage) -> usize {
    let hit = |at: &&image::Rgb<u8>| at.0[2] > at.0[0].saturating_add(20);
    image.pixels().filter(hit).count()
}

fn cloud(count: usize) -> Vec<Xy> {
    let noise = |i: usize| ((i * 7919) % 1009) as f64 / 1009.0 - 0.5;
    (0..count)
        .map(|i| {
            let truth = 100.0 * ((i * 613) % 997) as f64 / 997.0;
            (
                truth,
                truth * 0.9 + 5.0 + 20.0 * noise(i) * noise(i * 3 + 1),
            )
        })
        .collect()
}

#[test]
fn points_lie_about_the_diagonal() {
    let points = cloud(300);
    let scatter = Scatter {
        title: "house prices, test part",
        target: "price (1000 €)",
        points: &points,
        r2: 0.9713,
        rmse: 4.2,
    };
    let image = seen("scatter", &scatter);
    assert!(bluish(&image) > 2000);
    assert!(about(&image, INK, 100..740, 60..700) > 300, "the diagonal");
    let corner = image::imageops::crop_imm(&image, 110, 100, 150, 150).to_image();
    assert_eq!(bluish(&corner), 0, "nothing far off the diagonal");
    let flipped: Vec<Xy> = points.iter().map(|at| (at.0, 100.0 - at.1)).collect();
    let other = Scatter {
        points: &flipped,
        ..scatter
    };
    let other = seen("scatter-flipped", &other);
    let corner = image::imageops::crop_imm(&other, 110, 100, 150, 150).to_image();
    assert!(bluish(&corner) > 200, "the vertical axis is the prediction");
}

#[test]
fn many_points_are_thinned_evenly_and_always_alike() {
    let points = cloud(200_000);
    let kept = thinned(&points);
    assert_eq!(kept.len(), MOST);
    assert_eq!(kept[1], points[40]);
    assert_eq!(kept[MOST - 1], points[199_960]);
    assert_eq!(thinned(&points[..77]), points[..77]);
    let scatter = Scatter {
        title: "many",
        points: &points,
        ..Scatter::default()
    };
    assert!(bluish(&seen("scatter-many", &scatter)) > 2000);
}

#[test]
fn a_wild_prediction_is_marked_at_the_edge() {
    let mut points = cloud(100);
    points.push((50.0, 1e30));
    points.push((60.0, -1e9));
    let scatter = Scatter {
        title: "wild",
        points: &points,
        r2: -1e50,
        rmse: 1e29,
        ..Scatter::default()
    };
    let (low, high) = range(&points);
    assert!(low > -60.0 && high < 160.0, "{low} {high}");
    let reddish = |image: &image::RgbImage| {
        let hit = |at: &&image::Rgb<u8>| at.0[0] > at.0[2].saturating_add(100);
        image.pixels().filter(hit).count()
    };
    assert!(reddish(&seen("scatter-wild", &scatter)) > 30);
    let calm = Scatter {
        points: &points[..100],
        ..scatter
    };
    assert_eq!(reddish(&seen("scatter-calm", &calm)), 0);
}

#[test]
fn strange_values_are_drawn_or_left_out() {
    let empty = Scatter {
        r2: f64::NAN,
        rmse: f64::INFINITY,
        ..Scatter::default()
    };
    let nan = [(f64::NAN, 1.0), (1.0, f64::NAN), (f64::INFINITY, 1.0)];
    let with = |points| Scatter { points, ..empty };
    assert_eq!(
        seen("scatter-nan", &with(&nan)),
        seen("scatter-none", &empty)
    );
    for points in [
        &[(3.0, 3.0)][..],
        &[(0.0, 0.0), (0.0, 1e90)],
        &[(-1e90, 1e90), (1e90, 1e-90)],
        &[(1e9, 1e9), (1e9 + 1.0, 1e9)],
    ] {
        let image = seen("scatter-strange", &with(points));
        assert!(bluish(&image) > 10, "{points:?}");
    }
}
