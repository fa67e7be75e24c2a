//! Databases as the storage sees them: transactions that may fail because the database is away for a
//! while, and are then done again.

use std::time::{Duration, Instant};

use super::OnWait;
use crate::{Error, Result};

/// One value of a row, or a parameter of a statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
}

/// What differs between databases in what [`super::sql`] says.
pub struct Dialect {
    /// Statements that make tables and types, each harmless where they are there.
    pub tables: fn() -> Vec<String>,
    /// No row where there is no table that the schema's revision is in.
    pub has_tables: &'static str,
    /// After SELECT: other transactions wait with rows that this one has read.
    pub for_update: &'static str,
    /// After SELECT .. FROM trials: so, but for those that others have read.
    pub skip_locked: &'static str,
    /// Seconds since `trial_heartbeats.heartbeat`.
    pub heartbeat_age: &'static str,
}

/// A transaction that has begun.
pub trait Transaction {
    /// Runs one statement with its parameters `$1`, `$2`, ... in order of appearance: the rows.
    fn query(&mut self, statement: &str, parameters: &[Cell]) -> Result<Vec<Vec<Cell>>, Failure>;
}

/// A connection, which may be lost.
pub trait Connection: Send {
    fn dialect(&self) -> &'static Dialect;

    /// Begins a transaction, for which it connects anew where need be; does the work; commits, or rolls
    /// back where it failed.
    fn transaction(&mut self, access: Access, work: &mut Work) -> Result<(), Failure>;
}

/// What a transaction does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

/// What is done in a transaction. It may be done several times, the last time counts.
pub type Work<'a> = dyn FnMut(&mut dyn Transaction) -> Result<(), Failure> + 'a;

/// Why a transaction was not done.
#[derive(Debug)]
pub enum Failure {
    /// The database is away, or busy: why. Worth another try.
    Lost(String),
    /// Two transactions were in each other's way, and this one gave way.
    GaveWay(String),
    /// No other try would do better.
    Final(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Final(error)
    }
}

/// Seconds before the next try where a database is away that was there: ten minutes in all, for what was
/// trained meanwhile is to be written.
const AWAY: [u64; 15] = [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60, 60, 60, 60];

/// Seconds before the next try where it has not been there yet: it may be starting, or have another name.
const STARTING: [u64; 3] = [1, 2, 4];

/// How often a transaction may give way.
const GIVES_WAY: u64 = 20;

/// Connects to a database.
///
/// # Errors
/// Those of `open`, the last time.
pub fn connect<C>(on_wait: &OnWait, mut open: impl FnMut() -> Result<C>) -> Result<C> {
    for seconds in STARTING {
        match open() {
            Err(Error::Data(why)) => on_wait(&format!("{why}; trying again in {seconds} s")),
            done => return done,
        }
        std::thread::sleep(Duration::from_secs(seconds));
    }
    open()
}

/// What is known of a connection's outages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outages {
    /// When the last one ended, and how long it was.
    last: Option<(Instant, Duration)>,
    /// The database is away, and was given up.
    pub given_up: bool,
}

impl Outages {
    /// Whether an outage explains a silence of `grace`: nobody could say that it is alive, and others may
    /// not have tried again yet.
    pub fn explain(&self, grace: Duration) -> bool {
        let explains = |(end, long): (Instant, Duration)| {
            // The next try comes after about as long as all before it took, and a minute at most.
            let next_try = (long + Duration::from_secs(1)).min(Duration::from_secs(60));
            long * 2 >= grace && end.elapsed() < grace + next_try
        };
        self.last.is_some_and(explains)
    }
}

