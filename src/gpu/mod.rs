//! The GPU executor: the same plan as compute dispatches through wgpu.
//!
//! Buffers, pipelines and bind groups are made once, those of the evaluation pass when it first runs.
//! A submit encodes many steps into one command
//! buffer, whose dispatches find their place in the step tables by a dynamic offset, reduces their
//! metrics and copies those to a staging buffer that is mapped when somebody collects.

pub mod adapter;
mod bounds;
pub mod candidates;
pub mod choice;
mod device;
pub mod lower;
pub mod measure;
mod pipeline;
mod pipeline_cache;
mod profile;
pub mod roof;
pub mod shader;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc;

use choice::Choices;
pub use device::{Device, largest_buffer};
use lower::{Grid, Lowered, fold, lower_as};
use pipeline::{AT_STRIDE, Pipelines, Ready};
use profile::{Profiler, Stamps};

use crate::executor::{Executor, Profile, RangeMetrics};
use crate::plan::{Buffer, BufferId, Dispatch, PassKind, Plan};
use crate::{Error, Result};

/// Bytes of uploads that wait on the host for a submit at most, while the device has nothing to do.
const STAGED_BYTES: u64 = 16 << 20;

pub struct Gpu {
    plan: Arc<Plan>,
    device: Arc<Device>,
    buffers: Vec<wgpu::Buffer>,
    /// The variant that runs for each shape.
    choices: Choices,
    pipelines: Pipelines,
    at: wgpu::BindGroup,
    train: Steps,
    /// Made on first use: the pipelines are the training pass's but for one or two, so that making
    /// them behind the training would save little and take a thread's care.
    eval: Option<Steps>,
    in_flight: VecDeque<InFlight>,
    /// Staging buffers that nobody waits for.
    spare: Vec<wgpu::Buffer>,
    /// Bytes uploaded since the last submit.
    staged: u64,
    /// While somebody wants to know what the dispatches take.
    profiler: Option<Profiler>,
}

/// A pass with everything bound.
#[derive(Default)]
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
    /// Empty without a profiler.
    stamps: Vec<Stamps>,
}

impl Gpu {
    /// Makes all buffers (zeros) of the plan, and the pipelines of its training pass.
    ///
    /// # Errors
    /// [`Error::Device`] where a buffer or a grid exceeds the adapter's limits, [`Error::Memory`] where
    /// memory runs out, with the sizes asked for.
    pub fn new(plan: Arc<Plan>, device: Arc<Device>) -> Result<Gpu> {
        Self::with_choices(plan, device, &Choices::new())
    }

    /// [`Self::new`] with the variant of every kernel that has several forced, for verification.
    pub fn with_variant(
        plan: Arc<Plan>,
        device: Arc<Device>,
        variant: Option<&str>,
    ) -> Result<Gpu> {
        let shapes = choice::dispatches(&plan).into_keys();
        let forced = variant.map(|variant| shapes.map(|s| (s, variant.to_string())).collect());
        Self::with_choices(plan, device, &forced.unwrap_or_default())
    }

    /// [`Self::new`] with these variants; the first candidate for a shape that they do not name.
    pub fn with_choices(plan: Arc<Plan>, device: Arc<Device>, choices: &Choices) -> Result<Gpu> {
        let buffers = make_buffers(&plan, &device)?;
        let pipelines = Pipelines::new(device.clone());
        let at = pipelines.step_numbers(plan.train.capacity.max(plan.eval.capacity));
        let mut gpu = Gpu {
            choices: choice::complete(&plan, &device.facts, choices)?,
            buffers,
            at,
            train: Steps::default(),
            eval: None,
            in_flight: VecDeque::new(),
            spare: Vec::new(),
            staged: 0,
            profiler: None,
            pipelines,
            plan,
            device,
        };
        // A grid that the device cannot have is refused now, in whichever pass it is.
        gpu.lower(&gpu.plan.eval.per_step)?;
        gpu.train = gpu.steps(PassKind::Train)?;
        Ok(gpu)
    }

    fn lower(&self, list: &[Dispatch]) -> Result<Vec<Lowered>> {
        let lower = |dispatch: &Dispatch| {
            let words = choice::shape(&dispatch.kernel);
            let variant = words.and_then(|words| self.choices.get(&words));
            lower_as(
                &dispatch.kernel,
                self.plan.members,
                &self.device.facts,
                variant.map(String::as_str),
            )
        };
        list.iter().map(lower).collect()
    }

    /// Compiles and binds a pass.
    fn steps(&mut self, kind: PassKind) -> Result<Steps> {
        let plan = self.plan.clone();
        let pass = plan.pass(kind);
        let (step, range) = (self.lower(&pass.per_step)?, self.lower(&pass.per_range)?);
        let all: Vec<&Lowered> = step.iter().chain(&range).collect();
        self.pipelines.compile(&all);
        if let Some(cache) = &self.device.pipelines {
            cache.save();
        }
        let bind = |(dispatch, lowered): (&Dispatch, &Lowered)| {
            self.pipelines.bind(&plan, dispatch, lowered, &self.buffers)
        };
        let steps = Steps {
            per_step: pass.per_step.iter().zip(&step).map(bind).collect(),
            per_range: pass.per_range.iter().zip(&range).map(bind).collect(),
        };
        self.device.check()?;
        Ok(steps)
    }

