//! One training run from options to run folder: what `mnist`, `train` and `run` share.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use serde_json::json;

use super::compare::{self, Taken};
use super::interrupt;
use super::live::{self, Live, View};
use super::open::{self, Backend, Opened, Variants};
use super::outcome;
use super::profile::Profiling;
use super::setup::{Setup, Wanted, check_horizon, check_resumed};
use super::ui::{Ui, err, out};
use crate::data::fingerprint::Fingerprint;
use crate::data::load::{Loaded, load};
use crate::data::options::DataOptions;
use crate::gpu::candidates::AdapterFacts;
use crate::gpu::choice::Choices;
use crate::gpu::{Device, adapter, lower};
use crate::models::preset_list;
use crate::plan::Plan;
use crate::report::tensorboard::EventWriter;
use crate::train::checkpoint::Checkpoint;
use crate::train::config::{Config, TrainOptions, needs_validation};
use crate::train::file::{self, Options};
use crate::train::history::History;
use crate::train::options::overlay;
use crate::train::run_folder::{Reserved, RunFolder, reserve};
use crate::train::{self, State, feed};
use crate::{Error, Result};

/// The options of every command that trains.
#[derive(Clone, clap::Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub data: DataOptions,
    #[command(flatten)]
    pub train: TrainOptions,
    /// Train N seeds at once, from --seed up, each a member with weights and orders of its own; mean and spread are reported, and `eval` and `predict` average them with --ensemble
    #[arg(
        long,
        value_name = "N",
        help_heading = "Run",
        conflicts_with = "resume"
    )]
    members: Option<usize>,
    /// Go on with this run folder, bit for bit as if it had never stopped; --epochs and --time may be new
    #[arg(long, value_name = "RUN", help_heading = "Run", conflicts_with_all = ["out", "config"])]
    pub resume: Option<PathBuf>,
    /// Time CPU and GPU on the same steps after training [default for mnist]
    #[arg(long, help_heading = "Run", overrides_with = "no_compare")]
    compare: bool,
    /// Leave the comparison out
    #[arg(long, help_heading = "Run")]
    no_compare: bool,
    /// Measure CPU and GPU again, instead of believing what --device auto found before
    #[arg(long, help_heading = "Run")]
    remeasure: bool,
    /// Take options from a file, such as a run folder's config.toml; what is typed goes first
    #[arg(long, value_name = "FILE", help_heading = "Run")]
    pub config: Option<PathBuf>,
    /// The run folder, which must be new or empty [default: runs/NAME-N]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    out: Option<PathBuf>,
    /// Also write TensorBoard event files, into the run folder's tensorboard/
    #[arg(long, help_heading = "Output")]
    tensorboard: bool,
    /// One JSON object a line on standard output; prose goes to standard error
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// Print the result alone; with --json the events alone
    #[arg(long, help_heading = "Output")]
    quiet: bool,
    #[arg(skip)]
    silent: bool,
    /// Time each kernel of a step, on a GPU by its timestamps, and print a table after training
    #[arg(long, help_heading = "Output")]
    profile: bool,
    /// Print the plan (buffers, dispatches of a step, what a GPU runs for them) and stop
    #[arg(long, help_heading = "Output", conflicts_with = "json")]
    dump_plan: bool,
}

/// The layers and presets, for the help.
pub fn notation() -> String {
    format!(
        "Layers, one after the other with commas between: linear:UNITS, relu, leaky-relu, tanh, sigmoid,\ngelu, dropout:RATE, batchnorm, layernorm, residual(LAYERS) for x + f(x).\nPresets:\n{}",
        preset_list()
    )
}

impl RunArgs {
    /// Of a run within another command: a file alone, into the folder `out`, without a word.
    pub fn silent(out: &Path) -> RunArgs {
        RunArgs {
            data: DataOptions::default(),
            train: TrainOptions::default(),
            members: None,
            resume: None,
            compare: false,
            no_compare: true,
            remeasure: false,
            config: None,
            out: Some(out.to_path_buf()),
            tensorboard: false,
            json: false,
            quiet: true,
            silent: true,
            profile: false,
            dump_plan: false,
        }
    }

