//! Optuna's relational storage: what it says to a database, which is the same for every one of them.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::database::{Access, Cell, Connection, Dialect, Failure, Outages, Transaction, run};
use super::rows::{self, Rows, columns, int, list, text};
use super::statements::{add_trials, agree, beat, break_off, end, find_study, lock_trials, only};
use super::write::{self, AttributeKind, Known, Write};
use super::{OnWait, Storage, Study, check_study, schema, study_exists, time};
use crate::tune::trial::{Attributes, Direction, Trial};
use crate::{Error, Result};

/// A storage in a database.
pub struct Sql<C> {
    connection: C,
    on_wait: OnWait,
    outages: Outages,
    /// Trials by study, in the order of their ids, which is that of their numbers: those that are finished are as they will stay.
    read: BTreeMap<i64, Vec<Trial>>,
}

impl<C: Connection> Sql<C> {
    /// Makes the tables where there are none.
    ///
    /// # Errors
    /// [`Error::Data`] where the database is out of reach or its tables are of another version.
    pub fn open(mut connection: C, on_wait: OnWait) -> Result<Sql<C>> {
        let dialect = connection.dialect();
        let mut outages = Outages::default();
        let (write, outages_of) = (Access::Write, &mut outages);
        run(
            &mut connection,
            write,
            &on_wait,
            outages_of,
            |transaction| schema::prepare(transaction, dialect),
        )?;
        Ok(Sql {
            connection,
            on_wait,
            outages,
            read: BTreeMap::new(),
        })
    }

    /// Reads in one transaction.
    fn query<T>(
        &mut self,
        work: impl FnMut(&mut dyn Transaction) -> Result<T, Failure>,
    ) -> Result<T> {
        run(
            &mut self.connection,
            Access::Read,
            &self.on_wait,
            &mut self.outages,
            work,
        )
    }

    /// Writes in one transaction.
    fn change<T>(
        &mut self,
        mut work: impl FnMut(&mut dyn Transaction, &Dialect) -> Result<T, Failure>,
    ) -> Result<T> {
        let dialect = self.connection.dialect();
        run(
            &mut self.connection,
            Access::Write,
            &self.on_wait,
            &mut self.outages,
            |transaction| work(transaction, dialect),
        )
    }

    /// Reads what is new of a study.
    fn refresh(&mut self, study: i64) -> Result<()> {
        let had = self.read.get(&study).map_or(&[][..], Vec::as_slice);
        let last = had.iter().map(|trial| trial.id).max().unwrap_or(-1);
        let open = had.iter().filter(|trial| !trial.state.is_finished());
        let open: Vec<i64> = open.map(|trial| trial.id).collect();
        let or_open = match open.is_empty() {
            true => String::new(),
            false => format!(" OR trial_id IN {}", list(open)),
        };
        let which = format!("study_id = {study} AND (trial_id > {last}{or_open})");
        let fresh = self.query(|transaction| {
            let fresh = rows::read(transaction, &which)?;
            if fresh.is_empty() && last < 0 {
                find_study(transaction, study)?;
            }
            Ok(fresh)
        })?;
        let trials = self.read.entry(study).or_default();
        for trial in fresh {
            match trials.binary_search_by_key(&trial.id, |t| t.id) {
                Ok(at) => trials[at] = trial,
                Err(at) => trials.insert(at, trial),
            }
        }
        Ok(())
    }
}

