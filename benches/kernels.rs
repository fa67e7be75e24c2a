//! Every variant of every kernel of a training step that has several, at the training shapes:
//! `cargo bench --bench kernels [-- WORD...]` measures the lines that contain every word.
//!
//! A dispatch is timed inside a submit of many, since one of its own costs more than itself; variants
//! take turns, so that a busy moment of the machine meets all of them; medians over the rounds. The
//! first submit of each compiles: seconds in the column of that name, next to nothing where the driver
//! has it cached. `cpu ms` is the processor time of this process a dispatch, on Linux: of a software
//! adapter it is what the kernel cost, and unlike `ms` it does not grow on a busy machine.

use std::sync::Arc;
use std::time::Instant;

use gpu_train::Result;
use gpu_train::executor::{Executor, words};
use gpu_train::gpu::candidates::candidates;
use gpu_train::gpu::{Device, Gpu, adapter};
use gpu_train::models::Sequential;
use gpu_train::plan::{
    Batch, BufferId, Dispatch, Dtype, Hyper, Kernel, OptimizerKind, PassKind, Plan, Spec,
};

/// Rounds, the seconds of dispatches in one, and dispatches at most.
const ROUNDS: usize = 7;
const ROUND_SECONDS: f64 = 0.15;
const CAPACITY: usize = 512;

fn main() -> Result<()> {
    // Cargo passes `--bench`.
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    words.retain(|word| !word.starts_with('-'));
    let device = Device::open(&adapter::choose("gpu")?)?;
    println!("{}", adapter::describe(&device.info));
    println!(
        "{:<46} {:<14} {:>9} {:>8} {:>8} {:>9} {:>8}",
        "network, batch, dispatch", "variant", "ms", "GFLOP/s", "GB/s", "cpu ms", "compile"
    );
    for hidden in [&[128][..], &[1024, 1024]] {
        for batch in [32, 128, 512] {
            let plan = training_plan(hidden, batch);
            for dispatch in &plan.train.per_step {
                let mut runs = candidates(&dispatch.kernel, &device.facts);
                let widths: Vec<String> = hidden.iter().map(|h| format!("-{h}")).collect();
                let name = format!("784{}-10 {batch}: {}", widths.concat(), title(dispatch));
                if runs.len() == 1 {
                    continue;
                }
                runs.retain(|variant| {
                    let line = format!("{name} {variant}");
                    words.iter().all(|word| line.contains(word.as_str()))
                });
                if !runs.is_empty() {
                    measure(&device, &plan, dispatch, &runs, &name)?;
                }
            }
        }
    }
    Ok(())
}

/// The plan that trains 784-`hidden`-10 with Adam.
fn training_plan(hidden: &[usize], batch: usize) -> Plan {
    let layers: Vec<String> = hidden.iter().map(|n| format!("linear:{n},relu")).collect();
    let model =
        Sequential::parse(&layers.join(","), 10).expect("a notation that is known to be right");
    let spec = Spec {
        inputs: 784,
        classes: 10,
        n_samples: 1,
        train_batch: batch,
        train_capacity: CAPACITY,
        members: 1,
        ..Spec::default()
    };
    Plan::record(&spec, |rec, x| model.forward(rec, x))
}

/// "update 128x784x128".
fn title(dispatch: &Dispatch) -> String {
    let (what, [m, n, k]) = match &dispatch.kernel {
        Kernel::Matmul {
            shape, orientation, ..
        } => (format!("{orientation:?}"), [shape.m, shape.n, shape.k]),
        Kernel::WeightUpdate(p) => ("update".to_string(), [p.m, p.n, p.k]),
        Kernel::LinearXent(p, _) => ("head".to_string(), [p.batch, p.classes, p.inputs]),
        kernel => (kernel.name().to_string(), [0; 3]),
    };
    format!("{what} {m}x{n}x{k}")
}

