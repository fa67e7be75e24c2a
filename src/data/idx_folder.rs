//! A folder with the files of MNIST and its kin: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
//! `t10k-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`, raw or gzipped.

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::ImageShape;
use super::idx::Header;
use super::labels::count_classes;
use super::open::{names_in, regular};
use super::source::{Content, Samples, Source, Targets};
use crate::{Error, Result};

/// Deflate makes at most so many bytes of one.
const MAX_RATIO: u64 = 1032;
const NAMES: &str = "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte";

/// Whether `name` is one that [`read`] looks for.
pub fn is_idx_name(name: &str) -> bool {
    [TRAIN, TEST]
        .iter()
        .any(|part| is_role(name, part, IMAGES) || is_role(name, part, LABELS))
}

/// Reads the images and labels in `folder`; without test files there is no test part.
///
/// A dot may stand for the dash before `idx`, `test` for `t10k`, and one prefix before the names, as
/// in EMNIST's files; gzip is known by its first bytes. No more memory is taken than there are data.
///
/// # Errors
/// [`Error::Io`] where a file cannot be read; [`Error::Data`], naming the file, where one is
/// missing, damaged or cut short, where counts or sizes do not fit one another, where a test label
/// is not among the training labels, or where there is but one class.
pub fn read(folder: &Path) -> Result<Source> {
    let names = names_in(folder)?;
    let mut pixels = Vec::new();
    let mut labels = Vec::new();
    let Some(train) = read_part(folder, &names, TRAIN, &mut pixels, &mut labels)? else {
        return Err(Error::Data(format!(
            "{}: no training images; an IDX folder holds {NAMES}, each raw or .gz",
            folder.display()
        )));
    };
    let n_train = train.count;
    let mut notes = Vec::new();
    let test = read_part(folder, &names, TEST, &mut pixels, &mut labels)?;
    match &test {
        Some(test) if test.shape != train.shape => {
            return Err(Error::Data(format!(
                "{}: the training images are {}, the test images {}; both must have one size",
                folder.display(),
                train.shape,
                test.shape
            )));
        }
        Some(_) => {}
        None => notes.push("no test files (t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte)".into()),
    }
    let n = labels.len();
    let others = [("test", n_train..n)];
    let n_classes = count_classes(folder, &labels, n_train, &others, &mut notes)?;
    Ok(Source {
        content: Content::Samples {
            shape: train.shape,
            samples: Samples::Bytes(pixels),
        },
        targets: Targets::Classes {
            labels,
            names: (0..n_classes).map(|class| class.to_string()).collect(),
        },
        test: test.map(|_| n_train..n),
        val: None,
        names: Vec::new(),
        notes,
    })
}

const TRAIN: &[&str] = &["train"];
const TEST: &[&str] = &["t10k", "test"];
const IMAGES: (&str, u8) = ("images", 3);
const LABELS: (&str, u8) = ("labels", 1);

/// What was read of one part.
struct Part {
    count: usize,
    shape: ImageShape,
}

/// Whether `name` is that of a part's images or labels.
fn is_role(name: &str, parts: &[&str], (what, rank): (&str, u8)) -> bool {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    parts.iter().any(|part| {
        ["-", "."].iter().any(|dash| {
            let wanted = format!("{part}-{what}{dash}idx{rank}-ubyte");
            let prefix = name.strip_suffix(&wanted);
            prefix.is_some_and(|prefix| prefix.is_empty() || prefix.ends_with(['-', '_', '.']))
        })
    })
}

/// The one file of that part and role; the raw one where the gzipped one lies beside it.
fn find<'a>(
    folder: &Path,
    names: &'a [String],
    parts: &[&str],
    role: (&str, u8),
) -> Result<Option<&'a str>> {
    let mut found: Option<&str> = None;
    for name in names.iter().filter(|name| is_role(name, parts, role)) {
        match found {
            // Sorted names: the raw file comes first.
            Some(first) if name.strip_suffix(".gz") == Some(first) => {}
            Some(first) => {
                return Err(Error::Data(format!(
                    "{}: both {first} and {name} are there; keep the files of one data set in a folder",
                    folder.display()
                )));
            }
            None => found = Some(name),
        }
    }
    Ok(found)
}

