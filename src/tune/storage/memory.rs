//! Studies in memory: what a journal amounts to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use super::write::{self, AttributeKind, Known, Sorted, Write};
use super::{Storage, Study, check_study, no_study, no_trial, retry, study_exists, times};
use crate::tune::trial::{Attributes, Direction, Trial, TrialState};
use crate::{Error, Result};

/// Ids of studies and of trials count from 0.
#[derive(Default)]
pub struct Memory {
    studies: BTreeMap<i64, Kept>,
    next_study: i64,
    /// Study and number of each trial, by its id.
    places: Vec<(i64, usize)>,
}

struct Kept {
    study: Study,
    user: Attributes,
    system: Attributes,
    trials: Vec<Trial>,
    known: Known,
}

impl Memory {
    fn kept(&self, study: i64) -> Result<&Kept> {
        self.studies.get(&study).ok_or_else(|| no_study(study))
    }

    fn kept_mut(&mut self, study: i64) -> Result<&mut Kept> {
        self.studies.get_mut(&study).ok_or_else(|| no_study(study))
    }

    fn place(&self, trial: i64) -> Result<(i64, usize)> {
        let place = usize::try_from(trial)
            .ok()
            .and_then(|ix| self.places.get(ix));
        place.copied().ok_or_else(|| no_trial(trial))
    }

    /// The trial of that id.
    pub fn trial(&self, id: i64) -> Result<&Trial> {
        let (study, number) = self.place(id)?;
        Ok(&self.kept(study)?.trials[number])
    }

    /// So, where it is not finished.
    fn open_trial(&mut self, id: i64) -> Result<&mut Trial> {
        let (study, number) = self.place(id)?;
        let trial = &mut self.kept_mut(study)?.trials[number];
        match trial.state.is_finished() {
            true => Err(Error::Data(format!("trial {number} is finished"))),
            false => Ok(trial),
        }
    }

    pub fn delete_study(&mut self, study: i64) -> Result<()> {
        self.studies
            .remove(&study)
            .map(drop)
            .ok_or_else(|| no_study(study))
    }

    /// The oldest waiting trial.
    pub fn first_waiting(&self, study: i64) -> Result<Option<&Trial>> {
        let mut trials = self.kept(study)?.trials.iter();
        Ok(trials.find(|trial| trial.state == TrialState::Waiting))
    }

    /// Sets a state, and values where there are some, at a time. As Optuna does it, a trial that is
    /// running cannot be started, and a finished one cannot change.
    pub fn set_state(
        &mut self,
        trial: i64,
        state: TrialState,
        values: Vec<f64>,
        at: Option<SystemTime>,
    ) -> Result<()> {
        let trial = self.open_trial(trial)?;
        match state {
            TrialState::Running if trial.state == TrialState::Running => return Ok(()),
            TrialState::Running => trial.started = at,
            TrialState::Waiting => {}
            _ => trial.completed = at,
        }
        trial.state = state;
        if !values.is_empty() {
            trial.values = values;
        }
        Ok(())
    }

    /// Refuses templates that do not fit what the study has.
    pub fn check_templates(&self, study: i64, templates: &[Trial]) -> Result<()> {
        let mut known = self.kept(study)?.known.clone();
        for template in templates {
            write::check_template(template)?;
            for (name, distribution) in &template.distributions {
                known.agree(name, distribution)?;
            }
        }
        Ok(())
    }

    /// Those of these trials that are running.
    pub fn running(&self, trials: &[i64]) -> Result<Vec<Trial>> {
        let trials = trials.iter().map(|id| self.trial(*id).cloned());
        let trials: Vec<Trial> = trials.collect::<Result<_>>()?;
        let is_running = |t: &Trial| t.state == TrialState::Running;
        Ok(trials.into_iter().filter(is_running).collect())
    }

