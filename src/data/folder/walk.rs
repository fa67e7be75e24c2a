//! Finds the parts, the classes and the pictures of an image folder.

use std::ffi::OsStr;
use std::fs::FileType;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::count;
use crate::{Error, Result};

const EXTENSIONS: [&str; 12] = [
    "png", "jpg", "jpeg", "jpe", "webp", "bmp", "dib", "gif", "pnm", "pbm", "pgm", "ppm",
];
const TRAIN: [&str; 2] = ["train", "training"];
const VAL: [&str; 3] = ["val", "valid", "validation"];
const TEST: [&str; 2] = ["test", "testing"];
/// Folders deeper than this below a class folder are left alone.
const MAX_DEPTH: usize = 16;
const WANTED: &str = "put the pictures of each class into a folder named after the class: DATA/cat/1.png, DATA/dog/1.png";

/// The pictures of a folder, train before val before test, each part sorted by path.
pub struct Layout {
    /// Sorted by name; a label is an index into these.
    pub classes: Vec<String>,
    /// Paths relative to the folder.
    pub files: Vec<PathBuf>,
    pub labels: Vec<u32>,
    pub train: Range<usize>,
    pub val: Option<Range<usize>>,
    pub test: Option<Range<usize>>,
    pub notes: Vec<String>,
}

/// What lies in one folder, hidden entries left out.
#[derive(Default)]
struct Listing {
    folders: Vec<PathBuf>,
    pictures: Vec<PathBuf>,
    ignored: usize,
}

/// The pictures of one class folder.
struct Class {
    name: String,
    folder: PathBuf,
    pictures: Vec<PathBuf>,
}

/// Lists everything below `root`.
///
/// # Errors
/// [`Error::Io`] where a folder cannot be listed, [`Error::Data`] where the layout is not as it
/// should be.
pub fn walk(root: &Path) -> Result<Layout> {
    let bad = |what: String| Err(Error::Data(format!("{}: {what}", root.display())));
    let top = list(root, Path::new(""), true)?;
    let part = |names: &[&str]| -> Result<Option<PathBuf>> {
        let mut found = top.folders.iter().filter(|folder| is_named(folder, names));
        match (found.next(), found.next()) {
            (Some(one), Some(other)) => Err(Error::Data(format!(
                "{}: both {}/ and {}/ are there; keep one of them",
                root.display(),
                one.display(),
                other.display()
            ))),
            (found, _) => Ok(found.cloned()),
        }
    };
    let (train, val, test) = (part(&TRAIN)?, part(&VAL)?, part(&TEST)?);
    let Some(train) = train else {
        let parts = val.iter().chain(&test).count();
        if parts > 0 && parts == top.folders.len() {
            let parts: Vec<_> = val.iter().chain(&test).collect();
            return bad(format!(
                "there is {}/, but no train/ beside it with the pictures to learn from",
                parts[0].display()
            ));
        }
        let mut layout = Builder::new(root);
        layout.ignored = top.ignored;
        layout.stray(&top, "");
        layout.train(top)?;
        return layout.finish(None, None);
    };

    let mut layout = Builder::new(root);
    layout.ignored = top.ignored;
    layout.stray(&top, "");
    let known = [Some(&train), val.as_ref(), test.as_ref()];
    for other in &top.folders {
        if !known.contains(&Some(other)) {
            let other = other.display();
            layout
                .notes
                .push(format!("{other}/ is left out: it lies beside train/"));
        }
    }
    let listing = list(root, &train, true)?;
    layout.ignored += listing.ignored;
    layout.stray(&listing, &train.display().to_string());
    layout.train(listing)?;
    let val = val.map_or(Ok(None), |val| layout.other_part(&val))?;
    let test = test.map_or(Ok(None), |test| layout.other_part(&test))?;
    layout.finish(val, test)
}

struct Builder<'a> {
    root: &'a Path,
    classes: Vec<String>,
    files: Vec<PathBuf>,
    labels: Vec<u32>,
    notes: Vec<String>,
    ignored: usize,
    n_train: usize,
}

