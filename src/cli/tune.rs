//! `gpu-train tune`: search for good hyper-parameters.

mod board;
mod ending;
mod evolving;
mod files;
mod help;
mod machine;
mod objective;
mod opening;
mod population;
mod running;
mod search;
mod sense;
mod trainer;
mod winner;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;

use super::interrupt;
use super::setup::{facts, folds};
use super::ui::{Ui, err};
use crate::data::load::{Loaded, load};
use crate::data::options::DataOptions;
use crate::train::config::{Config, Facts};
use crate::train::file::Options;
use crate::train::options::{TrainOptions, overlay};
use crate::train::run_folder::{Reserved, reserve};
use crate::train::time_limit::parse_time;
use crate::tune::space::Condition;
use crate::tune::study::Study;
use crate::tune::{notation, settings};
use crate::{Error, Result};
use board::Board;
use ending::Ending;
use machine::Machine;
use objective::Objective;
use opening::{check_parts, open_study, refuse_idle, typed_space};
use trainer::Trainer;
use winner::Winner;

pub use help::of_search;

/// The name of population-based training.
const PBT: &str = "pbt";

#[derive(clap::Args)]
pub struct Args {
    /// As `gpu-train train` takes it [default: what --config names]
    #[arg(value_name = "DATA")]
    data: Option<String>,
    /// Trials that the study is to have, those that it has already among them
    #[arg(long, value_name = "N", default_value_t = 64, help_heading = "Search")]
    trials: usize,
    /// A parameter and its values: "lr=log:1e-4..1e-1", "batch=64|128|256", "width=int:32..512:32", "momentum=0.5..0.99 if opt=momentum"; once for each [default: lr, batch, width, depth, dropout, weight-decay and opt, as far as no option sets them]
    #[arg(long, value_name = "NAME=VALUES", help_heading = "Search")]
    space: Vec<String>,
    /// random, grid, sobol, tpe, gp, cmaes, evolution or nsga2 [default: tpe; nsga2 for several metrics]
    #[arg(long, value_name = "NAME", help_heading = "Search")]
    sampler: Option<String>,
    /// none, median, asha or hyperband: which trials are not trained to their end; or pbt, population-based training: the worst fifth of a population goes on from the best, its values changed a little, and what comes of it is no trial's own [default: median; none for several metrics]
    #[arg(long, value_name = "NAME", help_heading = "Search")]
    pruner: Option<String>,
    /// val-accuracy, val-loss, val-mse, val-r2, train-accuracy or train-loss, the best epoch's; a second one, such as parameters or ms (a training step's share of its population's time), makes it a search for the Pareto front [default: val-accuracy; val-loss for regression]
    #[arg(long, value_name = "NAME", help_heading = "Search")]
    metric: Vec<String>,
    /// maximize or minimize, one for each --metric [default: what the metric suggests]
    #[arg(long, value_name = "WAY", help_heading = "Search")]
    direction: Vec<String>,
    /// Trials that train together [default: as many as the sampler's need of feedback allows, max(4, trials / 8) for one that learns, 64 at most, 16 with --pruner pbt; less where memory is short]
    #[arg(long, value_name = "P", help_heading = "Search")]
    population: Option<usize>,
    /// Try these values first: "lr=0.01,opt=adam"; what is left out is sampled
    #[arg(long, value_name = "NAME=VALUE,...", help_heading = "Search")]
    enqueue: Vec<String>,
    /// Begin no trial after this long: 90s, 10m, 2h
    #[arg(long, value_name = "TIME", help_heading = "Search")]
    timeout: Option<String>,
    /// Where the study is kept, as Optuna keeps it: sqlite:///FILE, postgresql://USER:PASSWORD@HOST/DATABASE or journal:FILE; many programs may work on one [default: study.db in the study's folder]
    #[arg(long, value_name = "URL", help_heading = "Study")]
    storage: Option<String>,
    /// The study's name; one that is there already goes on [default: the data's name]
    #[arg(long, value_name = "NAME", help_heading = "Study")]
    study: Option<String>,
    /// How often a running trial says that it is alive; after twice as long it is another worker's. Not in a journal, which has no such thing
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 60.0,
        help_heading = "Study"
    )]
    heartbeat: f64,
    /// Train the best trial anew on training and validation part together
    #[arg(long, help_heading = "Output")]
    refit: bool,
    #[command(flatten)]
    options: DataOptions,
    #[command(flatten)]
    train: TrainOptions,
    /// Take options, and the table [space], from a file; what is typed goes first
    #[arg(long, value_name = "FILE", help_heading = "Study")]
    config: Option<PathBuf>,
    /// The study's folder, which must be new or empty [default: runs/tune-NAME-N]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    out: Option<PathBuf>,
    /// One JSON object a line on standard output; prose goes to standard error
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// Print the result alone; with --json the events alone
    #[arg(long, help_heading = "Output")]
    quiet: bool,
}

