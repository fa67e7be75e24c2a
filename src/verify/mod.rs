//! Every kernel on an adapter against the f64 oracle: what `gpu-train verify` and the tests run.
//!
//! A [`Case`] is a plan of one dispatch with random inputs. The f64 CPU executor says what its
//! outputs must be, a running error analysis of the same code says how far off f32 may be
//! (`bounded.rs`, `matmul_bound.rs`), and both f32 executors are held to it.

mod bounded;
mod builder;
mod case;
mod cases;
mod compare;
mod matmul_bound;

use std::sync::Arc;

pub use case::Case;
pub use cases::of as cases_of;
pub use compare::{Expected, Worst};

use crate::Result;
use crate::cpu::Cpu;
use crate::gpu::{Device, Gpu, adapter, candidates::candidates, lower::lower_as};
use crate::plan::Kernel;

/// How one executor did on one case.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub kernel: &'static str,
    /// The shader's variant; empty where there is only one.
    pub variant: &'static str,
    /// Shape and options: "NT 7x5x3, bias + relu, P = 3".
    pub case: String,
    /// "cpu", or the adapter's description.
    pub executor: String,
    pub on_gpu: bool,
    /// The element that comes closest to its bound, or passes it.
    pub worst: Worst,
}

impl Outcome {
    pub fn passed(&self) -> bool {
        self.worst.ratio <= 1.0
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Worst {
            ratio,
            output,
            index,
            got,
            want,
            bound,
        } = &self.worst;
        let variant = match self.variant {
            "" => String::new(),
            variant => format!(" ({variant})"),
        };
        write!(
            f,
            "{}{variant} {}: {output}[{index}] is {got:e}, the f64 oracle has {want:e}: off by {:.2e}, {ratio:.3} of the bound {bound:.2e}; on {}",
            self.kernel,
            self.case,
            (got - want).abs(),
            self.executor
        )
    }
}

/// One kernel and variant on one kind of executor.
#[derive(Clone, Debug)]
pub struct Row {
    pub kernel: &'static str,
    pub variant: &'static str,
    pub on_gpu: bool,
    pub cases: usize,
    pub failed: usize,
    /// The largest error as a fraction of its bound.
    pub worst: f64,
}

#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// In the order of the kernel table.
    pub rows: Vec<Row>,
    /// Cases of variants that the adapter does not run: without subgroups, those that need them.
    pub skipped: usize,
}

impl Summary {
    pub fn failed(&self) -> usize {
        self.rows.iter().map(|row| row.failed).sum()
    }

    pub fn cases(&self) -> usize {
        self.rows.iter().map(|row| row.cases).sum()
    }

    fn add(&mut self, outcome: &Outcome) {
        let found = self.rows.iter_mut().find(|row| {
            (row.kernel, row.variant, row.on_gpu)
                == (outcome.kernel, outcome.variant, outcome.on_gpu)
        });
        let failed = usize::from(!outcome.passed());
        match found {
            Some(row) => {
                row.cases += 1;
                row.failed += failed;
                row.worst = row.worst.max(outcome.worst.ratio);
            }
            None => self.rows.push(Row {
                kernel: outcome.kernel,
                variant: outcome.variant,
                on_gpu: outcome.on_gpu,
                cases: 1,
                failed,
                worst: outcome.worst.ratio,
            }),
        }
    }
}

/// Runs the cases of the kernels whose name contains `filter` on the f32 CPU executor and, where
/// there is one, on `device`. `on_case` sees every outcome as it comes.
///
/// # Errors
/// Where the device fails. A case that disagrees is an outcome, not an error.
pub fn run(
    device: Option<Arc<Device>>,
    filter: &str,
    on_case: &mut dyn FnMut(&Outcome),
) -> Result<Summary> {
    let mut summary = Summary::default();
    for name in Kernel::NAMES.iter().filter(|name| name.contains(filter)) {
        for case in cases_of(name) {
            let expected = case.expected()?;
            let mut judge = |variant: &'static str, on_gpu: bool, got: Vec<Vec<u32>>| {
                let outcome = Outcome {
                    kernel: case.kernel().name(),
                    variant,
                    case: case.label.clone(),
                    executor: match &device {
                        Some(device) if on_gpu => adapter::describe(&device.info),
                        _ => "cpu".to_string(),
                    },
                    on_gpu,
                    worst: case.worst(&expected, &got),
                };
                summary.add(&outcome);
                on_case(&outcome);
            };
            // A forced variant is a matter of the shader alone, and exact cases are large.
            if case.variant.is_none() {
                let mut cpu = Cpu::<f32>::new(case.plan.clone(), 0)?;
                judge("", false, case.run(&mut cpu)?);
            }
            if let Some(device) = &device {
                let runs = candidates(case.kernel(), &device.facts);
                if case.variant.is_some_and(|variant| !runs.contains(&variant)) {
                    summary.skipped += 1;
                    continue;
                }
                let variant = lower_as(
                    case.kernel(),
                    case.plan.members,
                    &device.facts,
                    case.variant,
                )?;
                let mut gpu = Gpu::with_variant(case.plan.clone(), device.clone(), case.variant)?;
                judge(variant.shader.variant, true, case.run(&mut gpu)?);
            }
        }
    }
    Ok(summary)
}
