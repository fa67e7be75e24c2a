//! Pipelines, layouts and bind groups: bind groups are made once per plan, never per step; modules and
//! pipelines once per device, for a search trains many plans.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use rayon::prelude::*;

use super::Device;
use super::bounds;
use super::lower::{Grid, Lowered};
use super::shader::{Access, Shader};
use crate::plan::{Dispatch, Plan};

/// Bytes between two places in the buffer that holds the step numbers; WebGPU's alignment.
pub const AT_STRIDE: u64 = 256;

/// A dispatch with everything bound.
pub struct Ready {
    pub pipeline: wgpu::ComputePipeline,
    pub bind_group: wgpu::BindGroup,
    pub uses_step: bool,
    pub grid: Grid,
    /// Empty where the kernel has only one.
    pub variant: &'static str,
}

/// Makes the pipelines of a plan that its device does not have yet.
pub struct Pipelines {
    device: Arc<Device>,
    at_layout: wgpu::BindGroupLayout,
}

/// What a device has of modules and pipelines.
#[derive(Default)]
pub struct Compiled {
    modules: HashMap<Source, wgpu::ShaderModule>,
    made: HashMap<Key, Made>,
}

/// Shader and variant.
type Source = (&'static str, &'static str);

/// With the bits of the specialisation constants.
type Key = (Source, Vec<u64>);

type Made = (wgpu::ComputePipeline, wgpu::BindGroupLayout);

fn key(lowered: &Lowered) -> Key {
    let bits = lowered.constants.iter().map(|(_, v)| v.to_bits()).collect();
    (source(lowered.shader), bits)
}

fn source(shader: &Shader) -> Source {
    (shader.name, shader.variant)
}

