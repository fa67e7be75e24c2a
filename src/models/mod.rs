//! Models: the layer notation, and the function from input to output that it stands for.

pub mod file;

use std::fmt;

use crate::plan::{Activation, MAX_DROPOUT_LAYERS, Plan, Recorder, Value};
use crate::rng::{Purpose, Stream};
use crate::{Error, Result, suggest};

/// Named architectures, as `--model` takes them.
pub const PRESETS: [(&str, &str); 2] = [("mlp", "linear:128,relu"), ("softmax", "")];

/// One layer of a [`Sequential`]. Its place in the list is its number in file names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layer {
    /// Fully connected, this many outputs.
    Linear(usize),
    Activation(Activation),
    /// Zeroes an element with this probability while training.
    Dropout(f64),
}

/// Layers one after the other; the output layer, linear, comes last.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequential {
    layers: Vec<Layer>,
}

impl Sequential {
    /// Reads a preset's name or a layer notation such as `linear:128,relu,dropout:0.2`, and appends
    /// the output layer of `classes` units.
    ///
    /// # Errors
    /// [`Error::Usage`] with the layer at fault.
    pub fn parse(notation: &str, classes: usize) -> Result<Sequential> {
        let notation = notation.to_lowercase();
        let text = PRESETS
            .iter()
            .find(|(name, _)| *name == notation.trim())
            .map_or(notation.as_str(), |(_, text)| text);
        let mut layers = Vec::new();
        for (ix, word) in text.split(',').map(str::trim).enumerate() {
            if word.is_empty() && text.trim().is_empty() {
                break;
            }
            layers.push(parse_layer(word).map_err(|what| {
                Error::Usage(format!(
                    "--model {notation:?}: layer {ix} \"{word}\": {what}"
                ))
            })?);
        }
        let dropouts = layers
            .iter()
            .filter(|l| matches!(l, Layer::Dropout(_)))
            .count();
        if dropouts > MAX_DROPOUT_LAYERS {
            return Err(Error::Usage(format!(
                "--model {notation:?} has {dropouts} dropout layers; at most {MAX_DROPOUT_LAYERS} are possible"
            )));
        }
        layers.push(Layer::Linear(classes));
        Ok(Sequential { layers })
    }

    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Records the forward pass. An activation right behind a linear layer becomes its epilogue.
    pub fn forward(&self, rec: &mut Recorder, input: Value) -> Value {
        let mut x = input;
        let mut ix = 0;
        while ix < self.layers.len() {
            match self.layers[ix] {
                Layer::Linear(out) => {
                    let activation = match self.layers.get(ix + 1) {
                        Some(Layer::Activation(activation)) => *activation,
                        _ => Activation::None,
                    };
                    x = rec.linear(x, &ix.to_string(), out, activation);
                    ix += usize::from(activation != Activation::None);
                }
                Layer::Activation(activation) => x = rec.activation(x, activation),
                Layer::Dropout(rate) => x = rec.dropout(x, rate),
            }
            ix += 1;
        }
        x
    }

    /// The widest layer: what decides whether a device can hold the model.
    pub fn widest(&self) -> usize {
        let widths = self.layers.iter().map(|layer| match layer {
            Layer::Linear(out) => *out,
            _ => 0,
        });
        widths.max().unwrap_or(0)
    }

    /// Weights and biases together, for `inputs` inputs.
    pub fn n_parameters(&self, inputs: usize) -> u128 {
        let mut total = 0;
        let mut width = inputs as u128;
        for layer in &self.layers {
            if let Layer::Linear(out) = layer {
                total += (width + 1) * *out as u128;
                width = *out as u128;
            }
        }
        total
    }
}

fn parse_layer(word: &str) -> std::result::Result<Layer, String> {
    if word.is_empty() {
        return Err("nothing is between two commas, or behind the last".to_string());
    }
    let (name, argument) = match word.split_once(':') {
        Some((name, argument)) => (name.trim(), Some(argument.trim())),
        None => (word, None),
    };
    match (name, argument) {
        ("linear", Some(text)) => match text.parse::<usize>() {
            Ok(0) => Err("a layer has at least 1 unit".to_string()),
            Ok(units) if units > 1 << 24 => {
                Err(format!("{units} units are more than {} (2^24)", 1 << 24))
            }
            Ok(units) => Ok(Layer::Linear(units)),
            Err(_) => Err(format!("\"{text}\" is not a number of units")),
        },
        ("linear", None) => Err("write its units, such as linear:128".to_string()),
        ("dropout", Some(text)) => match text.parse::<f64>() {
            Ok(rate) if (0.0..1.0).contains(&rate) => Ok(Layer::Dropout(rate)),
            Ok(rate) => Err(format!("the rate {rate} is not in [0, 1)")),
            Err(_) => Err(format!("\"{text}\" is not a rate")),
        },
        ("dropout", None) => Err("write its rate, such as dropout:0.2".to_string()),
        (name, argument) => match (Activation::from_name(name), argument) {
            (Some(activation), None) => Ok(Layer::Activation(activation)),
            (Some(_), Some(_)) => Err("an activation takes no argument".to_string()),
            (None, _) => {
                let known = ["linear", "dropout"]
                    .into_iter()
                    .chain(Activation::NAMED.map(Activation::name));
                Err(format!("no such layer{}", suggest::hint(name, known)))
            }
        },
    }
}

