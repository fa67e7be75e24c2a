//! One training run from options to run folder: the shared part of `mnist` and, later, `train`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::json;

use super::compare;
use super::live::Live;
use super::memory;
use super::open::{self, Backend, Opened};
use super::ui::{Ui, thousands};
use crate::data::Dataset;
use crate::gpu::{Device, adapter};
use crate::models::file::{ModelInfo, Normalization, encode};
use crate::models::initial_parameters;
use crate::plan::{Hyper, Plan};
use crate::train::compare::{Budget, compare as measure};
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
struct Setup {
    data: Dataset,
    config: Config,
    plan: Arc<Plan>,
    hyper: Vec<Hyper>,
    normalization: Normalization,
    initial: Vec<f32>,
}

pub fn run(request: Request) -> Result<()> {
    let ui = request.ui;
    let which = request.typed.device.clone();
    let which = which.or(request.file.device.clone());
    let which = which.unwrap_or_else(|| "auto".to_string());
    // The data is decoded while the adapter opens.
    let load = request.load;
    let loading = std::thread::spawn(load);
    let opened = open::open(&which);
    let data = loading
        .join()
        .map_err(|_| Error::Data("reading the data failed".to_string()))??;
    let opened = opened?;

    let mut setup = prepare(data, request.typed, request.file, request.name)?;
    if request.dump_plan {
        super::ui::out(setup.plan.to_string().trim_end());
        return Ok(());
    }
    let path = reserve(request.out.as_deref(), request.name)?;
    describe(&ui, &setup);
    let device = match &opened {
        Opened::Cpu => None,
        Opened::Gpu(device) => Some(device.clone()),
        Opened::Auto(device) => device.clone(),
    };
    let backend = match opened {
        Opened::Cpu => open::cpu(&setup.plan),
        Opened::Gpu(device) => open::gpu(&setup.plan, &device),
        Opened::Auto(None) => {
            ui.say(&format!("training on cpu: {}", adapter::REMEDY));
            open::cpu(&setup.plan)
        }
        Opened::Auto(Some(device)) => faster(&ui, &setup, &device),
    };
    let backend = backend.inspect_err(|_| {
        // Nothing was trained: the folder is still empty, and stays if it is not.
        let _ = std::fs::remove_dir(&path);
    })?;
    setup.config.device = backend.device.clone();
    let folder = RunFolder::create(path, &setup.config, false)?;
    let backend = run_on(&ui, &setup, backend, folder, request.started)?;
    if request.compare {
        compare_after(&ui, &setup, backend, device)?;
    }
    Ok(())
}

fn prepare(data: Dataset, typed: TrainOptions, file: TrainOptions, name: &str) -> Result<Setup> {
    let (n_train, classes) = (data.train.len(), data.classes.len());
    let config = typed.resolve(file, name, n_train, classes)?;
    let model = config.sequential(classes)?;
    memory::check_model(&model, data.shape.len(), 1)?;
    let spec = feed::spec(
        &data,
        1,
        config.batch as usize,
        config.clip_norm > 0.0,
        config.loss(),
    );
    let plan = Arc::new(Plan::record(&spec, |rec, x| model.forward(rec, x)));
    let hyper = vec![config.hyper(&plan.dropout)];
    let initial = initial_parameters(&plan, config.seed);
    Ok(Setup {
        normalization: Normalization::unit(data.shape.len()),
        data,
        config,
        plan,
        hyper,
        initial,
    })
}

fn describe(ui: &Ui, setup: &Setup) {
    let (data, config) = (&setup.data, &setup.config);
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
        "model: {} -> {model}{}, {} parameters; {}, {} lr {}, batch {}, {} epoch{}, seed {}",
        data.shape.len(),
        data.classes.len(),
        thousands(setup.plan.n_parameters() as f64),
        config.loss,
        config.opt,
        config.lr,
        config.batch,
        config.epochs,
        if config.epochs == 1 { "" } else { "s" },
        config.seed
    ));
}

