//! Weights from another run to start from: `--init`, and `--init-partial` where not all fits.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors};

use crate::plan::Plan;
use crate::{Error, Result};

/// Tensors by PyTorch's names, with their shapes.
pub type Tensors = HashMap<String, (Vec<usize>, Vec<f32>)>;

/// What became of each tensor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Taken {
    /// Names that fitted, in the model's order.
    pub taken: Vec<String>,
    /// The model's tensors that were not in the file, or were of another shape there, with the reason.
    pub missing: Vec<String>,
    /// The file's tensors that the model has no place for.
    pub unused: Vec<String>,
}

/// Reads the tensors of a .safetensors file, or of the model in a run folder.
///
/// # Errors
/// [`Error::Data`] where the file is damaged or a tensor is not of 32-bit floats.
pub fn read(path: &Path) -> Result<Tensors> {
    let inside = path.join("model.safetensors");
    let path = if path.is_dir() { &inside } else { path };
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, "read", e))?;
    let bad = |what: String| Error::Data(format!("--init {}: {what}", path.display()));
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|e| bad(format!("it is truncated or no safetensors file ({e})")))?;
    let mut tensors = Tensors::new();
    for (name, view) in file.tensors() {
        // PyTorch's counter of a batch norm's batches; nothing here reads it.
        if name.ends_with("num_batches_tracked") {
            continue;
        }
        if view.dtype() != Dtype::F32 {
            return Err(bad(format!("tensor {name} is {:?}, not F32", view.dtype())));
        }
        let values = bytemuck::pod_collect_to_vec(view.data());
        tensors.insert(name, (view.shape().to_vec(), values));
    }
    Ok(tensors)
}

/// Puts the tensors that fit by name and shape into one member's arena.
///
/// # Errors
/// [`Error::Data`] where something does not fit and `partial` is not set, naming the first such.
pub fn apply(tensors: &Tensors, plan: &Plan, arena: &mut [f32], partial: bool) -> Result<Taken> {
    let mut done = Taken::default();
    for param in &plan.params {
        let shape = param.shape();
        match tensors.get(&param.name) {
            Some((found, values)) if *found == shape => {
                param.pack(values, arena);
                done.taken.push(param.name.clone());
            }
            Some((found, _)) => done.missing.push(format!(
                "{} is {found:?} there and {shape:?} here",
                param.name
            )),
            None => done
                .missing
                .push(format!("{} {shape:?} is not there", param.name)),
        }
    }
    let known = |name: &&String| plan.params.iter().any(|p| p.name == **name);
    let mut unused: Vec<String> = tensors.keys().filter(|n| !known(n)).cloned().collect();
    unused.sort();
    done.unused = unused;
    if done.taken.is_empty() {
        let names: Vec<&str> = done.unused.iter().take(4).map(String::as_str).collect();
        return Err(Error::Data(format!(
            "--init: no tensor fits the model (it has {}; the file has {})",
            done.missing.first().map_or("none", String::as_str),
            names.join(", ")
        )));
    }
    let misfit = done.missing.first().cloned();
    let extra = done
        .unused
        .first()
        .map(|name| format!("{name} has no place in the model"));
    match misfit.or(extra) {
        Some(what) if !partial => Err(Error::Data(format!(
            "--init: {what}\ntake what fits with --init-partial, or change --model"
        ))),
        _ => Ok(done),
    }
}