    pub fn ui(&self) -> Ui {
        Ui {
            json: self.json,
            quiet: self.quiet,
            silent: self.silent,
        }
    }

    /// The file of `--config`, or the configuration of the run to resume.
    pub fn file(&self) -> Result<Options> {
        match (&self.config, &self.resume) {
            (Some(path), _) => Options::read(path),
            (None, Some(run)) => {
                if !run.join("config.toml").is_file() {
                    return Err(Error::Usage(format!(
                        "--resume {}: no run folder lies there (it has no config.toml)",
                        run.display()
                    )));
                }
                Options::read(run)
            }
            (None, None) => Ok(Options::default()),
        }
    }
}

/// The most members that are asked for by their number: far more than any device trains at once.
pub const MOST_MEMBERS: usize = 4096;

/// What a training command wants.
#[derive(Clone)]
pub struct Request {
    /// As the configuration names it.
    pub source: String,
    pub args: RunArgs,
    /// What `--config`, `--resume` or a recipe says.
    pub file: Options,
    /// Whether to compare CPU and GPU where nothing is said.
    pub compares: bool,
    pub started: Instant,
}

pub fn run(request: Request) -> Result<()> {
    let Request { args, file, .. } = &request;
    let ui = args.ui();
    if !file.space.is_empty() {
        return Err(Error::Usage(
            "the file has a table [space], which is for `gpu-train tune`: a run trains with one value of each"
                .to_string(),
        ));
    }
    let dropped = args.train.drops_of(&file.train);
    if !dropped.is_empty() {
        ui.say(&format!(
            "{} belonged to --opt {} and {} left out",
            dropped.join(", "),
            file.train.opt.as_deref().unwrap_or("adam"),
            if dropped.len() == 1 { "is" } else { "are" }
        ));
    }
    file::refuse_overridden(&args.train, &file.member)?;
    let request = with_seeds(&request)?;
    let Request { args, file, .. } = &request;
    if args.dump_plan {
        return dump_plan(&setup(&request, loaded(&request)?, None)?.plan);
    }
    let resumed = match &args.resume {
        Some(run) => Some(Resumed::read(run, &ui)?),
        None => None,
    };
    let stop = interrupt::flag("stopping, after saving what there is");
    let typed = args.train.device.clone();
    let which = typed.or(file.train.device.clone());
    let which = which.unwrap_or_else(|| "auto".to_string());
    if args.remeasure && !which.eq_ignore_ascii_case("auto") {
        return Err(Error::Usage(format!(
            "--remeasure belongs to --device auto, and this run is for --device {which}"
        )));
    }
    // The data is read while the adapter opens; `auto` only looks which there are.
    let (data, opened) = std::thread::scope(|scope| {
        let loading = scope.spawn(|| loaded(&request));
        let opened = open::open(&which);
        let data = loading
            .join()
            .unwrap_or_else(|_| Err(Error::Data("reading the data failed".to_string())));
        (data, opened)
    });
    let (data, opened) = (data?, opened?);
    let fingerprint = Fingerprint::of(&data.data);
    if let Some(resumed) = &resumed {
        resumed.check_data(&request.source, &data, &fingerprint)?;
    }
    let limit = opened.largest_buffer();
    let mut setup = setup(&request, data, limit)?;
    let place = match &args.resume {
        Some(run) => Place::Old(run.clone()),
        None => Place::New(reserve(args.out.as_deref(), &setup.loaded.data.name)?),
    };
    setup.describe(&ui);
    let variants = match resumed.as_ref().and_then(|run| run.checkpoint.as_ref()) {
        Some(checkpoint) => Variants::Recorded(checkpoint.position.kernels.clone()),
        None if setup.config.deterministic => Variants::Recorded(Choices::new()),
        None => Variants::Fastest,
    };
    let chosen = choose(&ui, &setup, opened, &variants, args.remeasure, &stop);
    let Taken { backend, device } = chosen.inspect_err(|e| {
        place.release();
        if matches!(e, Error::Interrupted) {
            err("interrupted before the first step: nothing was written");
        }
    })?;
    setup.config.device = backend.device.clone();
    if let Some(resumed) = &resumed {
        resumed.check(&setup)?;
    }
    let run = Run {
        request: &request,
        setup: &setup,
        fingerprint,
        ui,
        stop: &stop,
        device: device.as_ref(),
    };
    let backend = run.train(backend, place, resumed.and_then(|r| r.checkpoint))?;
    if (args.compare || request.compares) && !args.no_compare {
        compare::after_training(&ui, &setup, backend, device, &variants, &stop)?;
    }
    Ok(())
}

