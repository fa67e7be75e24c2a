//! One lane of the CPU executor: the buffers that a list of dispatches works on, and the walk along it.

use std::ops::Range;
use std::time::Instant;

use super::buffer::Buffer;
use super::*;
use crate::Result;
use crate::executor::{PassProfile, Timed};
use crate::plan::{
    Buffer as Described, BufferId, Dispatch, Dtype, Kernel, MemberRow, Pass, StepRow,
};

/// The memory of one buffer.
#[derive(Debug)]
pub enum Storage<T> {
    Floats(Buffer<T>),
    Words(Buffer<u32>),
    /// At work as an output, or another's to hold.
    Taken,
}

impl<T: Real> Storage<T> {
    pub fn new(buffer: &Described) -> Result<Storage<T>> {
        Ok(match buffer.dtype {
            Dtype::F32 => Storage::Floats(Buffer::new(buffer.len)?),
            Dtype::U32 => Storage::Words(Buffer::new(buffer.len)?),
        })
    }

    /// Words (f32 bits or u32) into the elements from `start`.
    pub fn write(&mut self, start: usize, values: &[u32]) {
        match self {
            Storage::Words(v) => v[start..start + values.len()].copy_from_slice(values),
            Storage::Floats(v) => {
                for (to, &from) in v[start..start + values.len()].iter_mut().zip(values) {
                    *to = T::from_f32(f32::from_bits(from));
                }
            }
            Storage::Taken => panic!("a buffer that is at work"),
        }
    }

    /// The inverse of [`Self::write`].
    pub fn read(&self, range: Range<usize>, words: &mut Vec<u32>) {
        match self {
            Storage::Words(v) => words.extend_from_slice(&v[range]),
            Storage::Floats(v) => words.extend(v[range].iter().map(|x| x.to_f32().to_bits())),
            Storage::Taken => panic!("a buffer that is at work"),
        }
    }

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

/// The buffers of a plan. Those that several lanes share are [`Storage::Taken`] here.
pub struct Lane<T> {
    pub storage: Vec<Storage<T>>,
    pub members: usize,
}

impl<T: Real> Lane<T> {
    /// Runs the steps `range` of a pass and their reductions; `shared` holds what the lanes share.
    pub fn submit(
        &mut self,
        list: &Pass,
        shared: &[Storage<T>],
        range: Range<usize>,
        mut timed: Option<&mut PassProfile>,
    ) {
        for slot in range.clone() {
            for (ix, dispatch) in list.per_step.iter().enumerate() {
                let timed = timed.as_mut().map(|timed| &mut timed.per_step[ix]);
                clocked(timed, || self.run(shared, dispatch, slot..slot + 1));
            }
        }
        for (ix, dispatch) in list.per_range.iter().enumerate() {
            let timed = timed.as_mut().map(|timed| &mut timed.per_range[ix]);
            clocked(timed, || self.run(shared, dispatch, range.clone()));
        }
        if let Some(timed) = timed {
            timed.steps += range.len() as u64;
        }
    }

    /// Loss and score of each member \[P\] at a step.
    pub fn sums(&self, list: &Pass, slot: usize) -> impl Iterator<Item = [f64; 2]> {
        let metrics = floats(&self.storage, list.metrics);
        let pairs = &metrics[slot * self.members * 2..][..self.members * 2];
        let pairs = pairs.chunks_exact(2);
        pairs.map(|pair| [pair[0].to_f64(), pair[1].to_f64()])
    }

    /// Runs one dispatch for row `slot` of its pass's tables; `range` bounds a reduction.
    fn run(&mut self, shared: &[Storage<T>], dispatch: &Dispatch, range: Range<usize>) {
        let members = self.members;
        let storage = &mut self.storage[..];
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
            let u = |ix: usize| words(storage, shared, inputs[ix]);
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

pub fn floats<T: Real>(storage: &[Storage<T>], id: BufferId) -> &[T] {
    match &storage[id.0] {
        Storage::Floats(v) => v,
        _ => panic!("buffer {} holds no floats to be read", id.0),
    }
}

fn words<'a, T: Real>(
    storage: &'a [Storage<T>],
    shared: &'a [Storage<T>],
    id: BufferId,
) -> &'a [u32] {
    match (&storage[id.0], shared.get(id.0)) {
        (Storage::Words(v), _) | (Storage::Taken, Some(Storage::Words(v))) => v,
        _ => panic!("buffer {} holds no words to be read", id.0),
    }
}
