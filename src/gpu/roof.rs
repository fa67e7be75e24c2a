//! The roof of an adapter: the bandwidth of a large copy, the peak of multiply-adds, and what a
//! dispatch and a submit cost. Small shaders outside the kernel table measure it.
//!
//! Work is put into a submit until it takes long enough that the submit's own cost vanishes, then
//! measured several times; the best counts. The host's share, recording the commands, is left out.

use std::time::Instant;

use super::{Device, adapter};
use crate::executor::{Measured, best};
use crate::plan::Roof;
use crate::{Error, Result};

/// Name and source of each probe.
pub const PROBES: [(&str, &str); 3] = [COPY, MULTIPLY_ADD, CHAIN];

const COPY: (&str, &str) = ("copy", include_str!("../../shaders/probe/copy.wgsl"));
const MULTIPLY_ADD: (&str, &str) = (
    "multiply_add",
    include_str!("../../shaders/probe/multiply_add.wgsl"),
);
const CHAIN: (&str, &str) = ("chain", include_str!("../../shaders/probe/chain.wgsl"));

/// Most bytes of each of the two buffers of the copy: beyond any cache.
const COPY_BYTES: u64 = 128 << 20;
/// Workgroups of the two large probes, 64 invocations each.
const GROUPS: u32 = 4096;
/// Operations of an invocation of `multiply_add` in one round: twelve vec4s, a multiply-add being two.
const FLOPS_PER_ROUND: f64 = 12.0 * 4.0 * 2.0;
/// Seconds that one measurement should take at least.
const LONG: f64 = 0.02;
/// Measurements of each kind.
const TIMES: usize = 5;
/// A chain is measured at this length and at five times as much; the difference has no submit in it.
const CHAIN_LENGTH: u32 = 200;

/// Measures an adapter, in about a second.
///
/// # Errors
/// [`Error::Device`] where the adapter has too little memory or is lost.
pub fn measure(device: &Device) -> Result<Measured> {
    let scope = device
        .device
        .push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let measured = probe(device);
    if let Some(e) = pollster::block_on(scope.pop()) {
        return Err(Error::Device(format!(
            "{} has too little memory to measure its bandwidth: {e}",
            adapter::describe(&device.info)
        )));
    }
    measured
}

fn probe(device: &Device) -> Result<Measured> {
    let chain = Probe::chain(device);
    let times = |length: u32| best(TIMES, || Ok(1.0 / chain.run(length)?));
    // The first run compiles.
    chain.run(1)?;
    let (one, short, long) = (times(1)?, times(CHAIN_LENGTH)?, times(CHAIN_LENGTH * 5)?);
    let dispatch = (1.0 / long - 1.0 / short) / f64::from(CHAIN_LENGTH * 4);
    Ok(Measured {
        roof: Roof {
            bytes_per_second: copy(device)?,
            flops_per_second: multiply_add(device)?,
        },
        // Noise may make the long chain the faster one on an adapter where both cost nothing.
        dispatch: dispatch.max(0.0),
        submit: 1.0 / one,
    })
}

/// Bytes read and written a second. As much is copied as takes long enough, and at most all: a
/// fast device has large caches, and a slow one would take seconds.
fn copy(device: &Device) -> Result<f64> {
    let most = (COPY_BYTES.min(device.largest_buffer()) / 16) as u32;
    let probe = Probe::copy(device, u64::from(most) * 16);
    // The first run compiles.
    let mut len = most.min(1 << 18);
    probe.write(&[len]);
    probe.run(1)?;
    while len < most && probe.run(1)? < LONG {
        len = most.min(len.saturating_mul(2));
        probe.write(&[len]);
    }
    let mut repeats = 1;
    while probe.run(repeats)? < LONG {
        repeats *= 2;
    }
    let all = 2.0 * 16.0 * f64::from(len) * f64::from(repeats);
    best(TIMES, || Ok(all / probe.run(repeats)?))
}

/// Operations a second.
fn multiply_add(device: &Device) -> Result<f64> {
    let probe = Probe::multiply_add(device);
    let mut rounds = 1;
    let mut seconds = 0.0;
    while seconds < LONG {
        rounds *= 2;
        probe.rounds(rounds);
        // Twice: the first run of all compiles.
        seconds = probe.run(1)?.min(probe.run(1)?);
    }
    let all = f64::from(GROUPS) * 64.0 * FLOPS_PER_ROUND * f64::from(rounds);
    best(TIMES, || Ok(all / probe.run(1)?))
}

/// A shader with its buffers.
struct Probe<'a> {
    device: &'a Device,
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
    /// The first buffer, which holds the parameters where there are any.
    params: wgpu::Buffer,
    groups: u32,
}

impl<'a> Probe<'a> {
    fn chain(device: &'a Device) -> Self {
        Probe::new(device, CHAIN, &[256], 1)
    }

    fn copy(device: &'a Device, bytes: u64) -> Self {
        Probe::new(device, COPY, &[16, bytes, bytes], GROUPS)
    }

    fn multiply_add(device: &'a Device) -> Self {
        let bytes = u64::from(GROUPS) * 64 * 16;
        Probe::new(device, MULTIPLY_ADD, &[16, bytes], GROUPS)
    }

    fn new(device: &'a Device, (name, source): (&str, &str), sizes: &[u64], groups: u32) -> Self {
        let wgpu = &device.device;
        let label = Some(name);
        let mut checks = wgpu::ShaderRuntimeChecks::checked();
        checks.force_loop_bounding = false;
        // SAFETY: both loops count up to a parameter that their bodies do not change.
        let module = unsafe {
            wgpu.create_shader_module_trusted(
                wgpu::ShaderModuleDescriptor {
                    label,
                    source: wgpu::ShaderSource::Wgsl(source.into()),
                },
                checks,
            )
        };
        let pipeline = wgpu.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label,
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: Default::default(),
            cache: None,
        });
        let buffers: Vec<wgpu::Buffer> = sizes
            .iter()
            .map(|&size| {
                wgpu.create_buffer(&wgpu::BufferDescriptor {
                    label,
                    size,
                    usage: wgpu::BufferUsages::STORAGE
                        | wgpu::BufferUsages::UNIFORM
                        | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                })
            })
            .collect();
        let entries: Vec<wgpu::BindGroupEntry> = buffers
            .iter()
            .enumerate()
            .map(|(binding, buffer)| wgpu::BindGroupEntry {
                binding: binding as u32,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        let bind_group = wgpu.create_bind_group(&wgpu::BindGroupDescriptor {
            label,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        Probe {
            device,
            pipeline,
            bind_group,
            params: buffers[0].clone(),
            groups,
        }
    }

    fn write(&self, words: &[u32]) {
        let bytes = bytemuck::cast_slice(words);
        self.device.queue.write_buffer(&self.params, 0, bytes);
    }

    fn rounds(&self, rounds: u32) {
        self.write(&[rounds, 0.5f32.to_bits(), 1.0f32.to_bits()]);
    }

    /// Seconds of a submit of `count` dispatches, each behind the one before.
    fn run(&self, count: u32) -> Result<f64> {
        let wgpu = &self.device.device;
        let mut encoder =
            wgpu.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: None });
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&self.pipeline);
            pass.set_bind_group(0, &self.bind_group, &[]);
            for _ in 0..count {
                pass.dispatch_workgroups(self.groups, 1, 1);
            }
        }
        let commands = encoder.finish();
        let started = Instant::now();
        let submission = self.device.queue.submit([commands]);
        self.device.check()?;
        self.device.wait(Some(submission))?;
        Ok(started.elapsed().as_secs_f64())
    }
}