impl Args {
    fn evolves(&self) -> bool {
        self.pruner
            .as_deref()
            .is_some_and(|name| name.eq_ignore_ascii_case(PBT))
    }
}

pub fn run(args: Args, started: Instant) -> Result<()> {
    let ui = Ui {
        json: args.json,
        quiet: args.quiet,
        silent: false,
    };
    let file = match &args.config {
        Some(path) => Options::read(path)?,
        None => Options::default(),
    };
    if !file.member.is_empty() {
        return Err(Error::Usage(
            "--config: [[member]] tables are a population of their own; a search makes its own"
                .to_string(),
        ));
    }
    let Some(source) = args.data.clone().or(file.source.clone()) else {
        return Err(Error::Usage(
            "search on what? `gpu-train tune DATA`, with a folder of pictures, a table, or mnist"
                .to_string(),
        ));
    };
    let mut given = args.train.over(&file.train);
    refuse_idle(&given, &args)?;
    let timeout = args.timeout.as_deref();
    let timeout = timeout
        .map(|text| parse_time("--timeout", text))
        .transpose()?;
    // What was typed is read before the data are.
    let typed_space = typed_space(&args.space, &file)?;
    settings::check(&typed_space, &given, &|name, what| {
        notation::objection(&args.space, name, what)
    })?;
    let stop = interrupt::flag("stopping; trials under way are queued again");
    let data = overlay(&args.options, &file.data);
    let loaded = Arc::new(load(&source, &data, given.folds.is_none())?);
    let parts = folds(&loaded, &given, false)?;
    let objective = Objective::new(&args.metric, &args.direction, loaded.data.is_regression())?;
    let space = match typed_space.is_empty() {
        true => settings::default_space(&given, loaded.data.parts.train.len())?,
        false => typed_space,
    };
    settings::check_given(&space, &given)?;
    if space.is_empty() {
        return Err(Error::Usage(
            "every parameter of the default search is set by an option: name others with --space"
                .to_string(),
        ));
    }
    let queued = args.enqueue.iter();
    let queued: Vec<_> = queued
        .map(|text| notation::values(text, &space))
        .collect::<Result<_>>()?;
    let facts = facts(&loaded, &source, &parts);
    let usual = usual(&args, &given, &facts)?;
    given.epochs = match space.get("epochs") {
        None => Some(i64::from(usual.epochs)),
        Some(_) => None,
    };
    check_parts(&objective, &loaded, &given, &space, args.refit)?;
    sense::check(&space, |point| {
        trainer::config_at(&space, point, 0, &given, &facts)
    })?;
    let device = given.device.clone().unwrap_or_else(|| "auto".to_string());
    let machine = Machine::open(&device)?;
    let folder = reserve(args.out.as_deref(), &format!("tune-{}", loaded.data.name))?;
    let opened = open_study(
        &args,
        &objective,
        &space,
        &given,
        usual.epochs,
        &folder.path,
        &loaded,
    );
    let mut study = opened.inspect_err(|_| abandon(&folder))?;
    for values in &queued {
        study.enqueue(values).inspect_err(|_| abandon(&folder))?;
    }
    let begun = study.begun()?;
    let mut board = Board::new(ui, &objective, &space, usual.epochs);
    board.remember(study.trials()?);
    describe(&ui, &study, &loaded, &args, given.folds, begun);
    ui.event(&json!({
        "event": "study",
        "study": study.name(),
        "folder": folder.path.display().to_string(),
        "sampler": study.sampler().name(),
        "pruner": match args.evolves() {
            true => Some(PBT),
            false => study.pruner().map(|p| p.name()),
        },
        "trials": args.trials,
        "begun": begun,
        "epochs": usual.epochs,
        "space": space.parameters().iter().map(|p| json!({
            "name": p.name,
            "values": p.distribution.to_string(),
            "if": p.when.as_ref().map(Condition::to_string),
        })).collect::<Vec<_>>(),
    }));
    let mut trainer = Trainer {
        study,
        objective: &objective,
        loaded: loaded.clone(),
        source: &source,
        given: &given,
        folds: &parts,
        machine,
        board,
        stop: &stop,
        trials: args.trials,
        winner: None,
        pbt: args.evolves().then(|| given.seed.unwrap_or(0)),
        sizes: Vec::new(),
        under_way: Vec::new(),
        deadline: timeout.map(|timeout| started + timeout),
    };
    if objective.is_single() {
        trainer.winner = Winner::stored(&mut trainer)?;
    }
    let searched = search::search(&mut trainer, &args);
    if searched.is_err() || !trainer.under_way.is_empty() {
        // What went wrong is told; that this did not help either is not.
        let _ = trainer.put_back();
    }
    trainer.board.close();
    let ending = Ending {
        device: &device,
        args_storage: args.storage.as_deref(),
        refit: args.refit,
        folder: &folder.path,
        started,
    };
    match searched {
        Ok(why) => {
            let resume = ending.resume_words(&trainer, &source);
            ending.finish(trainer, &why).inspect_err(|e| {
                if matches!(e, Error::Interrupted) {
                    err(&format!(
                        "interrupted while the best trial was trained: the trials are in {}; {resume}",
                        folder.path.display()
                    ));
                }
            })
        }
        Err(Error::Interrupted) => {
            let resume = ending.resume_words(&trainer, &source);
            ending.keep_best(&trainer)?;
            ending.files(&mut trainer, "interrupted")?;
            err(&format!(
                "interrupted: what was found is in {}; {resume}",
                folder.path.display()
            ));
            Err(Error::Interrupted)
        }
        Err(e) => {
            if trainer.board.counts() == [0; 3] && trainer.sizes.is_empty() {
                drop(trainer);
                abandon(&folder);
            } else {
                let kept = match ending.keep_best(&trainer) {
                    Ok(true) => format!("; the best trial so far is in {}", folder.path.display()),
                    _ => String::new(),
                };
                err(&format!(
                    "broken off: {}{kept}",
                    ending.resume_words(&trainer, &source)
                ));
            }
            Err(e)
        }
    }
}