/// `--device auto`: a few steps of this very plan on both, and the faster one in one plain line.
fn faster(ui: &Ui, setup: &Setup, device: &Arc<Device>) -> Result<Backend> {
    let mut cpu = open::cpu(&setup.plan)?;
    let mut gpu = match open::gpu(&setup.plan, device) {
        Ok(gpu) => gpu,
        Err(e) => {
            ui.say(&format!("training on cpu: {e}"));
            return Ok(cpu);
        }
    };
    let table = setup.normalization.table();
    let c = measure(
        &mut *cpu.exec,
        &mut *gpu.exec,
        &setup.data,
        &table,
        &setup.hyper,
        &setup.initial,
        Budget::SHORT,
    )?;
    for line in compare::table(&cpu, &gpu, &c.a, &c.b) {
        ui.say(&line);
    }
    let ratio = c.a.ms_per_step / c.b.ms_per_step;
    let kind = if gpu.software {
        ", a software adapter"
    } else {
        ""
    };
    if ratio > 1.0 {
        ui.say(&format!(
            "training on {}: {ratio:.1}x as fast here as the cpu; `--device cpu` insists on the cpu",
            gpu.device
        ));
        Ok(gpu)
    } else {
        ui.say(&format!(
            "training on cpu: {:.1}x as fast here as {}{kind}; `--device gpu` insists on the adapter",
            1.0 / ratio,
            gpu.device
        ));
        Ok(cpu)
    }
}

fn run_on(
    ui: &Ui,
    setup: &Setup,
    mut backend: Backend,
    folder: RunFolder,
    started: Instant,
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
    feed::upload_data(exec, &setup.data, &setup.normalization.table())?;
    feed::upload_rows(exec, &setup.hyper)?;
    train::set_parameters(exec, &setup.initial)?;
    exec.upload(setup.plan.state, 0, &vec![0; setup.initial.len() * 2])?;

    let stop = Arc::new(AtomicBool::new(false));
    stop_on_interrupt(&stop);
    let job = Job {
        hyper: &setup.hyper,
        n_train,
        epochs: config.epochs,
        shuffle: !config.no_shuffle,
        stop: &stop,
    };
    let mut live = Live::new(*ui, folder, started, config.epochs, n_train);
    let training = Instant::now();
    let trained = train::train(exec, &job, &mut live);
    live.clear();
    let mut folder = live.into_folder();
    let info = ModelInfo::new(
        &config.sequential(setup.data.classes.len())?,
        &setup.data.classes,
        setup.data.shape,
        config.loss(),
        setup.normalization.clone(),
        &config.source,
    );
    if let Err(e) = trained {
        if let Error::Interrupted = e {
            let model = encode(&info, &setup.plan, &train::parameters(exec)?);
            folder.finish(&model, None)?;
            eprintln!(
                "interrupted: weights and checkpoint are saved in {}",
                folder.path().display()
            );
        }
        return Err(match e {
            Error::Check(what) if folder.has_checkpoint() => Error::Check(format!(
                "{what}; the checkpoint of the last whole epoch is in {}",
                folder.path().display()
            )),
            e => e,
        });
    }
    let seconds = training.elapsed().as_secs_f64();
    let range = n_train..n_train + setup.data.test.len();
    let test = train::evaluate(exec, range)?.swap_remove(0);
    let model = encode(&info, &setup.plan, &train::parameters(exec)?);
    folder.finish(&model, Some((test.loss, test.accuracy)))?;
    let run = folder.path().display().to_string();
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

/// The comparison proper, on the executor that trained and the one that did not.
fn compare_after(
    ui: &Ui,
    setup: &Setup,
    trained: Backend,
    device: Option<Arc<Device>>,
) -> Result<()> {
    let (mut cpu, mut gpu) = if trained.device == "cpu" {
        let device = match device {
            Some(device) => device,
            None => match adapter::adapters().first() {
                Some(adapter) => Device::open(adapter)?,
                None => {
                    ui.say(&format!(
                        "no CPU against GPU comparison: {}",
                        adapter::REMEDY
                    ));
                    return Ok(());
                }
            },
        };
        match open::gpu(&setup.plan, &device) {
            Ok(gpu) => (trained, gpu),
            Err(e) => {
                ui.say(&format!("no CPU against GPU comparison: {e}"));
                return Ok(());
            }
        }
    } else {
        (open::cpu(&setup.plan)?, trained)
    };
    let table = setup.normalization.table();
    let c = measure(
        &mut *cpu.exec,
        &mut *gpu.exec,
        &setup.data,
        &table,
        &setup.hyper,
        &setup.initial,
        Budget::FULL,
    )?;
    compare::report(ui, &cpu, &gpu, &c);
    Ok(())
}

/// Ctrl-C asks the loop to save and stop; a second one ends the program at once.
fn stop_on_interrupt(stop: &Arc<AtomicBool>) {
    let stop = stop.clone();
    let set = ctrlc::set_handler(move || {
        if stop.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
    // Without a handler Ctrl-C ends the program as it does any other: the last checkpoint stays.
    drop(set);
}
