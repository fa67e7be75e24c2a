//! A study at work: asks a sampler where to look, tells a storage what came of it, and asks a pruner
//! whether to go on. Many of them, on many machines, may work on one storage.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::distribution::Scalar;
use super::pruner::{Judged, Pruner, Verdict};
use super::sampler::{Answer, Question, Sampler};
use super::space::Space;
use super::storage::{self, AttributeKind, Storage, Write};
use super::trial::{Attributes, Direction, Point, Trial, TrialState};
use crate::data::fingerprint::Fingerprint;
use crate::{Error, Result};

/// What decides a study, beside what its storage holds.
pub struct Plan {
    pub space: Space,
    pub sampler: Box<dyn Sampler>,
    pub pruner: Option<Box<dyn Pruner>>,
    pub seed: u64,
    /// The last step that a trial reports at most.
    pub max_step: i64,
    /// How often a running trial says that it is alive, where the storage hears of it; one that has
    /// not for twice as long is failed and queued again.
    pub heartbeat: Duration,
}

impl Plan {
    fn question<'q>(
        &'q self,
        directions: &'q [Direction],
        trials: &'q [Trial],
        number: u32,
        fixed: &'q Point,
    ) -> Question<'q> {
        Question {
            space: &self.space,
            directions,
            trials,
            number,
            seed: self.seed,
            fixed,
        }
    }

    /// Where trial `number` should look.
    fn answer(
        &mut self,
        study_name: &str,
        directions: &[Direction],
        trials: &[Trial],
        number: u32,
        fixed: &Point,
    ) -> Result<Answer> {
        // Not itself, where it is the last.
        let trials = match trials.len() == number as usize + 1 {
            true => &trials[..number as usize],
            false => trials,
        };
        let peers = self.peers(study_name, number, trials);
        self.sampler.sample(&Question {
            space: &self.space,
            directions,
            trials: &peers,
            number,
            seed: self.seed,
            fixed,
        })
    }

    /// A trial that is to begin.
    fn draft(&self, id: i64, number: u32, answer: Answer) -> Trial {
        let mut trial = Trial::new(id, number, TrialState::Running);
        for name in answer.point.keys() {
            if let Some(parameter) = self.space.get(name) {
                let distribution = parameter.distribution.clone();
                trial.distributions.insert(name.clone(), distribution);
            }
        }
        trial.params = answer.point;
        trial.system = answer.system;
        trial
    }

    /// The trials that the sampler learns from for trial `number`.
    fn peers<'t>(&self, study_name: &str, number: u32, trials: &'t [Trial]) -> Cow<'t, [Trial]> {
        let bracket_of = |number| {
            let pruner = self.pruner.as_ref()?;
            pruner.bracket(study_name, number, self.max_step)
        };
        match bracket_of(number).filter(|_| self.sampler.is_model_based()) {
            None => Cow::Borrowed(trials),
            bracket => {
                let peers = trials.iter().filter(|t| bracket_of(t.number) == bracket);
                peers.cloned().collect()
            }
        }
    }
}

/// What a study's trials are trained on.
#[derive(Serialize, Deserialize)]
struct About {
    #[serde(flatten)]
    fingerprint: Fingerprint,
    folds: Option<i64>,
}

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

/// Ends of trials, to be written together.
#[derive(Default)]
pub struct Ends(Vec<Write>);

impl Ends {
    /// What a person may want to know of a trial, as JSON by key.
    pub fn note(&mut self, trial: &mut Trial, noted: Attributes) {
        self.0
            .extend(attributes(trial.id, AttributeKind::User, &noted));
        trial.user.extend(noted);
    }

    /// Complete with a value per objective, or pruned.
    pub fn tell(&mut self, trial: &Trial, state: TrialState, values: &[f64]) {
        self.0.push(Write::Finish {
            trial: trial.id,
            state,
            values: values.to_vec(),
        });
    }

    /// Came to nothing, and why.
    pub fn fail(&mut self, id: i64, reason: &str) {
        let noted = Attributes::from([("fail_reason".to_string(), json(reason))]);
        self.0.extend(attributes(id, AttributeKind::System, &noted));
        self.0.push(Write::Finish {
            trial: id,
            state: TrialState::Fail,
            values: Vec::new(),
        });
    }
}

impl Study {
    /// Opens the study `name`, which is made where there is none.
    ///
    /// # Errors
    /// [`Error::Usage`] where it is there and `may_exist` is false, has other directions, or
    /// distributions that contradict the space.
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

