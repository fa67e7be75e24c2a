//! Builds a case: buffers of random contents around one kernel.

use std::ops::Range;
use std::sync::Arc;

use super::case::Case;
use crate::executor::words;
use crate::plan::{
    Buffer, BufferId, Dispatch, Dtype, Kernel, MemberRow, Pass, Plan, StepRow, pad4,
};

/// What outputs hold before the kernel runs, where they are not padding: an element that should
/// have been written and was not shows.
pub const STALE: f32 = -77.25;

/// Gathers the buffers of one case.
pub struct Builder {
    pub random: Random,
    members: usize,
    /// Rows of the step table.
    capacity: usize,
    range: Range<usize>,
    buffers: Vec<Buffer>,
    contents: Vec<(BufferId, Vec<u32>)>,
    exact: bool,
    variant: Option<&'static str>,
}

impl Builder {
    /// One step of one; see [`Self::steps_of`].
    pub fn new(members: usize, seed: u64) -> Builder {
        Builder {
            random: Random(seed),
            members,
            capacity: 1,
            range: 0..1,
            buffers: Vec::new(),
            contents: Vec::new(),
            exact: false,
            variant: None,
        }
    }

    /// Runs `range` of a step table of `capacity` rows.
    pub fn steps_of(mut self, capacity: usize, range: Range<usize>) -> Builder {
        self.capacity = capacity;
        self.range = range;
        self
    }

    pub fn exact(mut self) -> Builder {
        self.exact = true;
        self
    }

    pub fn variant(mut self, variant: &'static str) -> Builder {
        self.variant = Some(variant);
        self
    }

    pub fn capacity(&self) -> usize {
        self.capacity
    }

    pub fn members(&self) -> usize {
        self.members
    }

    fn buffer(&mut self, label: &str, dtype: Dtype, words: Vec<u32>) -> BufferId {
        self.buffers.push(Buffer {
            label: label.to_string(),
            dtype,
            len: words.len(),
        });
        let id = BufferId(self.buffers.len() - 1);
        self.contents.push((id, words));
        id
    }

    pub fn floats(&mut self, label: &str, values: &[f32]) -> BufferId {
        self.buffer(label, Dtype::F32, words(values).to_vec())
    }

    pub fn words(&mut self, label: &str, values: Vec<u32>) -> BufferId {
        self.buffer(label, Dtype::U32, values)
    }

    /// A matrix \[P, rows, ld\] of what `f` draws, its padding zero.
    pub fn matrix(
        &mut self,
        label: &str,
        rows: usize,
        cols: usize,
        mut f: impl FnMut(&mut Random) -> f32,
    ) -> BufferId {
        let ld = pad4(cols);
        let mut values = vec![0.0; self.members * rows * ld];
        for row in values.chunks_exact_mut(ld) {
            row[..cols].fill_with(|| f(&mut self.random));
        }
        self.floats(label, &values)
    }

    /// An output matrix, stale but for its padding.
    pub fn stale(&mut self, label: &str, rows: usize, cols: usize) -> BufferId {
        self.matrix(label, rows, cols, |_| STALE)
    }

    /// An output of `len` stale floats.
    pub fn stale_list(&mut self, label: &str, len: usize) -> BufferId {
        self.floats(label, &vec![STALE; len])
    }

    pub fn rows(&mut self, rows: &[MemberRow]) -> BufferId {
        assert_eq!(rows.len(), self.members);
        self.words("member rows", bytemuck::cast_slice(rows).to_vec())
    }

    /// The step table \[S, P\].
    pub fn steps(&mut self, f: impl FnMut(&mut Random) -> StepRow) -> BufferId {
        let mut f = f;
        let rows: Vec<StepRow> = (0..self.capacity * self.members)
            .map(|_| f(&mut self.random))
            .collect();
        self.words("steps", bytemuck::cast_slice(&rows).to_vec())
    }

    /// The index list \[S, P, B\] into `n_samples`.
    pub fn indices(&mut self, batch: usize, n_samples: usize) -> BufferId {
        let len = self.capacity * self.members * batch;
        let list = (0..len).map(|_| self.random.below(n_samples)).collect();
        self.words("indices", list)
    }

    /// The case of `kernel` over `buffers`, in the kernel's order.
    pub fn case(mut self, label: String, kernel: Kernel, buffers: &[BufferId]) -> Case {
        let dispatch = Dispatch {
            kernel,
            buffers: buffers.to_vec(),
            label: label.clone(),
        };
        let reduces = matches!(kernel, Kernel::ReduceMetrics(_));
        // A pass copies its metrics out; where nothing reduces any they stay zero.
        let metrics = match reduces {
            true => buffers[1],
            false => {
                let zeros = vec![0.0; self.capacity * self.members * 2];
                self.floats("metrics", &zeros)
            }
        };
        let pass = |per_step: Vec<Dispatch>, per_range: Vec<Dispatch>| Pass {
            per_step,
            per_range,
            batch: 1,
            capacity: self.capacity,
            indices: metrics,
            steps: metrics,
            samples: metrics,
            metrics,
            head: metrics,
            head_offset: 0,
        };
        let train = match reduces {
            true => pass(Vec::new(), vec![dispatch]),
            false => pass(vec![dispatch], Vec::new()),
        };
        let plan = Plan {
            members: self.members,
            alone: None,
            params: Vec::new(),
            arena_len: 0,
            n_trainable: 0,
            dropout: Vec::new(),
            train,
            eval: pass(Vec::new(), Vec::new()),
            pixels: metrics,
            labels: metrics,
            norm: metrics,
            class_weights: metrics,
            rows: metrics,
            parameters: metrics,
            averages: None,
            accumulated: None,
            grads: metrics,
            state: metrics,
            confusion: metrics,
            buffers: self.buffers,
        };
        let label = match self.members {
            1 => label,
            members => format!("{label}, P = {members}"),
        };
        Case {
            label,
            plan: Arc::new(plan),
            contents: self.contents,
            range: self.range,
            variant: self.variant,
            exact: self.exact,
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014).
pub struct Random(pub u64);

impl Random {
    pub fn word(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 32) as u32
    }

    pub fn below(&mut self, n: usize) -> u32 {
        ((u64::from(self.word()) * n as u64) >> 32) as u32
    }

    /// Uniform in \[0, 1), on multiples of 2^-24.
    pub fn unit(&mut self) -> f32 {
        (self.word() >> 8) as f32 / 16_777_216.0
    }

    /// Uniform in (-scale, scale), one in sixteen exactly zero.
    pub fn signed(&mut self, scale: f32) -> f32 {
        if self.word().is_multiple_of(16) {
            return 0.0;
        }
        (2.0 * self.unit() - 1.0) * scale
    }
}
