//! The binary layout of CIFAR-10 and CIFAR-100: records of labels and 3x32x32 pixels.
//!
//! Source: Krizhevsky, "Learning multiple layers of features from tiny images", 2009, and the
//! description of the binary version at the data set's page.

use std::io::{BufReader, Read};
use std::path::Path;

use super::ImageShape;
use super::open::{names_in, regular};
use super::source::{Content, Samples, Source, Targets};
use crate::{Error, Result};

const SHAPE: ImageShape = ImageShape {
    channels: 3,
    height: 32,
    width: 32,
};
const PIXELS: usize = 3072;

/// How the files of one of the two data sets look.
struct Layout {
    /// The labels before the pixels of a record, the one to learn last.
    n_labels: usize,
    n_classes: usize,
    names: &'static str,
    train: Vec<String>,
    test: &'static str,
}

/// Whether `names`, those in a folder, are of one of the two data sets.
pub fn is_cifar(names: &[String]) -> bool {
    layout(names).is_some()
}

fn layout(names: &[String]) -> Option<Layout> {
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    let batches: Vec<String> = (1..=5)
        .map(|number| format!("data_batch_{number}.bin"))
        .filter(|name| has(name))
        .collect();
    if !batches.is_empty() || has("test_batch.bin") {
        return Some(Layout {
            n_labels: 1,
            n_classes: 10,
            names: "batches.meta.txt",
            train: batches,
            test: "test_batch.bin",
        });
    }
    has("train.bin").then(|| Layout {
        n_labels: 2,
        n_classes: 100,
        names: "fine_label_names.txt",
        train: vec!["train.bin".to_string()],
        test: "test.bin",
    })
}

/// Reads CIFAR-10 (`data_batch_1.bin` to `data_batch_5.bin`, `test_batch.bin`, `batches.meta.txt`)
/// or CIFAR-100 with its fine labels (`train.bin`, `test.bin`, `fine_label_names.txt`).
///
/// The test file and the class names may be missing, and so may some of the batches.
///
/// # Errors
/// [`Error::Io`] where a file cannot be read; [`Error::Data`], naming file and record, where one
/// is cut short or a label out of range.
pub fn read(folder: &Path) -> Result<Source> {
    let bad = |what: String| Err(Error::Data(format!("{}: {what}", folder.display())));
    let names = names_in(folder)?;
    let Some(layout) = layout(&names).filter(|layout| !layout.train.is_empty()) else {
        return bad(
            "no training records; CIFAR-10's binary version holds data_batch_1.bin to data_batch_5.bin and test_batch.bin"
                .to_string(),
        );
    };
    let mut notes = Vec::new();
    let classes = class_names(folder, &names, &layout, &mut notes)?;
    let mut pixels = Vec::new();
    let mut labels = Vec::new();
    for name in &layout.train {
        append(
            &folder.join(name),
            &layout,
            classes.len(),
            &mut pixels,
            &mut labels,
        )?;
    }
    if layout.n_labels == 1 && layout.train.len() < 5 {
        notes.push(format!("only {} of 5 training batches", layout.train.len()));
    }
    let n_train = labels.len();
    let test = if names.iter().any(|name| name == layout.test) {
        let test = folder.join(layout.test);
        append(&test, &layout, classes.len(), &mut pixels, &mut labels)?;
        Some(n_train..labels.len())
    } else {
        notes.push(format!("no test file ({})", layout.test));
        None
    };
    if labels[..n_train].iter().all(|&label| label == labels[0]) {
        return bad("all training records are of one class; there is nothing to tell apart".into());
    }
    Ok(Source {
        content: Content::Samples {
            shape: SHAPE,
            samples: Samples::Bytes(pixels),
        },
        targets: Targets::Classes {
            labels,
            names: classes,
        },
        test,
        val: None,
        names: Vec::new(),
        notes,
    })
}

/// The lines of the names' file, else the numbers.
fn class_names(
    folder: &Path,
    names: &[String],
    layout: &Layout,
    notes: &mut Vec<String>,
) -> Result<Vec<String>> {
    /// Far more than a hundred names need.
    const MOST: u64 = 1 << 16;
    if !names.iter().any(|name| name == layout.names) {
        notes.push(format!("classes by number: there is no {}", layout.names));
        return Ok((0..layout.n_classes)
            .map(|class| class.to_string())
            .collect());
    }
    let path = folder.join(layout.names);
    let mut text = Vec::new();
    let (file, _) = regular(&path)?;
    file.take(MOST)
        .read_to_end(&mut text)
        .map_err(|e| Error::io(&path, "read", e))?;
    let text = String::from_utf8_lossy(&text);
    let classes: Vec<String> = text
        .lines()
        .map(|line| line.trim().to_string())
        .filter(|line| !line.is_empty())
        .collect();
    if classes.len() != layout.n_classes {
        return Err(Error::Data(format!(
            "{}: {} names where {} classes belong, one a line",
            path.display(),
            classes.len(),
            layout.n_classes
        )));
    }
    Ok(classes)
}

