//! The CPU executor: runs a plan's dispatches one after the other, each on all threads; where there are
//! several members, it runs each of them alone, as many at once as there are threads, so that a
//! member's weights stay in the cache of the thread that trains it and nobody waits for another.
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
mod lane;
mod layer_norm;
mod layer_norm_grad;
mod layout;
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

use lane::{Lane, Storage, floats};
use layout::Layout;
use parallel::Disjoint;
pub use real::Real;

use crate::executor::{Executor, Profile, RangeMetrics};
use crate::plan::{BufferId, MemberRow, PassKind, Plan};
use crate::{Error, Result};

pub struct Cpu<T: Real> {
    plan: Arc<Plan>,
    /// One for each member, or one for them all where the plan says nothing of a member alone.
    lanes: Vec<Lane<T>>,
    /// All lanes, and those whose members learn.
    every: Vec<usize>,
    learning: Vec<usize>,
    /// What the lanes share: the samples and their labels.
    shared: Vec<Storage<T>>,
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
        let all = || 0..plan.buffers.len();
        let storage = |plan: &Plan, ix: usize, here: bool| match here {
            true => Storage::new(&plan.buffers[ix]),
            false => Ok(Storage::Taken),
        };
        let (lanes, shared) = match &plan.alone {
            None => {
                let of_all: Result<_> = all().map(|ix| storage(&plan, ix, true)).collect();
                let lane = Lane {
                    storage: of_all?,
                    members: plan.members,
                };
                (vec![lane], Vec::new())
            }
            Some(alone) => {
                let is_shared = |ix: usize| Layout::of(&plan, alone, BufferId(ix)).is_none();
                let lane = || -> Result<Lane<T>> {
                    let of_lane = all().map(|ix| storage(alone, ix, !is_shared(ix)));
                    Ok(Lane {
                        storage: of_lane.collect::<Result<_>>()?,
                        members: 1,
                    })
                };
                let lanes: Result<_> = (0..plan.members).map(|_| lane()).collect();
                let shared: Result<_> = all().map(|ix| storage(&plan, ix, is_shared(ix))).collect();
                (lanes?, shared?)
            }
        };
        Ok(Cpu {
            plan,
            every: (0..lanes.len()).collect(),
            learning: Vec::with_capacity(lanes.len()),
            lanes,
            shared,
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
    pub fn floats(&self, id: BufferId) -> Vec<T> {
        let Some(layout) = self.layout(id) else {
            let holder = self.holder(id);
            return floats(holder, id).to_vec();
        };
        let mut all = Vec::with_capacity(self.plan.buffer(id).len);
        layout.pieces(|lane, range| {
            all.extend_from_slice(&floats(&self.lanes[lane].storage, id)[range]);
        });
        all
    }

    /// Overwrites a float buffer at the executor's own precision.
    ///
    /// # Panics
    /// If the buffer holds words, or another number of values.
    pub fn set_floats(&mut self, id: BufferId, values: &[T]) {
        let set = |storage: &mut Storage<T>, range: Range<usize>, from: &[T]| match storage {
            Storage::Floats(v) => v[range].copy_from_slice(from),
            _ => panic!("buffer {} holds no floats", id.0),
        };
        match self.layout(id) {
            None => set(self.holder_mut(id), 0..values.len(), values),
            Some(layout) => {
                let mut rest = values;
                layout.pieces(|lane, range| {
                    let (from, after) = rest.split_at(range.len());
                    rest = after;
                    set(&mut self.lanes[lane].storage[id.0], range, from);
                });
            }
        }
    }

    /// How the lanes hold a buffer; `None` where one storage holds it whole.
    fn layout(&self, id: BufferId) -> Option<Layout> {
        let alone = self.plan.alone.as_ref()?;
        Layout::of(&self.plan, alone, id)
    }

    /// The storages among which the whole buffer is.
    fn holder(&self, id: BufferId) -> &[Storage<T>] {
        match self.shared.get(id.0) {
            Some(Storage::Floats(_) | Storage::Words(_)) => &self.shared,
            _ => &self.lanes[0].storage,
        }
    }

    fn holder_mut(&mut self, id: BufferId) -> &mut Storage<T> {
        match self.shared.get(id.0) {
            Some(Storage::Floats(_) | Storage::Words(_)) => &mut self.shared[id.0],
            _ => &mut self.lanes[0].storage[id.0],
        }
    }

    /// Runs a range on the lanes that it concerns.
    fn run_lanes(&mut self, pass: PassKind, range: &Range<usize>) {
        let wanted = match (pass, self.plan.alone.is_some()) {
            (PassKind::Train, true) => &self.learning,
            _ => &self.every,
        };
        let plan = self.plan.alone.as_ref().unwrap_or(&self.plan);
        let list = plan.pass(pass);
        let mut timed = self.profile.as_mut().map(|profile| profile.pass_mut(pass));
        // Whole rounds of one lane a thread; what is left, and what is timed, on all threads each.
        let threads = self.team.threads();
        let rounds = match timed {
            None if threads > 1 => wanted.len() / threads * threads,
            _ => 0,
        };
        let (at_once, one_by_one) = wanted.split_at(rounds);
        let (lanes, shared) = (&mut self.lanes, &self.shared);
        self.team.install(|| {
            let all = Disjoint::new(&mut lanes[..]);
            team::fork(at_once.len(), |ix| {
                let ix = at_once[ix];
                // SAFETY: each lane belongs to one task.
                let lane = unsafe { all.range(ix..ix + 1) };
                lane[0].submit(list, shared, range.clone(), None);
            });
            for &ix in one_by_one {
                lanes[ix].submit(list, shared, range.clone(), timed.as_deref_mut());
            }
        });
    }

    /// Notes which lanes a training step concerns: a frozen member learns nothing from it.
    fn note_active(&mut self) {
        let mut words = Vec::new();
        self.learning.clear();
        for (ix, lane) in self.lanes.iter().enumerate() {
            words.clear();
            let row = size_of::<MemberRow>() / 4;
            lane.storage[self.plan.rows.0].read(0..row, &mut words);
            let row: MemberRow = bytemuck::pod_read_unaligned(bytemuck::cast_slice(&words));
            if row.active_flag != 0 {
                self.learning.push(ix);
            }
        }
    }
}

impl<T: Real> Executor for Cpu<T> {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn upload(&mut self, buffer: BufferId, start: usize, values: &[u32]) -> Result<()> {
        match self.layout(buffer) {
            None => self.holder_mut(buffer).write(start, values),
            Some(layout) => layout.pieces_of(start..start + values.len(), |lane, to, from| {
                self.lanes[lane].storage[buffer.0].write(to.start, &values[from]);
            }),
        }
        if buffer == self.plan.rows && self.plan.alone.is_some() {
            self.note_active();
        }
        Ok(())
    }

    fn submit(&mut self, pass: PassKind, range: Range<usize>) -> Result<()> {
        let capacity = self.plan.pass(pass).capacity;
        assert!(range.end <= capacity, "a range past the step table");
        self.run_lanes(pass, &range);
        let plan = self.plan.alone.as_ref().unwrap_or(&self.plan);
        let list = plan.pass(pass);
        let mut sums = Vec::with_capacity(range.len() * self.plan.members);
        for slot in range.clone() {
            for lane in &self.lanes {
                sums.extend(lane.sums(list, slot));
            }
        }
        self.done.push_back(RangeMetrics { pass, range, sums });
        Ok(())
    }

    fn collect(&mut self) -> Result<Option<RangeMetrics>> {
        Ok(self.done.pop_front())
    }

    fn download(&mut self, buffer: BufferId) -> Result<Vec<u32>> {
        let len = self.plan.buffer(buffer).len;
        let mut words = Vec::with_capacity(len);
        match self.layout(buffer) {
            None => self.holder(buffer)[buffer.0].read(0..len, &mut words),
            Some(layout) => layout.pieces(|lane, range| {
                self.lanes[lane].storage[buffer.0].read(range, &mut words);
            }),
        }
        Ok(words)
    }

    fn profile(&mut self, on: bool) -> Result<Option<Profile>> {
        let next = on.then(|| Profile::new(&self.plan));
        Ok(std::mem::replace(&mut self.profile, next))
    }
}
