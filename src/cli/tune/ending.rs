//! What comes after the last trial: the winner's model and its test, the files, the last words.

use std::path::Path;
use std::time::Instant;

use serde_json::json;

use super::files::{self, Words};
use super::objective::Measure;
use super::trainer::Trainer;
use super::winner::Winner;
use crate::cli::training::{self, Request, RunArgs};
use crate::cli::ui::Ui;
use crate::cli::{loaded as of_model, memory, open};
use crate::data::load::{Loaded, load};
use crate::files::write_whole;
use crate::models::file::Model;
use crate::train::Config;
use crate::train::evaluate;
use crate::train::file::Options;
use crate::train::score::{Scores, test_scores};
use crate::tune::importance::importances;
use crate::tune::pareto;
use crate::tune::settings;
use crate::tune::trial::{Trial, TrialState};
use crate::{Error, Result};

/// The best trial's configuration and model, in the study's folder.
const BEST: &str = "best.toml";
const MODEL: &str = "model.safetensors";

/// How a study ends.
pub struct Ending<'a> {
    pub args_storage: Option<&'a str>,
    pub refit: bool,
    /// What `--device` says.
    pub device: &'a str,
    pub folder: &'a Path,
    pub started: Instant,
}

impl Ending<'_> {
    /// Trains what is to be trained anew, tests the winner, writes everything, says how it went.
    ///
    /// # Errors
    /// [`Error::Check`] where no trial came to an end.
    pub fn finish(&self, mut trainer: Trainer, why: &str) -> Result<()> {
        let ui = trainer.board.ui;
        let trials = trainer.study.trials()?.to_vec();
        let complete = |t: &&Trial| t.state == TrialState::Complete;
        if !trials.iter().any(|t| complete(&t)) {
            self.files(&mut trainer, why)?;
            let reason = trials.iter().rev().find_map(Trial::fail_reason);
            let reason = reason.map_or(String::new(), |reason| {
                format!(": {reason}; the search space may be too wide")
            });
            return Err(Error::Check(format!(
                "{why}, and none of {} trials came to its end{reason}; see {}",
                trials.len(),
                self.folder.display()
            )));
        }
        // What was found is on the disk before the winner is trained anew, which may fail.
        self.files(&mut trainer, why)?;
        self.take_best(&mut trainer)?;
        let tested = match trainer.objective.is_single() {
            true => self.model(&mut trainer)?,
            false => None,
        };
        let named = |(name, value): (&str, String)| (name.to_string(), value);
        let results = tested.as_ref().map(scores_words).unwrap_or_default();
        let results: Vec<_> = results.into_iter().map(named).collect();
        self.write(&mut trainer, why, &results)?;
        self.say(&ui, &mut trainer, why, tested.as_ref())
    }

    /// Another worker's trial may be the best.
    fn take_best(&self, trainer: &mut Trainer) -> Result<()> {
        if !trainer.objective.is_single() {
            return Ok(());
        }
        if let Some(stored) = Winner::stored(trainer)?
            && trainer.leads(stored.value, stored.number)
        {
            trainer.winner = Some(stored);
        }
        Ok(())
    }

    /// The files of a study that did not come to its end.
    pub fn files(&self, trainer: &mut Trainer, why: &str) -> Result<()> {
        self.write(trainer, why, &[])
    }

    /// The best trial so far, where its model is known here: `best.toml` and `model.safetensors`, for
    /// which no storage is asked. Whether it is.
    pub fn keep_best(&self, trainer: &Trainer) -> Result<bool> {
        let Some(winner) = &trainer.winner else {
            return Ok(false);
        };
        let Some(model) = &winner.model else {
            return Ok(false);
        };
        self.write_config(trainer, winner)?;
        write_whole(&self.folder.join(MODEL), model)?;
        Ok(true)
    }

    fn write_config(&self, trainer: &Trainer, winner: &Winner) -> Result<()> {
        let config = toml::to_string(&winner.config)
            .map_err(|e| Error::Data(format!("cannot write {BEST}: {e}")))?;
        let (number, epoch) = (winner.number, winner.epoch);
        let value = trainer.objective.words(winner.value, winner.deviation);
        let evolved = match winner.evolved {
            true => {
                "# population-based training changed these values on the way: from the start they come to something else\n"
            }
            false => "",
        };
        let text = format!("# trial {number}: {value}, in epoch {epoch}\n{evolved}{config}");
        write_whole(&self.folder.join(BEST), text.as_bytes())
    }

    /// How the search goes on.
    pub fn resume_words(&self, trainer: &Trainer, source: &str) -> String {
        let storage = match self.args_storage {
            Some(url) => crate::tune::storage::without_password(url),
            None => format!("sqlite:///{}", self.folder.join("study.db").display()),
        };
        format!(
            "`gpu-train tune {source} --storage {storage} --study {}`, with the same options, goes on",
            trainer.study.name()
        )
    }

    /// Writes the winner's configuration and model; its scores on the test part, which is looked at
    /// here and nowhere else.
    fn model(&self, trainer: &mut Trainer) -> Result<Option<Scores>> {
        let Some(winner) = trainer.winner.take() else {
            return Ok(None);
        };
        self.write_config(trainer, &winner)?;
        let (number, epoch) = (winner.number, winner.epoch);
        let whole = self.refit || !trainer.folds.is_empty();
        let model = match (&winner.model, whole) {
            (_, true) => self.train_whole(trainer, &winner)?,
            (Some(model), false) => model.clone(),
            (None, false) => {
                let ui = trainer.board.ui;
                ui.say(&format!(
                    "trial {number} is trained again up to epoch {epoch}"
                ));
                let (came_to, model) = winner.again(trainer)?;
                if came_to != winner.value {
                    let words = |value| trainer.objective.words(value, None);
                    ui.say(&format!(
                        "  it comes to {} here, to {} where it was trained first",
                        words(came_to),
                        words(winner.value)
                    ));
                }
                model
            }
        };
        trainer.winner = Some(winner);
        let path = self.folder.join(MODEL);
        write_whole(&path, &model)?;
        match whole {
            // Its scales and columns are those of the parts that it was trained on.
            true => {
                let info = Model::read(&path)?.info;
                test(&load(&info.source, &info.data, false)?, &path)
            }
            false => test(&trainer.loaded, &path),
        }
    }

    /// Trains the winner's configuration on training and validation part together, in a run folder of
    /// its own: its `model.safetensors`.
    fn train_whole(&self, trainer: &Trainer, winner: &Winner) -> Result<Vec<u8>> {
        let mut config = winner.config.clone();
        if winner.model.is_none() {
            // Who knows what it was trained on.
            config.device = self.device.to_string();
        }
        without_validation(&mut config, winner.epoch)?;
        let loaded = &trainer.loaded;
        let n_val = loaded.data.parts.val.len();
        // As many more as were kept for validation.
        config.data.limit = config.data.limit.map(|limit| limit + n_val as i64);
        let has_own_val = loaded.options.val_split == Some(0.0) && n_val > 0;
        config.data.join_val = has_own_val.then_some(true).or(config.data.join_val);
        let text = toml::to_string(&config)
            .map_err(|e| Error::Data(format!("cannot write the configuration: {e}")))?;
        let file = Options::parse(&text, "best.toml")?;
        let ui = &trainer.board.ui;
        ui.say(&format!(
            "trial {} is trained anew on training and validation part",
            winner.number
        ));
        let run = self.folder.join("best");
        training::run(Request {
            source: config.source.clone(),
            args: RunArgs::silent(&run),
            file,
            compares: false,
            started: self.started,
        })?;
        let model = run.join(MODEL);
        std::fs::read(&model).map_err(|e| Error::io(&model, "read", e))
    }

    fn write(&self, trainer: &mut Trainer, why: &str, results: &[(String, String)]) -> Result<()> {
        let trials = trainer.study.trials()?.to_vec();
        let space = trainer.study.space().clone();
        let objective = trainer.objective;
        let csv = files::csv(&trials, &space, objective)?;
        write_whole(&self.folder.join("trials.csv"), &csv)?;
        let json = files::json(&trials, objective);
        write_whole(&self.folder.join("trials.json"), &json)?;
        let importances = match objective.is_single() {
            true => importances(&space, &trials, objective.directions[0]),
            false => Vec::new(),
        };
        let config = trainer.winner.as_ref().map(|w| toml::to_string(&w.config));
        let config = config.and_then(|text| text.ok()).unwrap_or_default();
        let commands = match self.folder.join(MODEL).exists() {
            true => self.commands(trainer.source),
            false => Vec::new(),
        };
        let words = Words {
            name: trainer.study.name(),
            importances: &importances,
            results,
            facts: &self.facts(trainer),
            stopped: why,
            config: &config,
            commands: &commands,
        };
        files::report(self.folder, &trials, &space, objective, &words)
    }

    fn facts(&self, trainer: &Trainer) -> Vec<(String, String)> {
        let of = |name: &str, value: String| (name.to_string(), value);
        let [complete, pruned, failed] = trainer.board.counts();
        let mut facts = vec![
            of("sampler", trainer.study.sampler().name().to_string()),
            of("pruner", trainer.pruner_name().to_string()),
            of("device", trainer.board.device_name().to_string()),
            of("seconds", format!("{:.1}", trainer.board.seconds())),
            of(
                "trials of this run",
                format!("{complete} complete, {pruned} pruned, {failed} failed"),
            ),
        ];
        if let Some(mean) = mean_size(&trainer.sizes) {
            facts.push(of("mean population", format!("{mean:.1}")));
        }
        if !trainer.folds.is_empty() {
            facts.push(of("folds", trainer.folds.len().to_string()));
        }
        facts
    }

    fn commands(&self, source: &str) -> Vec<String> {
        let folder = self.folder.display();
        let sample = if source == "mnist" {
            "mnist:42"
        } else {
            "FILE"
        };
        vec![
            format!("gpu-train predict {folder}/{MODEL} {sample}"),
            format!("gpu-train eval {folder}/{MODEL}"),
            format!("gpu-train train --config {folder}/{BEST}"),
        ]
    }

    fn say(
        &self,
        ui: &Ui,
        trainer: &mut Trainer,
        why: &str,
        tested: Option<&Scores>,
    ) -> Result<()> {
        let [complete, pruned, failed] = trainer.board.counts();
        let seconds = trainer.board.seconds();
        let mean = mean_size(&trainer.sizes);
        let of_mean = mean.map_or(String::new(), |mean| format!("; mean population {mean:.1}"));
        ui.say(&format!(
            "{why}: {complete} complete, {pruned} pruned, {failed} failed in {seconds:.1} s{of_mean}"
        ));
        let trials = trainer.study.trials()?.to_vec();
        let space = trainer.study.space().clone();
        let folder = self.folder.display();
        let mut event = json!({
            "event": "result",
            "study": trainer.study.name(),
            "folder": folder.to_string(),
            "complete": complete,
            "pruned": pruned,
            "failed": failed,
            "seconds": seconds,
            "mean_population": mean.unwrap_or(0.0),
        });
        if let Some(winner) = &trainer.winner {
            trainer.board.remember(&trials);
            for row in trainer.board.table() {
                ui.say(&row);
            }
            let measure = trainer.objective.first().0;
            let best = trials.iter().find(|t| t.number == winner.number);
            let words = best.map_or(String::new(), |t| settings::words(t, &space));
            let tested_words = tested.map_or(String::new(), |test| {
                let words = scores_words(test)
                    .into_iter()
                    .map(|(n, v)| format!("{n} {v}"));
                format!("; {}", words.collect::<Vec<_>>().join(", "))
            });
            ui.result(&format!(
                "best: trial {}, {} {} in epoch {}{tested_words}; {words}",
                winner.number,
                measure.words(),
                trainer.objective.words(winner.value, winner.deviation),
                winner.epoch
            ));
            for command in self.commands(trainer.source) {
                ui.say(&format!("  {command}"));
            }
            event["best_trial"] = winner.number.into();
            event["best_value"] = winner.value.into();
            event["best_epoch"] = winner.epoch.into();
            if let Some(deviation) = winner.deviation {
                event["deviation"] = deviation.into();
            }
            if let Some(test) = tested {
                event["test_loss"] = test.loss.into();
                event["test_accuracy"] = test.accuracy.into();
                event["test_r2"] = test.r2.into();
            }
        } else if !trainer.objective.is_single() {
            let front = self.front(trainer, &trials);
            let shown: Vec<u32> = front.iter().map(|t| t.number).collect();
            ui.result(&format!("Pareto front: {} trials", front.len()));
            for trial in front {
                let measures = trainer.objective.measures.iter().zip(&trial.values);
                let values: Vec<String> = measures
                    .map(|(m, v)| format!("{} {}", m.words(), m.show(*v)))
                    .collect();
                ui.result(&format!(
                    "  trial {:>3}  {}; {}",
                    trial.number,
                    values.join(", "),
                    settings::words(trial, &space)
                ));
            }
            event["front"] = shown.into();
        }
        ui.say(&format!(
            "report: {folder}/tune.html; all trials: {folder}/trials.csv"
        ));
        ui.event(&event);
        Ok(())
    }

    /// The trials that no other is better than in everything.
    fn front<'t>(&self, trainer: &Trainer, trials: &'t [Trial]) -> Vec<&'t Trial> {
        let complete: Vec<&Trial> = trials
            .iter()
            .filter(|t| t.state == TrialState::Complete)
            .collect();
        let values: Vec<Vec<f64>> = complete.iter().map(|t| t.values.clone()).collect();
        let front = pareto::front(&values, &trainer.objective.directions);
        let mut front: Vec<&Trial> = front.into_iter().map(|ix| complete[ix]).collect();
        front.sort_by(|a, b| a.values[0].total_cmp(&b.values[0]));
        front
    }
}

