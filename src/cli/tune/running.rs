//! A population at work: its executor, and what of it belongs to each member.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::board::Board;
use super::population::Seat;
use crate::cli::open::Backend;
use crate::cli::setup::Setup;
use crate::executor::{Executor, floats, words};
use crate::plan::{BufferId, Hyper};
use crate::train::feed::Feed;
use crate::train::schedule::Planned;
use crate::train::{
    self, Config, EpochRecord, Job, MemberState, Observer, Snapshot, State, StepRecord,
};
use crate::tune::study::Study;
use crate::{Error, Result};

/// What of an executor belongs to the members \[P, ...\].
pub struct Arenas {
    parameters: Vec<f32>,
    averages: Option<Vec<f32>>,
    state: Vec<f32>,
}

/// A population at work.
pub struct Running<'r> {
    pub setup: &'r Setup,
    feed: &'r Feed<'r>,
    pub exec: &'r mut dyn Executor,
    hyper: Vec<Hyper>,
    schedules: Vec<Planned>,
    pub state: State,
    /// Members of each trial: its folds.
    pub lanes: usize,
    pub device: String,
}

impl<'r> Running<'r> {
    /// A population that is about to train epoch `epoch`, from what is `carried` over or else from its
    /// first weights. `members`: what the rules remember of each \[P\];
    /// `lanes`: members of each trial.
    pub fn new(
        setup: &'r Setup,
        feed: &'r Feed<'r>,
        backend: &'r mut Backend,
        members: Vec<MemberState>,
        epoch: u32,
        carried: Option<Arenas>,
        lanes: usize,
    ) -> Result<Running<'r>> {
        let exec = &mut *backend.exec;
        feed.load(exec)?;
        match carried {
            Some(arenas) => arenas.restore(exec)?,
            None => train::start_from(exec, setup.initial())?,
        }
        let mut state = State::new(setup.steps_per_epoch(), members);
        state.epoch = epoch;
        Ok(Running {
            setup,
            feed,
            exec,
            hyper: setup.hyper.clone(),
            schedules: setup.schedules.clone(),
            state,
            lanes,
            device: backend.device.clone(),
        })
    }

    /// Trains every member for one epoch; true where every loss diverged.
    pub fn epoch(&mut self, watch: &mut dyn Observer, stop: &AtomicBool) -> Result<bool> {
        self.state.reopen();
        let config = &self.setup.config;
        let job = Job {
            hyper: &self.hyper,
            schedules: &self.schedules,
            feed: self.feed,
            scores: &self.setup.scores,
            epochs: self.state.epoch,
            shuffle: !config.no_shuffle,
            accumulate: config.accumulate as usize,
            ema: config.ema,
            time: None,
            target_accuracy: config.target_accuracy,
            checkpoint_every: Duration::MAX,
            stop,
        };
        match train::train(self.exec, &job, &mut self.state, &mut None, watch) {
            Ok(()) => Ok(false),
            Err(Error::Check(_)) => Ok(true),
            Err(e) => Err(e),
        }
    }

    /// Starts a seat's trial in the place of member `lane`.
    pub fn place(&mut self, lane: usize, seat: &Seat) -> Result<()> {
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
    pub fn inherit(&mut self, to: usize, from: usize, config: &Config) -> Result<()> {
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
    pub fn carry(&mut self, seats: &mut [Option<Seat>]) -> Result<Arenas> {
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
pub struct Watch<'a> {
    pub records: Vec<EpochRecord>,
    pub study: &'a mut Study,
    pub board: &'a mut Board,
    /// Of the trials under way.
    pub ids: Vec<i64>,
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
