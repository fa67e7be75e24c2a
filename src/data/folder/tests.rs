//! Tests of image folders.

use std::fs;

use image::{DynamicImage, GrayImage, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use tempfile::TempDir;

use super::*;

/// A grey picture whose pixels all differ between `seed`s.
fn grey(width: u32, height: u32, seed: u8) -> DynamicImage {
    GrayImage::from_fn(width, height, |x, y| Luma([(x * 7 + y * 13) as u8 ^ seed])).into()
}

fn colour(width: u32, height: u32) -> DynamicImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([10 + x as u8, 100 + y as u8, 200])
    })
    .into()
}

struct Tree(TempDir);

impl Tree {
    fn new() -> Tree {
        Tree(tempfile::tempdir().unwrap())
    }

    /// Two classes of two grey 3x2 pictures under `parts`.
    fn with(parts: &[&str]) -> Tree {
        let tree = Tree::new();
        for (part, seed) in parts.iter().zip([0, 100, 200]) {
            for (name, more) in [
                ("a/1.png", 1),
                ("a/2.png", 2),
                ("b/1.png", 3),
                ("b/2.png", 4),
            ] {
                tree.save(&format!("{part}{name}"), grey(3, 2, seed + more));
            }
        }
        tree
    }

    fn save(&self, name: &str, image: DynamicImage) -> &Tree {
        self.write(name, b"");
        image.save(self.0.path().join(name)).unwrap();
        self
    }

