use super::super::canvas::tests::{about, decode};
use super::super::canvas::{BLUE, VERMILLION};
use super::*;

fn series(name: &str, cpu: &[Xy], gpu: &[Xy]) -> Series {
    Series {
        name: name.to_string(),
        cpu: cpu.to_vec(),
        gpu: gpu.to_vec(),
    }
}

fn image(name: &str, series: &[Series]) -> image::RgbImage {
    let png = draw("training on MNIST with adam, CPU against a GPU", series);
    decode(name, &png.expect("draws"))
}

#[test]
fn each_network_has_a_colour_and_each_side_a_line() {
    let gpu = [(32.0, 9e4), (128.0, 3e5), (512.0, 9e5), (4096.0, 2e6)];
    let cpu = [(32.0, 2e5), (128.0, 2.4e5), (512.0, 3.9e5), (4096.0, 4e5)];
    let slow = [(32.0, 1e4), (128.0, 1.8e4)];
    let both = [
        series("784-128-10", &cpu, &gpu),
        series("784-1024-1024-10", &slow, &[]),
    ];
    let image = image("throughput", &both);
    let below = 100..HEIGHT;
    assert!(about(&image, BLUE, 0..WIDTH, below.clone()) > 2000);
    let vermillion = about(&image, VERMILLION, 0..WIDTH, below.clone());
    assert!(vermillion > 200, "{vermillion}");
    // The second network was measured at small batches alone: its line ends left of the middle.
    assert_eq!(about(&image, VERMILLION, WIDTH / 2..WIDTH, below), 0);
}

#[test]
fn a_single_point_and_no_point_draw() {
    let one = image("throughput-one", &[series("784-10", &[(128.0, 1e6)], &[])]);
    assert!(about(&one, BLUE, 100..WIDTH, 100..HEIGHT) > 20);
    let none = [
        (0.0, 1.0),
        (128.0, f64::NAN),
        (f64::INFINITY, 1.0),
        (1.0, -1.0),
    ];
    image("throughput-none", &[series("784-10", &none, &[])]);
    image("throughput-empty", &[]);
}
