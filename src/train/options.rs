//! The options of a training run, as typed or read from a file.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Absent ones take the configuration file's value or the default.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct TrainOptions {
    /// Layers: a preset or a notation such as "linear:128,relu,dropout:0.2"; see the lists below; the output layer is appended [default: mlp, which is linear:128,relu]
    #[arg(long, value_name = "LAYERS", help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// cross-entropy (softmax, also for two classes), mse, mae or huber; the last three against one-hot classes or a table's values [default: cross-entropy; mse for regression]
    #[arg(long, help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<String>,
    /// Where huber turns from square to line, in standardised units [default: 1]
    #[arg(
        long,
        value_name = "DELTA",
        allow_negative_numbers = true,
        help_heading = "Model"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub huber_delta: Option<f64>,
    /// pytorch, xavier-uniform, xavier-normal, he-uniform, he-normal or zeros [default: pytorch, uniform(-1/sqrt(in), 1/sqrt(in))]
    #[arg(long, value_name = "NAME", help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initializer: Option<String>,
    /// Start from these weights: a .safetensors file or a run folder; tensors by PyTorch's names
    #[arg(long, value_name = "FILE", help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<String>,
    /// Take of --init what fits by name and shape, and list the rest
    #[arg(
        long,
        help_heading = "Model",
        num_args = 0,
        default_missing_value = "true"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_partial: Option<bool>,
    /// Layers that do not train, by number: "0,2"; for fine-tuning
    #[arg(long, value_name = "LAYERS", help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freeze: Option<String>,
    /// sgd, momentum, nesterov, adagrad, rmsprop, adam or adamw [default: adam]
    #[arg(long, value_name = "NAME", help_heading = "Optimiser")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opt: Option<String>,
    /// Learning rate [default: 0.001 for adam, adamw, rmsprop; 0.01 for momentum, nesterov, adagrad; 0.1 for sgd]
    #[arg(long, allow_negative_numbers = true, help_heading = "Optimiser")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
    /// Momentum of momentum and nesterov [default: 0.9]
    #[arg(long, allow_negative_numbers = true, help_heading = "Optimiser")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// Decay of the first moment of adam and adamw [default: 0.9]
    #[arg(long, allow_negative_numbers = true, help_heading = "Optimiser")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta1: Option<f64>,
    /// Decay of the second moment of adam and adamw [default: 0.999]
    #[arg(long, allow_negative_numbers = true, help_heading = "Optimiser")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta2: Option<f64>,
    /// Added to the denominator of adagrad, rmsprop, adam and adamw [default: 1e-10 for adagrad, else 1e-8]
    #[arg(long, allow_negative_numbers = true, help_heading = "Optimiser")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eps: Option<f64>,
    /// Smoothing constant of rmsprop [default: 0.99]
    #[arg(long, allow_negative_numbers = true, help_heading = "Optimiser")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// The optimiser's own decay: decoupled for adamw, added to the gradient elsewhere; all parameters [default: 0.01 for adamw, else 0]
    #[arg(long, allow_negative_numbers = true, help_heading = "Optimiser")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// How the learning rate moves over the run, in the forms that `--help` lists; without it constant
    #[arg(
        long,
        value_name = "HOW",
        help_heading = "Optimiser",
        help = "constant, step:EPOCHS:GAMMA, exponential:GAMMA, polynomial:POWER, cosine, one-cycle[:PCT] or plateau[:PATIENCE:FACTOR]; step, exponential and plateau move per epoch, the others per step [default: constant]"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Steps over which the learning rate climbs to its full size, as a number or N% of the run [default: 0]
    #[arg(
        long,
        allow_hyphen_values = true,
        value_name = "STEPS",
        help_heading = "Optimiser"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup: Option<String>,
    /// Batches whose gradients make one update: the mean over all their samples [default: 1]
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        help_heading = "Optimiser"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accumulate: Option<i64>,
    /// Keep an exponential moving average of the weights with this decay, such as 0.999, and evaluate and save that [default: 0, none]
    #[arg(
        long,
        value_name = "DECAY",
        allow_negative_numbers = true,
        help_heading = "Optimiser"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// Adds this times the sum of |w| to the objective; weights, not biases [default: 0]
    #[arg(long, allow_negative_numbers = true, help_heading = "Regularisation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l1: Option<f64>,
    /// Adds this times the sum of w^2 to the objective; weights, not biases [default: 0]
    #[arg(long, allow_negative_numbers = true, help_heading = "Regularisation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l2: Option<f64>,
    /// Rate of every dropout layer, in place of what the layers say
    #[arg(
        long,
        value_name = "RATE",
        allow_negative_numbers = true,
        help_heading = "Regularisation"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
    /// Spreads this much of each label over all classes; cross-entropy only [default: 0]
    #[arg(long, allow_negative_numbers = true, help_heading = "Regularisation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_smoothing: Option<f64>,
    /// balanced (n / (classes x count)), none, or a number per class: 1,2,0.5 [default: none]
    #[arg(long, value_name = "HOW", help_heading = "Regularisation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<String>,
    /// Scales the gradient down to this global norm where it is larger; 0 is off [default: 0]
    #[arg(long, allow_negative_numbers = true, help_heading = "Regularisation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Scales a unit's incoming weights down to this norm where it is larger; 0 is off [default: 0]
    #[arg(long, allow_negative_numbers = true, help_heading = "Regularisation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_norm: Option<f64>,
    /// Cross-validate: training and validation part are dealt out into K folds, stratified, and K members train together, each validated on a fold of its own; mean and deviation are reported
    #[arg(
        long,
        value_name = "K",
        allow_negative_numbers = true,
        help_heading = "Run"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folds: Option<i64>,
    /// Stop after this many epochs without a lower validation loss, and take the best epoch's weights
    #[arg(
        long,
        value_name = "PATIENCE",
        allow_negative_numbers = true,
        help_heading = "Stopping"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early_stop: Option<i64>,
    /// A validation loss is lower only if by more than this [default: 0]
    #[arg(long, allow_negative_numbers = true, help_heading = "Stopping")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_delta: Option<f64>,
    /// Stop once the training loss has fallen by less than --tol in 10 epochs
    #[arg(
        long,
        help_heading = "Stopping",
        num_args = 0,
        default_missing_value = "true"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_converged: Option<bool>,
    /// Relative fall of the training loss that --until-converged asks for [default: 1e-4]
    #[arg(long, allow_negative_numbers = true, help_heading = "Stopping")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tol: Option<f64>,
    /// Stop after this much training: 90, 60s, 5m, 1h30m
    #[arg(
        long,
        allow_hyphen_values = true,
        value_name = "TIME",
        help_heading = "Stopping"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Stop at this validation accuracy, such as 0.98; exit code 1 where it is not reached
    #[arg(
        long,
        value_name = "SHARE",
        allow_negative_numbers = true,
        help_heading = "Stopping"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_accuracy: Option<f64>,
    /// Times that every training sample is seen [default: 5; more for small data, to about 2,000 steps, at most 200 epochs]
    #[arg(long, allow_negative_numbers = true, help_heading = "Run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<i64>,
    /// Samples per step, or full; the last, shorter batch of an epoch is trained too [default: 128; 32 below 5,000 samples; all where there are fewer]
    #[arg(long, allow_negative_numbers = true, help_heading = "Run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchSize>,
    /// Seed of weights, shuffles and dropout; equal seeds give equal bits on one device [default: 0]
    #[arg(allow_negative_numbers = true, long, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64), help_heading = "Run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Keep the samples in the data's order
    #[arg(
        long,
        help_heading = "Run",
        num_args = 0,
        default_missing_value = "true"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_shuffle: Option<bool>,
    /// auto (measure, take the faster), gpu (the best adapter), cpu, or an adapter's number or name (see `gpu-train devices`) [default: auto]
    #[arg(long, value_name = "WHICH", help_heading = "Run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The kernel variants of an adapter by shapes alone, so that equal seeds give equal bits on it [default: on]
    #[arg(
        long,
        help_heading = "Run",
        num_args = 0,
        default_missing_value = "true",
        overrides_with = "no_deterministic"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deterministic: Option<bool>,
    /// Measure which kernel variants are the fastest on the adapter: another day's choice may round otherwise
    #[arg(long, help_heading = "Run", overrides_with = "deterministic")]
    #[serde(skip)]
    pub no_deterministic: bool,
    /// Samples held on the device at once, such as 64MB; where the data set is larger it is streamed [default: what a buffer of the device holds]
    #[arg(long, value_name = "SIZE", help_heading = "Run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_memory: Option<String>,
    /// A checkpoint is written at an epoch's end, at most one a second, at the run's end, and inside an epoch this often [default: 5]
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        help_heading = "Run"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_minutes: Option<f64>,
    /// Say every N-th epoch; the files hold all [default: 1; more for many epochs, so that about 20 lines are said]
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        help_heading = "Run"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_every: Option<i64>,
}

