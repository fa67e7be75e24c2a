//! Where studies are kept: in memory, in a SQLite file, in PostgreSQL, or in a journal file, each
//! exactly as Optuna 5 keeps them, so that Python and other machines work on the same study.

mod database;
mod journal;
pub(in crate::tune) mod json;
mod lock;
mod memory;
mod postgres;

mod retry;
mod rows;
mod schema;
mod sql;
mod sqlite;
mod statements;
mod time;
mod tls;
mod write;

#[cfg(test)]
mod conformance;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::tune::distribution::Scalar;
use crate::tune::trial::{Attributes, Direction, Trial, TrialState};
use crate::{Error, Result};

pub use memory::Memory;
pub use retry::{failing, retry_history};
pub use write::{AttributeKind, Write};

/// What is said to a person while a storage is waited for; see [`open`].
pub type OnWait = Box<dyn Fn(&str) + Send>;

/// A study as a list of them shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Study {
    pub id: i64,
    pub name: String,
    /// One per objective.
    pub directions: Vec<Direction>,
}

/// A storage. Its methods may be called by many programs at once; each is one transaction.
///
/// Every method fails with [`Error::Data`] where the storage is out of reach or holds what is not
/// known here, and for a study or a trial that is not there.
pub trait Storage: Send {
    /// # Errors
    /// [`Error::Usage`] where the name is taken, empty or too long.
    fn create_study(&mut self, name: &str, directions: &[Direction]) -> Result<Study>;

    /// All studies in the order in which they were made.
    fn studies(&mut self) -> Result<Vec<Study>>;

    fn study_attributes(&mut self, study: i64, kind: AttributeKind) -> Result<Attributes>;

    /// # Errors
    /// [`Error::Usage`] where `json` is no JSON (Python's, with bare `NaN` and `Infinity`).
    fn set_study_attribute(
        &mut self,
        study: i64,
        kind: AttributeKind,
        key: &str,
        json: &str,
    ) -> Result<()>;

    /// Adds trials as the templates are, but for id and number: (id, number) of each. Times that their
    /// states ask for are now where there are none. Numbers are given under a lock, so that no two are
    /// alike. `None`, and nothing is made, where the next number is not the one that `first` expects.
    ///
    /// # Errors
    /// As [`Self::write`].
    fn create_trials_at(
        &mut self,
        study: i64,
        first: Option<u32>,
        templates: &[Trial],
    ) -> Result<Option<Vec<(i64, u32)>>>;

    /// Takes the oldest waiting trial and makes it a running one; no other worker gets it too.
    fn claim_waiting(&mut self, study: i64) -> Result<Option<Trial>>;

    /// Writes all or nothing. Trials that are finished already cannot change: what is for them is left
    /// out, and their ids are returned (somebody took this worker for dead).
    ///
    /// # Errors
    /// [`Error::Usage`] where a distribution is not compatible with what the study has under that
    /// name, and for values that may not be stored.
    fn write(&mut self, writes: &[Write]) -> Result<Vec<i64>>;

    /// Makes those of these trials that are running failed ones, for `reason`, and queues each again, but
    /// not more than `max_retry` times: all in one transaction. How many are queued again; the others are
    /// somebody else's by now.
    fn put_back(
        &mut self,
        study: i64,
        trials: &[i64],
        reason: &str,
        max_retry: Option<usize>,
    ) -> Result<usize>;

    /// All trials by number. What is finished is read once.
    fn trials(&mut self, study: i64) -> Result<&[Trial]>;

    /// Whether the three methods below do anything.
    fn has_heartbeat(&self) -> bool {
        false
    }

    /// Says that these trials are being worked on.
    fn heartbeat(&mut self, _trials: &[i64]) -> Result<()> {
        Ok(())
    }

    /// Running trials that have had a heartbeat: whoever has them lives until [`Self::put_back_stale`]
    /// says otherwise. Optuna's workers have none unless they are told to.
    fn beating(&mut self, _study: i64) -> Result<Vec<i64>> {
        Ok(Vec::new())
    }

