//! One training run from options to run folder: the shared part of `mnist` and, later, `train`.

use std::cell::OnceCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use serde_json::json;

use super::live::Live;
use super::open::{self, Backend, Opened};
use super::ui::{Ui, err, out, thousands};
use super::{compare, interrupt, memory};
use crate::data::Dataset;
use crate::gpu::lower;
use crate::models::file::{ModelInfo, Normalization, encode};
use crate::models::initial_parameters;
use crate::plan::{Hyper, Plan};
use crate::train::compare::Start;
use crate::train::run_folder::{RunFolder, reserve};
use crate::train::{self, Config, Job, TrainOptions, feed};
use crate::{Error, Result};

/// What a training command wants.
pub struct Request {
    /// Of the data: the source in the configuration, and the run folder's stem.
    pub name: &'static str,
    pub load: Box<dyn FnOnce() -> Result<Dataset> + Send>,
    pub typed: TrainOptions,
    pub file: TrainOptions,
    pub compare: bool,
    pub out: Option<PathBuf>,
    pub ui: Ui,
    pub dump_plan: bool,
    pub started: Instant,
}

/// Data, plan and weights of a run, whatever executes it.
pub struct Setup {
    pub data: Dataset,
    pub config: Config,
    pub plan: Arc<Plan>,
    pub hyper: Vec<Hyper>,
    norm: Vec<f32>,
    normalization: Normalization,
    /// Drawn when first asked for: a model too large for the device needs none.
    initial: OnceCell<Vec<f32>>,
}

impl Setup {
    fn new(data: Dataset, typed: TrainOptions, file: TrainOptions, name: &str) -> Result<Setup> {
        let (n_train, classes) = (data.train.len(), data.classes.len());
        let config = typed.resolve(file, name, n_train, classes)?;
        let model = config.sequential(classes)?;
        let clips = config.clip_norm > 0.0;
        let spec = feed::spec(&data, 1, config.batch as usize, clips, config.loss());
        let plan = memory::record(&spec, &model)?;
        let normalization = Normalization::unit(data.shape.len());
        Ok(Setup {
            hyper: vec![config.hyper(&plan.dropout)],
            norm: normalization.table(),
            normalization,
            data,
            config,
            plan,
            initial: OnceCell::new(),
        })
    }

    /// What an executor starts from.
    pub fn start(&self) -> Start<'_> {
        Start {
            data: &self.data,
            norm: &self.norm,
            hyper: &self.hyper,
            arenas: self
                .initial
                .get_or_init(|| initial_parameters(&self.plan, self.config.seed)),
        }
    }

    fn model_info(&self) -> Result<ModelInfo> {
        Ok(ModelInfo::new(
            &self.config.sequential(self.data.classes.len())?,
            &self.data.classes,
            self.data.shape,
            self.config.loss(),
            self.normalization.clone(),
            &self.config.source,
        ))
    }

    fn describe(&self, ui: &Ui) {
        let (data, config) = (&self.data, &self.config);
        let model = match config.model.as_str() {
            "" => String::new(),
            layers => format!("{layers} -> "),
        };
        ui.say(&format!(
            "{}: {} training and {} test samples of {}, {} classes",
            data.name,
            thousands(data.train.len() as f64),
            thousands(data.test.len() as f64),
            data.shape,
            data.classes.len()
        ));
        ui.say(&format!(
            "model: {} -> {model}{}, {} parameters; {}, {} lr {:?}, batch {}, {} epoch{}, seed {}",
            data.shape.len(),
            data.classes.len(),
            thousands(self.plan.n_parameters() as f64),
            config.loss,
            config.opt,
            config.lr,
            config.batch,
            config.epochs,
            if config.epochs == 1 { "" } else { "s" },
            config.seed
        ));
        let extras: Vec<String> = [
            ("l1", config.l1),
            ("l2", config.l2),
            ("weight decay", config.weight_decay),
            (
                "label smoothing (training loss only)",
                config.label_smoothing,
            ),
            ("clip norm", config.clip_norm),
        ]
        .iter()
        .filter(|(_, value)| *value != 0.0)
        .map(|(name, value)| format!("{name} {value:?}"))
        .chain(config.no_shuffle.then(|| "no shuffle".to_string()))
        .collect();
        if !extras.is_empty() {
            ui.say(&format!("with {}", extras.join(", ")));
        }
    }
}

