//! Trials as rows of Optuna's tables.

use std::collections::BTreeMap;

use super::database::{Cell, Failure, Transaction};
use super::time;
use super::write::{AttributeKind, Write};
use crate::tune::distribution::Distribution;
use crate::tune::trial::{Attributes, Trial, TrialState};
use crate::{Error, Result};

/// Rows that one statement carries at most: SQLite knows 32,766 parameters, the widest row has 4.
const ROWS_A_STATEMENT: usize = 1000;

/// Rows of trials, once each: what comes later replaces what came before, but for parameters.
#[derive(Default)]
pub struct Rows<'a> {
    params: BTreeMap<(i64, &'a str), (f64, &'a Distribution)>,
    intermediate: BTreeMap<(i64, i64), f64>,
    user: BTreeMap<(i64, &'a str), &'a str>,
    system: BTreeMap<(i64, &'a str), &'a str>,
    values: BTreeMap<(i64, usize), f64>,
    pub ends: BTreeMap<i64, TrialState>,
}

impl<'a> Rows<'a> {
    pub fn add(&mut self, write: &'a Write) {
        match write {
            Write::Param {
                trial,
                name,
                internal,
                distribution,
            } => {
                let place = self.params.entry((*trial, name));
                place.or_insert((*internal, distribution));
            }
            Write::Intermediate { trial, step, value } => {
                self.intermediate.insert((*trial, *step), *value);
            }
            Write::Attribute {
                trial,
                kind,
                key,
                json,
            } => {
                let attributes = match kind {
                    AttributeKind::User => &mut self.user,
                    AttributeKind::System => &mut self.system,
                };
                attributes.insert((*trial, key), json);
            }
            Write::Finish {
                trial,
                state,
                values,
            } => {
                let values = values.iter().enumerate();
                self.values.extend(values.map(|(ix, v)| ((*trial, ix), *v)));
                self.ends.insert(*trial, *state);
            }
        }
    }

    /// What a template has, for the trial with the id `trial`.
    pub fn add_template(&mut self, trial: i64, template: &'a Trial) {
        for (name, internal) in &template.params {
            let value = (*internal, &template.distributions[name]);
            self.params.insert((trial, name), value);
        }
        let steps = template.intermediate.iter();
        self.intermediate
            .extend(steps.map(|(step, v)| ((trial, *step), *v)));
        let of = |attributes: &'a Attributes| {
            let pairs = attributes.iter();
            pairs.map(move |(key, json)| ((trial, key.as_str()), json.as_str()))
        };
        self.user.extend(of(&template.user));
        self.system.extend(of(&template.system));
        let values = template.values.iter().enumerate();
        self.values.extend(values.map(|(ix, v)| ((trial, ix), *v)));
    }

    /// Inserts the rows; states are the caller's.
    pub fn insert(&self, transaction: &mut dyn Transaction) -> Result<(), Failure> {
        let text = |text: &str| Cell::Text(text.to_string());
        insert(
            transaction,
            "trial_params (trial_id, param_name, param_value, distribution_json)",
            "(trial_id, param_name) DO NOTHING",
            self.params
                .iter()
                .map(|((trial, name), (internal, distribution))| {
                    let json = Cell::Text(distribution.to_json());
                    vec![Cell::Int(*trial), text(name), Cell::Real(*internal), json]
                }),
        )?;
        insert(
            transaction,
            "trial_intermediate_values \
             (trial_id, step, intermediate_value, intermediate_value_type)",
            "(trial_id, step) DO UPDATE SET intermediate_value = excluded.intermediate_value, \
             intermediate_value_type = excluded.intermediate_value_type",
            self.intermediate.iter().map(|((trial, step), value)| {
                let [value, kind] = stored(*value);
                vec![Cell::Int(*trial), Cell::Int(*step), value, kind]
            }),
        )?;
        for (kind, attributes) in [("user", &self.user), ("system", &self.system)] {
            insert(
                transaction,
                &format!("trial_{kind}_attributes (trial_id, \"key\", value_json)"),
                "(trial_id, \"key\") DO UPDATE SET value_json = excluded.value_json",
                attributes
                    .iter()
                    .map(|((trial, key), json)| vec![Cell::Int(*trial), text(key), text(json)]),
            )?;
        }
        insert(
            transaction,
            "trial_values (trial_id, objective, value, value_type)",
            "(trial_id, objective) DO UPDATE SET value = excluded.value, \
             value_type = excluded.value_type",
            self.values.iter().map(|((trial, objective), value)| {
                let [value, kind] = stored(*value);
                vec![Cell::Int(*trial), Cell::Int(*objective as i64), value, kind]
            }),
        )
    }
}

/// Inserts many rows into `table (columns)`, and does what `conflict` says with those that are there.
pub fn insert(
    transaction: &mut dyn Transaction,
    table: &str,
    conflict: &str,
    rows: impl Iterator<Item = Vec<Cell>>,
) -> Result<(), Failure> {
    let rows: Vec<Vec<Cell>> = rows.collect();
    for rows in rows.chunks(ROWS_A_STATEMENT) {
        let statement = format!(
            "INSERT INTO {table} VALUES {} ON CONFLICT {conflict}",
            places(rows)
        );
        transaction.query(&statement, &rows.concat())?;
    }
    Ok(())
}

/// "($1, $2), ($3, $4)".
pub fn places(rows: &[Vec<Cell>]) -> String {
    let mut next = 0;
    let mut of_row = |row: &Vec<Cell>| {
        let places = row.iter().map(|_| {
            next += 1;
            format!("${next}")
        });
        format!("({})", places.collect::<Vec<_>>().join(", "))
    };
    rows.iter().map(&mut of_row).collect::<Vec<_>>().join(", ")
}

