//! What a run does, resolved: the configuration that options, file and defaults come to. A run
//! folder's `config.toml` is a [`Config`] and can be run again.

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::MemberState;
use super::class_weights::ClassWeights;
use super::file::member_name;
use super::options::{BatchSize, Full, overlay};
use super::schedule::{Planned, Schedule, Warmup};
use super::stopping::{Converged, EarlyStop};
use super::time_limit::parse_time;
use crate::data::options::DataOptions;
use crate::models::Sequential;
use crate::models::init::Initializer;
use crate::plan::{Hyper, Loss, OptimizerKind};
use crate::{Error, Result, suggest};

pub use super::options::TrainOptions;

/// Steps that a run has by default, where five epochs are fewer.
const DEFAULT_STEPS: usize = 2000;

/// A run with every default filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Config {
    /// `mnist`, or where the data lies.
    pub source: String,
    /// With everything said that decides which samples are in which part.
    #[serde(flatten)]
    pub data: DataOptions,
    /// Layer notation without the output layer.
    pub model: String,
    pub loss: String,
    pub huber_delta: f64,
    pub initializer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<String>,
    pub init_partial: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freeze: Option<String>,
    pub opt: String,
    pub lr: f64,
    pub momentum: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    pub alpha: f64,
    pub weight_decay: f64,
    pub schedule: String,
    pub warmup: String,
    pub accumulate: u32,
    pub ema: f64,
    pub l1: f64,
    pub l2: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
    pub label_smoothing: f64,
    pub class_weights: String,
    pub clip_norm: f64,
    pub max_norm: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early_stop: Option<u32>,
    pub min_delta: f64,
    pub until_converged: bool,
    pub tol: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_accuracy: Option<f64>,
    pub epochs: u32,
    pub batch: u32,
    pub seed: u64,
    pub no_shuffle: bool,
    /// What was taken: `cpu`, or the adapter's name.
    pub device: String,
    /// Kernel variants by shapes alone, never by a timing.
    #[serde(default = "yes")]
    pub deterministic: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_memory: Option<String>,
    pub checkpoint_minutes: f64,
    pub log_every: u32,
    /// Members that train on all folds but their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folds: Option<u32>,
    /// A population: what each member does otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub member: Vec<toml::Table>,
}

fn yes() -> bool {
    true
}

/// What the data say of a run.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// As the configuration names it.
    pub source: &'a str,
    /// The data options, with every default filled in.
    pub data: DataOptions,
    pub n_train: usize,
    pub n_val: usize,
    pub outputs: usize,
    pub regression: bool,
}

/// Whether these options have rules that look at a validation part.
pub fn needs_validation(options: &TrainOptions) -> bool {
    let plateau = |text: &str| text.trim().to_lowercase().starts_with("plateau");
    options.early_stop.is_some()
        || options.target_accuracy.is_some()
        || options.schedule.as_deref().is_some_and(plateau)
}

impl TrainOptions {
    /// Whether another optimiser is typed than the file names: its numbers would mean something else.
    fn changes_optimizer(&self, file: &TrainOptions) -> bool {
        self.opt.is_some() && file.opt.is_some() && self.opt != file.opt
    }

    /// The optimiser's values of `file` that these options leave out because they name another
    /// optimiser: "lr 0.003".
    pub fn drops_of(&self, file: &TrainOptions) -> Vec<String> {
        if !self.changes_optimizer(file) {
            return Vec::new();
        }
        let values = [
            ("lr", self.lr, file.lr),
            ("momentum", self.momentum, file.momentum),
            ("beta1", self.beta1, file.beta1),
            ("beta2", self.beta2, file.beta2),
            ("eps", self.eps, file.eps),
            ("alpha", self.alpha, file.alpha),
            ("weight-decay", self.weight_decay, file.weight_decay),
        ];
        values
            .into_iter()
            .filter(|(_, typed, _)| typed.is_none())
            .filter_map(|(name, _, value)| value.map(|value| format!("{name} {value:?}")))
            .collect()
    }

    /// These options over `under`, whose optimiser's numbers go where another optimiser is named.
    pub fn over(&self, under: &TrainOptions) -> TrainOptions {
        let mut under = under.clone();
        if self.changes_optimizer(&under) {
            under.lr = None;
            under.momentum = None;
            under.beta1 = None;
            under.beta2 = None;
            under.eps = None;
            under.alpha = None;
            under.weight_decay = None;
        }
        let mut merged = overlay(self, &under);
        if self.no_deterministic {
            merged.deterministic = Some(false);
        }
        merged
    }

