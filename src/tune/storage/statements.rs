//! What several methods of [`super::sql`] say to a database.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::database::{Cell, Dialect, Failure, Transaction};
use super::rows::{self, Rows, columns, int, list, places, state_of, text};
use super::write::{Known, Write};
use super::{no_study, retry, time, times};
use crate::tune::distribution::Distribution;
use crate::tune::trial::{Trial, TrialState};
use crate::{Error, Result};

/// The one number of an answer.
pub fn only(answer: Vec<Vec<Cell>>) -> Result<i64> {
    match answer.first().and_then(|row| row.first()) {
        Some(cell) => int(cell),
        None => Err(Error::Data("the storage answers nothing".to_string())),
    }
}

pub fn find_study(transaction: &mut dyn Transaction, study: i64) -> Result<(), Failure> {
    let found = format!("SELECT study_id FROM studies WHERE study_id = {study}");
    match transaction.query(&found, &[])?.is_empty() {
        true => Err(no_study(study).into()),
        false => Ok(()),
    }
}

/// Takes a distribution for a name, after what the study has under it.
pub fn agree(
    transaction: &mut dyn Transaction,
    study: i64,
    known: &mut Known,
    name: &str,
    distribution: &Distribution,
) -> Result<(), Failure> {
    if !known.contains(name) {
        let first = format!(
            "SELECT distribution_json FROM trial_params \
             JOIN trials ON trials.trial_id = trial_params.trial_id \
             WHERE study_id = {study} AND param_name = $1 LIMIT 1"
        );
        let name_cell = Cell::Text(name.to_string());
        if let Some(row) = transaction.query(&first, &[name_cell])?.into_iter().next() {
            let [json] = columns(row)?;
            known.agree(name, &Distribution::from_json(&text(json)?)?)?;
        }
    }
    Ok(known.agree(name, distribution)?)
}

/// Adds trials as the templates are: (id, number) of each; `None`, where the next number is not the one
/// that is expected.
pub fn add_trials(
    transaction: &mut dyn Transaction,
    dialect: &Dialect,
    study: i64,
    expected: Option<u32>,
    templates: &[Trial],
) -> Result<Option<Vec<(i64, u32)>>, Failure> {
    // The lock on the study's row is what makes numbers unique, for Python's workers too.
    let lock = format!(
        "SELECT study_id FROM studies WHERE study_id = {study}{}",
        dialect.for_update
    );
    if transaction.query(&lock, &[])?.is_empty() {
        return Err(no_study(study).into());
    }
    let count = format!("SELECT count(*) FROM trials WHERE study_id = {study}");
    let first = only(transaction.query(&count, &[])?)?;
    if expected.is_some_and(|expected| i64::from(expected) != first) {
        return Ok(None);
    }
    let mut known = Known::default();
    for template in templates {
        for (name, distribution) in &template.distributions {
            agree(transaction, study, &mut known, name, distribution)?;
        }
    }
    let made = insert_trials(transaction, study, first, templates)?;
    let mut rows = Rows::default();
    for ((id, _), template) in made.iter().zip(templates) {
        rows.add_template(*id, template);
    }
    rows.insert(transaction)?;
    let begun = made.iter().zip(templates);
    let begun = begun.filter(|(_, template)| template.state == TrialState::Running);
    beat(transaction, begun.map(|((id, _), _)| *id))?;
    Ok(Some(made))
}

/// Fails the trials that `select` finds and locks, and queues them again; how many.
pub fn break_off(
    transaction: &mut dyn Transaction,
    dialect: &Dialect,
    study: i64,
    select: &str,
    reason: &str,
    max_retry: Option<usize>,
) -> Result<usize, Failure> {
    let found = transaction.query(select, &[])?.into_iter();
    let ids = found.map(|row| int(&columns::<1>(row)?[0]));
    let ids: Vec<i64> = ids.collect::<Result<_>>()?;
    if ids.is_empty() {
        return Ok(0);
    }
    let broken = rows::read(transaction, &format!("trial_id IN {}", list(ids)))?;
    let writes = broken.iter().flat_map(|t| retry::failing(t.id, reason));
    let writes: Vec<Write> = writes.collect();
    let mut rows = Rows::default();
    writes.iter().for_each(|write| rows.add(write));
    rows.insert(transaction)?;
    for (trial, state) in &rows.ends {
        end(transaction, *trial, *state)?;
    }
    let again = broken.iter().filter_map(|t| retry::again(t, max_retry));
    let again: Vec<Trial> = again.collect();
    add_trials(transaction, dialect, study, None, &again)?;
    Ok(again.len())
}

