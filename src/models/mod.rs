//! Models: the layer notation, and the function from input to output that it stands for.

pub mod file;
pub mod init;
mod parse;
pub mod pretrained;

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
        fn count(layers: &[Layer]) -> usize {
            let of = |layer: &Layer| match layer {
                Layer::Dropout(_) => 1,
                Layer::Residual(layers) => count(layers),
                _ => 0,
            };
            layers.iter().map(of).sum()
        }
        count(&self.layers)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Plan, Spec};

    #[test]
    fn notation_round_trips() {
        for text in [
            "",
            "linear:128,relu",
            "linear:3,gelu,dropout:0.25,linear:4,tanh",
            "linear:8,batchnorm,relu,layernorm",
            "linear:8,residual(linear:4,relu,residual(layernorm,linear:4),linear:8),relu",
        ] {
            let model = Sequential::parse(text, 10).unwrap();
            assert_eq!(model.to_string(), text);
            assert_eq!(model.layers().last(), Some(&Layer::Linear(10)));
        }
        let loud = Sequential::parse("Linear:3, GELU", 10).unwrap();
        assert_eq!(loud.to_string(), "linear:3,gelu");
        let spaced = " Linear:8 , Residual( LINEAR:8 ,Relu,dropout : 0.5 ) , BatchNorm";
        let spaced = Sequential::parse(spaced, 10).unwrap();
        assert_eq!(
            spaced.to_string(),
            "linear:8,residual(linear:8,relu,dropout:0.5),batchnorm"
        );
        for (name, text) in PRESETS {
            let preset = Sequential::parse(name, 10).unwrap();
            assert_eq!(preset.to_string(), text, "{name}");
            preset.check(7).unwrap();
            assert!(preset_list().contains(name));
        }
        let preset = Sequential::parse("mlp", 10).unwrap();
        assert_eq!(preset.to_string(), "linear:128,relu");
        assert_eq!(preset.n_parameters(784), 101_770);
    }

    /// A small step is latency-bound: its dispatches are its time.
    #[test]
    fn the_default_step_is_eight_dispatches() {
        let model = Sequential::parse("mlp", 10).unwrap();
        let mut spec = Spec {
            inputs: 784,
            classes: 10,
            n_samples: 256,
            train_batch: 128,
            train_capacity: 2,
            eval_batch: 128,
            eval_capacity: 2,
            ..Spec::default()
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
            ("batchnorm:3", "no argument"),
            ("batch-norm", "did you mean batchnorm"),
            ("linear:8,residual", "residual(linear:64"),
            ("linear:8,residual()", "layer 1"),
            ("linear:8,residual(linear:8,relu", "no closing"),
            ("linear:8,relu)", "no opening"),
            ("linear:8,residual(linear:8)relu", "comma"),
            ("linear:8,residual(linear:8,,relu)", "layer 1.1"),
            (
                "linear:8,residual(relu,linear:9),relu",
                "8 columns enter and 9 leave",
            ),
            ("linear:8,residual(residual(linear:7))", "layer 1.0"),
            (&"residual(".repeat(9000), "no closing"),
            (
                &format!("{}relu{}", "residual(".repeat(9000), ")".repeat(9000)),
                "deep",
            ),
        ] {
            let error = Sequential::parse(text, 10).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_block_that_the_inputs_enter_is_checked_against_them() {
        let model = Sequential::parse("residual(linear:64,relu,linear:32),relu", 10).unwrap();
        model.check(32).unwrap();
        let error = model.check(784).unwrap_err().to_string();
        assert!(error.contains("784 columns enter and 32 leave"), "{error}");
        assert!(error.contains("layer 0"), "{error}");
    }

    #[test]
    fn a_summary_adds_up() {
        let text = "linear:8,batchnorm,residual(linear:4,relu,linear:8),layernorm,dropout:0.5";
        let model = Sequential::parse(text, 3).unwrap();
        let rows = model.summary(5);
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["0", "1", "2", "2.0", "2.1", "2.2", "3", "4", "5"]);
        let parameters: Vec<usize> = rows.iter().map(|row| row.parameters).collect();
        assert_eq!(parameters, [48, 16, 0, 36, 0, 40, 16, 0, 27]);
        let widths: Vec<usize> = rows.iter().map(|row| row.output).collect();
        assert_eq!(widths, [8, 8, 8, 4, 4, 8, 8, 8, 3]);
        assert_eq!(rows[2].layer, "residual");
        assert_eq!(rows[3].layer, "linear:4");
        assert_eq!(model.n_parameters(5), 183);
        let plan = record(&model, 5, &[]);
        assert_eq!(plan.n_parameters(), 183);
    }

    fn record(model: &Sequential, inputs: usize, frozen: &[&str]) -> Plan {
        let spec = Spec {
            inputs,
            classes: 3,
            n_samples: 4,
            train_batch: 4,
            train_capacity: 1,
            frozen: frozen.iter().map(|name| name.to_string()).collect(),
            ..Spec::default()
        };
        Plan::record(&spec, |rec, x| model.forward(rec, x))
    }

    #[test]
    fn frozen_layers_are_layers() {
        let text = "linear:8,relu,residual(linear:8,layernorm),linear:4";
        let model = Sequential::parse(text, 3).unwrap();
        let check = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
            model.check_frozen(&names).map_err(|e| e.to_string())
        };
        check(&[]).unwrap();
        check(&["0", "2", "3"]).unwrap();
        check(&["2.1"]).unwrap();
        for wrong in ["1", "9", "2.2", "", "linear", "0.weight"] {
            let error = check(&[wrong]).unwrap_err();
            assert!(error.contains("0, 2.0, 2.1, 3, 4"), "{error}");
        }
        let error = check(&["0", "2", "3", "4"]).unwrap_err();
        assert!(error.contains("nothing is left"), "{error}");
    }

    /// The tensors of PyTorch's modules, what trains before what does not, weights first.
    #[test]
    fn tensors_are_named_and_laid_out() {
        let text = "linear:8,batchnorm,relu,residual(linear:8,layernorm)";
        let model = Sequential::parse(text, 3).unwrap();
        let plan = record(&model, 5, &["0"]);
        let mut params: Vec<_> = plan.params.iter().collect();
        params.sort_by_key(|param| param.offset);
        let names: Vec<&str> = params.iter().map(|param| param.name.as_str()).collect();
        let trainable = [
            "3.0.weight",
            "4.weight",
            "1.weight",
            "1.bias",
            "3.0.bias",
            "3.1.weight",
            "3.1.bias",
            "4.bias",
        ];
        let others = ["0.weight", "0.bias", "1.running_mean", "1.running_var"];
        assert_eq!(names, [&trainable[..], &others].concat());
        assert_eq!(plan.n_trainable, params[8].offset);
        assert!(
            params
                .iter()
                .all(|p| p.trainable == (p.offset < plan.n_trainable))
        );
        assert_eq!(plan.params[2].shape(), [8]);
        // The input layer is frozen: no gradient of it, and none that leads to it alone.
        let labels = plan.train.per_step.iter().map(|d| d.label.as_str());
        assert!(
            labels.clone().any(|l| l == "grad of 3.0.weight and bias"),
            "{plan}"
        );
        assert!(
            labels
                .clone()
                .all(|l| !l.contains("0.weight and bias") || l.contains("3.0"))
        );
        let arena = initial_parameters(&plan, 1);
        let of = |name: &str| {
            let found = plan.params.iter().find(|param| param.name == name);
            found.expect("a tensor").unpack(&arena)
        };
        assert_eq!(of("1.weight"), [1.0; 8]);
        assert_eq!(of("1.running_var"), [1.0; 8]);
        assert_eq!(of("1.bias"), [0.0; 8]);
        assert!(of("3.0.bias").iter().all(|b| *b != 0.0 && b.abs() <= 0.354));
    }
}
