//! Tests of the contact sheet.

use super::*;
use crate::data::mnist;
use crate::report::canvas::tests::decode;

fn shape(channels: usize, height: usize, width: usize) -> ImageShape {
    ImageShape {
        channels,
        height,
        width,
    }
}

fn source(shape: ImageShape, samples: Samples, targets: Targets) -> Source {
    Source {
        content: Content::Samples { shape, samples },
        targets,
        test: None,
        val: None,
        names: Vec::new(),
        notes: Vec::new(),
    }
}

fn classes(labels: Vec<u32>, n: usize) -> Targets {
    Targets::Classes {
        labels,
        names: (0..n).map(|class| format!("class {class}")).collect(),
    }
}

/// The sheet and the left edge of its pictures.
fn sheet(name: &str, source: &Source) -> (RgbImage, u32) {
    let png = draw(source, "a title").unwrap().unwrap();
    assert_eq!(Some(png.clone()), draw(source, "a title").unwrap());
    let image = decode(name, &png);
    let left = image.width() - MARGIN + (STEP - SIDE) - COLUMNS as u32 * STEP;
    (image, left)
}

/// The middle pixel of a cell.
fn middle(image: &RgbImage, left: u32, row: usize, column: usize) -> [u8; 3] {
    let (x, y) = place(left, row, column);
    image.get_pixel(x + SIDE / 2, y + SIDE / 2).0
}

const GROUND: [u8; 3] = [255; 3];

#[test]
fn each_class_has_a_row_of_its_training_samples() {
    // Sample n is all n; the classes take turns; the last ones are for the test.
    let labels: Vec<u32> = (0..90).map(|ix| ix % 3).collect();
    let bytes = (0..90u8).flat_map(|n| [n; 6]).collect();
    let mut set = source(shape(1, 2, 3), Samples::Bytes(bytes), classes(labels, 3));
    set.test = Some(60..90);
    let (image, left) = sheet("sheet-rows", &set);
    for row in 0..3 {
        for column in 0..12 {
            // 20 training samples a class, evenly spaced.
            let sample = (column * 20 / 12 * 3 + row) as u8;
            assert_eq!(
                middle(&image, left, row, column),
                [sample; 3],
                "{row} {column}"
            );
        }
    }
    assert_eq!(image.height(), TOP + 3 * STEP + 14);
    // Enlarged by 18 to 54x36, so that there is ground above and none at the sides.
    let (x, y) = place(left, 0, 0);
    assert_ne!(image.get_pixel(x + 28, y + 9).0, [0; 3]);
    assert_eq!(image.get_pixel(x + 1, y + 10).0, [0; 3]);
    let ink = |columns: std::ops::Range<u32>| {
        columns
            .flat_map(|x| (TOP..image.height()).map(move |y| (x, y)))
            .filter(|&(x, y)| image.get_pixel(x, y).0[0] < 100)
            .count()
    };
    assert!(ink(0..left - 16) > 100, "labels");
    assert_eq!(ink(left - 14..left), 0);
}

#[test]
fn colours_come_plane_by_plane_and_small_classes_leave_cells_empty() {
    let bytes = [[10u8; 4], [20; 4], [30; 4], [40; 4], [50; 4], [60; 4]].concat();
    let set = source(
        shape(3, 2, 2),
        Samples::Bytes(bytes),
        classes(vec![1, 0], 2),
    );
    let (image, left) = sheet("sheet-colour", &set);
    assert_eq!(middle(&image, left, 1, 0), [10, 20, 30]);
    assert_eq!(middle(&image, left, 0, 0), [40, 50, 60]);
    assert_eq!(middle(&image, left, 0, 1), GROUND);
}

#[test]
fn floats_are_scaled_to_their_range() {
    let floats = [-1.0f32, 0.0, 3.0]
        .into_iter()
        .flat_map(|x| [x; 4])
        .collect();
    let set = source(
        shape(1, 2, 2),
        Samples::Floats(floats),
        classes(vec![0, 0, 1], 2),
    );
    let (image, left) = sheet("sheet-floats", &set);
    assert_eq!(middle(&image, left, 0, 0), [0; 3]);
    assert_eq!(middle(&image, left, 0, 1), [64; 3]);
    assert_eq!(middle(&image, left, 1, 0), [255; 3]);
    let same = source(
        shape(1, 2, 2),
        Samples::Floats(vec![7.0; 8]),
        classes(vec![0, 1], 2),
    );
    let (image, left) = sheet("sheet-constant", &same);
    assert_eq!(middle(&image, left, 0, 0), [128; 3]);
}

#[test]
fn values_go_from_the_least_to_the_greatest() {
    let values: Vec<f32> = (0..60).map(|ix| -(ix as f32)).collect();
    let bytes = (0..60u8).flat_map(|n| [n; 4]).collect();
    let name = "age".to_string();
    let set = source(
        shape(1, 2, 2),
        Samples::Bytes(bytes),
        Targets::Values { values, name },
    );
    let (image, left) = sheet("sheet-values", &set);
    // The last sample has the least value; ten in each of six rows.
    assert_eq!(middle(&image, left, 0, 0), [59; 3]);
    assert_eq!(middle(&image, left, 5, 9), [0; 3]);
    assert_eq!(middle(&image, left, 5, 10), GROUND);
}

#[test]
fn many_classes_are_cut_and_large_pictures_shrink() {
    let n = 25;
    let picture: Vec<u8> = (0..100 * 200)
        .map(|ix| ((ix % 200 + ix / 200) % 2 * 255) as u8)
        .collect();
    let set = source(
        shape(1, 100, 200),
        Samples::Bytes(picture.repeat(n)),
        classes((0..n as u32).collect(), n),
    );
    let (image, left) = sheet("sheet-many", &set);
    assert_eq!(image.height(), TOP + 20 * STEP + 34);
    let [grey, ..] = middle(&image, left, 19, 0);
    assert!(
        (100..156).contains(&grey),
        "a fine board averages to grey: {grey}"
    );
}

#[test]
fn vectors_are_drawn_only_as_squares() {
    let of = |n: usize| {
        let set = source(
            shape(1, 1, n),
            Samples::Bytes(vec![9; 2 * n]),
            classes(vec![0, 1], 2),
        );
        draw(&set, "").unwrap().is_some()
    };
    assert!(of(64) && of(784));
    assert!(!of(2) && !of(63) && !of(49) && !of(100 * 101));
}

/// For people to look at, with GPU_TRAIN_PICTURES; here the digits' ink is looked for.
#[test]
fn mnist_shows_its_digits() {
    let mut set = mnist::load().unwrap();
    let names = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "a long name indeed of a class called seven",
        "eight",
        "nine",
    ];
    if let Targets::Classes { names: digits, .. } = &mut set.targets {
        *digits = names.map(String::from).to_vec();
    }
    let (image, left) = sheet("sheet-mnist", &set);
    for row in 0..10 {
        for column in 0..12 {
            let (x, y) = place(left, row, column);
            let cell = imageops::crop_imm(&image, x, y, SIDE, SIDE).to_image();
            let light = cell.pixels().filter(|pixel| pixel.0[0] > 128).count();
            assert!((60..1500).contains(&light), "{row} {column}: {light}");
        }
    }
}
