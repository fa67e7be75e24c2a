//! Every kernel and every shader variant against the f64 oracle, and the comparator against kernels
//! that are wrong on purpose.

mod common;

use std::sync::Arc;

use gpu_train::cpu::Cpu;
use gpu_train::gpu::{
    Device, Gpu,
    candidates::candidates,
    shader::{SHADERS, Shader},
};
use gpu_train::plan::{Activation, Epilogue, ErrorKind, Kernel, Plan};
use gpu_train::verify::{self, Case, Outcome, Summary, Worst};

/// Runs everything on a device; panics with every failing case.
fn verify_all(device: Arc<Device>) -> Summary {
    let mut failures: Vec<String> = Vec::new();
    let mut note = |outcome: &Outcome| {
        if !outcome.passed() {
            failures.push(outcome.to_string());
        }
    };
    let summary = verify::run(Some(device), "", &mut note).expect("the device works");
    for row in &summary.rows {
        println!(
            "{:15} {:14} {:3} {:4} cases, worst {:.3} of its bound",
            row.kernel,
            row.variant,
            if row.on_gpu { "gpu" } else { "cpu" },
            row.cases,
            row.worst
        );
    }
    assert!(
        failures.is_empty(),
        "{} of {} cases failed:\n{}",
        failures.len(),
        summary.cases(),
        failures.join("\n")
    );
    summary
}

/// The kernel table and the shader table, walked: what has no case has not been verified.
#[test]
fn every_kernel_agrees_with_the_oracle() {
    let device = common::require_device();
    let summary = verify_all(device.clone());
    for name in Kernel::NAMES {
        let has_case = |on_gpu: bool| {
            let mut rows = summary.rows.iter();
            rows.any(|row| row.kernel == name && row.on_gpu == on_gpu)
        };
        assert!(has_case(false), "{name} has no case on the CPU");
        assert!(has_case(true), "{name} has no case on the GPU");
    }
    assert!(
        device.facts.subgroup.is_some() == (summary.skipped == 0),
        "{} cases were skipped",
        summary.skipped
    );
    let runs = |shader: &&Shader| device.facts.subgroup.is_some() || !shader.subgroups;
    for shader in SHADERS.iter().filter(runs) {
        let found = summary.rows.iter().any(|row| {
            (row.kernel, row.variant, row.on_gpu) == (shader.name, shader.variant, true)
        });
        assert!(found, "{} {} has no case", shader.name, shader.variant);
    }
}

#[test]
fn every_kernel_runs_within_the_webgpu_default_limits() {
    verify_all(common::require_default_device());
}

/// What `case`'s oracle says of `executed`, run on both f32 executors.
fn judge(case: &Case, executed: &Case, device: &Arc<Device>) -> [Worst; 2] {
    let expected = case.expected().expect("the oracle runs");
    let mut gpu = Gpu::new(executed.plan.clone(), device.clone()).expect("pipelines");
    let mut cpu = Cpu::<f32>::new(executed.plan.clone(), 0).expect("threads");
    let got = [
        executed.run(&mut cpu).expect("cpu"),
        executed.run(&mut gpu).expect("gpu"),
    ];
    got.map(|got| case.worst(&expected, &got))
}

/// `case` with its plan changed.
fn changed(case: &Case, change: impl FnOnce(&mut Plan)) -> Case {
    let mut plan = (*case.plan).clone();
    change(&mut plan);
    Case {
        plan: Arc::new(plan),
        ..case.clone()
    }
}

fn with_kernel(case: &Case, kernel: Kernel) -> Case {
    changed(case, |plan| {
        let pass = &mut plan.train;
        let mut all = pass.per_step.iter_mut().chain(&mut pass.per_range);
        all.next().expect("a case has one dispatch").kernel = kernel;
    })
}

fn case_named(kernel: &str, label: &str) -> Case {
    verify::cases_of(kernel)
        .into_iter()
        .find(|case| case.label == label)
        .unwrap_or_else(|| panic!("{kernel} has no case \"{label}\""))
}

