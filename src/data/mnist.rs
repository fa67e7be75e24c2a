//! MNIST, embedded in the binary: 60000 training and 10000 test digits of 28x28 grey pixels.

use std::io::Read;

use super::idx::Idx;
use super::source::{Content, Source};
use super::{ImageShape, Samples, Targets, pack};
use crate::{Error, Result};

static TRAIN_IMAGES: &[u8] = include_bytes!("../../assets/train-images-idx3-ubyte.pack");
static TRAIN_LABELS: &[u8] = include_bytes!("../../assets/train-labels-idx1-ubyte.gz");
static TEST_IMAGES: &[u8] = include_bytes!("../../assets/t10k-images-idx3-ubyte.pack");
static TEST_LABELS: &[u8] = include_bytes!("../../assets/t10k-labels-idx1-ubyte.gz");

const SHAPE: ImageShape = ImageShape {
    channels: 1,
    height: 28,
    width: 28,
};
const CLASSES: u32 = 10;

/// Unpacks MNIST: strokes are light (up to 255) on a dark ground (0). The test images follow the
/// training images.
///
/// # Errors
/// [`Error::Data`] where the embedded files are damaged.
pub fn load() -> Result<Source> {
    let (train, test) = rayon::join(
        || part("MNIST train", TRAIN_IMAGES, TRAIN_LABELS),
        || part("MNIST test", TEST_IMAGES, TEST_LABELS),
    );
    let (mut all, test) = (train?, test?);
    let n_train = all.labels.len();
    all.pixels.extend_from_slice(&test.pixels);
    all.labels.extend_from_slice(&test.labels);
    Ok(Source {
        test: Some(n_train..all.labels.len()),
        content: Content::Samples {
            shape: SHAPE,
            samples: Samples::Bytes(all.pixels),
        },
        targets: Targets::Classes {
            labels: all.labels,
            names: (0..CLASSES).map(|class| class.to_string()).collect(),
        },
        val: None,
        names: Vec::new(),
        notes: Vec::new(),
    })
}

/// Images `[N, 28*28]` and labels `[N]` of one part.
#[derive(Debug)]
struct Part {
    pixels: Vec<u8>,
    labels: Vec<u32>,
}

/// Unpacks one part from its packed images and its gzipped IDX labels.
fn part(name: &str, images: &[u8], labels: &[u8]) -> Result<Part> {
    let bad = |what: String| Error::Data(format!("{name}: {what}"));
    let named = |error: Error| bad(error.to_string());

    let images = pack::unpack(images).map_err(named)?;
    if images.dims[1..] != [SHAPE.height, SHAPE.width] {
        let dims = images.dims;
        return Err(bad(format!("images of {dims:?} where {SHAPE} belongs")));
    }
    let mut idx = Vec::new();
    flate2::read::GzDecoder::new(labels)
        .read_to_end(&mut idx)
        .map_err(|error| bad(format!("the packed labels are damaged: {error}")))?;
    let labels = Idx::parse(&idx, 1).map_err(named)?.data;
    if labels.len() != images.dims[0] {
        let (labels, images) = (labels.len(), images.dims[0]);
        return Err(bad(format!("{labels} labels for {images} images")));
    }
    let labels: Vec<u32> = labels.into_iter().map(u32::from).collect();
    if let Some(label) = labels.iter().find(|&&label| label >= CLASSES) {
        return Err(bad(format!("label {label} of {CLASSES} classes")));
    }
    Ok(Part {
        pixels: images.data,
        labels,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn histogram(labels: &[u32]) -> [usize; 10] {
        let mut counts = [0; 10];
        for &label in labels {
            counts[label as usize] += 1;
        }
        counts
    }

    /// Sum of pixels, and sum of pixels weighted by position modulo 65521, which sees order.
    fn sums(pixels: &[u8]) -> (u64, u64) {
        pixels
            .iter()
            .zip(0u64..)
            .fold((0, 0), |(plain, weighted), (&pixel, ix)| {
                let pixel = u64::from(pixel);
                (plain + pixel, weighted + pixel * (ix % 65521))
            })
    }

    /// The expected numbers were computed with NumPy from the original files.
    #[test]
    fn the_embedded_files_are_mnist() {
        let source = load().unwrap();
        assert_eq!(source.test, Some(60000..70000));
        let Content::Samples {
            shape,
            samples: Samples::Bytes(pixels),
        } = source.content
        else {
            panic!("MNIST is pictures");
        };
        let Targets::Classes { labels, names } = source.targets else {
            panic!("MNIST has classes");
        };
        assert_eq!(pixels.len(), 70000 * shape.len());
        let (train, test) = pixels.split_at(60000 * shape.len());
        assert_eq!(names.concat(), "0123456789");
        assert_eq!(labels[..10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
        assert_eq!(labels[60000..60010], [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]);
        assert_eq!(
            histogram(&labels[..60000]),
            [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
        );
        assert_eq!(
            histogram(&labels[60000..]),
            [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
        );
        assert_eq!(sums(train), (1_567_298_545, 51_355_837_786_562));
        assert_eq!(sums(test), (264_923_200, 8_671_846_691_775));
    }

    #[test]
    fn a_flipped_byte_is_refused() {
        for at in [
            0,
            2,
            7,
            21,
            100,
            TEST_IMAGES.len() / 2,
            TEST_IMAGES.len() - 1,
        ] {
            let mut images = TEST_IMAGES.to_vec();
            images[at] ^= 0x10;
            let error = part("x", &images, TEST_LABELS).unwrap_err();
            assert!(matches!(error, Error::Data(_)), "byte {at}: {error}");
        }
        for at in [0, 2000, TEST_LABELS.len() - 6] {
            let mut labels = TEST_LABELS.to_vec();
            labels[at] ^= 0x10;
            let error = part("x", TEST_IMAGES, &labels).unwrap_err();
            assert!(matches!(error, Error::Data(_)), "byte {at}: {error}");
        }
    }

    #[test]
    fn labels_of_another_part_are_refused() {
        let error = part("x", TEST_IMAGES, TRAIN_LABELS).unwrap_err();
        assert!(error.to_string().contains("60000 labels"), "{error}");
    }

    #[test]
    fn a_label_without_a_class_is_refused() {
        let mut idx = vec![0, 0, 8, 1, 0, 0, 0x27, 0x10];
        idx.resize(8 + 10000, 9);
        let refused = |idx: &[u8]| {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), Default::default());
            gzip.write_all(idx).unwrap();
            part("x", TEST_IMAGES, &gzip.finish().unwrap()).err()
        };
        assert!(refused(&idx).is_none());
        idx[5000] = 10;
        let error = refused(&idx).unwrap();
        assert!(error.to_string().contains("label 10 "), "{error}");
    }

    #[test]
    fn images_of_another_size_are_refused() {
        // No images, of 2x3, in blocks of 1.
        let body = [0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3, 1, 0, 0, 0];
        let mut crc = flate2::Crc::new();
        crc.update(&body);
        let images = [&crc.sum().to_le_bytes()[..], &body].concat();
        let error = part("x", &images, TEST_LABELS).unwrap_err();
        assert!(error.to_string().contains("[0, 2, 3]"), "{error}");
    }
}
