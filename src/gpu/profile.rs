//! Times of single dispatches, by timestamps that the device writes around each.
//!
//! The stamps of a range are resolved in its own submit and mapped with its metrics, so that nobody
//! waits for them; sets and buffers go back into a pool.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::pipeline::Ready;
use super::{Device, Steps, adapter};
use crate::executor::{Profile, Timed};
use crate::plan::{PassKind, Plan};
use crate::{Error, Result};

/// Dispatches that one query set times, two stamps each: WebGPU's limit is 4096 queries a set.
const PER_SET: usize = wgpu::QUERY_SET_MAX_QUERIES as usize / 2;

/// Stamps of up to [`PER_SET`] dispatches of one range.
pub struct Stamps {
    set: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    staging: wgpu::Buffer,
    /// Of the range at hand.
    dispatches: usize,
    mapped: Arc<AtomicBool>,
}

/// Where dispatch `ix` of a range is timed.
pub fn writes(stamps: &[Stamps], ix: usize) -> wgpu::ComputePassTimestampWrites<'_> {
    let place = (ix % PER_SET) as u32 * 2;
    wgpu::ComputePassTimestampWrites {
        query_set: &stamps[ix / PER_SET].set,
        beginning_of_pass_write_index: Some(place),
        end_of_pass_write_index: Some(place + 1),
    }
}

impl Stamps {
    fn new(device: &Device) -> Stamps {
        let device = &device.device;
        let buffer = |label: &str, usage: wgpu::BufferUsages| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size: PER_SET as u64 * 16,
                usage,
                mapped_at_creation: false,
            })
        };
        Stamps {
            set: device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("dispatch times"),
                ty: wgpu::QueryType::Timestamp,
                count: wgpu::QUERY_SET_MAX_QUERIES,
            }),
            resolved: buffer(
                "resolved times",
                wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
            ),
            staging: buffer(
                "staged times",
                wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            ),
            dispatches: 0,
            mapped: Arc::default(),
        }
    }

    fn bytes(&self) -> u64 {
        self.dispatches as u64 * 16
    }

    /// Behind the dispatches: the stamps into a buffer that can be mapped.
    pub fn resolve(&self, encoder: &mut wgpu::CommandEncoder) {
        encoder.resolve_query_set(&self.set, 0..self.dispatches as u32 * 2, &self.resolved, 0);
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.staging, 0, self.bytes());
    }

    /// After the submit.
    pub fn map(&self) {
        let mapped = self.mapped.clone();
        self.staging
            .map_async(wgpu::MapMode::Read, ..self.bytes(), move |result| {
                mapped.store(result.is_ok(), Ordering::Release);
            });
    }

    /// The ticks that each dispatch took, once the submit is done.
    fn ticks(&self) -> std::result::Result<Vec<u64>, String> {
        if !self.mapped.swap(false, Ordering::Acquire) {
            return Err("they were not mapped".to_string());
        }
        let view = self.staging.get_mapped_range(..self.bytes());
        let stamps: Vec<[u64; 2]> =
            bytemuck::pod_collect_to_vec(&view.map_err(|e| e.to_string())?[..]);
        self.staging.unmap();
        // Some adapters let a pass's end be stamped ahead of its start by a tick.
        Ok(stamps.iter().map(|[a, b]| b.saturating_sub(*a)).collect())
    }
}

/// Gathers the times of everything that is submitted while it is there.
pub struct Profiler {
    profile: Profile,
    spare: Vec<Stamps>,
    seconds_per_tick: f64,
    device: String,
}

impl Profiler {
    /// `steps`: the bound dispatches of both passes, for the names of their variants.
    pub fn new(plan: &Plan, device: &Device, steps: [&Steps; 2]) -> Result<Profiler> {
        let name = adapter::describe(&device.info);
        let features = device.device.features();
        if !features.contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Err(Error::Device(format!(
                "{name} has no timestamp queries: what each kernel takes cannot be measured on it"
            )));
        }
        let mut profile = Profile::new(plan);
        for (pass, steps) in [PassKind::Train, PassKind::Eval].into_iter().zip(steps) {
            let name = |(timed, ready): (&mut Timed, &Ready)| timed.variant = ready.variant;
            let pass = profile.pass_mut(pass);
            pass.per_step.iter_mut().zip(&steps.per_step).for_each(name);
            let per_range = pass.per_range.iter_mut();
            per_range.zip(&steps.per_range).for_each(name);
        }
        Ok(Profiler {
            profile,
            spare: Vec::new(),
            seconds_per_tick: f64::from(device.queue.get_timestamp_period()) * 1e-9,
            device: name,
        })
    }

    /// Room for `dispatches` of them.
    pub fn stamps(&mut self, device: &Device, dispatches: usize) -> Vec<Stamps> {
        let firsts = (0..dispatches).step_by(PER_SET);
        firsts
            .map(|first| {
                let mut stamps = self.spare.pop().unwrap_or_else(|| Stamps::new(device));
                stamps.dispatches = PER_SET.min(dispatches - first);
                stamps
            })
            .collect()
    }

    /// Adds the times of a range of `steps` steps that is done.
    pub fn note(&mut self, pass: PassKind, steps: usize, stamps: Vec<Stamps>) -> Result<()> {
        if stamps.is_empty() {
            // It was submitted before anybody asked.
            return Ok(());
        }
        let mut ticks = Vec::new();
        for stamps in &stamps {
            ticks.extend(stamps.ticks().map_err(|e| {
                Error::Device(format!("{}: reading timestamps failed: {e}", self.device))
            })?);
        }
        self.spare.extend(stamps);
        let profile = self.profile.pass_mut(pass);
        profile.steps += steps as u64;
        let n_per_step = profile.per_step.len();
        let (of_steps, of_range) = ticks.split_at(n_per_step * steps);
        let time = |ticks: u64| Duration::from_secs_f64(ticks as f64 * self.seconds_per_tick);
        for of_step in of_steps.chunks_exact(n_per_step.max(1)) {
            for (timed, &ticks) in profile.per_step.iter_mut().zip(of_step) {
                timed.add(time(ticks));
            }
        }
        for (timed, &ticks) in profile.per_range.iter_mut().zip(of_range) {
            timed.add(time(ticks));
        }
        Ok(())
    }

    pub fn into_profile(self) -> Profile {
        self.profile
    }
}