/// Kernels that are slightly wrong, each beside the case that must notice.
fn mutants() -> Vec<(&'static str, &'static str, Kernel)> {
    let mut mutants = Vec::new();
    let mut mutant = |name: &'static str, label: &'static str, change: &dyn Fn(&mut Kernel)| {
        let mut kernel = *case_named(name, label).kernel();
        change(&mut kernel);
        mutants.push((name, label, kernel));
    };
    mutant("gather", "7x13, table of 1", &|k| {
        if let Kernel::Gather(p) = k {
            p.cols -= 1;
        }
    });
    mutant("gather", "5x12, table of 3", &|k| {
        if let Kernel::Gather(p) = k {
            p.norm_span -= 1;
        }
    });
    mutant("matmul", "NT 7x5x3, bias + relu", &|k| {
        if let Kernel::Matmul { epilogue, .. } = k {
            *epilogue = Epilogue::Bias(Activation::LeakyRelu);
        }
    });
    mutant("matmul", "NT 6x11x9, bias + gelu, P = 3", &|k| {
        if let Kernel::Matmul { epilogue, .. } = k {
            *epilogue = Epilogue::Bias(Activation::Relu);
        }
    });
    mutant("matmul", "NN 6x11x9, * tanh', P = 3", &|k| {
        if let Kernel::Matmul { epilogue, .. } = k {
            *epilogue = Epilogue::ActivationGrad(Activation::Sigmoid);
        }
    });
    mutant("matmul", "NN 2x3x785, adds", &|k| {
        if let Kernel::Matmul { shape, .. } = k {
            shape.k -= 1;
        }
    });
    mutant("matmul", "TN 7x5x3, adds, bias gradient", &|k| {
        if let Kernel::Matmul { accumulate, .. } = k {
            *accumulate = false;
        }
    });
    mutant("matmul", "TN 9x129x5, bias gradient", &|k| {
        if let Kernel::Matmul { bias_grad, .. } = k {
            *bias_grad = false;
        }
    });
    mutant("activation", "relu 7x13", &|k| {
        if let Kernel::Activation(_, act) = k {
            *act = Activation::LeakyRelu;
        }
    });
    mutant("activation_grad", "relu 7x13", &|k| {
        if let Kernel::ActivationGrad(_, act) = k {
            *act = Activation::LeakyRelu;
        }
    });
    // Addition has no parameter to get wrong that both executors read: see the swapped buffers.
    mutant("dropout", "rate 0.5 7x13", &|k| {
        if let Kernel::Dropout(p) = k {
            p.op += 1;
        }
    });
    mutant("softmax_xent", "7x2, smoothed", &|k| {
        if let Kernel::SoftmaxXent(p) = k {
            p.eval = 1;
        }
    });
    mutant("linear_xent", "7x13x2, smoothed, tanh'", &|k| {
        if let Kernel::LinearXent(p, _) = k {
            p.w_offset -= 4;
        }
    });
    mutant("linear_xent", "65x128x10, weighted, none'", &|k| {
        if let Kernel::LinearXent(_, act) = k {
            *act = Activation::Relu;
        }
    });
    mutant("linear_xent", "5x300x32, relu'", &|k| {
        if let Kernel::LinearXent(p, _) = k {
            p.input_grad = 0;
        }
    });
    mutant("weight_update", "adam 10x128x130", &|k| {
        if let Kernel::WeightUpdate(p) = k {
            p.k -= 1;
        }
    });
    mutant("weight_update", "sgd 9x33x13, l1, l2 and decay", &|k| {
        if let Kernel::WeightUpdate(p) = k {
            p.d_offset += 4;
        }
    });
    mutant("gather", "f32 5x12, table of 3", &|k| {
        if let Kernel::Gather(p) = k {
            p.floats = 0;
        }
    });
    mutant("softmax_xent", "7x2, weighted", &|k| {
        if let Kernel::SoftmaxXent(p) = k {
            p.eval = 1;
        }
    });
    mutant("regression_loss", "squared 7x2", &|k| {
        if let Kernel::RegressionLoss(_, error, _) = k {
            *error = ErrorKind::Absolute;
        }
    });
    mutant("regression_loss", "absolute 7x2, weighted", &|k| {
        if let Kernel::RegressionLoss(p, ..) = k {
            p.eval = 1;
        }
    });
    mutant("regression_loss", "huber of values 7x1", &|k| {
        if let Kernel::RegressionLoss(_, error, _) = k {
            *error = ErrorKind::Squared;
        }
    });
    mutant("regression_loss", "absolute of values 130x1", &|k| {
        if let Kernel::RegressionLoss(_, error, _) = k {
            *error = ErrorKind::Huber;
        }
    });
    mutant("confusion", "65x10", &|k| {
        if let Kernel::Confusion(p) = k {
            p.ld -= 4;
        }
    });
    mutant("reduce_metrics", "batch 65, steps 2 to 5", &|k| {
        if let Kernel::ReduceMetrics(p) = k {
            p.batch -= 1;
        }
    });
    mutant("grad_norm", "1024 in 3 parts", &|k| {
        if let Kernel::GradNorm(p) = k {
            p.n_weights -= 64;
        }
    });
    mutant("optimizer", "adam 1024, l1, l2 and decay", &|k| {
        if let Kernel::Optimizer(p) = k {
            p.n_weights -= 64;
        }
    });
    mutant("accumulate", "1024, adds", &|k| {
        if let Kernel::Accumulate(p) = k {
            p.n -= 64;
        }
    });
    mutant("ema", "1024, step 7", &|k| {
        if let Kernel::Ema(p) = k {
            p.n -= 64;
        }
    });
    mutant("ema", "1024, step 7, P = 3", &|k| {
        if let Kernel::Ema(p) = k {
            p.n += 64;
        }
    });
    mutant("max_norm", "7x13, bound 0.25", &|k| {
        if let Kernel::MaxNorm(p) = k {
            p.rows -= 1;
        }
    });
    mutant("max_norm", "3x300, bound 0.25, P = 3", &|k| {
        if let Kernel::MaxNorm(p) = k {
            p.offset += 4;
        }
    });
    mutant("batch_norm", "67x6", &|k| {
        if let Kernel::BatchNorm(p) = k {
            p.running = 1;
        }
    });
    mutant("batch_norm", "130x4, running", &|k| {
        if let Kernel::BatchNorm(p) = k {
            p.running = 0;
        }
    });
    mutant("batch_norm", "7x13, P = 3", &|k| {
        if let Kernel::BatchNorm(p) = k {
            std::mem::swap(&mut p.mean_offset, &mut p.var_offset);
        }
    });
    mutant("batch_norm_grad", "67x6", &|k| {
        if let Kernel::BatchNormGrad(p) = k {
            p.running = 1;
        }
    });
    mutant("batch_norm_grad", "130x4, adds", &|k| {
        if let Kernel::BatchNormGrad(p) = k {
            p.adds = 0;
        }
    });
    mutant("layer_norm", "5x261", &|k| {
        if let Kernel::LayerNorm(p) = k {
            p.cols -= 1;
        }
    });
    mutant("layer_norm_grad", "7x13", &|k| {
        if let Kernel::LayerNormGrad(p) = k {
            p.cols -= 1;
        }
    });
    mutant("layer_norm_grad", "67x6, adds", &|k| {
        if let Kernel::LayerNormGrad(p) = k {
            p.adds = 0;
        }
    });
    mutant("layer_norm_grad", "130x4", &|k| {
        if let Kernel::LayerNormGrad(p) = k {
            std::mem::swap(&mut p.scale_offset, &mut p.shift_offset);
        }
    });
    mutant("optimizer", "sgd 1024", &|k| {
        if let Kernel::Optimizer(p) = k {
            p.n += 64;
        }
    });
    mutants
}

