//! A run as it goes: bars on a terminal, plain lines elsewhere, events with `--json`.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::ui::{Ui, thousands};
use crate::Result;
use crate::report::tensorboard::{EventWriter, seconds_since_epoch};
use crate::train::run_folder::RunFolder;
use crate::train::score::Scores;
use crate::train::{EpochRecord, HostTime, Observer, Snapshot, State, StepRecord};

/// What the view has to know of the run.
pub struct View {
    pub ui: Ui,
    pub started: Instant,
    pub epochs: u32,
    pub n_train: usize,
    pub log_every: u32,
    /// Names of the members; empty where there is one.
    pub members: Vec<String>,
}

pub struct Live {
    view: View,
    folder: RunFolder,
    board: Option<EventWriter>,
    bars: Option<Bars>,
    first_step_seen: bool,
    /// Where the run stands, for the words about an interrupt.
    stands_at: String,
    best: Option<(u32, Scores)>,
    /// Of all epochs so far.
    host: HostTime,
}

/// Two bars: the epoch, and the run; and a line of numbers.
struct Bars {
    all: MultiProgress,
    epoch: ProgressBar,
    run: ProgressBar,
    numbers: ProgressBar,
    /// Steps and time since the last look at the clock, for samples a second.
    since: Instant,
    steps: u64,
    samples_per_second: f64,
}

impl Bars {
    fn new() -> Bars {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let style = |template: &str| {
            ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("█▉▊▋▌▍▎▏ ")
        };
        let bar = |template: &str| {
            let bar = all.add(ProgressBar::new(1));
            bar.set_style(style(template));
            bar
        };
        let epoch = bar("{prefix:<12} {bar:36.cyan} {percent:>3}%  step {pos} of {len}");
        let run = bar("{prefix:<12} {bar:36.blue} {percent:>3}%  {elapsed} gone, {msg}");
        run.set_prefix("run");
        let numbers = bar("{msg}");
        Bars {
            epoch,
            run,
            numbers,
            all,
            since: Instant::now(),
            steps: 0,
            samples_per_second: 0.0,
        }
    }
}

impl Live {
    pub fn new(view: View, folder: RunFolder, board: Option<EventWriter>, state: &State) -> Live {
        let bars = !view.ui.quiet && std::io::stderr().is_terminal();
        Live {
            bars: bars.then(Bars::new),
            view,
            folder,
            board,
            first_step_seen: false,
            stands_at: place(state),
            best: None,
            host: HostTime::default(),
        }
    }

    pub fn host_time(&self) -> HostTime {
        self.host
    }

    pub fn clear(&self) {
        if let Some(bars) = &self.bars {
            bars.numbers.finish_and_clear();
            bars.run.finish_and_clear();
            bars.epoch.finish_and_clear();
        }
    }

    /// Where the run stands, in words.
    pub fn stands_at(&self) -> String {
        self.stands_at.clone()
    }

    pub fn into_folder(self) -> (RunFolder, Option<EventWriter>) {
        (self.folder, self.board)
    }

    fn say(&self, line: &str) {
        match &self.bars {
            Some(bars) => bars.all.suspend(|| self.view.ui.say(line)),
            None => self.view.ui.say(line),
        }
    }

    fn draw(&mut self, records: &[StepRecord], state: &State) {
        let n_train = self.view.n_train;
        let best = self.best;
        let (Some(bars), Some(last)) = (&mut self.bars, records.last()) else {
            return;
        };
        let per_epoch = state.steps_per_epoch as u64;
        let all = u64::from(self.view.epochs) * per_epoch;
        let done = u64::from(state.epoch - 1) * per_epoch + state.step_in_epoch as u64;
        bars.epoch.set_length(per_epoch);
        bars.epoch.set_position(state.step_in_epoch as u64);
        bars.epoch
            .set_prefix(format!("epoch {}/{}", state.epoch, self.view.epochs));
        bars.run.set_length(all);
        bars.run.set_position(done);
        let elapsed = bars.since.elapsed().as_secs_f64();
        if elapsed >= 0.5 || bars.samples_per_second == 0.0 {
            let steps = done.saturating_sub(bars.steps) as f64;
            let per_step = n_train as f64 / per_epoch as f64;
            if bars.steps > 0 {
                bars.samples_per_second = steps * per_step / elapsed;
            }
            (bars.since, bars.steps) = (Instant::now(), done);
        }
        if bars.samples_per_second > 0.0 {
            let left = (all - done) as f64 * n_train as f64 / per_epoch as f64;
            let seconds = left / bars.samples_per_second;
            let eta = indicatif::HumanDuration(Duration::from_secs_f64(seconds));
            bars.run.set_message(format!("about {eta:#} to go"));
        }
        let mut numbers = format!("now: loss {:.4}", last.loss);
        if let Some(accuracy) = last.accuracy {
            numbers += &format!(", accuracy {:.2} %", accuracy * 100.0);
        }
        numbers += &format!(", lr {:.3e}", last.lr);
        if let Some((epoch, scores)) = best {
            numbers += &format!("   best: {}, epoch {epoch}", words(&scores));
        }
        if bars.samples_per_second > 0.0 {
            numbers += &format!("   {} samples/s", thousands(bars.samples_per_second));
        }
        bars.numbers.set_message(numbers);
    }