impl Builder<'_> {
    fn new(root: &Path) -> Builder<'_> {
        Builder {
            root,
            classes: Vec::new(),
            files: Vec::new(),
            labels: Vec::new(),
            notes: Vec::new(),
            ignored: 0,
            n_train: 0,
        }
    }

    fn bad<T>(&self, what: String) -> Result<T> {
        Err(Error::Data(format!("{}: {what}", self.root.display())))
    }

    /// Notes pictures that lie beside class folders.
    fn stray(&mut self, listing: &Listing, part: &str) {
        if !listing.pictures.is_empty() && !listing.folders.is_empty() {
            let n = count(listing.pictures.len(), "picture");
            let place = if part.is_empty() {
                String::new()
            } else {
                format!(" in {part}/")
            };
            self.notes
                .push(format!("{n}{place} outside the class folders left out"));
        }
    }

    /// The classes of a part, by name, with their pictures, which may be none.
    fn classes_of(&mut self, folders: Vec<PathBuf>) -> Result<Vec<Class>> {
        let mut classes = Vec::with_capacity(folders.len());
        for folder in folders {
            let mut pictures = Vec::new();
            self.ignored += collect(self.root, &folder, 0, &mut pictures)?;
            pictures.sort_unstable();
            let name = folder.file_name().unwrap_or_default();
            classes.push(Class {
                name: name.to_string_lossy().into_owned(),
                folder,
                pictures,
            });
        }
        classes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(classes)
    }

    fn train(&mut self, listing: Listing) -> Result<()> {
        let n_pictures = listing.pictures.len();
        let classes = self.classes_of(listing.folders)?;
        if classes.is_empty() {
            return self.bad(match n_pictures {
                0 => format!("no pictures and no class folders; {WANTED}"),
                n => format!("{}, but no class folders; {WANTED}", count(n, "picture")),
            });
        }
        if classes.iter().all(|class| class.pictures.is_empty()) {
            return self.bad(format!(
                "no pictures (PNG, JPEG, WebP, BMP, GIF, PNM) in {}; {WANTED}",
                count(classes.len(), "folder")
            ));
        }
        if let Some(empty) = classes.iter().find(|class| class.pictures.is_empty()) {
            return self.bad(format!(
                "the class folder {}/ holds no pictures (PNG, JPEG, WebP, BMP, GIF, PNM); add some, or remove the folder",
                empty.folder.display()
            ));
        }
        if classes.len() == 1 {
            return self.bad(format!(
                "only one class folder, {}/; there is nothing to tell apart with fewer than two",
                classes[0].folder.display()
            ));
        }
        for (class, label) in classes.into_iter().zip(0..) {
            self.classes.push(class.name);
            self.take(class.pictures, label);
        }
        self.n_train = self.files.len();
        Ok(())
    }

    fn take(&mut self, pictures: Vec<PathBuf>, label: u32) {
        self.labels
            .extend(std::iter::repeat_n(label, pictures.len()));
        self.files.extend(pictures);
    }

    /// Takes the pictures of val/ or test/; nothing where they have no classes.
    fn other_part(&mut self, part: &Path) -> Result<Option<Range<usize>>> {
        let listing = list(self.root, part, true)?;
        self.ignored += listing.ignored;
        let shown = part.display();
        if listing.folders.is_empty() {
            let why = match listing.pictures.len() {
                0 => "it is empty".to_string(),
                n => format!("its {} lie in no class folders", count(n, "picture")),
            };
            self.notes.push(format!("{shown}/ is left out: {why}"));
            return Ok(None);
        }
        self.stray(&listing, &shown.to_string());
        let start = self.files.len();
        let mut missing = self.classes.clone();
        for class in self.classes_of(listing.folders)? {
            let Ok(label) = self.classes.binary_search(&class.name) else {
                return self.bad(format!(
                    "{}/ has no folder of the same name among the training pictures; every part must have the same classes",
                    class.folder.display()
                ));
            };
            if !class.pictures.is_empty() {
                missing.retain(|name| *name != class.name);
            }
            self.take(class.pictures, label as u32);
        }
        if self.files.len() == start {
            self.notes
                .push(format!("{shown}/ is left out: it holds no pictures"));
            return Ok(None);
        }
        if !missing.is_empty() {
            let list = missing.iter().take(5).cloned().collect::<Vec<_>>();
            let more = if missing.len() > 5 { ", ..." } else { "" };
            self.notes.push(format!(
                "{shown}/ has no pictures of {}{more}",
                list.join(", ")
            ));
        }
        Ok(Some(start..self.files.len()))
    }

    fn finish(mut self, val: Option<Range<usize>>, test: Option<Range<usize>>) -> Result<Layout> {
        if self.ignored > 0 {
            self.notes.push(format!(
                "{} ignored (hidden, or not PNG, JPEG, WebP, BMP, GIF or PNM by extension)",
                count(self.ignored, "other file")
            ));
        }
        Ok(Layout {
            classes: self.classes,
            files: self.files,
            labels: self.labels,
            train: 0..self.n_train,
            val,
            test,
            notes: self.notes,
        })
    }
}

fn is_named(folder: &Path, names: &[&str]) -> bool {
    names
        .iter()
        .any(|name| folder.as_os_str().eq_ignore_ascii_case(name))
}

fn is_picture(name: &Path) -> bool {
    let extension = name.extension().and_then(OsStr::to_str);
    extension.is_some_and(|ext| EXTENSIONS.iter().any(|e| e.eq_ignore_ascii_case(ext)))
}

/// Lists `root/folder`; entries are paths relative to `root`, in no order. A link counts as what it
/// points to where that is a file, or where it is a folder and `linked_folders`.
fn list(root: &Path, folder: &Path, linked_folders: bool) -> Result<Listing> {
    let whole = root.join(folder);
    let io = |source| Error::io(&whole, "read", source);
    let mut listing = Listing::default();
    for entry in std::fs::read_dir(&whole).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") || name == "__MACOSX" {
            listing.ignored += 1;
            continue;
        }
        let path = folder.join(&name);
        let mut kind: FileType = entry.file_type().map_err(io)?;
        if kind.is_symlink() {
            match std::fs::metadata(root.join(&path)) {
                Ok(meta) if meta.is_file() || linked_folders => kind = meta.file_type(),
                // A dangling link, or one that may lead in a circle.
                _ => {}
            }
        }
        if kind.is_dir() {
            listing.folders.push(path);
        } else if kind.is_file() && is_picture(&path) {
            listing.pictures.push(path);
        } else {
            listing.ignored += 1;
        }
    }
    Ok(listing)
}

/// Appends all pictures below `root/folder`, and returns the number of other files.
fn collect(root: &Path, folder: &Path, depth: usize, pictures: &mut Vec<PathBuf>) -> Result<usize> {
    let listing = list(root, folder, false)?;
    pictures.extend(listing.pictures);
    let mut ignored = listing.ignored;
    for inner in listing.folders {
        if depth == MAX_DEPTH {
            ignored += 1;
        } else {
            ignored += collect(root, &inner, depth + 1, pictures)?;
        }
    }
    Ok(ignored)
}