    /// Fills in the defaults, and refuses what is absurd or without meaning. `typed` are the options
    /// that were typed, and so are refused where they would do nothing; a file states every value.
    ///
    /// # Errors
    /// [`Error::Usage`] that names the option, its value and what would do.
    pub fn resolve(&self, typed: &TrainOptions, facts: &Facts) -> Result<Config> {
        let opt = self.opt.as_deref().unwrap_or("adam").to_lowercase();
        let optimizer = OptimizerKind::from_name(&opt).ok_or_else(|| {
            let known = OptimizerKind::ALL.map(OptimizerKind::name);
            Error::Usage(format!(
                "--opt {opt}: no such optimiser{}",
                suggest::hint(&opt, known)
            ))
        })?;
        let loss = self.loss(facts)?;
        let model = Sequential::parse(self.model.as_deref().unwrap_or("mlp"), facts.outputs)?;
        let default = Hyper::new(optimizer);
        let number = |name: &str, value: Option<f64>, default: f64, range: Range| {
            range.check(name, value.unwrap_or(default))
        };
        // A configuration file states every value: there, a default says nothing.
        let set = |typed: Option<f64>, merged: Option<f64>, default: f64| {
            typed.is_some() || merged.is_some_and(|value| value != default)
        };
        let given = [
            (
                "momentum",
                set(typed.momentum, self.momentum, default.momentum),
            ),
            ("beta1", set(typed.beta1, self.beta1, default.beta1)),
            ("beta2", set(typed.beta2, self.beta2, default.beta2)),
            ("eps", set(typed.eps, self.eps, default.eps)),
            ("alpha", set(typed.alpha, self.alpha, default.alpha)),
        ];
        refuse_idle_numbers(optimizer, &given)?;
        self.refuse_idle(typed, loss, &model, facts)?;

        let batch = match self.batch {
            None => {
                let usual = if facts.n_train < 5000 { 32 } else { 128 };
                usual.min(facts.n_train as i64)
            }
            Some(BatchSize::Full(Full::Full)) => facts.n_train as i64,
            Some(BatchSize::Samples(n)) => n,
        };
        if batch < 1 || batch as usize > facts.n_train {
            return Err(Error::Usage(format!(
                "--batch {batch}: a batch has 1 to {} samples, the size of the training part; full takes all",
                facts.n_train
            )));
        }
        let steps = facts.n_train.div_ceil(batch as usize);
        let usual = DEFAULT_STEPS.div_ceil(steps).clamp(5, 200) as i64;
        let epochs = whole(
            "epochs",
            self.epochs.unwrap_or(usual),
            1..=1_000_000,
            "epochs",
        )?;
        let accumulate = self.accumulate.unwrap_or(1);
        let accumulate = whole("accumulate", accumulate, 1..=65_536, "batches an update")?;
        if accumulate as usize > steps {
            return Err(Error::Usage(format!(
                "--accumulate {accumulate}: an epoch has {steps} batches, and no update reaches into the next"
            )));
        }
        let early_stop = self
            .early_stop
            .map(|n| whole("early-stop", n, 1..=1_000_000, "epochs of patience"))
            .transpose()?;
        let initializer = self
            .initializer
            .as_deref()
            .unwrap_or("pytorch")
            .to_lowercase();
        let initializer = initializer.parse::<Initializer>()?;
        let schedule: Schedule = self.schedule.as_deref().unwrap_or("constant").parse()?;
        let warmup: Warmup = self.warmup.as_deref().unwrap_or("0").parse()?;
        let updates = steps.div_ceil(accumulate as usize) as u64;
        Planned::new(schedule, warmup, updates, epochs)?;
        let class_weights = self.class_weights.as_deref().unwrap_or("none");
        let class_weights: ClassWeights = class_weights.parse()?;
        if let Some(time) = &self.time {
            parse_time("--time", time)?;
        }
        if let Some(size) = &self.data_memory {
            parse_bytes(size)?;
        }
        let checkpoint_minutes = number(
            "checkpoint-minutes",
            self.checkpoint_minutes,
            5.0,
            Range::Positive,
        )?;
        Ok(Config {
            source: facts.source.to_string(),
            data: facts.data.clone(),
            model: model.to_string(),
            loss: loss.name().to_string(),
            huber_delta: number("huber-delta", self.huber_delta, 1.0, Range::Positive)?,
            initializer: initializer.to_string(),
            init: self.init.clone(),
            init_partial: self.init_partial.unwrap_or(false),
            freeze: self.freeze.clone(),
            lr: number("lr", self.lr, default.lr, Range::Positive)?,
            momentum: number("momentum", self.momentum, default.momentum, Range::BelowOne)?,
            beta1: number("beta1", self.beta1, default.beta1, Range::BelowOne)?,
            beta2: number("beta2", self.beta2, default.beta2, Range::BelowOne)?,
            eps: number("eps", self.eps, default.eps, Range::Positive)?,
            alpha: number("alpha", self.alpha, default.alpha, Range::BelowOne)?,
            weight_decay: number(
                "weight-decay",
                self.weight_decay,
                default.weight_decay,
                Range::NotNegative,
            )?,
            opt,
            schedule: schedule.to_string(),
            warmup: warmup.to_string(),
            accumulate,
            ema: number("ema", self.ema, 0.0, Range::BelowOne)?,
            l1: number("l1", self.l1, 0.0, Range::NotNegative)?,
            l2: number("l2", self.l2, 0.0, Range::NotNegative)?,
            dropout: self
                .dropout
                .map(|rate| Range::BelowOne.check("dropout", rate))
                .transpose()?,
            label_smoothing: number(
                "label-smoothing",
                self.label_smoothing,
                0.0,
                Range::BelowOne,
            )?,
            class_weights: class_weights.to_string(),
            clip_norm: number("clip-norm", self.clip_norm, 0.0, Range::NotNegative)?,
            max_norm: number("max-norm", self.max_norm, 0.0, Range::NotNegative)?,
            early_stop,
            min_delta: number("min-delta", self.min_delta, 0.0, Range::NotNegative)?,
            until_converged: self.until_converged.unwrap_or(false),
            tol: number("tol", self.tol, 1e-4, Range::NotNegative)?,
            time: self.time.clone(),
            target_accuracy: self
                .target_accuracy
                .map(|share| Range::Share.check("target-accuracy", share))
                .transpose()?,
            epochs,
            batch: batch as u32,
            seed: self.seed.unwrap_or(0),
            no_shuffle: self.no_shuffle.unwrap_or(false),
            device: self.device.clone().unwrap_or_else(|| "auto".to_string()),
            deterministic: self.deterministic.unwrap_or(true),
            data_memory: self.data_memory.clone(),
            checkpoint_minutes,
            log_every: whole(
                "log-every",
                self.log_every.unwrap_or((i64::from(epochs) / 20).max(1)),
                1..=1_000_000,
                "epochs",
            )?,
            folds: self
                .folds
                .map(|k| whole("folds", k, 2..=1000, "folds"))
                .transpose()?,
            member: Vec::new(),
        })
    }

