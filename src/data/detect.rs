//! Tells what kind of data a name or a path stands for.

use std::path::Path;

use super::open::names_in;
use super::{cifar, idx_folder, synthetic};
use crate::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The embedded data set.
    Mnist,
    /// A folder of class folders with pictures.
    Folder,
    /// A folder with MNIST's file names.
    Idx,
    /// A folder with CIFAR's binary files.
    Cifar,
    /// An archive of NumPy arrays.
    Npz,
    /// A .csv or .tsv file.
    Table,
    /// `synthetic:NAME`.
    Synthetic,
}

const ACCEPTED: &str = "accepted are mnist, synthetic:NAME, a .csv, .tsv or .npz file, and a folder of class folders with pictures, of IDX files (train-images-idx3-ubyte ...) or of CIFAR's .bin files";

/// Tells the kind of `name` by itself or by what lies there, from names alone: no file is read.
///
/// # Errors
/// [`Error::Usage`] where nothing lies there; [`Error::Data`] where nothing that lies there is
/// known; [`Error::Io`] where a folder cannot be listed. Each says what would do.
pub fn detect(name: &str) -> Result<Kind> {
    if name == "mnist" {
        return Ok(Kind::Mnist);
    }
    if name.starts_with("synthetic:") || name == "synthetic" {
        // A bare name is refused with the list of sets when the set is made.
        return Ok(Kind::Synthetic);
    }
    let path = Path::new(name);
    let bad = |what: &str| Err(Error::Data(format!("{name}: {what}; {ACCEPTED}")));
    let Ok(meta) = std::fs::metadata(path) else {
        let hint = if name.eq_ignore_ascii_case("mnist") {
            "did you mean mnist? ".to_string()
        } else if synthetic::names().split(", ").any(|set| set == name) {
            format!("did you mean synthetic:{name}? ")
        } else {
            String::new()
        };
        return Err(Error::Usage(format!(
            "{name}: {hint}there is no such file or folder; {ACCEPTED}"
        )));
    };
    if meta.is_dir() {
        return folder(path, bad);
    }
    if !meta.is_file() {
        return bad("neither a regular file nor a folder");
    }
    let lower = name.to_ascii_lowercase();
    let extension = |ext: &str| lower.ends_with(ext);
    if extension(".csv") || extension(".tsv") {
        return Ok(Kind::Table);
    }
    if extension(".npz") {
        return Ok(Kind::Npz);
    }
    if extension(".npy") {
        return bad("a single array; np.savez puts inputs and targets into one .npz file");
    }
    if extension(".csv.gz") || extension(".tsv.gz") {
        return bad("a packed table; unpack it first (gunzip)");
    }
    if [".zip", ".tar", ".tar.gz", ".tgz", ".7z"]
        .iter()
        .any(|ext| extension(ext))
    {
        return bad("an archive; unpack it and name the folder");
    }
    if idx_folder::is_idx_name(&file_name(path)) {
        return bad("one of the files of an IDX folder; name the folder");
    }
    if extension(".bin") {
        return bad("perhaps one of CIFAR's files; name the folder that they lie in");
    }
    if is_picture(&lower) {
        return bad("a single picture; `gpu-train predict MODEL FILE` takes pictures");
    }
    if extension(".safetensors") || extension(".toml") {
        return bad("a model or a configuration, not data");
    }
    bad("a file of unknown type")
}

