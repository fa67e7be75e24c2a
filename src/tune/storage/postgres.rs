//! Studies in PostgreSQL.

use std::error::Error as _;
use std::time::Duration;

use ::postgres::config::{Host, SslMode};
use ::postgres::types::{Format, FromSql, IsNull, ToSql, Type, to_sql_checked};
use ::postgres::{Client, Config};
use bytes::BytesMut;

use super::database::{Access, Cell, Connection, Dialect, Failure, Transaction, Work};
use super::schema::{self, Types};
use super::tls::{Tls, Trust};
use crate::{Error, Result};

const DIALECT: Dialect = Dialect {
    tables: || {
        let mut statements = vec![
            // Makers of tables wait for each other.
            "SELECT pg_advisory_xact_lock(7305808868)".to_string(),
        ];
        statements.extend(TYPES.map(|(name, values)| {
            format!(
                "DO $$ BEGIN CREATE TYPE {name} AS ENUM ({values}); \
                 EXCEPTION WHEN duplicate_object THEN NULL; END $$"
            )
        }));
        statements.extend(schema::tables(&Types {
            serial: "SERIAL",
            float: "FLOAT(53)",
            time: "TIMESTAMP WITHOUT TIME ZONE",
            direction: "studydirection",
            state: "trialstate",
            value: "trialvaluetype",
            intermediate: "trialintermediatevaluetype",
        }));
        statements
    },
    has_tables: "SELECT 1 WHERE to_regclass('alembic_version') IS NOT NULL",
    for_update: " FOR UPDATE",
    skip_locked: " FOR UPDATE OF trials SKIP LOCKED",
    // Without a zone, and so by that of the session: the server's, which is Python's workers' too.
    heartbeat_age: "EXTRACT(EPOCH FROM (LOCALTIMESTAMP - trial_heartbeats.heartbeat))",
};

const TYPES: [(&str, &str); 4] = [
    ("studydirection", "'NOT_SET', 'MINIMIZE', 'MAXIMIZE'"),
    (
        "trialstate",
        "'RUNNING', 'COMPLETE', 'PRUNED', 'FAIL', 'WAITING'",
    ),
    ("trialvaluetype", "'FINITE', 'INF_POS', 'INF_NEG'"),
    (
        "trialintermediatevaluetype",
        "'FINITE', 'INF_POS', 'INF_NEG', 'NAN'",
    ),
];

/// How long a connection may take, and how long a dead one goes unnoticed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection that is made anew when it was lost.
pub struct Postgres {
    config: Config,
    /// Tried in this order; libpq's `allow` is none, then TLS.
    modes: Vec<SslMode>,
    tls: Tls,
    client: Option<Client>,
}

impl Postgres {
    /// Connects, by a URL in libpq's form. `sslmode` and `sslrootcert` mean what they mean there, and
    /// `PGPASSWORD` is the password where the URL has none.
    ///
    /// # Errors
    /// [`Error::Usage`] for a URL that is none, [`Error::Data`] where the server is out of reach.
    pub fn open(url: &str) -> Result<Postgres> {
        let options = Options::of(url)?;
        let mut config: Config = options.url.parse().map_err(|error| {
            let url = super::without_password(url);
            Error::Usage(format!("{url}: {}", chain(&error)))
        })?;
        if config.get_password().is_none()
            && let Some(password) = std::env::var("PGPASSWORD").ok().filter(|p| !p.is_empty())
        {
            config.password(password);
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(PATIENCE);
        }
        if config.get_application_name().is_none() {
            config.application_name("gpu-train");
        }
        config.tcp_user_timeout(PATIENCE).keepalives_idle(PATIENCE);
        if config.get_hosts().is_empty() {
            // Names for certificates.
            for address in config.get_hostaddrs().to_vec() {
                config.host(&address.to_string());
            }
        }
        if config.get_hosts().is_empty() {
            config.host(default_host());
        }
        // A socket's other end is on this machine: as libpq has it, there is no TLS.
        let hosts = config.get_hosts();
        let is_socket = |host: &Host| !matches!(host, Host::Tcp(_));
        let modes = match hosts.iter().all(is_socket) {
            true => vec![SslMode::Disable],
            false => options.modes,
        };
        let mut postgres = Postgres {
            config,
            modes,
            tls: Tls::new(options.trust)?,
            client: None,
        };
        postgres.client = Some(postgres.connect().map_err(|error| {
            Error::Data(format!(
                "cannot connect to {}: {}",
                postgres.place(),
                chain(&error)
            ))
        })?);
        Ok(postgres)
    }

    fn connect(&self) -> Result<Client, ::postgres::Error> {
        let mut done = None;
        for mode in &self.modes {
            let mut config = self.config.clone();
            config.ssl_mode(*mode);
            let connected = config.connect(self.tls.clone()).and_then(|mut client| {
                // Times are read as texts.
                client.batch_execute("SET datestyle TO 'ISO'")?;
                Ok(client)
            });
            if connected.is_ok() {
                return connected;
            }
            done = Some(connected);
        }
        done.expect("there is at least one mode")
    }