pub fn run(request: Request) -> Result<()> {
    let ui = request.ui;
    if request.dump_plan {
        let setup = Setup::new((request.load)()?, request.typed, request.file, request.name)?;
        return dump_plan(&setup.plan);
    }
    let stop = interrupt::flag();
    let typed = request.typed.device.clone();
    let which = typed.or(request.file.device.clone());
    let which = which.unwrap_or_else(|| "auto".to_string());
    // The data is decoded while the adapter opens.
    let loading = std::thread::spawn(request.load);
    let opened = open::open(&which);
    let data = loading
        .join()
        .map_err(|_| Error::Data("reading the data failed".to_string()))??;
    let opened = opened?;

    let mut setup = Setup::new(data, request.typed, request.file, request.name)?;
    let reserved = reserve(request.out.as_deref(), request.name)?;
    setup.describe(&ui);
    let device = match &opened {
        Opened::Gpu(device) | Opened::Auto(Ok(device)) => Some(device.clone()),
        _ => None,
    };
    let backend = choose(&ui, &setup, opened, &stop).inspect_err(|_| reserved.release())?;
    setup.config.device = backend.device.clone();
    let folder = RunFolder::create(reserved.path, &setup.config, false)?;
    let backend = train_on(&ui, &setup, backend, folder, request.started, &stop)?;
    if request.compare {
        compare::after_training(&ui, &setup, backend, device, &stop)?;
    }
    Ok(())
}

fn choose(ui: &Ui, setup: &Setup, opened: Opened, stop: &AtomicBool) -> Result<Backend> {
    match opened {
        Opened::Cpu => open::cpu(&setup.plan),
        Opened::Gpu(device) => open::gpu(&setup.plan, &device),
        Opened::Auto(Err(reason)) => {
            ui.say(&format!("training on cpu: {reason}"));
            open::cpu(&setup.plan)
        }
        Opened::Auto(Ok(device)) => compare::faster(ui, setup, &device, stop),
    }
}

/// The plan, and what a GPU would run for its matrix products: the choice depends on shapes alone.
fn dump_plan(plan: &Plan) -> Result<()> {
    out(plan.to_string().trim_end());
    out("on a GPU:");
    for dispatch in plan.train.per_step.iter().chain(&plan.eval.per_step) {
        let lowered = lower::lower(&dispatch.kernel, plan.members)?;
        let variant = match lowered.shader.variant {
            "" => String::new(),
            variant => format!(" tile {variant}"),
        };
        out(&format!(
            "  {:<30} {}{variant}, {}",
            dispatch.label, lowered.shader.name, lowered.grid
        ));
    }
    Ok(())
}

fn train_on(
    ui: &Ui,
    setup: &Setup,
    mut backend: Backend,
    folder: RunFolder,
    started: Instant,
    stop: &AtomicBool,
) -> Result<Backend> {
    let config = &setup.config;
    let n_train = setup.data.train.len();
    ui.event(&json!({
        "event": "start",
        "run": folder.path().display().to_string(),
        "device": backend.device,
        "software_adapter": backend.software,
        "parameters": setup.plan.n_parameters(),
        "dispatches_per_step": setup.plan.train.per_step.len(),
        "config": config,
    }));
    let exec = &mut *backend.exec;
    let start = setup.start();
    feed::load(exec, start.data, start.norm, start.hyper, start.arenas)?;
    let job = Job {
        hyper: &setup.hyper,
        n_train,
        epochs: config.epochs,
        shuffle: !config.no_shuffle,
        stop,
    };
    let mut live = Live::new(*ui, folder, started, config.epochs, n_train);
    let clock = Instant::now();
    let trained = train::train(exec, &job, &mut live);
    live.clear();
    let stopped_at = live.stopped_at();
    let mut folder = live.into_folder();
    let run = folder.path().display().to_string();
    let info = setup.model_info()?;
    match trained {
        Ok(()) => {}
        Err(Error::Interrupted) => {
            let model = encode(&info, &setup.plan, &train::parameters(exec)?);
            folder.finish(&model, None)?;
            err(&format!(
                "interrupted {stopped_at}: weights and checkpoint are saved in {run}"
            ));
            ui.event(&json!({"event": "interrupted", "run": run}));
            return Err(Error::Interrupted);
        }
        Err(Error::Check(what)) => {
            let left = if folder.has_checkpoint() {
                "the log and the checkpoint of the last good epoch are"
            } else {
                "the log is"
            };
            return Err(Error::Check(format!("{what}; {left} in {run}")));
        }
        Err(e) => return Err(e),
    }
    let seconds = clock.elapsed().as_secs_f64();
    let range = n_train..n_train + setup.data.test.len();
    let test = train::evaluate(exec, range)?.swap_remove(0);
    if !test.loss.is_finite() {
        return Err(Error::Check(format!(
            "the test loss is no number: training has diverged\ntry a smaller --lr, --clip-norm 1, or another --opt; the log is in {run}"
        )));
    }
    let model = encode(&info, &setup.plan, &train::parameters(exec)?);
    folder.finish(&model, Some((test.loss, test.accuracy)))?;
    ui.result(&format!(
        "test accuracy {:.2} %, test loss {:.4}, after {seconds:.1} s of training on {}; run folder {run}",
        test.accuracy * 100.0,
        test.loss,
        backend.name
    ));
    ui.event(&json!({
        "event": "result",
        "test_loss": test.loss,
        "test_accuracy": test.accuracy,
        "train_seconds": seconds,
        "run": run,
    }));
    Ok(backend)
}
