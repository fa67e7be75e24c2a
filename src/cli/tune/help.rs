//! What of the options that a search shares with `train` is another matter in a search.

use clap::{Arg, Command};

/// Options that a search has no use for: `opening::refuse_idle` says so of each.
const IDLE: [&str; 5] = [
    "time",
    "target_accuracy",
    "checkpoint_minutes",
    "log_every",
    "no_deterministic",
];

/// Options that are searched where none sets them.
const SEARCHED: [&str; 6] = ["model", "opt", "lr", "weight_decay", "dropout", "batch"];

/// `tune` with the help that holds for it.
pub fn of_search(command: Command) -> Command {
    let command = IDLE.iter().fold(command, |command, name| {
        command.mut_arg(name, |arg| arg.hide(true))
    });
    let command = SEARCHED.iter().fold(command, |command, name| {
        command.mut_arg(name, |arg| with_default(arg, "searched"))
    });
    command.mut_arg("val_split", |arg| with_default(arg, "0.1; 0 with --folds"))
}

fn with_default(arg: Arg, default: &str) -> Arg {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let what = help.split(" [default").next().unwrap_or_default();
    let help = format!("{what} [default: {default}]");
    arg.help(help)
}