    /// The server as a person knows it.
    fn place(&self) -> String {
        let ports = self.config.get_ports();
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            #[cfg(unix)]
            Some(Host::Unix(path)) => path.display().to_string(),
            None => "?".to_string(),
        };
        format!("PostgreSQL at {host}:{}", ports.first().unwrap_or(&5432))
    }

    fn failure(&self, error: &::postgres::Error) -> Failure {
        let why = format!("{}: {}", self.place(), chain(error));
        let is_io = error
            .source()
            .is_some_and(|source| source.is::<std::io::Error>());
        let Some(code) = error.code() else {
            return match error.is_closed() || is_io {
                true => Failure::Lost(why),
                false => Failure::Final(Error::Data(why)),
            };
        };
        match code.code() {
            // Shutting down, starting up, too many connections, connection exceptions.
            "57P01" | "57P02" | "57P03" | "53300" => Failure::Lost(why),
            code if code.starts_with("08") => Failure::Lost(why),
            // Serialisation, deadlock, lock; and what somebody else made at the same time.
            "40001" | "40P01" | "55P03" | "23505" | "42P07" | "42710" => Failure::GaveWay(why),
            _ => Failure::Final(Error::Data(why)),
        }
    }

    fn try_transaction(&self, client: &mut Client, work: &mut Work) -> Result<(), Failure> {
        let begun = client.transaction();
        let mut transaction = begun.map_err(|error| self.failure(&error))?;
        work(&mut Open {
            postgres: self,
            transaction: &mut transaction,
        })?;
        transaction.commit().map_err(|error| self.failure(&error))
    }
}

impl Connection for Postgres {
    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }

    fn transaction(&mut self, _access: Access, work: &mut Work) -> Result<(), Failure> {
        let client = self.client.take().filter(|client| !client.is_closed());
        let mut client = match client {
            Some(client) => client,
            // Whatever keeps it from connecting once more may pass.
            None => self.connect().map_err(|error| {
                Failure::Lost(format!(
                    "cannot connect to {}: {}",
                    self.place(),
                    chain(&error)
                ))
            })?,
        };
        let done = self.try_transaction(&mut client, work);
        if !matches!(done, Err(Failure::Lost(_))) {
            self.client = Some(client);
        }
        done
    }
}

struct Open<'a, 'b> {
    postgres: &'a Postgres,
    transaction: &'a mut ::postgres::Transaction<'b>,
}

impl Transaction for Open<'_, '_> {
    fn query(&mut self, statement: &str, parameters: &[Cell]) -> Result<Vec<Vec<Cell>>, Failure> {
        // The server finds the types itself, so that a statement is one round trip.
        let parameters: Vec<(&(dyn ToSql + Sync), Type)> = parameters
            .iter()
            .map(|cell| (cell as &(dyn ToSql + Sync), Type::UNKNOWN))
            .collect();
        let rows = self.transaction.query_typed(statement, &parameters);
        let rows = rows.map_err(|error| self.postgres.failure(&error))?;
        let cells = |row: &::postgres::Row| (0..row.len()).map(|ix| row.try_get(ix)).collect();
        let read: Result<_, ::postgres::Error> = rows.iter().map(cells).collect();
        read.map_err(|error| self.postgres.failure(&error))
    }
}

impl ToSql for Cell {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Cell::Null => return Ok(IsNull::Yes),
            Cell::Int(n) => out.extend_from_slice(n.to_string().as_bytes()),
            Cell::Real(x) => out.extend_from_slice(format!("{x:?}").as_bytes()),
            Cell::Text(text) => out.extend_from_slice(text.as_bytes()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Cell {
    fn from_sql(
        of: &Type,
        raw: &'a [u8],
    ) -> Result<Cell, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match *of {
            Type::INT4 => Cell::Int(i32::from_sql(of, raw)?.into()),
            Type::INT8 => Cell::Int(i64::from_sql(of, raw)?),
            Type::FLOAT8 => Cell::Real(f64::from_sql(of, raw)?),
            _ => Cell::Text(String::from_sql(&Type::TEXT, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Cell, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Cell::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Where libpq looks without a host: a socket, where there is one.
fn default_host() -> &'static str {
    let sockets = ["/var/run/postgresql", "/tmp"];
    let has_server = |folder: &&str| std::path::Path::new(folder).join(".s.PGSQL.5432").exists();
    sockets.into_iter().find(has_server).unwrap_or("localhost")
}

/// What a URL says of TLS, and the URL without it.
struct Options {
    url: String,
    modes: Vec<SslMode>,
    trust: Trust,
}

impl Options {
    fn of(url: &str) -> Result<Options> {
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut mode, mut root) = ("prefer", None);
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = value,
                Some(("sslrootcert", value)) => root = Some(value),
                _ => rest.push(pair),
            }
        }
        let (modes, trust) = match mode {
            "disable" => (vec![SslMode::Disable], Trust::Anybody),
            "allow" => (vec![SslMode::Disable, SslMode::Require], Trust::Anybody),
            "prefer" => (vec![SslMode::Prefer], Trust::Anybody),
            // As libpq does it: with authorities at hand they are asked.
            "require" if root.is_some() => {
                (vec![SslMode::Require], Trust::authorities(root, false)?)
            }
            "require" => (vec![SslMode::Require], Trust::Anybody),
            "verify-ca" => (vec![SslMode::Require], Trust::authorities(root, false)?),
            "verify-full" => (vec![SslMode::Require], Trust::authorities(root, true)?),
            _ => {
                return Err(Error::Usage(format!(
                    "sslmode={mode}: known are disable, allow, prefer, require, verify-ca and verify-full"
                )));
            }
        };
        let query = match rest.is_empty() {
            true => String::new(),
            false => format!("?{}", rest.join("&")),
        };
        Ok(Options {
            url: format!("{place}{query}"),
            modes,
            trust,
        })
    }
}

/// An error with what led to it.
fn chain(error: &::postgres::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