/// The request with its `--members`, which are seeds, as members.
fn with_seeds(request: &Request) -> Result<Request> {
    let mut request = request.clone();
    let Some(n) = request.args.members else {
        return Ok(request);
    };
    if !request.file.member.is_empty() || !(1..=MOST_MEMBERS).contains(&n) {
        return Err(Error::Usage(format!(
            "--members {n}: {}",
            match n {
                0 => "a run has one at least",
                _ if n > MOST_MEMBERS => "at most 4096 train together",
                _ => "the file has members of its own",
            }
        )));
    }
    let seed = request.args.train.over(&request.file.train).seed;
    for ix in 0..n as u64 {
        let seed = seed.unwrap_or(0) + ix;
        let mut table = toml::Table::new();
        table.insert("name".to_string(), format!("seed {seed}").into());
        let number = i64::try_from(seed).map_err(|_| {
            Error::Usage(format!("--seed {seed}: too large to count members up from"))
        })?;
        table.insert("seed".to_string(), number.into());
        request.file.member.push(table);
    }
    Ok(request)
}

/// The folder that the run goes into.
enum Place {
    New(Reserved),
    Old(PathBuf),
}

impl Place {
    fn release(&self) {
        if let Place::New(reserved) = self {
            reserved.release();
        }
    }
}

fn loaded(request: &Request) -> Result<Loaded> {
    let (typed, mut under) = (&request.args.data, request.file.data.clone());
    // The one makes the other of no use, which a file states all the same.
    if typed.test.is_some() {
        under.test_split = None;
    }
    if typed.test_split.is_some() {
        under.test = None;
    }
    let data = overlay(typed, &under);
    let train = request.args.train.over(&request.file.train);
    // Members are told apart by their validation loss.
    let mut validates = needs_validation(&train) || request.file.member.len() > 1;
    // Folds are cut from training and validation part together.
    if train.folds.is_some() {
        return load(&request.source, &data, false);
    }
    for member in file::members(&request.file.member)? {
        validates |= needs_validation(&member);
    }
    load(&request.source, &data, validates)
}

fn setup(request: &Request, data: Loaded, limit: Option<u64>) -> Result<Setup> {
    let wanted = Wanted {
        source: &request.source,
        typed: &request.args.train,
        file: &request.file,
        resumes: request
            .args
            .resume
            .as_ref()
            .is_some_and(|run| run.join("checkpoint").is_file()),
    };
    Setup::new(Arc::new(data), &wanted, limit)
}

/// The run to resume, as far as it came.
struct Resumed {
    config: Config,
    /// None where it was ended before the first.
    checkpoint: Option<Checkpoint>,
}