/// Samples per step: a number, or the whole training part.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum BatchSize {
    Samples(i64),
    Full(Full),
}

/// The word `full`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Full {
    Full,
}

impl std::str::FromStr for BatchSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("full") {
            return Ok(BatchSize::Full(Full::Full));
        }
        let samples = text.parse();
        samples
            .map(BatchSize::Samples)
            .map_err(|_| "a number of samples, or full".to_string())
    }
}

/// `over`, with `under` wherever it says nothing.
pub fn overlay<T: Serialize + DeserializeOwned>(over: &T, under: &T) -> T {
    let table = |options: &T| toml::Table::try_from(options).expect("options are plain");
    let mut merged = table(under);
    merged.extend(table(over));
    merged.try_into().expect("both are of the same type")
}

/// The keys of an options struct: the long names on the command line.
pub fn keys<A: clap::Args>() -> Vec<String> {
    let command = A::augment_args(clap::Command::new("keys"));
    let longs = command.get_arguments().filter_map(|arg| arg.get_long());
    longs.map(str::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_goes_first() {
        let under = TrainOptions {
            lr: Some(0.5),
            epochs: Some(3),
            ..TrainOptions::default()
        };
        let over = TrainOptions {
            lr: Some(f64::NAN),
            ..TrainOptions::default()
        };
        let merged = overlay(&over, &under);
        assert!(merged.lr.is_some_and(f64::is_nan));
        assert_eq!(merged.epochs, Some(3));
    }
}
