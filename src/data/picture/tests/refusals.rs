use image::{GrayImage, Luma, RgbaImage};

use super::*;
use crate::Error;

fn written(bytes: &[u8]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("picture");
    std::fs::write(&path, bytes).unwrap();
    (dir, path)
}

fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
    let (_dir, path) = saved(image, "x.png");
    std::fs::read(path).unwrap()
}

/// The refusal, which must be one line that names the file.
fn refusal(path: &Path, shape: ImageShape) -> Error {
    let error = load(path, shape).unwrap_err();
    let message = error.to_string();
    assert!(message.contains(&path.display().to_string()), "{message}");
    assert!(!message.contains('\n'), "{message}");
    error
}

fn data_refusal(path: &Path) -> String {
    match refusal(path, MNIST) {
        Error::Data(message) => message,
        other => panic!("not a Data error: {other:?}"),
    }
}

#[test]
fn files_that_hold_no_image_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let error = refusal(&dir.path().join("none.png"), MNIST);
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
    assert!(data_refusal(dir.path()).contains("a directory"));
    for (bytes, why) in [
        (&b""[..], "empty"),
        (b"hello, world\n", "known format"),
        (b"II*\0\x08\0\0\0\0\0\0\0", "tiff images are not supported"),
        (b"P5 0 4 255\n", "0x4, it has no pixels"),
        (b"GIF89a\0\0\0\0\0\0\0;", "damaged"),
        (b"P5 99999 2 255\n\0\0\0", "too large"),
        (b"P6 16384 16384 255\n\0\0\0", "too large"),
        (b"P5 4 4 255\n\0\0\0", "cut short"),
    ] {
        let (_dir, path) = written(bytes);
        let message = data_refusal(&path);
        assert!(message.contains(why), "{why}: {message}");
    }
}

#[test]
fn cut_files_are_refused() {
    for name in ["x.png", "x.gif", "x.bmp", "x.webp", "x.ppm", "x.jpg"] {
        let (_dir, path) = saved(blown_up(), name);
        let bytes = std::fs::read(&path).unwrap();
        for len in [20, bytes.len() / 2, bytes.len() * 9 / 10] {
            let (_dir, path) = written(&bytes[..len]);
            let message = data_refusal(&path);
            let told = ["cut short", "damaged"]
                .iter()
                .any(|why| message.contains(why));
            assert!(told, "{name} at {len}: {message}");
        }
    }
}

#[test]
fn damaged_files_are_refused() {
    let mut bytes = png(blown_up());
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    let (_dir, path) = written(&bytes);
    assert!(data_refusal(&path).contains("damaged"));
}

#[test]
fn blank_pictures_are_refused() {
    for value in [0, 130, 255] {
        for side in [28, 100] {
            let mut image = GrayImage::from_pixel(side, side, Luma([value]));
            image.put_pixel(9, 9, Luma([value ^ 8]));
            let (_dir, path) = saved(image, "blank.png");
            assert!(data_refusal(&path).contains("blank"));
        }
    }
    let (_dir, path) = saved(RgbaImage::new(50, 50), "clear.png");
    assert!(data_refusal(&path).contains("blank"));
}

#[test]
fn shapes_that_are_no_picture_are_refused() {
    let (_dir, path) = saved(seven(), "seven.png");
    for (channels, height) in [(2, 28), (0, 28), (1, 0)] {
        let shape = ImageShape {
            channels,
            height,
            width: 28,
        };
        assert!(matches!(refusal(&path, shape), Error::Data(_)));
    }
}
