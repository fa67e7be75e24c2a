//! `gpu-train devices`: what there is to compute on.

use serde_json::json;

use super::ui::{Ui, thousands};
use crate::Result;
use crate::gpu::adapter::{REMEDY, adapters, describe, is_software};

#[derive(clap::Args)]
pub struct Args {
    /// One JSON object a device on standard output
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &Args) -> Result<()> {
    let ui = Ui {
        json: args.json,
        quiet: args.json,
        silent: false,
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    ui.say(&format!("cpu: the CPU path, {threads} threads"));
    ui.event(&json!({"event": "device", "device": "cpu", "threads": threads}));
    let found = adapters();
    for (ix, adapter) in found.iter().enumerate() {
        let (info, limits) = (adapter.get_info(), adapter.limits());
        let best = if ix == 0 {
            ", the one that `gpu` means"
        } else {
            ""
        };
        ui.say(&format!("{ix}: {}{best}", describe(&info)));
        ui.say(&format!("   driver: {} {}", info.driver, info.driver_info));
        ui.say(&format!(
            "   limits: {} MiB a storage binding, {} MiB a buffer, {} storage buffers a stage",
            thousands(limits.max_storage_buffer_binding_size as f64 / 1_048_576.0),
            thousands(limits.max_buffer_size as f64 / 1_048_576.0),
            limits.max_storage_buffers_per_shader_stage
        ));
        ui.say(&format!(
            "           {} invocations a workgroup, {} KiB of workgroup memory, {} workgroups an axis",
            limits.max_compute_invocations_per_workgroup,
            limits.max_compute_workgroup_storage_size / 1024,
            thousands(f64::from(limits.max_compute_workgroups_per_dimension))
        ));
        let features = features(adapter);
        ui.say(&format!("   features: {}", features.join(", ")));
        if is_software(&info) {
            ui.say("   a software adapter: right for checks and CI, slower than the CPU path");
        }
        ui.event(&json!({
            "event": "device",
            "device": ix,
            "name": info.name,
            "backend": format!("{:?}", info.backend),
            "type": format!("{:?}", info.device_type),
            "driver": format!("{} {}", info.driver, info.driver_info),
            "software_adapter": is_software(&info),
            "max_storage_buffer_binding_size": limits.max_storage_buffer_binding_size,
            "max_buffer_size": limits.max_buffer_size,
            "max_storage_buffers_per_shader_stage": limits.max_storage_buffers_per_shader_stage,
            "max_compute_invocations_per_workgroup": limits.max_compute_invocations_per_workgroup,
            "max_compute_workgroup_storage_size": limits.max_compute_workgroup_storage_size,
            "features": features,
        }));
    }
    if found.is_empty() {
        ui.say(REMEDY);
    }
    Ok(())
}

/// The features that matter to training, with the subgroup sizes.
fn features(adapter: &wgpu::Adapter) -> Vec<String> {
    let info = adapter.get_info();
    let has = adapter.features();
    let mut names = Vec::new();
    if has.contains(wgpu::Features::SUBGROUP) {
        names.push(format!(
            "subgroups of {} to {}",
            info.subgroup_min_size, info.subgroup_max_size
        ));
    }
    for (feature, name) in [
        (wgpu::Features::SHADER_F16, "16-bit floats"),
        (wgpu::Features::TIMESTAMP_QUERY, "timestamps"),
        (wgpu::Features::PIPELINE_CACHE, "pipeline cache"),
    ] {
        if has.contains(feature) {
            names.push(name.to_string());
        }
    }
    if names.is_empty() {
        names.push("none beyond WebGPU's".to_string());
    }
    names
}
