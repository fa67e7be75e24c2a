//! From a kernel to a GPU dispatch: which shader and variant, its specialisation, its grid.
//!
//! The variant is [`super::candidates`]'s.

use super::candidates::{AdapterFacts, candidates};
use super::shader::Shader;
use crate::plan::{Epilogue, Kernel, Targets};
use crate::{Error, Result};

/// Groups that one axis of a grid may have, on every WebGPU device.
pub const MAX_GROUPS: u32 = 65_535;

/// Invocations of an element-wise workgroup: LANES in `shaders/lib/index.wgsl`.
pub const LANES: u32 = 64;

/// Workgroup memory on every WebGPU device.
const WORKGROUP_BYTES: u32 = 16_384;

/// A kernel, ready to become a pipeline.
#[derive(Clone, Debug)]
pub struct Lowered {
    pub shader: &'static Shader,
    /// `override` constants.
    pub constants: Vec<(&'static str, f64)>,
    pub grid: Grid,
}

/// Workgroups in x, y and z.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grid {
    Fixed([u32; 3]),
    /// As many groups as the submitted range has steps, times this, folded into x and y.
    PerStep(u32),
}

impl std::fmt::Display for Grid {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Grid::Fixed([x, y, z]) => write!(f, "{x}x{y}x{z} workgroups"),
            Grid::PerStep(groups) => write!(f, "{groups} workgroups a step"),
        }
    }
}

/// A grid of `groups` workgroups folded into x and y.
pub fn fold(groups: u64) -> Result<[u32; 2]> {
    let groups = groups.max(1);
    let y = groups.div_ceil(u64::from(MAX_GROUPS));
    if y > u64::from(MAX_GROUPS) {
        return Err(Error::Device(format!(
            "a kernel would need {groups} workgroups; a grid has at most {MAX_GROUPS} x {MAX_GROUPS}: use a smaller batch or fewer members"
        )));
    }
    Ok([groups.div_ceil(y) as u32, y as u32])
}

/// An element-wise grid over `items` invocations, with `z` groups deep.
fn flat(items: u64, z: u32) -> Result<Grid> {
    let [x, y] = fold(items.div_ceil(u64::from(LANES)))?;
    Ok(Grid::Fixed([x, y, z]))
}

/// `groups` workgroups, `z` deep.
fn deep(groups: u64, z: u32) -> Result<Grid> {
    let [x, y] = fold(groups)?;
    Ok(Grid::Fixed([x, y, z]))
}

/// `members`: the z axis of the kernels that have one group of workgroups per member.
pub fn lower(kernel: &Kernel, members: usize, facts: &AdapterFacts) -> Result<Lowered> {
    lower_as(kernel, members, facts, None)
}

