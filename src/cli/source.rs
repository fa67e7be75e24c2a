//! Data sets by name, and what a model must agree with.

use crate::data::{Dataset, mnist};
use crate::models::file::Model;
use crate::plan::Spec;
use crate::{Error, Result};

/// Loads the data set of that name.
pub fn load(name: &str) -> Result<Dataset> {
    match name {
        "mnist" => mnist::load(),
        other => Err(Error::Usage(format!(
            "no data called \"{other}\": this version knows mnist, the embedded data set"
        ))),
    }
}

/// Refuses a data set of another shape than the model's, naming both.
pub fn check_fit(model: &Model, data: &Dataset) -> Result<()> {
    let info = &model.info;
    if info.input != data.shape || info.classes.len() != data.classes.len() {
        return Err(Error::Data(format!(
            "the model takes {} and tells {} classes apart; {} has samples of {} and {} classes",
            info.input,
            info.classes.len(),
            data.name,
            data.shape,
            data.classes.len()
        )));
    }
    Ok(())
}

/// A plan's sizes for evaluation alone.
pub fn eval_spec(model: &Model, n_samples: usize, batch: usize) -> Spec {
    let inputs = model.info.input.len();
    let batch = batch.min(n_samples);
    Spec {
        members: 1,
        inputs,
        classes: model.info.classes.len(),
        n_samples,
        n_norm: model.info.normalization.scale.len(),
        norm_span: model.info.normalization.span,
        train_batch: 0,
        train_capacity: 0,
        eval_batch: batch,
        eval_capacity: n_samples.div_ceil(batch),
        loss: model.loss,
        clips: false,
    }
}
