//! `gpu-train run` and `gpu-train recipes`: ready runs, embedded or from a file.

use std::path::Path;
use std::time::Instant;

use serde_json::json;

use super::training::{self, Request, RunArgs};
use super::ui::Ui;
use crate::train::file::Options;
use crate::{Error, Result, suggest};

macro_rules! recipes {
    ($($name:literal),* $(,)?) => {
        /// Name and text of every embedded recipe.
        pub const RECIPES: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("../../assets/recipes/", $name, ".toml")))),*
        ];
    };
}

recipes!(
    "linear-regression",
    "tiny-mlp",
    "mlp-dropout",
    "mlp-validated",
    "mlp-64",
    "mnist-speedrun",
    "optimisers",
    "over-fitting",
);

#[derive(clap::Args)]
pub struct RunRecipe {
    /// A name from `gpu-train recipes`, or a .toml file
    #[arg(value_name = "RECIPE")]
    recipe: String,
    #[command(flatten)]
    pub run: RunArgs,
}

#[derive(clap::Args)]
pub struct ListRecipes {
    /// One JSON object a recipe on standard output
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: RunRecipe, started: Instant) -> Result<()> {
    if args.run.config.is_some() || args.run.resume.is_some() {
        return Err(Error::Usage(
            "a recipe is a configuration: --config does not go with it, and a run is resumed with `gpu-train train --resume RUN`".to_string(),
        ));
    }
    let embedded = RECIPES.iter().find(|(name, _)| *name == args.recipe);
    let file = match embedded {
        Some((name, text)) => Options::parse(text, name)?,
        None if args.recipe.ends_with(".toml") || Path::new(&args.recipe).is_file() => {
            Options::read(Path::new(&args.recipe))?
        }
        None => {
            let names = RECIPES.iter().map(|(name, _)| *name);
            return Err(Error::Usage(format!(
                "no recipe is called {}, and no file{}",
                args.recipe,
                suggest::hint(&args.recipe, names)
            )));
        }
    };
    let Some(source) = file.source.clone() else {
        return Err(Error::Usage(format!(
            "{}: the recipe names no data: add source = \"mnist\", or another",
            args.recipe
        )));
    };
    training::run(Request {
        source,
        args: args.run,
        file,
        compares: false,
        started,
    })
}

pub fn list(args: &ListRecipes) -> Result<()> {
    let ui = Ui {
        json: args.json,
        quiet: false,
        silent: false,
    };
    let width = RECIPES
        .iter()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or(0);
    for (name, text) in RECIPES {
        let about = Options::parse(text, name)?.about.unwrap_or_default();
        ui.say(&format!("{name:<width$}  {about}"));
        ui.event(&json!({"event": "recipe", "name": name, "about": about}));
    }
    ui.say("run one with `gpu-train run NAME`; what is typed behind it goes first");
    Ok(())
}
