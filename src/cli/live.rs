//! A run as it goes: a progress bar on a terminal, plain lines elsewhere, events with `--json`.

use std::io::IsTerminal;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::ui::{Ui, thousands};
use crate::Result;
use crate::executor::Executor;
use crate::train::run_folder::RunFolder;
use crate::train::{EpochRecord, Observer, Progress, StepRecord};

pub struct Live {
    ui: Ui,
    folder: RunFolder,
    bar: Option<ProgressBar>,
    started: Instant,
    first_step_seen: bool,
    epochs: u32,
    n_train: usize,
    /// Where an interrupt found the run.
    stopped_at: String,
}

impl Live {
    pub fn new(ui: Ui, folder: RunFolder, started: Instant, epochs: u32, n_train: usize) -> Live {
        let bar = (!ui.quiet && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            let style =
                ProgressStyle::with_template("{prefix} [{bar:30}] {percent:>3}%  {msg}  ETA {eta}");
            bar.set_style(
                style
                    .unwrap_or_else(|_| ProgressStyle::default_bar())
                    .progress_chars("=> "),
            );
            bar
        });
        Live {
            ui,
            folder,
            bar,
            started,
            first_step_seen: false,
            epochs,
            n_train,
            stopped_at: String::new(),
        }
    }

    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// "in epoch 2, after 17 of its 469 steps"; empty where the run was not interrupted.
    pub fn stopped_at(&self) -> String {
        self.stopped_at.clone()
    }

    pub fn into_folder(self) -> RunFolder {
        self.folder
    }

    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.ui.say(line)),
            None => self.ui.say(line),
        }
    }
}

impl Observer for Live {
    fn steps(&mut self, records: &[StepRecord], progress: &Progress) -> Result<()> {
        self.folder
            .append_steps(records, progress.steps_per_epoch)?;
        if !self.first_step_seen {
            self.first_step_seen = true;
            let seconds = self.started.elapsed().as_secs_f64();
            self.say(&format!("first steps done {seconds:.2} s after the start"));
            self.ui
                .event(&json!({"event": "first_steps", "seconds": seconds}));
        }
        if let (Some(bar), Some(last)) = (&self.bar, records.last()) {
            let done = (progress.epoch - 1) as usize * progress.steps_per_epoch;
            bar.set_length(u64::from(self.epochs) * progress.steps_per_epoch as u64);
            bar.set_position((done + progress.step_in_epoch) as u64);
            bar.set_prefix(format!("epoch {}/{}", progress.epoch, self.epochs));
            bar.set_message(format!("loss {:.4}", last.loss));
        }
        Ok(())
    }

    fn epoch(
        &mut self,
        records: &[EpochRecord],
        progress: &Progress,
        exec: &mut dyn Executor,
    ) -> Result<()> {
        for r in records {
            self.say(&format!(
                "epoch {:>2}/{}: training loss {:.4}, accuracy {:.2} %, {:.2} s, {} samples/s",
                r.epoch,
                self.epochs,
                r.train_loss,
                r.train_accuracy * 100.0,
                r.seconds,
                thousands(r.samples_per_second)
            ));
            let mut event = json!({
                "event": "epoch",
                "epoch": r.epoch,
                "train_loss": r.train_loss,
                "train_accuracy": r.train_accuracy,
                "seconds": r.seconds,
                "samples_per_second": r.samples_per_second,
                "samples": self.n_train,
            });
            if records.len() > 1 {
                event["member"] = r.member.into();
            }
            self.ui.event(&event);
        }
        self.folder.append_epoch(records, progress, exec)
    }

    fn interrupted(&mut self, progress: &Progress, exec: &mut dyn Executor) -> Result<()> {
        self.stopped_at = format!(
            "in epoch {}, after {} of its {} steps",
            progress.epoch, progress.step_in_epoch, progress.steps_per_epoch
        );
        self.folder.checkpoint(progress, exec)
    }
}