    /// Notes by which metrics trials are judged, for people and for the next worker.
    ///
    /// # Errors
    /// [`Error::Usage`] where the study's trials are judged by others.
    pub fn measures(&mut self, metrics: &[&str]) -> Result<()> {
        let names = serde_json::json!(metrics).to_string();
        let stored = self.noted("metrics", &names)?;
        if stored != names {
            let words = |json: &str| {
                let list: Vec<String> = serde_json::from_str(json).unwrap_or_default();
                list.join(", ")
            };
            return Err(Error::Usage(format!(
                "study {} measures {}, and this measures {}: choose another --study, or its --metric",
                self.name,
                words(&stored),
                words(&names)
            )));
        }
        // As Optuna's `Study.set_metric_names`.
        let (kind, key) = (AttributeKind::System, "study:metric_names");
        match self
            .storage
            .study_attributes(self.id, kind)?
            .contains_key(key)
        {
            true => Ok(()),
            false => self.storage.set_study_attribute(self.id, kind, key, &names),
        }
    }

    /// Notes on which data trials are trained.
    ///
    /// # Errors
    /// [`Error::Usage`] where the study's trials have others, or other parts of them.
    pub fn is_about(&mut self, data: &str, now: &Fingerprint, folds: Option<i64>) -> Result<()> {
        let about = About {
            fingerprint: now.clone(),
            folds,
        };
        let text = serde_json::to_string(&about).expect("plain data");
        let stored: Option<About> = serde_json::from_str(&self.noted("data", &text)?).ok();
        let difference = match stored {
            // Somebody else's note.
            None => None,
            Some(stored) if stored.folds != folds => {
                let words = |folds: Option<i64>| match folds {
                    Some(folds) => format!("{folds} folds"),
                    None => "no folds".to_string(),
                };
                Some(format!(
                    "{} then, {} now",
                    words(stored.folds),
                    words(folds)
                ))
            }
            Some(stored) => stored.fingerprint.difference(now),
        };
        match difference {
            None => Ok(()),
            Some(what) => Err(Error::Usage(format!(
                "study {} is about other data than {data} as it is split here: {what}; choose another --study, or the same data and options",
                self.name
            ))),
        }
    }

    /// What the study has noted under a key, which is `json` where it had nothing.
    fn noted(&mut self, key: &str, json: &str) -> Result<String> {
        let noted = self
            .storage
            .study_attributes(self.id, AttributeKind::User)?;
        if let Some(stored) = noted.get(key) {
            return Ok(stored.clone());
        }
        self.storage
            .set_study_attribute(self.id, AttributeKind::User, key, json)?;
        Ok(json.to_string())
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
        let trials = self.storage.trials(self.id)?;
        let repeated: BTreeSet<u32> = trials.iter().flat_map(storage::retry_history).collect();
        let counts = |t: &&Trial| t.state != TrialState::Waiting && !repeated.contains(&t.number);
        Ok(trials.iter().filter(counts).count())
    }

