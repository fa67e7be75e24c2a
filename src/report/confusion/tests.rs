//! Tests of the confusion matrix.

use super::*;
use crate::report::canvas::tests::{count, decode};

fn seen(name: &str, names: &[String], counts: &[u32]) -> image::RgbImage {
    let confusion = Confusion {
        title: "test part",
        names,
        counts,
    };
    let png = draw(&confusion).expect("draws");
    assert_eq!(png, draw(&confusion).expect("draws again"));
    decode(name, &png)
}

fn numbered(count: usize, prefix: &str) -> Vec<String> {
    (0..count).map(|i| format!("{prefix}{i}")).collect()
}

/// Mostly right, with mistakes towards a neighbour and one scattered here and there.
fn plausible(classes: usize, per_class: u32) -> Vec<u32> {
    let at = |i: usize| {
        let (label, prediction) = (i / classes, i % classes);
        match (label, prediction) {
            _ if label == prediction => per_class - (label as u32 * 7) % (per_class / 4),
            _ if (label + 1) % classes == prediction => per_class / 20 + label as u32 % 5,
            _ => u32::from((i * 7919).is_multiple_of(13)),
        }
    };
    (0..classes * classes).map(at).collect()
}

/// The colour just inside a cell's upper left corner.
fn colour_of(image: &image::RgbImage, names: &[String], label: usize, prediction: usize) -> Rgb {
    let layout = Layout::new(names).expect("fits");
    let area = layout.place(label, prediction);
    let inset = (layout.cell / 2.0).min(3.0);
    let (x, y) = ((area.left + inset) as u32, (area.top + inset) as u32);
    image.get_pixel(x, y).0
}

#[test]
fn rows_are_labels_and_columns_predictions() {
    let names = numbered(3, "class ");
    let counts = [8, 2, 0, 0, 5, 0, 0, 0, 0];
    let image = seen("confusion-3", &names, &counts);
    let colour = |label, prediction| colour_of(&image, &names, label, prediction);
    assert_eq!(colour(0, 0), tint(BLUE, 0.8f64.sqrt()));
    assert_eq!(colour(0, 1), tint(VERMILLION, 0.2f64.sqrt()));
    assert_eq!(colour(1, 1), BLUE, "each row is a whole of its own");
    for empty in [(0, 2), (1, 0), (2, 0), (2, 1), (2, 2)] {
        assert_eq!(colour(empty.0, empty.1), WHITE, "{empty:?}");
    }
}

#[test]
fn every_size_is_drawn() {
    let sizes = [1, 2, 10, 20, 21, 40, 100, 200, 450];
    for classes in sizes {
        let names = numbered(classes, if classes < 40 { "" } else { "number " });
        let counts = plausible(classes, 1000);
        let image = seen(&format!("confusion-{classes}"), &names, &counts);
        assert!(image.width() <= 1150 && image.height() <= 1200, "{classes}");
        assert!(image.width() >= 480);
        if classes > 200 {
            let bluish = |at: &&image::Rgb<u8>| at.0[2] > at.0[0].saturating_add(40);
            assert!(image.pixels().filter(bluish).count() > 500);
            continue;
        }
        for label in [0, classes / 2, classes - 1] {
            let [red, _, blue] = colour_of(&image, &names, label, label);
            assert!(blue > red, "{classes} classes, {label}");
            let next = (label + 1) % classes;
            let [red, _, blue] = colour_of(&image, &names, label, next);
            assert_eq!(red > blue, next != label, "{classes} classes, {label}");
        }
    }
}

#[test]
fn long_and_hostile_names_fit() {
    let names = [
        "Straßenbahnhaltestellenschild mit einem sehr langen Namen",
        "Ελληνικά: γάτα",
        "кошка и собака на прогулке в парке",
        "<script>alert(1)</script>",
        "日本語",
        "a\tb\nc\0d\u{202e}e",
        "",
    ]
    .map(String::from);
    let long = "x".repeat(100_000);
    let names = [&names[..], &[long]].concat();
    let image = seen("confusion-names", &names, &plausible(8, 40_000));
    assert!(image.width() < 1150, "{}", image.width());
    let dark = |at: &(u32, u32, &image::Rgb<u8>)| at.0 < 240 && at.2.0[0] < 120;
    assert!(image.enumerate_pixels().filter(dark).count() > 1000);
}

#[test]
fn counts_fit_their_cells() {
    let names = numbered(20, "");
    let counts: Vec<u32> = (0..400).map(|i| u32::MAX >> (i % 32)).collect();
    seen("confusion-huge", &names, &counts);
    for (count, words) in [
        (999, "999"),
        (1000, "1.0k"),
        (9949, "9.9k"),
        (9950, "10k"),
        (999_499, "999k"),
        (999_500, "1.0M"),
        (12_345_678, "12M"),
        (u32::MAX, "4295M"),
    ] {
        assert_eq!(short(count), words);
    }
    let all_zero = seen("confusion-zero", &names, &[0; 400]);
    let layout = Layout::new(&names).expect("fits").matrix;
    let (x, y) = (layout.left as u32, layout.top as u32);
    let (right, bottom) = (layout.right as u32, layout.bottom as u32);
    assert_eq!(count(&all_zero, BLUE, x..right, y..bottom), 0);
}

#[test]
fn counts_that_do_not_fit_the_classes_are_refused() {
    for (names, counts) in [(0, 0), (2, 3), (3, 4)] {
        let (names, counts) = (numbered(names, ""), vec![1; counts]);
        let confusion = Confusion {
            title: "",
            names: &names,
            counts: &counts,
        };
        let error = draw(&confusion).expect_err("must not draw");
        assert!(error.contains(&counts.len().to_string()), "{error}");
    }
}
