//! Asks for trials, and lets them train in populations of one structure.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Args;
use super::trainer::Trainer;
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
    let mut patience = Patience::default();
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
        trainer.board.expect(left + trainer.under_way.len());
        let late = trainer.is_late();
        let asked = match left > 0 && !late {
            true => ask(trainer, args, wanted, left)?,
            false => None,
        };
        match asked {
            Some(groups) => {
                patience = Patience::default();
                for group in groups {
                    train(trainer, group, wanted)?;
                }
            }
            None if late => {
                return Ok(format!(
                    "the {} of --timeout are over",
                    args.timeout.as_deref().unwrap_or("0s")
                ));
            }
            None if patience.waits(trainer, Duration::from_secs_f64(args.heartbeat))? => {}
            None => {
                // Others may have begun what was left.
                let what = match trainer.study.begun()? < args.trials {
                    false => format!("all {} trials are done", args.trials),
                    true => "every point of the space has been tried".to_string(),
                };
                return Ok(match trainer.study.running()?.len() {
                    0 => what,
                    n => format!("{what}, but for {n} that run elsewhere"),
                });
            }
        }
    }
}

/// The next trials, in groups of one structure; `None` where every point has been tried.
fn ask(
    trainer: &mut Trainer,
    args: &Args,
    wanted: usize,
    left: usize,
) -> Result<Option<Vec<Vec<Trial>>>> {
    let model_based = trainer.study.sampler().is_model_based();
    let together = model_based || args.population.is_some() || args.evolves();
    // Where others may work on the study too, none takes all that is left.
    let most = match args.storage {
        Some(_) => left.div_ceil(4),
        None => left,
    };
    if trainer.study.has_waiting()? {
        let most = match together {
            true => wanted.min(left),
            false => LARGEST_POPULATION.min(most),
        };
        let trials = queued(trainer, most)?;
        return Ok(Some(grouped(trainer, trials)));
    }
    if together {
        return asked_together(trainer, wanted.min(left));
    }
    // As the sampler has them, which needs no answer in between.
    let trials = trainer.ask_more(&Point::new(), LARGEST_POPULATION.min(most))?;
    // None may be because somebody has queued one meanwhile.
    let are_there = !trials.is_empty() || trainer.study.has_waiting()?;
    Ok(are_there.then(|| grouped(trainer, trials)))
}

/// Trains trials of one structure, as many at a time as fit. They fail where not even one does.
fn train(trainer: &mut Trainer, mut group: Vec<Trial>, mut wanted: usize) -> Result<()> {
    while !group.is_empty() && !trainer.is_late() {
        let fits = match fitting(trainer, &group[0], wanted.min(group.len())) {
            Ok(fits) => fits,
            Err(e) => return fail_all(trainer, &group, &e),
        };
        let rest = group.split_off(fits.min(group.len()));
        match trainer.train(group.clone()) {
            Ok(()) => group = rest,
            // What an adapter's memory holds is known only where it does not.
            Err(e @ Error::Memory(_)) => {
                group.extend(rest);
                group.retain(|trial| trainer.under_way.iter().any(|t| t.id == trial.id));
                if fits == 1 {
                    return fail_all(trainer, &group, &e);
                }
                wanted = fits / 2;
                trainer
                    .board
                    .say(&format!("{e}: now {wanted} trials together"));
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn fail_all(trainer: &mut Trainer, trials: &[Trial], reason: &Error) -> Result<()> {
    trials
        .iter()
        .try_for_each(|trial| trainer.fail(trial, &reason.to_string()))
}

/// Waiting for the trials of other workers, which may have to be trained here after all.
#[derive(Default)]
struct Patience {
    /// Epochs of each running trial, by number, and since when they are these.
    seen: BTreeMap<u32, usize>,
    since: Option<Instant>,
}

impl Patience {
    /// Waits a moment where trials run elsewhere that belong to those that are wanted. Those of a worker
    /// that is gone are queued again after two heartbeats. Where all are without one, as workers in Python
    /// may be, what reports nothing for ten is waited for no longer. False where there is nothing to be
    /// waited for.
    fn waits(&mut self, trainer: &mut Trainer, heartbeat: Duration) -> Result<bool> {
        if !trainer.study.has_heartbeat() {
            return Ok(false);
        }
        let running = trainer.study.running()?;
        let ended = trainer.study.begun()?.saturating_sub(running.len());
        if running.is_empty() || ended >= trainer.trials {
            return Ok(false);
        }
        let now = Instant::now();
        let longest = heartbeat * 10 + Duration::from_secs(1);
        let seen: BTreeMap<u32, usize> = running.into_iter().collect();
        let since = match self.since {
            None => {
                trainer.board.say(&format!(
                    "{} trials run elsewhere: waiting for them (what a worker had that is gone is trained here)",
                    seen.len()
                ));
                now
            }
            Some(since) if seen == self.seen => since,
            Some(_) => now,
        };
        (self.seen, self.since) = (seen, Some(since));
        if since.elapsed() > longest && !trainer.study.is_beating()? {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(200).min(heartbeat));
        Ok(true)
    }
}

/// One trial, and then others of its structure, with those before them under way. `None` where every
/// point has been tried.
fn asked_together(trainer: &mut Trainer, most: usize) -> Result<Option<Vec<Vec<Trial>>>> {
    let Some(first) = trainer.ask()? else {
        return Ok(None);
    };
    let most = match fitting(trainer, &first, most) {
        Ok(most) => most,
        Err(e) => {
            trainer.fail(&first, &e.to_string())?;
            return Ok(Some(Vec::new()));
        }
    };
    let structure = trainer.structure_of(&first);
    let mut group = vec![first];
    group.extend(trainer.ask_more(&structure, most - 1)?);
    Ok(Some(vec![group]))
}

/// The trials that somebody has queued.
fn queued(trainer: &mut Trainer, most: usize) -> Result<Vec<Trial>> {
    let mut trials = Vec::new();
    while trials.len() < most
        && trainer.study.has_waiting()?
        && trainer.study.begun()? < trainer.trials
        && let Some(trial) = trainer.ask()?
    {
        trials.push(trial);
    }
    Ok(trials)
}

/// Trials in groups of one structure, in the order of their first ones.
fn grouped(trainer: &Trainer, trials: Vec<Trial>) -> Vec<Vec<Trial>> {
    let mut groups: Vec<(Point, Vec<Trial>)> = Vec::new();
    for trial in trials {
        let structure = trainer.structure_of(&trial);
        match groups.iter_mut().find(|(of, _)| *of == structure) {
            Some((_, group)) => group.push(trial),
            None => groups.push((structure, vec![trial])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// How many trials like this one train together: at most `wanted`, and half as many until the memory
/// holds them.
///
/// # Errors
/// What one alone fails by.
fn fitting(trainer: &mut Trainer, like: &Trial, wanted: usize) -> Result<usize> {
    let Ok(config) = trainer.config_of(like) else {
        return Ok(wanted);
    };
    let mut size = wanted;
    loop {
        let setup = trainer.setup(vec![config.clone(); size]);
        match setup.and_then(|setup| trainer.machine.check(&setup.plan)) {
            Ok(()) => break,
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
