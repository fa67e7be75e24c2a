//! What a run does, resolved: the options as typed or read from a file, and the configuration that
//! they become. A run folder's `config.toml` is a [`Config`] and can be run again.

use serde::{Deserialize, Serialize};

use crate::models::Sequential;
use crate::plan::{Hyper, Loss, OptimizerKind};
use crate::{Error, Result, suggest};

/// The options of a training run; absent ones take the configuration file's value or the default.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct TrainOptions {
    /// Data that a configuration file was made for
    #[arg(skip)]
    pub source: Option<String>,
    /// Layers: a preset (mlp, softmax) or a notation such as "linear:128,relu,dropout:0.2"; layers are linear:UNITS, dropout:RATE, relu, leaky-relu, tanh, sigmoid, gelu; the output layer is appended [default: mlp, which is linear:128,relu]
    #[arg(long, value_name = "LAYERS", help_heading = "Model")]
    pub model: Option<String>,
    /// cross-entropy (softmax) or mse (one-hot against raw outputs) [default: cross-entropy]
    #[arg(long, help_heading = "Model")]
    pub loss: Option<String>,
    /// sgd, momentum, nesterov, adagrad, rmsprop, adam or adamw [default: adam]
    #[arg(long, value_name = "NAME", help_heading = "Optimiser")]
    pub opt: Option<String>,
    /// Learning rate [default: 0.001 for adam, adamw, rmsprop; 0.01 for momentum, nesterov, adagrad; 0.1 for sgd]
    #[arg(long, allow_negative_numbers = true, help_heading = "Optimiser")]
    pub lr: Option<f64>,
    /// Momentum of momentum and nesterov [default: 0.9]
    #[arg(long, allow_negative_numbers = true, help_heading = "Optimiser")]
    pub momentum: Option<f64>,
    /// Decay of the first moment of adam and adamw [default: 0.9]
    #[arg(long, allow_negative_numbers = true, help_heading = "Optimiser")]
    pub beta1: Option<f64>,
    /// Decay of the second moment of adam and adamw [default: 0.999]
    #[arg(long, allow_negative_numbers = true, help_heading = "Optimiser")]
    pub beta2: Option<f64>,
    /// Added to the denominator of adagrad, rmsprop, adam and adamw [default: 1e-10 for adagrad, else 1e-8]
    #[arg(long, allow_negative_numbers = true, help_heading = "Optimiser")]
    pub eps: Option<f64>,
    /// Smoothing constant of rmsprop [default: 0.99]
    #[arg(long, allow_negative_numbers = true, help_heading = "Optimiser")]
    pub alpha: Option<f64>,
    /// The optimiser's own decay: decoupled for adamw, added to the gradient elsewhere; all parameters [default: 0.01 for adamw, else 0]
    #[arg(long, allow_negative_numbers = true, help_heading = "Optimiser")]
    pub weight_decay: Option<f64>,
    /// Adds this times the sum of |w| to the objective; weights, not biases [default: 0]
    #[arg(long, allow_negative_numbers = true, help_heading = "Regularisation")]
    pub l1: Option<f64>,
    /// Adds this times the sum of w^2 to the objective; weights, not biases [default: 0]
    #[arg(long, allow_negative_numbers = true, help_heading = "Regularisation")]
    pub l2: Option<f64>,
    /// Spreads this much of each label over all classes; cross-entropy only [default: 0]
    #[arg(long, allow_negative_numbers = true, help_heading = "Regularisation")]
    pub label_smoothing: Option<f64>,
    /// Scales the gradient down to this global norm where it is larger; 0 is off [default: 0]
    #[arg(long, allow_negative_numbers = true, help_heading = "Regularisation")]
    pub clip_norm: Option<f64>,
    /// Times that every training sample is seen [default: 5]
    #[arg(long, allow_negative_numbers = true, help_heading = "Run")]
    pub epochs: Option<i64>,
    /// Samples per step; the last, shorter batch of an epoch is trained too [default: 128, or all samples where there are fewer]
    #[arg(long, allow_negative_numbers = true, help_heading = "Run")]
    pub batch: Option<i64>,
    /// Seed of weights, shuffles and dropout; equal seeds give equal bits on one device [default: 0]
    #[arg(long, help_heading = "Run")]
    pub seed: Option<u64>,
    /// Keep the samples in the data's order
    #[arg(
        long,
        help_heading = "Run",
        num_args = 0,
        default_missing_value = "true"
    )]
    pub no_shuffle: Option<bool>,
    /// auto (measure, take the faster), gpu (the best adapter), cpu, or an adapter's number or name (see `gpu-train devices`) [default: auto]
    #[arg(long, value_name = "WHICH", help_heading = "Run")]
    pub device: Option<String>,
}