    fn loss(&self, facts: &Facts) -> Result<Loss> {
        let usual = if facts.regression {
            "mse"
        } else {
            "cross-entropy"
        };
        let name = self.loss.as_deref().unwrap_or(usual).to_lowercase();
        let loss = Loss::from_name(&name).ok_or_else(|| {
            let known = Loss::ALL.map(Loss::name);
            Error::Usage(format!(
                "--loss {name}: no such loss{}",
                suggest::hint(&name, known)
            ))
        })?;
        if facts.regression && loss == Loss::CrossEntropy {
            return Err(Error::Usage(
                "--loss cross-entropy is for classes, and this target is a value: take mse, mae or huber, or --task classification".to_string(),
            ));
        }
        Ok(loss)
    }

    /// An option that the rest of the run would not look at is refused, not ignored.
    fn refuse_idle(
        &self,
        typed: &TrainOptions,
        loss: Loss,
        model: &Sequential,
        facts: &Facts,
    ) -> Result<()> {
        let on = |value: Option<f64>| value.is_some_and(|v| v != 0.0);
        let weighted = self
            .class_weights
            .as_deref()
            .is_some_and(|w| !w.eq_ignore_ascii_case("none"));
        let idle = [
            (
                on(self.label_smoothing) && loss != Loss::CrossEntropy,
                "--label-smoothing works with --loss cross-entropy only",
            ),
            (
                typed.huber_delta.is_some() && loss != Loss::Huber,
                "--huber-delta belongs to --loss huber",
            ),
            (
                weighted && facts.regression,
                "--class-weights: this target is a value and has no classes",
            ),
            (
                self.target_accuracy.is_some() && facts.regression,
                "--target-accuracy: this target is a value and has no accuracy; --until-converged or --early-stop may do",
            ),
            (
                typed.min_delta.is_some() && self.early_stop.is_none(),
                "--min-delta belongs to --early-stop",
            ),
            (
                typed.tol.is_some() && !self.until_converged.unwrap_or(false),
                "--tol belongs to --until-converged",
            ),
            (
                typed.no_deterministic && self.device.as_deref() == Some("cpu"),
                "--no-deterministic measures the kernel variants of an adapter, and --device cpu has none",
            ),
            (
                self.init_partial.unwrap_or(false) && self.init.is_none(),
                "--init-partial belongs to --init",
            ),
            (
                typed.initializer.is_some()
                    && self.init.is_some()
                    && !self.init_partial.unwrap_or(false),
                "--initializer and --init contradict each other: the weights are drawn or read, not both",
            ),
            (
                self.batch == Some(BatchSize::Samples(1))
                    && model.to_string().contains("batchnorm"),
                "--batch 1: batchnorm normalises over the samples of a batch, and one has no spread: take a larger batch, or layernorm",
            ),
            (
                typed.dropout.is_some() && model.n_dropout() == 0,
                "--dropout sets the rate of the model's dropout layers, and it has none: add some, such as --model \"linear:128,relu,dropout:0.2\"",
            ),
            (
                needs_validation(self) && facts.n_val == 0,
                "--early-stop, --schedule plateau and --target-accuracy look at a validation part, and there is none: take --val-split 0.1",
            ),
        ];
        match idle.iter().find(|(idle, _)| *idle) {
            Some((_, what)) => Err(Error::Usage(what.to_string())),
            None => Ok(()),
        }
    }
}

