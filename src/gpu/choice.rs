//! Which variant of a kernel runs for a shape, where it has several.
//!
//! [`super::candidates`] lists what may run, best first, by one member's shape and the adapter. What a
//! run took is a map from the words of a shape to a variant's name, which is recorded with the run:
//! one that goes on takes the same, whatever a later version would prefer, and so makes the same bits.

use std::collections::BTreeMap;

use super::candidates::{AdapterFacts, candidates};
use crate::plan::{Dispatch, Epilogue, Kernel, Plan};
use crate::{Error, Result};

/// The variant by the words of [`shape`].
pub type Choices = BTreeMap<String, String>;

/// One member's shape in words, "TN 128x784x128 bias-grad" for m x n x k; `None` for a kernel that
/// has one form alone.
pub fn shape(kernel: &Kernel) -> Option<String> {
    let (shape, orientation, epilogue, accumulate, bias_grad) = match kernel {
        Kernel::Matmul {
            shape,
            orientation,
            epilogue,
            accumulate,
            bias_grad,
        } => (shape, orientation, epilogue, accumulate, bias_grad),
        Kernel::WeightUpdate(p) => return Some(format!("update {}x{}x{}", p.m, p.n, p.k)),
        Kernel::LinearXent(p, _) => {
            return Some(format!("head {}x{}x{}", p.batch, p.classes, p.inputs));
        }
        _ => return None,
    };
    let mut words = format!("{orientation:?} {}x{}x{}", shape.m, shape.n, shape.k);
    words += match epilogue {
        Epilogue::None => "",
        Epilogue::Bias(_) => " bias",
        Epilogue::ActivationGrad(_) => " activation-grad",
    };
    if *accumulate {
        words += " accumulate";
    }
    if *bias_grad {
        words += " bias-grad";
    }
    Some(words)
}

/// The dispatches of both passes that have a choice, one for each shape.
pub fn dispatches(plan: &Plan) -> BTreeMap<String, &Dispatch> {
    let all = plan.train.per_step.iter().chain(&plan.eval.per_step);
    all.filter_map(|dispatch| Some((shape(&dispatch.kernel)?, dispatch)))
        .collect()
}

/// A variant for every shape of the plan: the recorded one, else the first candidate.
///
/// # Errors
/// [`Error::Usage`] where a recorded variant is none of this version's for its shape, or none that the
/// adapter runs.
pub fn complete(plan: &Plan, facts: &AdapterFacts, recorded: &Choices) -> Result<Choices> {
    let of_shape = |(words, dispatch): (String, &Dispatch)| {
        let known = candidates(&dispatch.kernel, facts);
        let variant = match recorded.get(&words) {
            None => known[0],
            Some(name) => *known.iter().find(|known| *known == name).ok_or_else(|| {
                Error::Usage(format!(
                    "the run was trained with the kernel variant \"{name}\" for {words}, which gpu-train {} does not have for it on this adapter (it has {}): resume it with the version and the adapter that began it",
                    env!("CARGO_PKG_VERSION"),
                    known.join(", ")
                ))
            })?,
        };
        Ok((words, variant.to_string()))
    };
    dispatches(plan).into_iter().map(of_shape).collect()
}
