//! `gpu-train mnist`: train on the embedded MNIST.

use std::time::Instant;

use super::training::{self, Request, RunArgs};
use crate::{Error, Result};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub run: RunArgs,
}

pub fn run(args: Args, started: Instant) -> Result<()> {
    let file = args.run.file()?;
    if let Some(source) = file.source.as_deref().filter(|s| *s != "mnist") {
        return Err(Error::Usage(format!(
            "the configuration is for the data \"{source}\", and this is `gpu-train mnist`: take `gpu-train train`"
        )));
    }
    training::run(Request {
        source: "mnist".to_string(),
        args: args.run,
        file,
        compares: true,
        started,
    })
}
