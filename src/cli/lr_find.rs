//! `gpu-train lr-find`: the learning-rate range test on a person's own data.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use serde_json::json;

use super::artefacts::check_png;
use super::setup::{Setup, Wanted};
use super::ui::Ui;
use super::{interrupt, open};
use crate::data::load::load;
use crate::data::options::DataOptions;
use crate::files::write_whole;
use crate::plan::PassKind;
use crate::report::lr_find as chart;
use crate::train::config::TrainOptions;
use crate::train::feed::{self, Segment};
use crate::train::file::Options;
use crate::train::lr_find::{Rule, Sweep};
use crate::{Error, Result};

#[derive(clap::Args)]
pub struct Args {
    /// As `gpu-train train` takes it
    #[arg(value_name = "DATA")]
    data: String,
    #[command(flatten)]
    options: DataOptions,
    #[command(flatten)]
    train: TrainOptions,
    /// The lowest learning rate
    #[arg(long, value_name = "LR", default_value_t = Sweep::DEFAULT.0, help_heading = "Sweep")]
    from: f64,
    /// The highest
    #[arg(long, value_name = "LR", default_value_t = Sweep::DEFAULT.1, help_heading = "Sweep")]
    to: f64,
    /// Steps of the sweep
    #[arg(long, value_name = "N", default_value_t = 200, help_heading = "Sweep")]
    steps: usize,
    /// The plot
    #[arg(
        long,
        value_name = "FILE.png",
        default_value = "lr-find.png",
        help_heading = "Output"
    )]
    plot: PathBuf,
    /// One JSON object a line on standard output; prose goes to standard error
    #[arg(long, help_heading = "Output")]
    pub json: bool,
}

