//! `gpu-train tune`: search for good hyper-parameters.

mod board;
mod ending;
mod files;
mod machine;
mod objective;
mod population;
mod winner;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::json;

use super::interrupt;
use super::setup::{Room, Settings, Setup, facts, folds};
use super::training::MOST_MEMBERS;
use super::ui::{Ui, err};
use crate::data::load::{Loaded, load};
use crate::data::options::DataOptions;
use crate::train::file::Options;
use crate::train::options::{TrainOptions, overlay};
use crate::train::run_folder::{Reserved, reserve};
use crate::train::time_limit::parse_time;
use crate::tune::distribution::{Distribution, Scalar};
use crate::tune::notation;
use crate::tune::pruner;
use crate::tune::sampler;
use crate::tune::settings;
use crate::tune::space::Space;
use crate::tune::storage;
use crate::tune::study::{Plan, Study};
use crate::tune::trial::{Point, Trial};
use crate::{Error, Result, suggest};
use board::Board;
use ending::Ending;
use machine::Machine;
use objective::Objective;
use population::Trainer;
use winner::Winner;

/// The name of population-based training.
const PBT: &str = "pbt";

/// Trials of a population that evolves, where nothing is said.
const EVOLVING_POPULATION: usize = 16;

/// Trials that train together at most, where nothing is said.
const LARGEST_POPULATION: usize = 64;

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
    /// Trials that train together [default: as many as the sampler's need of feedback allows, max(4, trials / 8) for one that learns, 64 at most; less where memory is short]
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

/// Options of a run that a search has no use for.
fn refuse_idle(given: &TrainOptions, args: &Args) -> Result<()> {
    let idle = [
        (
            given.time.is_some(),
            "--time ends one run: --timeout ends a search",
        ),
        (
            given.target_accuracy.is_some(),
            "--target-accuracy ends one run; a search looks for the best",
        ),
        (
            given.checkpoint_minutes.is_some(),
            "--checkpoint-minutes: a trial writes no checkpoint; a study that was broken off goes on with the trials that it lacks",
        ),
        (
            given.log_every.is_some(),
            "--log-every: a search shows its trials, not their epochs",
        ),
        (
            given.no_deterministic || given.deterministic == Some(false),
            "--no-deterministic: a trial is to be what it is alone",
        ),
        (args.trials == 0, "--trials 0: nothing would be searched"),
        (
            args.population == Some(0),
            "--population 0: a population has one trial at least",
        ),
        (
            args.population.is_some_and(|n| n > MOST_MEMBERS),
            "--population: at most 4096 trials train together",
        ),
        (
            !(args.heartbeat > 0.0 && args.heartbeat.is_finite()),
            "--heartbeat: it must be above 0 seconds",
        ),
    ];
    match idle.iter().find(|(idle, _)| *idle) {
        Some((_, what)) => Err(Error::Usage(what.to_string())),
        None => Ok(()),
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
    let timeout = args.timeout.as_deref().map(parse_time).transpose()?;
    // What was typed is read before the data are.
    let typed_space = typed_space(&args.space, &file)?;
    settings::check(&typed_space, &given)?;
    let queued: Vec<_> = args.enqueue.iter().map(|text| enqueued(text)).collect();
    let stop = interrupt::flag("stopping; trials under way are queued again");
    let data = overlay(&args.options, &file.data);
    let loaded = Arc::new(load(&source, &data, given.folds.is_none())?);
    let parts = folds(&loaded, &given, false)?;
    let objective = Objective::new(&args.metric, &args.direction, loaded.data.is_regression())?;
    let space = match typed_space.is_empty() {
        true => settings::default_space(&given, loaded.data.parts.train.len())?,
        false => typed_space,
    };
    if space.is_empty() {
        return Err(Error::Usage(
            "every parameter of the default search is set by an option: name others with --space"
                .to_string(),
        ));
    }
    let usual = given.resolve(&args.train, &facts(&loaded, &source, &parts))?;
    given.epochs = match space.get("epochs") {
        None => Some(i64::from(usual.epochs)),
        Some(_) => None,
    };
    check_parts(&objective, &loaded, &given, &space, args.refit)?;
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
    for values in queued {
        let queued = values.and_then(|values| queue(&mut study, &values));
        queued.inspect_err(|_| abandon(&folder))?;
    }
    let begun = study.begun()?;
    let board = Board::new(ui, &objective, &space, args.trials, begun, usual.epochs);
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
            "if": p.when.as_ref().map(|when| format!(
                "{}={}",
                when.parameter,
                when.any_of.iter().map(Scalar::to_string).collect::<Vec<_>>().join("|")
            )),
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
    let searched = search(&mut trainer, &args);
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
        Ok(why) => ending.finish(trainer, &why),
        Err(Error::Interrupted) => {
            let resume = ending.resume_words(&trainer, &source);
            ending.files(&mut trainer, "interrupted")?;
            err(&format!(
                "interrupted: what was found is in {}; {resume}",
                folder.path.display()
            ));
            Err(Error::Interrupted)
        }
        Err(e) => {
            if trainer.board.counts() == [0; 3] {
                drop(trainer);
                abandon(&folder);
            }
            Err(e)
        }
    }
}

