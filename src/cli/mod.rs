//! The command line: what was typed, what it means, and the exit code.

mod artefacts;
mod bench;
mod compare;
mod data;
mod devices;
mod ensemble;
mod eval;
mod interrupt;
mod live;
mod loaded;
mod lr_find;
mod memory;
mod mistakes;
mod mnist;
mod open;
mod outcome;
mod page;
mod predict;
mod profile;
mod recipe;
mod roof;
mod runs;
mod setup;
mod spread;
mod tested;
mod train;
mod training;
mod tune;
mod ui;
mod verdict;
mod verify;

use std::process::ExitCode;
use std::time::Instant;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::Error;

const ABOUT: &str = "Train neural networks on any GPU with one binary: no Python, no CUDA.";

const AFTER_HELP: &str = "\
Examples:
  gpu-train mnist --opt adam                       train on MNIST, compare CPU and GPU
  gpu-train mnist --model \"linear:256,relu,dropout:0.2\" --epochs 10
  gpu-train data pictures/                         what is understood of a folder or a table
  gpu-train train flowers.csv --early-stop 10      train on your own data
  gpu-train train --resume runs/flowers-1          go on where a run was interrupted
  gpu-train tune mnist --trials 64                 search for good hyper-parameters
  gpu-train run over-fitting                       a recipe; `gpu-train recipes` lists them
  gpu-train eval runs/mnist-1                      loss, accuracy, precision, recall, F1
  gpu-train predict runs/mnist-1 digit.png mnist:42
  gpu-train verify                                 every kernel against the f64 oracle

Exit codes: 0 done; 1 a check failed (a kernel, a diverged loss); 2 could not run (usage, data,
device); 130 interrupted, after saving.";

#[derive(Parser)]
#[command(name = "gpu-train", version, about = ABOUT, after_help = AFTER_HELP, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train on the embedded MNIST and compare CPU and GPU
    #[command(after_help = training::notation())]
    Mnist(Box<mnist::Args>),
    /// Train on your own data: pictures in folders, a table, or arrays
    #[command(after_help = training::notation())]
    Train(Box<train::Args>),
    /// Run a recipe: a ready configuration with a known result
    #[command(after_help = training::notation())]
    Run(Box<recipe::RunRecipe>),
    /// List the recipes
    Recipes(recipe::ListRecipes),
    /// Show what is understood of a data source, before any training
    Data(Box<data::Args>),
    /// Sweep the learning rate, plot the loss over it, and suggest a value
    #[command(after_help = training::notation())]
    LrFind(Box<lr_find::Args>),
    /// Search for good hyper-parameters: populations of trials, the samplers and the storage of Optuna
    #[command(after_help = training::notation())]
    Tune(Box<tune::Args>),
    /// List the run folders in a sortable table
    Runs(runs::ListArgs),
    /// Overlay the curves of several runs
    Compare(runs::CompareArgs),
    /// Loss, accuracy, per-class precision, recall and F1, and the confusion matrix of a model
    Eval(eval::Args),
    /// Class and probabilities, or values, of pictures and rows of tables
    Predict(predict::Args),
    /// Time CPU against GPU over several networks and batch sizes
    Bench(bench::Args),
    /// Check every kernel on an adapter, and its CPU twin, against the f64 oracle
    Verify(verify::Args),
    /// List the adapters with their limits and features
    Devices(devices::Args),
}

impl Command {
    /// Whether standard output is for events.
    fn json(&self) -> bool {
        match self {
            Command::Mnist(args) => args.run.json,
            Command::Train(args) => args.run.json,
            Command::Run(args) => args.run.json,
            Command::Recipes(args) => args.json,
            Command::Data(args) => args.json,
            Command::LrFind(args) => args.json,
            Command::Tune(args) => args.json,
            Command::Runs(args) => args.json,
            Command::Compare(args) => args.json,
            Command::Eval(args) => args.json,
            Command::Predict(args) => args.json,
            Command::Bench(args) => args.json,
            Command::Verify(args) => args.json,
            Command::Devices(args) => args.json,
        }
    }
}

/// Parses, runs, reports: the whole program.
pub fn main() -> ExitCode {
    let started = Instant::now();
    quieten_mesa();
    let command = Cli::command().mut_subcommand("tune", tune::of_search);
    let parsed = command.try_get_matches();
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(e) if e.use_stderr() => {
            let message = brief(&e);
            ui::err(&message);
            if std::env::args_os().any(|arg| arg == "--json") {
                let message = message.lines().next().unwrap_or_default();
                let message = message.trim_start_matches("error: ");
                ui::out(
                    &serde_json::json!({"event": "error", "message": message, "exit_code": 2})
                        .to_string(),
                );
            }
            return ExitCode::from(2);
        }
        Err(help) => {
            // Coloured on a terminal alone; a reader that went away wants no more of it.
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
    };
    let json = cli.command.json();
    let done = match cli.command {
        Command::Mnist(args) => mnist::run(*args, started),
        Command::Train(args) => train::run(*args, started),
        Command::Run(args) => recipe::run(*args, started),
        Command::Recipes(args) => recipe::list(&args),
        Command::Data(args) => data::run(&args),
        Command::LrFind(args) => lr_find::run(&args, started),
        Command::Tune(args) => tune::run(*args, started),
        Command::Runs(args) => runs::list(&args),
        Command::Compare(args) => runs::compare(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Predict(args) => predict::run(&args),
        Command::Bench(args) => bench::run(&args, started),
        Command::Verify(args) => verify::run(&args),
        Command::Devices(args) => devices::run(&args),
    };
    match done {
        Ok(()) if ui::output_failed() => ExitCode::from(2),
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Interrupted) => ExitCode::from(130),
        Err(e) => {
            ui::err(&format!("error: {e}"));
            if json {
                let event = serde_json::json!({"event": "error", "message": e.to_string(), "exit_code": e.exit_code()});
                ui::out(&event.to_string());
            }
            ExitCode::from(e.exit_code())
        }
    }
}

/// Mesa's device-select layer asks a Wayland display which GPU it uses, and where there is none it
/// complains on standard error. On a machine without a session, the layer is switched off.
fn quieten_mesa() {
    if cfg!(target_os = "linux") && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: the program has one thread so far.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
}

/// clap's message in two lines: what is wrong, and the tip or where the help is.
fn brief(e: &clap::Error) -> String {
    use clap::error::ErrorKind::{DisplayHelpOnMissingArgumentOrSubcommand, MissingSubcommand};
    let text = e.render().to_string();
    if matches!(
        e.kind(),
        DisplayHelpOnMissingArgumentOrSubcommand | MissingSubcommand
    ) {
        return text;
    }
    let paragraphs: Vec<String> = text
        .split("\n\n")
        .map(|p| p.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|p| !p.is_empty() && !p.starts_with("Usage:"))
        .filter(|p| !p.starts_with("For more information"))
        .filter(|p| !p.starts_with("tip: to pass"))
        .collect();
    let plain = [
        ("invalid float literal", "that is no number"),
        ("invalid digit found in string", "that is no whole number"),
        (
            "number too large to fit in target type",
            "that is too large a number",
        ),
    ];
    let message = plain
        .iter()
        .fold(paragraphs.join("; "), |text, (from, to)| {
            text.replace(from, to)
        });
    format!(
        "{}\nsee `gpu-train --help`, or `--help` behind a command",
        message
    )
}
