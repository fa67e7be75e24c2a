//! Trains trials of one structure as the members of a population: epoch by epoch, each judged after
//! each epoch. The place of a trial that is pruned goes to the next one, and when half of the places
//! are empty for good the others move together into a smaller population.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::board::Board;
use super::machine::Machine;
use super::objective::Objective;
use super::winner::Winner;
use crate::cli::setup::{Room, Settings, Setup, facts};
use crate::data::Parts;
use crate::data::load::Loaded;
use crate::executor::{Executor, floats, words};
use crate::plan::{BufferId, Hyper};
use crate::train::feed::Feed;
use crate::train::options::TrainOptions;
use crate::train::schedule::Planned;
use crate::train::stopping::Reason;
use crate::train::{
    self, Config, EpochRecord, Job, MemberState, Observer, Snapshot, State, StepRecord,
};
use crate::tune::study::{Next, Study, json};
use crate::tune::trial::{Attributes, Point, Trial, TrialState};
use crate::tune::{pbt, settings};
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
    /// Trials of each population.
    pub sizes: Vec<usize>,
    /// Trials that have begun and are not at their end, those that wait for their turn among them.
    pub under_way: Vec<Trial>,
    /// When no trial begins any more.
    pub deadline: Option<Instant>,
}

/// A trial in its place.
struct Seat {
    trial: Trial,
    /// Its values; those of the trial, until population-based training changes them.
    point: Point,
    /// What it changed, as JSON.
    changes: Vec<String>,
    config: Config,
    /// What the rules remember of each fold's member, and the last epoch of each.
    members: Vec<MemberState>,
    last: Vec<Option<EpochRecord>>,
    best: Option<Best>,
}

/// The epoch at which a trial's first objective was best.
struct Best {
    epoch: u32,
    /// One per objective; NaN for those that are not learned.
    values: Vec<f64>,
    /// By which it was trained up to then.
    config: Config,
    /// Weights \[arena_len\], where they may be the study's best.
    weights: Option<Vec<f32>>,
}

/// What of an executor belongs to the members \[P, ...\].
struct Arenas {
    parameters: Vec<f32>,
    averages: Option<Vec<f32>>,
    state: Vec<f32>,
}

/// A population at work.
struct Running<'r> {
    setup: &'r Setup,
    feed: &'r Feed<'r>,
    exec: &'r mut dyn Executor,
    hyper: Vec<Hyper>,
    schedules: Vec<Planned>,
    state: State,
    /// Members of each trial: its folds.
    lanes: usize,
    device: String,
}

