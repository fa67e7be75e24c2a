//! One training run from options to run folder: the shared part of `mnist` and, later, `train`.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use serde_json::json;

use super::live::Live;
use super::open::{self, Backend, Opened};
use super::setup::Setup;
use super::ui::{Ui, err, out};
use super::{compare, interrupt};
use crate::data::Dataset;
use crate::gpu::lower;
use crate::models::file::encode;
use crate::plan::Plan;
use crate::train::run_folder::{RunFolder, reserve};
use crate::train::{self, Job, TrainOptions, feed};
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
