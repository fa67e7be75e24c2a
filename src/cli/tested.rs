//! A finished run, and what its best member made of the test part.

use super::setup::Setup;
use crate::data::Targets;
use crate::metrics::{ClassificationReport, Ranking, RegressionReport, count_confusion};
use crate::train::State;
use crate::train::history::RunResult;
use crate::train::run_folder::RunFolder;

/// The chosen member's answers to the test part, and the numbers that they come to.
pub struct Tested {
    /// \[N, C\]: probabilities, raw outputs, or values in their own units.
    pub outputs: Vec<f32>,
    pub report: Report,
}

/// Of classes, or of values.
pub enum Report {
    Classes(Box<ClassificationReport>),
    Values(RegressionReport),
}

impl Tested {
    /// `outputs` \[N, C\] as the executor made them of the test part.
    pub fn new(setup: &Setup, mut outputs: Vec<f32>) -> Tested {
        let data = &setup.loaded.data;
        let test = &data.parts.test;
        let report = match &data.targets {
            Targets::Classes { names, .. } => {
                let labels: Vec<u32> = test.iter().map(|&ix| data.label(ix as usize)).collect();
                let predicted: Vec<u32> = outputs.chunks(names.len()).map(argmax).collect();
                let counts = count_confusion(&labels, &predicted, names.len());
                let ranking = Ranking {
                    labels: &labels,
                    scores: &outputs,
                };
                let report = ClassificationReport::new(names, &counts, Some(ranking));
                Report::Classes(Box::new(report))
            }
            Targets::Values { values, .. } => {
                let scale = setup.loaded.target;
                outputs.iter_mut().for_each(|y| *y = scale.original(*y));
                let truths: Vec<f64> = test
                    .iter()
                    .map(|&ix| f64::from(values[ix as usize]))
                    .collect();
                let predicted: Vec<f64> = outputs.iter().map(|&y| f64::from(y)).collect();
                Report::Values(RegressionReport::new(&truths, &predicted))
            }
        };
        Tested { outputs, report }
    }
}

/// The index of the largest value, the first among equals.
pub fn argmax(values: &[f32]) -> u32 {
    let mut best = 0;
    for (ix, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = ix;
        }
    }
    best as u32
}

/// A finished run, ready to be drawn.
pub struct Run<'a> {
    pub folder: &'a RunFolder,
    pub setup: &'a Setup,
    pub state: &'a State,
    pub result: &'a RunResult,
    /// The chosen member.
    pub member: usize,
    pub tested: Option<&'a Tested>,
    /// "cpu (2 threads)".
    pub device: &'a str,
}