/// Appends a part's pixels and labels; nothing where it has no files.
fn read_part(
    folder: &Path,
    names: &[String],
    parts: &[&str],
    pixels: &mut Vec<u8>,
    labels: &mut Vec<u32>,
) -> Result<Option<Part>> {
    let bad = |what: String| Err(Error::Data(format!("{}: {what}", folder.display())));
    let images = find(folder, names, parts, IMAGES)?;
    let numbers = find(folder, names, parts, LABELS)?;
    let (images, numbers) = match (images, numbers) {
        (Some(images), Some(numbers)) => (images, numbers),
        (None, None) => return Ok(None),
        (Some(images), None) => {
            return bad(format!(
                "{images} has no labels beside it; {}-labels-idx1-ubyte is missing",
                parts[0]
            ));
        }
        (None, Some(numbers)) => {
            return bad(format!(
                "{numbers} has no images beside it; {}-images-idx3-ubyte is missing",
                parts[0]
            ));
        }
    };
    // The labels first: they are few.
    let mut bytes = Vec::new();
    let n_labels = append(&folder.join(numbers), LABELS.1, &mut bytes)?[0];
    let dims = append(&folder.join(images), IMAGES.1, pixels)?;
    if dims.contains(&0) {
        return bad(format!(
            "{images} holds no pixels: its header says {dims:?}"
        ));
    }
    if dims[0] != n_labels {
        return bad(format!(
            "{images} holds {} images, but {numbers} holds {n_labels} labels",
            dims[0]
        ));
    }
    labels.extend(bytes.into_iter().map(u32::from));
    Ok(Some(Part {
        count: dims[0],
        shape: ImageShape {
            channels: 1,
            height: dims[1],
            width: dims[2],
        },
    }))
}

/// Appends the data of an IDX file of unsigned bytes to `out`, and returns its sizes.
fn append(path: &Path, rank: u8, out: &mut Vec<u8>) -> Result<Vec<usize>> {
    let (file, file_len) = regular(path)?;
    let mut file = BufReader::with_capacity(1 << 16, file);
    let start = file.fill_buf().map_err(|e| Error::io(path, "read", e))?;
    if start.starts_with(&[0x1f, 0x8b]) {
        let inner = MultiGzDecoder::new(file);
        append_from(inner, path, rank, file_len.saturating_mul(MAX_RATIO), out)
    } else {
        append_from(file, path, rank, file_len, out)
    }
}

