//! Cutting one list of samples into training, validation and test parts.
//!
//! Stratified: each class gives each part its share, by largest remainders, and at least one sample.
//! Which samples are taken is drawn by a seed of its own, so that runs with different seeds of
//! training are judged on the same test part.

use std::ops::Range;

use super::source::Targets;
use crate::rng::{Purpose, Stream};
use crate::{Error, Result};

/// Sample numbers of each part, ascending, no number twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    pub train: Vec<u32>,
    pub val: Vec<u32>,
    pub test: Vec<u32>,
}

/// How to cut.
#[derive(Clone, Debug)]
pub struct Cut {
    /// Share of the training part that becomes the validation part, where the source has none.
    pub val: f64,
    /// Share of all that becomes the test part, where the source has none.
    pub test: f64,
    /// Whether the source's own validation part is to be trained on; the test part is the same as
    /// without it.
    pub join_val: bool,
    /// Training samples to keep, where there are more.
    pub limit: Option<usize>,
    pub seed: u64,
}

impl Parts {
    /// Cuts the samples of `targets`; `test` and `val` are what the source sets apart itself.
    ///
    /// # Errors
    /// [`Error::Data`] where a class has too few samples to be in every part, naming it, or where a
    /// part would be empty.
    pub fn cut(
        targets: &Targets,
        test: Option<Range<usize>>,
        val: Option<Range<usize>>,
        cut: &Cut,
    ) -> Result<Parts> {
        let list = |range: &Option<Range<usize>>| -> Vec<u32> {
            range.clone().map_or_else(Vec::new, |r| ids(r).collect())
        };
        let mut parts = Parts {
            train: Vec::new(),
            val: list(&val),
            test: list(&test),
        };
        let apart = |ix: usize| {
            [&test, &val]
                .iter()
                .any(|range| range.as_ref().is_some_and(|r| r.contains(&ix)))
        };
        parts.train = ids(0..targets.len())
            .filter(|&ix| !apart(ix as usize))
            .collect();
        if test.is_none() && cut.test > 0.0 {
            let by = Draw {
                option: "--test-split",
                part: "test",
                share: cut.test,
                purpose: Purpose::TestSplit,
            };
            parts.test = by.take(&mut parts.train, targets, cut.seed)?;
        }
        if cut.join_val {
            parts.train.append(&mut parts.val);
            parts.train.sort_unstable();
        }
        if (val.is_none() || cut.join_val) && cut.val > 0.0 {
            let by = Draw {
                option: "--val-split",
                part: "validation",
                share: cut.val,
                purpose: Purpose::ValSplit,
            };
            parts.val = by.take(&mut parts.train, targets, cut.seed)?;
        }
        if let Some(limit) = cut.limit.filter(|&limit| limit < parts.train.len()) {
            parts.train = keep(&parts.train, targets, limit, cut.seed)?;
        }
        if parts.train.is_empty() {
            return Err(Error::Data("no samples are left for training".to_string()));
        }
        Ok(parts)
    }

    /// Cuts training and validation part together into `k` folds, stratified: the parts of run n have
    /// fold n for validation and the others for training. Folds differ by one sample at most.
    ///
    /// # Errors
    /// [`Error::Usage`] where k is below 2, or a class has fewer samples than that.
    pub fn folds(&self, targets: &Targets, k: usize, seed: u64) -> Result<Vec<Parts>> {
        let mut all = [&self.train[..], &self.val[..]].concat();
        all.sort_unstable();
        let groups = groups(&all, targets);
        let least = groups.iter().min_by_key(|(_, members)| members.len());
        let most = least.map_or(0, |(_, members)| members.len());
        if k < 2 || k > most {
            let whose = match least {
                Some((Some(class), _)) => format!("class {} has", brief(class)),
                _ => "there are".to_string(),
            };
            return Err(Error::Usage(format!(
                "--folds {k}: it must be 2 or more, and {whose} {most} samples to be dealt out"
            )));
        }
        let mut vals = vec![Vec::new(); k];
        let mut dealt = 0;
        for (number, (_, mut members)) in groups.into_iter().enumerate() {
            Stream::new(seed, Purpose::Folds, number as u32).shuffle(&mut members);
            for ix in members {
                vals[dealt % k].push(ix);
                dealt += 1;
            }
        }
        let parts = |mut val: Vec<u32>| {
            val.sort_unstable();
            let trains = |ix: &&u32| val.binary_search(ix).is_err();
            Parts {
                train: all.iter().filter(trains).copied().collect(),
                val,
                test: self.test.clone(),
            }
        };
        Ok(vals.into_iter().map(parts).collect())
    }
}