/// Inserts rows of `trials` alone, numbered from `first`: (id, number) of each.
fn insert_trials(
    transaction: &mut dyn Transaction,
    study: i64,
    first: i64,
    templates: &[Trial],
) -> Result<Vec<(i64, u32)>, Failure> {
    let moment = |time: Option<SystemTime>| match time {
        Some(time) => Cell::Text(time::naive_utc(time)),
        None => Cell::Null,
    };
    let mut made = Vec::with_capacity(templates.len());
    // One by one: ids must rise with the numbers, and no database says so of many rows at once.
    for (number, template) in (first..).zip(templates) {
        let [started, completed] = times(template);
        let row = vec![
            Cell::Int(number),
            Cell::Int(study),
            Cell::Text(template.state.name().to_string()),
            moment(started),
            moment(completed),
        ];
        let insert = format!(
            "INSERT INTO trials (number, study_id, state, datetime_start, datetime_complete) \
             VALUES {} RETURNING trial_id",
            places(std::slice::from_ref(&row))
        );
        made.push((only(transaction.query(&insert, &row)?)?, number as u32));
    }
    Ok(made)
}

/// States and values, and studies, of the trials of a batch, which nobody else can change until its end.
pub type Standing = (BTreeMap<i64, (TrialState, Vec<f64>)>, BTreeMap<i64, i64>);

pub fn lock_trials(
    transaction: &mut dyn Transaction,
    dialect: &Dialect,
    writes: &[Write],
) -> Result<Standing, Failure> {
    let mut ids: Vec<i64> = writes.iter().map(Write::trial).collect();
    ids.sort_unstable();
    ids.dedup();
    let (mut standing, mut studies) = Standing::default();
    let lock = format!(
        "SELECT trial_id, study_id, CAST(state AS TEXT) FROM trials WHERE trial_id IN {} \
         ORDER BY trial_id{}",
        list(ids),
        dialect.for_update
    );
    for row in transaction.query(&lock, &[])? {
        let [id, study, state] = columns(row)?;
        standing.insert(int(&id)?, (state_of(&text(state)?)?, Vec::new()));
        studies.insert(int(&id)?, int(&study)?);
    }
    for (id, (state, values)) in &mut standing {
        if state.is_finished() {
            let of = format!(
                "SELECT value, CAST(value_type AS TEXT) FROM trial_values WHERE trial_id = {id} \
                 ORDER BY objective"
            );
            for row in transaction.query(&of, &[])? {
                let [value, kind] = columns(row)?;
                values.push(rows::loaded(&value, kind)?);
            }
        }
    }
    Ok((standing, studies))
}

pub fn end(
    transaction: &mut dyn Transaction,
    trial: i64,
    state: TrialState,
) -> Result<(), Failure> {
    let end =
        format!("UPDATE trials SET state = $1, datetime_complete = $2 WHERE trial_id = {trial}");
    let now = Cell::Text(time::naive_utc(SystemTime::now()));
    transaction.query(&end, &[Cell::Text(state.name().to_string()), now])?;
    Ok(())
}

/// Records heartbeats, by the database's clock.
pub fn beat(
    transaction: &mut dyn Transaction,
    trials: impl Iterator<Item = i64>,
) -> Result<(), Failure> {
    let rows: Vec<String> = trials
        .map(|id| format!("({id}, CURRENT_TIMESTAMP)"))
        .collect();
    if !rows.is_empty() {
        let beat = format!(
            "INSERT INTO trial_heartbeats (trial_id, heartbeat) VALUES {} \
             ON CONFLICT (trial_id) DO UPDATE SET heartbeat = excluded.heartbeat",
            rows.join(", ")
        );
        transaction.query(&beat, &[])?;
    }
    Ok(())
}
