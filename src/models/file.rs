//! `model.safetensors`: weights under PyTorch's names, and what is needed to use them.
//!
//! Tensors are named and laid out so that the equivalent `torch.nn.Sequential` takes them with
//! `load_state_dict(strict=True)`. One metadata key holds sorted JSON without time, path or
//! duration, so that equal runs give equal files.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::Sequential;
use crate::data::ImageShape;
use crate::plan::{Loss, Plan};
use crate::{Error, Result};

/// The metadata key.
const KEY: &str = "gpu-train";
/// Raised when older programs could not read the file rightly.
const FORMAT: u32 = 1;

/// What a model file says beside its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    pub format: u32,
    /// Layer notation without the output layer.
    pub architecture: String,
    pub classes: Vec<String>,
    pub input: ImageShape,
    pub loss: String,
    /// input = pixel * scale + shift, one entry per `span` neighbouring inputs.
    pub normalization: Normalization,
    /// The data that it was trained on, as the command line names it.
    pub source: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalization {
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
    pub span: usize,
}

impl Normalization {
    /// Pixels divided by 255.
    pub fn unit(inputs: usize) -> Normalization {
        Normalization {
            scale: vec![1.0 / 255.0],
            shift: vec![0.0],
            span: inputs,
        }
    }

    /// The rows of the plan's table for one member: (scale, shift) pairs.
    pub fn table(&self) -> Vec<f32> {
        let pairs = self.scale.iter().zip(&self.shift);
        pairs.flat_map(|(&scale, &shift)| [scale, shift]).collect()
    }
}

impl ModelInfo {
    pub fn new(
        model: &Sequential,
        classes: &[String],
        input: ImageShape,
        loss: Loss,
        normalization: Normalization,
        source: &str,
    ) -> ModelInfo {
        ModelInfo {
            format: FORMAT,
            architecture: model.to_string(),
            classes: classes.to_vec(),
            input,
            loss: loss.name().to_string(),
            normalization,
            source: source.to_string(),
        }
    }
}

/// A model read from a file, checked against its own metadata.
#[derive(Clone, Debug)]
pub struct Model {
    pub info: ModelInfo,
    pub sequential: Sequential,
    pub loss: Loss,
    tensors: HashMap<String, (Vec<usize>, Vec<f32>)>,
}

/// The bytes of a model file: one member's stretch of the parameter arena under its names.
pub fn encode(info: &ModelInfo, plan: &Plan, arena: &[f32]) -> Vec<u8> {
    let tensors: Vec<(&str, Vec<usize>, Vec<f32>)> = plan
        .params
        .iter()
        .map(|param| (param.name.as_str(), param.shape(), param.unpack(arena)))
        .collect();
    let views = tensors.iter().map(|(name, shape, values)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(values))
            .expect("the shape is the parameter's own");
        (*name, view)
    });
    // Through Value, whose objects are sorted.
    let json = serde_json::to_value(info).expect("plain data").to_string();
    let metadata = HashMap::from([(KEY.to_string(), json)]);
    safetensors::serialize(views, Some(metadata)).expect("names are unique and shapes right")
}

impl Model {
    /// Reads a model file, or the `model.safetensors` of a run folder.
    ///
    /// # Errors
    /// [`Error::Data`] that says what is wrong with the file; both shapes where a tensor does not
    /// fit the architecture that the file names.
    pub fn read(path: &Path) -> Result<Model> {
        let file = if path.is_dir() {
            if path.join("checkpoint").exists() && !path.join("model.safetensors").exists() {
                return Err(Error::Data(format!(
                    "{} holds a run that did not finish: there is a checkpoint and no model.safetensors",
                    path.display()
                )));
            }
            path.join("model.safetensors")
        } else {
            path.to_path_buf()
        };
        let bytes = std::fs::read(&file).map_err(|e| Error::io(&file, "read", e))?;
        Self::decode(&bytes).map_err(|what| {
            Error::Data(format!("{} is not a usable model: {what}", file.display()))
        })
    }

    fn decode(bytes: &[u8]) -> std::result::Result<Model, String> {
        let (_, header) = SafeTensors::read_metadata(bytes)
            .map_err(|e| format!("it is truncated or no safetensors file ({e})"))?;
        let json = header
            .metadata()
            .as_ref()
            .and_then(|m| m.get(KEY))
            .ok_or_else(|| {
                format!("its header has no \"{KEY}\" entry: it is no model that gpu-train wrote")
            })?;
        let info: ModelInfo =
            serde_json::from_str(json).map_err(|e| format!("its \"{KEY}\" entry: {e}"))?;
        if info.format > FORMAT {
            return Err(format!(
                "it has format {} and this program reads up to {FORMAT}: update gpu-train",
                info.format
            ));
        }
        let sequential =
            Sequential::parse(&info.architecture, info.classes.len()).map_err(|e| e.to_string())?;
        let loss = Loss::from_name(&info.loss)
            .ok_or_else(|| format!("its loss \"{}\" is not known", info.loss))?;
        if info.input.is_empty() || info.classes.is_empty() || info.normalization.span == 0 {
            return Err("its input, classes or normalization are empty".to_string());
        }
        if info.normalization.span > info.input.len()
            || info.normalization.scale.len() > info.input.len()
            || info.normalization.scale.is_empty()
            || info.normalization.scale.len() != info.normalization.shift.len()
        {
            return Err("its normalization does not fit its input".to_string());
        }
        let file = SafeTensors::deserialize(bytes)
            .map_err(|e| format!("it is truncated or no safetensors file ({e})"))?;
        let mut tensors = HashMap::new();
        for (name, view) in file.tensors() {
            if view.dtype() != Dtype::F32 {
                return Err(format!("tensor {name} is {:?}, not F32", view.dtype()));
            }
            let values = bytemuck::pod_collect_to_vec(view.data());
            tensors.insert(name, (view.shape().to_vec(), values));
        }
        Ok(Model {
            info,
            sequential,
            loss,
            tensors,
        })
    }

    /// One member's arena with this model's weights.
    ///
    /// # Errors
    /// [`Error::Data`] with both shapes where a tensor is missing, extra or of another shape.
    pub fn arena(&self, plan: &Plan) -> Result<Vec<f32>> {
        let mut arena = vec![0.0; plan.arena_len];
        for param in &plan.params {
            let shape = param.shape();
            let Some((found, values)) = self.tensors.get(&param.name) else {
                return Err(Error::Data(format!(
                    "the model file has no tensor {} {shape:?}, which its architecture \"{}\" needs",
                    param.name, self.info.architecture
                )));
            };
            if *found != shape {
                return Err(Error::Data(format!(
                    "the model file's tensor {} has shape {found:?} and its architecture \"{}\" needs {shape:?}",
                    param.name, self.info.architecture
                )));
            }
            param.pack(values, &mut arena);
        }
        if let Some(extra) = self
            .tensors
            .keys()
            .find(|name| plan.params.iter().all(|p| p.name != **name))
        {
            return Err(Error::Data(format!(
                "the model file has a tensor {extra} that its architecture \"{}\" does not have",
                self.info.architecture
            )));
        }
        Ok(arena)
    }
}