/// Does the work in one transaction, and again while the database is away: not for long where it has been
/// given up before.
pub fn run<T>(
    connection: &mut dyn Connection,
    access: Access,
    on_wait: &OnWait,
    outages: &mut Outages,
    mut work: impl FnMut(&mut dyn Transaction) -> Result<T, Failure>,
) -> Result<T> {
    let waits = match outages.given_up {
        true => &STARTING[..],
        false => &AWAY[..],
    };
    let mut waits = waits.iter();
    let mut lost = None;
    let mut gave_way = 0;
    loop {
        let mut answer = None;
        let done = connection.transaction(access, &mut |transaction| {
            answer = Some(work(transaction)?);
            Ok(())
        });
        let wait = match (done, answer) {
            (Ok(()), Some(answer)) => {
                outages.given_up = false;
                if let Some(lost) = lost {
                    let now = Instant::now();
                    outages.last = Some((now, now - lost));
                }
                return Ok(answer);
            }
            (Ok(()), None) => unreachable!("a transaction that was done was worked on"),
            (Err(Failure::Final(error)), _) => return Err(error),
            (Err(Failure::GaveWay(_)), _) if gave_way < GIVES_WAY => {
                gave_way += 1;
                Duration::from_millis(10 * gave_way)
            }
            (Err(Failure::GaveWay(why)), _) => return Err(Error::Data(why)),
            (Err(Failure::Lost(why)), _) => {
                lost.get_or_insert_with(Instant::now);
                let Some(seconds) = waits.next() else {
                    outages.given_up = true;
                    return Err(Error::Data(format!("{why}; given up")));
                };
                on_wait(&format!("{why}; trying again in {seconds} s"));
                Duration::from_secs(*seconds)
            }
        };
        std::thread::sleep(wait);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A database that fails as told before it works.
    struct Flaky(Vec<Failure>);

    struct Nothing;

    impl Transaction for Nothing {
        fn query(&mut self, _: &str, _: &[Cell]) -> Result<Vec<Vec<Cell>>, Failure> {
            Ok(Vec::new())
        }
    }

    impl Connection for Flaky {
        fn dialect(&self) -> &'static Dialect {
            unimplemented!("nothing is said to it")
        }

        fn transaction(&mut self, _: Access, work: &mut Work) -> Result<(), Failure> {
            work(&mut Nothing)?;
            self.0.pop().map_or(Ok(()), Err)
        }
    }

    fn said_by(failures: Vec<Failure>) -> (Result<u32>, Vec<String>) {
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let on_wait: OnWait = Box::new(move |word| heard.lock().unwrap().push(word.to_string()));
        let mut times = 0;
        let (mut flaky, mut outages) = (Flaky(failures), Outages::default());
        let done = run(&mut flaky, Access::Write, &on_wait, &mut outages, |_| {
            times += 1;
            Ok(times)
        });
        let said = said.lock().unwrap().clone();
        (done, said)
    }

    #[test]
    fn a_lost_transaction_is_done_again_and_a_word_is_said() {
        let lost = Failure::Lost("gone".to_string());
        let (done, said) = said_by(vec![lost, Failure::GaveWay("deadlock".to_string())]);
        assert_eq!(done.unwrap(), 3);
        assert_eq!(said, ["gone; trying again in 1 s"]);
    }

    #[test]
    fn an_outage_explains_a_silence_that_it_is_long_enough_for() {
        let mut flaky = Flaky(vec![Failure::Lost("gone".to_string())]);
        let on_wait: OnWait = Box::new(|_| ());
        let mut outages = Outages {
            last: None,
            given_up: true,
        };
        let done = run(&mut flaky, Access::Read, &on_wait, &mut outages, |_| Ok(()));
        done.unwrap();
        assert!(!outages.given_up, "it is there again");
        assert!(outages.explain(Duration::from_secs(2)));
        assert!(
            !outages.explain(Duration::from_secs(60)),
            "one beat was missed at most"
        );
        let (end, long) = outages.last.unwrap();
        outages.last = Some((end - Duration::from_secs(5), long));
        assert!(
            !outages.explain(Duration::from_secs(2)),
            "there was time to say something since"
        );
    }

    #[test]
    fn a_database_that_starts_is_waited_for() {
        let said = Arc::new(Mutex::new(0));
        let heard = Arc::clone(&said);
        let on_wait: OnWait = Box::new(move |_| *heard.lock().unwrap() += 1);
        let mut answers = vec![Ok(7), Err(Error::Data("not yet".to_string()))];
        let opened = connect(&on_wait, || answers.pop().unwrap());
        assert_eq!(opened.unwrap(), 7);
        assert_eq!(*said.lock().unwrap(), 1);
        let refused: Result<()> = connect(&on_wait, || Err(Error::Usage("what?".to_string())));
        assert!(matches!(refused, Err(Error::Usage(_))));
        assert_eq!(*said.lock().unwrap(), 1);
    }

    #[test]
    fn a_final_failure_is_final() {
        let (done, said) = said_by(vec![Failure::Final(Error::Usage("no".to_string()))]);
        assert_eq!(done.unwrap_err().to_string(), "no");
        assert!(said.is_empty());
    }
}
