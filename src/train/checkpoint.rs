//! The checkpoint: one file with everything that an exact resume needs, written whole.
//!
//! A safetensors file with the arenas as they lie on the device (`parameters` \[P, arena\], `state`
//! \[P, 2, arena\], and where there are such, `averages` and `accumulated` \[P, arena\]), the weights
//! of the best epochs (`best` \[P, arena\]), and one metadata key of JSON: the configuration, what
//! the data were, the [`State`] and the lengths of the two logs, to which a resume cuts them back.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::{Config, Snapshot, State};
use crate::data::fingerprint::Fingerprint;
use crate::executor::{Executor, floats};
use crate::files::write_whole;
use crate::plan::{BufferId, Plan};
use crate::{Error, Result};

const KEY: &str = "gpu-train-checkpoint";
const FORMAT: u32 = 2;

/// What a checkpoint says beside the arenas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    pub format: u32,
    /// The program's version.
    pub program: String,
    /// The kernel variant of each shape, by the shape's words: a resume takes the same.
    #[serde(default)]
    pub kernels: BTreeMap<String, String>,
    pub config: Config,
    pub data: Fingerprint,
    pub state: State,
    pub metrics_bytes: u64,
    pub steps_bytes: u64,
}

impl Position {
    pub fn new(
        config: &Config,
        data: &Fingerprint,
        state: &State,
        metrics_bytes: u64,
        steps_bytes: u64,
    ) -> Self {
        Position {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_string(),
            kernels: BTreeMap::new(),
            config: config.clone(),
            data: data.clone(),
            state: state.clone(),
            metrics_bytes,
            steps_bytes,
        }
    }
}

/// The arenas that a run's bits depend on, by name.
fn arenas(plan: &Plan) -> Vec<(&'static str, BufferId)> {
    let mut list = vec![("parameters", plan.parameters), ("state", plan.state)];
    list.extend(plan.averages.map(|id| ("averages", id)));
    list.extend(plan.accumulated.map(|id| ("accumulated", id)));
    list
}

/// Copies the arenas out of the executor and writes `path` whole.
pub fn write(path: &Path, snapshot: &mut Snapshot, position: &Position) -> Result<()> {
    let failed = |what: String| Error::Data(format!("cannot write a checkpoint: {what}"));
    let members = snapshot.exec.plan().members;
    let parameters = snapshot.exec.plan().parameters;
    let mut tensors: Vec<(&str, Cow<[u32]>)> = Vec::new();
    for (name, id) in arenas(snapshot.exec.plan()) {
        tensors.push((
            name,
            match id == parameters {
                true => Cow::Borrowed(bytemuck::cast_slice(snapshot.parameters)),
                false => Cow::Owned(snapshot.exec.download(id)?),
            },
        ));
    }
    if let Some(best) = snapshot.best {
        tensors.push(("best", Cow::Borrowed(bytemuck::cast_slice(best))));
    }
    let mut views = Vec::with_capacity(tensors.len());
    for (name, words) in &tensors {
        let shape = vec![members, words.len() / members];
        let view = TensorView::new(Dtype::F32, shape, bytemuck::cast_slice(words));
        views.push((*name, view.map_err(|e| failed(e.to_string()))?));
    }
    let json = serde_json::to_string(position).map_err(|e| failed(e.to_string()))?;
    let metadata = HashMap::from([(KEY.to_string(), json)]);
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| failed(e.to_string()))?;
    write_whole(path, &bytes)
}

/// A checkpoint as read back.
#[derive(Debug)]
pub struct Checkpoint {
    pub position: Position,
    tensors: HashMap<String, Vec<u32>>,
}

impl Checkpoint {
    /// Reads `path`.
    ///
    /// # Errors
    /// [`Error::Data`] where it is no checkpoint, is damaged, or is another version's.
    pub fn read(path: &Path) -> Result<Checkpoint> {
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, "read", e))?;
        Self::decode(&bytes)
            .map_err(|what| Error::Data(format!("{} cannot be resumed: {what}", path.display())))
    }

    fn decode(bytes: &[u8]) -> std::result::Result<Checkpoint, String> {
        let damaged = |e: safetensors::SafeTensorError| format!("it is truncated or damaged ({e})");
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let metadata = header.metadata().as_ref();
        let json = metadata
            .and_then(|m| m.get(KEY))
            .ok_or("it is no checkpoint of gpu-train")?;
        let value: serde_json::Value =
            serde_json::from_str(json).map_err(|e| format!("its header is damaged: {e}"))?;
        let format = value["format"].as_u64().unwrap_or(0);
        let program = value["program"].as_str().unwrap_or("another version");
        if format != u64::from(FORMAT) {
            return Err(format!(
                "it was written by gpu-train {program} in format {format}, and this is {} with format {FORMAT}: resume it with that version",
                env!("CARGO_PKG_VERSION")
            ));
        }
        let position = serde_json::from_value(value)
            .map_err(|e| format!("its header is not understood: {e}"))?;
        let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
        let tensors = file
            .tensors()
            .into_iter()
            .map(|(name, view)| (name, bytemuck::pod_collect_to_vec(view.data())))
            .collect();
        Ok(Checkpoint { position, tensors })
    }

    /// Puts the arenas into the executor; the best epochs' weights, where they were kept.
    ///
    /// # Errors
    /// [`Error::Data`] where an arena is missing or of another length than the plan's.
    pub fn restore(&self, exec: &mut dyn Executor) -> Result<Option<Vec<f32>>> {
        let (list, arena) = {
            let plan = exec.plan();
            (arenas(plan), plan.arena_len * plan.members)
        };
        for (name, id) in list {
            let want = exec.plan().buffer(id).len;
            exec.upload(id, 0, self.tensor(name, want)?)?;
        }
        match self.tensors.contains_key("best") {
            true => Ok(Some(floats(self.tensor("best", arena)?.to_vec()))),
            false => Ok(None),
        }
    }

    fn tensor(&self, name: &str, want: usize) -> Result<&[u32]> {
        let found = self.tensors.get(name).map(Vec::as_slice);
        match found {
            Some(words) if words.len() == want => Ok(words),
            found => Err(Error::Data(format!(
                "the checkpoint's \"{name}\" has {} numbers, and this model needs {want}: it belongs to another architecture",
                found.map_or(0, <[u32]>::len)
            ))),
        }
    }
}
