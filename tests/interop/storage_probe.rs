//! Says to a storage what the checks of `test_storage.py` want said to it, and prints what it holds.
//!
//! ```text
//! storage_probe URL write               a study "ours" with every kind of thing in it
//! storage_probe URL dump STUDY          its trials as one JSON text, with Python's NaN and Infinity
//! storage_probe URL work STUDY N PAUSE  a worker: N trials of 3 steps with PAUSE seconds between
//! ```

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gpu_train::tune::distribution::{Distribution, Scalar};
use gpu_train::tune::storage::{self, AttributeKind, Storage, Write};
use gpu_train::tune::trial::{Attributes, Direction, Trial, TrialState};
use gpu_train::{Error, Result};

/// Workers whose trials are silent for longer are dead.
const GRACE: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(words: &[String]) -> Result<()> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [url, rest @ ..] = &words[..] else {
        return Err(Error::Usage(
            "storage_probe URL write|dump|work".to_string(),
        ));
    };
    let mut storage = storage::open(url, |word| eprintln!("{word}"))?;
    let storage = &mut *storage;
    match rest {
        ["write"] => write(storage),
        ["dump", study] => dump(storage, study),
        ["work", study, n, pause] => {
            let number = |word: &str| {
                word.parse::<f64>()
                    .map_err(|_| Error::Usage(word.to_string()))
            };
            work(
                storage,
                study,
                number(n)? as usize,
                Duration::from_secs_f64(number(pause)?),
            )
        }
        _ => Err(Error::Usage(
            "write, dump STUDY or work STUDY N PAUSE".to_string(),
        )),
    }
}

fn attribute(trial: i64, kind: AttributeKind, key: &str, json: &str) -> Write {
    Write::Attribute {
        trial,
        kind,
        key: key.to_string(),
        json: json.to_string(),
    }
}

fn param(trial: i64, name: &str, internal: f64, distribution: &Distribution) -> Write {
    Write::Param {
        trial,
        name: name.to_string(),
        internal,
        distribution: distribution.clone(),
    }
}

fn choices() -> Distribution {
    let choices = vec![
        Scalar::Text("sgd \"ü\"".to_string()),
        Scalar::None,
        Scalar::Bool(true),
        Scalar::Int(3),
        Scalar::Float(0.5),
    ];
    Distribution::Categorical { choices }
}

