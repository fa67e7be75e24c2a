//! The GPU executor: the same plan as compute dispatches through wgpu.
//!
//! Buffers, pipelines and bind groups are made once. A submit encodes many steps into one command
//! buffer, whose dispatches find their place in the step tables by a dynamic offset, reduces their
//! metrics and copies those to a staging buffer that is mapped when somebody collects.

pub mod adapter;
mod device;
pub mod lower;
mod pipeline;
pub mod shader;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc;

pub use device::Device;
use lower::{Grid, fold};
use pipeline::{AT_STRIDE, Pipelines, Ready};

use crate::executor::{Executor, RangeMetrics};
use crate::plan::{BufferId, Dispatch, PassKind, Plan};
use crate::{Error, Result};

pub struct Gpu {
    plan: Arc<Plan>,
    device: Arc<Device>,
    buffers: Vec<wgpu::Buffer>,
    at: wgpu::BindGroup,
    train: Steps,
    eval: Steps,
    in_flight: VecDeque<InFlight>,
    /// Staging buffers that nobody waits for.
    spare: Vec<wgpu::Buffer>,
}

struct Steps {
    per_step: Vec<Ready>,
    per_range: Vec<Ready>,
}

struct InFlight {
    pass: PassKind,
    range: Range<usize>,
    submission: wgpu::SubmissionIndex,
    staging: wgpu::Buffer,
    mapped: mpsc::Receiver<Result<(), wgpu::BufferAsyncError>>,
}

impl Gpu {
    /// Makes all buffers (zeros) and pipelines of the plan.
    ///
    /// # Errors
    /// [`Error::Device`] where a buffer or a grid exceeds the adapter's limits, or where memory
    /// runs out, with the sizes asked for.
    pub fn new(plan: Arc<Plan>, device: Arc<Device>) -> Result<Gpu> {
        Self::with_variant(plan, device, None)
    }

    /// [`Self::new`] with the variant of every matrix product forced, for verification.
    pub fn with_variant(
        plan: Arc<Plan>,
        device: Arc<Device>,
        variant: Option<&str>,
    ) -> Result<Gpu> {
        let buffers = make_buffers(&plan, &device)?;
        let mut pipelines = Pipelines::new(&device);
        let at = pipelines.step_numbers(plan.train.capacity.max(plan.eval.capacity));
        let mut bind = |list: &[Dispatch]| -> Result<Vec<Ready>> {
            list.iter()
                .map(|dispatch| pipelines.ready(&plan, dispatch, &buffers, variant))
                .collect()
        };
        let train = Steps {
            per_step: bind(&plan.train.per_step)?,
            per_range: bind(&plan.train.per_range)?,
        };
        let eval = Steps {
            per_step: bind(&plan.eval.per_step)?,
            per_range: bind(&plan.eval.per_range)?,
        };
        device.check()?;
        Ok(Gpu {
            plan,
            device,
            buffers,
            at,
            train,
            eval,
            in_flight: VecDeque::new(),
            spare: Vec::new(),
        })
    }

    /// A device error with the sizes that were asked of it.
    fn with_sizes(&self, e: Error) -> Error {
        match e {
            Error::Device(what) => Error::Device(format!(
                "{what} (the plan holds {:.1} MB in {} buffers: if memory is short, use a smaller --batch or model, or --device cpu)",
                self.plan.bytes() as f64 / 1e6,
                self.plan.buffers.len()
            )),
            e => e,
        }
    }

    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }

    fn encode(&self, pass: &mut wgpu::ComputePass, ready: &Ready, range: &Range<usize>) {
        pass.set_pipeline(&ready.pipeline);
        pass.set_bind_group(0, &ready.bind_group, &[]);
        if ready.uses_step {
            let offset = range.start as u32 * AT_STRIDE as u32;
            pass.set_bind_group(1, &self.at, &[offset]);
        }
        let [x, y, z] = match ready.grid {
            Grid::Fixed(grid) => grid,
            Grid::PerStep(groups) => {
                let groups = groups as u64 * range.len() as u64;
                let [x, y] = fold(groups).expect("a step table is far below 65,535 squared rows");
                [x, y, 1]
            }
        };
        pass.dispatch_workgroups(x, y, z);
    }

    /// A staging buffer of at least `size` bytes.
    fn staging(&mut self, size: u64) -> wgpu::Buffer {
        if let Some(ix) = self.spare.iter().position(|b| b.size() >= size) {
            return self.spare.swap_remove(ix);
        }
        self.device.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("staging"),
            size,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    }

    /// Copies `size` bytes of `source` from `offset` into a staging buffer and submits.
    fn submit_with_copy(
        &mut self,
        mut encoder: wgpu::CommandEncoder,
        source: BufferId,
        offset: u64,
        size: u64,
    ) -> (
        wgpu::SubmissionIndex,
        wgpu::Buffer,
        mpsc::Receiver<Result<(), wgpu::BufferAsyncError>>,
    ) {
        let staging = self.staging(size);
        encoder.copy_buffer_to_buffer(&self.buffers[source.0], offset, &staging, 0, size);
        let submission = self.device.queue.submit([encoder.finish()]);
        let (send, mapped) = mpsc::channel();
        staging.map_async(wgpu::MapMode::Read, ..size, move |result| {
            // The receiver is gone only where the executor was dropped before collecting.
            let _ = send.send(result);
        });
        (submission, staging, mapped)
    }

    /// Waits for a staging buffer and takes its first `size` bytes as words.
    fn read(
        &mut self,
        submission: wgpu::SubmissionIndex,
        staging: wgpu::Buffer,
        mapped: &mpsc::Receiver<Result<(), wgpu::BufferAsyncError>>,
        size: u64,
    ) -> Result<Vec<u32>> {
        self.device
            .wait(Some(submission))
            .map_err(|e| self.with_sizes(e))?;
        let failed = |what: String| {
            Error::Device(format!(
                "{}: reading back {size} bytes failed: {what}",
                adapter::describe(&self.device.info)
            ))
        };
        match mapped.recv() {
            Ok(Ok(())) => {}
            Ok(Err(e)) => return Err(failed(e.to_string())),
            Err(_) => return Err(failed("the device is gone".to_string())),
        }
        let view = staging
            .get_mapped_range(..size)
            .map_err(|e| failed(e.to_string()))?;
        let words = bytemuck::pod_collect_to_vec(&view[..]);
        drop(view);
        staging.unmap();
        self.spare.push(staging);
        Ok(words)
    }
}