    /// Makes the evaluation pass, which not every run needs, when it is first asked for.
    fn make(&mut self, pass: PassKind) -> Result<()> {
        if pass == PassKind::Eval && self.eval.is_none() {
            self.eval = Some(self.steps(PassKind::Eval)?);
        }
        Ok(())
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

    /// The variant that runs for each shape that has a choice.
    pub fn choices(&self) -> &Choices {
        &self.choices
    }

    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// The dispatches of a range in order, each with its own rows of the tables.
    fn dispatches(
        &self,
        pass: PassKind,
        range: &Range<usize>,
    ) -> impl Iterator<Item = (&Ready, Range<usize>)> {
        let steps = match pass {
            PassKind::Train => &self.train,
            PassKind::Eval => self.eval.as_ref().expect("made before it is submitted"),
        };
        let per_step = range.clone().flat_map(|slot| {
            let of_step = steps.per_step.iter();
            of_step.map(move |ready| (ready, slot..slot + 1))
        });
        let all = range.clone();
        let per_range = steps.per_range.iter();
        per_step.chain(per_range.map(move |ready| (ready, all.clone())))
    }

    /// Encodes a range with a pass for each dispatch, since a pass is what timestamps stand around.
    fn encode_timed(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        profiler: &mut Profiler,
        pass: PassKind,
        range: &Range<usize>,
    ) -> Vec<Stamps> {
        let list = self.plan.pass(pass);
        let count = list.per_step.len() * range.len() + list.per_range.len();
        let stamps = profiler.stamps(&self.device, count);
        for (ix, (ready, range)) in self.dispatches(pass, range).enumerate() {
            let mut compute = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: None,
                timestamp_writes: Some(profile::writes(&stamps, ix)),
            });
            self.encode(&mut compute, ready, &range);
        }
        for stamps in &stamps {
            stamps.resolve(encoder);
        }
        stamps
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
        self.staged = 0;
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

/// Bytes of a buffer: a binding may not be empty.
fn bytes_of(buffer: &Buffer) -> u64 {
    (buffer.len as u64 * 4).max(16)
}

fn make_buffers(plan: &Plan, device: &Device) -> Result<Vec<wgpu::Buffer>> {
    device.check_buffers(plan)?;
    let memory = device
        .device
        .push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let mut buffers = Vec::new();
    for buffer in &plan.buffers {
        let size = bytes_of(buffer);
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
        return Err(Error::Memory(format!(
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
        self.staged += words.len() as u64 * 4;
        // A data set on its way would lie on the host once more until the first step.
        if self.staged >= STAGED_BYTES && self.in_flight.is_empty() {
            let submission = self.device.queue.submit([]);
            self.staged = 0;
            self.device
                .wait(Some(submission))
                .map_err(|e| self.with_sizes(e))?;
        }
        self.device.check().map_err(|e| self.with_sizes(e))
    }

    fn submit(&mut self, pass: PassKind, range: Range<usize>) -> Result<()> {
        let plan = self.plan.clone();
        let list = plan.pass(pass);
        assert!(range.end <= list.capacity, "a range past the step table");
        self.make(pass)?;
        let mut encoder = self
            .device
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor { label: None });
        let mut profiler = self.profiler.take();
        let stamps = match &mut profiler {
            None => {
                let descriptor = wgpu::ComputePassDescriptor::default();
                let mut compute = encoder.begin_compute_pass(&descriptor);
                for (ready, range) in self.dispatches(pass, &range) {
                    self.encode(&mut compute, ready, &range);
                }
                Vec::new()
            }
            Some(profiler) => self.encode_timed(&mut encoder, profiler, pass, &range),
        };
        self.profiler = profiler;
        let row = plan.members as u64 * 8;
        let (submission, staging, mapped) = self.submit_with_copy(
            encoder,
            list.metrics,
            range.start as u64 * row,
            range.len() as u64 * row,
        );
        stamps.iter().for_each(Stamps::map);
        self.in_flight.push_back(InFlight {
            pass,
            range,
            submission,
            staging,
            mapped,
            stamps,
        });
        self.device.check().map_err(|e| self.with_sizes(e))
    }

    fn collect(&mut self) -> Result<Option<RangeMetrics>> {
        let Some(flight) = self.in_flight.pop_front() else {
            return Ok(None);
        };
        let size = flight.range.len() as u64 * self.plan.members as u64 * 8;
        let words = self.read(flight.submission, flight.staging, &flight.mapped, size)?;
        if let Some(profiler) = &mut self.profiler {
            profiler.note(flight.pass, flight.range.len(), flight.stamps)?;
        }
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

    fn profile(&mut self, on: bool) -> Result<Option<Profile>> {
        let next = match on {
            true => {
                self.make(PassKind::Eval)?;
                let eval = self.eval.as_ref().expect("just made");
                let passes = [&self.train, eval];
                Some(Profiler::new(&self.plan, &self.device, passes)?)
            }
            false => None,
        };
        let before = std::mem::replace(&mut self.profiler, next);
        Ok(before.map(Profiler::into_profile))
    }
}
