//! Reads the layer notation.

use super::Layer;
use crate::plan::Activation;
use crate::suggest;

/// Blocks inside blocks: deeper than anything sensible, and far from the end of the stack.
const MAX_DEPTH: usize = 16;

/// The layers of a notation in lower case, which may be empty.
///
/// # Errors
/// What is wrong, with the layer at fault: `layer 2 "rlu": no such layer; did you mean relu?`.
pub fn layers(text: &str) -> Result<Vec<Layer>, String> {
    match text.trim() {
        "" => Ok(Vec::new()),
        text => sequence(text, ""),
    }
}

/// Layers between commas; `prefix` names the block that they are in.
fn sequence(text: &str, prefix: &str) -> Result<Vec<Layer>, String> {
    if prefix.split('.').count() > MAX_DEPTH {
        return Err(format!("its blocks are more than {MAX_DEPTH} deep"));
    }
    let words = split(text)?;
    let named = words.iter().enumerate().map(|(ix, word)| {
        let name = super::name_in(prefix, ix);
        match block(word) {
            Some(inner) => {
                if inner.trim().is_empty() {
                    return Err(format!("layer {name} \"{word}\": the block has no layers"));
                }
                Ok(Layer::Residual(sequence(inner, &name)?))
            }
            None => layer(word).map_err(|what| format!("layer {name} \"{word}\": {what}")),
        }
    });
    named.collect()
}

/// What is inside `residual(...)`.
fn block(word: &str) -> Option<&str> {
    let rest = word.strip_prefix("residual")?.trim_start();
    rest.strip_prefix('(')?.strip_suffix(')')
}

/// Cuts at the commas that no parentheses enclose.
fn split(text: &str) -> Result<Vec<&str>, String> {
    let (mut depth, mut start) = (0usize, 0);
    let mut words = Vec::new();
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' if depth == 0 => {
                return Err(format!("the ) behind \"{}\" has no opening (", &text[..at]));
            }
            ')' => depth -= 1,
            ',' if depth == 0 => {
                words.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    if depth > 0 {
        return Err(format!("\"{}\" has no closing )", text[start..].trim()));
    }
    words.push(text[start..].trim());
    Ok(words)
}

fn layer(word: &str) -> Result<Layer, String> {
    if word.is_empty() {
        return Err("nothing is between two commas, or behind the last".to_string());
    }
    if let Some((before, behind)) = word.rsplit_once(')')
        && !behind.is_empty()
    {
        return Err(format!(
            "write a comma between \"{before})\" and \"{}\"",
            behind.trim()
        ));
    }
    let (name, argument) = match word.split_once(':') {
        Some((name, argument)) => (name.trim(), Some(argument.trim())),
        None => (word, None),
    };
    match (name, argument) {
        ("linear", Some(text)) => match text.parse::<usize>() {
            Ok(0) => Err("a layer has at least 1 unit".to_string()),
            Ok(units) if units > 1 << 24 => {
                Err(format!("{units} units are more than {} (2^24)", 1 << 24))
            }
            Ok(units) => Ok(Layer::Linear(units)),
            Err(_) => Err(format!("\"{text}\" is not a number of units")),
        },
        ("linear", None) => Err("write its units, such as linear:128".to_string()),
        ("dropout", Some(text)) => match text.parse::<f64>() {
            Ok(rate) if (0.0..1.0).contains(&rate) => Ok(Layer::Dropout(rate)),
            Ok(rate) => Err(format!("the rate {rate} is not in [0, 1)")),
            Err(_) => Err(format!("\"{text}\" is not a rate")),
        },
        ("dropout", None) => Err("write its rate, such as dropout:0.2".to_string()),
        ("batchnorm", None) => Ok(Layer::BatchNorm),
        ("layernorm", None) => Ok(Layer::LayerNorm),
        ("batchnorm" | "layernorm", Some(_)) => Err("it takes no argument".to_string()),
        ("residual", _) => {
            Err("write its layers, such as residual(linear:64,relu,linear:64)".to_string())
        }
        (name, argument) => match (Activation::from_name(name), argument) {
            (Some(activation), None) => Ok(Layer::Activation(activation)),
            (Some(_), Some(_)) => Err("an activation takes no argument".to_string()),
            (None, _) => {
                let known = ["linear", "dropout", "batchnorm", "layernorm", "residual"]
                    .into_iter()
                    .chain(Activation::NAMED.map(Activation::name));
                Err(format!("no such layer{}", suggest::hint(name, known)))
            }
        },
    }
}