/// `most` bounds the number of bytes that `reader` can give.
fn append_from(
    mut reader: impl Read,
    path: &Path,
    rank: u8,
    most: u64,
    out: &mut Vec<u8>,
) -> Result<Vec<usize>> {
    let bad = |what: String| Error::Data(format!("{}: {what}", path.display()));
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::UnexpectedEof => bad("the gzip file is cut short".to_string()),
        ErrorKind::InvalidInput | ErrorKind::InvalidData => {
            bad(format!("the gzip file is damaged ({error})"))
        }
        _ => Error::io(path, "read", error),
    };
    let mut head = Vec::new();
    let head_len = 4 + 4 * u64::from(rank);
    (&mut reader)
        .take(head_len)
        .read_to_end(&mut head)
        .map_err(failed)?;
    let header = Header::parse(&head, rank).map_err(|error| bad(error.to_string()))?;

    let wanted = header.data_len as u64;
    let (before, room) = (out.len(), wanted.min(most) as usize);
    out.try_reserve(room)
        .map_err(|_| bad(format!("{wanted} bytes of data do not fit into memory")))?;
    // One byte more than the header says, so that a longer file shows, and a bomb does no harm.
    let found = reader
        .take(wanted.saturating_add(1))
        .read_to_end(out)
        .map_err(failed)?;
    if found as u64 != wanted {
        let found = match out.len() - before {
            more if more as u64 > wanted => "more".to_string(),
            less => format!("only {less}"),
        };
        return Err(bad(format!(
            "the header says {:?}, which is {wanted} bytes of data, but there are {found}",
            header.dims
        )));
    }
    Ok(header.dims)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tempfile::TempDir;

    use super::*;

    fn idx(dims: &[u32], data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, dims.len() as u8];
        bytes.extend(dims.iter().flat_map(|dim| dim.to_be_bytes()));
        bytes.extend(data);
        bytes
    }

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), Default::default());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }

    fn folder(files: &[(&str, Vec<u8>)]) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        dir
    }

    fn good() -> Vec<(&'static str, Vec<u8>)> {
        vec![
            (
                "train-images-idx3-ubyte",
                idx(&[3, 2, 2], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
            ),
            ("train-labels-idx1-ubyte", idx(&[3], &[0, 3, 0])),
            ("t10k-images-idx3-ubyte", idx(&[1, 2, 2], &[13, 14, 15, 16])),
            ("t10k-labels-idx1-ubyte", idx(&[1], &[2])),
        ]
    }

    /// The message about the good folder with file `ix` replaced.
    fn refusal(ix: usize, bytes: Vec<u8>) -> String {
        let mut files = good();
        files[ix].1 = bytes;
        refusal_of(&files)
    }

    fn refusal_of(files: &[(&str, Vec<u8>)]) -> String {
        match read(folder(files).path()) {
            Err(Error::Data(message)) => message,
            other => panic!("not refused: {other:?}"),
        }
    }

    fn assert_good(source: &Source) {
        let Content::Samples { shape, samples } = &source.content else {
            panic!("no samples")
        };
        assert_eq!(shape.to_string(), "1x2x2");
        assert_eq!(*samples, Samples::Bytes((1..17).collect()));
        let names = ["0", "1", "2", "3"].map(String::from).to_vec();
        let labels = vec![0, 3, 0, 2];
        assert_eq!(source.targets, Targets::Classes { labels, names });
        assert_eq!(
            (source.test.clone(), source.val.clone()),
            (Some(3..4), None)
        );
        assert_eq!(
            source.notes,
            ["2 of 4 classes have no training samples: 1, 2"]
        );
    }

    #[test]
    fn raw_gzipped_dotted_and_prefixed_files_are_read() {
        assert_good(&read(folder(&good()).path()).unwrap());
        let packed = [
            ("train-images-idx3-ubyte.gz", gz(&good()[0].1)),
            ("train-labels.idx1-ubyte.gz", gz(&good()[1].1)),
            ("emnist-t10k-images.idx3-ubyte", good()[2].1.clone()),
            // Unpacked on the way, but still called .gz.
            ("emnist-test-labels-idx1-ubyte.gz", good()[3].1.clone()),
        ];
        assert_good(&read(folder(&packed).path()).unwrap());
        // The raw file wins over the packed one.
        let mut both = good();
        both.push(("train-images-idx3-ubyte.gz", gz(b"else")));
        assert_good(&read(folder(&both).path()).unwrap());
    }

    #[test]
    fn a_gzip_file_of_several_members_is_read_whole() {
        let mut files = good();
        let (a, b) = files[0].1.split_at(20);
        files[0].1 = [gz(a), gz(b)].concat();
        assert_good(&read(folder(&files).path()).unwrap());
    }

    #[test]
    fn without_test_files_there_is_no_test_part() {
        let source = read(folder(&good()[..2]).path()).unwrap();
        assert_eq!(source.test, None);
        assert!(source.notes[0].contains("no test files"));
    }

    #[test]
    fn missing_and_doubled_files_are_named() {
        assert!(refusal_of(&[]).contains("no training images"));
        assert!(refusal_of(&good()[..1]).contains("train-labels-idx1-ubyte is missing"));
        assert!(refusal_of(&good()[1..2]).contains("train-images-idx3-ubyte is missing"));
        assert!(refusal_of(&good()[..3]).contains("t10k-labels-idx1-ubyte is missing"));
        let mut doubled = good();
        doubled.push(("x-train-images-idx3-ubyte", good()[0].1.clone()));
        assert!(refusal_of(&doubled).contains("both train-images-idx3-ubyte and x-train"));
    }

    #[test]
    fn counts_and_sizes_must_agree() {
        let message = refusal(1, idx(&[2], &[0, 1]));
        assert!(
            message.contains("3 images, but train-labels-idx1-ubyte holds 2 labels"),
            "{message}"
        );
        let message = refusal(2, idx(&[1, 1, 4], &[0; 4]));
        assert!(
            message.contains("training images are 1x2x2, the test images 4 inputs"),
            "{message}"
        );
        assert!(refusal(0, idx(&[0, 2, 2], &[])).contains("no pixels"));
    }

    #[test]
    fn labels_must_make_sense() {
        let message = refusal(3, idx(&[1], &[4]));
        assert!(
            message.contains("test label 1 has the value 4"),
            "{message}"
        );
        assert!(refusal(1, idx(&[3], &[5, 5, 5])).contains("every training label is 5"));
    }

    #[test]
    fn damaged_files_are_named() {
        let images = good()[0].1.clone();
        assert!(
            refusal(0, images[..20].to_vec())
                .contains("which is 12 bytes of data, but there are only 4")
        );
        assert!(refusal(0, [&images[..], &[0]].concat()).contains("but there are more"));
        assert!(refusal(0, b"hello".to_vec()).contains("train-images-idx3-ubyte: not an IDX file"));
        assert!(refusal(0, Vec::new()).contains("0 bytes"));
        let packed = gz(&images);
        for cut in 2..packed.len() {
            let message = refusal(0, packed[..cut].to_vec());
            assert!(message.contains("cut short"), "{cut}: {message}");
        }
        let mut flipped = packed.clone();
        let checksum = packed.len() - 8;
        flipped[checksum] ^= 1;
        assert!(refusal(0, flipped).contains("damaged"));
    }

    /// A header of 4 GiB over a few bytes, and a bomb of 64 MiB of zeros behind a small header.
    #[test]
    fn hostile_files_are_refused() {
        let huge = idx(&[1 << 16, 1 << 8, 1 << 8], &[1, 2, 3]);
        assert!(refusal(0, huge.clone()).contains("only 3"));
        assert!(refusal(0, gz(&huge)).contains("only 3"));
        let mut bomb = idx(&[3, 2, 2], &[]);
        bomb.resize(1 << 26, 0);
        assert!(refusal(0, gz(&bomb)).contains("but there are more"));
    }
}
