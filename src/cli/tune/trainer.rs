//! What the populations of a study share.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::board::Board;
use super::machine::Machine;
use super::objective::Objective;
use super::winner::Winner;
use crate::cli::setup::{Room, Settings, Setup, facts};
use crate::data::Parts;
use crate::data::load::Loaded;
use crate::train::config::{Config, Facts};
use crate::train::options::TrainOptions;
use crate::tune::settings;
use crate::tune::space::Space;
use crate::tune::study::Study;
use crate::tune::trial::{Point, Trial};
use crate::{Error, Result};

/// All that the populations of a study share.
pub struct Trainer<'a> {
    pub study: Study,
    pub objective: &'a Objective,
    pub loaded: Arc<Loaded>,
    pub source: &'a str,
    /// What is not searched.
    pub given: &'a TrainOptions,
    /// Each trial is trained on each of these; empty: on the data's own parts.
    pub folds: &'a [Parts],
    pub machine: Machine,
    pub board: Board,
    pub stop: &'a AtomicBool,
    /// Trials that the study is to have.
    pub trials: usize,
    pub winner: Option<Winner>,
    /// The worst of a population go on from the best: its seed.
    pub pbt: Option<u64>,
    /// Trials that trained together, of each epoch of each population.
    pub sizes: Vec<usize>,
    /// Trials that have begun and are not at their end, those that wait for their turn among them.
    pub under_way: Vec<Trial>,
    /// When no trial begins any more.
    pub deadline: Option<Instant>,
}

impl Trainer<'_> {
    /// The next trial, a queued one first. `None` where every point has been tried, and where there are
    /// enough.
    pub fn ask(&mut self) -> Result<Option<Trial>> {
        let mut refused = Vec::new();
        let asked = self.study.ask(self.trials, &mut refused)?;
        for (trial, reason) in refused {
            self.board.failed(&trial, &reason);
        }
        self.begin(asked.as_slice());
        Ok(asked)
    }

    /// Up to `n` more trials with these values decided already.
    pub fn ask_more(&mut self, fixed: &Point, n: usize) -> Result<Vec<Trial>> {
        let asked = self.study.ask_more(fixed, n, self.trials)?;
        self.begin(&asked);
        Ok(asked)
    }

    fn begin(&mut self, trials: &[Trial]) {
        for trial in trials {
            self.board.begun(trial);
            self.under_way.push(trial.clone());
        }
    }

    /// Queues again all that has begun and is not at its end.
    pub fn put_back(&mut self) -> Result<()> {
        let under_way = std::mem::take(&mut self.under_way);
        self.study.put_back(&under_way)
    }

    /// Whether no trial is to begin any more.
    pub fn is_late(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Whether a trial with this value would be the best so far. Of equals it is the first one.
    pub fn leads(&self, value: f64, number: u32) -> bool {
        let (_, direction) = self.objective.first();
        let beats = |winner: &Winner| match value == winner.value {
            true => number < winner.number,
            false => direction.is_better(value, winner.value),
        };
        self.objective.is_single() && self.winner.as_ref().is_none_or(beats)
    }

    pub fn pruner_name(&self) -> &'static str {
        match (self.pbt, self.study.pruner()) {
            (Some(_), _) => super::PBT,
            (None, pruner) => pruner.map_or("none", |pruner| pruner.name()),
        }
    }

    /// A trial that came to nothing, and why.
    pub fn fail(&mut self, trial: &Trial, reason: &str) -> Result<()> {
        self.study.fail(trial.id, reason)?;
        self.board.failed(trial, reason);
        self.ended(trial.id);
        Ok(())
    }

    fn ended(&mut self, id: i64) {
        self.under_way.retain(|trial| trial.id != id);
    }

    /// The configuration that a trial amounts to.
    ///
    /// # Errors
    /// [`Error::Usage`] where its values make no sense together.
    pub fn config_of(&self, trial: &Trial) -> Result<Config> {
        self.config_at(&trial.params, trial.number)
    }

    /// The configuration of trial `number` at these values.
    pub fn config_at(&self, point: &Point, number: u32) -> Result<Config> {
        let facts = facts(&self.loaded, self.source, self.folds);
        config_at(self.study.space(), point, number, self.given, &facts)
    }

    /// What a population of these configurations, which have one structure, runs on.
    ///
    /// # Errors
    /// Where no memory holds it.
    pub fn setup(&self, members: Vec<Config>) -> Result<Setup> {
        let space = self.study.space();
        let config = members[0].clone();
        let set = Settings {
            members,
            room: Room {
                clips: space.get("clip-norm").is_some(),
                max_norm: space.get("max-norm").is_some(),
            },
            folds: self.folds,
            resumes: false,
        };
        let limit = self.machine.largest_buffer();
        Setup::of(self.loaded.clone(), config, set, limit)
    }

    /// Values that all trials of a population have in common.
    pub fn structure_of(&self, trial: &Trial) -> Point {
        let space = self.study.space();
        let of_all = |(name, _): &(&String, &f64)| settings::is_structural(space, name);
        let params = trial.params.iter().filter(of_all);
        params.map(|(name, value)| (name.clone(), *value)).collect()
    }
}

/// The configuration of trial `number` at these values; `given` has what is not searched.
///
/// # Errors
/// [`Error::Usage`] where they make no sense together.
pub fn config_at(
    space: &Space,
    point: &Point,
    number: u32,
    given: &TrainOptions,
    facts: &Facts,
) -> Result<Config> {
    let table = settings::table(space, point, given)?;
    let options: TrainOptions = table
        .try_into()
        .map_err(|e: toml::de::Error| Error::Usage(e.message().to_string()))?;
    let mut merged = settings::of_optimizer(options.over(given));
    // Every trial draws its own weights and orders, unless the seed itself is searched.
    if !point.contains_key("seed") {
        let seed = given.seed.unwrap_or(0);
        merged.seed = Some(seed + u64::from(number));
    }
    merged.resolve(&TrainOptions::default(), facts)
}
