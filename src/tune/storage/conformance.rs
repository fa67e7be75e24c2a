//! What every storage must do, tested on each.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::tune::distribution::Distribution;
use crate::tune::trial::TrialState::{Complete, Fail, Pruned, Running, Waiting};

/// Runs the whole list on an empty storage.
pub fn check(storage: &mut dyn Storage) {
    studies(storage);
    attributes_of_studies(storage);
    a_trial_from_start_to_end(storage);
    finished_trials_do_not_change(storage);
    distributions_agree(storage);
    what_may_not_be_stored(storage);
    templates(storage);
    waiting_trials(storage);
    retries(storage);
    many_at_once(storage);
}

/// A new study of one objective.
fn study(storage: &mut dyn Storage, name: &str) -> i64 {
    storage
        .create_study(name, &[Direction::Minimize])
        .unwrap()
        .id
}

fn float() -> Distribution {
    Distribution::float(1e-5, 1.0, true, None).unwrap()
}

fn param(trial: i64, name: &str, internal: f64, distribution: Distribution) -> Write {
    let name = name.to_string();
    Write::Param {
        trial,
        name,
        internal,
        distribution,
    }
}

fn attribute(trial: i64, kind: AttributeKind, key: &str, json: &str) -> Write {
    let (key, json) = (key.to_string(), json.to_string());
    Write::Attribute {
        trial,
        kind,
        key,
        json,
    }
}

fn finish(trial: i64, state: TrialState, values: &[f64]) -> Write {
    let values = values.to_vec();
    Write::Finish {
        trial,
        state,
        values,
    }
}

fn is_usage<T: std::fmt::Debug>(result: Result<T>, word: &str) {
    match result {
        Err(Error::Usage(text)) => assert!(text.contains(word), "{text}"),
        other => panic!("{other:?}, not a refusal with \"{word}\""),
    }
}

fn studies(storage: &mut dyn Storage) {
    assert_eq!(storage.studies().unwrap(), []);
    let directions = [Direction::Maximize, Direction::Minimize];
    let first = storage
        .create_study("grün 'x' \"y\" $1", &directions)
        .unwrap();
    let second = storage
        .create_study("second", &[Direction::Minimize])
        .unwrap();
    assert_eq!(storage.studies().unwrap(), [first.clone(), second]);
    assert_eq!(first.directions, directions);
    assert_eq!(storage.find_study(&first.name).unwrap(), Some(first));
    assert_eq!(storage.find_study("third").unwrap(), None);
    is_usage(storage.create_study("second", &directions), "there already");
    is_usage(storage.create_study("", &directions), "empty");
    is_usage(storage.create_study(&"ä".repeat(513), &directions), "513");
    is_usage(storage.create_study("none", &[]), "objective");
    assert!(storage.trials(99).is_err());
    assert!(storage.create_trial(99).is_err());
}

