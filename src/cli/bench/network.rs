//! A network by its widths: "784-128-10".

use std::str::FromStr;

/// Layers that a network may have, and units that a layer may have.
const DEEPEST: usize = 32;
const WIDEST: usize = 1 << 16;

/// A network over MNIST with ReLU behind each hidden layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// As it was typed.
    pub name: String,
    hidden: Vec<usize>,
}

impl Network {
    /// The layer notation of the hidden layers.
    pub fn notation(&self) -> String {
        let layers = self
            .hidden
            .iter()
            .map(|width| format!("linear:{width},relu"));
        layers.collect::<Vec<_>>().join(",")
    }

    /// Units of the widest layer, the inputs aside.
    pub fn width(&self) -> usize {
        self.hidden.iter().copied().max().unwrap_or(0).max(10)
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut widths = Vec::new();
        for part in text.trim().split('-') {
            match part.parse::<usize>() {
                Ok(width) if (1..=WIDEST).contains(&width) => widths.push(width),
                _ => {
                    return Err(format!(
                        "\"{part}\" is no width from 1 to {WIDEST}; a network is written as 784-128-10"
                    ));
                }
            }
        }
        match widths.as_slice() {
            [784, hidden @ .., 10] if hidden.len() <= DEEPEST => Ok(Network {
                name: text.trim().to_string(),
                hidden: hidden.to_vec(),
            }),
            [784, .., 10] => Err(format!("at most {DEEPEST} hidden layers")),
            _ => Err("MNIST has 784 inputs and 10 classes: write it as 784-128-10".to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Network;

    #[test]
    fn widths_become_layers() {
        let network = |text: &str| text.parse::<Network>();
        let plain = network("784-10").unwrap();
        assert_eq!((plain.notation().as_str(), plain.width()), ("", 10));
        let deep = network("784-1024-64-10").unwrap();
        assert_eq!(deep.notation(), "linear:1024,relu,linear:64,relu");
        assert_eq!(deep.width(), 1024);
        for wrong in [
            "784-x",
            "",
            "784",
            "10",
            "784-0-10",
            "3-5-10",
            "784-128-2",
            "784--10",
        ] {
            assert!(network(wrong).is_err(), "{wrong}");
        }
    }
}
