//! `gpu-train train`: train on a person's own data.

use std::time::Instant;

use super::training::{self, Request, RunArgs};
use crate::{Error, Result};

#[derive(clap::Args)]
pub struct Args {
    /// A folder of class folders (optionally under train/ and test/ or val/), a .csv or .tsv table, an IDX folder, a .npz file, CIFAR-10's folder, mnist, or synthetic:NAME [default: what --config or --resume names]
    #[arg(value_name = "DATA")]
    data: Option<String>,
    #[command(flatten)]
    pub run: RunArgs,
}

pub fn run(args: Args, started: Instant) -> Result<()> {
    let file = args.run.file()?;
    let Some(source) = args.data.or(file.source.clone()) else {
        return Err(Error::Usage(
            "train on what? `gpu-train train DATA`, with a folder of pictures, a table, or mnist; see `gpu-train train --help`".to_string(),
        ));
    };
    training::run(Request {
        source,
        args: args.run,
        file,
        compares: false,
        started,
    })
}