fn make_buffers(plan: &Plan, device: &Device) -> Result<Vec<wgpu::Buffer>> {
    let limit = device.largest_buffer();
    let memory = device
        .device
        .push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let mut buffers = Vec::new();
    for buffer in &plan.buffers {
        // A binding may not be empty.
        let size = (buffer.len as u64 * 4).max(16);
        if size > limit {
            return Err(Error::Device(format!(
                "the buffer \"{}\" would take {:.1} MB and {} allows {:.1} MB a buffer: use a smaller --batch or layer, or --device cpu",
                buffer.label,
                size as f64 / 1e6,
                adapter::describe(&device.info),
                limit as f64 / 1e6
            )));
        }
        buffers.push(device.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(&buffer.label),
            size,
            usage: wgpu::BufferUsages::STORAGE
                | wgpu::BufferUsages::COPY_DST
                | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        }));
    }
    if let Some(e) = pollster::block_on(memory.pop()) {
        return Err(Error::Device(format!(
            "{} has too little memory for {:.1} MB in {} buffers ({e}): use a smaller --batch or model, or --device cpu",
            adapter::describe(&device.info),
            plan.bytes() as f64 / 1e6,
            plan.buffers.len()
        )));
    }
    Ok(buffers)
}

impl Executor for Gpu {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn upload(&mut self, buffer: BufferId, start: usize, words: &[u32]) -> Result<()> {
        self.device.queue.write_buffer(
            &self.buffers[buffer.0],
            start as u64 * 4,
            bytemuck::cast_slice(words),
        );
        self.device.check().map_err(|e| self.with_sizes(e))
    }

    fn submit(&mut self, pass: PassKind, range: Range<usize>) -> Result<()> {
        let plan = self.plan.clone();
        let list = plan.pass(pass);
        assert!(range.end <= list.capacity, "a range past the step table");
        let mut encoder = self
            .device
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor { label: None });
        {
            let mut compute = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            let steps = match pass {
                PassKind::Train => &self.train,
                PassKind::Eval => &self.eval,
            };
            for slot in range.clone() {
                for ready in &steps.per_step {
                    self.encode(&mut compute, ready, &(slot..slot + 1));
                }
            }
            for ready in &steps.per_range {
                self.encode(&mut compute, ready, &range);
            }
        }
        let row = plan.members as u64 * 8;
        let (submission, staging, mapped) = self.submit_with_copy(
            encoder,
            list.metrics,
            range.start as u64 * row,
            range.len() as u64 * row,
        );
        self.in_flight.push_back(InFlight {
            pass,
            range,
            submission,
            staging,
            mapped,
        });
        self.device.check().map_err(|e| self.with_sizes(e))
    }

    fn collect(&mut self) -> Result<Option<RangeMetrics>> {
        let Some(flight) = self.in_flight.pop_front() else {
            return Ok(None);
        };
        let size = flight.range.len() as u64 * self.plan.members as u64 * 8;
        let words = self.read(flight.submission, flight.staging, &flight.mapped, size)?;
        Ok(Some(RangeMetrics {
            pass: flight.pass,
            range: flight.range,
            sums: words
                .chunks_exact(2)
                .map(|pair| [pair[0], pair[1]].map(|w| f64::from(f32::from_bits(w))))
                .collect(),
        }))
    }

    fn download(&mut self, buffer: BufferId) -> Result<Vec<u32>> {
        let size = self.plan.buffer(buffer).len as u64 * 4;
        let encoder = self
            .device
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor { label: None });
        let (submission, staging, mapped) = self.submit_with_copy(encoder, buffer, 0, size);
        self.read(submission, staging, &mapped, size)
    }
}
