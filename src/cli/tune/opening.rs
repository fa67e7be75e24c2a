//! Reads what a search is to be, refuses what makes no sense, and opens its study.

use std::path::Path;
use std::time::Duration;

use super::objective::Objective;
use super::{Args, PBT};
use crate::cli::training::MOST_MEMBERS;
use crate::cli::ui::err;
use crate::data::fingerprint::Fingerprint;
use crate::data::load::Loaded;
use crate::train::file::Options;
use crate::train::options::TrainOptions;
use crate::tune::distribution::{Distribution, Scalar};
use crate::tune::pruner::Pruner;
use crate::tune::sampler::Sampler;
use crate::tune::space::Space;
use crate::tune::study::{Plan, Study};
use crate::tune::{notation, pruner, sampler, storage};
use crate::{Error, Result, suggest};

/// Options of a run that a search has no use for.
pub fn refuse_idle(given: &TrainOptions, args: &Args) -> Result<()> {
    let idle = [
        (
            given.time.is_some(),
            "--time ends one run: --timeout ends a search",
        ),
        (
            given.target_accuracy.is_some(),
            "--target-accuracy ends one run; a search looks for the best",
        ),
        (
            given.checkpoint_minutes.is_some(),
            "--checkpoint-minutes: a trial writes no checkpoint; a study that was broken off goes on with the trials that it lacks",
        ),
        (
            given.log_every.is_some(),
            "--log-every: a search shows its trials, not their epochs",
        ),
        (
            given.no_deterministic || given.deterministic == Some(false),
            "--no-deterministic: a trial is to be what it is alone",
        ),
        (args.trials == 0, "--trials 0: nothing would be searched"),
        (
            args.population == Some(0),
            "--population 0: a population has one trial at least",
        ),
        (
            args.population.is_some_and(|n| n > MOST_MEMBERS),
            "--population: at most 4096 trials train together",
        ),
        (
            !(args.heartbeat > 0.0 && args.heartbeat <= 86400.0),
            "--heartbeat: it must be above 0 seconds, and a day (86400) at most",
        ),
    ];
    match idle.iter().find(|(idle, _)| *idle) {
        Some((_, what)) => Err(Error::Usage(what.to_string())),
        None => Ok(()),
    }
}

/// Refuses what cannot be judged, or not be trained anew.
pub fn check_parts(
    objective: &Objective,
    loaded: &Loaded,
    given: &TrainOptions,
    space: &Space,
    refit: bool,
) -> Result<()> {
    if refit && !objective.is_single() {
        return Err(Error::Usage(
            "--refit: a search for several metrics has no single best trial; train one of the front by its configuration in trials.json"
                .to_string(),
        ));
    }
    let validates = objective
        .measures
        .iter()
        .any(|m| m.name().starts_with("val-"));
    if validates && given.folds.is_none() && loaded.data.parts.val.is_empty() {
        return Err(Error::Usage(
            "trials are judged by a validation part, and --val-split 0 leaves none: leave it out, or take --folds 5"
                .to_string(),
        ));
    }
    let schedules = space.get("schedule").map(|p| p.distribution.to_string());
    let plateau = |text: Option<&str>| text.is_some_and(|text| text.contains("plateau"));
    let looks = plateau(given.schedule.as_deref()) || plateau(schedules.as_deref());
    if looks && (refit || given.folds.is_some()) {
        return Err(Error::Usage(format!(
            "{}: the schedule plateau looks at a validation part, and the best trial is then trained on all samples, without one",
            if refit { "--refit" } else { "--folds" }
        )));
    }
    Ok(())
}

/// The space of `--space`, or of the file where nothing is typed.
pub fn typed_space(typed: &[String], file: &Options) -> Result<Space> {
    match typed.is_empty() {
        true => notation::table(&file.space),
        false => notation::space(typed.iter().map(String::as_str)),
    }
}

/// Opens the study, which keeps its trials in `folder` where `--storage` says nothing; `epochs`: of a
/// trial, where they are not searched.
///
/// # Errors
/// [`Error::Usage`] for names that are none and a study of another kind, and what the storage says.
pub fn open_study(
    args: &Args,
    objective: &Objective,
    space: &Space,
    given: &TrainOptions,
    epochs: u32,
    folder: &Path,
    loaded: &Loaded,
) -> Result<Study> {
    let max_step = most_epochs(space).unwrap_or_else(|| i64::from(epochs));
    let sampler = sampler_of(args, objective)?;
    let pruner = pruner_of(args, objective, max_step)?;
    let url = match &args.storage {
        Some(url) => url.clone(),
        None => {
            let absolute = std::path::absolute(folder.join("study.db"));
            let path = absolute.map_err(|e| Error::io(folder, "find", e))?;
            format!("sqlite:///{}", path.display())
        }
    };
    let storage = storage::open(&url, err)?;
    let plan = Plan {
        space: space.clone(),
        sampler,
        pruner,
        seed: given.seed.unwrap_or(0),
        max_step,
        heartbeat: Duration::from_secs_f64(args.heartbeat),
    };
    let name = args.study.as_deref().unwrap_or(&loaded.data.name);
    let mut study = Study::open(storage, name, &objective.directions, plan)?;
    let metrics: Vec<&str> = objective.measures.iter().map(|m| m.name()).collect();
    study.measures(&metrics)?;
    study.is_about(
        &loaded.data.name,
        &Fingerprint::of(&loaded.data),
        given.folds,
    )?;
    Ok(study)
}

/// The most epochs that a trial may have, where they are searched.
fn most_epochs(space: &Space) -> Option<i64> {
    Some(match &space.get("epochs")?.distribution {
        Distribution::Int { high, .. } => *high,
        Distribution::Float { .. } => return None,
        Distribution::Categorical { choices } => {
            let whole = choices.iter().map(|choice| match choice {
                Scalar::Int(n) => *n,
                _ => 0,
            });
            whole.max().unwrap_or(0)
        }
    })
}

fn sampler_of(args: &Args, objective: &Objective) -> Result<Box<dyn Sampler>> {
    let usual = match objective.is_single() {
        true => "tpe",
        false => "nsga2",
    };
    let name = args.sampler.as_deref().unwrap_or(usual).to_lowercase();
    sampler::named(&name).ok_or_else(|| {
        Error::Usage(format!(
            "--sampler {name}: no such sampler{}",
            suggest::hint(&name, sampler::NAMES)
        ))
    })
}

fn pruner_of(args: &Args, objective: &Objective, max_step: i64) -> Result<Option<Box<dyn Pruner>>> {
    let usual = match objective.is_single() {
        true => "median",
        false => "none",
    };
    let name = args.pruner.as_deref().unwrap_or(usual).to_lowercase();
    let pruner = match name.as_str() {
        "none" | PBT => None,
        name => Some(pruner::named(name, max_step).ok_or_else(|| {
            let known = ["none", PBT].into_iter().chain(pruner::NAMES);
            Error::Usage(format!(
                "--pruner {name}: no such pruner{}",
                suggest::hint(name, known)
            ))
        })?),
    };
    if name != "none" && !objective.is_single() {
        return Err(Error::Usage(format!(
            "--pruner {name}: a trial of several metrics is not pruned; take none"
        )));
    }
    Ok(pruner)
}
