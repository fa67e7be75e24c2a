//! What a study leaves in its folder: all trials as tables, the winner's configuration and model, and
//! the report.

use std::path::Path;

use serde_json::{Value, json};

use super::objective::{Measure, Objective};
use crate::files::write_whole;
use crate::report::html::Fact;
use crate::report::metric::Metric;
use crate::report::study::{self, Study};
use crate::tune::distribution::Scalar;
use crate::tune::space::Space;
use crate::tune::trial::Trial;
use crate::{Error, Result};

/// `trials.csv`: a row a trial; a column a parameter, empty where it did not exist.
pub fn csv(trials: &[Trial], space: &Space, objective: &Objective) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let names = || space.parameters().iter().map(|p| p.name.as_str());
    let mut header = vec!["number", "state"];
    header.extend(objective.measures.iter().map(|m| m.name()));
    let in_folds = trials.iter().any(|t| t.user.contains_key("deviation"));
    header.extend(in_folds.then_some("deviation"));
    header.extend(["epochs", "best_epoch", "seconds"]);
    header.extend(names());
    header.push("fail_reason");
    let failed = |e: csv::Error| Error::Data(format!("cannot write trials.csv: {e}"));
    writer.write_record(&header).map_err(failed)?;
    for trial in trials {
        let mut row = vec![trial.number.to_string(), trial.state.name().to_string()];
        let value = |ix: usize| trial.values.get(ix).map_or(String::new(), f64::to_string);
        row.extend((0..objective.measures.len()).map(value));
        let noted = |key: &str| trial.user.get(key).cloned().unwrap_or_default();
        row.extend(in_folds.then(|| noted("deviation")));
        row.push(trial.intermediate.len().to_string());
        row.push(noted("best_epoch"));
        row.push(trial.seconds().map_or(String::new(), |s| format!("{s:.3}")));
        let word = |name: &str| {
            trial
                .value_of(name)
                .map_or(String::new(), |v| v.to_string())
        };
        row.extend(names().map(word));
        row.push(trial.fail_reason().unwrap_or_default());
        writer.write_record(&row).map_err(failed)?;
    }
    let written = writer.into_inner();
    written.map_err(|e| Error::Data(format!("cannot write trials.csv: {e}")))
}

/// `trials.json`: all that is known of every trial. What is no number is null, as JSON knows none.
pub fn json(trials: &[Trial], objective: &Objective) -> Vec<u8> {
    let of = |trial: &Trial| {
        let params = trial.params.keys().map(|name| {
            let value = trial.value_of(name).as_ref().map(Scalar::to_json);
            (name.clone(), value.unwrap_or_default())
        });
        let steps = trial.intermediate.iter();
        let user = trial.user.iter().map(|(key, text)| {
            let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str()));
            (key.clone(), value)
        });
        json!({
            "number": trial.number,
            "state": trial.state.name(),
            "values": trial.values,
            "params": Value::Object(params.collect()),
            "intermediate": Value::Object(steps.map(|(s, v)| (s.to_string(), json!(v))).collect()),
            "user_attrs": Value::Object(user.collect()),
            "seconds": trial.seconds(),
            "fail_reason": trial.fail_reason(),
        })
    };
    let whole = json!({
        "objectives": objective.measures.iter().map(|m| m.name()).collect::<Vec<_>>(),
        "directions": objective.directions.iter().map(|d| d.name().to_lowercase()).collect::<Vec<_>>(),
        "trials": trials.iter().map(of).collect::<Vec<_>>(),
    });
    let text = serde_json::to_string_pretty(&whole).expect("plain data");
    text.into_bytes()
}

/// What the report says beside the trials.
pub struct Words<'a> {
    pub name: &'a str,
    pub importances: &'a [(String, f64)],
    pub results: &'a [(String, String)],
    pub facts: &'a [(String, String)],
    pub stopped: &'a str,
    pub config: &'a str,
    pub commands: &'a [String],
}

/// `tune.html`, its charts one by one, and `tune.png` with the most important of them.
pub fn report(
    folder: &Path,
    trials: &[Trial],
    space: &Space,
    objective: &Objective,
    words: &Words,
) -> Result<()> {
    let metric = |(ix, measure): (usize, &Measure)| Metric {
        name: measure.words(),
        unit: if measure.is_share() { "%" } else { "" },
        scale: if measure.is_share() { 100.0 } else { 1.0 },
        bounds: match measure.is_share() {
            true => (0.0, 100.0),
            false => (f64::NEG_INFINITY, f64::INFINITY),
        },
        higher_is_better: objective.directions[ix] == crate::tune::trial::Direction::Maximize,
    };
    let metrics: Vec<Metric> = objective.measures.iter().enumerate().map(metric).collect();
    fn facts<'f>(pairs: &'f [(String, String)]) -> Vec<Fact<'f>> {
        let fact = |(name, value): &'f (String, String)| Fact { name, value };
        pairs.iter().map(fact).collect()
    }
    let commands: Vec<&str> = words.commands.iter().map(String::as_str).collect();
    let told = Study {
        name: words.name,
        objectives: &metrics,
        space,
        trials,
        importances: words.importances,
        results: &facts(words.results),
        facts: &facts(words.facts),
        stopped: words.stopped,
        config: words.config,
        commands: &commands,
    };
    let failed = |e: String| Error::Data(format!("cannot draw the report: {e}"));
    let charts = study::charts(&told).map_err(failed)?;
    for chart in &charts {
        write_whole(&folder.join(format!("{}.png", chart.name)), &chart.png)?;
    }
    write_whole(
        &folder.join("tune.html"),
        study::page(&told, &charts).as_bytes(),
    )?;
    let sheet = study::sheet(&told).map_err(failed)?;
    write_whole(&folder.join("tune.png"), &sheet)
}
