//! Trains trials of one structure as the members of a population: epoch by epoch, each judged after
//! each epoch. The place of a trial that is pruned goes to the next one, and when half of the places
//! are empty for good the others move together into a smaller population.

use std::collections::BTreeMap;
use std::time::Instant;

use super::objective::Measure;
use super::running::{Arenas, Running, Watch};
use super::trainer::Trainer;
use super::winner::Winner;
use crate::Result;
use crate::models::file::encode;
use crate::train::stopping::Reason;
use crate::train::{self, Config, EpochRecord, MemberState};
use crate::tune::study::{Ends, Next, Report, json};
use crate::tune::trial::{Attributes, Point, Trial, TrialState};

/// A trial in its place.
pub struct Seat {
    pub trial: Trial,
    /// Its values; those of the trial, until population-based training changes them.
    pub point: Point,
    /// What it changed, as JSON.
    pub changes: Vec<String>,
    pub config: Config,
    /// What the rules remember of each fold's member, and the last epoch of each.
    pub members: Vec<MemberState>,
    last: Vec<Option<EpochRecord>>,
    best: Option<Best>,
}

/// The epoch at which a trial's first objective was best.
struct Best {
    epoch: u32,
    /// One per objective; NaN for those that are not learned.
    values: Vec<f64>,
    /// Over its folds.
    deviation: Option<f64>,
    /// By which it was trained up to then.
    config: Config,
    /// Whether population-based training had changed something by then.
    evolved: bool,
    /// Weights \[arena_len\], where they may be the study's best.
    weights: Option<Vec<f32>>,
}

impl Seat {
    /// The last epoch of each fold.
    fn records(&self) -> Vec<&EpochRecord> {
        self.last.iter().flatten().collect()
    }

    /// The epoch that it has come to.
    pub fn epoch(&self) -> Option<u32> {
        self.last.iter().flatten().map(|record| record.epoch).max()
    }

    /// Why the loss of one of its members is no number any more.
    fn diverged(&self) -> Option<String> {
        let member = self.members.iter().find(|member| member.has_diverged())?;
        let reason = member.stopped.as_ref();
        Some(reason.map_or(String::new(), Reason::to_string))
    }
}

/// What a trial comes to.
enum Outcome {
    /// One value per objective.
    Complete(Vec<f64>),
    Pruned {
        epoch: u32,
        value: f64,
    },
    Failed(String),
    /// It is another worker's, who took this one for dead.
    TakenOver,
}

/// Writes into the study what a trial was and came to.
fn note_outcome(running: &Running, seat: &mut Seat, outcome: &Outcome, ends: &mut Ends) {
    let id = seat.trial.id;
    match outcome {
        Outcome::TakenOver => return,
        Outcome::Failed(reason) => return ends.fail(id, reason),
        Outcome::Complete(_) | Outcome::Pruned { .. } => {}
    }
    let config = seat.best.as_ref().map_or(&seat.config, |best| &best.config);
    let config = toml::to_string(config).expect("a configuration is plain");
    let best = seat.best.as_ref().map_or(0, |best| best.epoch);
    let parameters = running.setup.plan.n_parameters();
    let mut noted = Attributes::from([
        ("config".to_string(), json(&config)),
        ("best_epoch".to_string(), best.to_string()),
        ("parameters".to_string(), parameters.to_string()),
        ("device".to_string(), json(&seat.config.device)),
    ]);
    if let Some(deviation) = seat.best.as_ref().and_then(|best| best.deviation) {
        noted.insert("deviation".to_string(), deviation.to_string());
    }
    if !seat.changes.is_empty() {
        noted.insert("pbt".to_string(), format!("[{}]", seat.changes.join(", ")));
    }
    ends.note(&mut seat.trial, noted);
    match outcome {
        Outcome::Complete(values) => ends.tell(&seat.trial, TrialState::Complete, values),
        _ => ends.tell(&seat.trial, TrialState::Pruned, &[]),
    }
}

