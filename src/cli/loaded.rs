//! Data for a model that is already there: read as its training data were, and put to an executor.

use std::path::Path;

use crate::data::detect::{Kind, detect};
use crate::data::load::{class_places, load, read};
use crate::data::options::DataOptions;
use crate::data::source::Content;
use crate::data::table::{self, TableModel};
use crate::data::{Dataset, ImageShape, Parts, Samples, Targets};
use crate::executor::Executor;
use crate::models::file::Model;
use crate::plan::{Hyper, OptimizerKind, Plan, Spec};
use crate::train::feed::{self, Feed, Residence, Sizing};
use crate::{Error, Result};

/// Bytes of samples that an evaluation holds on the device at once.
const WINDOW: u64 = 32 << 20;

/// What a model is to be evaluated on.
pub struct Evaluated {
    pub data: Dataset,
    pub samples: Vec<u32>,
    /// "the test part", for people.
    pub part: &'static str,
    /// test, train or all.
    pub part_code: &'static str,
    pub notes: Vec<String>,
}

/// The samples of `source` that a model is evaluated on; without a source, of what it was trained on.
///
/// # Errors
/// [`Error::Data`] where the data does not fit the model, naming both shapes or the class at fault.
pub fn for_model(model: &Model, source: Option<&str>, train_part: bool) -> Result<Evaluated> {
    let info = &model.info;
    let own = source.is_none_or(|source| source == info.source);
    let (data, notes) = match (own, source) {
        (true, _) => {
            let loaded = load(&info.source, &info.data, false).map_err(|e| match e {
                Error::Io { .. } | Error::Usage(_) if source.is_none() => Error::Data(format!(
                    "the data that the model was trained on cannot be read: {e}\nname data to evaluate on: gpu-train eval MODEL DATA"
                )),
                e => e,
            })?;
            let same = loaded.data.classes() == info.classes && loaded.table == info.table;
            if !same {
                return Err(Error::Data(format!(
                    "{} is not what the model was trained on any more: its classes or columns differ\nto evaluate on it as it is now, give it another name or path: gpu-train eval MODEL DATA",
                    info.source
                )));
            }
            (loaded.data, Vec::new())
        }
        (false, source) => other(model, source.unwrap_or_default())?,
    };
    check_fit(model, &data)?;
    let mut data = data;
    let parts = &data.parts;
    let (samples, part, part_code) = match (train_part, parts.test.is_empty()) {
        (true, _) => (parts.train.clone(), "the training part", "train"),
        (false, false) => (parts.test.clone(), "the test part", "test"),
        (false, true) => ((0..data.len() as u32).collect(), "all", "all"),
    };
    if samples.is_empty() {
        return Err(Error::Data(format!(
            "{} has no samples in {part}",
            data.name
        )));
    }
    // What is evaluated decides the plan's sizes.
    data.parts = Parts {
        test: samples.clone(),
        ..Parts::default()
    };
    Ok(Evaluated {
        data,
        samples,
        part,
        part_code,
        notes,
    })
}

/// Another source than the model's own, brought to its inputs and its class numbers.
fn other(model: &Model, name: &str) -> Result<(Dataset, Vec<String>)> {
    let info = &model.info;
    let is_table = detect(name)? == Kind::Table;
    if let (Some(TableModel { encoder, target }), true) = (&info.table, is_table) {
        let read = table::read_like(Path::new(name), encoder, target, true)?;
        let (matrix, more) = encoder.encode(read.raw)?;
        let targets = read
            .targets
            .ok_or_else(|| Error::Data(format!("{name} has no target column to evaluate on")))?;
        let data = Dataset {
            name: name.to_string(),
            shape: ImageShape::vector(encoder.inputs()),
            samples: Samples::Floats(matrix),
            targets,
            parts: Parts::default(),
            names: Vec::new(),
        };
        return Ok((data, [read.notes, more].concat()));
    }
    if info.table.is_some() || is_table {
        return Err(Error::Data(format!(
            "the model was trained on {} and {name} is {}",
            if info.table.is_some() {
                "a table"
            } else {
                "no table"
            },
            if is_table { "a table" } else { "none" }
        )));
    }
    let options = match detect(name)? {
        Kind::Folder => DataOptions {
            size: Some(format!("{}x{}", info.input.width, info.input.height)),
            channels: Some(info.input.channels.to_string()),
            ..DataOptions::default()
        },
        _ => DataOptions::default(),
    };
    let source = read(name, &options)?;
    let Content::Samples { shape, samples } = source.content else {
        unreachable!("tables went another way");
    };
    let mut targets = source.targets;
    if let Targets::Classes { labels, names } = &mut targets
        && shape == info.input
        && !info.classes.is_empty()
    {
        let places = class_places(&info.classes, names, name)?;
        labels
            .iter_mut()
            .for_each(|label| *label = places[*label as usize]);
        *names = info.classes.clone();
    }
    let n = targets.len() as u32;
    let test: Vec<u32> = source
        .test
        .map_or_else(Vec::new, |r| (r.start as u32..r.end as u32).collect());
    let train = (0..n)
        .filter(|ix| test.binary_search(ix).is_err())
        .collect();
    let data = Dataset {
        name: name.to_string(),
        shape,
        samples,
        targets,
        parts: Parts {
            train,
            val: Vec::new(),
            test,
        },
        names: source.names,
    };
    Ok((data, source.notes))
}

/// Refuses a data set of another shape than the model's, naming both.
fn check_fit(model: &Model, data: &Dataset) -> Result<()> {
    let info = &model.info;
    let outputs = |classes: usize| match classes {
        0 => "predicts a value".to_string(),
        n => format!("tells {n} classes apart"),
    };
    if info.input != data.shape || info.classes.len() != data.classes().len() {
        return Err(Error::Data(format!(
            "the model takes {} and {}; {} has samples of {} and {}",
            info.input,
            outputs(info.classes.len()),
            data.name,
            data.shape,
            match data.classes().len() {
                0 => "values".to_string(),
                n => format!("{n} classes"),
            }
        )));
    }
    Ok(())
}

/// A plan's sizes for evaluating the test part of `data`, which passes through a window.
pub fn spec(model: &Model, data: &Dataset) -> Spec {
    feed::spec(
        data,
        &Sizing {
            members: 1,
            batch: 0,
            loss: model.loss,
            norm: &model.info.normalization,
            residence: Residence::Streamed(WINDOW),
            folds: &[],
        },
    )
}

/// The data on its way to an executor, scaled as the model's training data were.
pub fn feed<'a>(model: &'a Model, data: &'a Dataset) -> Feed<'a> {
    Feed::new(
        data,
        &model.info.normalization,
        model.info.target_scale(),
        &[],
        Residence::Streamed(WINDOW),
    )
}

/// Puts the model's weights and tables into an executor.
pub fn prepare(exec: &mut dyn Executor, model: &Model, feed: &Feed) -> Result<()> {
    let plan: &Plan = exec.plan();
    let arena = model.arena(plan)?;
    feed.load(exec)?;
    feed::upload_rows(exec, &[Hyper::new(OptimizerKind::Sgd)])?;
    crate::train::set_weights(exec, &arena)
}