    fn write(&self, name: &str, bytes: &[u8]) -> &Tree {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    fn folder(&self, name: &str) -> &Tree {
        fs::create_dir_all(self.0.path().join(name)).unwrap();
        self
    }

    fn read(&self) -> Source {
        self.read_with(&ImageOptions::default())
    }

    fn read_with(&self, options: &ImageOptions) -> Source {
        read(self.0.path(), options).unwrap()
    }

    fn refusal(&self) -> String {
        match read(self.0.path(), &ImageOptions::default()) {
            Err(Error::Data(message)) => message,
            other => panic!("not refused: {other:?}"),
        }
    }
}

fn pixels(source: &Source) -> (ImageShape, &[u8]) {
    match &source.content {
        Content::Samples {
            shape,
            samples: Samples::Bytes(bytes),
        } => (*shape, bytes),
        other => panic!("no bytes: {other:?}"),
    }
}

fn labels(source: &Source) -> (&[u32], &[String]) {
    match &source.targets {
        Targets::Classes { labels, names } => (labels, names),
        other => panic!("no classes: {other:?}"),
    }
}

fn shape(channels: usize, height: usize, width: usize) -> ImageShape {
    ImageShape {
        channels,
        height,
        width,
    }
}

fn assert_noted(source: &Source, note: &str) {
    let notes = &source.notes;
    assert!(notes.iter().any(|n| n.contains(note)), "{note}: {notes:?}");
}

#[test]
fn flat_class_folders_are_read_in_the_order_of_their_paths() {
    let tree = Tree::with(&[""]);
    tree.save("b/inner/0.PNG", grey(3, 2, 9));
    let source = tree.read();
    let (shape_, bytes) = pixels(&source);
    assert_eq!(shape_, shape(1, 2, 3));
    let expected: Vec<u8> = [1, 2, 3, 4, 9]
        .into_iter()
        .flat_map(|seed| grey(3, 2, seed).into_luma8().into_raw())
        .collect();
    assert_eq!(bytes, expected);
    assert_eq!(labels(&source).0, [0, 0, 1, 1, 1]);
    assert_eq!(labels(&source).1, ["a", "b"]);
    assert_eq!(
        source.names,
        ["a/1.png", "a/2.png", "b/1.png", "b/2.png", "b/inner/0.PNG"]
    );
    assert_eq!((source.test, source.val), (None, None));
    assert!(source.notes.is_empty(), "{:?}", source.notes);
}

#[test]
fn parts_become_ranges() {
    let source = Tree::with(&["train/", "Validation/", "test/"]).read();
    assert_eq!(
        (source.val.clone(), source.test.clone()),
        (Some(4..8), Some(8..12))
    );
    let (_, bytes) = pixels(&source);
    assert_eq!(bytes[8 * 6..9 * 6], *grey(3, 2, 201).as_bytes());
    assert_eq!(labels(&source).0, [0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1]);
    assert_eq!(source.names[8], "test/a/1.png");
}

#[test]
fn colour_goes_channel_by_channel() {
    let tree = Tree::with(&[""]);
    tree.save("a/1.png", colour(3, 2));
    let source = tree.read();
    let (shape_, bytes) = pixels(&source);
    assert_eq!(shape_, shape(3, 2, 3));
    assert_eq!(bytes[..6], [10, 11, 12, 10, 11, 12]);
    assert_eq!(bytes[6..12], [100, 100, 100, 101, 101, 101]);
    assert_eq!(bytes[12..18], [200; 6]);
    // A grey one is repeated in each channel.
    assert_eq!(bytes[18..24], bytes[24..30]);
    assert_noted(&source, "taken as colour: 1 of 4 sampled pictures");

    let options = ImageOptions {
        channels: Some(1),
        ..ImageOptions::default()
    };
    let source = tree.read_with(&options);
    // (299 * 10 + 587 * 100 + 114 * 200 + 500) / 1000
    assert_eq!(pixels(&source).1[0], 84);
    assert_noted(&source, "1 picture turned from colour to grey");
}

#[test]
fn grey_pictures_saved_in_colour_count_as_grey() {
    let tree = Tree::with(&[""]);
    tree.save("a/1.png", grey(3, 2, 1).into_rgb8().into());
    tree.save("b/2.png", grey(3, 2, 4).into_rgba8().into());
    let source = tree.read();
    assert_eq!(pixels(&source), pixels(&Tree::with(&[""]).read()));
}

#[test]
fn sizes_are_chosen_and_noted() {
    let tree = Tree::with(&[""]);
    for name in ["a/3.png", "a/4.png", "b/3.png", "b/4.png", "b/5.png"] {
        tree.save(name, grey(200, 100, 7));
    }
    let source = tree.read();
    assert_eq!(pixels(&source).0, shape(1, 32, 64));
    assert_noted(
        &source,
        "64x32 (2 sizes in 9 sampled pictures, most often 200x100); --size",
    );
    assert_noted(
        &source,
        "9 pictures resized to 64x32, the aspect ratio of 4 changed",
    );

    let alike = Tree::new();
    for name in ["a/1.jpg", "b/1.jpg"] {
        alike.save(name, grey(256, 10, 0));
    }
    assert_eq!(pixels(&alike.read()).0, shape(1, 10, 256));
    for name in ["a/1.jpg", "b/1.jpg"] {
        alike.save(name, grey(257, 10, 0));
    }
    let source = alike.read();
    assert_eq!(pixels(&source).0, shape(1, 2, 64));
    assert_noted(&source, "all are 257x10");
}

/// A checkerboard of single pixels averages to grey; picking pixels would keep black or white.
#[test]
fn shrinking_averages() {
    let tree = Tree::new();
    let board = GrayImage::from_fn(64, 64, |x, y| Luma([((x + y) % 2 * 255) as u8]));
    for name in ["a/1.png", "b/1.png"] {
        tree.save(name, board.clone().into());
    }
    let options = ImageOptions {
        size: Some((8, 4)),
        ..ImageOptions::default()
    };
    let source = tree.read_with(&options);
    let (shape_, bytes) = pixels(&source);
    assert_eq!(shape_, shape(1, 4, 8));
    assert!(bytes.iter().all(|b| (120..136).contains(b)), "{bytes:?}");
}

#[test]
fn transparency_goes_over_white() {
    let tree = Tree::with(&[""]);
    let clear = RgbaImage::from_pixel(3, 2, Rgba([0, 0, 0, 0]));
    tree.save("a/1.png", clear.into());
    let source = tree.read();
    assert_eq!(pixels(&source).1[..6], [255; 6]);
    assert_noted(&source, "1 picture laid over white where transparent");
}

#[test]
fn every_format_is_read_and_known_by_its_content() {
    let tree = Tree::new();
    for name in ["1.png", "2.bmp", "3.gif", "4.webp", "5.pgm", "6.jpeg"] {
        for class in ["a", "b"] {
            let colour = if name == "3.gif" {
                grey(5, 4, 0).into_rgba8().into()
            } else {
                grey(5, 4, 0)
            };
            tree.save(&format!("{class}/{name}"), colour);
        }
    }
    // The name lies; the first bytes tell.
    fs::rename(tree.0.path().join("a/2.bmp"), tree.0.path().join("a/2.jpg")).unwrap();
    let source = tree.read();
    let (shape_, bytes) = pixels(&source);
    assert_eq!((shape_, bytes.len()), (shape(1, 4, 5), 12 * 20));
    for ix in [0, 1, 2, 3, 4] {
        assert_eq!(
            bytes[ix * 20..ix * 20 + 20],
            *grey(5, 4, 0).as_bytes(),
            "{ix}"
        );
    }
}

#[test]
fn broken_pictures_are_named_and_left_out() {
    let tree = Tree::with(&["train/", "test/"]);
    tree.write("train/a/1.png", b"no picture");
    tree.write("train/a/3.png", b"");
    tree.write(
        "test/b/1.png",
        &fs::read(tree.0.path().join("test/b/2.png")).unwrap()[..50],
    );
    let source = tree.read();
    assert_eq!(
        source.names,
        [
            "train/a/2.png",
            "train/b/1.png",
            "train/b/2.png",
            "test/a/1.png",
            "test/a/2.png",
            "test/b/2.png"
        ]
    );
    assert_eq!(source.test, Some(3..6));
    assert_eq!(labels(&source).0, [0, 1, 1, 0, 0, 1]);
    assert_eq!(pixels(&source).1[..6], *grey(3, 2, 2).as_bytes());
    assert_eq!(pixels(&source).1[30..], *grey(3, 2, 104).as_bytes());
    assert_noted(&source, "3 broken pictures left out:");
    assert_noted(&source, "a/1.png: not an image");
    assert_noted(&source, "a/3.png: the file is empty");
    assert_noted(&source, "cut short");
}

/// Two are broken: the last one of the first half, and the first one of the second half, which
/// another thread meets sooner.
#[test]
fn strict_stops_at_the_first_broken_picture() {
    let tree = Tree::new();
    for class in ["a", "b"] {
        for ix in 0..64 {
            tree.save(&format!("{class}/{ix:02}.png"), grey(3, 2, ix));
        }
    }
    tree.write("a/63.png", b"first")
        .write("b/00.png", b"second");
    for channels in [None, Some(1)] {
        let options = ImageOptions {
            size: Some((3, 2)),
            channels,
            strict: true,
        };
        let error = read(tree.0.path(), &options).unwrap_err().to_string();
        assert!(error.contains("a/63.png: not an image"), "{error}");
    }
}

#[test]
fn a_class_that_loses_all_pictures_is_refused() {
    let tree = Tree::with(&[""]);
    tree.write("b/1.png", b"x").write("b/2.png", b"x");
    assert!(tree.refusal().contains("class b is broken"));
    tree.write("a/1.png", b"x").write("a/2.png", b"x");
    let message = tree.refusal();
    assert!(message.contains("none of 4 sampled pictures"), "{message}");
    assert!(message.contains("1.png: not an image"), "{message}");
}

#[test]
fn other_files_are_counted() {
    let tree = Tree::with(&["train/", "test/"]);
    tree.write("train/a/.hidden.png", b"x")
        .write("train/Thumbs.db", b"x")
        .write("readme.txt", b"x")
        .write("test/b/label.json", b"x")
        .write("train/stray.png", b"x")
        .write("other/thing.txt", b"x");
    let source = tree.read();
    assert_eq!(source.names.len(), 8);
    assert_noted(&source, "4 other files ignored");
    assert_noted(
        &source,
        "1 picture in train/ outside the class folders left out",
    );
    assert_noted(&source, "other/ is left out");
}

#[test]
fn layouts_that_cannot_be_used_say_what_would_do() {
    let tree = Tree::new();
    assert!(tree.refusal().contains("no pictures and no class folders"));
    tree.save("1.png", grey(2, 2, 0));
    assert!(tree.refusal().contains("1 picture, but no class folders"));
    tree.folder("a").folder("b");
    assert!(tree.refusal().contains("no pictures (PNG"));
    tree.save("a/1.png", grey(2, 2, 0));
    let message = tree.refusal();
    assert!(
        message.contains("class folder b/ holds no pictures"),
        "{message}"
    );
    fs::remove_dir(tree.0.path().join("b")).unwrap();
    assert!(tree.refusal().contains("only one class folder, a/"));

    let message = Tree::with(&["test/"]).refusal();
    assert!(
        message.contains("there is test/, but no train/"),
        "{message}"
    );
    let missing = read(Path::new("no such folder"), &ImageOptions::default());
    assert!(matches!(missing, Err(Error::Io { .. })));
}

#[test]
fn parts_must_have_the_same_classes() {
    let tree = Tree::with(&["train/", "test/"]);
    tree.save("test/c/1.png", grey(3, 2, 0));
    let message = tree.refusal();
    assert!(
        message.contains("test/c/ has no folder of the same name"),
        "{message}"
    );

    fs::remove_dir_all(tree.0.path().join("test/c")).unwrap();
    fs::remove_dir_all(tree.0.path().join("test/a")).unwrap();
    tree.folder("test/a");
    let source = tree.read();
    assert_eq!(labels(&source).0[source.test.clone().unwrap()], [1, 1]);
    assert_noted(&source, "test/ has no pictures of a");
}

#[test]
fn a_test_part_without_classes_is_noted() {
    let tree = Tree::with(&["train/"]);
    tree.save("test/1.png", grey(3, 2, 0)).folder("val");
    let source = tree.read();
    assert_eq!((source.test.clone(), source.val.clone()), (None, None));
    assert_noted(&source, "test/ is left out: its 1 picture lie");
    assert_noted(&source, "val/ is left out: it is empty");
}

#[test]
fn impossible_options_are_refused() {
    let refused = |size, channels| {
        let options = ImageOptions {
            size,
            channels,
            strict: false,
        };
        match read(Tree::with(&[""]).0.path(), &options) {
            Err(Error::Usage(message)) => message,
            other => panic!("not refused: {other:?}"),
        }
    };
    assert!(refused(Some((0, 5)), None).contains("0x5"));
    assert!(refused(Some((5, 100_000)), None).contains("from 1 to 4096"));
    assert!(refused(None, Some(2)).contains("2 channels"));
}

#[cfg(unix)]
#[test]
fn links_are_followed_but_not_in_circles() {
    use std::os::unix::fs::symlink;
    let tree = Tree::with(&[""]);
    let root = tree.0.path();
    symlink(root.join("a/1.png"), root.join("b/3.png")).unwrap();
    symlink(root, root.join("b/loop")).unwrap();
    symlink(root.join("nowhere"), root.join("b/4.png")).unwrap();
    symlink(root.join("a"), root.join("c")).unwrap();
    let source = tree.read();
    assert_eq!(labels(&source).1, ["a", "b", "c"]);
    assert_eq!(labels(&source).0, [0, 0, 1, 1, 1, 2, 2]);
    assert_noted(&source, "2 other files ignored");
}

#[test]
fn one_picture_is_read_like_those_of_the_folder() {
    let tree = Tree::with(&[""]);
    tree.save("a/1.png", colour(40, 30));
    for channels in [1, 3] {
        let options = ImageOptions {
            size: Some((9, 8)),
            channels: Some(channels),
            strict: false,
        };
        let source = tree.read_with(&options);
        let (shape, bytes) = pixels(&source);
        for (name, expected) in source.names.iter().zip(bytes.chunks(shape.len())) {
            let one = load_one(&tree.0.path().join(name), shape).unwrap();
            assert_eq!(one, expected, "{name}");
        }
    }
    let odd = load_one(&tree.0.path().join("a/1.png"), shape(2, 3, 3));
    assert!(odd.unwrap_err().to_string().contains("2x3x3"));
}
