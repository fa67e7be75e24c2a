//! A step of the CPU path allocates nothing: what it needs is there when the executor is made, or
//! after the first step.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gpu_train::cpu::Cpu;
use gpu_train::executor::{Executor, words};
use gpu_train::models::{Sequential, initial_parameters};
use gpu_train::plan::{Batch, Hyper, OptimizerKind, PassKind, Plan, Spec};

/// Counts what all threads allocate.
struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const STEPS: usize = 64;
const BATCH: usize = 48;

/// Allocations of a submit of `steps` steps: those of its own list of metrics among them.
fn allocations(cpu: &mut Cpu<f32>, steps: usize) -> usize {
    let before = COUNT.load(Ordering::Relaxed);
    cpu.submit(PassKind::Train, 0..steps).expect("steps");
    let after = COUNT.load(Ordering::Relaxed);
    cpu.collect().expect("metrics").expect("a range");
    after - before
}

#[test]
fn a_step_allocates_nothing() {
    let everything = Spec {
        clips: true,
        accumulates: true,
        max_norm: true,
        ema: true,
        ..Spec::default()
    };
    for (layers, members, spec) in [
        ("linear:128,relu", 1, Spec::default()),
        ("linear:64,tanh,linear:40,gelu", 3, Spec::default()),
        (
            "linear:60,batchnorm,relu,dropout:0.2,residual(layernorm,linear:60)",
            2,
            everything,
        ),
    ] {
        let spec = Spec {
            members,
            inputs: 300,
            classes: 10,
            n_samples: 100,
            train_batch: BATCH,
            train_capacity: STEPS,
            ..spec
        };
        let model = Sequential::parse(layers, 10).expect("layers");
        let plan = Arc::new(Plan::record(&spec, |rec, x| model.forward(rec, x)));
        for threads in [1, 2] {
            let mut cpu = Cpu::<f32>::new(plan.clone(), threads).expect("threads");
            let hyper = Hyper {
                dropout: plan.dropout.clone(),
                clip_norm: 1.0,
                max_norm: 2.0,
                ..Hyper::new(OptimizerKind::Adam)
            };
            let rows = vec![hyper.row(); members];
            let step = hyper.step(1, 1e-3, &Batch::whole(BATCH as u32 - 3, 7));
            let arenas = initial_parameters(&plan, 3).repeat(members);
            let pixels = vec![0x4030_2010u32; plan.buffer(plan.pixels).len];
            cpu.upload(plan.pixels, 0, &pixels).expect("upload");
            cpu.upload(plan.rows, 0, words(&rows)).expect("upload");
            cpu.upload(plan.parameters, 0, words(&arenas))
                .expect("upload");
            cpu.upload(plan.train.steps, 0, words(&vec![step; STEPS * members]))
                .expect("upload");
            // Every thread comes to its room for packed operands.
            for _ in 0..20 {
                allocations(&mut cpu, STEPS);
            }
            let few = allocations(&mut cpu, 2);
            let many = allocations(&mut cpu, STEPS);
            assert_eq!(
                many, few,
                "{layers}, {threads} threads: 2 and {STEPS} steps"
            );
            assert!(few <= 2, "{layers}: {few} for a submit");
        }
    }
}
