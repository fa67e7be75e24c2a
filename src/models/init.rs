//! Initial parameters: what each layer's weights and biases are drawn from.

use std::fmt;
use std::str::FromStr;

use crate::plan::{Plan, Role};
use crate::rng::{Purpose, Stream};
use crate::{Error, Result, suggest};

/// How the weights and biases of a layer start, as `--initializer` names it.
///
/// `in` and `out` are the weight's fans: inputs and outputs that one unit is wired to. Biases are
/// drawn by `pytorch` alone and start at zero elsewhere, as in the papers and in Keras.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Initializer {
    /// Weights and biases uniform(-1/sqrt(in), 1/sqrt(in)): the default of `torch.nn.Linear` and
    /// `Conv2d` (LeCun et al. 1998, "Efficient BackProp", section 4.6, up to the constant).
    #[default]
    Pytorch,
    /// uniform(-a, a), a = sqrt(6 / (in + out)) (Glorot and Bengio 2010, equation 16).
    XavierUniform,
    /// normal(0, 2 / (in + out)), the same variance.
    XavierNormal,
    /// uniform(-a, a), a = sqrt(6 / in): the variance of `he-normal`.
    HeUniform,
    /// normal(0, 2 / in), for layers followed by ReLU (He et al. 2015, arXiv:1502.01852, equation 10).
    HeNormal,
    /// All zeros: for models without hidden layers; hidden units that start alike stay alike.
    Zeros,
}

/// What the elements of one tensor are drawn from; the mean is 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    Zeros,
    /// Over \[-bound, bound\].
    Uniform {
        bound: f64,
    },
    Normal {
        std: f64,
    },
}

impl Initializer {
    pub const ALL: [Initializer; 6] = [
        Initializer::Pytorch,
        Initializer::XavierUniform,
        Initializer::XavierNormal,
        Initializer::HeUniform,
        Initializer::HeNormal,
        Initializer::Zeros,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Initializer::Pytorch => "pytorch",
            Initializer::XavierUniform => "xavier-uniform",
            Initializer::XavierNormal => "xavier-normal",
            Initializer::HeUniform => "he-uniform",
            Initializer::HeNormal => "he-normal",
            Initializer::Zeros => "zeros",
        }
    }

    /// What a weight of this shape, `[out, in]` or `[out, in, height, width]`, is drawn from.
    pub fn weights(self, shape: &[usize]) -> Distribution {
        let (fan_in, fan_out) = fans(shape);
        match self {
            Initializer::Pytorch => Distribution::Uniform {
                bound: 1.0 / fan_in.sqrt(),
            },
            Initializer::XavierUniform => Distribution::Uniform {
                bound: (6.0 / (fan_in + fan_out)).sqrt(),
            },
            Initializer::XavierNormal => Distribution::Normal {
                std: (2.0 / (fan_in + fan_out)).sqrt(),
            },
            Initializer::HeUniform => Distribution::Uniform {
                bound: (6.0 / fan_in).sqrt(),
            },
            Initializer::HeNormal => Distribution::Normal {
                std: (2.0 / fan_in).sqrt(),
            },
            Initializer::Zeros => Distribution::Zeros,
        }
    }

    /// What the bias of the layer whose weight has this shape is drawn from.
    pub fn biases(self, weight: &[usize]) -> Distribution {
        match self {
            Initializer::Pytorch => self.weights(weight),
            _ => Distribution::Zeros,
        }
    }
}

/// (in, out) of a weight: axes 1 and 0, each times the extent of the window.
fn fans(shape: &[usize]) -> (f64, f64) {
    let window: usize = shape.iter().skip(2).product();
    ((shape[1] * window) as f64, (shape[0] * window) as f64)
}

/// Reads a name, in any case; `glorot` is taken for `xavier` and `kaiming` for `he`.
impl FromStr for Initializer {
    type Err = Error;

    fn from_str(text: &str) -> Result<Initializer> {
        let name = text.trim().to_lowercase().replace('_', "-");
        let usual = match name.split_once('-') {
            Some(("glorot", rest)) => format!("xavier-{rest}"),
            Some(("kaiming", rest)) => format!("he-{rest}"),
            _ => name,
        };
        Initializer::ALL
            .into_iter()
            .find(|known| known.name() == usual)
            .ok_or_else(|| {
                let hint = suggest::hint(&usual, Initializer::ALL.map(Initializer::name));
                Error::Usage(format!("--initializer {text}: no such initialiser{hint}"))
            })
    }
}

impl fmt::Display for Initializer {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One member's initial parameters \[arena_len\], padding zero. Each parameter draws from a stream
/// of its own, numbered by its place in the plan.
pub fn fill(initializer: Initializer, seed: u64, plan: &Plan) -> Vec<f32> {
    let mut arena = vec![0.0; plan.arena_len];
    for (ix, param) in plan.params.iter().enumerate() {
        let distribution = match param.role {
            Role::Weight => initializer.weights(&param.shape()),
            Role::Bias => {
                let layer = param.name.rsplit_once('.').map_or("", |(layer, _)| layer);
                let weight = format!("{layer}.weight");
                let weight = plan.params.iter().find(|p| p.name == weight);
                initializer.biases(&weight.map_or(vec![1, param.cols], |w| w.shape()))
            }
            // A normalisation starts as the identity.
            Role::Scale | Role::RunningVar => {
                param.pack(&vec![1.0; param.len()], &mut arena);
                continue;
            }
            Role::Shift | Role::RunningMean => continue,
        };
        let mut stream = Stream::new(seed, Purpose::Init, ix as u32);
        let values: Vec<f32> = match distribution {
            Distribution::Zeros => continue,
            Distribution::Uniform { bound } => {
                (0..param.len()).map(|_| stream.uniform(bound)).collect()
            }
            Distribution::Normal { std } => (0..param.len()).map(|_| stream.normal(std)).collect(),
        };
        param.pack(&values, &mut arena);
    }
    arena
}

/// [`fill`] with PyTorch's default.
pub fn initial_parameters(plan: &Plan, seed: u64) -> Vec<f32> {
    fill(Initializer::Pytorch, seed, plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_have_aliases() {
        for initializer in Initializer::ALL {
            let name = initializer.to_string();
            assert_eq!(name.parse::<Initializer>().unwrap(), initializer);
            let loud = name.to_uppercase().replace('-', "_");
            assert_eq!(loud.parse::<Initializer>().unwrap(), initializer);
        }
        for (alias, name) in [
            ("glorot-uniform", "xavier-uniform"),
            ("Glorot_Normal", "xavier-normal"),
            ("kaiming-uniform", "he-uniform"),
            ("kaiming_normal", "he-normal"),
        ] {
            assert_eq!(alias.parse::<Initializer>().unwrap().name(), name);
        }
        for (text, part) in [
            (
                "he-unifrm",
                "--initializer he-unifrm: no such initialiser; did you mean he-uniform?",
            ),
            ("glorot", "no such initialiser"),
            ("", "no such initialiser"),
        ] {
            let error = text.parse::<Initializer>().unwrap_err();
            assert!(matches!(error, Error::Usage(_)));
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
