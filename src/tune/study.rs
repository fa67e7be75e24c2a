//! A study at work: asks a sampler where to look, tells a storage what came of it, and asks a pruner
//! whether to go on. Many of them, on many machines, may work on one storage.

mod about;
mod ends;
mod plan;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::distribution::Scalar;
use super::pruner::{Judged, Pruner, Verdict};
use super::sampler::{Answer, Sampler};
use super::space::Space;
use super::storage::{self, AttributeKind, Storage, Write};
use super::trial::{Attributes, Direction, Point, Trial, TrialState};
use crate::{Error, Result};

pub use ends::Ends;
pub use plan::Plan;

/// A study that is open.
pub struct Study {
    storage: Box<dyn Storage>,
    id: i64,
    name: String,
    directions: Vec<Direction>,
    plan: Plan,
    last_beat: Option<Instant>,
    /// Id of the last trial that was not in the storage yet; below those of any storage.
    next_draft: i64,
}

/// What is to be done with a trial that has not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    GoOn,
    Prune,
    /// Somebody else has ended it.
    Drop,
}

/// A value of a trial's first objective at a step.
pub struct Report<'a> {
    pub trial: &'a mut Trial,
    pub step: i64,
    pub value: f64,
}

impl Study {
    /// Opens the study `name`, which is made where there is none.
    ///
    /// # Errors
    /// [`Error::Usage`] where it is there with other directions, or with distributions that contradict
    /// the space.
    pub fn open(
        mut storage: Box<dyn Storage>,
        name: &str,
        directions: &[Direction],
        plan: Plan,
    ) -> Result<Study> {
        let found = match storage.find_study(name)? {
            Some(found) => found,
            None => match storage.create_study(name, directions) {
                Ok(made) => made,
                // Another worker was a moment earlier.
                Err(e) => storage.find_study(name)?.ok_or(e)?,
            },
        };
        if found.directions != directions {
            let words = |of: &[Direction]| {
                let names: Vec<&str> = of.iter().map(|d| d.name()).collect();
                names.join(", ").to_lowercase()
            };
            return Err(Error::Usage(format!(
                "study {name} is to {}, and this is to {}: choose another --study, or its --direction",
                words(&found.directions),
                words(directions)
            )));
        }
        let study = Study {
            id: found.id,
            name: found.name,
            directions: found.directions,
            storage,
            plan,
            last_beat: None,
            next_draft: 0,
        };
        study.check_space()
    }

