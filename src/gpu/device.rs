//! An open device that reports its errors instead of panicking.

use std::sync::{Arc, Mutex, PoisonError};

use super::adapter;
use crate::{Error, Result};

/// A device with its queue. The first error the driver reports is kept until somebody asks.
pub struct Device {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub info: wgpu::AdapterInfo,
    failure: Arc<Mutex<Option<String>>>,
}

impl Device {
    /// Opens the adapter with all that it can do.
    pub fn open(adapter: &wgpu::Adapter) -> Result<Arc<Device>> {
        Self::open_with(adapter, adapter.limits())
    }

    /// Opens the adapter with the given limits; a test opens it with WebGPU's defaults.
    pub fn open_with(adapter: &wgpu::Adapter, limits: wgpu::Limits) -> Result<Arc<Device>> {
        let info = adapter.get_info();
        let request = adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("gpu-train"),
            required_limits: limits,
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
        Ok(Arc::new(Device {
            device,
            queue,
            info,
            failure,
        }))
    }

    /// The most bytes that one of a plan's buffers may have.
    pub fn largest_buffer(&self) -> u64 {
        let limits = self.device.limits();
        limits
            .max_storage_buffer_binding_size
            .min(limits.max_buffer_size)
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

/// wgpu explains itself in paragraphs; a user gets one line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