/// The notation without the output layer, which [`Sequential::parse`] appends again.
impl fmt::Display for Sequential {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for (ix, layer) in self.layers[..self.layers.len() - 1].iter().enumerate() {
            if ix > 0 {
                f.write_str(",")?;
            }
            match layer {
                Layer::Linear(out) => write!(f, "linear:{out}")?,
                Layer::Activation(activation) => write!(f, "{activation}")?,
                Layer::Dropout(rate) => write!(f, "dropout:{rate}")?,
            }
        }
        Ok(())
    }
}

/// One member's initial parameters \[arena_len\]: uniform(-1/sqrt(in), 1/sqrt(in)) for weights and
/// biases of a layer with `in` inputs, PyTorch's default (LeCun et al. 1998, "Efficient BackProp",
/// section 4.6, up to the constant). Each parameter has a stream of its own.
pub fn initial_parameters(plan: &Plan, seed: u64) -> Vec<f32> {
    let mut arena = vec![0.0; plan.arena_len];
    for (ix, param) in plan.params.iter().enumerate() {
        let layer = param.name.rsplit_once('.').map_or("", |(layer, _)| layer);
        let weight = format!("{layer}.weight");
        let fan_in = plan
            .params
            .iter()
            .find(|p| p.name == weight)
            .map_or(param.cols, |p| p.cols);
        let bound = 1.0 / (fan_in as f64).sqrt();
        let mut stream = Stream::new(seed, Purpose::Init, ix as u32);
        let values: Vec<f32> = (0..param.len()).map(|_| stream.uniform(bound)).collect();
        param.pack(&values, &mut arena);
    }
    arena
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Loss, Spec};

    #[test]
    fn notation_round_trips() {
        for text in [
            "",
            "linear:128,relu",
            "linear:3,gelu,dropout:0.25,linear:4,tanh",
        ] {
            let model = Sequential::parse(text, 10).unwrap();
            assert_eq!(model.to_string(), text);
            assert_eq!(model.layers().last(), Some(&Layer::Linear(10)));
        }
        let loud = Sequential::parse("Linear:3, GELU", 10).unwrap();
        assert_eq!(loud.to_string(), "linear:3,gelu");
        let preset = Sequential::parse("mlp", 10).unwrap();
        assert_eq!(preset.to_string(), "linear:128,relu");
        assert_eq!(preset.n_parameters(784), 101_770);
    }

    /// A small step is latency-bound: its dispatches are its time.
    #[test]
    fn the_default_step_is_eight_dispatches() {
        let model = Sequential::parse("mlp", 10).unwrap();
        let mut spec = Spec {
            members: 1,
            inputs: 784,
            classes: 10,
            n_samples: 256,
            n_norm: 1,
            norm_span: 784,
            train_batch: 128,
            train_capacity: 2,
            eval_batch: 128,
            eval_capacity: 2,
            loss: Loss::CrossEntropy,
            clips: false,
        };
        let plan = Plan::record(&spec, |rec, x| model.forward(rec, x));
        assert_eq!(plan.train.per_step.len(), 8, "{plan}");
        assert_eq!(plan.eval.per_step.len(), 5, "{plan}");
        assert_eq!(plan.n_parameters(), 101_770);
        spec.clips = true;
        let plan = Plan::record(&spec, |rec, x| model.forward(rec, x));
        assert_eq!(plan.train.per_step.len(), 9, "{plan}");
    }

    #[test]
    fn bad_notation_names_the_layer() {
        for (text, part) in [
            ("linear:128,rlu", "did you mean relu"),
            ("linear", "linear:128"),
            ("linear:0", "at least 1"),
            ("linear:99999999999", "2^24"),
            ("linear:abc", "not a number"),
            ("dropout:1", "[0, 1)"),
            ("dropout:nan", "[0, 1)"),
            ("relu:3", "no argument"),
            ("linear:8,,relu", "layer 1"),
            ("linear:8,", "comma"),
        ] {
            let error = Sequential::parse(text, 10).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
