//! Timing the candidates of every shape of a plan on the adapter, for `--no-deterministic`.

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;

use super::candidates::candidates;
use super::choice::{self, Choices};
use super::lower::lower_as;
use super::{Device, Gpu, adapter};
use crate::Result;
use crate::cache::Cache;
use crate::plan::{Dispatch, Plan};

/// What the cache's files are called.
const KIND: &str = "variant";

/// Timed submits of a candidate; the median counts.
const SUBMITS: usize = 5;

/// Seconds that one of them should take, so that a submit's own cost is the lesser part.
const SUBMIT_SECONDS: f64 = 0.003;

/// Dispatches of a submit at most.
const MAX_DISPATCHES: usize = 32;

/// The fastest variant for each shape of the plan, with all its members: as an earlier run measured
/// it on this adapter and driver, else as measured now.
pub fn fastest(plan: &Arc<Plan>, device: &Arc<Device>, cache: &Cache) -> Result<Choices> {
    let mut choices = Choices::new();
    // Made when the first shape has to be timed: buffers and pipelines take their time.
    let mut gpu: Option<Gpu> = None;
    for (words, dispatch) in choice::dispatches(plan) {
        let known = candidates(&dispatch.kernel, &device.facts);
        let key = key(&words, plan.members, device);
        let kept = cache.read(KIND, &key);
        let kept = kept.and_then(|json| serde_json::from_slice::<serde_json::Value>(&json).ok());
        let kept = kept.and_then(|kept| Some(kept["variant"].as_str()?.to_string()));
        if let Some(kept) = kept.filter(|kept| known.contains(&kept.as_str())) {
            choices.insert(words, kept);
            continue;
        }
        if gpu.is_none() {
            gpu = Some(Gpu::new(plan.clone(), device.clone())?);
        }
        let gpu = gpu.as_mut().expect("it was just made");
        let mut times = Vec::with_capacity(known.len());
        for variant in known {
            times.push((variant, gpu.seconds(dispatch, variant)?));
        }
        times.sort_by(|a, b| a.1.total_cmp(&b.1));
        let ms: serde_json::Map<_, _> = times
            .iter()
            .map(|(variant, seconds)| (variant.to_string(), json!(seconds * 1e3)))
            .collect();
        let (variant, _) = times[0];
        let entry = json!({"shape": words, "variant": variant, "ms": ms});
        cache.write(KIND, &key, entry.to_string().as_bytes());
        choices.insert(words, variant.to_string());
    }
    Ok(choices)
}

fn key(words: &str, members: usize, device: &Device) -> String {
    let info = &device.info;
    format!(
        "{words}, {members} members\n{}\n{} {}",
        adapter::describe(info),
        info.driver,
        info.driver_info
    )
}

impl Gpu {
    /// Median seconds of one dispatch in a variant, over what the buffers hold.
    fn seconds(&mut self, dispatch: &Dispatch, variant: &str) -> Result<f64> {
        let lowered = {
            let facts = &self.device.facts;
            lower_as(&dispatch.kernel, self.plan.members, facts, Some(variant))?
        };
        self.pipelines.compile(&[&lowered]);
        let ready = self
            .pipelines
            .bind(&self.plan, dispatch, &lowered, &self.buffers);
        let run = |count: usize| -> Result<f64> {
            let started = Instant::now();
            let device = &self.device.device;
            let mut encoder =
                device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: None });
            {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                for _ in 0..count {
                    self.encode(&mut pass, &ready, &(0..1));
                }
            }
            let submission = self.device.queue.submit([encoder.finish()]);
            self.device.wait(Some(submission))?;
            Ok(started.elapsed().as_secs_f64() / count as f64)
        };
        // The first one compiles; the second says how many make a submit.
        run(1)?;
        let count = (SUBMIT_SECONDS / run(1)?.max(1e-6)).ceil() as usize;
        let count = count.clamp(1, MAX_DISPATCHES);
        let times: Result<Vec<f64>> = (0..SUBMITS).map(|_| run(count)).collect();
        let mut times = times?;
        times.sort_by(f64::total_cmp);
        Ok(times[SUBMITS / 2])
    }
}