impl Resumed {
    fn read(run: &Path, ui: &Ui) -> Result<Resumed> {
        let path = run.join("checkpoint");
        if path.is_file() {
            let checkpoint = Checkpoint::read(&path)?;
            return Ok(Resumed {
                config: checkpoint.position.config.clone(),
                checkpoint: Some(checkpoint),
            });
        }
        if run.join("model.safetensors").exists() || run.join("result.json").exists() {
            return Err(Error::Data(format!(
                "{} has come to its end and its checkpoint is gone: it cannot go on; start from its weights with --init {0}",
                run.display()
            )));
        }
        ui.say(&format!(
            "{} has no checkpoint yet: the run starts from its beginning",
            run.display()
        ));
        Ok(Resumed {
            config: History::read(run)?.config,
            checkpoint: None,
        })
    }

    /// Refuses other data, before anything is made of them.
    fn check_data(&self, source: &str, now: &Loaded, fingerprint: &Fingerprint) -> Result<()> {
        let asked = Config {
            source: source.to_string(),
            data: now.options.clone(),
            ..self.config.clone()
        };
        check_resumed(&self.config, &asked)?;
        let was = self.checkpoint.as_ref().map(|c| &c.position.data);
        match was.and_then(|was| was.difference(fingerprint)) {
            None => Ok(()),
            Some(what) => Err(Error::Data(format!(
                "--resume: the data of {source} are not what the run was trained on: {what}"
            ))),
        }
    }

    /// Refuses a configuration under which the run would have been another from its start.
    fn check(&self, setup: &Setup) -> Result<()> {
        check_resumed(&self.config, &setup.config)?;
        check_horizon(self.config.epochs, setup)?;
        let begun = match &self.checkpoint {
            None => 0,
            Some(checkpoint) => {
                let state = &checkpoint.position.state;
                state.epochs_done() + u32::from(state.step_in_epoch > 0)
            }
        };
        if setup.config.epochs < begun {
            return Err(Error::Usage(format!(
                "--resume: the run is in epoch {begun} already and cannot end after {}: start a new one for fewer epochs",
                setup.config.epochs
            )));
        }
        Ok(())
    }
}

fn choose(
    ui: &Ui,
    setup: &Setup,
    opened: Opened,
    variants: &Variants,
    remeasure: bool,
    stop: &AtomicBool,
) -> Result<Taken> {
    match opened {
        Opened::Cpu => Ok(Taken {
            backend: open::cpu(&setup.plan)?,
            device: None,
        }),
        Opened::Gpu(device) => Ok(Taken {
            backend: open::gpu_with(&setup.plan, &device, variants)?,
            device: Some(device),
        }),
        Opened::Auto(adapters) => compare::faster(ui, setup, &adapters, variants, remeasure, stop),
    }
}

/// The plan, and what the best adapter would run of it, or any other GPU where there is none: the choice
/// depends on shapes and the adapter.
fn dump_plan(plan: &Plan) -> Result<()> {
    out(plan.to_string().trim_end());
    let (on, facts) = match adapter::adapters().first() {
        Some(found) => (
            adapter::describe(&found.get_info()),
            AdapterFacts::new(&found.get_info(), found.features()),
        ),
        None => ("a GPU".to_string(), AdapterFacts::default()),
    };
    out(&format!("on {on}:"));
    for dispatch in plan.train.per_step.iter().chain(&plan.eval.per_step) {
        let lowered = lower::lower(&dispatch.kernel, plan.members, &facts)?;
        let variant = match lowered.shader.variant {
            "" => String::new(),
            variant => format!(" as {variant}"),
        };
        out(&format!(
            "  {:<30} {}{variant}, {}",
            dispatch.label, lowered.shader.name, lowered.grid
        ));
    }
    Ok(())
}

/// A run that is about to train.
struct Run<'a> {
    request: &'a Request,
    setup: &'a Setup,
    fingerprint: Fingerprint,
    ui: Ui,
    stop: &'a AtomicBool,
    /// The adapter, where one is open.
    device: Option<&'a Arc<Device>>,
}