#[test]
fn every_variant_repeats_its_bits() {
    let device = common::require_device();
    let mut seen = std::collections::BTreeSet::new();
    for kernel in ["matmul", "weight_update", "linear_xent"] {
        let cases = verify::cases_of(kernel);
        for case in cases.iter().filter(|case| case.plan.members == 3) {
            let Some(variant) = case.variant else {
                continue;
            };
            if !candidates(case.kernel(), &device.facts).contains(&variant) {
                continue;
            }
            let run = || {
                let device = device.clone();
                let gpu = Gpu::with_variant(case.plan.clone(), device, case.variant);
                case.run(&mut gpu.expect("pipelines")).expect("gpu")
            };
            assert!(run() == run(), "{kernel} {variant} {}", case.label);
            seen.insert((kernel, variant));
        }
    }
    assert!(seen.len() >= 16, "only {seen:?} have such cases");
}

#[test]
fn wrong_kernels_are_refused() {
    let device = common::require_device();
    for (name, label, kernel) in mutants() {
        let case = case_named(name, label);
        for worst in judge(&case, &case, &device) {
            assert!(
                worst.ratio <= 1.0,
                "{name} {label}: the right kernel is refused: {worst:?}"
            );
        }
        assert_ne!(
            kernel,
            *case.kernel(),
            "{name} {label}: the mutant is the kernel itself"
        );
        for worst in judge(&case, &with_kernel(&case, kernel), &device) {
            assert!(
                worst.ratio > 1.0,
                "{name} {label}: {kernel:?} is accepted: {worst:?}"
            );
        }
    }
}

