//! The tables of Optuna 5 (schema 12, revision v3.2.0.a), as SQLAlchemy makes them, and the check that
//! those that are there are these.

use super::database::{Cell, Dialect, Failure, Transaction};
use crate::{Error, Result};

/// Optuna's `SCHEMA_VERSION`, which stays.
const SCHEMA_VERSION: i64 = 12;
/// What the tables are, by Optuna's own history of them.
const REVISION: &str = "v3.2.0.a";
/// Revisions before it.
const OLDER: [&str; 9] = [
    "v0.9.0.a", "v1.2.0.a", "v1.3.0.a", "v2.4.0.a", "v2.6.0.a", "v3.0.0.a", "v3.0.0.b", "v3.0.0.c",
    "v3.0.0.d",
];
/// The release of Optuna whose tables these are.
const LIBRARY_VERSION: &str = "5.0.0";

/// Names of column types.
pub struct Types {
    /// A primary key that counts by itself.
    pub serial: &'static str,
    pub float: &'static str,
    pub time: &'static str,
    pub direction: &'static str,
    pub state: &'static str,
    pub value: &'static str,
    pub intermediate: &'static str,
}

/// Statements that make the tables where they are missing.
pub fn tables(types: &Types) -> Vec<String> {
    let serial = types.serial;
    // The rows that belong to a study or a trial.
    let part = |name: &str, key: &str, columns: &str, of: &str, unique: &str| {
        let whole = if of == "study" { "studies" } else { "trials" };
        format!(
            "CREATE TABLE IF NOT EXISTS {name} ({key} {serial} NOT NULL, {columns}, \
             PRIMARY KEY ({key}), UNIQUE ({unique}), FOREIGN KEY({of}_id) REFERENCES {whole} ({of}_id))"
        )
    };
    let attributes = |of: &str, kind: &str| {
        part(
            &format!("{of}_{kind}_attributes"),
            &format!("{of}_{kind}_attribute_id"),
            &format!("{of}_id INTEGER, \"key\" VARCHAR(512), value_json TEXT"),
            of,
            &format!("{of}_id, \"key\""),
        )
    };
    let Types {
        float,
        time,
        direction,
        state,
        value,
        intermediate,
        ..
    } = types;
    vec![
        format!(
            "CREATE TABLE IF NOT EXISTS studies (study_id {serial} NOT NULL, \
             study_name VARCHAR(512) NOT NULL, PRIMARY KEY (study_id))"
        ),
        "CREATE UNIQUE INDEX IF NOT EXISTS ix_studies_study_name ON studies (study_name)"
            .to_string(),
        "CREATE TABLE IF NOT EXISTS version_info (version_info_id INTEGER NOT NULL, \
         schema_version INTEGER, library_version VARCHAR(256), PRIMARY KEY (version_info_id), \
         CHECK (version_info_id=1))"
            .to_string(),
        part(
            "study_directions",
            "study_direction_id",
            &format!(
                "direction {direction} NOT NULL, study_id INTEGER NOT NULL, objective INTEGER NOT NULL"
            ),
            "study",
            "study_id, objective",
        ),
        attributes("study", "user"),
        attributes("study", "system"),
        format!(
            "CREATE TABLE IF NOT EXISTS trials (trial_id {serial} NOT NULL, number INTEGER, \
             study_id INTEGER, state {state} NOT NULL, datetime_start {time}, datetime_complete {time}, \
             PRIMARY KEY (trial_id), FOREIGN KEY(study_id) REFERENCES studies (study_id))"
        ),
        "CREATE INDEX IF NOT EXISTS ix_trials_study_id ON trials (study_id)".to_string(),
        attributes("trial", "user"),
        attributes("trial", "system"),
        part(
            "trial_params",
            "param_id",
            &format!(
                "trial_id INTEGER, param_name VARCHAR(512), param_value {float}, distribution_json TEXT"
            ),
            "trial",
            "trial_id, param_name",
        ),
        part(
            "trial_values",
            "trial_value_id",
            &format!(
                "trial_id INTEGER NOT NULL, objective INTEGER NOT NULL, value {float}, \
                 value_type {value} NOT NULL"
            ),
            "trial",
            "trial_id, objective",
        ),
        part(
            "trial_intermediate_values",
            "trial_intermediate_value_id",
            &format!(
                "trial_id INTEGER NOT NULL, step INTEGER NOT NULL, intermediate_value {float}, \
                 intermediate_value_type {intermediate} NOT NULL"
            ),
            "trial",
            "trial_id, step",
        ),
        part(
            "trial_heartbeats",
            "trial_heartbeat_id",
            &format!("trial_id INTEGER NOT NULL, heartbeat {time} NOT NULL"),
            "trial",
            "trial_id",
        ),
        "CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL, \
         CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
            .to_string(),
    ]
}

/// Makes the tables where there are none, and refuses those of another version.
///
/// # Errors
/// [`Error::Data`] with the remedy.
pub fn prepare(transaction: &mut dyn Transaction, dialect: &Dialect) -> Result<(), Failure> {
    if transaction.query(dialect.has_tables, &[])?.is_empty() {
        for statement in (dialect.tables)() {
            transaction.query(&statement, &[])?;
        }
    }
    let revision = "SELECT version_num FROM alembic_version";
    if let Some(Cell::Text(found)) = transaction.query(revision, &[])?.first().map(|row| &row[0]) {
        return match found.as_str() {
            REVISION => Ok(()),
            _ => Err(refusal(found, OLDER.contains(&found.as_str())).into()),
        };
    }
    // As Optuna does it, tables without a revision are of its time where the schema's version is.
    let version = "SELECT schema_version FROM version_info";
    match transaction.query(version, &[])?.first().map(|row| &row[0]) {
        Some(Cell::Int(SCHEMA_VERSION)) => {}
        Some(Cell::Int(found)) => {
            return Err(refusal(&format!("version {found}"), *found < SCHEMA_VERSION).into());
        }
        _ => {
            let insert = "INSERT INTO version_info (version_info_id, schema_version, library_version) \
                          VALUES (1, $1, $2)";
            let library = Cell::Text(LIBRARY_VERSION.to_string());
            transaction.query(insert, &[Cell::Int(SCHEMA_VERSION), library])?;
        }
    }
    let stamp = "INSERT INTO alembic_version (version_num) VALUES ($1)";
    transaction.query(stamp, &[Cell::Text(REVISION.to_string())])?;
    Ok(())
}

fn refusal(found: &str, is_older: bool) -> Error {
    let remedy = if is_older {
        "`optuna storage upgrade --storage URL` of Optuna 5 makes them so"
    } else {
        "they were made by a newer Optuna; take another storage or a newer gpu-train"
    };
    Error::Data(format!(
        "the tables of this storage are of revision {found}, this program works on {REVISION}: {remedy}"
    ))
}
