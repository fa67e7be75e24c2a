//! Pipelines, layouts and bind groups: made once per plan, never per step.

use std::collections::HashMap;

use super::Device;
use super::lower::{Grid, Lowered, lower_as};
use super::shader::{Access, Shader};
use crate::Result;
use crate::plan::{Dispatch, Plan};

/// Bytes between two places in the buffer that holds the step numbers; WebGPU's alignment.
pub const AT_STRIDE: u64 = 256;

/// A dispatch with everything bound.
pub struct Ready {
    pub pipeline: wgpu::ComputePipeline,
    pub bind_group: wgpu::BindGroup,
    pub uses_step: bool,
    pub grid: Grid,
}

/// Makes pipelines, each once.
pub struct Pipelines<'a> {
    device: &'a Device,
    at_layout: wgpu::BindGroupLayout,
    made: HashMap<Key, (wgpu::ComputePipeline, wgpu::BindGroupLayout)>,
}

/// Shader, variant and the bits of the specialisation constants.
type Key = (&'static str, &'static str, Vec<u64>);

impl<'a> Pipelines<'a> {
    pub fn new(device: &'a Device) -> Self {
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
        Pipelines {
            device,
            at_layout,
            made: HashMap::new(),
        }
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

    /// Binds one dispatch of `plan` to its buffers; `variant` forces a matrix product's.
    pub fn ready(
        &mut self,
        plan: &Plan,
        dispatch: &Dispatch,
        buffers: &[wgpu::Buffer],
        variant: Option<&str>,
    ) -> Result<Ready> {
        let lowered = lower_as(&dispatch.kernel, plan.members, variant)?;
        let (pipeline, layout) = self.pipeline(&lowered);
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
        Ok(Ready {
            pipeline,
            bind_group,
            uses_step: lowered.shader.uses_step,
            grid: lowered.grid,
        })
    }

    fn pipeline(&mut self, lowered: &Lowered) -> (wgpu::ComputePipeline, wgpu::BindGroupLayout) {
        let Shader { name, variant, .. } = lowered.shader;
        let bits = lowered.constants.iter().map(|(_, v)| v.to_bits()).collect();
        let key = (*name, *variant, bits);
        if let Some(made) = self.made.get(&key) {
            return made.clone();
        }
        let made = self.make(lowered);
        self.made.insert(key, made.clone());
        made
    }

    fn make(&self, lowered: &Lowered) -> (wgpu::ComputePipeline, wgpu::BindGroupLayout) {
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
        let mut checks = wgpu::ShaderRuntimeChecks::checked();
        checks.force_loop_bounding = false;
        // SAFETY: every loop of every shader counts up to, or halves down from, a number that its
        // body does not change, so that each ends; all other checks stay on.
        let module = unsafe {
            device.create_shader_module_trusted(
                wgpu::ShaderModuleDescriptor {
                    label,
                    source: wgpu::ShaderSource::Wgsl(shader.source.into()),
                },
                checks,
            )
        };
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label,
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &lowered.constants,
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        (pipeline, layout)
    }
}
