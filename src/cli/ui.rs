//! What a person or a program reads: prose, or one JSON object a line.

use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Standard output refused something for another reason than a reader that went away.
static OUTPUT_FAILED: AtomicBool = AtomicBool::new(false);

/// Where prose and events go. With `--json` standard output holds events alone and prose goes to
/// standard error; with `--quiet` there is no prose.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ui {
    pub json: bool,
    pub quiet: bool,
    /// Nothing at all: a run within another command.
    pub silent: bool,
}

impl Ui {
    /// A line of prose.
    pub fn say(&self, line: &str) {
        if self.quiet || self.silent {
            return;
        }
        if self.json {
            err(line);
        } else {
            out(line);
        }
    }

    /// The line that `--quiet` leaves.
    pub fn result(&self, line: &str) {
        if self.silent {
            return;
        }
        if !self.json {
            out(line);
        } else if !self.quiet {
            err(line);
        }
    }

    /// An event, printed with `--json` only.
    pub fn event(&self, event: &serde_json::Value) {
        if self.json && !self.silent {
            out(&event.to_string());
        }
    }
}

/// A line on standard output. A reader that went away, such as `head`, does not end a training.
pub fn out(line: &str) {
    let Err(e) = writeln!(std::io::stdout(), "{line}") else {
        return;
    };
    if e.kind() != ErrorKind::BrokenPipe && !OUTPUT_FAILED.swap(true, Ordering::Relaxed) {
        err(&format!("error: cannot write to standard output: {e}"));
    }
}

/// A line on standard error; nobody can be told where that fails.
pub fn err(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Whether all that was said could be written.
pub fn output_failed() -> bool {
    OUTPUT_FAILED.load(Ordering::Relaxed)
}

/// 1234567 as "1,234,567".
pub fn thousands(n: f64) -> String {
    let digits = format!("{n:.0}");
    let mut text = String::new();
    for (ix, c) in digits.chars().enumerate() {
        if ix > 0 && (digits.len() - ix).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    text
}
