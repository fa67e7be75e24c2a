//! The CPU executor: runs a plan's dispatches one after the other, each on all threads.
//!
//! At f32 it is the rival that the GPU is timed against; at f64 it is the oracle that judges it.

mod accumulate;
mod activation;
mod activation_grad;
mod add;
mod batch_norm;
mod batch_norm_grad;
mod buffer;
mod confusion;
mod dropout;
mod ema;
mod gather;
mod grad_norm;
mod layer_norm;
mod layer_norm_grad;
mod linear_xent;
mod loss;
mod matmul;
mod max_norm;
mod optimizer;
mod parallel;
pub mod philox;
mod product;
mod real;
mod reduce_metrics;
mod regression_loss;
pub mod roof;
mod softmax_xent;
mod team;
mod weight_update;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use buffer::Buffer;
pub use real::Real;

use crate::executor::{Executor, Profile, RangeMetrics, Timed};
use crate::plan::{BufferId, Dispatch, Dtype, Kernel, MemberRow, PassKind, Plan, StepRow};
use crate::{Error, Result};

/// The memory of one buffer.
#[derive(Debug)]
enum Storage<T> {
    Floats(Buffer<T>),
    Words(Buffer<u32>),
    /// At work as an output.
    Taken,
}

pub struct Cpu<T: Real> {
    plan: Arc<Plan>,
    storage: Vec<Storage<T>>,
    done: VecDeque<RangeMetrics>,
    team: team::Team,
    /// What the dispatches took, while somebody wants to know.
    profile: Option<Profile>,
}

impl<T: Real> Cpu<T> {
    /// `threads`: 0 takes all cores. The bits of a result do not depend on it.
    pub fn new(plan: Arc<Plan>, threads: usize) -> Result<Self> {
        let team = team::Team::new(threads)
            .map_err(|e| Error::Device(format!("cannot start {threads} threads: {e}")))?;
        let storage = plan
            .buffers
            .iter()
            .map(|b| {
                Ok(match b.dtype {
                    Dtype::F32 => Storage::Floats(Buffer::new(b.len)?),
                    Dtype::U32 => Storage::Words(Buffer::new(b.len)?),
                })
            })
            .collect::<Result<_>>()?;
        Ok(Cpu {
            plan,
            storage,
            done: VecDeque::new(),
            team,
            profile: None,
        })
    }

    pub fn threads(&self) -> usize {
        self.team.threads()
    }

    /// A float buffer at the executor's own precision.
    ///
    /// # Panics
    /// If the buffer holds words.
    pub fn floats(&self, id: BufferId) -> &[T] {
        floats(&self.storage, id)
    }

    /// Overwrites a float buffer at the executor's own precision.
    pub fn set_floats(&mut self, id: BufferId, values: &[T]) {
        match &mut self.storage[id.0] {
            Storage::Floats(v) => v.copy_from_slice(values),
            _ => panic!("buffer {} holds words", id.0),
        }
    }