    /// Refuses a space that contradicts what is stored.
    fn check_space(mut self) -> Result<Study> {
        for trial in self.storage.trials(self.id)? {
            for (name, stored) in &trial.distributions {
                let Some(wanted) = self.plan.space.get(name) else {
                    continue;
                };
                if !wanted.distribution.is_compatible(stored) {
                    return Err(Error::Usage(format!(
                        "study {} has searched {name} in {stored}, and this is {}: choose another --study, or the same --space",
                        self.name, wanted.distribution
                    )));
                }
            }
        }
        Ok(self)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn space(&self) -> &Space {
        &self.plan.space
    }

    pub fn directions(&self) -> &[Direction] {
        &self.directions
    }

    pub fn sampler(&self) -> &dyn Sampler {
        &*self.plan.sampler
    }

    pub fn pruner(&self) -> Option<&dyn Pruner> {
        self.plan.pruner.as_deref()
    }

    /// All trials so far, by number.
    pub fn trials(&mut self) -> Result<&[Trial]> {
        self.storage.trials(self.id)
    }

    /// Trials that are finished or at work: what a number of trials is counted by. One that failed and
    /// was queued again counts as the one that it is then.
    pub fn begun(&mut self) -> Result<usize> {
        Ok(begun(self.storage.trials(self.id)?))
    }

    /// Trials at work, by number with the epochs that they have reported.
    pub fn running(&mut self) -> Result<Vec<(u32, usize)>> {
        let trials = self.storage.trials(self.id)?.iter();
        let running = trials.filter(|t| t.state == TrialState::Running);
        Ok(running.map(|t| (t.number, t.intermediate.len())).collect())
    }

    /// Whether somebody says of a running trial that it is at work.
    pub fn is_beating(&mut self) -> Result<bool> {
        Ok(!self.storage.beating(self.id)?.is_empty())
    }

    /// Whether it is known of a worker that it is gone.
    pub fn has_heartbeat(&self) -> bool {
        self.storage.has_heartbeat()
    }

    /// Whether somebody has queued a trial.
    pub fn has_waiting(&mut self) -> Result<bool> {
        let trials = self.storage.trials(self.id)?;
        Ok(trials.iter().any(|t| t.state == TrialState::Waiting))
    }

    /// Fails the trials of workers that are gone, and queues them again, each three times at most; how
    /// many.
    pub fn revive(&mut self) -> Result<usize> {
        if !self.storage.has_heartbeat() {
            return Ok(0);
        }
        // Databases tell whole seconds.
        let grace = self.plan.heartbeat * 2 + Duration::from_secs(1);
        let reason = "its worker said nothing any more";
        self.storage.put_back_stale(self.id, grace, reason, Some(3))
    }

    /// The next trial: one that was queued, or else one that the sampler decides. `None` where every
    /// point has been tried, and where there are `in_all`. Queued trials of which nothing can be made fail
    /// on the way: they are `refused`, each with its reason.
    ///
    /// # Errors
    /// Of the storage and of the sampler.
    pub fn ask(
        &mut self,
        in_all: usize,
        refused: &mut Vec<(Trial, String)>,
    ) -> Result<Option<Trial>> {
        loop {
            let Some(claimed) = self.storage.claim_waiting(self.id)? else {
                let asked = self.ask_more(&Point::new(), 1, in_all)?.pop();
                if asked.is_none() && self.has_waiting()? && self.begun()? < in_all {
                    continue;
                }
                return Ok(asked);
            };
            if self.is_one_too_many(&claimed, in_all)? {
                self.put_back(std::slice::from_ref(&claimed))?;
                return Ok(None);
            }
            match self.decided(&claimed) {
                Ok(fixed) => return self.begin(&claimed, fixed).map(Some),
                Err(e) => {
                    self.fail(claimed.id, &e.to_string())?;
                    refused.push((claimed, e.to_string()));
                }
            }
        }
    }

    /// Whether others have claimed what was left at the same moment: the last of them gives way.
    fn is_one_too_many(&mut self, claimed: &Trial, in_all: usize) -> Result<bool> {
        let trials = self.storage.trials(self.id)?;
        let is_later = |t: &&Trial| t.state == TrialState::Running && t.number > claimed.number;
        let later = trials.iter().filter(is_later).count();
        Ok(begun(trials).saturating_sub(in_all) > later)
    }

    /// Decides what is open of a claimed trial.
    fn begin(&mut self, claimed: &Trial, mut fixed: Point) -> Result<Trial> {
        self.plan.space.prune_inactive(&mut fixed);
        let trials = self.storage.trials(self.id)?;
        let answer = self
            .plan
            .answer(&self.name, &self.directions, trials, claimed.number, &fixed);
        // What the sampler cannot do is not the trial's fault.
        let Answer { point, system } = match answer {
            Ok(answer) => answer,
            Err(e) => {
                self.put_back(std::slice::from_ref(claimed))?;
                return Err(e);
            }
        };
        let mut writes: Vec<Write> = Vec::new();
        for (name, internal) in point {
            if let Some(parameter) = self.plan.space.get(&name) {
                writes.push(Write::Param {
                    trial: claimed.id,
                    name,
                    internal,
                    distribution: parameter.distribution.clone(),
                });
            }
        }
        writes.extend(attributes(claimed.id, AttributeKind::System, &system));
        self.storage.write(&writes)?;
        let stored = self.stored(&[(claimed.id, claimed.number)])?;
        Ok(stored.into_iter().next().expect("one was asked for"))
    }

    /// Up to `n` more trials in one transaction, each with the values `fixed` decided already and with
    /// those before it under way: fewer where every point has been tried, and where there are `in_all`;
    /// none where others were quicker and somebody has queued a trial since, which goes first.
    ///
    /// # Errors
    /// Of the storage and of the sampler.
    pub fn ask_more(&mut self, fixed: &Point, n: usize, in_all: usize) -> Result<Vec<Trial>> {
        let mut fixed = fixed.clone();
        self.plan.space.prune_inactive(&mut fixed);
        let mut most = n;
        loop {
            let mut trials = self.storage.trials(self.id)?.to_vec();
            let n = most.min(in_all.saturating_sub(begun(&trials)));
            let first = trials.len();
            for number in (first..first + n).map(|number| number as u32) {
                let asked = self
                    .plan
                    .question(&self.directions, &trials, number, &fixed);
                if self.plan.sampler.is_exhausted(&asked) {
                    break;
                }
                let answer =
                    self.plan
                        .answer(&self.name, &self.directions, &trials, number, &fixed)?;
                // What a sampler keeps of a trial it keeps by its id, which is none yet.
                self.next_draft -= 1;
                trials.push(self.plan.draft(self.next_draft, number, answer));
            }
            let drafts = &trials[first..];
            let made = self
                .storage
                .create_trials_at(self.id, Some(first as u32), drafts)?;
            // Otherwise another worker was quicker, and the sampler should know; fewer take less time.
            if let Some(made) = made {
                return self.stored(&made);
            }
            if self.has_waiting()? {
                return Ok(Vec::new());
            }
            most = (most / 2).max(1);
        }
    }

    /// Trials as the storage has them, by id and number.
    fn stored(&mut self, made: &[(i64, u32)]) -> Result<Vec<Trial>> {
        let trials = self.storage.trials(self.id)?;
        let of = |(id, number): &(i64, u32)| {
            let trial = trials.get(*number as usize).filter(|trial| trial.id == *id);
            trial.cloned().ok_or_else(|| {
                Error::Data(format!(
                    "trial {number} of study {} is gone from its storage",
                    self.name
                ))
            })
        };
        made.iter().map(of).collect()
    }

    /// What of a queued trial is decided: its values, and those that were to be fixed.
    fn decided(&self, trial: &Trial) -> Result<Point> {
        let mut decided = Point::new();
        for (name, value) in storage::fixed_params(trial)? {
            let Some(parameter) = self.plan.space.get(&name) else {
                continue;
            };
            let internal = parameter.distribution.internal(&value).ok_or_else(|| {
                Error::Usage(format!(
                    "trial {} was queued with {name} = {value}, which is none of {}",
                    trial.number, parameter.distribution
                ))
            })?;
            decided.insert(name, internal);
        }
        for (name, internal) in &trial.params {
            let parameter = self.plan.space.get(name);
            if parameter.is_some_and(|p| p.distribution.contains(*internal)) {
                decided.insert(name.clone(), *internal);
            }
        }
        Ok(decided)
    }

    /// Notes values of the first objective, all in one transaction, and says what is to become of each
    /// trial. A verdict sees what those before it have noted.
    pub fn report(&mut self, reports: &mut [Report]) -> Result<Vec<Next>> {
        let pruner = match &self.directions[..] {
            [direction] => self.plan.pruner.as_ref().map(|pruner| (pruner, *direction)),
            _ => None,
        };
        let mut trials = match (&pruner, &*reports) {
            (None, _) => Cow::Borrowed(&[][..]),
            (Some(_), [_]) => Cow::Borrowed(self.storage.trials(self.id)?),
            (Some(_), _) => Cow::Owned(self.storage.trials(self.id)?.to_vec()),
        };
        let mut writes = Vec::new();
        let mut prunes = Vec::new();
        for Report { trial, step, value } in reports.iter_mut() {
            trial.intermediate.insert(*step, *value);
            writes.push(Write::Intermediate {
                trial: trial.id,
                step: *step,
                value: *value,
            });
            let verdict = match &pruner {
                None => Verdict::default(),
                Some((pruner, direction)) => pruner.judge(&Judged {
                    study_name: &self.name,
                    direction: *direction,
                    trials: &trials,
                    trial,
                    max_step: self.plan.max_step,
                }),
            };
            writes.extend(attributes(trial.id, AttributeKind::System, &verdict.system));
            trial.system.extend(verdict.system);
            prunes.push(verdict.prune);
            if let Cow::Owned(trials) = &mut trials
                && let Some(seen) = trials.get_mut(trial.number as usize)
            {
                *seen = trial.clone();
            }
        }
        drop(trials);
        let dropped = self.storage.write(&writes)?;
        let next = reports.iter().zip(prunes).map(|(report, prune)| {
            match (dropped.contains(&report.trial.id), prune) {
                (true, _) => Next::Drop,
                (false, true) => Next::Prune,
                (false, false) => Next::GoOn,
            }
        });
        Ok(next.collect())
    }

    /// Writes ends of trials, and what is noted of them, in one transaction; the ids of those that somebody
    /// else has ended, who took this worker for dead: they stay as they are.
    pub fn end(&mut self, ends: Ends) -> Result<Vec<i64>> {
        self.storage.write(&ends.0)
    }

    /// The end of a trial that came to nothing, and why.
    pub fn fail(&mut self, id: i64, reason: &str) -> Result<()> {
        let mut ends = Ends::default();
        ends.fail(id, reason);
        self.end(ends).map(drop)
    }

    /// Fails trials that were broken off, and queues them again, but for those that somebody else has
    /// ended.
    pub fn put_back(&mut self, trials: &[Trial]) -> Result<()> {
        let ids: Vec<i64> = trials.iter().map(|trial| trial.id).collect();
        self.storage
            .put_back(self.id, &ids, "interrupted", None)
            .map(drop)
    }

    /// Queues a trial with these values, unless one was already.
    pub fn enqueue(&mut self, values: &BTreeMap<String, Scalar>) -> Result<()> {
        let same = |t: &Trial| storage::fixed_params(t).is_ok_and(|fixed| fixed == *values);
        if self.storage.trials(self.id)?.iter().any(same) {
            return Ok(());
        }
        self.storage
            .enqueue(self.id, values, &Attributes::new())
            .map(drop)
    }

    /// Says that these trials are at work, where it is time to.
    pub fn beat(&mut self, trials: impl Iterator<Item = i64>) -> Result<()> {
        if self
            .last_beat
            .is_some_and(|last| last.elapsed() < self.plan.heartbeat)
        {
            return Ok(());
        }
        self.last_beat = Some(Instant::now());
        let ids: Vec<i64> = trials.collect();
        self.storage.heartbeat(&ids)
    }

    /// The best finished trial of a study of one objective.
    pub fn best(&mut self) -> Result<Option<Trial>> {
        let direction = self.directions[0];
        let trials = self.storage.trials(self.id)?;
        let complete = trials.iter().filter(|t| t.state == TrialState::Complete);
        let best = complete.reduce(|a, b| match direction.is_better(b.values[0], a.values[0]) {
            true => b,
            false => a,
        });
        Ok(best.cloned())
    }
}

fn begun(trials: &[Trial]) -> usize {
    let repeated: BTreeSet<u32> = trials.iter().flat_map(storage::retry_history).collect();
    let counts = |t: &&Trial| t.state != TrialState::Waiting && !repeated.contains(&t.number);
    trials.iter().filter(counts).count()
}

/// A text as JSON.
pub fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn attributes(trial: i64, kind: AttributeKind, noted: &Attributes) -> impl Iterator<Item = Write> {
    noted.iter().map(move |(key, json)| Write::Attribute {
        trial,
        kind,
        key: key.clone(),
        json: json.clone(),
    })
}

#[cfg(test)]
mod tests;