/// What a trial is where nothing is searched. What may have a meaning in some trials alone is left out.
fn usual(args: &Args, given: &TrainOptions, facts: &Facts) -> Result<Config> {
    let without = |options: &TrainOptions| TrainOptions {
        momentum: None,
        beta1: None,
        beta2: None,
        eps: None,
        alpha: None,
        dropout: None,
        ..options.clone()
    };
    without(given).resolve(&without(&args.train), facts)
}

/// Takes the folder of a study away in which nothing was tried.
fn abandon(folder: &Reserved) {
    let _ = std::fs::remove_file(folder.path.join("study.db"));
    folder.release();
}

fn describe(
    ui: &Ui,
    study: &Study,
    loaded: &Loaded,
    args: &Args,
    folds: Option<i64>,
    begun: usize,
) {
    let parts = &loaded.data.parts;
    for note in &loaded.notes {
        ui.say(&format!("  {note}"));
    }
    let judged = match folds {
        Some(k) => format!(
            "{k} folds of {} samples",
            parts.train.len() + parts.val.len()
        ),
        None => format!(
            "{} training and {} validation samples",
            parts.train.len(),
            parts.val.len()
        ),
    };
    let has = match begun {
        0 => String::new(),
        n => format!(" ({n} of them are there already)"),
    };
    let pruner = match args.evolves() {
        true => PBT,
        false => study.pruner().map_or("none", |p| p.name()),
    };
    ui.say(&format!(
        "study {}: {} trials{has} on {judged}; sampler {}, pruner {pruner}",
        study.name(),
        args.trials,
        study.sampler().name()
    ));
    for parameter in study.space().parameters() {
        let when = parameter.when.as_ref();
        let when = when.map_or(String::new(), |when| format!(" if {when}"));
        ui.say(&format!(
            "  {:<14} {}{when}",
            parameter.name, parameter.distribution
        ));
    }
}