    /// Sorts a batch, of which nothing is done yet.
    pub fn sort<'a>(&self, writes: &'a [Write]) -> Result<Sorted<'a>> {
        let mut standing = BTreeMap::new();
        for write in writes {
            if let Ok(trial) = self.trial(write.trial()) {
                standing.insert(trial.id, (trial.state, trial.values.clone()));
            }
        }
        let mut sorted = write::sort(writes, &standing)?;
        let mut decided = BTreeSet::new();
        sorted.taken.retain(|write| match write {
            Write::Param { trial, name, .. } => {
                let has = self
                    .trial(*trial)
                    .is_ok_and(|t| t.params.contains_key(name));
                !has && decided.insert((*trial, name.as_str()))
            }
            _ => true,
        });
        let mut known: BTreeMap<i64, Known> = BTreeMap::new();
        for write in &sorted.taken {
            if let Write::Param {
                trial,
                name,
                distribution,
                ..
            } = write
            {
                let (study, _) = self.place(*trial)?;
                let had = &self.kept(study)?.known;
                let known = known.entry(study).or_insert_with(|| had.clone());
                known.agree(name, distribution)?;
            }
        }
        Ok(sorted)
    }

    /// Adds one trial, whose id and number are given here.
    pub fn add(&mut self, study: i64, mut trial: Trial) -> Result<(i64, u32)> {
        let id = self.places.len() as i64;
        let kept = self.kept_mut(study)?;
        let number = kept.trials.len();
        (trial.id, trial.number) = (id, number as u32);
        for (name, distribution) in &trial.distributions {
            // Optuna's journal takes a trial whatever its distributions are.
            let _ = kept.known.agree(name, distribution);
        }
        kept.trials.push(trial);
        self.places.push((study, number));
        Ok((id, number as u32))
    }

    /// Does one thing. What [`Self::sort`] took fits.
    pub fn apply(&mut self, write: &Write) -> Result<()> {
        let trial = self.open_trial(write.trial())?;
        match write {
            Write::Param {
                trial,
                name,
                internal,
                distribution,
            } => {
                let (study, number) = self.place(*trial)?;
                let kept = self.kept_mut(study)?;
                kept.known.agree(name, distribution)?;
                let trial = &mut kept.trials[number];
                trial.params.insert(name.clone(), *internal);
                trial
                    .distributions
                    .insert(name.clone(), distribution.clone());
            }
            Write::Intermediate { step, value, .. } => {
                trial.intermediate.insert(*step, *value);
            }
            Write::Attribute {
                kind, key, json, ..
            } => {
                let attributes = match kind {
                    AttributeKind::User => &mut trial.user,
                    AttributeKind::System => &mut trial.system,
                };
                attributes.insert(key.clone(), json.clone());
            }
            Write::Finish {
                trial,
                state,
                values,
            } => self.set_state(*trial, *state, values.clone(), Some(SystemTime::now()))?,
        }
        Ok(())
    }
}

impl Storage for Memory {
    fn create_study(&mut self, name: &str, directions: &[Direction]) -> Result<Study> {
        check_study(name, directions)?;
        if self.studies.values().any(|kept| kept.study.name == name) {
            return Err(study_exists(name));
        }
        let study = Study {
            id: self.next_study,
            name: name.to_string(),
            directions: directions.to_vec(),
        };
        self.next_study += 1;
        let kept = Kept {
            study: study.clone(),
            user: Attributes::new(),
            system: Attributes::new(),
            trials: Vec::new(),
            known: Known::default(),
        };
        self.studies.insert(study.id, kept);
        Ok(study)
    }

    fn studies(&mut self) -> Result<Vec<Study>> {
        Ok(self
            .studies
            .values()
            .map(|kept| kept.study.clone())
            .collect())
    }

    fn study_attributes(&mut self, study: i64, kind: AttributeKind) -> Result<Attributes> {
        let kept = self.kept(study)?;
        Ok(match kind {
            AttributeKind::User => kept.user.clone(),
            AttributeKind::System => kept.system.clone(),
        })
    }

    fn set_study_attribute(
        &mut self,
        study: i64,
        kind: AttributeKind,
        key: &str,
        json: &str,
    ) -> Result<()> {
        write::check_attribute(key, json)?;
        let kept = self.kept_mut(study)?;
        let attributes = match kind {
            AttributeKind::User => &mut kept.user,
            AttributeKind::System => &mut kept.system,
        };
        attributes.insert(key.to_string(), json.to_string());
        Ok(())
    }

    fn create_trials_at(
        &mut self,
        study: i64,
        first: Option<u32>,
        templates: &[Trial],
    ) -> Result<Option<Vec<(i64, u32)>>> {
        self.check_templates(study, templates)?;
        let next = self.kept(study)?.trials.len();
        if first.is_some_and(|first| first as usize != next) {
            return Ok(None);
        }
        let mut made = Vec::with_capacity(templates.len());
        for template in templates {
            let mut trial = template.clone();
            [trial.started, trial.completed] = times(template);
            made.push(self.add(study, trial)?);
        }
        Ok(Some(made))
    }

    fn claim_waiting(&mut self, study: i64) -> Result<Option<Trial>> {
        let Some(id) = self.first_waiting(study)?.map(|trial| trial.id) else {
            return Ok(None);
        };
        let now = Some(SystemTime::now());
        self.set_state(id, TrialState::Running, Vec::new(), now)?;
        Ok(Some(self.trial(id)?.clone()))
    }

    fn write(&mut self, writes: &[Write]) -> Result<Vec<i64>> {
        let sorted = self.sort(writes)?;
        for write in sorted.taken {
            self.apply(write)?;
        }
        Ok(sorted.refused)
    }

    fn put_back(
        &mut self,
        study: i64,
        trials: &[i64],
        reason: &str,
        max_retry: Option<usize>,
    ) -> Result<usize> {
        let broken = self.running(trials)?;
        for write in broken.iter().flat_map(|t| retry::failing(t.id, reason)) {
            self.apply(&write)?;
        }
        let again = broken.iter().filter_map(|t| retry::again(t, max_retry));
        let again: Vec<Trial> = again.collect();
        self.create_trials_at(study, None, &again)?;
        Ok(again.len())
    }

    fn trials(&mut self, study: i64) -> Result<&[Trial]> {
        Ok(&self.kept(study)?.trials)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::storage::conformance;

    #[test]
    fn conforms() {
        conformance::check(&mut Memory::default());
    }
}
