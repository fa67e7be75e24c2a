//! The driver's compiled pipelines, kept on disk between runs where the adapter hands them out.

use std::sync::{Mutex, PoisonError};

use crate::cache::{Cache, fnv1a};

/// What the files are called.
const KIND: &str = "pipelines";

/// Content beyond this is begun anew: drivers add to it and never take away.
const MAX_BYTES: usize = 64 << 20;

/// What a driver has compiled, and its file.
pub struct PipelineCache {
    raw: wgpu::PipelineCache,
    cache: Cache,
    key: String,
    /// Hash of what the file holds.
    kept: Mutex<u64>,
}

impl PipelineCache {
    /// Reads what an earlier run has kept for this adapter and driver. `None` where the device has no
    /// [`wgpu::Features::PIPELINE_CACHE`].
    pub fn open(
        device: &wgpu::Device,
        info: &wgpu::AdapterInfo,
        cache: &Cache,
    ) -> Option<PipelineCache> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let key = wgpu::util::pipeline_cache_key(info)?;
        let key = format!("{key}\n{}\n{}", info.driver, info.driver_info);
        let data = cache.read(KIND, &key);
        let data = data.filter(|data| data.len() <= MAX_BYTES);
        let errors = device.push_error_scope(wgpu::ErrorFilter::Validation);
        // SAFETY: the data came from `PipelineCache::get_data`, since `Cache` gives back whole what
        // this program's version kept under this very key, or nothing; wgpu and the driver check its
        // adapter and driver versions once more, and start empty (`fallback`) where they do not fit.
        let raw = unsafe {
            device.create_pipeline_cache(&wgpu::PipelineCacheDescriptor {
                label: Some("pipelines of earlier runs"),
                data: data.as_deref(),
                fallback: true,
            })
        };
        // A cache that cannot be had is none.
        if pollster::block_on(errors.pop()).is_some() {
            return None;
        }
        Some(PipelineCache {
            raw,
            cache: cache.clone(),
            key,
            kept: Mutex::new(fnv1a(&data.unwrap_or_default())),
        })
    }

    pub fn raw(&self) -> &wgpu::PipelineCache {
        &self.raw
    }

    /// Keeps what has been compiled since, if anything has.
    pub fn save(&self) {
        let Some(data) = self.raw.get_data() else {
            return;
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = fnv1a(&data);
        if *kept != now {
            self.cache.write(KIND, &self.key, &data);
            *kept = now;
        }
    }
}