    /// The line that is said of an epoch.
    fn line(&self, r: &EpochRecord) -> String {
        let who = match self.view.members.get(r.member) {
            Some(name) => format!(" {name}"),
            None => String::new(),
        };
        let width = self.view.epochs.to_string().len().max(2);
        let val = match &r.val {
            Some(val) => format!("; validation {}", words(val)),
            None => String::new(),
        };
        format!(
            "epoch {:>width$}/{}{who}: training {}{val}, {:.2} s, {} samples/s",
            r.epoch,
            self.view.epochs,
            words(&r.train),
            r.seconds,
            thousands(r.samples_per_second)
        )
    }
}

impl Live {
    /// An epoch's numbers as points of TensorBoard's curves.
    fn log_to_board(&mut self, r: &EpochRecord) -> Result<()> {
        let Some(board) = &mut self.board else {
            return Ok(());
        };
        let (step, now) = (u64::from(r.epoch), seconds_since_epoch());
        let member = self.view.members.get(r.member);
        let tag = |what: &str, part: &str| match member {
            Some(name) => format!("{what}/{part} {name}"),
            None => format!("{what}/{part}"),
        };
        for (part, scores) in [("train", Some(&r.train)), ("validation", r.val.as_ref())] {
            let Some(scores) = scores else { continue };
            let values = [
                ("loss", Some(scores.loss)),
                ("accuracy", scores.accuracy),
                ("r2", scores.r2),
            ];
            for (what, value) in values {
                if let Some(value) = value {
                    board.scalar(&tag(what, part), step, now, value as f32)?;
                }
            }
        }
        board.scalar(&tag("lr", "train"), step, now, r.lr as f32)?;
        board.flush()
    }
}

/// "in epoch 2, after 17 of its 469 steps".
pub fn place(state: &State) -> String {
    format!(
        "in epoch {}, after {} of its {} steps",
        state.epoch, state.step_in_epoch, state.steps_per_epoch
    )
}

/// "loss 0.1234, accuracy 96.50 %", or with R².
pub fn words(scores: &Scores) -> String {
    let mut words = format!("loss {:.4}", scores.loss);
    if let Some(accuracy) = scores.accuracy {
        words += &format!(", accuracy {:.2} %", accuracy * 100.0);
    }
    if let Some(r2) = scores.r2 {
        words += &format!(", R² {r2:.4}");
    }
    words
}

impl Observer for Live {
    fn steps(&mut self, records: &[StepRecord], state: &State) -> Result<()> {
        self.folder.append_steps(records)?;
        self.stands_at = place(state);
        if !self.first_step_seen && !records.is_empty() {
            self.first_step_seen = true;
            let seconds = self.view.started.elapsed().as_secs_f64();
            self.say(&format!("first steps done {seconds:.2} s after the start"));
            self.view
                .ui
                .event(&json!({"event": "first_steps", "seconds": seconds}));
        }
        self.draw(records, state);
        Ok(())
    }

    fn epoch(&mut self, records: &[EpochRecord], state: &State) -> Result<()> {
        for r in records {
            let last = state.members[r.member].stopped.is_some() || r.epoch == self.view.epochs;
            if r.epoch.is_multiple_of(self.view.log_every) || last {
                self.say(&self.line(r));
            }
            if r.is_best && r.member == 0 {
                self.best = Some((r.epoch, r.val.unwrap_or(r.train)));
            }
            let mut event = r.json();
            event["event"] = "epoch".into();
            event["samples"] = self.view.n_train.into();
            if self.view.members.is_empty() {
                event.as_object_mut().map(|object| object.remove("member"));
            }
            self.view.ui.event(&event);
            self.log_to_board(r)?;
        }
        self.folder.append_epoch(records)?;
        // Whoever reads the logs sees whole epochs, whenever the next checkpoint comes.
        self.folder.flush()
    }

    fn checkpoint(&mut self, snapshot: &mut Snapshot) -> Result<()> {
        self.folder.checkpoint(snapshot)
    }

    fn host(&mut self, time: &HostTime) {
        self.host += *time;
    }
}