/// [`lower`] with a variant forced. A kernel without variants ignores it.
pub fn lower_as(
    kernel: &Kernel,
    members: usize,
    facts: &AdapterFacts,
    forced: Option<&str>,
) -> Result<Lowered> {
    let found = candidates(kernel, facts);
    let variant = match (forced, &found[..]) {
        (Some(forced), [_, _, ..]) => forced,
        _ => found[0],
    };
    let shader = Shader::find(kernel.name(), variant);
    let wide = |a: u32, b: u32| u64::from(a) * u64::from(b);
    let members = axis(members as u64, "members")?;
    let mut constants = Vec::new();
    let grid = match kernel {
        Kernel::Gather(p) => flat(wide(p.members, p.batch) * u64::from(p.ld / 4), 1)?,
        Kernel::Matmul {
            shape: p,
            orientation,
            epilogue,
            accumulate,
            bias_grad,
        } => {
            let (code, act) = match epilogue {
                Epilogue::None => (0, None),
                Epilogue::Bias(act) => (1, Some(act)),
                Epilogue::ActivationGrad(act) => (2, Some(act)),
            };
            constants = vec![
                ("ORIENTATION", f64::from(*orientation as u32)),
                ("EPILOGUE", f64::from(code)),
                ("ACT", act.map_or(0.0, |&a| f64::from(a as u32))),
                ("ACCUMULATE", f64::from(u32::from(*accumulate))),
                ("BIAS_GRAD", f64::from(u32::from(*bias_grad))),
            ];
            let tile = Tile::new(shader, p.n, facts);
            constants.extend(tile.constant());
            tile.grid(p.m, p.n, *bias_grad, members)?
        }
        Kernel::Activation(p, act) | Kernel::ActivationGrad(p, act) => {
            constants = vec![("ACT", f64::from(*act as u32))];
            flat(wide(p.rows, p.ld / 4) * u64::from(members), 1)?
        }
        Kernel::Add(p) => flat(wide(p.rows, p.ld / 4) * u64::from(members), 1)?,
        Kernel::Dropout(p) => flat(wide(p.rows, p.ld / 4) * u64::from(members), 1)?,
        Kernel::SoftmaxXent(p) => flat(wide(p.members, p.batch), 1)?,
        Kernel::RegressionLoss(p, error, targets) => {
            constants = vec![
                ("ERROR", f64::from(*error as u32)),
                ("VALUES", f64::from(u32::from(*targets == Targets::Values))),
            ];
            flat(wide(p.members, p.batch), 1)?
        }
        Kernel::LinearXent(p, act) => {
            let rows = shader.constant("ROWS");
            let classes4 = p.ld / 4;
            // As many lanes as the inputs have work for and workgroup memory has room.
            let most = if facts.software { 8 } else { LANES };
            let room = WORKGROUP_BYTES / (16 * rows * classes4);
            let room = (room + 1).next_power_of_two() / 2;
            let lanes = (p.ldx / 4).next_power_of_two().clamp(8, most.min(room));
            constants = vec![
                ("ACT", f64::from(*act as u32)),
                ("CLASSES4", f64::from(classes4)),
                ("TILE_LANES", f64::from(lanes)),
                ("N_PARTS", f64::from(lanes * rows * classes4)),
            ];
            deep(u64::from(p.batch.div_ceil(rows)), members)?
        }
        Kernel::WeightUpdate(p) => {
            let tile = Tile::new(shader, p.n, facts);
            constants.extend(tile.constant());
            tile.grid(p.m, p.n, true, members)?
        }
        Kernel::Confusion(p) => flat(wide(p.members, p.batch), 1)?,
        Kernel::ReduceMetrics(p) => Grid::PerStep(p.members),
        Kernel::GradNorm(p) => Grid::Fixed([p.n_partials, members, 1]),
        Kernel::Optimizer(p) => {
            constants = vec![("CLIP", f64::from(u32::from(p.n_partials > 0)))];
            flat(u64::from(p.n / 4), members)?
        }
        Kernel::Accumulate(p) => flat(u64::from(p.n / 4), members)?,
        Kernel::Ema(p) => flat(u64::from(p.stride / 4), members)?,
        Kernel::MaxNorm(p) => deep(u64::from(p.rows), members)?,
        Kernel::BatchNorm(p) | Kernel::BatchNormGrad(p) => deep(u64::from(p.ld / 4), members)?,
        Kernel::LayerNorm(p) => deep(u64::from(p.rows), members)?,
        Kernel::LayerNormGrad(p) => {
            let columns = p.trains * (p.ld / 4);
            deep(u64::from(p.rows) + u64::from(columns), members)?
        }
    };
    Ok(Lowered {
        shader,
        constants,
        grid,
    })
}

/// The part of a matrix product that one workgroup makes.
struct Tile {
    rows: u32,
    columns: u32,
    /// The workgroup's size where the shader leaves it open.
    lanes: Option<u32>,
}

impl Tile {
    fn new(shader: &Shader, n: u32, facts: &AdapterFacts) -> Tile {
        let rows = shader.constant("ROWS");
        let of_lanes = |lanes: u32, vecs: u32| Tile {
            rows,
            columns: lanes * vecs * 4,
            lanes: Some(lanes),
        };
        match shader.tile {
            "stream" if facts.software && rows > 8 => of_lanes(8, shader.constant("VECS")),
            // No more lanes than there are columns for.
            "stream" => of_lanes(
                n.div_ceil(4).next_power_of_two().clamp(8, 32),
                shader.constant("VECS"),
            ),
            "broadcast" => of_lanes(facts.subgroup.unwrap_or(8), 1),
            "block" => Tile {
                rows: 16 * rows,
                columns: 64 * shader.constant("VECS"),
                lanes: None,
            },
            "split" => Tile {
                rows,
                columns: 4 * shader.constant("WIDTH"),
                lanes: None,
            },
            other => panic!("no tile is named {other}"),
        }
    }

    fn constant(&self) -> Option<(&'static str, f64)> {
        self.lanes.map(|lanes| ("TILE_LANES", f64::from(lanes)))
    }

    /// Tiles over m x n, and a column of workgroups more that sums the columns of A.
    fn grid(&self, m: u32, n: u32, sums_columns: bool, members: u32) -> Result<Grid> {
        let columns = u64::from(n).div_ceil(u64::from(self.columns)) + u64::from(sums_columns);
        let rows = u64::from(m).div_ceil(u64::from(self.rows));
        Ok(Grid::Fixed([
            axis(columns, "columns")?,
            axis(rows, "rows")?,
            members,
        ]))
    }
}

fn axis(groups: u64, of: &str) -> Result<u32> {
    if groups > u64::from(MAX_GROUPS) {
        return Err(Error::Device(format!(
            "a kernel would need {groups} workgroups along its {of}; an axis has at most {MAX_GROUPS}: use a smaller batch, layer or population"
        )));
    }
    Ok(groups as u32)
}