    /// [`Self::put_back`] of the running trials that have had no heartbeat for longer than `grace`; how
    /// many are queued again. Trials that never had a heartbeat stay.
    fn put_back_stale(
        &mut self,
        _study: i64,
        _grace: Duration,
        _reason: &str,
        _max_retry: Option<usize>,
    ) -> Result<usize> {
        Ok(0)
    }
}

impl dyn Storage + '_ {
    /// The study of that name.
    pub fn find_study(&mut self, name: &str) -> Result<Option<Study>> {
        Ok(self.studies()?.into_iter().find(|s| s.name == name))
    }

    /// [`Storage::create_trials_at`] whatever number is the next.
    pub fn create_trials(&mut self, study: i64, templates: &[Trial]) -> Result<Vec<(i64, u32)>> {
        let made = self.create_trials_at(study, None, templates)?;
        Ok(made.expect("no number is expected"))
    }

    /// Starts a trial of which nothing is decided yet: its id and number.
    pub fn create_trial(&mut self, study: i64) -> Result<(i64, u32)> {
        let running = Trial::new(0, 0, TrialState::Running);
        Ok(self.create_trials(study, &[running])?[0])
    }

    /// Queues a trial whose parameters are decided in part or all, as Optuna's `enqueue_trial`.
    pub fn enqueue(
        &mut self,
        study: i64,
        fixed: &BTreeMap<String, Scalar>,
        user: &Attributes,
    ) -> Result<(i64, u32)> {
        let mut waiting = Trial::new(0, 0, TrialState::Waiting);
        let fixed = fixed.iter().map(|(k, v)| (k.clone(), json::from_scalar(v)));
        let fixed = serde_json::Value::Object(fixed.collect());
        waiting
            .system
            .insert("fixed_params".to_string(), json::to_string(&fixed));
        waiting.user = user.clone();
        Ok(self.create_trials(study, &[waiting])?[0])
    }
}

/// What `enqueue` decided for a trial: parameters by name.
pub fn fixed_params(trial: &Trial) -> Result<BTreeMap<String, Scalar>> {
    let Some(text) = trial.system.get("fixed_params") else {
        return Ok(BTreeMap::new());
    };
    let wrong = || {
        Error::Data(format!(
            "trial {}: its fixed parameters are not known here: {text}",
            trial.number
        ))
    };
    let value = json::parse(text)?;
    let of = value.as_object().ok_or_else(wrong)?;
    let scalar = |(k, v)| Some((String::clone(k), json::to_scalar(v)?));
    of.iter().map(|kv| scalar(kv).ok_or_else(wrong)).collect()
}

/// Opens the storage of a URL, in SQLAlchemy's forms; tables and files that are missing are made.
/// `on_wait` is told when a connection is lost and waited for.
///
/// # Errors
/// [`Error::Usage`] for a URL that is not known, [`Error::Data`] where the storage is out of reach or
/// its tables are of another version.
pub fn open(url: &str, on_wait: impl Fn(&str) + Send + 'static) -> Result<Box<dyn Storage>> {
    let on_wait: OnWait = Box::new(on_wait);
    if let Some(file) = url.strip_prefix("journal:") {
        return Ok(Box::new(journal::Journal::open(file, on_wait)?));
    }
    let (scheme, rest) = url.split_once("://").unwrap_or((url, ""));
    match scheme
        .split_once('+')
        .map_or(scheme, |(name, _driver)| name)
    {
        "sqlite" => {
            let path = rest.split('?').next().unwrap_or_default();
            match path.strip_prefix('/') {
                Some(path) if !path.is_empty() => {
                    let connection = sqlite::Sqlite::open(path)?;
                    Ok(Box::new(sql::Sql::open(connection, on_wait)?))
                }
                _ => Err(Error::Usage(format!(
                    "{url} names no file: sqlite:///study.db is one here, sqlite:////tmp/study.db one anywhere"
                ))),
            }
        }
        "postgresql" | "postgres" => {
            let url = format!("postgresql://{rest}");
            let connection = database::connect(&on_wait, || postgres::Postgres::open(&url))?;
            Ok(Box::new(sql::Sql::open(connection, on_wait)?))
        }
        "mysql" | "mariadb" => Err(Error::Usage(format!(
            "{scheme}: studies in MySQL are not supported; known are {KNOWN}"
        ))),
        _ => Err(Error::Usage(format!(
            "{} is no storage that is known; known are {KNOWN}",
            without_password(url)
        ))),
    }
}