    /// Trials at work, by number with the epochs that they have reported.
    pub fn running(&mut self) -> Result<Vec<(u32, usize)>> {
        let trials = self.storage.trials(self.id)?.iter();
        let running = trials.filter(|t| t.state == TrialState::Running);
        Ok(running.map(|t| (t.number, t.intermediate.len())).collect())
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

    /// Fails the trials of workers that are gone, and queues them again; how many.
    pub fn revive(&mut self) -> Result<usize> {
        if !self.storage.has_heartbeat() {
            return Ok(0);
        }
        let stale = self.storage.fail_stale(self.id, self.plan.heartbeat * 2)?;
        for trial in &stale {
            self.storage.requeue(self.id, trial, Some(3))?;
        }
        Ok(stale.len())
    }

    /// The next trial: one that was queued, or else one that the sampler decides. `None` where every
    /// point has been tried.
    ///
    /// # Errors
    /// Of the storage and of the sampler.
    pub fn ask(&mut self) -> Result<Option<Trial>> {
        let Some(claimed) = self.storage.claim_waiting(self.id)? else {
            return Ok(self.ask_more(&Point::new(), 1, usize::MAX)?.pop());
        };
        let decided = self.decided(&claimed);
        let answer = decided.and_then(|mut fixed| {
            self.plan.space.prune_inactive(&mut fixed);
            let trials = self.storage.trials(self.id)?;
            self.plan
                .answer(&self.name, &self.directions, trials, claimed.number, &fixed)
        });
        let (point, system) = match answer {
            Ok(Answer { point, system }) => (point, system),
            Err(e) => {
                self.fail(claimed.id, &e.to_string())?;
                return self.ask();
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
        self.stored(claimed.id, claimed.number).map(Some)
    }

    /// Up to `n` more trials in one transaction, each with the values `fixed` decided already and with
    /// those before it under way: fewer where every point has been tried, and where there are `in_all`.
    ///
    /// # Errors
    /// Of the storage and of the sampler.
    pub fn ask_more(&mut self, fixed: &Point, n: usize, in_all: usize) -> Result<Vec<Trial>> {
        let mut fixed = fixed.clone();
        self.plan.space.prune_inactive(&mut fixed);
        loop {
            let n = n.min(in_all.saturating_sub(self.begun()?));
            let mut trials = self.storage.trials(self.id)?.to_vec();
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
            // Otherwise another worker was quicker, and the sampler should know.
            if let Some(made) = made {
                let stored = made.into_iter().map(|(id, number)| self.stored(id, number));
                return stored.collect();
            }
        }
    }

    fn stored(&mut self, id: i64, number: u32) -> Result<Trial> {
        let trials = self.storage.trials(self.id)?;
        let trial = trials.get(number as usize).filter(|trial| trial.id == id);
        trial.cloned().ok_or_else(|| {
            Error::Data(format!(
                "trial {number} of study {} is gone from its storage",
                self.name
            ))
        })
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

    /// Writes ends of trials, and what is noted of them, in one transaction.
    pub fn end(&mut self, ends: Ends) -> Result<()> {
        self.storage.write(&ends.0).map(drop)
    }

    /// The end of a trial that came to nothing, and why.
    pub fn fail(&mut self, id: i64, reason: &str) -> Result<()> {
        let mut ends = Ends::default();
        ends.fail(id, reason);
        self.end(ends)
    }

    /// Fails a trial that was broken off, and queues it again.
    pub fn put_back(&mut self, trial: &Trial) -> Result<()> {
        self.fail(trial.id, "interrupted")?;
        self.storage.requeue(self.id, trial, None).map(drop)
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
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::tune::pruner::asha::Asha;
    use crate::tune::pruner::hyperband::Hyperband;
    use crate::tune::sampler::random::Random;
    use crate::tune::storage::Memory;

    /// Draws at random, and keeps the numbers of the trials that it was shown.
    struct Shown {
        learns: bool,
        numbers: Arc<Mutex<Vec<Vec<u32>>>>,
    }

    impl Sampler for Shown {
        fn name(&self) -> &'static str {
            "shown"
        }

        fn sample(&mut self, question: &Question) -> Result<Answer> {
            let numbers = question.trials.iter().map(|t| t.number).collect();
            self.numbers.lock().unwrap().push(numbers);
            Random.sample(question)
        }

        fn is_model_based(&self) -> bool {
            self.learns
        }
    }

    #[test]
    fn a_sampler_that_learns_sees_one_bracket() {
        let bracket = |number| Hyperband::default().bracket("study", number, 9);
        for learns in [true, false] {
            let numbers = Arc::new(Mutex::new(Vec::new()));
            let plan = Plan {
                space: crate::tune::notation::space(["lr=0..1"]).unwrap(),
                sampler: Box::new(Shown {
                    learns,
                    numbers: numbers.clone(),
                }),
                pruner: Some(Box::new(Hyperband::default())),
                seed: 0,
                max_step: 9,
                heartbeat: Duration::from_secs(60),
            };
            let storage = Box::new(Memory::default());
            let mut study = Study::open(storage, "study", &[Direction::Minimize], plan).unwrap();
            for _ in 0..12 {
                study.ask().unwrap().unwrap();
            }
            for (number, shown) in (0..12).zip(numbers.lock().unwrap().iter()) {
                let wanted: Vec<u32> = (0..number)
                    .filter(|&other| !learns || bracket(other) == bracket(number))
                    .collect();
                assert_eq!(shown, &wanted, "trial {number}");
            }
        }
    }

    #[test]
    fn a_verdict_sees_those_before_it_in_the_same_transaction() {
        let plan = Plan {
            space: crate::tune::notation::space(["lr=0..1"]).unwrap(),
            sampler: Box::new(Random),
            pruner: Some(Box::new(Asha::default())),
            seed: 0,
            max_step: 9,
            heartbeat: Duration::from_secs(60),
        };
        let storage = Box::new(Memory::default());
        let mut study = Study::open(storage, "study", &[Direction::Minimize], plan).unwrap();
        let mut trials = study.ask_more(&Point::new(), 3, 3).unwrap();
        let values = [0.5, 1.0, 0.25];
        let reports = trials.iter_mut().zip(values);
        let mut reports: Vec<Report> = reports
            .map(|(trial, value)| Report {
                trial,
                step: 1,
                value,
            })
            .collect();
        let next = study.report(&mut reports).unwrap();
        assert_eq!(next, [Next::GoOn, Next::Prune, Next::GoOn]);
        let stored = study.trials().unwrap();
        for (trial, value) in stored.iter().zip(values) {
            assert_eq!(trial.intermediate[&1], value);
            assert!(trial.system.contains_key("completed_rung_0"));
        }
        assert!(study.ask_more(&Point::new(), 5, 3).unwrap().is_empty());
        assert_eq!(study.ask_more(&Point::new(), 5, 5).unwrap().len(), 2);
    }
}