impl Pipelines {
    pub fn new(device: Arc<Device>) -> Self {
        let at_layout = device
            .device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some("step"),
                entries: &[wgpu::BindGroupLayoutEntry {
                    binding: 0,
                    visibility: wgpu::ShaderStages::COMPUTE,
                    ty: wgpu::BindingType::Buffer {
                        ty: wgpu::BufferBindingType::Uniform,
                        has_dynamic_offset: true,
                        min_binding_size: None,
                    },
                    count: None,
                }],
            });
        Pipelines { device, at_layout }
    }

    fn compiled(&self) -> MutexGuard<'_, Compiled> {
        let compiled = self.device.compiled.lock();
        compiled.unwrap_or_else(PoisonError::into_inner)
    }

    /// A buffer that holds 0, 1, 2, ... at multiples of [`AT_STRIDE`], and its bind group.
    pub fn step_numbers(&self, count: usize) -> wgpu::BindGroup {
        let mut words = vec![0u32; count * AT_STRIDE as usize / 4];
        for (ix, word) in words.iter_mut().step_by(AT_STRIDE as usize / 4).enumerate() {
            *word = ix as u32;
        }
        let buffer = self.device.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("step numbers"),
            size: words.len() as u64 * 4,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.device
            .queue
            .write_buffer(&buffer, 0, bytemuck::cast_slice(&words));
        self.device
            .device
            .create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some("step"),
                layout: &self.at_layout,
                entries: &[wgpu::BindGroupEntry {
                    binding: 0,
                    resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                        buffer: &buffer,
                        offset: 0,
                        size: wgpu::BufferSize::new(16),
                    }),
                }],
            })
    }

    /// Makes the pipelines of these kernels that are not there yet, side by side.
    pub fn compile(&self, kernels: &[&Lowered]) {
        let mut compiled = self.compiled();
        let Compiled { modules, made } = &mut *compiled;
        let mut missing: HashMap<Key, &Lowered> = HashMap::new();
        let mut unread: HashMap<Source, &Shader> = HashMap::new();
        for lowered in kernels {
            if !made.contains_key(&key(lowered)) {
                missing.insert(key(lowered), lowered);
                if !modules.contains_key(&source(lowered.shader)) {
                    unread.insert(source(lowered.shader), lowered.shader);
                }
            }
        }
        let unread = unread.into_par_iter();
        let read: Vec<_> = unread.map(|(key, s)| (key, self.module(s))).collect();
        modules.extend(read);
        let missing = missing.into_par_iter();
        let new = missing.map(|(key, l)| (key, self.make(l, &modules[&source(l.shader)])));
        let new: Vec<_> = new.collect();
        made.extend(new);
    }

    /// Binds one dispatch of `plan` to its buffers; its pipeline has been compiled.
    pub fn bind(
        &self,
        plan: &Plan,
        dispatch: &Dispatch,
        lowered: &Lowered,
        buffers: &[wgpu::Buffer],
    ) -> Ready {
        bounds::check(plan, dispatch);
        let (pipeline, layout) = self.compiled().made[&key(lowered)].clone();
        // A parameter block of its own: a few dozen bytes, written once.
        let bytes = dispatch.kernel.param_bytes();
        let params = self.device.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(&dispatch.label),
            size: (bytes.len() as u64).next_multiple_of(16),
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.device.queue.write_buffer(&params, 0, bytes);
        let storage = dispatch.buffers.iter().map(|id| &buffers[id.0]);
        let entries: Vec<wgpu::BindGroupEntry> = std::iter::once(&params)
            .chain(storage)
            .enumerate()
            .map(|(binding, buffer)| wgpu::BindGroupEntry {
                binding: binding as u32,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        let bind_group = self
            .device
            .device
            .create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(&dispatch.label),
                layout: &layout,
                entries: &entries,
            });
        Ready {
            pipeline,
            bind_group,
            uses_step: lowered.shader.uses_step,
            grid: lowered.grid,
            variant: lowered.shader.variant,
        }
    }

    fn make(&self, lowered: &Lowered, module: &wgpu::ShaderModule) -> Made {
        let shader = lowered.shader;
        let device = &self.device.device;
        let label = Some(shader.name);
        let entries: Vec<wgpu::BindGroupLayoutEntry> = shader
            .access
            .iter()
            .enumerate()
            .map(|(binding, access)| wgpu::BindGroupLayoutEntry {
                binding: binding as u32,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: match access {
                        Access::Uniform => wgpu::BufferBindingType::Uniform,
                        Access::Read => wgpu::BufferBindingType::Storage { read_only: true },
                        Access::ReadWrite => wgpu::BufferBindingType::Storage { read_only: false },
                    },
                    has_dynamic_offset: false,
                    min_binding_size: None,
                },
                count: None,
            })
            .collect();
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label,
            entries: &entries,
        });
        let mut groups = vec![Some(&layout)];
        if shader.uses_step {
            groups.push(Some(&self.at_layout));
        }
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &groups,
            immediate_size: 0,
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label,
            layout: Some(&pipeline_layout),
            module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &lowered.constants,
                zero_initialize_workgroup_memory: false,
            },
            cache: self.device.pipelines.as_ref().map(|cache| cache.raw()),
        });
        (pipeline, layout)
    }

    fn module(&self, shader: &Shader) -> wgpu::ShaderModule {
        let mut checks = wgpu::ShaderRuntimeChecks::checked();
        checks.force_loop_bounding = false;
        checks.bounds_checks = !bounds::covers(shader);
        // SAFETY: every loop of every shader counts up to, or halves down from, a number that its
        // body does not change, so that each ends. Bounds go unchecked only in the products: their
        // indices into buffers depend on parameters, the grid and the step's number alone, and
        // `bounds::check`, called before every binding, holds the largest of each to the buffer's
        // length (a step's number stays below the table's capacity: `Gpu::submit`); those into private
        // and workgroup arrays are constants, lanes and loop counters below the arrays' sizes.
        unsafe {
            self.device.device.create_shader_module_trusted(
                wgpu::ShaderModuleDescriptor {
                    label: Some(shader.name),
                    source: wgpu::ShaderSource::Wgsl(shader.source.into()),
                },
                checks,
            )
        }
    }
}