const KNOWN: &str =
    "sqlite:///FILE, postgresql://USER:PASSWORD@HOST:PORT/DATABASE and journal:FILE";

/// A URL as it may be shown.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_string();
    };
    let (place, options) = match rest.split_once('?') {
        // A password with a question mark, or an at sign among the options: who knows which.
        Some((place, options)) if options.contains('@') && !place.contains('@') => {
            return format!("{scheme}://***");
        }
        Some((place, options)) => (place, Some(options)),
        None => (rest, None),
    };
    let place = match place.rsplit_once('@') {
        Some((before, at)) => match before.split_once(':') {
            Some((user, _)) => format!("{user}:***@{at}"),
            None => place.to_string(),
        },
        None => place.to_string(),
    };
    let options = options.map_or(String::new(), |options| {
        let shown = options
            .split('&')
            .map(|option| match option.split_once('=') {
                Some((key, _)) if key.contains("password") => format!("{key}=***"),
                _ => option.to_string(),
            });
        format!("?{}", shown.collect::<Vec<_>>().join("&"))
    });
    format!("{scheme}://{place}{options}")
}

/// When a template's trial began and ended: what has begun has a start, what is finished an end.
fn times(template: &Trial) -> [Option<SystemTime>; 2] {
    let now = SystemTime::now();
    let completed = match template.state.is_finished() {
        true => Some(template.completed.unwrap_or(now)),
        false => template.completed,
    };
    let started = match template.state {
        TrialState::Waiting => template.started,
        _ => template.started.or(completed).or(Some(now)),
    };
    [started, completed]
}

/// The widths of Optuna's columns, in characters.
const LONGEST_NAME: usize = 512;

fn check_study(name: &str, directions: &[Direction]) -> Result<()> {
    check_name("the name of a study", name)?;
    if directions.is_empty() {
        return Err(Error::Usage(format!("study {name} has no objective")));
    }
    Ok(())
}

fn check_name(what: &str, name: &str) -> Result<()> {
    match name.chars().count() {
        0 => Err(Error::Usage(format!("{what} is empty"))),
        n if n > LONGEST_NAME => Err(Error::Usage(format!(
            "{what} has {n} characters, at most {LONGEST_NAME} can be stored: {name}"
        ))),
        _ => Ok(()),
    }
}

fn study_exists(name: &str) -> Error {
    Error::Usage(format!(
        "a study {name} is there already: open it, or choose another name"
    ))
}

fn no_study(id: i64) -> Error {
    Error::Data(format!("there is no study with id {id} any more"))
}

fn no_trial(id: i64) -> Error {
    Error::Data(format!("there is no trial with id {id} any more"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        match open(url, |_| {}) {
            Ok(_) => panic!("{url} was opened"),
            Err(error) => {
                assert!(matches!(error, Error::Usage(_)), "{error:?}");
                error.to_string()
            }
        }
    }

    #[test]
    fn unknown_urls_are_refused_with_what_is_known() {
        for url in ["study.db", "redis://localhost", "sqlit:///study.db", ""] {
            assert!(refusal(url).contains("sqlite:///FILE"), "{url}");
        }
        assert!(refusal("mysql+pymysql://u:secret@host/db").contains("MySQL"));
        assert!(refusal("sqlite://").contains("names no file"));
        assert!(!refusal("redis://u:secret@host").contains("secret"));
    }

    #[test]
    fn passwords_are_not_shown() {
        let shown = without_password("postgresql://u:s3:cr@t@host:1/db?sslmode=require");
        assert_eq!(shown, "postgresql://u:***@host:1/db?sslmode=require");
        assert_eq!(without_password("sqlite:///a@b.db"), "sqlite:///a@b.db");
        for hidden in [
            "postgresql://host/db?password=s3cr@t:x",
            "postgresql://u:s3?cr@t@host/db",
        ] {
            assert_eq!(without_password(hidden), "postgresql://***");
        }
        let shown = without_password("postgresql://host/db?user=u&password=s3cr:t&sslpassword=y");
        assert_eq!(
            shown,
            "postgresql://host/db?user=u&password=***&sslpassword=***"
        );
    }
}
