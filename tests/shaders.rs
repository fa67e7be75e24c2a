//! The shaders as naga sees them: valid, laid out as the Rust structs are, and translated to the
//! language of every backend with the constants of real dispatches.

mod common;

use std::collections::BTreeMap;
use std::mem::{offset_of, size_of};

use naga::back::{PipelineConstants, glsl, hlsl, msl, pipeline_constants, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, ShaderStage, TypeInner};

use gpu_train::gpu::candidates::AdapterFacts;
use gpu_train::gpu::lower::{LANES, Lowered, lower_as};
use gpu_train::gpu::roof::PROBES;
use gpu_train::gpu::shader::{SHADERS, Shader};
use gpu_train::plan::{Kernel, LEAKY_SLOPE, MAX_DROPOUT_LAYERS, MemberRow, StepRow};
use gpu_train::verify;

fn name_of(shader: &Shader) -> String {
    format!("{} {}", shader.name, shader.variant)
}

fn parse(shader: &Shader) -> (Module, ModuleInfo) {
    let name = name_of(shader);
    let module = naga::front::wgsl::parse_str(shader.source)
        .unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(shader.source)));
    let info = validate(&module, shader.subgroups).unwrap_or_else(|e| panic!("{name}: {e}"));
    (module, info)
}

/// Valid with no capability beyond WebGPU's own, and subgroups where the shader says that it needs them.
fn validate(module: &Module, subgroups: bool) -> Result<ModuleInfo, String> {
    let capabilities = match subgroups {
        true => Capabilities::SUBGROUP,
        false => Capabilities::empty(),
    };
    Validator::new(ValidationFlags::all(), capabilities)
        .subgroup_stages(naga::valid::ShaderStages::COMPUTE)
        .subgroup_operations(naga::valid::SubgroupOperationSet::all())
        .validate(module)
        .map_err(|e| format!("{:?}", e.into_inner()))
}

/// (name, offset) of each field of a struct, and its size.
fn layout(module: &Module, name: &str) -> Option<(Vec<(String, u32)>, u32)> {
    module.types.iter().find_map(|(_, ty)| match &ty.inner {
        TypeInner::Struct { members, span } if ty.name.as_deref() == Some(name) => {
            let fields = members
                .iter()
                .map(|m| (m.name.clone().unwrap_or_default(), m.offset));
            Some((fields.collect(), *span))
        }
        _ => None,
    })
}

#[test]
fn parameter_blocks_match_their_rust_structs() {
    for shader in SHADERS {
        let (module, _) = parse(shader);
        let (fields, _) = layout(&module, "Params").expect("every kernel has parameters");
        let words = (0..).step_by(4);
        let expected = Kernel::param_fields(shader.name).iter().zip(words);
        let expected: Vec<(String, u32)> = expected.map(|(f, at)| (f.to_string(), at)).collect();
        assert_eq!(fields, expected, "{}", name_of(shader));
    }
}

/// The fields of a Rust struct with their offsets, in the order of its table of names.
macro_rules! offsets {
    ($row:ident: $($field:ident),* $(,)?) => {{
        let fields = vec![$((stringify!($field).to_string(), offset_of!($row, $field) as u32)),*];
        let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, $row::FIELDS, "the table of names of {}", stringify!($row));
        (fields, size_of::<$row>() as u32)
    }};
}

#[test]
fn tables_match_their_rust_structs() {
    let step = offsets!(
        StepRow: valid, draw, lr, step_size, inv_sqrt_bias2, decay, grad_scale, loss_scale, begins,
        applies, ema_rest, label_smoothing,
    );
    let member = offsets!(
        MemberRow: optimizer, active_flag, seed_lo, seed_hi, momentum, beta1, beta2,
        one_minus_beta1, one_minus_beta2, eps, alpha, one_minus_alpha, weight_decay, l1, l2,
        clip_norm, huber_delta, max_norm, drop_threshold, drop_scale,
    );
    let mut seen = [0; 2];
    for shader in SHADERS {
        let (module, _) = parse(shader);
        for (ix, (name, expected)) in [("Step", &step), ("Member", &member)]
            .into_iter()
            .enumerate()
        {
            if let Some(found) = layout(&module, name) {
                assert_eq!(&found, expected, "{name} in {}", name_of(shader));
                seen[ix] += 1;
            }
        }
    }
    assert!(
        seen[0] >= 6 && seen[1] >= 5,
        "Step and Member are in {seen:?} shaders"
    );
    assert_eq!(
        size_of::<[f32; MAX_DROPOUT_LAYERS]>(),
        32,
        "the arrays in member.wgsl have 8"
    );
}

