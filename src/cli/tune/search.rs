//! Asks for trials, and lets them train in populations of one structure.

use std::sync::atomic::Ordering;

use super::Args;
use super::trainer::Trainer;
use crate::cli::setup::{Room, Settings, Setup};
use crate::tune::trial::{Point, Trial};
use crate::{Error, Result};

/// Trials of a population that evolves, where nothing is said.
const EVOLVING_POPULATION: usize = 16;

/// Trials that train together at most, where nothing is said.
const LARGEST_POPULATION: usize = 64;

/// Trains populations until the trials are through; why it ended.
pub fn search(trainer: &mut Trainer, args: &Args) -> Result<String> {
    let model_based = trainer.study.sampler().is_model_based();
    let usual = match (args.evolves(), model_based) {
        (true, _) => EVOLVING_POPULATION,
        (false, true) => (args.trials / 8).clamp(4, LARGEST_POPULATION),
        (false, false) => LARGEST_POPULATION,
    };
    let wanted = args.population.unwrap_or(usual);
    loop {
        if trainer.stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        let revived = trainer.study.revive()?;
        if revived > 0 {
            trainer.board.say(&format!(
                "{revived} trials of workers that are gone are queued again"
            ));
        }
        let left = args.trials.saturating_sub(trainer.study.begun()?);
        if left == 0 {
            return Ok(format!("all {} trials are done", args.trials));
        }
        let late = || {
            format!(
                "the {} of --timeout are over",
                args.timeout.as_deref().unwrap_or("0s")
            )
        };
        if trainer.is_late() {
            return Ok(late());
        }
        let together = model_based || args.population.is_some() || args.evolves();
        let grouped = match (trainer.study.has_waiting()?, together) {
            (true, _) => grouped(trainer, wanted.min(left), true)?,
            (false, true) => asked_together(trainer, wanted.min(left))?,
            (false, false) => grouped(trainer, LARGEST_POPULATION.min(left), false)?,
        };
        if grouped.is_empty() {
            return Ok("every point of the space has been tried".to_string());
        }
        for group in grouped {
            let mut group = group;
            while !group.is_empty() {
                if trainer.is_late() {
                    return Ok(late());
                }
                let fits = fitting(trainer, &group, wanted.min(group.len()))?;
                let rest = group.split_off(fits.min(group.len()));
                trainer.train(group)?;
                group = rest;
            }
        }
    }
}

/// One trial, and then others of its structure, with those before them under way.
fn asked_together(trainer: &mut Trainer, most: usize) -> Result<Vec<Vec<Trial>>> {
    let Some(first) = trainer.ask(&Point::new())? else {
        return Ok(Vec::new());
    };
    let structure = trainer.structure_of(&first);
    let mut group = vec![first];
    let most = fitting(trainer, &group, most)?;
    // Others may work on the study, too.
    while group.len() < most && trainer.study.begun()? < trainer.trials {
        let Some(trial) = trainer.ask(&structure)? else {
            break;
        };
        group.push(trial);
    }
    Ok(vec![group])
}

/// The next trials, those of one structure together: the queued ones alone, or as the sampler has them,
/// which needs no answer in between.
fn grouped(trainer: &mut Trainer, most: usize, queued: bool) -> Result<Vec<Vec<Trial>>> {
    let mut groups: Vec<(Point, Vec<Trial>)> = Vec::new();
    for _ in 0..most {
        let others_did = trainer.study.begun()? >= trainer.trials;
        if others_did || (queued && !trainer.study.has_waiting()?) {
            break;
        }
        let Some(trial) = trainer.ask(&Point::new())? else {
            break;
        };
        let structure = trainer.structure_of(&trial);
        match groups.iter_mut().find(|(of, _)| *of == structure) {
            Some((_, group)) => group.push(trial),
            None => groups.push((structure, vec![trial])),
        }
    }
    Ok(groups.into_iter().map(|(_, group)| group).collect())
}

/// How many trials like the first of these train together: at most `wanted`, and half as many until
/// the memory holds them.
fn fitting(trainer: &mut Trainer, like: &[Trial], wanted: usize) -> Result<usize> {
    let Ok(config) = trainer.config_of(&like[0]) else {
        return Ok(wanted);
    };
    let mut size = wanted;
    loop {
        let set = Settings {
            members: vec![config.clone(); size],
            room: Room::default(),
            folds: trainer.folds,
            resumes: false,
        };
        let limit = trainer.machine.largest_buffer();
        match Setup::of(trainer.loaded.clone(), config.clone(), set, limit) {
            Ok(_) => break,
            Err(e) if size == 1 => return Err(e),
            Err(_) => size /= 2,
        }
    }
    if size < wanted {
        trainer.board.say(&format!(
            "memory holds {size} of these trials together, not {wanted}"
        ));
    }
    Ok(size)
}
