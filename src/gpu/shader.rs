//! The shader table that build.rs assembles from `shaders/`.

/// How a kernel uses the buffer at a binding of group 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Uniform,
    Read,
    ReadWrite,
}

/// One shader, or one variant of it.
#[derive(Debug)]
pub struct Shader {
    /// The kernel's name.
    pub name: &'static str,
    /// Empty where there is only one.
    pub variant: &'static str,
    /// What makes its product, `shaders/lib/tile_TILE.wgsl`; empty for a kernel without one.
    pub tile: &'static str,
    /// The constants that make the variant.
    pub constants: &'static [(&'static str, u32)],
    /// The bindings of group 0, in order; the first is the parameter block.
    pub access: &'static [Access],
    /// Reads the step table, so that group 1 says where it stands.
    pub uses_step: bool,
    /// Shares values between the lanes of a subgroup, which a workgroup must be.
    pub subgroups: bool,
    pub source: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/shaders.rs"));

impl Shader {
    pub fn find(name: &str, variant: &str) -> &'static Shader {
        SHADERS
            .iter()
            .find(|s| s.name == name && s.variant == variant)
            .unwrap_or_else(|| panic!("no shader {name} {variant}"))
    }

    pub fn constant(&self, name: &str) -> u32 {
        let found = self
            .constants
            .iter()
            .find(|(constant, _)| *constant == name);
        found.map_or_else(|| panic!("{} has no constant {name}", self.name), |c| c.1)
    }
}
