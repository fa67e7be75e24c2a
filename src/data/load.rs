//! From a source's name to a data set ready for a run: read, split, encoded, normalised.

use std::hash::{DefaultHasher, Hasher};
use std::path::Path;

use rayon::prelude::*;

use super::detect::{Kind, detect};
use super::normalize::{Normalization, TargetScale, fit, target_scale};
use super::options::DataOptions;
use super::source::{Content, Source};
use super::split::{Cut, Parts};
use super::table::{Missing, TableModel, TableOptions, TaskKind};
use super::{Dataset, ImageShape, Samples, Targets};
use super::{cifar, folder, idx_folder, mnist, npz, synthetic, table};
use crate::{Error, Result};

/// A data set, and all that a run needs to know of how it came about.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub data: Dataset,
    pub normalization: Normalization,
    pub target: TargetScale,
    /// How a table's rows become inputs, fitted on the training part.
    pub table: Option<TableModel>,
    /// The options with every default filled in.
    pub options: DataOptions,
    /// What was understood, assumed, or is worth a warning.
    pub notes: Vec<String>,
}

/// Reads `name`, a path or a data set's name, as it lies: not split, not encoded.
pub fn read(name: &str, options: &DataOptions) -> Result<Source> {
    let path = Path::new(name);
    let kind = detect(name)?;
    refuse_idle(kind, name, options)?;
    match kind {
        Kind::Mnist => mnist::load(),
        Kind::Synthetic => synthetic::read(name),
        Kind::Folder => folder::read(
            path,
            &folder::ImageOptions {
                size: options.pixels()?,
                channels: options.n_channels()?,
                strict: options.strict.unwrap_or(false),
            },
        ),
        Kind::Idx => idx_folder::read(path),
        Kind::Cifar => cifar::read(path),
        Kind::Npz => npz::read(path),
        Kind::Table => table::read(path, &table_options(options)?),
    }
}