/// Multiply-adds count as two; bytes are those of operands and results, each once.
fn work(kernel: &Kernel) -> (f64, f64) {
    let wide = |p: &[u32]| p.iter().map(|&n| f64::from(n)).product::<f64>();
    match kernel {
        Kernel::Matmul { shape: p, .. } => (
            2.0 * wide(&[p.m, p.n, p.k]),
            4.0 * (wide(&[p.m, p.k]) + wide(&[p.n, p.k]) + wide(&[p.m, p.n])),
        ),
        // Weights and two moments are read and written.
        Kernel::WeightUpdate(p) => (
            2.0 * wide(&[p.m, p.n, p.k]),
            4.0 * (wide(&[p.m, p.k]) + wide(&[p.n, p.k]) + 6.0 * wide(&[p.m, p.n])),
        ),
        Kernel::LinearXent(p, _) => (
            4.0 * wide(&[p.batch, p.inputs, p.classes]),
            4.0 * (2.0 * wide(&[p.batch, p.inputs]) + wide(&[p.classes, p.inputs])),
        ),
        _ => (0.0, 0.0),
    }
}

/// One variant of one dispatch, ready to run.
struct Side {
    variant: &'static str,
    gpu: Gpu,
    /// Dispatches in a round.
    repeats: usize,
    compile: f64,
    seconds: Vec<f64>,
    cpu_seconds: Vec<f64>,
}

impl Side {
    /// Seconds of a dispatch, over `count` of them.
    fn time(&mut self, count: usize) -> Result<f64> {
        let start = Instant::now();
        self.gpu.submit(PassKind::Train, 0..count)?;
        self.gpu.collect()?;
        Ok(start.elapsed().as_secs_f64() / count as f64)
    }
}

fn measure(
    device: &Arc<Device>,
    plan: &Plan,
    dispatch: &Dispatch,
    runs: &[&'static str],
    name: &str,
) -> Result<()> {
    let mut alone = plan.clone();
    alone.train.per_step = vec![dispatch.clone()];
    alone.train.per_range.clear();
    alone.eval.per_step.clear();
    alone.eval.per_range.clear();
    let alone = Arc::new(alone);
    let mut sides = Vec::new();
    for &variant in runs {
        let mut gpu = Gpu::with_variant(alone.clone(), device.clone(), Some(variant))?;
        fill(&mut gpu)?;
        let mut side = Side {
            variant,
            gpu,
            repeats: 0,
            compile: 0.0,
            seconds: Vec::new(),
            cpu_seconds: Vec::new(),
        };
        side.compile = side.time(1)?;
        let once = side.time(2)?;
        side.repeats = ((ROUND_SECONDS / once) as usize).clamp(2, CAPACITY);
        sides.push(side);
    }
    for _ in 0..ROUNDS {
        for side in &mut sides {
            let before = processor_seconds();
            let seconds = side.time(side.repeats)?;
            side.seconds.push(seconds);
            let spent = processor_seconds() - before;
            side.cpu_seconds.push(spent / side.repeats as f64);
        }
    }
    let (flops, bytes) = work(&dispatch.kernel);
    for side in &mut sides {
        let middle = |seconds: &mut Vec<f64>| {
            seconds.sort_by(f64::total_cmp);
            seconds[ROUNDS / 2]
        };
        let median = middle(&mut side.seconds);
        println!(
            "{name:<46} {:<14} {:>9.3} {:>8.2} {:>8.2} {:>9.3} {:>8.2}",
            side.variant,
            median * 1e3,
            flops / median / 1e9,
            bytes / median / 1e9,
            middle(&mut side.cpu_seconds) * 1e3,
            side.compile
        );
    }
    Ok(())
}

/// Small positive numbers everywhere, one sample for all rows, and steps that move the weights.
fn fill(gpu: &mut Gpu) -> Result<()> {
    let plan = gpu.plan().clone();
    for (ix, buffer) in plan.buffers.iter().enumerate() {
        if buffer.dtype == Dtype::F32 {
            let number = |at: usize| (at.wrapping_mul(2_654_435_761) % 1024) as f32 / 16_384.0;
            let values: Vec<f32> = (0..buffer.len).map(number).collect();
            gpu.upload(BufferId(ix), 0, words(&values))?;
        }
    }
    let hyper = Hyper::new(OptimizerKind::Adam);
    gpu.upload(plan.rows, 0, bytemuck::cast_slice(&[hyper.row()]))?;
    let batch = Batch::whole(plan.train.batch as u32, 0);
    let steps = vec![hyper.step(1, 1e-6, &batch); plan.train.capacity];
    gpu.upload(plan.train.steps, 0, bytemuck::cast_slice(&steps))
}

/// Processor time of all threads of this process: fields 14 and 15 of /proc/self/stat, in hundredths;
/// 0 where there is no such file.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = after_name.split_whitespace().skip(11).take(2);
    fields
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}
