//! Element-wise activation functions: their names and codes.

use std::fmt;

/// Slope of `leaky-relu` for negative inputs (PyTorch's default).
pub const LEAKY_SLOPE: f64 = 0.01;

/// The code of a variant (`as u32`) is the shaders' `ACT` constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Activation {
    None = 0,
    Relu = 1,
    LeakyRelu = 2,
    Tanh = 3,
    Sigmoid = 4,
    /// Gaussian error linear unit, exact form x * Phi(x) (Hendrycks and Gimpel 2016, arXiv:1606.08415).
    Gelu = 5,
}

impl Activation {
    /// Every activation that a layer can name.
    pub const NAMED: [Activation; 5] = [
        Activation::Relu,
        Activation::LeakyRelu,
        Activation::Tanh,
        Activation::Sigmoid,
        Activation::Gelu,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Activation::None => "none",
            Activation::Relu => "relu",
            Activation::LeakyRelu => "leaky-relu",
            Activation::Tanh => "tanh",
            Activation::Sigmoid => "sigmoid",
            Activation::Gelu => "gelu",
        }
    }

    pub fn from_name(name: &str) -> Option<Activation> {
        Self::NAMED.into_iter().find(|a| a.name() == name)
    }

    /// Whether the derivative can be had from the output alone, so that the
    /// pre-activation need not be kept. GELU is not monotone: it needs its input.
    pub fn gradient_from_output(self) -> bool {
        self != Activation::Gelu
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}