fn write(storage: &mut dyn Storage) -> Result<()> {
    let study = storage
        .create_study("ours", &[Direction::Minimize, Direction::Maximize])?
        .id;
    let (user, system) = (AttributeKind::User, AttributeKind::System);
    storage.set_study_attribute(study, user, "note", r#"{"a": [1, NaN, "ü"]}"#)?;
    storage.set_study_attribute(
        study,
        system,
        "study:metric_names",
        r#"["loss", "accuracy"]"#,
    )?;
    let rate = Distribution::float(1e-5, 1.0, true, None)?;
    let share = Distribution::float(0.0, 1.0, false, Some(0.25))?;
    let layers = Distribution::int(1, 9, false, 2)?;
    let width = Distribution::int(8, 1024, true, 1)?;

    // Complete, pruned, failed, running, waiting: numbers 0 to 4, and one with all from a template.
    let ids: Result<Vec<i64>> = (0..4).map(|_| Ok(storage.create_trial(study)?.0)).collect();
    let ids = ids?;
    let mut writes = vec![
        param(ids[0], "lr", 0.1 + 0.2, &rate),
        param(ids[0], "share", 0.75, &share),
        param(ids[0], "layers", 5.0, &layers),
        param(ids[0], "width", 1024.0, &width),
        param(ids[0], "opt", 1.0, &choices()),
        param(ids[1], "opt", 0.0, &choices()),
        param(ids[1], "lr", 1e-5, &rate),
        attribute(ids[0], user, "text", r#""it's 100% \"ü\" \\ $1""#),
        attribute(
            ids[0],
            user,
            "numbers",
            "[1, -2.5e-300, NaN, Infinity, -Infinity]",
        ),
        attribute(ids[0], system, "constraints", "[-1.0, 0.5]"),
    ];
    let steps = [
        (0, 2.5),
        (1, f64::NAN),
        (5, f64::INFINITY),
        (7, f64::NEG_INFINITY),
        (9, 1e-300),
    ];
    writes.extend(steps.map(|(step, value)| Write::Intermediate {
        trial: ids[1],
        step,
        value,
    }));
    let ends = [
        (0, TrialState::Complete, vec![f64::INFINITY, 0.1]),
        (1, TrialState::Pruned, vec![]),
        (2, TrialState::Fail, vec![]),
    ];
    writes.extend(ends.map(|(ix, state, values)| Write::Finish {
        trial: ids[ix],
        state,
        values,
    }));
    storage.write(&writes)?;
    let fixed = BTreeMap::from([
        ("lr".to_string(), Scalar::Float(0.01)),
        ("opt".to_string(), Scalar::Text("sgd \"ü\"".to_string())),
    ]);
    let why = Attributes::from([("why".to_string(), "\"a guess\"".to_string())]);
    storage.enqueue(study, &fixed, &why)?;
    let mut template = Trial::new(0, 0, TrialState::Complete);
    template.params.insert("lr".to_string(), 0.5);
    template.distributions.insert("lr".to_string(), rate);
    template.values = vec![-1.5, f64::NEG_INFINITY];
    template.intermediate = BTreeMap::from([(3, f64::NAN)]);
    template.started = Some(UNIX_EPOCH + Duration::from_micros(1_767_323_045_000_006));
    template.completed = Some(UNIX_EPOCH + Duration::from_micros(1_767_323_046_500_000));
    template.user = why;
    storage.create_trials(study, &[template])?;
    Ok(())
}

/// A number as Python reads it.
fn number(x: f64) -> String {
    match x {
        _ if x.is_nan() => "NaN".to_string(),
        f64::INFINITY => "Infinity".to_string(),
        f64::NEG_INFINITY => "-Infinity".to_string(),
        _ => format!("{x:?}"),
    }
}

fn object<'a>(pairs: impl Iterator<Item = (String, String)> + 'a) -> String {
    let pairs: Vec<String> = pairs
        .map(|(key, json)| format!("{key:?}: {json}"))
        .collect();
    format!("{{{}}}", pairs.join(", "))
}

fn dump(storage: &mut dyn Storage, name: &str) -> Result<()> {
    let study = storage
        .find_study(name)?
        .ok_or_else(|| Error::Data(format!("no study {name}")))?;
    let text = |attributes: Attributes| object(attributes.into_iter());
    let user = text(storage.study_attributes(study.id, AttributeKind::User)?);
    let system = text(storage.study_attributes(study.id, AttributeKind::System)?);
    let trials: Vec<String> = storage.trials(study.id)?.iter().map(trial_json).collect();
    let directions: Vec<&str> = study.directions.iter().map(|d| d.name()).collect();
    println!(
        "{{\"directions\": {directions:?}, \"user\": {user}, \"system\": {system}, \"trials\": [{}]}}",
        trials.join(",\n")
    );
    Ok(())
}

fn trial_json(trial: &Trial) -> String {
    let seconds = |time: Option<SystemTime>| match time {
        Some(time) => number(
            time.duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs_f64(),
        ),
        None => "null".to_string(),
    };
    let values: Vec<String> = trial.values.iter().map(|v| number(*v)).collect();
    let params = trial.params.keys().map(|name| {
        let value = trial.value_of(name).unwrap_or(Scalar::None);
        let text = match value {
            Scalar::Float(x) => number(x),
            value => value.to_json().to_string(),
        };
        (name.clone(), text)
    });
    let distributions = trial.distributions.iter();
    let steps = trial.intermediate.iter();
    let fields = [
        ("number", trial.number.to_string()),
        ("state", format!("{:?}", trial.state.name())),
        ("values", format!("[{}]", values.join(", "))),
        ("params", object(params)),
        (
            "distributions",
            object(distributions.map(|(k, d)| (k.clone(), d.to_json()))),
        ),
        (
            "intermediate",
            object(steps.map(|(step, v)| (step.to_string(), number(*v)))),
        ),
        ("user", object(trial.user.clone().into_iter())),
        ("system", object(trial.system.clone().into_iter())),
        ("started", seconds(trial.started)),
        ("completed", seconds(trial.completed)),
    ];
    object(
        fields
            .into_iter()
            .map(|(key, json)| (key.to_string(), json)),
    )
}

/// Works on a study as a tuning does: the dead first, then what waits, then something new. Prints the
/// number of each trial when it begins and when it ends.
fn work(storage: &mut dyn Storage, name: &str, n: usize, pause: Duration) -> Result<()> {
    let study = match storage.find_study(name)? {
        Some(study) => study.id,
        None => storage.create_study(name, &[Direction::Minimize])?.id,
    };
    let (x_of, k_of) = (Distribution::float(-10.0, 10.0, false, None)?, choices());
    for _ in 0..n {
        for _ in 0..storage.put_back_stale(study, GRACE, "its worker is gone", None)? {
            println!("retry");
        }
        let (id, number, had) = match storage.claim_waiting(study)? {
            Some(trial) => (trial.id, trial.number, trial.params),
            None => {
                let (id, number) = storage.create_trial(study)?;
                (id, number, BTreeMap::new())
            }
        };
        println!("begin {number}");
        let x = had
            .get("x")
            .copied()
            .unwrap_or(f64::from(number % 21) - 10.0);
        let k = had.get("k").copied().unwrap_or(f64::from(number % 5));
        storage.write(&[
            param(id, "x", x, &x_of),
            param(id, "k", k, &k_of),
            attribute(id, AttributeKind::User, "by", "\"gpu-train\""),
        ])?;
        for step in 1..=3 {
            storage.heartbeat(&[id])?;
            let value = x * x + k / step as f64;
            storage.write(&[Write::Intermediate {
                trial: id,
                step,
                value,
            }])?;
            sleep(pause);
        }
        let end = Write::Finish {
            trial: id,
            state: TrialState::Complete,
            values: vec![x * x + k / 3.0],
        };
        match storage.write(&[end])?.is_empty() {
            true => println!("end {number}"),
            false => println!("late {number}"),
        }
    }
    Ok(())
}