fn attributes_of_studies(storage: &mut dyn Storage) {
    let study = study(storage, "attributes");
    let user = AttributeKind::User;
    for json in ["1", r#"{"a":[NaN,"ü",null]}"#] {
        storage
            .set_study_attribute(study, user, "key", json)
            .unwrap();
    }
    let system = AttributeKind::System;
    storage
        .set_study_attribute(study, system, "study:metric_names", r#"["loss"]"#)
        .unwrap();
    let had = storage.study_attributes(study, user).unwrap();
    assert_eq!(
        had,
        BTreeMap::from([("key".into(), r#"{"a":[NaN,"ü",null]}"#.into())])
    );
    let had = storage.study_attributes(study, system).unwrap();
    assert_eq!(had["study:metric_names"], r#"["loss"]"#);
    is_usage(storage.set_study_attribute(study, user, "key", "{"), "JSON");
    assert!(storage.set_study_attribute(99, user, "key", "1").is_err());
}

fn a_trial_from_start_to_end(storage: &mut dyn Storage) {
    let study = study(storage, "a trial");
    let before = SystemTime::now() - Duration::from_millis(1);
    let (id, number) = storage.create_trial(study).unwrap();
    assert_eq!(number, 0);
    let trial = storage.trials(study).unwrap()[0].clone();
    assert_eq!((trial.id, trial.number, trial.state), (id, 0, Running));
    assert!(trial.started.unwrap() >= before && trial.completed.is_none());

    let choices = ["sgd", "adam"].map(|word| Scalar::Text(word.into()));
    let choices = Distribution::categorical(choices.to_vec()).unwrap();
    let whole = Distribution::int(1, 9, false, 2).unwrap();
    let steps = [
        (1, 0.5),
        (2, f64::NAN),
        (3, f64::INFINITY),
        (4, f64::NEG_INFINITY),
        (2, 0.25),
    ];
    let mut writes = vec![
        param(id, "lr", 0.1, float()),
        param(id, "opt", 1.0, choices.clone()),
        param(id, "layers", 3.0, whole),
        param(id, "lr", 0.2, float()),
        attribute(id, AttributeKind::User, "note", "\"one\""),
        attribute(id, AttributeKind::User, "note", "\"it's $1\""),
        attribute(id, AttributeKind::System, "completed_rung_0", "Infinity"),
    ];
    for (step, value) in steps {
        writes.push(Write::Intermediate {
            trial: id,
            step,
            value,
        });
    }
    assert!(storage.write(&writes).unwrap().is_empty());
    let again = param(id, "lr", 0.3, float());
    assert!(storage.write(&[again]).unwrap().is_empty());
    assert!(storage.write(&[]).unwrap().is_empty());
    storage
        .write(&[finish(id, Complete, &[f64::INFINITY])])
        .unwrap();
    storage.create_trial(study).unwrap();

    let trials = storage.trials(study).unwrap();
    assert_eq!(trials.len(), 2);
    let trial = &trials[0];
    assert_eq!(trial.state, Complete);
    assert_eq!(trial.values, [f64::INFINITY]);
    let params = [("layers", 3.0), ("lr", 0.1), ("opt", 1.0)];
    let had: Vec<_> = trial.params.iter().map(|(k, v)| (k.as_str(), *v)).collect();
    assert_eq!(had, params);
    assert_eq!(trial.distributions["opt"], choices);
    assert_eq!(trial.value_of("opt"), Some(Scalar::Text("adam".into())));
    assert_eq!(trial.user["note"], "\"it's $1\"");
    assert_eq!(trial.system["completed_rung_0"], "Infinity");
    let had: Vec<_> = trial.intermediate.iter().map(|(k, v)| (*k, *v)).collect();
    assert_eq!(
        had,
        [
            (1, 0.5),
            (2, 0.25),
            (3, f64::INFINITY),
            (4, f64::NEG_INFINITY)
        ]
    );
    assert!(trial.completed.unwrap() >= trial.started.unwrap());
}

fn finished_trials_do_not_change(storage: &mut dyn Storage) {
    let study = study(storage, "finished");
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(storage.create_trial(study).unwrap().0);
    }
    storage
        .write(&[finish(ids[0], Fail, &[]), finish(ids[1], Complete, &[2.0])])
        .unwrap();
    let note = |id| attribute(id, AttributeKind::User, "late", "1");
    let refused = storage.write(&[
        note(ids[0]),
        param(ids[0], "lr", 0.1, float()),
        note(ids[2]),
        finish(ids[1], Complete, &[3.0]),
    ]);
    assert_eq!(refused.unwrap(), [ids[0], ids[1]]);
    let trials = storage.trials(study).unwrap();
    assert!(trials[0].user.is_empty() && trials[0].params.is_empty());
    assert_eq!(trials[1].values, [2.0]);
    assert_eq!(trials[2].user["late"], "1");
    // What was done, and whose answer was lost, is done again.
    let again = [note(ids[1]), finish(ids[1], Complete, &[2.0])];
    assert!(storage.write(&again).unwrap().is_empty());
    assert!(storage.trials(study).unwrap()[1].user.is_empty());
    assert!(storage.write(&[note(123_456)]).is_err());
}

fn distributions_agree(storage: &mut dyn Storage) {
    let study = study(storage, "distributions");
    let (first, _) = storage.create_trial(study).unwrap();
    storage.write(&[param(first, "lr", 0.1, float())]).unwrap();
    let (second, _) = storage.create_trial(study).unwrap();
    let linear = Distribution::float(0.0, 1.0, false, None).unwrap();
    let wide = Distribution::float(1e-9, 10.0, true, None).unwrap();
    let refused = storage.write(&[
        attribute(second, AttributeKind::User, "note", "1"),
        param(second, "lr", 0.1, linear.clone()),
    ]);
    is_usage(refused, "log:1e-5..1.0");
    assert!(
        storage.trials(study).unwrap()[1].user.is_empty(),
        "all or nothing"
    );
    storage.write(&[param(second, "lr", 5.0, wide)]).unwrap();
    // Within one batch too.
    let whole = Distribution::int(0, 9, false, 1).unwrap();
    let both = [
        param(first, "x", 0.5, linear.clone()),
        param(second, "x", 1.0, whole),
    ];
    is_usage(storage.write(&both), "0..9");
    assert_eq!(storage.trials(study).unwrap()[1].params["lr"], 5.0);
    // Another study has other distributions.
    let other = self::study(storage, "other distributions");
    let (trial, _) = storage.create_trial(other).unwrap();
    storage.write(&[param(trial, "lr", 0.5, linear)]).unwrap();
}

fn what_may_not_be_stored(storage: &mut dyn Storage) {
    let study = study(storage, "refused");
    let (id, _) = storage.create_trial(study).unwrap();
    is_usage(storage.write(&[finish(id, Complete, &[f64::NAN])]), "FAIL");
    is_usage(
        storage.write(&[finish(id, Complete, &[])]),
        "without a value",
    );
    is_usage(storage.write(&[finish(id, Waiting, &[])]), "WAITING");
    is_usage(storage.write(&[param(id, "lr", f64::NAN, float())]), "NaN");
    is_usage(
        storage.write(&[attribute(id, AttributeKind::User, "a", "{]")]),
        "JSON",
    );
    is_usage(
        storage.write(&[attribute(id, AttributeKind::User, "", "1")]),
        "empty",
    );
    assert_eq!(storage.trials(study).unwrap()[0].state, Running);
}

fn templates(storage: &mut dyn Storage) {
    let directions = [Direction::Minimize, Direction::Maximize];
    let study = storage.create_study("templates", &directions).unwrap().id;
    let mut done = Trial::new(0, 0, Complete);
    done.params.insert("lr".into(), 0.5);
    done.distributions.insert("lr".into(), float());
    done.values = vec![1.5, f64::NEG_INFINITY];
    done.intermediate = BTreeMap::from([(0, 0.5), (7, f64::INFINITY)]);
    done.user.insert("u".into(), "[1,2]".into());
    done.system.insert("s".into(), "NaN".into());
    done.started = time::parse("2026-01-02 03:04:05.000006");
    done.completed = time::parse("2026-01-02 03:04:06");
    let mut failed = Trial::new(0, 0, Fail);
    (failed.started, failed.completed) = (done.started, done.completed);
    let made = storage
        .create_trials(study, &[done.clone(), failed.clone()])
        .unwrap();
    assert_eq!(
        made.iter().map(|(_, number)| *number).collect::<Vec<_>>(),
        [0, 1]
    );
    let with = |template: &Trial, (id, number): (i64, u32)| Trial {
        id,
        number,
        ..template.clone()
    };
    let trials = storage.trials(study).unwrap();
    assert_eq!(trials, [with(&done, made[0]), with(&failed, made[1])]);
    done.distributions.insert(
        "lr".into(),
        Distribution::float(0.0, 1.0, false, None).unwrap(),
    );
    is_usage(storage.create_trials(study, &[done]), "lr");
    assert_eq!(storage.create_trials(study, &[]).unwrap(), []);
    // Others were quicker, or not.
    let next = storage.trials(study).unwrap().len() as u32;
    let failed = [Trial::new(0, 0, Fail)];
    for other in [next - 1, next + 1] {
        let made = storage
            .create_trials_at(study, Some(other), &failed)
            .unwrap();
        assert_eq!(made, None);
        assert_eq!(storage.trials(study).unwrap().len(), next as usize);
    }
    let made = storage
        .create_trials_at(study, Some(next), &failed)
        .unwrap();
    assert_eq!(made.map(|made| made[0].1), Some(next));
    let trials = storage.trials(study).unwrap();
    assert_eq!(trials.len(), 3);
    assert!(trials[2].started.is_some() && trials[2].completed.is_some());
}

fn waiting_trials(storage: &mut dyn Storage) {
    let study = study(storage, "waiting");
    assert_eq!(storage.claim_waiting(study).unwrap(), None);
    let fixed = BTreeMap::from([
        ("lr".to_string(), Scalar::Float(0.5)),
        ("opt".to_string(), Scalar::Text("sgd".into())),
        ("batch".to_string(), Scalar::None),
    ]);
    let (first, _) = storage.enqueue(study, &fixed, &Attributes::new()).unwrap();
    storage.create_trial(study).unwrap();
    let user = Attributes::from([("why".to_string(), "\"guess\"".to_string())]);
    let (second, _) = storage.enqueue(study, &BTreeMap::new(), &user).unwrap();
    let waiting = storage.trials(study).unwrap()[0].clone();
    assert_eq!((waiting.state, waiting.started), (Waiting, None));

    let claimed = storage.claim_waiting(study).unwrap().unwrap();
    assert_eq!((claimed.id, claimed.state), (first, Running));
    assert!(claimed.started.is_some());
    assert_eq!(fixed_params(&claimed).unwrap(), fixed);
    let claimed = storage.claim_waiting(study).unwrap().unwrap();
    assert_eq!((claimed.id, &claimed.user), (second, &user));
    assert_eq!(storage.claim_waiting(study).unwrap(), None);
    storage.write(&[finish(first, Pruned, &[])]).unwrap();
    assert_eq!(storage.trials(study).unwrap()[0].state, Pruned);
}

fn retries(storage: &mut dyn Storage) {
    let study = study(storage, "retries");
    let (id, _) = storage.create_trial(study).unwrap();
    let note = attribute(id, AttributeKind::User, "note", "1");
    storage
        .write(&[param(id, "lr", 0.5, float()), note])
        .unwrap();
    let mut broken = id;
    for round in 1..=2 {
        let had = storage.trials(study).unwrap().last().unwrap().clone();
        let put_back = |storage: &mut dyn Storage| {
            let broken = storage.put_back(study, &[broken], "gone \"ü\"", Some(2));
            broken.unwrap()
        };
        assert_eq!(put_back(storage), 1);
        assert_eq!(put_back(storage), 0, "it runs no more");
        let trials = storage.trials(study).unwrap();
        assert_eq!(trials.len(), round as usize + 1);
        let failed = &trials[round as usize - 1];
        assert_eq!((failed.id, failed.state), (broken, Fail));
        assert!(failed.completed.is_some());
        assert_eq!(failed.system["fail_reason"], "\"gone \\\"ü\\\"\"");
        let trial = storage.claim_waiting(study).unwrap().unwrap();
        assert_eq!(trial.number, round);
        assert_eq!(trial.params, had.params);
        assert_eq!(trial.user, had.user);
        assert_eq!(trial.system["failed_trial"], "0");
        assert_eq!(retry_history(&trial), (0..round).collect::<Vec<_>>());
        broken = trial.id;
    }
    assert_eq!(
        storage.put_back(study, &[broken], "gone", Some(2)).unwrap(),
        0
    );
    let trials = storage.trials(study).unwrap();
    assert_eq!((trials.len(), trials[2].state), (3, Fail));
}

/// More rows than one statement carries.
fn many_at_once(storage: &mut dyn Storage) {
    let study = study(storage, "many");
    let running = Trial::new(0, 0, Running);
    let made = storage.create_trials(study, &vec![running; 37]).unwrap();
    let numbers: Vec<u32> = made.iter().map(|(_, number)| *number).collect();
    assert_eq!(numbers, (0..37).collect::<Vec<_>>());
    let mut writes = Vec::new();
    for (id, number) in &made {
        writes.extend((0..60).map(|step| Write::Intermediate {
            trial: *id,
            step,
            value: f64::from(*number) + step as f64,
        }));
        writes.push(finish(*id, Complete, &[f64::from(*number)]));
    }
    storage.write(&writes).unwrap();
    let trials = storage.trials(study).unwrap();
    assert_eq!(trials.len(), 37);
    for trial in trials {
        assert_eq!(trial.values, [f64::from(trial.number)]);
        assert_eq!(trial.intermediate.len(), 60);
        assert_eq!(trial.intermediate[&59], f64::from(trial.number) + 59.0);
    }
}

/// Many workers on one storage: no number twice, every waiting trial claimed once, nothing lost.
pub fn check_concurrent(url: &str) {
    const WORKERS: usize = 8;
    const EACH: usize = 6;
    let open = || super::open(url, |word| panic!("{word}")).unwrap();
    let mut storage = open();
    let study = study(&mut *storage, "shared");
    let queued = vec![Trial::new(0, 0, Waiting); WORKERS * EACH / 2];
    storage.create_trials(study, &queued).unwrap();
    let start = std::sync::Barrier::new(WORKERS);
    let claimed = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|_| {
                scope.spawn(|| {
                    let mut storage = open();
                    start.wait();
                    let mut claimed = Vec::new();
                    for _ in 0..EACH {
                        let id = match storage.claim_waiting(study).unwrap() {
                            Some(trial) => {
                                claimed.push(trial.id);
                                trial.id
                            }
                            None => storage.create_trial(study).unwrap().0,
                        };
                        storage.write(&[finish(id, Complete, &[1.0])]).unwrap();
                    }
                    claimed
                })
            })
            .collect();
        let claimed = workers.into_iter().map(|worker| worker.join().unwrap());
        claimed.collect::<Vec<_>>().concat()
    });
    let mut once = claimed.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!((once.len(), claimed.len()), (queued.len(), queued.len()));
    let trials = storage.trials(study).unwrap();
    let numbers: Vec<usize> = trials.iter().map(|trial| trial.number as usize).collect();
    assert_eq!(numbers, (0..WORKERS * EACH).collect::<Vec<_>>());
    assert!(trials.iter().all(|trial| trial.state == Complete));
}

/// Heartbeats, on a storage that has them: `sleep` and be found dead.
pub fn check_heartbeats(storage: &mut dyn Storage) {
    assert!(storage.has_heartbeat());
    let study = study(storage, "heartbeats");
    let dead = storage.create_trial(study).unwrap().0;
    let alive = storage.create_trial(study).unwrap().0;
    let ended = storage.create_trial(study).unwrap().0;
    assert_eq!(storage.beating(study).unwrap(), [dead, alive, ended]);
    storage.write(&[finish(ended, Complete, &[1.0])]).unwrap();
    assert_eq!(storage.beating(study).unwrap(), [dead, alive]);
    let grace = Duration::from_secs(2);
    let put_back = |storage: &mut dyn Storage| {
        let queued = storage.put_back_stale(study, grace, "silent", None);
        queued.unwrap()
    };
    assert_eq!(put_back(storage), 0);
    std::thread::sleep(grace + Duration::from_millis(1100));
    storage.heartbeat(&[alive]).unwrap();
    assert_eq!(put_back(storage), 1);
    let states: Vec<TrialState> = storage
        .trials(study)
        .unwrap()
        .iter()
        .map(|t| t.state)
        .collect();
    assert_eq!(states, [Fail, Running, Complete, Waiting]);
    assert_eq!(put_back(storage), 0);
    assert_eq!(storage.beating(study).unwrap(), [alive]);
    let note = attribute(dead, AttributeKind::User, "late", "1");
    assert_eq!(storage.write(&[note]).unwrap(), [dead]);
}

/// A path in a URL.
pub fn url(scheme: &str, path: &Path) -> String {
    format!("{scheme}{}", path.display())
}