/// A run with every default filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Config {
    /// `mnist`, or where the data lies.
    pub source: String,
    /// Layer notation without the output layer.
    pub model: String,
    pub loss: String,
    pub opt: String,
    pub lr: f64,
    pub momentum: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    pub alpha: f64,
    pub weight_decay: f64,
    pub l1: f64,
    pub l2: f64,
    pub label_smoothing: f64,
    pub clip_norm: f64,
    pub epochs: u32,
    pub batch: u32,
    pub seed: u64,
    pub no_shuffle: bool,
    /// What was taken: `cpu`, or the adapter's name.
    pub device: String,
}

macro_rules! or {
    ($over:ident, $under:ident, $($field:ident),*) => {
        TrainOptions { $($field: $over.$field.or($under.$field)),* }
    };
}

impl TrainOptions {
    /// These options, with `under` wherever they say nothing.
    pub fn or(self, under: TrainOptions) -> TrainOptions {
        or!(
            self,
            under,
            source,
            model,
            loss,
            opt,
            lr,
            momentum,
            beta1,
            beta2,
            eps,
            alpha,
            weight_decay,
            l1,
            l2,
            label_smoothing,
            clip_norm,
            epochs,
            batch,
            seed,
            no_shuffle,
            device
        )
    }

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

    /// Fills in `under`, a configuration file's values, and then the defaults for data of `n_train`
    /// samples, and refuses what is absurd.
    ///
    /// # Errors
    /// [`Error::Usage`] that names the option, its value and what would do.
    pub fn resolve(
        self,
        under: TrainOptions,
        source: &str,
        n_train: usize,
        classes: usize,
    ) -> Result<Config> {
        let typed = self.clone();
        let mut under = under;
        if self.changes_optimizer(&under) {
            under = TrainOptions {
                lr: None,
                momentum: None,
                beta1: None,
                beta2: None,
                eps: None,
                alpha: None,
                weight_decay: None,
                ..under
            };
        }
        self.or(under).fill_in(&typed, source, n_train, classes)
    }

    fn fill_in(
        self,
        typed: &TrainOptions,
        source: &str,
        n_train: usize,
        classes: usize,
    ) -> Result<Config> {
        let opt_name = self.opt.unwrap_or_else(|| "adam".to_string());
        let opt_name = opt_name.to_lowercase();
        let optimizer = OptimizerKind::from_name(&opt_name).ok_or_else(|| {
            let known = OptimizerKind::ALL.map(OptimizerKind::name);
            Error::Usage(format!(
                "--opt {opt_name}: no such optimiser{}",
                suggest::hint(&opt_name, known)
            ))
        })?;
        let loss_name = self.loss.unwrap_or_else(|| "cross-entropy".to_string());
        let loss_name = loss_name.to_lowercase();
        let loss = Loss::from_name(&loss_name).ok_or_else(|| {
            Error::Usage(format!(
                "--loss {loss_name}: no such loss{}",
                suggest::hint(&loss_name, ["cross-entropy", "mse"])
            ))
        })?;
        let model = Sequential::parse(self.model.as_deref().unwrap_or("mlp"), classes)?;
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
            (
                "label-smoothing",
                set(typed.label_smoothing, self.label_smoothing, 0.0),
            ),
        ];
        refuse_idle(optimizer, loss, &given)?;
        let epochs = self.epochs.unwrap_or(5);
        if !(1..=1_000_000).contains(&epochs) {
            return Err(Error::Usage(format!(
                "--epochs {epochs}: train for 1 to 1,000,000 epochs"
            )));
        }
        let batch = self.batch.unwrap_or(128.min(n_train as i64));
        if batch < 1 || batch as usize > n_train {
            return Err(Error::Usage(format!(
                "--batch {batch}: a batch has 1 to {n_train} samples, the size of the training part"
            )));
        }
        Ok(Config {
            source: source.to_string(),
            model: model.to_string(),
            loss: loss_name,
            opt: opt_name,
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
            l1: number("l1", self.l1, 0.0, Range::NotNegative)?,
            l2: number("l2", self.l2, 0.0, Range::NotNegative)?,
            label_smoothing: number(
                "label-smoothing",
                self.label_smoothing,
                0.0,
                Range::BelowOne,
            )?,
            clip_norm: number("clip-norm", self.clip_norm, 0.0, Range::NotNegative)?,
            epochs: epochs as u32,
            batch: batch as u32,
            seed: self.seed.unwrap_or(0),
            no_shuffle: self.no_shuffle.unwrap_or(false),
            device: self.device.unwrap_or_else(|| "auto".to_string()),
        })
    }
}