fn folder<F>(path: &Path, bad: F) -> Result<Kind>
where
    F: Fn(&str) -> Result<Kind>,
{
    let names = names_in(path)?;
    if names.iter().any(|name| idx_folder::is_idx_name(name)) {
        return Ok(Kind::Idx);
    }
    if cifar::is_cifar(&names) {
        return Ok(Kind::Cifar);
    }
    let visible: Vec<&String> = names.iter().filter(|name| !name.starts_with('.')).collect();
    if visible.is_empty() {
        return bad("the folder is empty");
    }
    if visible.iter().any(|name| *name == "data_batch_1") {
        return bad(
            "the Python version of CIFAR-10; its binary version (cifar-10-binary) can be read",
        );
    }
    let folders: Vec<&&String> = visible
        .iter()
        .filter(|name| path.join(name).is_dir())
        .collect();
    // As some downloads unpack: the files lie one or two folders further down. Class folders are
    // at least two, and long to list.
    if let [inner] = folders[..] {
        for inner in [path.join(inner), path.join(inner).join("raw")] {
            let names = names_in(&inner).unwrap_or_default();
            if names.iter().any(|name| idx_folder::is_idx_name(name)) || cifar::is_cifar(&names) {
                return bad(&format!(
                    "the data lie further down; name {}",
                    inner.display()
                ));
            }
        }
    }
    if !folders.is_empty() {
        return Ok(Kind::Folder);
    }
    if visible
        .iter()
        .any(|name| is_picture(&name.to_ascii_lowercase()))
    {
        return bad("pictures, but no class folders (cat/1.png, dog/1.png)");
    }
    if visible
        .iter()
        .any(|name| name.ends_with(".csv") || name.ends_with(".npz"))
    {
        return bad("a folder of tables or archives; name one of the files");
    }
    bad("nothing in the folder is known")
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn is_picture(lower: &str) -> bool {
    let extension = Path::new(lower).extension().unwrap_or_default();
    image::ImageFormat::from_extension(extension).is_some()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn folder(names: &[&str]) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"x").unwrap();
        }
        dir
    }

    fn of(names: &[&str]) -> Result<Kind> {
        detect(folder(names).path().to_str().unwrap())
    }

    /// The kind of a file of that name, or the message.
    fn file(name: &str) -> Result<Kind, String> {
        let dir = folder(&[name]);
        let path = dir.path().join(name);
        detect(path.to_str().unwrap()).map_err(|error| {
            assert!(matches!(error, Error::Data(_)));
            let message = error.to_string();
            assert!(
                message.contains("accepted are mnist, synthetic:NAME"),
                "{message}"
            );
            message
        })
    }

    #[test]
    fn names_and_layouts_are_told_apart() {
        assert_eq!(detect("mnist").unwrap(), Kind::Mnist);
        assert_eq!(detect("synthetic:moons:50").unwrap(), Kind::Synthetic);
        assert_eq!(of(&["cat/1.png", "dog/1.png"]).unwrap(), Kind::Folder);
        assert_eq!(of(&["train/cat/1.png"]).unwrap(), Kind::Folder);
        assert_eq!(of(&["train-images-idx3-ubyte.gz"]).unwrap(), Kind::Idx);
        assert_eq!(of(&["t10k-labels.idx1-ubyte", "x/y"]).unwrap(), Kind::Idx);
        assert_eq!(of(&["data_batch_3.bin"]).unwrap(), Kind::Cifar);
        assert_eq!(of(&["train.bin", "test.bin"]).unwrap(), Kind::Cifar);
        assert_eq!(file("a.CSV"), Ok(Kind::Table));
        assert_eq!(file("a.tsv"), Ok(Kind::Table));
        assert_eq!(file("mnist.npz"), Ok(Kind::Npz));
    }

    #[test]
    fn what_is_unknown_is_refused_with_what_would_do() {
        for (name, what) in [
            ("a.npy", "np.savez"),
            ("a.csv.gz", "gunzip"),
            ("a.tar.gz", "unpack it"),
            ("train-images-idx3-ubyte", "name the folder"),
            ("data_batch_1.bin", "CIFAR"),
            ("a.JPG", "predict MODEL FILE"),
            ("model.safetensors", "not data"),
            ("a.xlsx", "unknown type"),
        ] {
            let message = file(name).unwrap_err();
            assert!(message.contains(what), "{message}");
        }
        for (names, what) in [
            (&[][..], "the folder is empty"),
            (&[".hidden"], "the folder is empty"),
            (&["1.png"], "no class folders"),
            (&["a.csv"], "name one of the files"),
            (&["a.xyz"], "nothing in the folder is known"),
            (&["data_batch_1"], "Python version"),
            (&["MNIST/raw/train-images-idx3-ubyte"], "MNIST/raw"),
            (&["cifar-10-batches-bin/data_batch_1.bin"], "further down"),
        ] {
            let message = of(names).unwrap_err().to_string();
            assert!(message.contains(what), "{message}");
            assert!(message.contains("accepted are mnist"), "{message}");
        }
    }

    #[test]
    fn a_missing_path_is_a_usage_error_with_a_guess() {
        for (name, what) in [
            ("MNIST", "did you mean mnist?"),
            ("moons", "did you mean synthetic:moons?"),
            ("no/such.csv", "no such file or folder"),
        ] {
            let error = detect(name).unwrap_err();
            assert!(matches!(error, Error::Usage(_)));
            assert!(error.to_string().contains(what), "{error}");
        }
    }
}