/// A model's scores on the test part.
fn test(loaded: &Loaded, path: &Path) -> Result<Option<Scores>> {
    let data = &loaded.data;
    if data.parts.test.is_empty() {
        return Ok(None);
    }
    let model = Model::read(path)?;
    let spec = of_model::spec(&model, data);
    let plan = memory::record(&spec, &model.sequential)?;
    let mut backend = open::cpu(&plan)?;
    let feed = of_model::feed(&model, data);
    of_model::prepare(&mut *backend.exec, &model, &feed)?;
    let result = evaluate(&mut *backend.exec, &feed, &data.parts.test)?.swap_remove(0);
    Ok(Some(test_scores(data, loaded.target, &result)))
}

/// A configuration that trains on training and validation part together: what looks at a validation part
/// has nothing to look at. It trains as long as the best epoch took, unless its rates were planned over
/// all epochs.
fn without_validation(config: &mut Config, epoch: u32) -> Result<()> {
    if config.schedule.starts_with("plateau") {
        return Err(Error::Usage(
            "--refit: the best trial's schedule plateau looks at a validation part, and then there is none; best.toml trains it as it was"
                .to_string(),
        ));
    }
    let moves_with_epochs = ["constant", "step", "exponential"];
    let planned = !moves_with_epochs
        .iter()
        .any(|name| config.schedule.starts_with(name));
    if config.early_stop.take().is_some() || !(planned || config.warmup.ends_with('%')) {
        config.epochs = epoch;
        config.min_delta = 0.0;
    }
    config.folds = None;
    config.data.val_split = Some(0.0);
    Ok(())
}

fn scores_words(test: &Scores) -> Vec<(&'static str, String)> {
    let mut words = Vec::new();
    if let Some(accuracy) = test.accuracy {
        words.push(("test accuracy", Measure::ValAccuracy.show(accuracy)));
    }
    if let Some(r2) = test.r2 {
        words.push(("test R²", format!("{r2:.4}")));
    }
    words.push(("test loss", format!("{:.4}", test.loss)));
    words
}

fn mean_size(sizes: &[usize]) -> Option<f64> {
    let all: usize = sizes.iter().sum();
    (!sizes.is_empty()).then(|| all as f64 / sizes.len() as f64)
}
