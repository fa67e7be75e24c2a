//! The binary as another program starts, stops and kills it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use super::program;

/// Starts `gpu-train ARGS` in `dir`. What it says must fit a pipe: `--quiet`.
pub fn start(dir: &Path, args: &[&str]) -> Child {
    program::command(dir)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts")
}

/// Runs and expects exit code 2 and these words, in at most two lines without a panic.
pub fn refuse(dir: &Path, args: &[&str], words: &[&str]) {
    program::refuse(dir, args, 2, words);
}

/// What a child says, read as it says it, so that it is not held up.
pub struct Listener {
    lines: Receiver<String>,
    heard: Vec<String>,
}

impl Listener {
    pub fn new(from: Option<impl Read + Send + 'static>) -> Listener {
        let from = BufReader::new(from.expect("a pipe"));
        let (say, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in from.lines().map_while(Result::ok) {
                // Nobody may listen any more.
                let _ = say.send(line);
            }
        });
        Listener {
            lines,
            heard: Vec::new(),
        }
    }

    /// Listens until a line has this word.
    pub fn until(&mut self, word: &str) {
        for line in &self.lines {
            self.heard.push(line);
            if self.heard.last().is_some_and(|line| line.contains(word)) {
                return;
            }
        }
        panic!("nobody said {word}: {}", self.heard.join("\n"));
    }

    /// All that was said, up to the end.
    pub fn all(mut self) -> String {
        self.heard.extend(&self.lines);
        self.heard.join("\n")
    }
}

/// Status and standard error, for a failure's message.
pub fn said(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    format!("{}: {stderr}", output.status)
}

/// How a run ended that was to be killed.
#[derive(Debug, PartialEq)]
pub enum End {
    Stopped,
    /// It was done before the moment came.
    Done,
}

/// Starts a run and ends it with SIGKILL when `moment` says so. One that ends before must succeed.
pub fn kill_when(dir: &Path, args: &[&str], mut moment: impl FnMut() -> bool) -> End {
    let mut child = start(dir, args);
    while child.try_wait().expect("a child").is_none() {
        if moment() {
            child.kill().expect("a child");
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    end(child, args)
}

/// Waits for a child that was sent a SIGKILL, or ended by itself.
pub fn end(child: Child, args: &[&str]) -> End {
    let output = child.wait_with_output().expect("it was started");
    match output.status.code() {
        None => End::Stopped,
        Some(0) => End::Done,
        Some(_) => panic!("{args:?}: {}", said(&output)),
    }
}

/// Sends `INT`, `STOP` or `CONT` through the shell's own kill, which a bare system has.
pub fn signal(child: &Child, name: &str) {
    let script = format!("kill -{name} \"$1\"");
    let id = child.id().to_string();
    let sent = Command::new("sh").args(["-c", &script, "sh", &id]).output();
    assert!(sent.expect("a shell").status.success(), "kill -{name}");
}