/// Refuses what cannot be judged, or not be trained anew.
fn check_parts(
    objective: &Objective,
    loaded: &Loaded,
    given: &TrainOptions,
    space: &Space,
    refit: bool,
) -> Result<()> {
    let validates = objective
        .measures
        .iter()
        .any(|m| m.name().starts_with("val-"));
    if validates && given.folds.is_none() && loaded.data.parts.val.is_empty() {
        return Err(Error::Usage(
            "trials are judged by a validation part, and --val-split 0 leaves none: leave it out, or take --folds 5"
                .to_string(),
        ));
    }
    let schedules = space.get("schedule").map(|p| p.distribution.to_string());
    let plateau = |text: Option<&str>| text.is_some_and(|text| text.contains("plateau"));
    let looks = plateau(given.schedule.as_deref()) || plateau(schedules.as_deref());
    if looks && (refit || given.folds.is_some()) {
        return Err(Error::Usage(format!(
            "{}: the schedule plateau looks at a validation part, and the best trial is then trained on all samples, without one",
            if refit { "--refit" } else { "--folds" }
        )));
    }
    Ok(())
}

/// Takes the folder of a study away in which nothing was tried.
fn abandon(folder: &Reserved) {
    let _ = std::fs::remove_file(folder.path.join("study.db"));
    folder.release();
}

/// The space of `--space`, or of the file where nothing is typed.
fn typed_space(typed: &[String], file: &Options) -> Result<Space> {
    match typed.is_empty() {
        true => Space::new(notation::table(&file.space)?),
        false => notation::space(typed.iter().map(String::as_str)),
    }
}

fn open_study(
    args: &Args,
    objective: &Objective,
    space: &Space,
    given: &TrainOptions,
    epochs: u32,
    folder: &Path,
    loaded: &Loaded,
) -> Result<Study> {
    let usual = if objective.is_single() {
        "tpe"
    } else {
        "nsga2"
    };
    let name = args.sampler.as_deref().unwrap_or(usual).to_lowercase();
    let sampler = sampler::named(&name).ok_or_else(|| {
        Error::Usage(format!(
            "--sampler {name}: no such sampler{}",
            suggest::hint(&name, sampler::NAMES)
        ))
    })?;
    let max_step = match space.get("epochs").map(|p| &p.distribution) {
        Some(Distribution::Int { high, .. }) => *high,
        Some(Distribution::Categorical { choices }) => {
            let whole = choices.iter().map(|choice| match choice {
                Scalar::Int(n) => *n,
                _ => 0,
            });
            whole.max().unwrap_or(0)
        }
        _ => i64::from(epochs),
    };
    let usual = if objective.is_single() {
        "median"
    } else {
        "none"
    };
    let name = args.pruner.as_deref().unwrap_or(usual).to_lowercase();
    let known = || ["none", PBT].into_iter().chain(pruner::NAMES);
    let pruner = match name.as_str() {
        "none" | PBT => None,
        name => Some(pruner::named(name, max_step).ok_or_else(|| {
            Error::Usage(format!(
                "--pruner {name}: no such pruner{}",
                suggest::hint(name, known())
            ))
        })?),
    };
    if name != "none" && !objective.is_single() {
        return Err(Error::Usage(format!(
            "--pruner {name}: a trial of several metrics is not pruned; take none"
        )));
    }
    let url = match &args.storage {
        Some(url) => url.clone(),
        None => {
            let absolute = std::path::absolute(folder.join("study.db"));
            let path = absolute.map_err(|e| Error::io(folder, "find", e))?;
            format!("sqlite:///{}", path.display())
        }
    };
    let storage = storage::open(&url, err)?;
    let plan = Plan {
        space: space.clone(),
        sampler,
        pruner,
        seed: given.seed.unwrap_or(0),
        max_step,
        heartbeat: Duration::from_secs_f64(args.heartbeat),
    };
    let name = args.study.as_deref().unwrap_or(&loaded.data.name);
    Study::open(storage, name, &objective.directions, plan)
}

/// Reads one `--enqueue`.
fn enqueued(text: &str) -> Result<Vec<(String, Scalar)>> {
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').ok_or_else(|| {
            Error::Usage(format!(
                "--enqueue {text}: write names and values, such as lr=0.01,opt=adam"
            ))
        })?;
        Ok((name.trim().to_string(), Scalar::from_word(value.trim())))
    };
    text.split(',').map(pair).collect()
}