impl<C: Connection> Storage for Sql<C> {
    fn create_study(&mut self, name: &str, directions: &[Direction]) -> Result<Study> {
        check_study(name, directions)?;
        let id = self.change(|transaction, _| {
            let name = Cell::Text(name.to_string());
            let same = "SELECT study_id FROM studies WHERE study_name = $1";
            if !transaction
                .query(same, std::slice::from_ref(&name))?
                .is_empty()
            {
                return Ok(None);
            }
            let insert = "INSERT INTO studies (study_name) VALUES ($1) RETURNING study_id";
            let id = only(transaction.query(insert, &[name])?)?;
            for (objective, direction) in directions.iter().enumerate() {
                let insert = "INSERT INTO study_directions (direction, study_id, objective) \
                              VALUES ($1, $2, $3)";
                let direction = Cell::Text(direction.name().to_string());
                let objective = Cell::Int(objective as i64);
                transaction.query(insert, &[direction, Cell::Int(id), objective])?;
            }
            Ok(Some(id))
        })?;
        Ok(Study {
            id: id.ok_or_else(|| study_exists(name))?,
            name: name.to_string(),
            directions: directions.to_vec(),
        })
    }

    fn studies(&mut self) -> Result<Vec<Study>> {
        self.query(|transaction| {
            let mut directions: BTreeMap<i64, Vec<Direction>> = BTreeMap::new();
            let of_all = "SELECT study_id, CAST(direction AS TEXT) FROM study_directions \
                          ORDER BY study_id, objective";
            for row in transaction.query(of_all, &[])? {
                let [study, name] = columns(row)?;
                let of = directions.entry(int(&study)?).or_default();
                of.push(direction_of(&text(name)?)?);
            }
            let mut studies = Vec::new();
            let all = "SELECT study_id, study_name FROM studies ORDER BY study_id";
            for row in transaction.query(all, &[])? {
                let [id, name] = columns(row)?;
                let id = int(&id)?;
                studies.push(Study {
                    id,
                    name: text(name)?,
                    directions: directions.remove(&id).unwrap_or_default(),
                });
            }
            Ok(studies)
        })
    }