/// The optimisers that have a number of that name (momentum, beta1, beta2, eps, alpha); all of them for
/// another name.
pub fn users_of(name: &str) -> &'static [OptimizerKind] {
    use OptimizerKind::{Adagrad, Adam, Adamw, Momentum, Nesterov, Rmsprop};
    match name {
        "momentum" => &[Momentum, Nesterov],
        "beta1" | "beta2" => &[Adam, Adamw],
        "eps" => &[Adagrad, Rmsprop, Adam, Adamw],
        "alpha" => &[Rmsprop],
        _ => &OptimizerKind::ALL,
    }
}

fn refuse_idle_numbers(optimizer: OptimizerKind, given: &[(&str, bool)]) -> Result<()> {
    for (name, _) in given.iter().filter(|(_, given)| *given) {
        let users = users_of(name);
        if !users.contains(&optimizer) {
            let names: Vec<&str> = users.iter().map(|kind| kind.name()).collect();
            return Err(Error::Usage(format!(
                "--{name} has no meaning for --opt {optimizer}: it belongs to {}",
                names.join(", ")
            )));
        }
    }
    Ok(())
}

/// A whole number within a range.
fn whole(name: &str, n: i64, range: std::ops::RangeInclusive<i64>, of: &str) -> Result<u32> {
    match u32::try_from(n) {
        Ok(value) if range.contains(&n) => Ok(value),
        _ => Err(Error::Usage(format!(
            "--{name} {n}: it must be {} to {} {of}",
            range.start(),
            range.end()
        ))),
    }
}

/// Reads a size such as 64MB, 1.5GB, 128MiB or a number of bytes.
pub fn parse_bytes(text: &str) -> Result<u64> {
    let lower = text.trim().to_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_alphabetic()).trim();
    let unit = match lower[digits.len()..].trim() {
        "" | "b" => 1.0,
        "kb" | "k" => 1e3,
        "mb" | "m" => 1e6,
        "gb" | "g" => 1e9,
        "kib" => 1024.0,
        "mib" => 1_048_576.0,
        "gib" => 1_073_741_824.0,
        _ => f64::NAN,
    };
    let bytes = digits.parse::<f64>().unwrap_or(f64::NAN) * unit;
    if bytes.is_finite() && (1.0..1e15).contains(&bytes) {
        return Ok(bytes as u64);
    }
    Err(Error::Usage(format!(
        "--data-memory {text}: write a size, such as 64MB, 1.5GB or 128MiB"
    )))
}

