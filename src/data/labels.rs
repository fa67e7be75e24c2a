//! Labels that are numbers: how many classes they make, and whether they make sense.

use std::ops::Range;
use std::path::Path;

use crate::{Error, Result};

/// The number of classes, one more than the largest of the first `n_train` labels; classes without
/// training samples are noted. `others` are the other parts, by name.
///
/// # Errors
/// [`Error::Data`], naming `path`, where another part has a larger label or there is but one class.
pub fn count_classes(
    path: &Path,
    labels: &[u32],
    n_train: usize,
    others: &[(&str, Range<usize>)],
    notes: &mut Vec<String>,
) -> Result<usize> {
    let bad = |what: String| Err(Error::Data(format!("{}: {what}", path.display())));
    let train = &labels[..n_train];
    let n_classes = train.iter().max().map_or(0, |&label| label as usize + 1);
    let mut counts = vec![0usize; n_classes];
    for &label in train {
        counts[label as usize] += 1;
    }
    let missing: Vec<String> = (0..n_classes)
        .filter(|&class| counts[class] == 0)
        .map(|class| class.to_string())
        .collect();
    if missing.len() + 1 >= n_classes {
        return bad(match train.first() {
            Some(label) => format!(
                "every training label is {label}; there is nothing to tell apart with one class"
            ),
            None => "there are no training samples".to_string(),
        });
    }
    if 2 * missing.len() > n_classes && n_classes > 20 {
        let largest = train
            .iter()
            .position(|&label| label as usize + 1 == n_classes);
        return bad(format!(
            "training label {} has the value {}, which is out of range: {} of the {n_classes} classes up to it have no sample",
            largest.map_or(0, |ix| ix + 1),
            n_classes - 1,
            missing.len()
        ));
    }
    for (part, range) in others {
        let part_labels = &labels[range.clone()];
        if let Some(ix) = part_labels
            .iter()
            .position(|&label| label as usize >= n_classes)
        {
            return bad(format!(
                "{part} label {} has the value {}, but the training labels end at {}",
                ix + 1,
                part_labels[ix],
                n_classes - 1
            ));
        }
    }
    if !missing.is_empty() {
        let list = missing.iter().take(10).cloned().collect::<Vec<_>>();
        let more = if missing.len() > 10 { ", ..." } else { "" };
        notes.push(format!(
            "{} of {n_classes} classes have no training samples: {}{more}",
            missing.len(),
            list.join(", ")
        ));
    }
    Ok(n_classes)
}