/// Appends all records of one file.
fn append(
    path: &Path,
    layout: &Layout,
    n_classes: usize,
    pixels: &mut Vec<u8>,
    labels: &mut Vec<u32>,
) -> Result<()> {
    let bad = |what: String| Err(Error::Data(format!("{}: {what}", path.display())));
    let (file, len) = regular(path)?;
    let size = (layout.n_labels + PIXELS) as u64;
    let (whole, rest) = (len / size, len % size);
    if len == 0 {
        return bad("the file is empty".to_string());
    }
    if rest != 0 {
        return bad(format!(
            "record {} has {rest} of {size} bytes; the file is cut short or not in CIFAR's binary layout",
            whole + 1
        ));
    }
    let mut file = BufReader::with_capacity(1 << 16, file);
    let mut record = vec![0; size as usize];
    if pixels.try_reserve(whole as usize * PIXELS).is_err() {
        return bad(format!("{whole} records do not fit into memory"));
    }
    for number in 1..=whole {
        file.read_exact(&mut record)
            .map_err(|e| Error::io(path, "read", e))?;
        let label = record[layout.n_labels - 1];
        if usize::from(label) >= n_classes {
            return bad(format!(
                "record {number} has label {label}; {n_classes} classes have labels from 0 to {}",
                n_classes - 1
            ));
        }
        labels.push(u32::from(label));
        pixels.extend_from_slice(&record[layout.n_labels..]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// Records whose pixels are the label's number and then count upwards.
    fn records(labels: &[&[u8]]) -> Vec<u8> {
        let record = |labels: &&[u8]| {
            let first = labels[labels.len() - 1];
            let pixels = (0..PIXELS).map(move |ix| (ix as u8).wrapping_add(first));
            labels.iter().copied().chain(pixels).collect::<Vec<u8>>()
        };
        labels.iter().flat_map(record).collect()
    }

    fn folder(files: &[(&str, Vec<u8>)]) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        dir
    }

    fn refusal(files: &[(&str, Vec<u8>)]) -> String {
        match read(folder(files).path()) {
            Err(Error::Data(message)) => message,
            other => panic!("not refused: {other:?}"),
        }
    }

    fn labels(source: &Source) -> (&[u32], &[String]) {
        match &source.targets {
            Targets::Classes { labels, names } => (labels, names),
            other => panic!("no classes: {other:?}"),
        }
    }

    const NAMES: &str = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n";

    #[test]
    fn cifar_10_is_read() {
        let dir = folder(&[
            ("data_batch_2.bin", records(&[&[9]])),
            ("data_batch_1.bin", records(&[&[3], &[5]])),
            ("test_batch.bin", records(&[&[0]])),
            ("batches.meta.txt", NAMES.into()),
        ]);
        let source = read(dir.path()).unwrap();
        let Content::Samples {
            shape,
            samples: Samples::Bytes(bytes),
        } = &source.content
        else {
            panic!("no bytes")
        };
        assert_eq!(
            (shape.to_string().as_str(), bytes.len()),
            ("3x32x32", 4 * PIXELS)
        );
        assert_eq!([bytes[0], bytes[PIXELS], bytes[2 * PIXELS + 1]], [3, 5, 10]);
        assert_eq!(labels(&source).0, [3, 5, 9, 0]);
        assert_eq!(labels(&source).1[9], "truck");
        assert_eq!(source.test, Some(3..4));
        assert_eq!(source.notes, ["only 2 of 5 training batches"]);
    }

    #[test]
    fn cifar_100_is_read_with_its_fine_labels() {
        let source = read(folder(&[("train.bin", records(&[&[1, 99], &[19, 0]]))]).path()).unwrap();
        assert_eq!(labels(&source).0, [99, 0]);
        assert_eq!(labels(&source).1.len(), 100);
        assert!(source.notes[0].contains("no fine_label_names.txt"));
        assert!(source.notes[1].contains("no test file (test.bin)"));
    }

    #[test]
    fn bad_records_are_named() {
        let good = records(&[&[3], &[5]]);
        let message = refusal(&[("data_batch_1.bin", good[..good.len() - 1].to_vec())]);
        assert!(
            message.contains("data_batch_1.bin: record 2 has 3072 of 3073 bytes"),
            "{message}"
        );
        let message = refusal(&[
            ("data_batch_1.bin", good.clone()),
            ("test_batch.bin", records(&[&[1], &[10]])),
        ]);
        assert!(
            message.contains("test_batch.bin: record 2 has label 10"),
            "{message}"
        );
        assert!(refusal(&[("data_batch_1.bin", Vec::new())]).contains("is empty"));
        assert!(refusal(&[("test_batch.bin", good.clone())]).contains("no training records"));
        assert!(refusal(&[("data_batch_1.bin", records(&[&[3], &[3]]))]).contains("one class"));
        let message = refusal(&[
            ("data_batch_1.bin", good),
            ("batches.meta.txt", "cat\ndog".into()),
        ]);
        assert!(
            message.contains("2 names where 10 classes belong"),
            "{message}"
        );
    }
}
