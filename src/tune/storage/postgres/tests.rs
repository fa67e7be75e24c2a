use std::sync::{Arc, Mutex};

use super::*;
use crate::tune::storage::{conformance, open};
use crate::tune::trial::Direction;

#[test]
fn modes_of_tls() {
    let url = "postgresql://u:p@h:1/d?sslmode=allow&connect_timeout=3";
    let options = Options::of(url).unwrap();
    assert_eq!(options.url, "postgresql://u:p@h:1/d?connect_timeout=3");
    assert_eq!(options.modes, [SslMode::Disable, SslMode::Require]);
    let options = Options::of("postgresql://h/d").unwrap();
    assert_eq!(options.modes, [SslMode::Prefer]);
    let error = Options::of("postgresql://h/d?sslmode=yes").err().unwrap();
    assert!(error.to_string().contains("verify-full"), "{error}");
}

#[test]
fn a_server_that_is_not_there_is_named() {
    // Port 1 is no server's.
    let error = Postgres::open("postgresql://u:secret@127.0.0.1:1/d")
        .err()
        .unwrap();
    let text = error.to_string();
    assert!(
        text.contains("127.0.0.1:1") && text.contains("refused"),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn an_unknown_option_is_refused() {
    let error = Postgres::open("postgresql://u:secret@h/d?colour=red")
        .err()
        .unwrap();
    assert!(matches!(error, Error::Usage(_)));
    assert!(error.to_string().contains("colour"), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

/// An empty schema of the server that `GPU_TRAIN_POSTGRES` names: the URL to it.
fn schema(name: &str) -> String {
    let server = std::env::var("GPU_TRAIN_POSTGRES").expect("GPU_TRAIN_POSTGRES=postgresql://...");
    let mut client = Postgres::open(&server).unwrap().client.unwrap();
    client
        .batch_execute(&format!(
            "DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}"
        ))
        .unwrap();
    let between = if server.contains('?') { '&' } else { '?' };
    format!("{server}{between}options=-csearch_path%3D{name}")
}

#[test]
#[ignore = "needs a server, GPU_TRAIN_POSTGRES"]
fn conforms() {
    let mut storage = open(&schema("conforms"), |word| panic!("{word}")).unwrap();
    conformance::check(&mut *storage);
    let mut again = open(&schema("heartbeats"), |word| panic!("{word}")).unwrap();
    conformance::check_heartbeats(&mut *again);
}

#[test]
#[ignore = "needs a server, GPU_TRAIN_POSTGRES"]
fn eight_workers_share_a_schema() {
    let url = schema("shared");
    // They make the tables at the same time, too.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| open(&url, |word| panic!("{word}")).map(drop).unwrap());
        }
    });
    conformance::check_concurrent(&url);
}

#[test]
#[ignore = "needs a server, GPU_TRAIN_POSTGRES"]
fn a_connection_that_is_lost_is_made_anew() {
    let url = schema("lost");
    let words = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&words);
    let on_wait = move |word: &str| heard.lock().unwrap().push(word.to_string());
    let named = format!("{url}&application_name=lost");
    let mut storage = open(&named, on_wait).unwrap();
    let study = storage
        .create_study("lost", &[Direction::Minimize])
        .unwrap()
        .id;
    let mut other = Postgres::open(&url).unwrap().client.unwrap();
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                WHERE application_name = 'lost'";
    assert_eq!(other.query(kill, &[]).unwrap().len(), 1);
    storage.create_trial(study).unwrap();
    assert_eq!(storage.trials(study).unwrap().len(), 1);
    let words = words.lock().unwrap();
    assert_eq!(words.len(), 1, "{words:?}");
    assert!(words[0].contains("trying again in 1 s"), "{words:?}");
}