/// "(1, 2, 3)".
pub fn list(ids: impl IntoIterator<Item = i64>) -> String {
    let ids: Vec<String> = ids.into_iter().map(|id| id.to_string()).collect();
    format!("({})", ids.join(", "))
}

/// Reads the trials that `which` (a condition on `trials`) holds for, by id.
pub fn read(transaction: &mut dyn Transaction, which: &str) -> Result<Vec<Trial>, Failure> {
    // The states first: what a finished trial has was written before, or with its state.
    let statement = format!(
        "SELECT trial_id, number, CAST(state AS TEXT), CAST(datetime_start AS TEXT), \
         CAST(datetime_complete AS TEXT) FROM trials WHERE {which}"
    );
    let mut trials = BTreeMap::new();
    for row in transaction.query(&statement, &[])? {
        let [id, number, state, started, completed] = columns(row)?;
        let number = u32::try_from(int(&number)?).map_err(|_| unknown(&number))?;
        let mut trial = Trial::new(int(&id)?, number, state_of(&text(state)?)?);
        trial.started = moment(started)?;
        trial.completed = moment(completed)?;
        trials.insert(trial.id, trial);
    }
    if trials.is_empty() {
        return Ok(Vec::new());
    }
    let mut parts = |columns: &str, table: &str| {
        let which = format!("trial_id IN (SELECT trial_id FROM trials WHERE {which})");
        transaction.query(
            &format!("SELECT trial_id, {columns} FROM {table} WHERE {which}"),
            &[],
        )
    };
    for row in parts("param_name, param_value, distribution_json", "trial_params")? {
        let [id, name, internal, distribution] = columns(row)?;
        if let Some(trial) = trials.get_mut(&int(&id)?) {
            let name = text(name)?;
            let distribution = Distribution::from_json(&text(distribution)?)?;
            trial.params.insert(name.clone(), real(&internal)?);
            trial.distributions.insert(name, distribution);
        }
    }
    let of_steps = "step, intermediate_value, CAST(intermediate_value_type AS TEXT)";
    for row in parts(of_steps, "trial_intermediate_values")? {
        let [id, step, value, kind] = columns(row)?;
        if let Some(trial) = trials.get_mut(&int(&id)?) {
            trial
                .intermediate
                .insert(int(&step)?, loaded(&value, kind)?);
        }
    }
    let of_values = "objective, value, CAST(value_type AS TEXT)";
    let mut values = BTreeMap::new();
    for row in parts(of_values, "trial_values")? {
        let [id, objective, value, kind] = columns(row)?;
        values.insert((int(&id)?, int(&objective)?), loaded(&value, kind)?);
    }
    for ((id, _), value) in values {
        if let Some(trial) = trials.get_mut(&id) {
            trial.values.push(value);
        }
    }
    for kind in ["user", "system"] {
        for row in parts("\"key\", value_json", &format!("trial_{kind}_attributes"))? {
            let [id, key, json] = columns(row)?;
            if let Some(trial) = trials.get_mut(&int(&id)?) {
                let attributes = match kind {
                    "user" => &mut trial.user,
                    _ => &mut trial.system,
                };
                attributes.insert(text(key)?, text(json)?);
            }
        }
    }
    Ok(trials.into_values().collect())
}

/// A value and the name of what it is, as Optuna keeps numbers that databases may not hold.
fn stored(value: f64) -> [Cell; 2] {
    let (value, kind) = match value {
        _ if value.is_nan() => (Cell::Null, "NAN"),
        f64::INFINITY => (Cell::Null, "INF_POS"),
        f64::NEG_INFINITY => (Cell::Null, "INF_NEG"),
        _ => (Cell::Real(value), "FINITE"),
    };
    [value, Cell::Text(kind.to_string())]
}

/// The inverse of [`stored`].
pub fn loaded(value: &Cell, kind: Cell) -> Result<f64> {
    match text(kind)?.as_str() {
        "NAN" => Ok(f64::NAN),
        "INF_POS" => Ok(f64::INFINITY),
        "INF_NEG" => Ok(f64::NEG_INFINITY),
        _ => real(value),
    }
}

pub fn state_of(name: &str) -> Result<TrialState> {
    let state = TrialState::ALL
        .into_iter()
        .find(|state| state.name() == name);
    state.ok_or_else(|| Error::Data(format!("{name} is no state of a trial that is known here")))
}

fn moment(cell: Cell) -> Result<Option<std::time::SystemTime>> {
    match cell {
        Cell::Null => Ok(None),
        Cell::Text(text) => Ok(time::parse(&text)),
        other => Err(unknown(&other)),
    }
}

pub fn columns<const N: usize>(row: Vec<Cell>) -> Result<[Cell; N]> {
    row.try_into()
        .map_err(|row: Vec<Cell>| Error::Data(format!("the storage answers {} columns", row.len())))
}

pub fn int(cell: &Cell) -> Result<i64> {
    match cell {
        Cell::Int(n) => Ok(*n),
        other => Err(unknown(other)),
    }
}

fn real(cell: &Cell) -> Result<f64> {
    match cell {
        Cell::Real(x) => Ok(*x),
        Cell::Int(n) => Ok(*n as f64),
        other => Err(unknown(other)),
    }
}

pub fn text(cell: Cell) -> Result<String> {
    match cell {
        Cell::Text(text) => Ok(text),
        other => Err(unknown(&other)),
    }
}

fn unknown(cell: &Cell) -> Error {
    Error::Data(format!(
        "the storage holds {cell:?} where another kind of value belongs"
    ))
}
