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
use crate::data::normalize::{Normalization, TargetScale};
use crate::data::options::DataOptions;
use crate::data::table::TableModel;
use crate::plan::{Loss, Plan};
use crate::{Error, Result};

/// The metadata key.
const KEY: &str = "gpu-train";
/// Raised when older programs could not read the file rightly.
/// 2: the normalisation subtracts a centre; 1 added a shift.
const FORMAT: u32 = 2;

/// What a model file says beside its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    pub format: u32,
    /// Layer notation without the output layer.
    pub architecture: String,
    /// Class names by number; none where a value is predicted.
    pub classes: Vec<String>,
    pub input: ImageShape,
    pub loss: String,
    /// input = (sample - centre) * scale, one entry per `span` neighbouring inputs.
    pub normalization: Normalization,
    /// The data that it was trained on, as the command line names it.
    pub source: String,
    /// How that was read and split.
    #[serde(default)]
    pub data: DataOptions,
    /// Where a value is predicted: its name, and how it was scaled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// Where the inputs are a table's columns: how they become numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<TableModel>,
}

/// The value that a regression predicts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    pub name: String,
    #[serde(flatten)]
    pub scale: TargetScale,
}

impl ModelInfo {
    /// The format that this program writes.
    pub const FORMAT: u32 = FORMAT;

    /// What the model has: an output per class, or one for a value.
    pub fn outputs(&self) -> usize {
        self.classes.len().max(1)
    }

    /// How a predicted value is brought back to its own units.
    pub fn target_scale(&self) -> TargetScale {
        self.target.as_ref().map_or(TargetScale::NONE, |t| t.scale)
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
            Sequential::parse(&info.architecture, info.outputs()).map_err(|e| e.to_string())?;
        let loss = Loss::from_name(&info.loss)
            .ok_or_else(|| format!("its loss \"{}\" is not known", info.loss))?;
        if info.input.is_empty() || info.normalization.span == 0 {
            return Err("its input or normalization is empty".to_string());
        }
        if info.normalization.span > info.input.len()
            || info.normalization.scale.len() > info.input.len()
            || info.normalization.scale.is_empty()
            || info.normalization.scale.len() != info.normalization.centre.len()
        {
            return Err("its normalization does not fit its input".to_string());
        }
        if info.classes.is_empty() && info.target.is_none() {
            return Err("it names neither classes nor a target".to_string());
        }
        let columns = info.table.as_ref().map(|t| t.encoder.inputs());
        if columns.is_some_and(|columns| columns != info.input.len()) {
            return Err("its table does not fit its input".to_string());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_of_format_1_becomes_a_centre() {
        let read = |json: &str| serde_json::from_str::<Normalization>(json);
        let old = read(r#"{"scale":[0.5,0.25],"shift":[-1.0,0.0],"span":4}"#).unwrap();
        assert_eq!(old.table(), [0.5, 2.0, 0.25, 0.0]);
        assert!(old.centre[1].is_sign_positive());
        let new = serde_json::to_string(&old).unwrap();
        assert_eq!(new, r#"{"scale":[0.5,0.25],"centre":[2.0,0.0],"span":4}"#);
        assert_eq!(read(&new).unwrap(), old);
        for (bad, part) in [
            (r#"{"scale":[0.0],"shift":[1.0],"span":4}"#, "scale of zero"),
            (r#"{"scale":[1.0],"span":4}"#, "no centre"),
        ] {
            let error = read(bad).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
