//! What comes after the last step: the best weights back, the test, the files, and the last words.

use serde_json::json;

use super::artefacts;
use super::live::words;
use super::open::Backend;
use super::profile::Profiling;
use super::setup::Setup;
use super::spread::Spread;
use super::tested::{Report, Run, Tested};
use super::ui::{Ui, err};
use crate::models::file::encode;
use crate::report::tensorboard::EventWriter;
use crate::train::feed::Feed;
use crate::train::history::RunResult;
use crate::train::run_folder::RunFolder;
use crate::train::score::{Scores, test_scores};
use crate::train::stopping::Reason;
use crate::train::{self, State, evaluate, predictions};
use crate::{Error, Result};

/// A run that has stopped training, for whatever reason.
pub struct Done<'a> {
    pub ui: Ui,
    pub setup: &'a Setup,
    pub feed: &'a Feed<'a>,
    pub backend: &'a mut Backend,
    pub folder: RunFolder,
    pub board: Option<EventWriter>,
    pub state: State,
    /// Weights of the best epochs, where they were kept.
    pub best: Option<Vec<f32>>,
    /// Where the dispatches are timed.
    pub profiling: Option<Profiling>,
}

impl Done<'_> {
    fn run(&self) -> String {
        self.folder.path().display().to_string()
    }

    /// One member's stretch of arenas \[P, arena_len\].
    fn arena<'b>(&self, arenas: &'b [f32], member: usize) -> &'b [f32] {
        let len = self.setup.plan.arena_len;
        &arenas[member * len..][..len]
    }

    /// Writes `model.safetensors` with a member's weights, and all members' where there are several.
    fn write_models(&self, arenas: &[f32], chosen: usize) -> Result<()> {
        let plan = &self.setup.plan;
        let model = |member: usize| {
            let info = self.setup.model_info(member);
            encode(&info, plan, self.arena(arenas, member))
        };
        self.folder.write("model.safetensors", &model(chosen))?;
        if !self.setup.is_population() {
            return Ok(());
        }
        // What has diverged answers nothing.
        let stands = |member: &usize| !self.state.members[*member].has_diverged();
        for member in (0..self.setup.members.len()).filter(stands) {
            let name = format!("members/{member:03}.safetensors");
            self.folder.write(&name, &model(member))?;
        }
        Ok(())
    }

    /// The member whose weights have the lowest validation loss, or training loss without validation.
    fn chosen(&self) -> usize {
        let loss = |ix: &usize| {
            let member = &self.state.members[*ix];
            match (&member.stopped, member.ends_with()) {
                (Some(Reason::Diverged { .. }), _) | (_, None) => f64::INFINITY,
                // It is what was asked for.
                (Some(Reason::TargetAccuracy { .. }), _) => f64::NEG_INFINITY,
                (_, Some(scores)) => scores.loss,
            }
        };
        (0..self.state.members.len())
            .min_by(|a, b| loss(a).total_cmp(&loss(b)))
            .unwrap_or(0)
    }

    /// Saves what an interrupted run has.
    pub fn interrupted(&mut self, stands_at: &str) -> Error {
        let run = self.run();
        let saved = train::weights(&mut *self.backend.exec)
            .and_then(|arenas| self.write_models(&arenas, self.chosen()))
            .and_then(|()| artefacts::curves(&self.folder, self.setup, None));
        if let Err(e) = saved {
            return e;
        }
        err(&format!(
            "interrupted {stands_at}: weights and checkpoint are saved in {run}; `gpu-train train --resume {run}` goes on"
        ));
        self.ui.event(&json!({"event": "interrupted", "run": run}));
        Error::Interrupted
    }

    /// A run whose loss diverged: what is left of it.
    pub fn failed(&mut self, what: &str) -> Error {
        if let Err(e) = self.folder.flush() {
            return e;
        }
        let left = if self.folder.has_checkpoint() {
            "the log and the last checkpoint, from before that, are"
        } else {
            "the log is"
        };
        Error::Check(format!("{what}; {left} in {}", self.run()))
    }

    /// Tests, writes everything and says how it went.
    pub fn finish(&mut self) -> Result<()> {
        let setup = self.setup;
        let arenas = train::finish(&mut *self.backend.exec, &self.state, self.best.as_deref())?;
        let chosen = self.chosen();
        let tests = self.test(chosen)?;
        self.say_why_it_stopped();
        self.write_models(&arenas, chosen)?;
        self.folder.flush()?;
        let result = self.result(chosen, tests.as_ref().map(|t| t[chosen]));
        let json = serde_json::to_string_pretty(&result).expect("plain data");
        self.folder.write("result.json", json.as_bytes())?;
        let tested = match &tests {
            Some(_) => Some(self.tested(chosen)?),
            None => None,
        };
        artefacts::write(&Run {
            folder: &self.folder,
            setup,
            state: &self.state,
            result: &result,
            member: chosen,
            tested: tested.as_ref(),
            device: &self.backend.name,
        })?;
        if let Some(board) = &mut self.board {
            artefacts::to_board(board, &self.folder, &result)?;
        }
        if let Some(profiling) = self.profiling.take() {
            profiling.finish(&self.ui, setup, self.backend)?;
        }
        self.say_result(chosen, tests.as_deref(), &result, tested.as_ref());
        self.check_target()
    }

    /// Every member's scores over the test part.
    fn test(&mut self, chosen: usize) -> Result<Option<Vec<Scores>>> {
        let data = &self.setup.loaded.data;
        if data.parts.test.is_empty() {
            return Ok(None);
        }
        let evaluated = evaluate(&mut *self.backend.exec, self.feed, &data.parts.test)?;
        if !evaluated[chosen].loss.is_finite() {
            return Err(Error::Check(format!(
                "the test loss is no number: training has diverged\ntry a smaller --lr, --clip-norm 1, or another --opt; the log is in {}",
                self.run()
            )));
        }
        let of = |e: &train::Evaluation| test_scores(data, self.setup.loaded.target, e);
        let mut scores: Vec<Scores> = evaluated.iter().map(of).collect();
        if data.is_regression() {
            // The kernels' sums are of standardised values in 32 bits; the report's errors, which
            // `eval` gives too, are of the values themselves.
            let all = predictions(&mut *self.backend.exec, self.feed, &data.parts.test)?;
            for (scores, outputs) in scores.iter_mut().zip(all) {
                if let Report::Values(report) = Tested::new(self.setup, outputs).report {
                    (scores.mse, scores.r2) = (Some(report.mse), report.r2);
                }
            }
        }
        Ok(Some(scores))
    }

    /// The chosen member's predictions of the test part.
    fn tested(&mut self, chosen: usize) -> Result<Tested> {
        let data = &self.setup.loaded.data;
        let all = predictions(&mut *self.backend.exec, self.feed, &data.parts.test)?;
        let outputs = all.into_iter().nth(chosen).unwrap_or_default();
        Ok(Tested::new(self.setup, outputs))
    }

    fn say_why_it_stopped(&self) {
        for (ix, member) in self.state.members.iter().enumerate() {
            let Some(reason) = &member.stopped else {
                continue;
            };
            let usual = matches!(reason, Reason::Epochs { .. });
            if usual && member.restores().is_none() {
                continue;
            }
            let who = match self.setup.is_population() {
                true => format!("{} ", self.setup.member_name(ix)),
                false => String::new(),
            };
            let restored = match member.restores() {
                Some(best) => format!("; the weights are those of epoch {}", best.epoch),
                None => String::new(),
            };
            self.ui.say(&format!("{who}stopped: {reason}{restored}"));
        }
    }

    fn result(&self, chosen: usize, test: Option<Scores>) -> RunResult {
        let reason = self.state.members[chosen].stopped.as_ref();
        RunResult {
            test,
            val: match self.feed.parts(chosen).val.is_empty() {
                true => None,
                false => self.state.members[chosen].ends_with(),
            },
            member: self
                .setup
                .is_population()
                .then(|| self.setup.member_name(chosen)),
            epochs: self.state.members[chosen].epochs,
            train_seconds: self.state.seconds,
            stopped: reason.map_or("", Reason::code).to_string(),
            parameters: self.setup.plan.n_parameters(),
            device: self.backend.device.clone(),
            kernels: self.backend.kernels.clone(),
        }
    }

    fn say_result(
        &self,
        chosen: usize,
        tests: Option<&[Scores]>,
        result: &RunResult,
        tested: Option<&Tested>,
    ) {
        let values = match tested.map(|t| &t.report) {
            Some(Report::Values(values)) => Some(values),
            _ => None,
        };
        let run = self.run();
        if let (Some(tests), true) = (tests, self.setup.is_population()) {
            for (ix, scores) in tests.iter().enumerate() {
                let by = match self.feed.parts(ix).val.is_empty() {
                    true => "training",
                    false => "validation",
                };
                let mark = match ix == chosen {
                    true => format!(", the best by {by} loss: model.safetensors"),
                    false => String::new(),
                };
                let name = self.setup.member_name(ix);
                self.ui.say(&match self.state.members[ix].has_diverged() {
                    true => format!("{name}: diverged"),
                    false => format!("{name}: test {}{mark}", words(scores)),
                });
            }
        }
        let spreads = self.spreads(tests);
        for spread in &spreads {
            self.ui.say(&spread.words());
        }
        let seconds = result.train_seconds;
        let after = format!(
            "after {seconds:.1} s of training on {}; run folder {run}",
            self.backend.name
        );
        self.ui.result(&match &result.test {
            None => format!("no test part; {after}"),
            Some(test) => match (test.accuracy, test.r2, values) {
                (Some(accuracy), ..) => format!(
                    "test accuracy {:.2} %, test loss {:.4}, {after}",
                    accuracy * 100.0,
                    test.loss
                ),
                (None, r2, _) => {
                    let errors = values.map_or_else(String::new, |v| {
                        format!(", RMSE {:.4}, MAE {:.4}", v.rmse, v.mae)
                    });
                    format!("test R² {:.4}{errors}, {after}", r2.unwrap_or(f64::NAN))
                }
            },
        });
        let mut event = json!({
            "event": "result",
            "train_seconds": seconds,
            "epochs": result.epochs,
            "stopped": result.stopped,
            "run": run,
        });
        let named = |event: &mut serde_json::Value, scores: &Scores| {
            event["test_loss"] = scores.loss.into();
            for (name, value) in [
                ("test_accuracy", scores.accuracy),
                ("test_mse", scores.mse),
                ("test_r2", scores.r2),
            ] {
                if let Some(value) = value {
                    event[name] = value.into();
                }
            }
        };
        if let Some(test) = &result.test {
            named(&mut event, test);
        }
        if let Some(values) = values {
            event["test_mae"] = values.mae.into();
            event["test_rmse"] = values.rmse.into();
        }
        for spread in &spreads {
            event[spread.name] = spread.json();
        }
        if let (Some(tests), true) = (tests, self.setup.is_population()) {
            event["best_member"] = chosen.into();
            event["members"] = tests
                .iter()
                .enumerate()
                .map(|(ix, scores)| {
                    let mut member = json!({"member": ix, "name": self.setup.member_name(ix)});
                    if !self.state.members[ix].has_diverged() {
                        named(&mut member, scores);
                    }
                    if let Some(reason) = &self.state.members[ix].stopped {
                        member["stopped"] = reason.code().into();
                    }
                    member
                })
                .collect();
        }
        self.ui.event(&event);
    }

    /// How the members that did not diverge differ: by what they end with on their validation parts,
    /// and by the test. Nothing of a lone member.
    fn spreads(&self, tests: Option<&[Scores]>) -> Vec<Spread> {
        if !self.setup.is_population() {
            return Vec::new();
        }
        let learned = |ix: &usize| !self.state.members[*ix].has_diverged();
        let members: Vec<usize> = (0..self.state.members.len()).filter(learned).collect();
        let validated = |ix: &usize| !self.feed.parts(*ix).val.is_empty();
        let val = members.iter().filter(|ix| validated(ix));
        let val: Vec<Scores> = val
            .filter_map(|&ix| self.state.members[ix].ends_with())
            .collect();
        let test = tests.map(|tests| members.iter().map(|&ix| tests[ix]).collect::<Vec<_>>());
        let names = |classes: bool| match classes {
            true => ["val_accuracy_spread", "test_accuracy_spread"],
            false => ["val_r2_spread", "test_r2_spread"],
        };
        let names = names(!self.setup.loaded.data.is_regression());
        let parts = [("validation", val), ("test", test.unwrap_or_default())];
        let pairs = names.into_iter().zip(parts);
        pairs
            .filter_map(|(name, (part, scores))| Spread::of(name, part, &scores))
            .collect()
    }

    /// A target that was asked for and not reached is a failed check.
    fn check_target(&self) -> Result<()> {
        let Some(target) = self.setup.config.target_accuracy else {
            return Ok(());
        };
        let reached =
            |m: &train::MemberState| matches!(m.stopped, Some(Reason::TargetAccuracy { .. }));
        if self.state.members.iter().any(reached) {
            return Ok(());
        }
        let best = self
            .state
            .members
            .iter()
            .filter_map(|m| m.best?.scores.accuracy);
        Err(Error::Check(format!(
            "validation accuracy {target} was not reached: {:.4} in the best epoch; the run is saved in {}",
            best.fold(0.0, f64::max),
            self.run()
        )))
    }
}
