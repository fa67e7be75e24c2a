//! Finding adapters: what there is, which is best, and what to do where there is none.

use crate::{Error, Result};

/// What to do where no adapter is found, in one line.
pub const REMEDY: &str = "no GPU adapter was found: install your GPU's Vulkan driver, or the software adapter (Debian, Ubuntu: apt install mesa-vulkan-drivers libvulkan1; Fedora: dnf install mesa-vulkan-drivers vulkan-loader; Arch: pacman -S vulkan-swrast)";

/// Adapters, best first: discrete, integrated, virtual, other, software. OpenGL is asked only where
/// no Vulkan, Metal or DirectX 12 adapter is found.
pub fn adapters() -> Vec<wgpu::Adapter> {
    let mut found = enumerate(wgpu::Backends::PRIMARY);
    if found.is_empty() {
        found = enumerate(wgpu::Backends::GL);
    }
    found.sort_by_key(|adapter| match adapter.get_info().device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    });
    found
}

fn enumerate(backends: wgpu::Backends) -> Vec<wgpu::Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = backends;
    descriptor.flags = wgpu::InstanceFlags::empty();
    let instance = wgpu::Instance::new(descriptor);
    let mut found = pollster::block_on(instance.enumerate_adapters(backends));
    found.retain(can_compute);
    found
}

/// Whether the adapter offers what every kernel needs: the WebGPU defaults.
fn can_compute(adapter: &wgpu::Adapter) -> bool {
    wgpu::Limits::default().check_limits(&adapter.limits())
        || adapter
            .get_downlevel_capabilities()
            .flags
            .contains(wgpu::DownlevelFlags::COMPUTE_SHADERS)
            && adapter.limits().max_storage_buffers_per_shader_stage >= 8
}

/// Whether the adapter is a program on the CPU: right for checks, meaningless for speed.
pub fn is_software(info: &wgpu::AdapterInfo) -> bool {
    info.device_type == wgpu::DeviceType::Cpu
}

/// "llvmpipe (LLVM 15.0.6, 256 bits), Vulkan, software".
pub fn describe(info: &wgpu::AdapterInfo) -> String {
    let kind = match info.device_type {
        wgpu::DeviceType::DiscreteGpu => "discrete GPU",
        wgpu::DeviceType::IntegratedGpu => "integrated GPU",
        wgpu::DeviceType::VirtualGpu => "virtual GPU",
        wgpu::DeviceType::Cpu => "software",
        wgpu::DeviceType::Other => "other",
    };
    format!("{}, {:?}, {kind}", info.name, info.backend)
}

/// The adapter that `--device` names: `gpu` (the best), a number of [`adapters`], or part of a name.
///
/// # Errors
/// [`Error::Device`] with the remedy where there is no adapter, or with the list of adapters where
/// none of them, or several, are meant.
pub fn choose(which: &str) -> Result<wgpu::Adapter> {
    if which.trim().is_empty() {
        return Err(Error::Usage(
            "--device is empty; choose auto, gpu, cpu, or a number or name of `gpu-train devices`"
                .to_string(),
        ));
    }
    let mut found = adapters();
    if found.is_empty() {
        return Err(Error::Device(REMEDY.to_string()));
    }
    if which.eq_ignore_ascii_case("gpu") {
        return Ok(found.swap_remove(0));
    }
    let list: Vec<String> = found
        .iter()
        .enumerate()
        .map(|(ix, adapter)| format!("{ix}: {}", describe(&adapter.get_info())))
        .collect();
    let refuse = |what: String| {
        Err(Error::Device(format!(
            "--device {which}: {what}; choose auto, gpu, cpu or one of these adapters: {}",
            list.join("; ")
        )))
    };
    if let Ok(ix) = which.parse::<usize>() {
        if ix < found.len() {
            return Ok(found.swap_remove(ix));
        }
        return refuse("there is no adapter of that number".to_string());
    }
    let wanted = which.to_lowercase();
    // The whole name first: a configuration records it, and it may be part of another one's.
    if let Some(ix) = found
        .iter()
        .position(|adapter| adapter.get_info().name.to_lowercase() == wanted)
    {
        return Ok(found.swap_remove(ix));
    }
    let matching: Vec<usize> = (0..found.len())
        .filter(|&ix| found[ix].get_info().name.to_lowercase().contains(&wanted))
        .collect();
    match matching[..] {
        [ix] => Ok(found.swap_remove(ix)),
        [] => refuse("no adapter has that in its name".to_string()),
        _ => refuse("several adapters have that in their name".to_string()),
    }
}