    /// Runs one dispatch for row `slot` of its pass's tables; `range` bounds a reduction.
    fn run(storage: &mut [Storage<T>], members: usize, dispatch: &Dispatch, range: Range<usize>) {
        let slot = range.start;
        let n_inputs = dispatch.buffers.len() - dispatch.kernel.n_outputs();
        let (inputs, outputs) = dispatch.buffers.split_at(n_inputs);
        let take = |storage: &mut [Storage<T>], id: &BufferId| {
            std::mem::replace(&mut storage[id.0], Storage::Taken)
        };
        let mut taken = [0, 1, 2].map(|ix| match outputs.get(ix) {
            Some(id) => take(storage, id),
            None => Storage::Taken,
        });
        let [first, second, third] = &mut taken;
        {
            let f = |ix: usize| floats(storage, inputs[ix]);
            let u = |ix: usize| words(storage, inputs[ix]);
            let steps = |ix: usize| -> &[StepRow] {
                let rows: &[StepRow] = bytemuck::cast_slice(u(ix));
                &rows[slot * members..][..members]
            };
            let rows = |ix: usize| -> &[MemberRow] { bytemuck::cast_slice(u(ix)) };
            let indices = |ix: usize, batch: u32| {
                let len = members * batch as usize;
                &u(ix)[slot * len..][..len]
            };
            match &dispatch.kernel {
                Kernel::Gather(p) => gather::gather(
                    p,
                    u(0),
                    indices(1, p.batch),
                    steps(2),
                    f(3),
                    first.floats_mut(),
                ),
                kernel @ Kernel::Matmul { .. } => {
                    matmul::matmul(kernel, f(0), f(1), f(2), first.floats_mut());
                }
                Kernel::Activation(p, act) => {
                    activation::activation(p, *act, f(0), first.floats_mut());
                }
                Kernel::ActivationGrad(p, act) => {
                    activation_grad::activation_grad(p, *act, f(0), f(1), first.floats_mut());
                }
                Kernel::Add(p) => add::add(p, f(0), f(1), first.floats_mut()),
                Kernel::Dropout(p) => {
                    dropout::dropout(p, f(0), rows(1), steps(2), first.floats_mut());
                }
                Kernel::SoftmaxXent(p) => {
                    let tables = loss::Tables {
                        outputs: f(0),
                        labels: u(1),
                        indices: indices(2, p.batch),
                        members: &[],
                        steps: steps(3),
                        class_weights: f(4),
                    };
                    let samples = of_step(second, slot, members, p.batch);
                    softmax_xent::softmax_xent(p, &tables, first.floats_mut(), samples);
                }
                Kernel::RegressionLoss(p, error, targets) => {
                    let tables = loss::Tables {
                        outputs: f(0),
                        labels: u(1),
                        indices: indices(2, p.batch),
                        members: rows(3),
                        steps: steps(4),
                        class_weights: f(5),
                    };
                    let samples = of_step(second, slot, members, p.batch);
                    let d = first.floats_mut();
                    regression_loss::regression_loss(p, *error, *targets, &tables, d, samples);
                }
                Kernel::LinearXent(p, activation) => {
                    let tables = loss::Tables {
                        outputs: &[],
                        labels: u(2),
                        indices: indices(3, p.batch),
                        members: &[],
                        steps: steps(4),
                        class_weights: f(5),
                    };
                    let samples = of_step(second, slot, members, p.batch);
                    let grads = first.floats_mut();
                    linear_xent::linear_xent(p, *activation, f(0), f(1), &tables, grads, samples);
                }
                Kernel::Confusion(p) => confusion::confusion(
                    p,
                    f(0),
                    u(1),
                    indices(2, p.batch),
                    steps(3),
                    first.words_mut(),
                ),
                Kernel::ReduceMetrics(p) => {
                    reduce_metrics::reduce_metrics(p, range, f(0), first.floats_mut());
                }
                Kernel::GradNorm(p) => {
                    grad_norm::grad_norm(p, f(0), f(1), rows(2), first.floats_mut());
                }
                Kernel::Optimizer(p) => optimizer::optimizer(
                    p,
                    f(0),
                    rows(1),
                    steps(2),
                    f(3),
                    first.floats_mut(),
                    second.floats_mut(),
                ),
                Kernel::WeightUpdate(p) => weight_update::weight_update(
                    p,
                    f(0),
                    f(1),
                    rows(2),
                    steps(3),
                    first.floats_mut(),
                    second.floats_mut(),
                ),
                Kernel::Accumulate(p) => {
                    accumulate::accumulate(p, f(0), steps(1), first.floats_mut());
                }
                Kernel::Ema(p) => ema::ema(p, f(0), rows(1), steps(2), first.floats_mut()),
                Kernel::MaxNorm(p) => max_norm::max_norm(p, rows(0), steps(1), first.floats_mut()),
                Kernel::BatchNorm(p) => batch_norm::batch_norm(
                    p,
                    f(0),
                    rows(1),
                    steps(2),
                    first.floats_mut(),
                    second.floats_mut(),
                    third.floats_mut(),
                ),
                Kernel::BatchNormGrad(p) => batch_norm_grad::batch_norm_grad(
                    p,
                    f(0),
                    f(1),
                    f(2),
                    steps(3),
                    f(4),
                    first.floats_mut(),
                    second.floats_mut(),
                ),
                Kernel::LayerNorm(p) => {
                    layer_norm::layer_norm(p, f(0), f(1), first.floats_mut(), second.floats_mut());
                }
                Kernel::LayerNormGrad(p) => layer_norm_grad::layer_norm_grad(
                    p,
                    f(0),
                    f(1),
                    f(2),
                    f(3),
                    first.floats_mut(),
                    second.floats_mut(),
                ),
            }
        }
        for (id, storage_of) in outputs.iter().zip(taken) {
            storage[id.0] = storage_of;
        }
    }
}