impl Run<'_> {
    /// Trains, tests, writes everything; hands the executor back.
    fn train(
        &self,
        mut backend: Backend,
        place: Place,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Backend> {
        let (setup, ui) = (self.setup, self.ui);
        let feed = setup.feed();
        let kernels = backend.kernels.clone();
        let mut profiling = match self.request.args.profile {
            true => Profiling::start(&ui, &mut backend, self.device)?,
            false => None,
        };
        let exec = &mut *backend.exec;
        feed.load(exec)?;
        feed::upload_rows(exec, &setup.hyper)?;
        let (mut state, mut best, folder) = match (place, checkpoint) {
            (Place::Old(path), Some(checkpoint)) => {
                let best = checkpoint.restore(exec)?;
                let position = &checkpoint.position;
                let folder = RunFolder::resume(path, &setup.config, position, kernels)?;
                let mut state = checkpoint.position.state;
                state.reopen();
                (state, best, folder)
            }
            (Place::Old(path), None) | (Place::New(Reserved { path, .. }), _) => {
                train::start_from(exec, setup.initial())?;
                let data = self.fingerprint.clone();
                let folder = RunFolder::create(path, &setup.config, data, kernels)?;
                (setup.state()?, None, folder)
            }
        };
        let resumed_at = state.epochs_done();
        ui.event(&json!({
            "event": "start",
            "run": folder.path().display().to_string(),
            "device": backend.device,
            "software_adapter": backend.software,
            "parameters": setup.plan.n_parameters(),
            "dispatches_per_step": setup.plan.train.per_step.len(),
            "kernels": backend.kernels,
            "data": setup.residence_words(),
            "resumed_after_epoch": (resumed_at > 0 || state.step_in_epoch > 0).then_some(resumed_at),
            "config": setup.config,
        }));
        if resumed_at > 0 || state.step_in_epoch > 0 {
            ui.say(&match state.epoch > setup.config.epochs {
                true => format!(
                    "all {} epochs are done already; --epochs N goes on",
                    setup.config.epochs
                ),
                false => format!("resumed {}", live::place(&state)),
            });
        }
        let job = setup.job(&feed, self.stop);
        let mut live = {
            let board = self.board(folder.path(), &state)?;
            Live::new(self.view(), folder, board, &state)
        };
        let trained = train::train(exec, &job, &mut state, &mut best, &mut live);
        live.clear();
        let stands_at = live.stands_at();
        if let Some(profiling) = &mut profiling {
            profiling.host = live.host_time();
        }
        let (folder, board) = live.into_folder();
        let mut done = outcome::Done {
            ui,
            setup,
            feed: &feed,
            backend: &mut backend,
            folder,
            board,
            state,
            best,
            profiling,
        };
        match trained {
            Ok(()) => done.finish()?,
            Err(Error::Interrupted) => return Err(done.interrupted(&stands_at)),
            Err(Error::Check(what)) => return Err(done.failed(&what)),
            Err(e) => return Err(e),
        }
        Ok(backend)
    }

    fn view(&self) -> View {
        let setup = self.setup;
        let names = (0..setup.members.len()).map(|ix| setup.member_name(ix));
        View {
            ui: self.ui,
            started: self.request.started,
            epochs: setup.config.epochs,
            n_train: setup.loaded.data.parts.train.len(),
            log_every: setup.config.log_every,
            members: match setup.is_population() {
                true => names.collect(),
                false => Vec::new(),
            },
        }
    }

    /// Event files, where they are asked for; what lies past the place of a resumed run is purged.
    fn board(&self, folder: &Path, state: &State) -> Result<Option<EventWriter>> {
        let path = folder.join("tensorboard");
        // A run that has event files already goes on writing them.
        if !self.request.args.tensorboard && !path.is_dir() {
            return Ok(None);
        }
        let first = match &self.request.args.resume {
            Some(_) => u64::from(state.epoch),
            None => 0,
        };
        EventWriter::create(&path, first).map(Some)
    }
}
