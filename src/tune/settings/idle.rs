//! Refuses what would change nothing in any trial of a space.

use super::names_model;
use crate::models::Sequential;
use crate::plan::OptimizerKind;
use crate::train::config::users_of;
use crate::train::options::TrainOptions;
use crate::tune::distribution::Distribution;
use crate::tune::space::{Parameter, Space};
use crate::{Error, Result};

/// The values that an option has in some trial, in lower case.
fn possible(space: &Space, name: &str, given: &Option<String>, usual: &str) -> Vec<String> {
    match space.get(name).map(|p| &p.distribution) {
        Some(Distribution::Categorical { choices }) => {
            let words = choices
                .iter()
                .map(|choice| choice.to_string().to_lowercase());
            words.collect()
        }
        _ => vec![given.as_deref().unwrap_or(usual).to_lowercase()],
    }
}

/// Refuses a number of an optimiser that no trial has.
fn refuse_number(option: &str, name: &str, space: &Space, given: &TrainOptions) -> Result<()> {
    let kinds = possible(space, "opt", &given.opt, "adam");
    let users: Vec<&str> = users_of(name).iter().map(|kind| kind.name()).collect();
    let lacks =
        |kind: &String| OptimizerKind::from_name(kind).is_some() && !users.contains(&kind.as_str());
    if kinds.iter().all(lacks) {
        return Err(Error::Usage(format!(
            "{option} has no meaning for --opt {}: it belongs to {}",
            kinds.join(", "),
            users.join(", ")
        )));
    }
    Ok(())
}

/// Refuses options that would change nothing in any trial of the space.
///
/// # Errors
/// [`Error::Usage`] with the option.
pub fn check_given(space: &Space, given: &TrainOptions) -> Result<()> {
    for (name, value) in [
        ("momentum", given.momentum),
        ("beta1", given.beta1),
        ("beta2", given.beta2),
        ("eps", given.eps),
        ("alpha", given.alpha),
    ] {
        if value.is_some() {
            refuse_number(&format!("--{name}"), name, space, given)?;
        }
    }
    let models = possible(space, "model", &given.model, "mlp");
    if given.dropout.is_some()
        && names_model(space, given)
        && models.iter().all(|model| drops_nothing(model))
    {
        return Err(no_dropout("--dropout", &models));
    }
    Ok(())
}

/// Refuses parameters that would change nothing in any trial.
///
/// # Errors
/// [`Error::Usage`] with the parameter.
pub fn check_space(space: &Space, given: &TrainOptions) -> Result<()> {
    for Parameter { name, .. } in space.parameters() {
        refuse_number(&format!("--space {name}"), name, space, given)?;
    }
    let losses = possible(space, "loss", &given.loss, "cross-entropy");
    if space.get("huber-delta").is_some() && !losses.iter().any(|loss| loss == "huber") {
        return Err(Error::Usage(
            "--space huber-delta belongs to --loss huber".to_string(),
        ));
    }
    let models = possible(space, "model", &given.model, "mlp");
    let searched = space.get("dropout").is_some() && names_model(space, given);
    if searched && models.iter().all(|model| drops_nothing(model)) {
        return Err(no_dropout("--space dropout", &models));
    }
    Ok(())
}

fn drops_nothing(model: &str) -> bool {
    Sequential::parse(model, 2).is_ok_and(|model| model.n_dropout() == 0)
}

fn no_dropout(option: &str, models: &[String]) -> Error {
    Error::Usage(format!(
        "{option} sets the rate of the model's dropout layers, and {} has none: add some, such as linear:128,relu,dropout:0.2",
        models.join(", ")
    ))
}
