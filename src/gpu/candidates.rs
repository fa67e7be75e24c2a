//! Which variant of a shader runs: by one member's shape and the adapter, never by the number of
//! members or a timing, so that a member's bits are the same in any population and on any day.
//!
//! How each was arrived at: `docs/kernels.md`.

use super::shader::SHADERS;
use crate::plan::{Kernel, Orientation};

/// What a choice depends on besides the shape; by default, of a GPU without subgroups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdapterFacts {
    /// A program on the CPU, whose loads cost the same from anywhere.
    pub software: bool,
    /// Lanes of a subgroup, where subgroups may be used and have that size and no other.
    pub subgroup: Option<u32>,
}

/// Sizes of subgroups that the broadcasting tiles take: A lies in eight lanes.
const SUBGROUPS: std::ops::RangeInclusive<u32> = 8..=128;

impl AdapterFacts {
    pub fn new(info: &wgpu::AdapterInfo, features: wgpu::Features) -> AdapterFacts {
        let size = info.subgroup_min_size;
        let usable = features.contains(wgpu::Features::SUBGROUP)
            && size == info.subgroup_max_size
            && SUBGROUPS.contains(&size);
        AdapterFacts {
            software: super::adapter::is_software(info),
            subgroup: usable.then_some(size),
        }
    }
}

/// m x n with k products each.
#[derive(Clone, Copy, Debug)]
struct Product {
    orientation: Orientation,
    m: u32,
    n: u32,
    k: u32,
}

/// The variants of a kernel's shader that run on the adapter, the one that runs by default first.
/// One, without a name, for a kernel without variants.
pub fn candidates(kernel: &Kernel, facts: &AdapterFacts) -> Vec<&'static str> {
    let product = match kernel {
        Kernel::Matmul {
            shape, orientation, ..
        } => Product {
            orientation: *orientation,
            m: shape.m,
            n: shape.n,
            k: shape.k,
        },
        Kernel::WeightUpdate(p) => Product {
            orientation: Orientation::TN,
            m: p.m,
            n: p.n,
            k: p.k,
        },
        // Fewer, taller workgroups read the weights less often; more of them fill a GPU.
        Kernel::LinearXent(..) if facts.software => return vec!["rows8", "rows4"],
        Kernel::LinearXent(..) => return vec!["rows4", "rows8"],
        _ => return vec![""],
    };
    let best = match (facts.software, facts.subgroup) {
        // Loads cost the most there, and broadcasts next to nothing.
        (true, Some(_)) if product.m > 16 => "broadcast32x4",
        (true, Some(_)) => "broadcast16x4",
        (true, None) => stream(product),
        (false, _) => hardware(product),
    };
    let mut found = vec![best];
    for shader in SHADERS.iter().filter(|s| s.name == kernel.name()) {
        let runs = !shader.subgroups || facts.subgroup.is_some();
        if runs && shader.variant != best {
            found.push(shader.variant);
        }
    }
    found
}

/// Measured on llvmpipe: a wide tile reads A less often, but a tile wider than the matrix computes
/// columns that nobody wants.
fn stream(p: Product) -> &'static str {
    match p.orientation {
        Orientation::NN | Orientation::TN if p.m >= 16 && p.n > 60 => "stream16x8",
        Orientation::NN | Orientation::TN if p.m >= 16 => "stream16x4",
        _ => "stream8x4",
    }
}

/// Not measured: from what is published of other WGSL and WebGPU products.
fn hardware(p: Product) -> &'static str {
    let tiles = |rows: u32, columns: u32| p.m.div_ceil(rows) * p.n.div_ceil(columns);
    if p.m >= 64 && p.n >= 64 {
        // The largest tile of which there are enough to keep a GPU's compute units busy.
        if tiles(128, 128) >= 128 {
            return "block128x128";
        }
        if tiles(64, 64) >= 64 {
            return "block64x64";
        }
    }
    // Few results: the lanes find their work along k, where it is long enough to be dealt out.
    if p.k >= 64 { "split" } else { "stream8x4" }
}
