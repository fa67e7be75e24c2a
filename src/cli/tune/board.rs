//! A study as it goes: a table of the best trials on a terminal, a line a trial elsewhere, events
//! with `--json`.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::objective::Objective;
use crate::cli::open::Backend;
use crate::cli::ui::Ui;
use crate::train::State;
use crate::tune::distribution::Scalar;
use crate::tune::settings;
use crate::tune::space::Space;
use crate::tune::trial::{Trial, TrialState};

/// Rows of the table.
const ROWS: usize = 5;

pub struct Board {
    pub ui: Ui,
    objective: Objective,
    space: Space,
    live: Option<Live>,
    began: Instant,
    /// Trials that this run will have had in the end, as it looks now, and epochs of each.
    trials: usize,
    epochs: u32,
    /// Trials that are at their end: complete, pruned, failed.
    counts: [usize; 3],
    epochs_done: usize,
    /// What pruning spared.
    epochs_spared: usize,
    /// The best, first; value by the first objective.
    best: Vec<(f64, u32, String)>,
    device: Option<String>,
}

/// What moves on a terminal.
struct Live {
    all: MultiProgress,
    bar: ProgressBar,
    rows: Vec<ProgressBar>,
}

impl Live {
    fn new(rows: usize) -> Live {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let line = |template: &str, len: u64| {
            let style = ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("█▉▊▋▌▍▎▏ ");
            let bar = all.add(ProgressBar::new(len));
            bar.set_style(style);
            bar
        };
        let rows = (0..rows).map(|_| line("{msg}", 1)).collect();
        let bar = line("trials {bar:30.blue} {msg}", 1000);
        Live { all, bar, rows }
    }
}

impl Board {
    pub fn new(ui: Ui, objective: &Objective, space: &Space, epochs: u32) -> Board {
        let live = !ui.quiet && std::io::stderr().is_terminal();
        Board {
            ui,
            objective: objective.clone(),
            space: space.clone(),
            live: live.then(|| Live::new(ROWS)),
            began: Instant::now(),
            trials: 0,
            epochs,
            counts: [0; 3],
            epochs_done: 0,
            epochs_spared: 0,
            best: Vec::new(),
            device: None,
        }
    }

    pub fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Complete, pruned and failed trials of this run.
    pub fn counts(&self) -> [usize; 3] {
        self.counts
    }

    pub fn device_name(&self) -> &str {
        self.device.as_deref().unwrap_or("nothing")
    }

    /// What trains, said once.
    pub fn device(&mut self, backend: &Backend) {
        if self.device.is_none() {
            self.device = Some(backend.name.clone());
            self.say(&format!("trials train on {}", backend.name));
        }
    }

    pub fn begun(&self, trial: &Trial) {
        self.ui.event(&json!({
            "event": "trial_start",
            "trial": trial.number,
            "params": self.params(trial),
        }));
    }

    pub fn epoch(&mut self, trial: &Trial, value: f64) {
        self.epochs_done += 1;
        self.ui.event(&json!({
            "event": "trial_epoch",
            "trial": trial.number,
            "epoch": trial.last_step(),
            "value": value,
        }));
        self.draw();
    }

    /// Says how many trials are under way or still to begin here; other workers may take some.
    pub fn expect(&mut self, more: usize) {
        self.trials = self.counts.iter().sum::<usize>() + more;
    }

    /// Takes those of these trials that are among the best, whoever trained them, into the table.
    pub fn remember(&mut self, trials: &[Trial]) {
        let (_, direction) = self.objective.first();
        let complete = trials.iter().filter(|t| t.state == TrialState::Complete);
        for trial in complete {
            let (value, number) = (trial.values[0], trial.number);
            let place = self.best.partition_point(|b| match value == b.0 {
                true => b.1 < number,
                false => !direction.is_better(value, b.0),
            });
            let is_there = self.best.get(place).is_some_and(|b| b.1 == number);
            if place < ROWS && !is_there {
                let words = settings::words(trial, &self.space);
                self.best.insert(place, (value, number, words));
                self.best.truncate(ROWS);
            }
        }
    }