    fn study_attributes(&mut self, study: i64, kind: AttributeKind) -> Result<Attributes> {
        let table = study_table(kind);
        self.query(|transaction| {
            find_study(transaction, study)?;
            let of = format!("SELECT \"key\", value_json FROM {table} WHERE study_id = {study}");
            let mut attributes = Attributes::new();
            for row in transaction.query(&of, &[])? {
                let [key, json] = columns(row)?;
                attributes.insert(text(key)?, text(json)?);
            }
            Ok(attributes)
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
        let table = format!("{} (study_id, \"key\", value_json)", study_table(kind));
        self.change(|transaction, _| {
            find_study(transaction, study)?;
            let [key, json] = [key, json].map(|text| Cell::Text(text.to_string()));
            let conflict = "(study_id, \"key\") DO UPDATE SET value_json = excluded.value_json";
            let row = vec![Cell::Int(study), key, json];
            rows::insert(transaction, &table, conflict, std::iter::once(row))
        })
    }

    fn create_trials_at(
        &mut self,
        study: i64,
        expected: Option<u32>,
        templates: &[Trial],
    ) -> Result<Option<Vec<(i64, u32)>>> {
        for template in templates {
            write::check_template(template)?;
        }
        if templates.is_empty() {
            return Ok(Some(Vec::new()));
        }
        self.change(|transaction, dialect| {
            add_trials(transaction, dialect, study, expected, templates)
        })
    }

    fn claim_waiting(&mut self, study: i64) -> Result<Option<Trial>> {
        let id = self.change(|transaction, dialect| {
            let oldest = format!(
                "SELECT trial_id FROM trials WHERE study_id = {study} AND state = 'WAITING' \
                 ORDER BY trial_id LIMIT 1{}",
                dialect.skip_locked
            );
            let found = transaction.query(&oldest, &[])?;
            if found.is_empty() {
                return Ok(None);
            }
            let id = only(found)?;
            let start = format!(
                "UPDATE trials SET state = 'RUNNING', datetime_start = $1 WHERE trial_id = {id}"
            );
            let now = Cell::Text(time::naive_utc(SystemTime::now()));
            transaction.query(&start, &[now])?;
            beat(transaction, std::iter::once(id))?;
            Ok(Some(id))
        })?;
        let Some(id) = id else { return Ok(None) };
        let trials = self.trials(study)?;
        Ok(trials.iter().find(|trial| trial.id == id).cloned())
    }

    fn write(&mut self, writes: &[Write]) -> Result<Vec<i64>> {
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        self.change(|transaction, dialect| {
            let (standing, studies) = lock_trials(transaction, dialect, writes)?;
            let sorted = write::sort(writes, &standing)?;
            let mut known: BTreeMap<i64, Known> = BTreeMap::new();
            let mut rows = Rows::default();
            for write in &sorted.taken {
                if let Write::Param {
                    trial,
                    name,
                    distribution,
                    ..
                } = write
                {
                    let study = studies[trial];
                    let known = known.entry(study).or_default();
                    agree(transaction, study, known, name, distribution)?;
                }
                rows.add(write);
            }
            rows.insert(transaction)?;
            for (trial, state) in &rows.ends {
                end(transaction, *trial, *state)?;
            }
            Ok(sorted.refused)
        })
    }

    fn trials(&mut self, study: i64) -> Result<&[Trial]> {
        self.refresh(study)?;
        Ok(self.read.get(&study).map_or(&[], Vec::as_slice))
    }

    fn has_heartbeat(&self) -> bool {
        true
    }

    fn heartbeat(&mut self, trials: &[i64]) -> Result<()> {
        let mut ids = trials.to_vec();
        ids.sort_unstable();
        self.change(|transaction, _| beat(transaction, ids.iter().copied()))
    }

    fn beating(&mut self, study: i64) -> Result<Vec<i64>> {
        self.query(|transaction| {
            let rows = transaction.query(&select_beating(study), &[])?;
            let ids = rows.into_iter().map(|row| int(&columns::<1>(row)?[0]));
            Ok(ids.collect::<Result<_>>()?)
        })
    }

    fn put_back_stale(
        &mut self,
        study: i64,
        grace: Duration,
        reason: &str,
        max_retry: Option<usize>,
    ) -> Result<usize> {
        // Read first: an outage that ends with this very call is then known.
        if self.beating(study)?.is_empty() || self.outages.explain(grace) {
            return Ok(0);
        }
        self.change(|transaction, dialect| {
            let silent = format!(
                "{} AND {} > {:?} ORDER BY trials.trial_id{}",
                select_beating(study),
                dialect.heartbeat_age,
                grace.as_secs_f64(),
                dialect.skip_locked
            );
            break_off(transaction, dialect, study, &silent, reason, max_retry)
        })
    }

    fn put_back(
        &mut self,
        study: i64,
        trials: &[i64],
        reason: &str,
        max_retry: Option<usize>,
    ) -> Result<usize> {
        if trials.is_empty() {
            return Ok(0);
        }
        self.change(|transaction, dialect| {
            let running = format!(
                "SELECT trial_id FROM trials WHERE study_id = {study} AND state = 'RUNNING' \
                 AND trial_id IN {} ORDER BY trial_id{}",
                list(trials.to_vec()),
                dialect.for_update
            );
            break_off(transaction, dialect, study, &running, reason, max_retry)
        })
    }
}

fn select_beating(study: i64) -> String {
    format!(
        "SELECT trials.trial_id FROM trials \
         JOIN trial_heartbeats ON trial_heartbeats.trial_id = trials.trial_id \
         WHERE study_id = {study} AND state = 'RUNNING'"
    )
}

fn study_table(kind: AttributeKind) -> &'static str {
    match kind {
        AttributeKind::User => "study_user_attributes",
        AttributeKind::System => "study_system_attributes",
    }
}

fn direction_of(name: &str) -> Result<Direction> {
    let directions = [Direction::Minimize, Direction::Maximize];
    let direction = directions.into_iter().find(|d| d.name() == name);
    direction.ok_or_else(|| Error::Data(format!("{name} is no direction that is known here")))
}