/// Queues values that are all in the space.
fn queue(study: &mut Study, values: &[(String, Scalar)]) -> Result<()> {
    let mut fixed = std::collections::BTreeMap::new();
    for (name, value) in values {
        let Some(parameter) = study.space().get(name) else {
            let known = study.space().parameters().iter().map(|p| p.name.as_str());
            return Err(Error::Usage(format!(
                "--enqueue {name}: it is not in the search space{}",
                suggest::hint(name, known)
            )));
        };
        let distribution = &parameter.distribution;
        let Some(internal) = distribution.internal(value) else {
            return Err(Error::Usage(format!(
                "--enqueue {name}={value}: it is none of {distribution}"
            )));
        };
        fixed.insert(name.clone(), distribution.external(internal));
    }
    study.enqueue(&fixed)
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
        let when = match &parameter.when {
            None => String::new(),
            Some(when) => {
                let words: Vec<String> = when.any_of.iter().map(Scalar::to_string).collect();
                format!(" if {}={}", when.parameter, words.join("|"))
            }
        };
        ui.say(&format!(
            "  {:<14} {}{when}",
            parameter.name, parameter.distribution
        ));
    }
}

/// Trains populations until the trials are through; why it ended.
fn search(trainer: &mut Trainer, args: &Args) -> Result<String> {
    let model_based = trainer.study.sampler().is_model_based();
    let usual = match (args.evolves(), model_based) {
        (true, _) => EVOLVING_POPULATION,
        (false, true) => (args.trials / 8).clamp(4, LARGEST_POPULATION),
        (false, false) => LARGEST_POPULATION,
    };
    let wanted = args.population.unwrap_or(usual);
    loop {
        if trainer.stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        let revived = trainer.study.revive()?;
        if revived > 0 {
            trainer.board.say(&format!(
                "{revived} trials of workers that are gone are queued again"
            ));
        }
        let left = args.trials.saturating_sub(trainer.study.begun()?);
        if left == 0 {
            return Ok(format!("all {} trials are done", args.trials));
        }
        let late = || {
            format!(
                "the {} of --timeout are over",
                args.timeout.as_deref().unwrap_or("0s")
            )
        };
        if trainer.is_late() {
            return Ok(late());
        }
        let together = model_based || args.population.is_some() || args.evolves();
        let grouped = match (trainer.study.has_waiting()?, together) {
            (true, _) => grouped(trainer, wanted.min(left), true)?,
            (false, true) => asked_together(trainer, wanted.min(left))?,
            (false, false) => grouped(trainer, LARGEST_POPULATION.min(left), false)?,
        };
        if grouped.is_empty() {
            return Ok("every point of the space has been tried".to_string());
        }
        for group in grouped {
            let mut group = group;
            while !group.is_empty() {
                if trainer.is_late() {
                    return Ok(late());
                }
                let fits = fitting(trainer, &group, wanted.min(group.len()))?;
                let rest = group.split_off(fits.min(group.len()));
                trainer.train(group)?;
                group = rest;
            }
        }
    }
}

/// One trial, and then others of its structure, with those before them under way.
fn asked_together(trainer: &mut Trainer, most: usize) -> Result<Vec<Vec<Trial>>> {
    let Some(first) = trainer.ask(&Point::new())? else {
        return Ok(Vec::new());
    };
    let structure = trainer.structure_of(&first);
    let mut group = vec![first];
    let most = fitting(trainer, &group, most)?;
    // Others may work on the study, too.
    while group.len() < most && trainer.study.begun()? < trainer.trials {
        let Some(trial) = trainer.ask(&structure)? else {
            break;
        };
        group.push(trial);
    }
    Ok(vec![group])
}

/// The next trials, those of one structure together: the queued ones alone, or as the sampler has them,
/// which needs no answer in between.
fn grouped(trainer: &mut Trainer, most: usize, queued: bool) -> Result<Vec<Vec<Trial>>> {
    let mut groups: Vec<(Point, Vec<Trial>)> = Vec::new();
    for _ in 0..most {
        let others_did = trainer.study.begun()? >= trainer.trials;
        if others_did || (queued && !trainer.study.has_waiting()?) {
            break;
        }
        let Some(trial) = trainer.ask(&Point::new())? else {
            break;
        };
        let structure = trainer.structure_of(&trial);
        match groups.iter_mut().find(|(of, _)| *of == structure) {
            Some((_, group)) => group.push(trial),
            None => groups.push((structure, vec![trial])),
        }
    }
    Ok(groups.into_iter().map(|(_, group)| group).collect())
}

/// How many trials like the first of these train together: at most `wanted`, and half as many until
/// the memory holds them.
fn fitting(trainer: &mut Trainer, like: &[Trial], wanted: usize) -> Result<usize> {
    let Ok(config) = trainer.config_of(&like[0]) else {
        return Ok(wanted);
    };
    let mut size = wanted;
    loop {
        let set = Settings {
            members: vec![config.clone(); size],
            room: Room::default(),
            folds: trainer.folds,
            resumes: false,
        };
        let limit = trainer.machine.largest_buffer();
        match Setup::of(trainer.loaded.clone(), config.clone(), set, limit) {
            Ok(_) => break,
            Err(e) if size == 1 => return Err(e),
            Err(_) => size /= 2,
        }
    }
    if size < wanted {
        trainer.board.say(&format!(
            "memory holds {size} of these trials together, not {wanted}"
        ));
    }
    Ok(size)
}