pub fn run(args: &Args, started: Instant) -> Result<()> {
    let ui = Ui {
        json: args.json,
        quiet: false,
        silent: false,
    };
    let mut sweep = Sweep::new(args.from, args.to, args.steps)?;
    refuse_idle(&args.train)?;
    check_png("plot", &args.plot)?;
    let stop = interrupt::flag("stopping");
    let loaded = load(&args.data, &args.options, false)?;
    let which = args
        .train
        .device
        .clone()
        .unwrap_or_else(|| "cpu".to_string());
    let device = match open::open(&which)? {
        open::Opened::Cpu => None,
        open::Opened::Gpu(device) => Some(device),
        // Without an adapter that opens, the CPU path.
        open::Opened::Auto(adapters) => open::best_of(&adapters).ok(),
    };
    let wanted = Wanted {
        source: &args.data,
        typed: &args.train,
        file: &Options::default(),
        resumes: false,
    };
    let limit = device.as_ref().map(|d| d.largest_buffer());
    let setup = Setup::new(Arc::new(loaded), &wanted, limit)?;
    let mut backend = match &device {
        Some(device) => open::gpu(&setup.plan, device)?,
        None => open::cpu(&setup.plan)?,
    };
    setup.describe_data(&ui);
    setup.describe_model(&ui);
    let feed = setup.feed();
    let exec = &mut *backend.exec;
    feed.load(exec)?;
    feed::upload_rows(exec, &setup.hyper)?;
    crate::train::start_from(exec, setup.initial())?;
    let rates: Vec<f64> = sweep.rates().collect();
    let train = &setup.loaded.data.parts.train;
    let (batch, capacity) = (exec.plan().train.batch, exec.plan().train.capacity);
    let per_epoch = train.len().div_ceil(batch);
    let shuffle = !setup.config.no_shuffle;
    let accumulate = setup.config.accumulate as usize;
    let mut step = 0;
    'sweep: while step < rates.len() * accumulate {
        let (epoch, first) = (step / per_epoch, step % per_epoch);
        let epoch = epoch as u32 + 1;
        let orders: Vec<_> = setup
            .hyper
            .iter()
            .map(|hyper| feed::epoch_order(hyper, epoch, train, shuffle))
            .collect();
        let count = capacity.min(per_epoch - first).min(32);
        let lr = |_: usize, update: u64| rates[(update as usize).min(rates.len() - 1)];
        let tables = Segment {
            hyper: &setup.hyper,
            orders: &orders,
            epochs: &vec![epoch; orders.len()],
            lr: &lr,
            accumulate,
            ema: setup.config.ema,
            first,
            count,
        };
        feed.train_segment(exec, &tables)?;
        for slot in 0..count {
            if stop.load(Ordering::Relaxed) {
                super::ui::err("interrupted: nothing was written");
                return Err(Error::Interrupted);
            }
            exec.submit(PassKind::Train, slot..slot + 1)?;
            let Some(metrics) = exec.collect()? else {
                break 'sweep;
            };
            let at = first + slot;
            let valid = batch.min(train.len() - at * batch) as f64;
            // A rate's loss is that of the first batch of its update.
            let is_first = at % accumulate == 0;
            let more = sweep.points().len() < rates.len();
            if is_first && (!more || !sweep.push(metrics.sums[0][0] / valid)) {
                break 'sweep;
            }
        }
        step += count;
    }
    let suggestion = sweep.suggest(Rule::Steepest);
    let points = sweep.points();
    let raw: Vec<(f64, f64)> = points.iter().map(|p| (p.lr, p.loss)).collect();
    let smooth: Vec<(f64, f64)> = points.iter().map(|p| (p.lr, p.smoothed)).collect();
    let title = format!(
        "{}: {} · batch {}",
        setup.loaded.data.name, setup.config.opt, setup.config.batch
    );
    let png = chart::draw(&chart::Sweep {
        title: &title,
        raw: &raw,
        smooth: &smooth,
        suggestion: suggestion.as_ref().ok().map(|s| s.lr),
    })
    .map_err(|e| Error::Data(format!("cannot draw {}: {e}", args.plot.display())))?;
    write_whole(&args.plot, &png)?;
    for p in points {
        ui.event(&json!({"event": "point", "lr": p.lr, "loss": p.loss, "smoothed": p.smoothed}));
    }
    let suggestion = suggestion.map_err(|e| match e {
        Error::Check(what) => {
            Error::Check(format!("{what}; the sweep is in {}", args.plot.display()))
        }
        e => e,
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let last = points.last().map_or(args.from, |p| p.lr);
    let broke_off = match points.len() < rates.len() {
        true => ", where the loss had grown fourfold,",
        false => "",
    };
    ui.result(&format!(
        "suggested: --lr {:.1e}, where the loss falls fastest; around {:.1e} it falls no more; {} steps from {:.1e} to {last:.1e}{broke_off} in {seconds:.1} s on {}; plot {}",
        suggestion.lr,
        suggestion.lowest,
        points.len(),
        args.from,
        backend.name,
        args.plot.display()
    ));
    ui.event(&json!({
        "event": "lr_find",
        "suggestion": suggestion.lr,
        "lowest": suggestion.lowest,
        "steps": points.len(),
        "plot": args.plot.display().to_string(),
    }));
    Ok(())
}

/// Options of a training that a sweep has no use for.
fn refuse_idle(options: &TrainOptions) -> Result<()> {
    if options.lr.is_some() || options.schedule.is_some() || options.warmup.is_some() {
        return Err(Error::Usage(
            "--lr, --schedule and --warmup are what lr-find is to find; the range is --from and --to".to_string(),
        ));
    }
    let idle = [
        ("epochs", options.epochs.is_some()),
        ("folds", options.folds.is_some()),
        ("early-stop", options.early_stop.is_some()),
        ("min-delta", options.min_delta.is_some()),
        ("until-converged", options.until_converged.is_some()),
        ("tol", options.tol.is_some()),
        ("time", options.time.is_some()),
        ("target-accuracy", options.target_accuracy.is_some()),
        ("log-every", options.log_every.is_some()),
        ("checkpoint-minutes", options.checkpoint_minutes.is_some()),
        ("no-deterministic", options.no_deterministic),
    ];
    match idle.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(Error::Usage(format!(
            "--{name} has no meaning for lr-find, which trains for --steps steps"
        ))),
        None => Ok(()),
    }
}
