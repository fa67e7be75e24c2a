//! What several test programs share.

#![allow(dead_code)] // each of them uses its own part

pub mod process;
pub mod program;
pub mod run_files;
pub mod sources;
pub mod study;

use std::sync::Arc;

use gpu_train::executor::{Executor, floats, words};
use gpu_train::gpu::{Device, adapter};
use gpu_train::plan::{BufferId, MemberRow, Plan, StepRow};

/// The best adapter. None is a failure of the test, never a skip.
pub fn require_adapter() -> wgpu::Adapter {
    adapter::choose("gpu").unwrap_or_else(|e| panic!("these tests need a GPU adapter: {e}"))
}

/// The best adapter, opened with all that it can do.
pub fn require_device() -> Arc<Device> {
    Device::open(&require_adapter()).expect("the adapter opens")
}

/// The adapter opened with WebGPU's default limits and nothing more.
pub fn require_default_device() -> Arc<Device> {
    let adapter = require_adapter();
    Device::open_with(&adapter, wgpu::Limits::default(), wgpu::Features::empty())
        .expect("it has the WebGPU defaults")
}

/// Uploads everything that a plan's training pass reads, for tests that record whole models.
pub struct Load<'a> {
    /// Row after row.
    pub samples: Samples<'a>,
    pub labels: &'a [u32],
    /// (scale, centre) of every input, the same for all members.
    pub norm: [f32; 2],
    /// \[P, C\]; ones where it is empty.
    pub class_weights: &'a [f32],
    /// \[P\]
    pub rows: &'a [MemberRow],
    /// \[S, P\]
    pub steps: &'a [StepRow],
    /// \[S, P, B\]
    pub indices: &'a [u32],
    /// \[P, arena_len\]
    pub parameters: &'a [f32],
}

#[derive(Clone, Copy)]
pub enum Samples<'a> {
    Bytes(&'a [u8]),
    Floats(&'a [f32]),
}

impl Samples<'_> {
    /// As they lie on the device.
    fn words(&self, inputs: usize) -> Vec<u32> {
        let row = inputs.next_multiple_of(4);
        match self {
            Samples::Bytes(bytes) => {
                let mut packed = vec![0u8; bytes.len() / inputs * row];
                let rows = packed.chunks_exact_mut(row);
                for (to, from) in rows.zip(bytes.chunks_exact(inputs)) {
                    to[..inputs].copy_from_slice(from);
                }
                let words = packed.chunks_exact(4);
                words
                    .map(|bytes| u32::from_le_bytes(bytes.try_into().expect("four")))
                    .collect()
            }
            Samples::Floats(values) => {
                let mut packed = vec![0f32; values.len() / inputs * row];
                let rows = packed.chunks_exact_mut(row);
                for (to, from) in rows.zip(values.chunks_exact(inputs)) {
                    to[..inputs].copy_from_slice(from);
                }
                words(&packed).to_vec()
            }
        }
    }
}

impl Load<'_> {
    pub fn upload(&self, executor: &mut impl Executor, inputs: usize) {
        let plan: Plan = executor.plan().clone();
        let norm: Vec<f32> = self.norm.repeat(plan.members);
        let mut put = |id: BufferId, words: &[u32]| {
            executor.upload(id, 0, words).expect("upload");
        };
        put(plan.pixels, &self.samples.words(inputs));
        put(plan.labels, self.labels);
        put(plan.norm, words(&norm));
        let ones = vec![1.0f32; plan.buffer(plan.class_weights).len];
        match self.class_weights {
            [] => put(plan.class_weights, words(&ones)),
            weights => put(plan.class_weights, words(weights)),
        }
        put(plan.rows, bytemuck::cast_slice(self.rows));
        put(plan.train.steps, bytemuck::cast_slice(self.steps));
        put(plan.train.indices, self.indices);
        put(plan.parameters, words(self.parameters));
    }
}

/// A float buffer of an executor.
pub fn download(executor: &mut impl Executor, id: BufferId) -> Vec<f32> {
    floats(executor.download(id).expect("download"))
}

/// SplitMix64, so that the data depend on no library's generator.
pub struct Random(pub u64);

impl Random {
    pub fn word(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 32) as u32
    }

    pub fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.word()) * u64::from(n)) >> 32) as u32
    }

    /// Uniform in (-1, 1).
    pub fn signed(&mut self) -> f32 {
        (self.word() >> 8) as f32 / 8_388_608.0 - 1.0
    }
}
