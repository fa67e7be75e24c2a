//! From a kernel to a GPU dispatch: which shader and variant, its specialisation, its grid.
//!
//! This is the one place that chooses. The choice depends on one member's shape alone, never on the
//! number of members or on a timing, so that a member's bits are the same in any population.

use super::shader::Shader;
use crate::plan::{Epilogue, Kernel, Orientation, Targets};
use crate::{Error, Result};

/// Groups that one axis of a grid may have, on every WebGPU device.
pub const MAX_GROUPS: u32 = 65_535;

/// Invocations of an element-wise workgroup: LANES in `shaders/lib/index.wgsl`.
pub const LANES: u32 = 64;

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
pub fn lower(kernel: &Kernel, members: usize) -> Result<Lowered> {
    lower_as(kernel, members, None)
}

/// [`lower`] with the variant of a matrix product forced, so that verification reaches those that
/// no small shape would choose. A kernel without variants ignores it.
pub fn lower_as(kernel: &Kernel, members: usize, forced: Option<&str>) -> Result<Lowered> {
    let wide = |a: u32, b: u32| u64::from(a) * u64::from(b);
    let members = axis(members as u64, "members")?;
    let mut variant = String::new();
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
            let (chosen, lanes) = matmul_tile(*orientation, p.m, p.n);
            let tile = forced.unwrap_or(chosen);
            variant = tile.to_string();
            let shader = Shader::find("matmul", tile);
            let (rows, vecs) = (shader.constant("ROWS"), shader.constant("VECS"));
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
                ("TILE_LANES", f64::from(lanes)),
            ];
            Grid::Fixed([
                axis(
                    u64::from(p.n).div_ceil(u64::from(lanes * vecs * 4)),
                    "columns",
                )?,
                axis(u64::from(p.m).div_ceil(u64::from(rows)), "rows")?,
                members,
            ])
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
        shader: Shader::find(kernel.name(), &variant),
        constants,
        grid,
    })
}

/// The register tile and the lanes of a matrix product, by shape.
///
/// Measured on llvmpipe (2 cores): a wide tile reads A less often, but a tile wider than the matrix
/// computes columns that nobody wants.
fn matmul_tile(orientation: Orientation, m: u32, n: u32) -> (&'static str, u32) {
    let n4 = n.div_ceil(4);
    let lanes = match n4 {
        0..=8 => 8,
        9..=16 => 16,
        _ => 32,
    };
    match orientation {
        Orientation::NT => ("8x4", lanes),
        Orientation::NN | Orientation::TN if m >= 16 && n4 >= 16 => ("16x8", 8),
        Orientation::NN | Orientation::TN if m >= 16 => ("16x4", 8),
        Orientation::NN | Orientation::TN => ("8x4", lanes),
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
