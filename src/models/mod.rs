//! Models: the layer notation, and the function from input to output that it stands for.

pub mod file;
pub mod init;
mod parse;
pub mod pretrained;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::plan::{Activation, MAX_DROPOUT_LAYERS, Recorder, Value};
use crate::{Error, Result};

pub use init::initial_parameters;

/// Named architectures, as `--model` takes them.
pub const PRESETS: [(&str, &str); 6] = [
    ("mlp", "linear:128,relu"),
    ("softmax", ""),
    ("deep", "linear:256,relu,linear:128,relu,linear:64,relu"),
    ("mlp-bn", "linear:128,batchnorm,relu"),
    (
        "mlp-dropout",
        "linear:256,relu,dropout:0.3,linear:128,relu,dropout:0.2",
    ),
    (
        "residual",
        "linear:64,relu,residual(linear:64,relu,linear:64),relu,residual(linear:64,relu,linear:64),relu",
    ),
];

/// The presets for a help text: a line each, the name and what it stands for.
pub fn preset_list() -> String {
    let lines = PRESETS.iter().map(|(name, text)| match *text {
        "" => format!("  {name:<12} the output layer alone"),
        text => format!("  {name:<12} {text}"),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// One layer of a [`Sequential`]. Its place in the list is its number in file names.
#[derive(Clone, Debug, PartialEq)]
pub enum Layer {
    /// Fully connected, this many outputs.
    Linear(usize),
    Activation(Activation),
    /// Zeroes an element with this probability while training.
    Dropout(f64),
    /// Normalises each column over the batch.
    BatchNorm,
    /// Normalises each row over its columns.
    LayerNorm,
    /// y = x + f(x), f being these layers (He et al. 2015, arXiv:1512.03385).
    Residual(Vec<Layer>),
}

/// One layer of a model summary.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerRow {
    /// The layer's place, "2"; "2.0" is the first inside the residual block at place 2.
    pub name: String,
    /// In the notation; a residual block is "residual" and its layers follow as rows of their own.
    pub layer: String,
    /// Width of what it makes.
    pub output: usize,
    /// Numbers that training may move, running statistics not among them.
    pub parameters: usize,
}

/// Layers one after the other; the output layer, linear, comes last.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequential {
    layers: Vec<Layer>,
}

impl Sequential {
    /// Reads a preset's name or a layer notation such as `linear:128,relu,dropout:0.2`, and appends
    /// the output layer of `outputs` units. What the notation means in widths of inputs shows in
    /// [`Self::check`].
    ///
    /// # Errors
    /// [`Error::Usage`] with the layer at fault.
    pub fn parse(notation: &str, outputs: usize) -> Result<Sequential> {
        let notation = notation.to_lowercase();
        let text = PRESETS
            .iter()
            .find(|(name, _)| *name == notation.trim())
            .map_or(notation.as_str(), |(_, text)| text);
        let refuse = |what: String| Error::Usage(format!("--model {notation:?}: {what}"));
        let mut layers = parse::layers(text).map_err(refuse)?;
        let dropouts = count_dropout(&layers);
        if dropouts > MAX_DROPOUT_LAYERS {
            return Err(Error::Usage(format!(
                "--model {notation:?} has {dropouts} dropout layers; at most {MAX_DROPOUT_LAYERS} are possible"
            )));
        }
        layers.push(Layer::Linear(outputs));
        let model = Sequential { layers };
        walk(&model.layers, "", None, &mut |_| {}).map_err(refuse)?;
        Ok(model)
    }

    /// Whether the layers' widths agree where the samples have `inputs` numbers: the one thing that
    /// [`Self::parse`] cannot see is a residual block that the inputs themselves enter.
    ///
    /// # Errors
    /// [`Error::Usage`] with the block and both widths.
    pub fn check(&self, inputs: usize) -> Result<()> {
        walk(&self.layers, "", Some(inputs), &mut |_| {})
            .map(|_| ())
            .map_err(|what| Error::Usage(format!("--model \"{self}\": {what}")))
    }

    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Records the forward pass. An activation right behind a linear layer becomes its epilogue.
    ///
    /// # Panics
    /// If the widths do not agree: see [`Self::check`].
    pub fn forward(&self, rec: &mut Recorder, input: Value) -> Value {
        record(&self.layers, "", rec, input)
    }

    /// A row a layer, in order, for `inputs` inputs; the rows' parameters add up to all there are.
    pub fn summary(&self, inputs: usize) -> Vec<LayerRow> {
        let mut rows = Vec::new();
        let mut add = |placed: &Placed| {
            rows.push(LayerRow {
                name: placed.name.clone(),
                layer: match placed.layer {
                    Layer::Residual(_) => "residual".to_string(),
                    layer => layer.to_string(),
                },
                output: placed.output.unwrap_or(0),
                parameters: placed.layer.parameters(placed.input.unwrap_or(0)),
            });
        };
        // Widths that do not agree still have rows as far as they go.
        let _ = walk(&self.layers, "", Some(inputs), &mut add);
        rows
    }

    /// Whether every name of `frozen` is a layer with parameters, and some layer is left to train.
    ///
    /// # Errors
    /// [`Error::Usage`] with the name at fault and the names there are.
    pub fn check_frozen(&self, frozen: &[String]) -> Result<()> {
        let mut names = Vec::new();
        let mut add = |placed: &Placed| {
            if placed.layer.has_parameters() {
                names.push(placed.name.clone());
            }
        };
        // Only widths can be at fault, which are another matter.
        let _ = walk(&self.layers, "", None, &mut add);
        let inside = |name: &str, layer: &str| {
            let rest = name.strip_prefix(layer);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        for layer in frozen {
            if !names.iter().any(|name| inside(name, layer)) {
                return Err(Error::Usage(format!(
                    "--freeze {layer}: no layer of \"{self}\" has parameters and that number; there are {}",
                    names.join(", ")
                )));
            }
        }
        let frozen_too = |name: &String| frozen.iter().any(|layer| inside(name, layer));
        if names.iter().all(frozen_too) {
            return Err(Error::Usage(format!(
                "--freeze {}: nothing is left to train; the layers with parameters are {}",
                frozen.join(","),
                names.join(", ")
            )));
        }
        Ok(())
    }

    /// Dropout layers, those inside residual blocks among them.
    pub fn n_dropout(&self) -> usize {
        count_dropout(&self.layers)
    }

    /// The widest layer: what decides whether a device can hold the model.
    pub fn widest(&self) -> usize {
        fn widest(layers: &[Layer]) -> usize {
            let widths = layers.iter().map(|layer| match layer {
                Layer::Linear(out) => *out,
                Layer::Residual(layers) => widest(layers),
                _ => 0,
            });
            widths.max().unwrap_or(0)
        }
        widest(&self.layers)
    }

    /// Parameters of all layers together, for `inputs` inputs.
    pub fn n_parameters(&self, inputs: usize) -> u128 {
        fn count(layers: &[Layer], width: &mut u128) -> u128 {
            let mut total = 0;
            for layer in layers {
                match layer {
                    Layer::Linear(out) => {
                        total += (*width + 1) * *out as u128;
                        *width = *out as u128;
                    }
                    Layer::BatchNorm | Layer::LayerNorm => total += 2 * *width,
                    Layer::Residual(layers) => total += count(layers, width),
                    Layer::Activation(_) | Layer::Dropout(_) => {}
                }
            }
            total
        }
        count(&self.layers, &mut (inputs as u128))
    }
}

impl Layer {
    fn has_parameters(&self) -> bool {
        matches!(self, Layer::Linear(_) | Layer::BatchNorm | Layer::LayerNorm)
    }

    /// Its own parameters behind `width` columns; a block's layers have theirs.
    fn parameters(&self, width: usize) -> usize {
        match self {
            Layer::Linear(out) => (width + 1) * out,
            Layer::BatchNorm | Layer::LayerNorm => 2 * width,
            Layer::Activation(_) | Layer::Dropout(_) | Layer::Residual(_) => 0,
        }
    }
}

/// A layer with its name and its widths, as far as they are known.
struct Placed<'a> {
    name: String,
    layer: &'a Layer,
    input: Option<usize>,
    output: Option<usize>,
}

fn name_in(prefix: &str, ix: usize) -> String {
    match prefix {
        "" => ix.to_string(),
        prefix => format!("{prefix}.{ix}"),
    }
}

/// Calls `f` for each layer, a block before its own layers; returns the width of the output. An
/// error names the block whose input and output are of different widths.
fn walk(
    layers: &[Layer],
    prefix: &str,
    mut width: Option<usize>,
    f: &mut dyn FnMut(&Placed),
) -> std::result::Result<Option<usize>, String> {
    for (ix, layer) in layers.iter().enumerate() {
        let name = name_in(prefix, ix);
        let input = width;
        if let Layer::Linear(out) = layer {
            width = Some(*out);
        }
        f(&Placed {
            name: name.clone(),
            layer,
            input,
            output: width,
        });
        if let Layer::Residual(layers) = layer {
            let made = walk(layers, &name, input, f)?;
            if let (Some(input), Some(made)) = (input, made)
                && input != made
            {
                return Err(format!(
                    "layer {name} \"{layer}\": {input} columns enter and {made} leave, and a residual block adds the two: end it with linear:{input}"
                ));
            }
            // Nothing but layers that keep the width leaves an unknown width unknown; a linear layer
            // makes it known, since the block's input has it, too.
            width = input.or(made);
        }
    }
    Ok(width)
}

fn record(layers: &[Layer], prefix: &str, rec: &mut Recorder, input: Value) -> Value {
    let mut x = input;
    let mut ix = 0;
    while ix < layers.len() {
        let name = name_in(prefix, ix);
        match &layers[ix] {
            Layer::Linear(out) => {
                let activation = match layers.get(ix + 1) {
                    Some(Layer::Activation(activation)) => *activation,
                    _ => Activation::None,
                };
                x = rec.linear(x, &name, *out, activation);
                ix += usize::from(activation != Activation::None);
            }
            Layer::Activation(activation) => x = rec.activation(x, *activation),
            Layer::Dropout(rate) => x = rec.dropout(x, *rate),
            Layer::BatchNorm => x = rec.batch_norm(x, &name),
            Layer::LayerNorm => x = rec.layer_norm(x, &name),
            Layer::Residual(layers) => {
                let y = record(layers, &name, rec, x);
                x = rec.add(x, y);
            }
        }
        ix += 1;
    }
    x
}

fn count_dropout(layers: &[Layer]) -> usize {
    let counts = layers.iter().map(|layer| match layer {
        Layer::Dropout(_) => 1,
        Layer::Residual(layers) => count_dropout(layers),
        _ => 0,
    });
    counts.sum()
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Layer::Linear(out) => write!(f, "linear:{out}"),
            Layer::Activation(activation) => write!(f, "{activation}"),
            Layer::Dropout(rate) => write!(f, "dropout:{rate}"),
            Layer::BatchNorm => f.write_str("batchnorm"),
            Layer::LayerNorm => f.write_str("layernorm"),
            Layer::Residual(layers) => {
                f.write_str("residual(")?;
                list(layers, f)?;
                f.write_str(")")
            }
        }
    }
}

fn list(layers: &[Layer], f: &mut fmt::Formatter) -> fmt::Result {
    for (ix, layer) in layers.iter().enumerate() {
        if ix > 0 {
            f.write_str(",")?;
        }
        write!(f, "{layer}")?;
    }
    Ok(())
}

/// The notation without the output layer, which [`Sequential::parse`] appends again.
impl fmt::Display for Sequential {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        list(&self.layers[..self.layers.len() - 1], f)
    }
}