/// The metrics of one step's samples \[P, B, 2\].
fn of_step<T: Real>(samples: &mut Storage<T>, slot: usize, members: usize, batch: u32) -> &mut [T] {
    let len = members * batch as usize * 2;
    &mut samples.floats_mut()[slot * len..][..len]
}

/// Runs, and looks at the clock where somebody wants to know.
fn clocked(timed: Option<&mut Timed>, run: impl FnOnce()) {
    let Some(timed) = timed else {
        return run();
    };
    let started = Instant::now();
    run();
    timed.add(started.elapsed());
}

fn floats<T: Real>(storage: &[Storage<T>], id: BufferId) -> &[T] {
    match &storage[id.0] {
        Storage::Floats(v) => v,
        _ => panic!("buffer {} holds no floats to be read", id.0),
    }
}

fn words<T: Real>(storage: &[Storage<T>], id: BufferId) -> &[u32] {
    match &storage[id.0] {
        Storage::Words(v) => v,
        _ => panic!("buffer {} holds no words to be read", id.0),
    }
}

impl<T: Real> Storage<T> {
    fn floats_mut(&mut self) -> &mut [T] {
        match self {
            Storage::Floats(v) => v,
            _ => panic!("a buffer of words where floats are written"),
        }
    }

    fn words_mut(&mut self) -> &mut [u32] {
        match self {
            Storage::Words(v) => v,
            _ => panic!("a buffer of floats where words are written"),
        }
    }
}

impl<T: Real> Executor for Cpu<T> {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn upload(&mut self, buffer: BufferId, start: usize, values: &[u32]) -> Result<()> {
        match &mut self.storage[buffer.0] {
            Storage::Words(v) => v[start..start + values.len()].copy_from_slice(values),
            Storage::Floats(v) => {
                for (to, &from) in v[start..start + values.len()].iter_mut().zip(values) {
                    *to = T::from_f32(f32::from_bits(from));
                }
            }
            Storage::Taken => panic!("buffer {} is at work", buffer.0),
        }
        Ok(())
    }

    fn submit(&mut self, pass: PassKind, range: Range<usize>) -> Result<()> {
        let plan = &self.plan;
        let list = plan.pass(pass);
        assert!(range.end <= list.capacity, "a range past the step table");
        let storage = &mut self.storage;
        let mut timed = self.profile.as_mut().map(|profile| profile.pass_mut(pass));
        self.team.install(|| {
            for slot in range.clone() {
                for (ix, dispatch) in list.per_step.iter().enumerate() {
                    let timed = timed.as_mut().map(|timed| &mut timed.per_step[ix]);
                    clocked(timed, || {
                        Self::run(storage, plan.members, dispatch, slot..slot + 1);
                    });
                }
            }
            for (ix, dispatch) in list.per_range.iter().enumerate() {
                let timed = timed.as_mut().map(|timed| &mut timed.per_range[ix]);
                clocked(timed, || {
                    Self::run(storage, plan.members, dispatch, range.clone());
                });
            }
            if let Some(timed) = timed {
                timed.steps += range.len() as u64;
            }
        });
        let metrics = floats(storage, list.metrics);
        let rows = range.start * plan.members..range.end * plan.members;
        self.done.push_back(RangeMetrics {
            pass,
            range,
            sums: metrics[rows.start * 2..rows.end * 2]
                .chunks_exact(2)
                .map(|pair| [pair[0].to_f64(), pair[1].to_f64()])
                .collect(),
        });
        Ok(())
    }

    fn collect(&mut self) -> Result<Option<RangeMetrics>> {
        Ok(self.done.pop_front())
    }

    fn download(&mut self, buffer: BufferId) -> Result<Vec<u32>> {
        Ok(match &self.storage[buffer.0] {
            Storage::Words(v) => v.to_vec(),
            Storage::Floats(v) => v.iter().map(|x| x.to_f32().to_bits()).collect(),
            Storage::Taken => panic!("buffer {} is at work", buffer.0),
        })
    }

    fn profile(&mut self, on: bool) -> Result<Option<Profile>> {
        let next = on.then(|| Profile::new(&self.plan));
        Ok(std::mem::replace(&mut self.profile, next))
    }
}