/// `limit` of the samples `from`, each class with its share and at least one.
fn keep(from: &[u32], targets: &Targets, limit: usize, seed: u64) -> Result<Vec<u32>> {
    let groups = groups(from, targets);
    if limit < groups.len() {
        return Err(Error::Usage(format!(
            "--limit {limit}: there are {} classes, and each needs a sample",
            groups.len()
        )));
    }
    let exact = |n: usize| n as f64 * limit as f64 / from.len() as f64;
    let mut counts: Vec<usize> = groups
        .iter()
        .map(|(_, members)| (exact(members.len()) as usize).max(1))
        .collect();
    // What rounding left over goes to the classes that are furthest from their share, or comes from
    // those that are furthest above it.
    loop {
        let off = |ix: usize| exact(groups[ix].1.len()) - counts[ix] as f64;
        let all: usize = counts.iter().sum();
        let places = 0..groups.len();
        let by_off = |a: &usize, b: &usize| off(*a).total_cmp(&off(*b)).then(b.cmp(a));
        if all < limit {
            let free = places.filter(|&ix| counts[ix] < groups[ix].1.len());
            let Some(ix) = free.max_by(by_off) else { break };
            counts[ix] += 1;
        } else if all > limit {
            let full = places.filter(|&ix| counts[ix] > 1);
            let Some(ix) = full.min_by(by_off) else { break };
            counts[ix] -= 1;
        } else {
            break;
        }
    }
    let mut kept = Vec::with_capacity(limit);
    for (number, ((_, members), count)) in groups.iter().zip(&counts).enumerate() {
        let mut members = members.clone();
        Stream::new(seed, Purpose::Limit, number as u32).shuffle(&mut members);
        kept.extend_from_slice(&members[..*count]);
    }
    kept.sort_unstable();
    Ok(kept)
}

/// A class's name in quotes, in one line and not too long.
fn brief(name: &str) -> String {
    let line = name.lines().next().unwrap_or_default();
    let short: String = line.chars().take(40).collect();
    match short == name {
        true => format!("\"{name}\""),
        false => format!("\"{short}...\""),
    }
}

fn ids(range: Range<usize>) -> impl Iterator<Item = u32> {
    range.map(|ix| ix as u32)
}

/// One part to draw from the training part.
struct Draw {
    option: &'static str,
    part: &'static str,
    share: f64,
    purpose: Purpose,
}

impl Draw {
    /// Moves this part's share out of `from`; both stay ascending.
    fn take(&self, from: &mut Vec<u32>, targets: &Targets, seed: u64) -> Result<Vec<u32>> {
        let groups = groups(from, targets);
        let wanted = (from.len() as f64 * self.share).round() as usize;
        let counts = self.counts(&groups, wanted)?;
        let mut taken = Vec::with_capacity(wanted);
        for (number, ((_, members), count)) in groups.iter().zip(&counts).enumerate() {
            let mut members = members.clone();
            Stream::new(seed, self.purpose, number as u32).shuffle(&mut members);
            taken.extend_from_slice(&members[..*count]);
        }
        taken.sort_unstable();
        from.retain(|ix| taken.binary_search(ix).is_err());
        Ok(taken)
    }

    /// How many samples each group gives: its share by largest remainders, at least one and not all.
    fn counts(&self, groups: &[(Option<&str>, Vec<u32>)], wanted: usize) -> Result<Vec<usize>> {
        let mut counts = Vec::with_capacity(groups.len());
        let mut remainders = Vec::with_capacity(groups.len());
        for (number, (class, members)) in groups.iter().enumerate() {
            if members.len() < 2 {
                let whose =
                    class.map_or_else(String::new, |name| format!(" of class {}", brief(name)));
                return Err(Error::Data(format!(
                    "{} {} leaves the {} or the training part without a sample{whose}: there {} only {} to share\nadd samples, remove the class, or set {} 0",
                    self.option,
                    self.share,
                    self.part,
                    if members.len() == 1 { "is" } else { "are" },
                    members.len(),
                    self.option
                )));
            }
            let exact = members.len() as f64 * self.share;
            let count = (exact.floor() as usize).clamp(1, members.len() - 1);
            counts.push(count);
            remainders.push((exact - count as f64, number));
        }
        remainders.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut missing = wanted.saturating_sub(counts.iter().sum());
        for (remainder, number) in remainders {
            if missing == 0 || remainder <= 0.0 {
                break;
            }
            if counts[number] + 1 < groups[number].1.len() {
                counts[number] += 1;
                missing -= 1;
            }
        }
        Ok(counts)
    }
}