#[test]
fn constants_match_their_rust_twins() {
    let mut seen = [0; 2];
    for shader in SHADERS {
        let (module, _) = parse(shader);
        for (_, constant) in module.constants.iter() {
            let literal = match module.global_expressions[constant.init] {
                naga::Expression::Literal(literal) => literal,
                _ => continue,
            };
            match constant.name.as_deref() {
                Some("LANES") => {
                    assert_eq!(literal, naga::Literal::U32(LANES), "{}", name_of(shader));
                    seen[0] += 1;
                }
                Some("LEAKY_SLOPE") => {
                    let slope = naga::Literal::F32(LEAKY_SLOPE as f32);
                    assert_eq!(literal, slope, "{}", name_of(shader));
                    seen[1] += 1;
                }
                _ => {}
            }
        }
    }
    assert!(
        seen[0] >= 11 && seen[1] >= 3,
        "LANES and LEAKY_SLOPE are in {seen:?} shaders"
    );
}

#[test]
fn bindings_match_the_table() {
    for shader in SHADERS {
        let (module, _) = parse(shader);
        let mut storage = 0;
        let mut groups = BTreeMap::new();
        for (_, variable) in module.global_variables.iter() {
            if let Some(binding) = variable.binding {
                *groups.entry(binding.group).or_insert(0) += 1;
            }
            storage += u32::from(matches!(variable.space, AddressSpace::Storage { .. }));
        }
        let name = name_of(shader);
        assert_eq!(groups.get(&0), Some(&shader.access.len()), "{name}");
        assert_eq!(
            groups.get(&1).copied().unwrap_or(0),
            usize::from(shader.uses_step),
            "{name}"
        );
        let limits = wgpu::Limits::default();
        assert!(
            storage <= limits.max_storage_buffers_per_shader_stage,
            "{name}"
        );
    }
}

/// Each shader with every set of constants that the cases give it.
fn specialisations() -> Vec<Lowered> {
    let mut found: BTreeMap<String, Lowered> = BTreeMap::new();
    let adapters = [(true, 8), (false, 32)].map(|(software, size)| AdapterFacts {
        software,
        subgroup: Some(size),
    });
    for name in Kernel::NAMES {
        for case in verify::cases_of(name) {
            for facts in &adapters {
                let members = case.plan.members;
                let lowered = lower_as(case.kernel(), members, facts, case.variant).expect("small");
                let key = format!("{} {:?}", name_of(lowered.shader), lowered.constants);
                found.insert(key, lowered);
            }
        }
    }
    found.into_values().collect()
}

/// Shaders that a backend's writer refuses, by name; anything else must translate.
const UNSUPPORTED: [(&str, &str); 0] = [];

