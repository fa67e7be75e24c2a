//! An open device that reports its errors instead of panicking.

use std::sync::{Arc, Mutex, PoisonError};

use super::adapter;
use super::candidates::AdapterFacts;
use super::pipeline::Compiled;
use super::pipeline_cache::PipelineCache;
use crate::cache::Cache;
use crate::plan::{Buffer, Plan};
use crate::{Error, Result};

/// A device with its queue. The first error the driver reports is kept until somebody asks.
pub struct Device {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub info: wgpu::AdapterInfo,
    /// Pipelines of earlier runs; none without a cache folder, or where the adapter keeps its own.
    pub pipelines: Option<PipelineCache>,
    /// What the choice of shaders depends on.
    pub facts: AdapterFacts,
    /// What was compiled for the plans so far.
    pub compiled: Mutex<Compiled>,
    failure: Arc<Mutex<Option<String>>>,
}

impl Device {
    /// Opens the adapter with all that it can do.
    pub fn open(adapter: &wgpu::Adapter) -> Result<Arc<Device>> {
        Self::open_cached(adapter, &Cache::none())
    }

    /// [`Self::open`], with the pipelines that earlier runs have left in `cache`.
    pub fn open_cached(adapter: &wgpu::Adapter, cache: &Cache) -> Result<Arc<Device>> {
        // Products that share values between lanes, and the clock of `--profile`.
        let mut features = wgpu::Features::SUBGROUP | wgpu::Features::TIMESTAMP_QUERY;
        if cache.is_there() {
            features |= wgpu::Features::PIPELINE_CACHE;
        }
        Self::request(
            adapter,
            adapter.limits(),
            adapter.features() & features,
            cache,
        )
    }

    /// Opens the adapter with the given limits and features; a test opens it with WebGPU's defaults.
    pub fn open_with(
        adapter: &wgpu::Adapter,
        limits: wgpu::Limits,
        features: wgpu::Features,
    ) -> Result<Arc<Device>> {
        Self::request(adapter, limits, features, &Cache::none())
    }

    fn request(
        adapter: &wgpu::Adapter,
        limits: wgpu::Limits,
        features: wgpu::Features,
        cache: &Cache,
    ) -> Result<Arc<Device>> {
        let info = adapter.get_info();
        let request = adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("gpu-train"),
            required_limits: limits,
            required_features: features,
            memory_hints: wgpu::MemoryHints::Performance,
            ..Default::default()
        });
        let (device, queue) = pollster::block_on(request)
            .map_err(|e| Error::Device(format!("cannot open {}: {e}", adapter::describe(&info))))?;
        let failure = Arc::new(Mutex::new(None));
        let keep = |failure: &Arc<Mutex<Option<String>>>, text: String| {
            failure
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(text);
        };
        let slot = failure.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            keep(&slot, error.to_string());
        }));
        let slot = failure.clone();
        device.set_device_lost_callback(move |reason, message| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                keep(&slot, format!("the device was lost: {message}"));
            }
        });
        let pipelines = PipelineCache::open(&device, &info, cache);
        Ok(Arc::new(Device {
            device,
            pipelines,
            queue,
            facts: AdapterFacts::new(&info, features),
            info,
            compiled: Mutex::default(),
            failure,
        }))
    }

    /// The most bytes that one of a plan's buffers may have.
    pub fn largest_buffer(&self) -> u64 {
        largest_buffer(&self.device.limits())
    }

    /// Refuses a plan with a buffer that is too large here.
    ///
    /// # Errors
    /// [`Error::Device`] with the buffer, and what to do.
    pub fn check_buffers(&self, plan: &Plan) -> Result<()> {
        let limit = self.largest_buffer();
        let size = |buffer: &Buffer| super::bytes_of(buffer);
        match plan.buffers.iter().find(|buffer| size(buffer) > limit) {
            None => Ok(()),
            Some(buffer) => Err(Error::Device(format!(
                "the buffer \"{}\" would take {:.1} MB and {} allows {:.1} MB a buffer: use a smaller --batch or layer, or --device cpu",
                buffer.label,
                size(buffer) as f64 / 1e6,
                adapter::describe(&self.info),
                limit as f64 / 1e6
            ))),
        }
    }

    /// The first error since the device was opened.
    pub fn check(&self) -> Result<()> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        match &*failure {
            None => Ok(()),
            Some(text) => Err(Error::Device(format!(
                "{} reports: {}",
                adapter::describe(&self.info),
                one_line(text)
            ))),
        }
    }

    /// Waits until the queue has done everything up to `submission`.
    pub fn wait(&self, submission: Option<wgpu::SubmissionIndex>) -> Result<()> {
        self.device
            .poll(wgpu::PollType::Wait {
                submission_index: submission,
                timeout: None,
            })
            .map_err(|e| {
                Error::Device(format!(
                    "{}: waiting failed: {e}",
                    adapter::describe(&self.info)
                ))
            })?;
        self.check()
    }
}

/// The most bytes that one of a plan's buffers may have under these limits.
pub fn largest_buffer(limits: &wgpu::Limits) -> u64 {
    limits
        .max_storage_buffer_binding_size
        .min(limits.max_buffer_size)
}

/// wgpu explains itself in paragraphs; a user gets one line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
