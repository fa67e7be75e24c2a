//! What a person or a program reads: prose, or one JSON object a line.

use std::io::Write;

/// Where prose and events go. With `--json` standard output holds events alone and prose goes to
/// standard error; with `--quiet` there is no prose.
#[derive(Clone, Copy, Debug)]
pub struct Ui {
    pub json: bool,
    pub quiet: bool,
}

impl Ui {
    /// A line of prose.
    pub fn say(&self, line: &str) {
        if self.quiet {
            return;
        }
        if self.json {
            eprintln!("{line}");
        } else {
            out(line);
        }
    }

    /// The line that `--quiet` leaves.
    pub fn result(&self, line: &str) {
        if self.json {
            if !self.quiet {
                eprintln!("{line}");
            }
        } else {
            out(line);
        }
    }

    /// An event, printed with `--json` only.
    pub fn event(&self, event: &serde_json::Value) {
        if self.json {
            out(&event.to_string());
        }
    }
}

/// A line on standard output. A reader that went away, such as `head`, ends the program quietly.
pub fn out(line: &str) {
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(0);
    }
}

/// 1234567 as "1,234,567".
pub fn thousands(n: f64) -> String {
    let digits = format!("{n:.0}");
    let mut text = String::new();
    for (ix, c) in digits.chars().enumerate() {
        if ix > 0 && (digits.len() - ix) % 3 == 0 {
            text.push(',');
        }
        text.push(c);
    }
    text
}