impl Trainer<'_> {
    /// Trains these trials, which have one structure, and those that take the places of pruned ones.
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`], and what the device or the storage says; the trials are still under way.
    pub fn train(&mut self, trials: Vec<Trial>) -> Result<()> {
        let mut seats = Vec::with_capacity(trials.len());
        for trial in trials {
            if let Some(seat) = self.seat(trial)? {
                seats.push(Some(seat));
            }
        }
        let (mut epoch, mut carried) = (1, None);
        while seats.iter().any(Option::is_some) {
            (epoch, carried) = self.run(&mut seats, epoch, carried.take())?;
            seats.retain(Option::is_some);
        }
        Ok(())
    }

    /// A trial ready to be trained; one that makes no sense has failed.
    fn seat(&mut self, trial: Trial) -> Result<Option<Seat>> {
        let config = match self.config_of(&trial) {
            Ok(config) => config,
            Err(e) => {
                self.fail(&trial, &e.to_string())?;
                return Ok(None);
            }
        };
        let lanes = self.folds.len().max(1);
        let member = config.member_state()?;
        Ok(Some(Seat {
            point: trial.params.clone(),
            changes: Vec::new(),
            trial,
            config,
            members: vec![member; lanes],
            last: vec![None; lanes],
            best: None,
        }))
    }

    /// Trains the seats from `epoch` of the population on, until all are empty or it is worth while to
    /// move together: then the epoch and the arenas to go on with.
    fn run(
        &mut self,
        seats: &mut [Option<Seat>],
        epoch: u32,
        carried: Option<Arenas>,
    ) -> Result<(u32, Option<Arenas>)> {
        let configs: Vec<Config> = seats.iter().flatten().map(|s| s.config.clone()).collect();
        let setup = self.setup(configs.clone())?;
        let mut backend = self.machine.backend(&self.board.ui, &setup, self.stop)?;
        self.board.device(&backend);
        for seat in seats.iter_mut().flatten() {
            seat.config.device = backend.device.clone();
        }
        let feed = setup.feed();
        let members = seats.iter().flatten().flat_map(|s| s.members.clone());
        let members = members.collect();
        let lanes = self.folds.len().max(1);
        let mut running =
            Running::new(&setup, &feed, &mut backend, members, epoch, carried, lanes)?;
        loop {
            let began = Instant::now();
            self.sizes.push(seats.iter().flatten().count());
            let (records, diverged) = self.epoch(&mut running)?;
            let seconds = began.elapsed().as_secs_f64();
            self.judge(&mut running, seats, &records, seconds)?;
            if let Some(seed) = self.pbt.filter(|_| !diverged) {
                self.evolve(&mut running, seats, seed)?;
            }
            if diverged {
                // Steps may still be under way in this executor.
                return Ok((running.state.epoch, None));
            }
            // The first trials' last epoch is the last one at which another may begin.
            let may_refill = running.state.epoch <= configs[0].epochs;
            let filled = may_refill && self.refill(&mut running, seats)?;
            let taken = seats.iter().flatten().count();
            if taken == 0 {
                return Ok((running.state.epoch, None));
            }
            if !filled && taken * 2 <= seats.len() {
                let kept = running.carry(seats)?;
                return Ok((running.state.epoch, Some(kept)));
            }
        }
    }

    /// One epoch of all members; true where every loss diverged.
    pub fn epoch(&mut self, running: &mut Running) -> Result<(Vec<EpochRecord>, bool)> {
        let ids: Vec<i64> = self.under_way.iter().map(|trial| trial.id).collect();
        let mut watch = Watch {
            records: Vec::new(),
            study: &mut self.study,
            board: &mut self.board,
            ids,
        };
        let diverged = running.epoch(&mut watch, self.stop)?;
        Ok((watch.records, diverged))
    }

    /// Reports an epoch of every seat, and empties those of the trials that have come to their end.
    fn judge(
        &mut self,
        running: &mut Running,
        seats: &mut [Option<Seat>],
        records: &[EpochRecord],
        seconds: f64,
    ) -> Result<()> {
        let taken = seats.iter().flatten().count();
        let ms = seconds * 1e3 / (running.state.steps_per_epoch * taken.max(1)) as f64;
        let mut reports = Vec::new();
        for (place, slot) in seats.iter_mut().enumerate() {
            let Some(seat) = slot else { continue };
            let lanes = place * running.lanes..(place + 1) * running.lanes;
            seat.members = running.state.members[lanes.clone()].to_vec();
            for record in records.iter().filter(|r| lanes.contains(&r.member)) {
                seat.last[record.member - lanes.start] = Some(*record);
            }
            if seat.diverged().is_some() {
                continue;
            }
            if let Some(epoch) = seat.epoch() {
                let value = self.objective.of_epoch(&seat.records())[0];
                reports.push(Report {
                    trial: &mut seat.trial,
                    step: i64::from(epoch),
                    value,
                });
            }
        }
        let next = self.study.report(&mut reports)?;
        let ids = reports.iter().map(|report| report.trial.id);
        let next: BTreeMap<i64, Next> = ids.zip(next).collect();
        let mut weights: Option<Vec<f32>> = None;
        let mut ends = Ends::default();
        let mut ended = Vec::new();
        for (place, slot) in seats.iter_mut().enumerate() {
            let Some(seat) = slot else { continue };
            let outcome = match (seat.diverged(), next.get(&seat.trial.id)) {
                (Some(reason), _) => Some(Outcome::Failed(reason)),
                (None, Some(next)) => {
                    let member = place * running.lanes;
                    self.keep_best(running, seat, member, &mut weights)?;
                    self.outcome(running, seat, *next, ms)
                }
                (None, None) => None,
            };
            let Some(outcome) = outcome else { continue };
            for member in &mut running.state.members[place * running.lanes..][..running.lanes] {
                member.stopped = Some(Reason::Vacant);
            }
            let Some(mut seat) = slot.take() else {
                continue;
            };
            note_outcome(running, &mut seat, &outcome, &mut ends);
            ended.push((seat, outcome));
        }
        let lost = self.study.end(ends)?;
        for (seat, outcome) in ended {
            self.under_way.retain(|trial| trial.id != seat.trial.id);
            match lost.contains(&seat.trial.id) {
                true => self.conclude(running, seat, Outcome::TakenOver),
                false => self.conclude(running, seat, outcome),
            }
        }
        Ok(())
    }

    /// Keeps an epoch that is a seat's best so far.
    fn keep_best(
        &mut self,
        running: &mut Running,
        seat: &mut Seat,
        member: usize,
        weights: &mut Option<Vec<f32>>,
    ) -> Result<()> {
        let values = self.objective.of_epoch(&seat.records());
        let (_, direction) = self.objective.first();
        let best = seat.best.as_ref().map(|best| best.values[0]);
        if !best.is_none_or(|best| direction.is_better(values[0], best)) {
            return Ok(());
        }
        let may_win = self.folds.is_empty() && self.leads(values[0], seat.trial.number);
        if may_win && weights.is_none() {
            *weights = Some(train::weights(running.exec)?);
        }
        let len = running.setup.plan.arena_len;
        let mine = |all: &Vec<f32>| all[member * len..][..len].to_vec();
        seat.best = Some(Best {
            epoch: seat.epoch().unwrap_or(0),
            deviation: self.objective.deviation(&seat.records()),
            values,
            config: seat.config.clone(),
            evolved: !seat.changes.is_empty(),
            weights: weights.as_ref().filter(|_| may_win).map(mine),
        });
        Ok(())
    }

    /// What a seat's trial comes to, where it is at its end.
    fn outcome(&mut self, running: &Running, seat: &Seat, next: Next, ms: f64) -> Option<Outcome> {
        let value = self.objective.of_epoch(&seat.records())[0];
        let epoch = seat.epoch().unwrap_or(0);
        self.board.epoch(&seat.trial, value);
        let learns = seat.members.iter().any(|m| match &m.stopped {
            None | Some(Reason::Epochs { .. }) => epoch < seat.config.epochs,
            Some(_) => false,
        });
        match (next, learns) {
            (Next::GoOn, true) => None,
            (Next::Drop, _) => Some(Outcome::TakenOver),
            (_, false) => Some(self.complete(running, seat, ms)),
            (Next::Prune, true) => Some(Outcome::Pruned { epoch, value }),
        }
    }

    fn complete(&self, running: &Running, seat: &Seat, ms: f64) -> Outcome {
        let Some(best) = &seat.best else {
            return Outcome::Failed("no epoch was judged".to_string());
        };
        let mut values = best.values.clone();
        for (value, measure) in values.iter_mut().zip(&self.objective.measures) {
            match measure {
                Measure::Parameters => {
                    *value = running.setup.plan.n_parameters() as f64;
                }
                Measure::MsPerStep => *value = ms,
                _ => {}
            }
        }
        match values.iter().any(|value| value.is_nan()) {
            true => Outcome::Failed("its objective is no number".to_string()),
            false => Outcome::Complete(values),
        }
    }

    /// Tells what a trial came to, once it is in the storage, and keeps the winner.
    fn conclude(&mut self, running: &Running, seat: Seat, outcome: Outcome) {
        let mut trial = seat.trial;
        let values = match outcome {
            Outcome::Failed(reason) => return self.board.failed(&trial, &reason),
            Outcome::TakenOver => {
                return self.board.failed(&trial, "another worker took it over");
            }
            Outcome::Pruned { epoch, value } => return self.board.pruned(&trial, epoch, value),
            Outcome::Complete(values) => values,
        };
        let Some(best) = seat.best else { return };
        let wins = self.leads(values[0], trial.number);
        if wins {
            let encoded =
                |arena: &Vec<f32>| encode(&running.setup.model_info(0), &running.setup.plan, arena);
            self.winner = Some(Winner {
                number: trial.number,
                value: values[0],
                deviation: best.deviation,
                epoch: best.epoch,
                config: best.config,
                evolved: best.evolved,
                model: best.weights.as_ref().map(encoded),
            });
        }
        (trial.state, trial.values) = (TrialState::Complete, values);
        self.board.complete(&trial, best.epoch, wins);
    }

    /// Puts the next trials into the empty places; whether any was.
    fn refill(&mut self, running: &mut Running, seats: &mut [Option<Seat>]) -> Result<bool> {
        let mut filled = false;
        let Some(structure) = seats
            .iter()
            .flatten()
            .next()
            .map(|s| self.structure_of(&s.trial))
        else {
            return Ok(false);
        };
        // What is queued goes first, but has structures of its own.
        let waits = !structure.is_empty() && self.study.has_waiting()?;
        if self.is_late() || waits {
            return Ok(false);
        }
        let empty: Vec<usize> = (0..seats.len()).filter(|&ix| seats[ix].is_none()).collect();
        if empty.is_empty() {
            return Ok(false);
        }
        let mut asked = Vec::new();
        // Where nothing is fixed a queued trial may come, of any structure: all are alike.
        while structure.is_empty()
            && asked.len() < empty.len()
            && self.study.has_waiting()?
            && self.study.begun()? < self.trials
        {
            asked.extend(self.ask()?);
        }
        asked.extend(self.ask_more(&structure, empty.len() - asked.len())?);
        for (place, trial) in empty.into_iter().zip(asked) {
            let Some(mut seat) = self.seat(trial)? else {
                continue;
            };
            seat.config.device = running.device.clone();
            for lane in place * running.lanes..(place + 1) * running.lanes {
                running.place(lane, &seat)?;
            }
            seats[place] = Some(seat);
            filled = true;
        }
        Ok(filled)
    }
}