#[test]
fn swapped_buffers_are_refused() {
    let device = common::require_device();
    let swaps = [
        ("activation_grad", "tanh 7x13", [0, 1]),
        ("matmul", "NN 8x32x8", [0, 2]),
        ("grad_norm", "1024 in 1 parts", [0, 1]),
        ("ema", "1024, step 7", [0, 3]),
        ("batch_norm_grad", "67x6", [0, 1]),
        ("layer_norm_grad", "7x13", [0, 1]),
    ];
    for (name, label, [i, j]) in swaps {
        let case = case_named(name, label);
        let swapped = changed(&case, |plan| plan.train.per_step[0].buffers.swap(i, j));
        for worst in judge(&case, &swapped, &device) {
            assert!(
                worst.ratio > 1.0,
                "{name} {label}: a swap is accepted: {worst:?}"
            );
        }
    }
    // A sum of the wrong operand.
    let case = case_named("add", "7x13");
    let twice = changed(&case, |plan| {
        let buffers = &mut plan.train.per_step[0].buffers;
        buffers[1] = buffers[0];
    });
    for worst in judge(&case, &twice, &device) {
        assert!(
            worst.ratio > 1.0,
            "add: a wrong operand is accepted: {worst:?}"
        );
    }
}

/// Each output of each kernel, with one element that is no number.
#[test]
fn a_nan_is_refused() {
    for name in Kernel::NAMES {
        let case = &verify::cases_of(name)[2];
        let expected = case.expected().expect("the oracle runs");
        let mut cpu = Cpu::<f32>::new(case.plan.clone(), 0).expect("threads");
        let got = case.run(&mut cpu).expect("cpu");
        assert!(
            case.worst(&expected, &got).ratio <= 1.0,
            "{name} {}",
            case.label
        );
        for output in 0..got.len() {
            for word in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY].map(f32::to_bits) {
                let mut got = got.clone();
                let last = got[output].len() - 1;
                got[output][last] = word;
                let worst = case.worst(&expected, &got);
                assert!(worst.ratio > 1.0, "{name} {}: {worst:?}", case.label);
            }
        }
    }
}

/// The bounds are f32's: a product of TF32 inputs (10 bits of mantissa) is refused.
#[test]
fn reduced_precision_is_refused() {
    let device = common::require_device();
    for label in [
        "NN 2x3x785, adds",
        "NT 17x65x6, bias + relu",
        "TN 67x130x50, bias gradient",
    ] {
        let case = case_named("matmul", label);
        let mut coarse = case.clone();
        for (_, words) in &mut coarse.contents[..2] {
            words.iter_mut().for_each(|word| *word &= 0xFFFF_E000);
        }
        for worst in judge(&case, &coarse, &device) {
            assert!(worst.ratio > 1.0, "{label}: {worst:?}");
        }
    }
}

/// A difference and a product: neither executor may fuse them.
#[test]
fn gathered_inputs_are_equal_bit_for_bit() {
    let device = common::require_device();
    for case in verify::cases_of("gather") {
        let mut gpu = Gpu::new(case.plan.clone(), device.clone()).expect("pipelines");
        let mut cpu = Cpu::<f32>::new(case.plan.clone(), 0).expect("threads");
        let on_gpu = case.run(&mut gpu).expect("gpu");
        assert!(on_gpu == case.run(&mut cpu).expect("cpu"), "{}", case.label);
    }
}

#[test]
fn dropout_masks_are_equal_bit_for_bit() {
    let device = common::require_device();
    for case in verify::cases_of("dropout") {
        let mut gpu = Gpu::new(case.plan.clone(), device.clone()).expect("pipelines");
        let mut cpu = Cpu::<f32>::new(case.plan.clone(), 0).expect("threads");
        let [on_gpu, on_cpu] = [
            case.run(&mut gpu).expect("gpu"),
            case.run(&mut cpu).expect("cpu"),
        ];
        let mask = |words: &[u32]| -> Vec<bool> { words.iter().map(|&w| w != 0).collect() };
        assert_eq!(mask(&on_gpu[0]), mask(&on_cpu[0]), "{}", case.label);
        if case.label.starts_with("rate 0.5 3x257") {
            let kept = mask(&on_cpu[0]).iter().filter(|&&kept| kept).count();
            let all = case.plan.members * 3 * 257;
            // Half of all are kept in either population (rates 0.5, 0.25, 0.75): six deviations.
            let off = kept as f64 - 0.5 * all as f64;
            assert!(
                off.abs() < 6.0 * (all as f64 / 4.0).sqrt(),
                "{kept} of {all} are kept"
            );
        }
    }
}