    pub fn complete(&mut self, trial: &Trial, epoch: u32, wins: bool) {
        self.counts[0] += 1;
        self.end_early(trial);
        self.remember(std::slice::from_ref(trial));
        let (measure, _) = self.objective.first();
        let words = settings::words(trial, &self.space);
        let values: Vec<String> = self
            .objective
            .measures
            .iter()
            .zip(&trial.values)
            .map(|(measure, value)| measure.show(*value))
            .collect();
        let mark = if wins { ", the best so far" } else { "" };
        self.line(&format!(
            "trial {:>3}  {} {} (epoch {epoch}){mark}; {words}",
            trial.number,
            measure.words(),
            values.join(", "),
        ));
        self.end_event(trial, TrialState::Complete, None);
    }

    pub fn pruned(&mut self, trial: &Trial, epoch: u32, value: f64) {
        self.counts[1] += 1;
        self.end_early(trial);
        let (measure, _) = self.objective.first();
        self.line(&format!(
            "trial {:>3}  pruned after epoch {epoch} at {}; {}",
            trial.number,
            measure.show(value),
            settings::words(trial, &self.space)
        ));
        self.end_event(trial, TrialState::Pruned, None);
    }

    pub fn failed(&mut self, trial: &Trial, reason: &str) {
        self.counts[2] += 1;
        self.end_early(trial);
        self.line(&format!(
            "trial {:>3}  failed: {reason}; {}",
            trial.number,
            settings::words(trial, &self.space)
        ));
        self.end_event(trial, TrialState::Fail, Some(reason));
    }

    /// Some steps are done.
    pub fn tick(&mut self, _: &State) {
        self.draw();
    }

    /// A line that stays.
    pub fn say(&self, line: &str) {
        match &self.live {
            Some(live) => live.all.suspend(|| self.ui.say(line)),
            None => self.ui.say(line),
        }
    }

    /// What moved is gone; the table stays as text.
    pub fn close(&mut self) {
        let Some(live) = self.live.take() else {
            return;
        };
        live.bar.finish_and_clear();
        for row in live.rows {
            row.finish_and_clear();
        }
    }

    /// The best trials, a line each.
    pub fn table(&self) -> Vec<String> {
        let (measure, _) = self.objective.first();
        let row = |(value, number, words): &(f64, u32, String)| {
            format!("{:>10}  trial {number:>3}  {words}", measure.show(*value))
        };
        self.best.iter().map(row).collect()
    }

    fn end_early(&mut self, trial: &Trial) {
        let done = trial.intermediate.len();
        self.epochs_spared += (self.epochs as usize).saturating_sub(done);
    }

    /// A line a trial, where nothing moves.
    fn line(&mut self, line: &str) {
        match self.live {
            Some(_) => self.draw(),
            None => self.ui.say(line),
        }
    }

    fn draw(&mut self) {
        let Some(live) = &self.live else {
            return;
        };
        let done: usize = self.counts.iter().sum();
        let all = (self.trials * self.epochs as usize).max(1) as f64;
        let part = ((self.epochs_done + self.epochs_spared) as f64 / all).min(1.0);
        let left = match part > 0.0 {
            true => clock(self.began.elapsed().mul_f64((1.0 - part) / part)),
            false => "?".to_string(),
        };
        live.bar.set_position((part * 1000.0) as u64);
        live.bar.set_message(format!(
            "{done}/{}  {} gone, about {left} to go; {} pruned, {} failed",
            self.trials,
            clock(self.began.elapsed()),
            self.counts[1],
            self.counts[2]
        ));
        for (row, text) in live.rows.iter().zip(self.table()) {
            row.set_message(text);
        }
    }

    fn params(&self, trial: &Trial) -> serde_json::Value {
        let of = |name: &String| {
            let value = trial.value_of(name).as_ref().map(Scalar::to_json);
            (name.clone(), value.unwrap_or_default())
        };
        serde_json::Value::Object(trial.params.keys().map(of).collect())
    }

    fn end_event(&self, trial: &Trial, state: TrialState, reason: Option<&str>) {
        self.ui.event(&json!({
            "event": "trial",
            "trial": trial.number,
            "state": state.name(),
            "values": trial.values,
            "params": self.params(trial),
            "epochs": trial.intermediate.len(),
            "reason": reason,
        }));
    }
}

/// 75 s as "1:15".
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}