#[test]
fn every_backend_takes_every_shader() {
    let specialisations = specialisations();
    for shader in SHADERS {
        let of_it = |l: &&Lowered| std::ptr::eq(l.shader, shader);
        assert!(
            specialisations.iter().any(|l| of_it(&l)),
            "{} has no dispatch",
            name_of(shader)
        );
    }
    let mut failures = Vec::new();
    let mut parsed: BTreeMap<String, (Module, ModuleInfo)> = BTreeMap::new();
    for lowered in &specialisations {
        let name = name_of(lowered.shader);
        let (module, info) = parsed
            .entry(name.clone())
            .or_insert_with(|| parse(lowered.shader));
        let constants: PipelineConstants = lowered
            .constants
            .iter()
            .map(|(name, value)| (name.to_string(), *value))
            .collect();
        let entry = (ShaderStage::Compute, "main");
        let (module, info) =
            pipeline_constants::process_overrides(module, info, Some(entry), &constants)
                .unwrap_or_else(|e| panic!("{name} {constants:?}: {e}"));
        let [x, y, z] = module.entry_points[0].workgroup_size;
        let limit = wgpu::Limits::default().max_compute_invocations_per_workgroup;
        assert!(
            x * y * z <= limit,
            "{name} {constants:?}: {x} x {y} x {z} invocations"
        );
        let memory = workgroup_bytes(&module);
        let limit = wgpu::Limits::default().max_compute_workgroup_storage_size;
        assert!(
            memory <= limit,
            "{name} {constants:?}: {memory} bytes of workgroup memory"
        );
        for (backend, write) in BACKENDS {
            let unsupported = UNSUPPORTED.contains(&(backend, name.as_str()));
            match write(&module, &info) {
                Ok(text) => {
                    assert!(text > 0, "{name}: {backend} is empty");
                    assert!(
                        !unsupported,
                        "{name}: {backend} takes it now; shorten the list"
                    );
                }
                Err(_) if unsupported => {}
                Err(e) => failures.push(format!("{name} {constants:?}: {backend}: {e}")),
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The probes of an adapter's roof lie outside the table and have no constants.
#[test]
fn every_backend_takes_every_probe() {
    for (name, source) in PROBES {
        let module = naga::front::wgsl::parse_str(source)
            .unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(source)));
        let info = validate(&module, false).unwrap_or_else(|e| panic!("{name}: {e}"));
        for (backend, write) in BACKENDS {
            let text = write(&module, &info).unwrap_or_else(|e| panic!("{name}: {backend}: {e}"));
            assert!(text > 0, "{name}: {backend} is empty");
        }
    }
}

fn workgroup_bytes(module: &Module) -> u32 {
    let mut layouter = naga::proc::Layouter::default();
    layouter.update(module.to_ctx()).expect("sized types");
    let variables = module.global_variables.iter().map(|(_, v)| v);
    variables
        .filter(|v| v.space == AddressSpace::WorkGroup)
        .map(|v| layouter[v.ty].size)
        .sum()
}

type Write = fn(&Module, &ModuleInfo) -> Result<usize, String>;

const BACKENDS: [(&str, Write); 6] = [
    ("SPIR-V 1.3 (Vulkan)", write_spirv),
    ("MSL 2.1 (Metal)", write_msl),
    ("HLSL 5.1 (DirectX 12, FXC)", |m, i| {
        write_hlsl(m, i, hlsl::ShaderModel::V5_1)
    }),
    ("HLSL 6.0 (DirectX 12, DXC)", |m, i| {
        write_hlsl(m, i, hlsl::ShaderModel::V6_0)
    }),
    ("GLSL ES 3.10", |m, i| {
        write_glsl(m, i, glsl::Version::new_gles(310))
    }),
    ("GLSL 4.30", |m, i| {
        write_glsl(m, i, glsl::Version::Desktop(430))
    }),
];

/// As wgpu asks for it: an index past the end is moved inside.
const POLICIES: BoundsCheckPolicies = BoundsCheckPolicies {
    index: BoundsCheckPolicy::Restrict,
    buffer: BoundsCheckPolicy::Restrict,
    image_load: BoundsCheckPolicy::Restrict,
    binding_array: BoundsCheckPolicy::Unchecked,
};

fn write_spirv(module: &Module, info: &ModuleInfo) -> Result<usize, String> {
    let options = spv::Options {
        lang_version: (1, 3),
        bounds_check_policies: POLICIES,
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        force_loop_bounding: false,
        ..Default::default()
    };
    let entry = spv::PipelineOptions {
        shader_stage: ShaderStage::Compute,
        entry_point: "main".to_string(),
    };
    let words = spv::write_vec(module, info, &options, Some(&entry));
    words.map(|w| w.len()).map_err(|e| e.to_string())
}

fn write_msl(module: &Module, info: &ModuleInfo) -> Result<usize, String> {
    let options = msl::Options {
        lang_version: (2, 1),
        bounds_check_policies: POLICIES,
        zero_initialize_workgroup_memory: false,
        force_loop_bounding: false,
        ..Default::default()
    };
    let entry = msl::PipelineOptions {
        entry_point: Some((ShaderStage::Compute, "main".to_string())),
        ..Default::default()
    };
    let (text, translated) =
        msl::write_string(module, info, &options, &entry).map_err(|e| e.to_string())?;
    for name in translated.entry_point_names {
        name.map_err(|e| e.to_string())?;
    }
    Ok(text.len())
}

fn write_hlsl(
    module: &Module,
    info: &ModuleInfo,
    model: hlsl::ShaderModel,
) -> Result<usize, String> {
    let options = hlsl::Options {
        shader_model: model,
        // Stands for the register in which wgpu passes the grid's size to `num_workgroups`.
        special_constants_binding: Some(hlsl::BindTarget {
            space: 0,
            register: 15,
            ..Default::default()
        }),
        zero_initialize_workgroup_memory: false,
        force_loop_bounding: false,
        ..Default::default()
    };
    let entry = hlsl::PipelineOptions {
        entry_point: Some((ShaderStage::Compute, "main".to_string())),
    };
    let mut text = String::new();
    let written = hlsl::Writer::new(&mut text, &options, &entry).write(module, info, None);
    for name in written.map_err(|e| e.to_string())?.entry_point_names {
        name.map_err(|e| e.to_string())?;
    }
    Ok(text.len())
}

fn write_glsl(module: &Module, info: &ModuleInfo, version: glsl::Version) -> Result<usize, String> {
    // GLSL has one number space for uniform blocks and one for storage blocks; wgpu assigns it.
    let mut binding_map = glsl::BindingMap::default();
    for (_, variable) in module.global_variables.iter() {
        if let Some(binding) = variable.binding {
            let number = binding.group as u8 * 8 + binding.binding as u8;
            binding_map.insert(binding, number);
        }
    }
    let options = glsl::Options {
        version,
        binding_map,
        zero_initialize_workgroup_memory: false,
        ..Default::default()
    };
    let entry = glsl::PipelineOptions {
        shader_stage: ShaderStage::Compute,
        entry_point: "main".to_string(),
        multiview: None,
    };
    let mut text = String::new();
    glsl::Writer::new(&mut text, module, info, &options, &entry, POLICIES)
        .and_then(|mut writer| writer.write().map(|_| ()))
        .map_err(|e| e.to_string())?;
    Ok(text.len())
}