impl Trainer<'_> {
    /// The next trial, with these values decided already. `None` where every point has been tried.
    pub fn ask(&mut self, fixed: &Point) -> Result<Option<Trial>> {
        let asked = self.study.ask(fixed)?;
        if let Some(trial) = &asked {
            self.board.begun(trial);
            self.under_way.push(trial.clone());
        }
        Ok(asked)
    }

    /// Queues again all that has begun and is not at its end.
    pub fn put_back(&mut self) -> Result<()> {
        for trial in std::mem::take(&mut self.under_way) {
            self.study.put_back(&trial)?;
        }
        Ok(())
    }

    /// Whether no trial is to begin any more.
    pub fn is_late(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
    }

    pub fn pruner_name(&self) -> &'static str {
        match (self.pbt, self.study.pruner()) {
            (Some(_), _) => super::PBT,
            (None, pruner) => pruner.map_or("none", |pruner| pruner.name()),
        }
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
    fn config_at(&self, point: &Point, number: u32) -> Result<Config> {
        let table = settings::table(self.study.space(), point, self.given)?;
        let options: TrainOptions = table
            .try_into()
            .map_err(|e: toml::de::Error| Error::Usage(e.message().to_string()))?;
        let mut merged = options.over(self.given);
        // Every trial draws its own weights and orders, unless the seed itself is searched.
        if !point.contains_key("seed") {
            let seed = self.given.seed.unwrap_or(0);
            merged.seed = Some(seed + u64::from(number));
        }
        let facts = facts(&self.loaded, self.source, self.folds);
        merged.resolve(&TrainOptions::default(), &facts)
    }

    /// Values that all trials of a population have in common.
    pub fn structure_of(&self, trial: &Trial) -> Point {
        let space = self.study.space();
        let of_all = |(name, _): &(&String, &f64)| settings::is_structural(space, name);
        let params = trial.params.iter().filter(of_all);
        params.map(|(name, value)| (name.clone(), *value)).collect()
    }

    /// Trains these trials, which have one structure, and those that take the places of pruned ones.
    ///
    /// # Errors
    /// [`Error::Interrupted`], and what the device or the storage says; the trials are still under way.
    pub fn train(&mut self, trials: Vec<Trial>) -> Result<()> {
        let mut seats = Vec::with_capacity(trials.len());
        for trial in trials {
            if let Some(seat) = self.seat(trial)? {
                seats.push(Some(seat));
            }
        }
        self.sizes.push(seats.len());
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
                self.study.fail(trial.id, &e.to_string())?;
                self.board.failed(&trial, &e.to_string());
                self.ended(trial.id);
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
        let space = self.study.space();
        let set = Settings {
            members: configs.clone(),
            room: Room {
                clips: space.get("clip-norm").is_some(),
                max_norm: space.get("max-norm").is_some(),
            },
            folds: self.folds,
            resumes: false,
        };
        let limit = self.machine.largest_buffer();
        let setup = Setup::of(self.loaded.clone(), configs[0].clone(), set, limit)?;
        let mut backend = self.machine.backend(&self.board.ui, &setup, self.stop)?;
        self.board.device(&backend);
        for seat in seats.iter_mut().flatten() {
            seat.config.device = backend.device.clone();
        }
        let feed = setup.feed();
        let members = seats.iter().flatten().flat_map(|s| s.members.clone());
        let mut state = State::new(setup.steps_per_epoch(), members.collect());
        state.epoch = epoch;
        let mut running = Running {
            feed: &feed,
            exec: &mut *backend.exec,
            hyper: setup.hyper.clone(),
            schedules: setup.schedules.clone(),
            state,
            lanes: self.folds.len().max(1),
            setup: &setup,
            device: backend.device.clone(),
        };
        feed.load(running.exec)?;
        match carried {
            Some(arenas) => arenas.restore(running.exec)?,
            None => train::start_from(running.exec, setup.initial())?,
        }
        loop {
            let began = Instant::now();
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

    /// One epoch of all seats; true where every loss diverged.
    fn epoch(&mut self, running: &mut Running) -> Result<(Vec<EpochRecord>, bool)> {
        running.state.reopen();
        let config = &running.setup.config;
        let job = Job {
            hyper: &running.hyper,
            schedules: &running.schedules,
            feed: running.feed,
            scores: &running.setup.scores,
            epochs: running.state.epoch,
            shuffle: !config.no_shuffle,
            accumulate: config.accumulate as usize,
            ema: config.ema,
            time: None,
            target_accuracy: config.target_accuracy,
            checkpoint_every: Duration::MAX,
            stop: self.stop,
        };
        let ids: Vec<i64> = self.under_way.iter().map(|trial| trial.id).collect();
        let mut watch = Watch {
            records: Vec::new(),
            study: &mut self.study,
            board: &mut self.board,
            ids,
        };
        let state = &mut running.state;
        match train::train(running.exec, &job, state, &mut None, &mut watch) {
            Ok(()) => Ok((watch.records, false)),
            Err(Error::Check(_)) => Ok((watch.records, true)),
            Err(e) => Err(e),
        }
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
        let mut weights: Option<Vec<f32>> = None;
        for (place, slot) in seats.iter_mut().enumerate() {
            let Some(seat) = slot else { continue };
            let lanes = place * running.lanes..(place + 1) * running.lanes;
            seat.members = running.state.members[lanes.clone()].to_vec();
            for record in records.iter().filter(|r| lanes.contains(&r.member)) {
                seat.last[record.member - lanes.start] = Some(*record);
            }
            let diverged = seat.members.iter().find(|m| m.has_diverged());
            let ended = if let Some(member) = diverged {
                let reason = member
                    .stopped
                    .as_ref()
                    .map_or(String::new(), Reason::to_string);
                self.study.fail(seat.trial.id, &reason)?;
                self.board.failed(&seat.trial, &reason);
                true
            } else {
                self.report(running, seat, lanes.start, ms, &mut weights)?
            };
            if ended {
                self.ended(seat.trial.id);
                for member in &mut running.state.members[lanes] {
                    member.stopped = Some(Reason::Vacant);
                }
                *slot = None;
            }
        }
        Ok(())
    }

    /// Reports an epoch of one seat; whether its trial has come to its end.
    fn report(
        &mut self,
        running: &mut Running,
        seat: &mut Seat,
        member: usize,
        ms: f64,
        weights: &mut Option<Vec<f32>>,
    ) -> Result<bool> {
        let records: Vec<&EpochRecord> = seat.last.iter().flatten().collect();
        let Some(epoch) = records.iter().map(|r| r.epoch).max() else {
            return Ok(false);
        };
        let values = self.objective.of_epoch(&records);
        let (_, direction) = self.objective.first();
        let next = self
            .study
            .report(&mut seat.trial, i64::from(epoch), values[0])?;
        let best = seat.best.as_ref().map(|best| best.values[0]);
        if best.is_none_or(|best| direction.is_better(values[0], best)) {
            let leads = self.winner.as_ref().map(|w| w.value);
            let may_win = self.objective.is_single()
                && self.folds.is_empty()
                && leads.is_none_or(|leads| direction.is_better(values[0], leads));
            let weights = match may_win {
                true => {
                    if weights.is_none() {
                        *weights = Some(train::weights(running.exec)?);
                    }
                    let len = running.setup.plan.arena_len;
                    weights
                        .as_ref()
                        .map(|all| all[member * len..][..len].to_vec())
                }
                false => None,
            };
            seat.best = Some(Best {
                epoch,
                values: values.clone(),
                config: seat.config.clone(),
                weights,
            });
        }
        self.board.epoch(&seat.trial, values[0]);
        let learns = seat.members.iter().any(|m| match &m.stopped {
            None | Some(Reason::Epochs { .. }) => epoch < seat.config.epochs,
            Some(_) => false,
        });
        match (next, learns) {
            (Next::Drop, _) => {
                self.board
                    .failed(&seat.trial, "another worker took it over");
                Ok(true)
            }
            (_, false) => self.complete(running, seat, ms).map(|()| true),
            (Next::Prune, true) => {
                self.note(running, seat)?;
                self.study.tell(&seat.trial, TrialState::Pruned, &[])?;
                self.board.pruned(&seat.trial, epoch, values[0]);
                Ok(true)
            }
            (Next::GoOn, true) => Ok(false),
        }
    }

    fn complete(&mut self, running: &Running, seat: &mut Seat, ms: f64) -> Result<()> {
        self.note(running, seat)?;
        let Some(best) = seat.best.take() else {
            return self.study.fail(seat.trial.id, "no epoch was judged");
        };
        let mut values = best.values;
        for (value, measure) in values.iter_mut().zip(&self.objective.measures) {
            match measure {
                super::objective::Measure::Parameters => {
                    *value = running.setup.plan.n_parameters() as f64;
                }
                super::objective::Measure::MsPerStep => *value = ms,
                _ => {}
            }
        }
        if values.iter().any(|value| value.is_nan()) {
            let reason = "its objective is no number";
            self.board.failed(&seat.trial, reason);
            return self.study.fail(seat.trial.id, reason);
        }
        self.study
            .tell(&seat.trial, TrialState::Complete, &values)?;
        seat.trial.state = TrialState::Complete;
        seat.trial.values = values.clone();
        let (_, direction) = self.objective.first();
        let leads = self.winner.as_ref().map(|w| w.value);
        let wins = self.objective.is_single()
            && leads.is_none_or(|leads| direction.is_better(values[0], leads));
        if wins {
            self.winner = Some(Winner::new(
                running.setup,
                &best.config,
                &seat.trial,
                best.epoch,
                best.weights.as_deref(),
            ));
        }
        self.board.complete(&seat.trial, best.epoch, wins);
        Ok(())
    }

    /// Lets the worst trials go on from the best, where it is time to.
    fn evolve(
        &mut self,
        running: &mut Running,
        seats: &mut [Option<Seat>],
        seed: u64,
    ) -> Result<()> {
        let epoch = running.state.epoch - 1;
        if !epoch.is_multiple_of(pbt::interval(running.setup.config.epochs)) {
            return Ok(());
        }
        let taken: Vec<usize> = (0..seats.len()).filter(|&ix| seats[ix].is_some()).collect();
        let last = |ix: &usize| {
            let seat = seats[*ix].as_ref();
            let values = seat.map(|seat| seat.trial.intermediate.values());
            values
                .and_then(|mut v| v.next_back())
                .copied()
                .unwrap_or(f64::NAN)
        };
        let values: Vec<f64> = taken.iter().map(last).collect();
        let number = |ix: usize| seats[ix].as_ref().map_or(0, |seat| seat.trial.number);
        let (_, direction) = self.objective.first();
        let pairs = pbt::exploit(&values, direction, |ix| {
            pbt::stream(seed, number(taken[ix]), epoch)
        });
        for (loser, winner) in pairs {
            let (loser, winner) = (taken[loser], taken[winner]);
            let Some(from) = seats[winner].as_ref() else {
                continue;
            };
            let (from_point, from_number) = (from.point.clone(), from.trial.number);
            let Some(seat) = seats[loser].as_mut() else {
                continue;
            };
            let mut draws = pbt::stream(seed, seat.trial.number, epoch | 1 << 31);
            let space = self.study.space();
            let may_change = |name: &str| !settings::is_structural(space, name);
            let point = pbt::explore(space, &from_point, &mut draws, may_change);
            // Values that make no sense together are left alone.
            let Ok(mut config) = self.config_at(&point, seat.trial.number) else {
                continue;
            };
            config.device = seat.config.device.clone();
            let values: Vec<String> = point
                .iter()
                .filter_map(|(name, value)| {
                    let external = space.get(name)?.distribution.external(*value);
                    Some(format!("{}: {}", json(name), external.to_json()))
                })
                .collect();
            seat.changes.push(format!(
                "{{\"epoch\": {epoch}, \"from\": {from_number}, \"params\": {{{}}}}}",
                values.join(", ")
            ));
            (seat.point, seat.config) = (point, config);
            running.inherit(loser, winner, &seat.config)?;
        }
        Ok(())
    }

    /// Writes into the study what a trial was.
    fn note(&mut self, running: &Running, seat: &mut Seat) -> Result<()> {
        let config = seat.best.as_ref().map_or(&seat.config, |best| &best.config);
        let config = toml::to_string(config)
            .map_err(|e| Error::Data(format!("cannot write a trial's configuration: {e}")))?;
        let best = seat.best.as_ref().map_or(0, |best| best.epoch);
        let parameters = running.setup.plan.n_parameters();
        let mut noted = Attributes::from([
            ("config".to_string(), json(&config)),
            ("best_epoch".to_string(), best.to_string()),
            ("parameters".to_string(), parameters.to_string()),
            ("device".to_string(), json(&seat.config.device)),
        ]);
        if !seat.changes.is_empty() {
            noted.insert("pbt".to_string(), format!("[{}]", seat.changes.join(", ")));
        }
        self.study.note(&mut seat.trial, noted)
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
        for (place, slot) in seats.iter_mut().enumerate() {
            if slot.is_some() || self.is_late() || self.study.begun()? >= self.trials {
                continue;
            }
            // Where nothing is fixed a queued trial may come, of any structure: all are alike.
            let Some(trial) = self.ask(&structure)? else {
                break;
            };
            let Some(mut seat) = self.seat(trial)? else {
                continue;
            };
            seat.config.device = running.device.clone();
            for lane in place * running.lanes..(place + 1) * running.lanes {
                running.place(lane, &seat)?;
            }
            *slot = Some(seat);
            filled = true;
        }
        Ok(filled)
    }
}

impl Running<'_> {
    /// Starts a seat's trial in the place of member `lane`.
    fn place(&mut self, lane: usize, seat: &Seat) -> Result<()> {
        let (config, plan) = (&seat.config, &self.setup.plan);
        let arena = self.setup.initial_of(config);
        let len = plan.arena_len;
        let (parameters, averages, state) = (plan.parameters, plan.averages, plan.state);
        self.exec.upload(parameters, lane * len, words(&arena))?;
        if let Some(averages) = averages {
            self.exec.upload(averages, lane * len, words(&arena))?;
        }
        let moments = plan.buffer(state).len / plan.members;
        self.exec.upload(state, lane * moments, &vec![0; moments])?;
        self.hyper[lane] = config.hyper(&plan.dropout);
        self.schedules[lane] = config.planned(self.feed.parts(lane).train.len())?;
        self.state.members[lane] = MemberState {
            began: self.state.epoch - 1,
            ..seat.members[0].clone()
        };
        Ok(())
    }

    /// Lets the members of one place go on from the weights and moments of another's, by the rules of
    /// `config`.
    fn inherit(&mut self, to: usize, from: usize, config: &Config) -> Result<()> {
        let plan = self.setup.plan.clone();
        let arenas = [Some(plan.parameters), plan.averages, Some(plan.state)];
        for id in arenas.into_iter().flatten() {
            let all = self.exec.download(id)?;
            let len = all.len() / plan.members * self.lanes;
            self.exec.upload(id, to * len, &all[from * len..][..len])?;
        }
        for fold in 0..self.lanes {
            let (to, from) = (to * self.lanes + fold, from * self.lanes + fold);
            self.hyper[to] = config.hyper(&plan.dropout);
            self.schedules[to] = config.planned(self.feed.parts(to).train.len())?;
            self.state.members[to].plateau = self.state.members[from].plateau;
        }
        Ok(())
    }

    /// The arenas of the seats that are taken, whose memory is brought up to date.
    fn carry(&mut self, seats: &mut [Option<Seat>]) -> Result<Arenas> {
        let lanes: Vec<usize> = (0..seats.len() * self.lanes)
            .filter(|lane| seats[lane / self.lanes].is_some())
            .collect();
        for (place, seat) in seats.iter_mut().enumerate() {
            if let Some(seat) = seat {
                let of = place * self.lanes..(place + 1) * self.lanes;
                seat.members = self.state.members[of].to_vec();
            }
        }
        let members = self.setup.plan.members;
        let mut kept = |id: BufferId| -> Result<Vec<f32>> {
            let all = floats(self.exec.download(id)?);
            let len = all.len() / members;
            let of = |&lane: &usize| all[lane * len..][..len].iter().copied();
            Ok(lanes.iter().flat_map(of).collect())
        };
        let plan = &self.setup.plan;
        Ok(Arenas {
            parameters: kept(plan.parameters)?,
            averages: plan.averages.map(&mut kept).transpose()?,
            state: kept(plan.state)?,
        })
    }
}

impl Arenas {
    fn restore(&self, exec: &mut dyn Executor) -> Result<()> {
        let plan = exec.plan();
        let (parameters, averages, state) = (plan.parameters, plan.averages, plan.state);
        exec.upload(parameters, 0, words(&self.parameters))?;
        if let (Some(id), Some(values)) = (averages, &self.averages) {
            exec.upload(id, 0, words(values))?;
        }
        exec.upload(state, 0, words(&self.state))
    }
}

/// Hears an epoch, and keeps the storage and the eye informed.
struct Watch<'a> {
    records: Vec<EpochRecord>,
    study: &'a mut Study,
    board: &'a mut Board,
    ids: Vec<i64>,
}

impl Observer for Watch<'_> {
    fn steps(&mut self, _: &[StepRecord], state: &State) -> Result<()> {
        self.board.tick(state);
        self.study.beat(self.ids.iter().copied())
    }

    fn epoch(&mut self, records: &[EpochRecord], _: &State) -> Result<()> {
        self.records.extend_from_slice(records);
        Ok(())
    }

    fn checkpoint(&mut self, _: &mut Snapshot) -> Result<()> {
        Ok(())
    }
}
