//! A case: one dispatch, hand-built around random inputs, and what its outputs must be.

use std::ops::Range;
use std::sync::Arc;

use super::bounded::Bounded;
use super::compare::{Expected, Worst};
use super::matmul_bound;
use crate::Result;
use crate::cpu::Cpu;
use crate::executor::Executor;
use crate::plan::{BufferId, Dispatch, Dtype, Kernel, PassKind, Plan};

/// One dispatch with its inputs.
#[derive(Clone, Debug)]
pub struct Case {
    /// "NT 7x5x3, bias + relu, P = 3".
    pub label: String,
    /// Its training pass is the dispatch under test.
    pub plan: Arc<Plan>,
    /// Contents of all buffers before the run, outputs included.
    pub contents: Vec<(BufferId, Vec<u32>)>,
    /// Steps to run.
    pub range: Range<usize>,
    /// The variant of a matrix product that is forced; `None` takes the one that the shape chooses.
    pub variant: Option<&'static str>,
    /// The kernel rounds nothing, so that outputs must be equal bit for bit.
    pub exact: bool,
}

impl Case {
    pub fn dispatch(&self) -> &Dispatch {
        let pass = &self.plan.train;
        let mut all = pass.per_step.iter().chain(&pass.per_range);
        all.next().expect("a case has one dispatch")
    }

    pub fn kernel(&self) -> &Kernel {
        &self.dispatch().kernel
    }

    /// The buffers that the dispatch writes.
    pub fn outputs(&self) -> &[BufferId] {
        let buffers = &self.dispatch().buffers;
        &buffers[buffers.len() - self.kernel().n_outputs()..]
    }

    /// Uploads everything and runs the dispatch.
    fn load_and_run(&self, executor: &mut impl Executor) -> Result<()> {
        for (id, words) in &self.contents {
            executor.upload(*id, 0, words)?;
        }
        executor.submit(PassKind::Train, self.range.clone())?;
        executor.collect()?;
        Ok(())
    }

    /// Runs the case; the words of each output.
    pub fn run(&self, executor: &mut impl Executor) -> Result<Vec<Vec<u32>>> {
        self.load_and_run(executor)?;
        self.outputs()
            .iter()
            .map(|&id| executor.download(id))
            .collect()
    }

    /// What the f64 oracle makes of it, with the bounds.
    pub fn expected(&self) -> Result<Vec<Expected>> {
        let mut oracle = Cpu::<f64>::new(self.plan.clone(), 0)?;
        self.load_and_run(&mut oracle)?;
        if self.exact {
            let outputs = self.outputs().iter();
            return outputs
                .map(|&id| Ok(Expected::Words(oracle.download(id)?)))
                .collect();
        }
        if let Kernel::Matmul { .. } = self.kernel() {
            let c = self.outputs()[0];
            return Ok(vec![Expected::Floats {
                values: oracle.floats(c).to_vec(),
                bounds: matmul_bound::bounds(self)?,
            }]);
        }
        let mut bounds = Cpu::<Bounded>::new(self.plan.clone(), 1)?;
        self.load_and_run(&mut bounds)?;
        let outputs = self.outputs().iter();
        Ok(outputs
            .map(|&id| Expected::Floats {
                values: oracle.floats(id).to_vec(),
                bounds: bounds.floats(id).iter().map(|x| x.error).collect(),
            })
            .collect())
    }

    /// The worst element of all outputs.
    pub fn worst(&self, expected: &[Expected], got: &[Vec<u32>]) -> Worst {
        self.outputs()
            .iter()
            .zip(expected.iter().zip(got))
            .filter_map(|(&id, (expected, got))| {
                let buffer = self.plan.buffer(id);
                let mut worst = expected.compare(&buffer.label, got)?;
                if self.exact && buffer.dtype == Dtype::F32 {
                    // Compared as words, to be read as numbers.
                    let value = |word: f64| f64::from(f32::from_bits(word as u32));
                    (worst.got, worst.want) = (value(worst.got), value(worst.want));
                }
                Some(worst)
            })
            .reduce(|a, b| if b.ratio > a.ratio { b } else { a })
            .expect("a case has outputs")
    }

    /// The same case with its matrix product's inputs and kernel replaced.
    pub(super) fn with(&self, kernel: Kernel, contents: Vec<(BufferId, Vec<u32>)>) -> Case {
        let mut plan = (*self.plan).clone();
        plan.train.per_step[0].kernel = kernel;
        Case {
            plan: Arc::new(plan),
            contents,
            ..self.clone()
        }
    }
}