#[derive(Clone, Copy)]
enum Range {
    Positive,
    NotNegative,
    /// 0 up to but not including 1.
    BelowOne,
    /// Above 0 up to 1.
    Share,
}

impl Range {
    fn check(self, name: &str, value: f64) -> Result<f64> {
        let (fits, words) = match self {
            // The kernels compute in f32: what it cannot hold is refused here, not rounded to 0.
            Range::Positive => (
                value as f32 > 0.0 && (value as f32).is_finite(),
                "a positive number",
            ),
            Range::NotNegative => (
                value >= 0.0 && (value as f32).is_finite(),
                "a number from 0 up",
            ),
            Range::BelowOne => (
                (0.0..1.0).contains(&value) && (value as f32) < 1.0,
                "in [0, 1)",
            ),
            Range::Share => (value > 0.0 && value <= 1.0, "above 0 and at most 1"),
        };
        if fits {
            Ok(value)
        } else {
            Err(Error::Usage(format!(
                "--{name} {value}: it must be {words}, within what 32-bit floats hold"
            )))
        }
    }
}

impl Config {
    /// Whether several members train together.
    pub fn is_population(&self) -> bool {
        self.member.len() > 1 || self.folds.is_some()
    }

    /// The name of a member in tables and charts.
    pub fn member_name(&self, ix: usize) -> String {
        match self.folds {
            Some(_) => format!("fold {ix}"),
            None => member_name(ix, self.member.get(ix)),
        }
    }

    /// Members that train together.
    pub fn n_members(&self) -> usize {
        self.folds.map_or(self.member.len().max(1), |k| k as usize)
    }

    /// The model, with its output layer.
    pub fn sequential(&self, outputs: usize) -> Result<Sequential> {
        Sequential::parse(&self.model, outputs)
    }

    /// One member's hyper-parameters, dropout rates as the plan recorded them unless this names one.
    pub fn hyper(&self, dropout: &[f64]) -> Hyper {
        let optimizer = OptimizerKind::from_name(&self.opt).expect("resolved");
        Hyper {
            optimizer,
            lr: self.lr,
            momentum: self.momentum,
            beta1: self.beta1,
            beta2: self.beta2,
            eps: self.eps,
            alpha: self.alpha,
            weight_decay: self.weight_decay,
            l1: self.l1,
            l2: self.l2,
            clip_norm: self.clip_norm,
            max_norm: self.max_norm,
            huber_delta: self.huber_delta,
            label_smoothing: self.label_smoothing,
            dropout: match self.dropout {
                Some(rate) => vec![rate; dropout.len()],
                None => dropout.to_vec(),
            },
            seed: self.seed,
            ..Hyper::new(optimizer)
        }
    }

    pub fn loss(&self) -> Loss {
        Loss::from_name(&self.loss).expect("resolved")
    }

    pub fn initializer(&self) -> Initializer {
        self.initializer.parse().expect("resolved")
    }

    /// Names of the layers that do not train.
    pub fn frozen(&self) -> Vec<String> {
        let list = self.freeze.as_deref().unwrap_or("");
        let names = list
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        names.map(str::to_string).collect()
    }

    /// The learning rate's plan over the run's updates, for `n_train` samples.
    pub fn planned(&self, n_train: usize) -> Result<Planned> {
        let steps = n_train.div_ceil(self.batch as usize);
        let updates = steps.div_ceil(self.accumulate as usize) as u64;
        Planned::new(
            self.schedule.parse()?,
            self.warmup.parse()?,
            updates,
            self.epochs,
        )
    }

    /// What the rules remember at the start of a run.
    pub fn member_state(&self) -> Result<MemberState> {
        let early = self.early_stop.map(|n| EarlyStop::new(n, self.min_delta));
        Ok(MemberState {
            early: early.transpose()?,
            converged: self.until_converged.then(|| Converged::new(self.tol, 10)),
            ..MemberState::default()
        })
    }

    pub fn time(&self) -> Option<Duration> {
        let time = self.time.as_deref();
        time.map(|time| parse_time("--time", time).expect("resolved"))
    }

    pub fn data_memory(&self) -> Option<u64> {
        let size = self.data_memory.as_deref();
        size.map(|size| parse_bytes(size).expect("resolved"))
    }
}
