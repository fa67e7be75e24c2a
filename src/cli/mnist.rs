//! `gpu-train mnist`: train on the embedded MNIST.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::train::{self, Request};
use super::ui::Ui;
use crate::data::mnist;
use crate::train::TrainOptions;
use crate::{Error, Result};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    train: TrainOptions,
    /// Time CPU and GPU on the same steps after training [default]
    #[arg(long, help_heading = "Run", overrides_with = "no_compare")]
    compare: bool,
    /// Leave the comparison out
    #[arg(long, help_heading = "Run")]
    no_compare: bool,
    /// Take options from a file, such as a run folder's config.toml; what is typed goes first
    #[arg(long, value_name = "FILE", help_heading = "Run")]
    config: Option<PathBuf>,
    /// The run folder, which must be new or empty [default: runs/mnist-N]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    out: Option<PathBuf>,
    /// One JSON object a line on standard output; prose goes to standard error
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// Print the result alone; with --json the events alone
    #[arg(long, help_heading = "Output")]
    quiet: bool,
    /// Print the plan (buffers, dispatches of a step, what a GPU runs for them) and stop
    #[arg(long, help_heading = "Output", conflicts_with = "json")]
    dump_plan: bool,
}

pub fn run(args: Args, started: Instant) -> Result<()> {
    let file = match &args.config {
        Some(path) => read_config(path)?,
        None => TrainOptions::default(),
    };
    if let Some(source) = file.source.as_deref().filter(|s| *s != "mnist") {
        return Err(Error::Usage(format!(
            "--config: the file is for the data \"{source}\", and this is `gpu-train mnist`"
        )));
    }
    let ui = Ui {
        json: args.json,
        quiet: args.quiet,
    };
    let dropped = args.train.drops_of(&file);
    if !dropped.is_empty() {
        ui.say(&format!(
            "--config: {} belonged to --opt {} and {} left out",
            dropped.join(", "),
            file.opt.as_deref().unwrap_or("adam"),
            if dropped.len() == 1 { "is" } else { "are" }
        ));
    }
    train::run(Request {
        name: "mnist",
        load: Box::new(mnist::load),
        typed: args.train,
        file,
        compare: args.compare || !args.no_compare,
        out: args.out,
        ui,
        dump_plan: args.dump_plan,
        started,
    })
}

fn read_config(path: &Path) -> Result<TrainOptions> {
    // A run folder stands for its configuration.
    let inside = path.join("config.toml");
    let path = if path.is_dir() { &inside } else { path };
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", e))?;
    toml::from_str(&text).map_err(|e| {
        let line = e
            .span()
            .map_or(0, |span| text[..span.start].matches('\n').count() + 1);
        Error::Usage(format!("{} line {line}: {}", path.display(), e.message()))
    })
}