/// The samples of each class that has any in `from`, by class number; all together for values.
fn groups<'a>(from: &[u32], targets: &'a Targets) -> Vec<(Option<&'a str>, Vec<u32>)> {
    match targets {
        Targets::Values { .. } => vec![(None, from.to_vec())],
        Targets::Classes { labels, names } => {
            let mut groups: Vec<(Option<&str>, Vec<u32>)> = names
                .iter()
                .map(|name| (Some(name.as_str()), Vec::new()))
                .collect();
            for &ix in from {
                groups[labels[ix as usize] as usize].1.push(ix);
            }
            groups.retain(|(_, members)| !members.is_empty());
            groups
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(counts: &[usize]) -> Targets {
        let labels: Vec<u32> = counts
            .iter()
            .enumerate()
            .flat_map(|(class, &n)| std::iter::repeat_n(class as u32, n))
            .collect();
        Targets::Classes {
            labels,
            names: (0..counts.len()).map(|c| format!("c{c}")).collect(),
        }
    }

    fn cut(val: f64, test: f64, seed: u64) -> Cut {
        Cut {
            join_val: false,
            val,
            test,
            limit: None,
            seed,
        }
    }

    fn of_class(targets: &Targets, list: &[u32], class: u32) -> usize {
        let Targets::Classes { labels, .. } = targets else {
            panic!("classes")
        };
        list.iter()
            .filter(|&&ix| labels[ix as usize] == class)
            .count()
    }

    #[test]
    fn parts_are_stratified_and_disjoint() {
        let targets = classes(&[100, 50, 7]);
        let parts = Parts::cut(&targets, None, None, &cut(0.1, 0.2, 3)).unwrap();
        let mut all = [parts.train.clone(), parts.val.clone(), parts.test.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..157).collect::<Vec<u32>>());
        assert_eq!((parts.test.len(), parts.val.len()), (31, 13));
        for (class, test) in [(0, 20), (1, 10), (2, 1)] {
            assert_eq!(of_class(&targets, &parts.test, class), test);
            assert!(of_class(&targets, &parts.val, class) >= 1);
        }
        assert!(parts.train.is_sorted() && parts.test.is_sorted());
    }

    #[test]
    fn the_seed_decides() {
        let targets = classes(&[40, 40]);
        let of = |seed| Parts::cut(&targets, None, None, &cut(0.1, 0.2, seed)).unwrap();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn what_the_source_sets_apart_stays_apart() {
        let targets = classes(&[10, 10]);
        let parts = Parts::cut(&targets, Some(15..20), None, &cut(0.0, 0.2, 0)).unwrap();
        assert_eq!(parts.test, [15, 16, 17, 18, 19]);
        assert_eq!(parts.train.len(), 15);
        let parts = Parts::cut(&targets, Some(15..20), Some(0..2), &cut(0.5, 0.2, 0)).unwrap();
        assert_eq!((parts.val.as_slice(), parts.train.len()), (&[0, 1][..], 13));
    }

    #[test]
    fn a_class_too_small_is_named() {
        let targets = classes(&[10, 1]);
        let error = Parts::cut(&targets, None, None, &cut(0.0, 0.2, 0)).unwrap_err();
        assert!(error.to_string().contains("\"c1\""), "{error}");
        assert!(error.to_string().contains("--test-split 0.2"), "{error}");
        let targets = classes(&[10, 2]);
        let error = Parts::cut(&targets, None, None, &cut(0.1, 0.2, 0)).unwrap_err();
        assert!(error.to_string().contains("--val-split 0.1"), "{error}");
        assert!(Parts::cut(&targets, None, None, &cut(0.0, 0.2, 0)).is_ok());
    }

    #[test]
    fn a_limit_keeps_every_class() {
        let targets = classes(&[900, 100]);
        let few = Cut {
            limit: Some(50),
            ..cut(0.1, 0.2, 0)
        };
        let parts = Parts::cut(&targets, None, None, &few).unwrap();
        assert_eq!((parts.train.len(), parts.test.len()), (50, 200));
        assert_eq!(of_class(&targets, &parts.train, 1), 5);
        let rare = classes(&[900, 99, 1]);
        let only = Cut {
            limit: Some(20),
            ..cut(0.0, 0.0, 0)
        };
        let parts = Parts::cut(&rare, None, None, &only).unwrap();
        assert_eq!(parts.train.len(), 20);
        assert_eq!(of_class(&rare, &parts.train, 2), 1);
        let too_few = Cut {
            limit: Some(2),
            ..only
        };
        let error = Parts::cut(&rare, None, None, &too_few).unwrap_err();
        assert!(error.to_string().contains("--limit 2"), "{error}");
        let all = Cut {
            limit: Some(5000),
            ..cut(0.0, 0.2, 0)
        };
        let parts = Parts::cut(&targets, None, None, &all).unwrap();
        assert_eq!(parts.train.len(), 800);
    }

    #[test]
    fn values_are_split_plainly() {
        let targets = Targets::Values {
            values: vec![0.5; 101],
            name: "y".to_string(),
        };
        let parts = Parts::cut(&targets, None, None, &cut(0.1, 0.2, 0)).unwrap();
        assert_eq!((parts.test.len(), parts.val.len()), (20, 8));
    }
}