/// An option that the chosen optimiser or loss would not look at is refused, not ignored.
fn refuse_idle(optimizer: OptimizerKind, loss: Loss, given: &[(&str, bool)]) -> Result<()> {
    use OptimizerKind::{Adagrad, Adam, Adamw, Momentum, Nesterov, Rmsprop};
    for (name, _) in given.iter().filter(|(_, given)| *given) {
        let users: &[OptimizerKind] = match *name {
            "momentum" => &[Momentum, Nesterov],
            "beta1" | "beta2" => &[Adam, Adamw],
            "eps" => &[Adagrad, Rmsprop, Adam, Adamw],
            "alpha" => &[Rmsprop],
            "label-smoothing" if loss == Loss::CrossEntropy => continue,
            "label-smoothing" => {
                return Err(Error::Usage(
                    "--label-smoothing works with --loss cross-entropy only".to_string(),
                ));
            }
            _ => continue,
        };
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

#[derive(Clone, Copy)]
enum Range {
    Positive,
    NotNegative,
    /// 0 up to but not including 1.
    BelowOne,
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
    /// The model, with its output layer.
    pub fn sequential(&self, classes: usize) -> Result<Sequential> {
        Sequential::parse(&self.model, classes)
    }

    /// One member's hyper-parameters, dropout rates as the plan recorded them.
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
            label_smoothing: self.label_smoothing,
            dropout: dropout.to_vec(),
            seed: self.seed,
            active: true,
        }
    }

    pub fn loss(&self) -> Loss {
        Loss::from_name(&self.loss).expect("resolved")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(change: impl FnOnce(&mut TrainOptions)) -> Result<Config> {
        let mut options = TrainOptions::default();
        change(&mut options);
        options.resolve(TrainOptions::default(), "mnist", 1000, 10)
    }

    #[test]
    fn defaults_follow_the_optimiser() {
        let config = resolve(|_| {}).unwrap();
        assert_eq!(
            (config.opt.as_str(), config.lr, config.batch),
            ("adam", 0.001, 128)
        );
        let config = resolve(|o| o.opt = Some("adamw".into())).unwrap();
        assert_eq!(config.weight_decay, 0.01);
        let config = resolve(|o| o.opt = Some("adagrad".into())).unwrap();
        assert_eq!(config.eps, 1e-10);
        let small = TrainOptions::default()
            .resolve(TrainOptions::default(), "mnist", 50, 10)
            .unwrap();
        assert_eq!(small.batch, 50);
    }

    #[test]
    fn absurd_numbers_are_refused_by_name() {
        type Change = fn(&mut TrainOptions);
        let cases: [(Change, &str); 14] = [
            (|o| o.lr = Some(0.0), "--lr 0"),
            (|o| o.lr = Some(-1.0), "--lr -1"),
            (|o| o.lr = Some(f64::NAN), "--lr NaN"),
            (|o| o.lr = Some(f64::INFINITY), "--lr inf"),
            (|o| o.lr = Some(1e-60), "32-bit"),
            (|o| o.batch = Some(0), "--batch 0"),
            (|o| o.batch = Some(1001), "1 to 1000"),
            (|o| o.epochs = Some(0), "--epochs 0"),
            (|o| o.epochs = Some(-3), "--epochs -3"),
            (|o| o.opt = Some("adma".into()), "did you mean adam"),
            (|o| o.loss = Some("mae".into()), "did you mean mse"),
            (|o| o.label_smoothing = Some(1.0), "[0, 1)"),
            (|o| o.alpha = Some(0.9), "belongs to rmsprop"),
            (|o| o.clip_norm = Some(-1.0), "from 0 up"),
        ];
        for (change, part) in cases {
            let error = resolve(change).unwrap_err().to_string();
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn another_optimiser_drops_the_files_numbers_and_idle_ones_are_refused() {
        let file = || TrainOptions {
            opt: Some("adamw".into()),
            lr: Some(0.5),
            weight_decay: Some(0.01),
            ..TrainOptions::default()
        };
        let typed = TrainOptions {
            opt: Some("adagrad".into()),
            ..TrainOptions::default()
        };
        let config = typed.resolve(file(), "mnist", 1000, 10).unwrap();
        assert_eq!(
            (config.lr, config.weight_decay, config.eps),
            (0.01, 0.0, 1e-10)
        );
        let idle = TrainOptions {
            alpha: Some(0.5),
            ..file()
        };
        let error = TrainOptions::default().resolve(idle, "mnist", 1000, 10);
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("belongs to rmsprop")
        );
    }

    #[test]
    fn a_written_configuration_resolves_to_itself() {
        for opt in OptimizerKind::ALL {
            let config = resolve(|o| {
                o.opt = Some(opt.name().into());
                o.lr = Some(0.03);
                o.device = Some("cpu".into());
            })
            .unwrap();
            let text = toml::to_string(&config).unwrap();
            let file: TrainOptions = toml::from_str(&text).unwrap();
            let again = TrainOptions::default().resolve(file, "mnist", 1000, 10);
            assert_eq!(again.unwrap(), config);
        }
    }
}