/// Options that this kind of source would not look at are refused, not ignored.
fn refuse_idle(kind: Kind, name: &str, options: &DataOptions) -> Result<()> {
    let of_tables = [
        ("target", options.target.is_some()),
        ("missing", options.missing.is_some()),
        ("ignore", options.ignore.is_some()),
        ("task", options.task.is_some()),
    ];
    let of_pictures = [
        ("size", options.size.is_some()),
        ("channels", options.channels.is_some()),
        ("strict", options.strict == Some(true)),
    ];
    let idle = |list: &[(&'static str, bool)]| list.iter().find(|(_, on)| *on).map(|(n, _)| *n);
    let (found, whose) = match kind {
        Kind::Table => (idle(&of_pictures), "picture folders"),
        Kind::Folder => (idle(&of_tables), "tables (.csv, .tsv)"),
        _ => match idle(&of_tables) {
            Some(option) => (Some(option), "tables (.csv, .tsv)"),
            None => (idle(&of_pictures), "picture folders"),
        },
    };
    match found {
        Some(option) => Err(Error::Usage(format!(
            "--{option} is for {whose}, and {name} is none"
        ))),
        None => Ok(()),
    }
}

fn table_options(options: &DataOptions) -> Result<TableOptions> {
    let task = options.is_regression()?.map(|regression| match regression {
        true => TaskKind::Regression,
        false => TaskKind::Classification,
    });
    let known = [
        ("mean", Missing::Mean),
        ("median", Missing::Median),
        ("drop", Missing::Drop),
        ("error", Missing::Error),
    ];
    let missing = options.missing.as_deref().unwrap_or("mean");
    Ok(TableOptions {
        target: options.target.clone(),
        task,
        missing: super::options::choose("missing", missing, &known)?,
        ignore: options
            .ignore
            .iter()
            .flat_map(|list| list.split(','))
            .map(|name| name.trim().to_string())
            .filter(|name| !name.is_empty())
            .collect(),
    })
}

/// Reads, splits, encodes and fits everything on the training part.
///
/// # Errors
/// [`Error::Data`] and [`Error::Usage`] of the readers and of [`Parts::cut`].
pub fn load(name: &str, options: &DataOptions, needs_validation: bool) -> Result<Loaded> {
    // What is absurd is refused before anything is read.
    options.shares(needs_validation)?;
    options.normalize()?;
    options.scales_target()?;
    options.kept()?;
    prepare(name, read(name, options)?, options, needs_validation)
}

/// [`load`] from a source that has been read.
pub fn prepare(
    name: &str,
    mut source: Source,
    options: &DataOptions,
    needs_validation: bool,
) -> Result<Loaded> {
    let (val, test) = options.shares(needs_validation)?;
    let normalize = options.normalize()?;
    let scales_target = options.scales_target()?;
    if let (Some(how), Targets::Classes { .. }) = (&options.target_scale, &source.targets) {
        return Err(Error::Usage(format!(
            "--target-scale {how} is for regression, and {name} has classes to tell apart"
        )));
    }
    let mut notes = std::mem::take(&mut source.notes);
    let join_val = options.join_val == Some(true);
    match (join_val, &source.val) {
        (true, None) => {
            return Err(Error::Usage(format!(
                "--join-val: {name} has no validation part of its own; --val-split 0 splits none off"
            )));
        }
        (true, Some(val)) => notes.push(format!(
            "validation part: its {} are trained on, too",
            count(val.len())
        )),
        (false, _) => {}
    }
    let has_val = source.val.is_some() && !join_val;
    // A share that would not be taken is refused; what a configuration file states of it is 0.
    let own_test = (
        "test-split",
        options.test_split,
        source.test.is_some(),
        "test",
    );
    let own_val = ("val-split", options.val_split, has_val, "validation");
    for (option, share, is_own, part) in [own_test, own_val] {
        if let Some(share) = share.filter(|share| *share > 0.0 && is_own) {
            return Err(Error::Usage(format!(
                "--{option} {share}: {name} has a {part} part of its own"
            )));
        }
    }
    let apart = match &options.test {
        Some(path) if source.test.is_some() => {
            return Err(Error::Usage(format!(
                "--test {path}: {name} has a test part of its own"
            )));
        }
        // A table's test part is encoded like its training part, further down.
        Some(path) if !matches!(source.content, Content::Table(_)) => {
            append_test(&mut source, path, options)?;
            None
        }
        path => path.as_deref(),
    };
    let cut = Cut {
        val,
        test: if apart.is_some() { 0.0 } else { test },
        join_val,
        limit: options.kept()?,
        seed: options.split_seed.unwrap_or(0),
    };
    let mut parts = Parts::cut(
        &source.targets,
        source.test.clone(),
        source.val.clone(),
        &cut,
    )
    .map_err(|e| match e {
        Error::Data(what) => Error::Data(format!("{name}: {what}")),
        e => e,
    })?;
    // append_test has made --test a part of the source, but for a table's.
    let has_test = apart.is_some() || source.test.is_some();
    let new_val = !has_val && !parts.val.is_empty();
    let new_test = source.test.is_none() && !parts.test.is_empty();

    let mut targets = source.targets;
    let (shape, samples, table) = match source.content {
        Content::Samples { shape, samples } => (shape, samples, None),
        Content::Table(raw) => {
            let table = TableModel {
                encoder: raw.fit(&parts.train)?,
                target: raw.target.clone(),
            };
            let (mut matrix, more) = table.encoder.encode(raw)?;
            notes.extend(more);
            if let Some(path) = apart {
                let test = table::read_like(Path::new(path), &table.encoder, &table.target, true)?;
                let (more, said) = table.encoder.encode(test.raw)?;
                matrix.extend_from_slice(&more);
                let said = test.notes.into_iter().chain(said);
                notes.extend(said.map(|note| format!("{path}: {note}")));
                let first = targets.len() as u32;
                if let Some(more) = test.targets {
                    extend_targets(&mut targets, more, path)?;
                }
                parts.test = (first..targets.len() as u32).collect();
            }
            let shape = ImageShape::vector(table.encoder.inputs());
            (shape, Samples::Floats(matrix), Some(table))
        }
    };
    let data = Dataset {
        name: stem(name),
        shape,
        samples,
        targets,
        parts,
        names: source.names,
    };
    let normalization = fit(&data, &data.parts.train, normalize, table.as_ref());
    let target = match scales_target {
        true => target_scale(&data),
        false => TargetScale::NONE,
    };
    if new_test {
        notes.push(format!(
            "test part: {} split off ({}, --split-seed {})",
            count(data.parts.test.len()),
            if data.is_regression() {
                "at random"
            } else {
                "stratified"
            },
            cut.seed
        ));
    }
    if new_val {
        notes.push(format!(
            "validation part: {} split off the training part{}",
            count(data.parts.val.len()),
            match options.val_split {
                Some(_) => "",
                None => ", as early stopping, plateau, target accuracy, populations and searches need one",
            }
        ));
    }
    if name != "mnist" {
        notes.extend(overlap(&data));
    }
    // A folder's pictures are brought to one form, which further pictures have to take too.
    let pictures = detect(name)? == Kind::Folder;
    let size = pictures.then(|| format!("{}x{}", shape.width, shape.height));
    let channels = pictures.then(|| match shape.channels {
        1 => "grey".to_string(),
        _ => "colour".to_string(),
    });
    Ok(Loaded {
        options: DataOptions {
            size,
            channels,
            test_split: Some(if has_test { 0.0 } else { test }),
            val_split: Some(if has_val { 0.0 } else { val }),
            split_seed: Some(cut.seed),
            ..options.clone()
        },
        data,
        normalization,
        target,
        table,
        notes,
    })
}

/// "1 sample", "5000 samples".
fn count(n: usize) -> String {
    format!("{n} sample{}", if n == 1 { "" } else { "s" })
}

/// The file's or folder's own name, for run folders and titles.
fn stem(name: &str) -> String {
    let words: String = match name.strip_prefix("synthetic:") {
        Some(rest) => rest.to_string(),
        None => {
            let path = Path::new(name);
            let canonical = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
            let stem = match canonical.is_dir() {
                true => canonical.file_name(),
                false => canonical.file_stem(),
            };
            stem.map_or_else(|| name.to_string(), |s| s.to_string_lossy().into_owned())
        }
    };
    let plain = |c: char| {
        if c.is_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '-'
        }
    };
    let stem: String = words.chars().map(plain).collect();
    if stem.is_empty() {
        "data".to_string()
    } else {
        stem
    }
}

/// Reads `path` and puts its samples, all of them, behind those of `source` as the test part.
fn append_test(source: &mut Source, path: &str, options: &DataOptions) -> Result<()> {
    let Content::Samples { shape, samples } = &mut source.content else {
        unreachable!("a table is encoded first");
    };
    let mut like = options.clone();
    if detect(path)? == Kind::Folder {
        like.size = Some(format!("{}x{}", shape.width, shape.height));
        like.channels = Some(shape.channels.to_string());
    }
    let test = read(path, &like)?;
    let Content::Samples {
        shape: other,
        samples: more,
    } = test.content
    else {
        return Err(Error::Data(format!(
            "--test {path} is a table, and the training data are none"
        )));
    };
    if *shape != other {
        return Err(Error::Data(format!(
            "--test {path} has samples of {other}, and the training data of {shape}"
        )));
    }
    match (samples, more) {
        (Samples::Bytes(all), Samples::Bytes(more)) => all.extend_from_slice(&more),
        (Samples::Floats(all), Samples::Floats(more)) => all.extend_from_slice(&more),
        _ => {
            return Err(Error::Data(format!(
                "--test {path} holds another kind of numbers (bytes against floats) than the training data"
            )));
        }
    }
    let first = source.targets.len();
    extend_targets(&mut source.targets, test.targets, path)?;
    source.test = Some(first..source.targets.len());
    if !source.names.is_empty() || !test.names.is_empty() {
        source.names.resize_with(first, String::new);
        source.names.extend(test.names);
        source.names.resize_with(source.targets.len(), String::new);
    }
    Ok(())
}

/// Appends targets, classes matched by name.
fn extend_targets(all: &mut Targets, more: Targets, path: &str) -> Result<()> {
    match (all, more) {
        (
            Targets::Classes { labels, names },
            Targets::Classes {
                labels: more,
                names: others,
            },
        ) => {
            let places = class_places(names, &others, path)?;
            labels.extend(more.iter().map(|&label| places[label as usize]));
            Ok(())
        }
        (Targets::Values { values, .. }, Targets::Values { values: more, .. }) => {
            values.extend_from_slice(&more);
            Ok(())
        }
        _ => Err(Error::Data(format!(
            "{path}: values where the training data have classes, or the other way round"
        ))),
    }
}

/// The number that each of `others` has among `names`.
pub fn class_places(names: &[String], others: &[String], path: &str) -> Result<Vec<u32>> {
    others
        .iter()
        .map(|name| {
            let place = names.iter().position(|known| known == name);
            place.map(|place| place as u32).ok_or_else(|| {
                Error::Data(format!(
                    "{path}: class \"{name}\" is unknown; known are {}",
                    names
                        .iter()
                        .take(12)
                        .cloned()
                        .collect::<Vec<_>>()
                        .join(", ")
                ))
            })
        })
        .collect()
}

/// A warning where samples of the test or validation part are training samples too.
fn overlap(data: &Dataset) -> Option<String> {
    let len = data.shape.len();
    let hash = |ix: u32| {
        let at = ix as usize * len;
        let bytes: &[u8] = match &data.samples {
            Samples::Bytes(all) => &all[at..at + len],
            Samples::Floats(all) => bytemuck::cast_slice(&all[at..at + len]),
        };
        let mut hasher = DefaultHasher::new();
        hasher.write(bytes);
        hasher.finish()
    };
    let hashes = |part: &[u32]| -> Vec<u64> { part.par_iter().map(|&ix| hash(ix)).collect() };
    let mut train = hashes(&data.parts.train);
    train.par_sort_unstable();
    let shared = |part: &[u32]| {
        let known = |h: &&u64| train.binary_search(h).is_ok();
        hashes(part).iter().filter(known).count()
    };
    let counts = [("test", &data.parts.test), ("validation", &data.parts.val)];
    let said: Vec<String> = counts
        .iter()
        .map(|(name, part)| (name, shared(part), part.len()))
        .filter(|(_, shared, _)| *shared > 0)
        .map(|(name, shared, n)| format!("{shared} of {n} {name} samples"))
        .collect();
    (!said.is_empty()).then(|| {
        format!(
            "warning: the very inputs of {} are in the training part too: results on them flatter the model",
            said.join(" and ")
        )
    })
}
