//! Studies in a SQLite file.

use std::path::Path;
use std::time::Duration;

use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{ErrorCode, TransactionBehavior};

use super::database::{Access, Cell, Connection, Dialect, Failure, Transaction, Work};
use super::schema::{self, Types};
use crate::{Error, Result};

/// How long other writers are waited for.
const BUSY: Duration = Duration::from_secs(60);

const DIALECT: Dialect = Dialect {
    tables: || {
        schema::tables(&Types {
            serial: "INTEGER",
            float: "FLOAT",
            time: "DATETIME",
            direction: "VARCHAR(8)",
            state: "VARCHAR(8)",
            value: "VARCHAR(7)",
            intermediate: "VARCHAR(7)",
        })
    },
    has_tables: "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'",
    // A transaction holds the whole file.
    for_update: "",
    skip_locked: "",
    heartbeat_age: "(julianday(CURRENT_TIMESTAMP) - julianday(trial_heartbeats.heartbeat)) * 86400.0",
};

/// A file that is open. Its journal mode stays what it is.
pub struct Sqlite {
    path: String,
    connection: rusqlite::Connection,
}

impl Sqlite {
    /// Opens a file; a missing one is made.
    ///
    /// # Errors
    /// [`Error::Data`] where that is not possible.
    pub fn open(path: &str) -> Result<Sqlite> {
        let wrong = |error| Error::Data(format!("cannot open {path}: {error}"));
        let folder = Path::new(path).parent();
        if let Some(folder) = folder.filter(|f| !f.as_os_str().is_empty() && !f.is_dir()) {
            return Err(Error::Data(format!(
                "cannot open {path}: there is no folder {}",
                folder.display()
            )));
        }
        let connection = rusqlite::Connection::open(path).map_err(wrong)?;
        connection.busy_timeout(BUSY).map_err(wrong)?;
        Ok(Sqlite {
            path: path.to_string(),
            connection,
        })
    }
}

impl Connection for Sqlite {
    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }

    fn transaction(&mut self, access: Access, work: &mut Work) -> Result<(), Failure> {
        let behaviour = match access {
            Access::Read => TransactionBehavior::Deferred,
            // Two that read first and write later would be in each other's way.
            Access::Write => TransactionBehavior::Immediate,
        };
        let begun = self.connection.transaction_with_behavior(behaviour);
        let transaction = begun.map_err(|error| failure(&self.path, error))?;
        work(&mut Open {
            path: &self.path,
            transaction: &transaction,
        })?;
        transaction
            .commit()
            .map_err(|error| failure(&self.path, error))
    }
}

struct Open<'a> {
    path: &'a str,
    transaction: &'a rusqlite::Transaction<'a>,
}

impl Transaction for Open<'_> {
    fn query(&mut self, statement: &str, parameters: &[Cell]) -> Result<Vec<Vec<Cell>>, Failure> {
        let run = || {
            let mut statement = self.transaction.prepare(&statement.replace('$', "?"))?;
            let width = statement.column_count();
            let mut rows = statement.query(rusqlite::params_from_iter(parameters))?;
            let mut answer = Vec::new();
            while let Some(row) = rows.next()? {
                let cells = (0..width).map(|ix| Ok(cell(row.get_ref(ix)?)));
                answer.push(cells.collect::<rusqlite::Result<_>>()?);
            }
            Ok(answer)
        };
        run().map_err(|error| failure(self.path, error))
    }
}

fn cell(value: ValueRef) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(n) => Cell::Int(n),
        ValueRef::Real(x) => Cell::Real(x),
        ValueRef::Text(text) | ValueRef::Blob(text) => {
            Cell::Text(String::from_utf8_lossy(text).into_owned())
        }
    }
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Cell::Null => ToSqlOutput::Owned(Value::Null),
            Cell::Int(n) => ToSqlOutput::Owned(Value::Integer(*n)),
            Cell::Real(x) => ToSqlOutput::Owned(Value::Real(*x)),
            Cell::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

fn failure(path: &str, error: rusqlite::Error) -> Failure {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Failure::Lost(format!(
            "{path} is locked by another program for {} s",
            BUSY.as_secs()
        )),
        Some(ErrorCode::NotADatabase) => {
            Failure::Final(Error::Data(format!("{path} is no SQLite file")))
        }
        _ => Failure::Final(Error::Data(format!("{path}: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use crate::tune::storage::{conformance, open};

    #[test]
    fn conforms() {
        let folder = tempfile::tempdir().unwrap();
        let url = conformance::url("sqlite:///", &folder.path().join("study.db"));
        let mut storage = open(&url, |_| {}).unwrap();
        conformance::check(&mut *storage);
        // Another program sees the same.
        let mut other = open(&url, |_| {}).unwrap();
        let studies = storage.studies().unwrap();
        assert_eq!(other.studies().unwrap(), studies);
        for study in studies {
            let trials = storage.trials(study.id).unwrap();
            assert_eq!(other.trials(study.id).unwrap(), trials, "{}", study.name);
        }
    }

    #[test]
    fn heartbeats() {
        let folder = tempfile::tempdir().unwrap();
        let url = conformance::url("sqlite:///", &folder.path().join("study.db"));
        conformance::check_heartbeats(&mut *open(&url, |_| {}).unwrap());
    }

    #[test]
    fn eight_workers_share_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let url = conformance::url("sqlite+pysqlite:///", &folder.path().join("study.db"));
        conformance::check_concurrent(&url);
    }

    fn refusal(url: &str) -> String {
        open(url, |_| {}).err().unwrap().to_string()
    }

    #[test]
    fn other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(
            &path,
            "no database, but long enough to have a header of its own\n".repeat(9),
        )
        .unwrap();
        assert!(refusal(&conformance::url("sqlite:///", &path)).contains("no SQLite file"));
        let nowhere = folder.path().join("none").join("study.db");
        assert!(refusal(&conformance::url("sqlite:///", &nowhere)).contains("no folder"));
    }

    #[test]
    fn tables_of_other_versions_are_refused_with_a_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("study.db");
        let url = conformance::url("sqlite:///", &path);
        drop(open(&url, |_| {}).unwrap());
        let say = |statement: &str| {
            let connection = rusqlite::Connection::open(&path).unwrap();
            connection.execute_batch(statement).unwrap();
        };
        say("UPDATE alembic_version SET version_num = 'v3.0.0.d'");
        assert!(refusal(&url).contains("optuna storage upgrade"));
        say("UPDATE alembic_version SET version_num = 'v9.0.0.a'");
        assert!(refusal(&url).contains("newer Optuna"));
        say("DELETE FROM alembic_version; UPDATE version_info SET schema_version = 11");
        assert!(refusal(&url).contains("optuna storage upgrade"));
        // Tables without a revision are of ours where the version is.
        say("UPDATE version_info SET schema_version = 12");
        drop(open(&url, |_| {}).unwrap());
    }
}
