//! What a dispatch has to do: floating-point operations, and the least bytes that must move.
//!
//! Conventions: a multiply-add is two operations; a comparison, an exponential, a logarithm, a root
//! and a quotient are one each, and so is an activation or its derivative; integer work (random
//! draws, indices) is none. Every input is read once and every output written once, without padding,
//! however often a kernel really reads it: what is above that is the kernel's loss.

use std::iter::Sum;
use std::ops::{Add, Mul};

use super::{Dispatch, Epilogue, Hyper, Kernel, OptimizerKind, Plan};

/// Bytes of an element.
const ELEMENT: f64 = 4.0;

/// What a device can do at best: the two bounds of the roofline model (Williams, Waterman and
/// Patterson 2009).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Roof {
    /// Read and written together, of a large copy.
    pub bytes_per_second: f64,
    /// Of multiply-adds, each of which is two operations.
    pub flops_per_second: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Floating-point operations.
    pub flops: f64,
    /// Bytes read and written at least.
    pub bytes: f64,
}

impl Work {
    /// `elements` elements, each with so many operations and so many words read or written.
    fn each(elements: f64, flops: f64, words: f64) -> Work {
        Work {
            flops: elements * flops,
            bytes: elements * words * ELEMENT,
        }
    }

    /// Words that are moved and not computed with.
    fn moved(words: f64) -> Work {
        Work::each(words, 0.0, 1.0)
    }

    /// The least seconds that a device with this roof can take, which computes and moves at once.
    pub fn roof_seconds(&self, roof: &Roof) -> f64 {
        (self.flops / roof.flops_per_second).max(self.bytes / roof.bytes_per_second)
    }
}

impl Add for Work {
    type Output = Work;

    fn add(self, other: Work) -> Work {
        Work {
            flops: self.flops + other.flops,
            bytes: self.bytes + other.bytes,
        }
    }
}

impl Mul<f64> for Work {
    type Output = Work;

    fn mul(self, times: f64) -> Work {
        Work {
            flops: self.flops * times,
            bytes: self.bytes * times,
        }
    }
}

impl Sum for Work {
    fn sum<I: Iterator<Item = Work>>(all: I) -> Work {
        all.fold(Work::default(), Add::add)
    }
}

impl Plan {
    /// The work of one dispatch, all members together; of a reduction over a range, for one step of
    /// the range. `hyper` has one entry a member: what an update costs is its optimiser's to say.
    pub fn work(&self, dispatch: &Dispatch, hyper: &[Hyper]) -> Work {
        assert_eq!(hyper.len(), self.members);
        let of_member = |h: &Hyper| of_member(&dispatch.kernel, h.optimizer);
        hyper.iter().map(of_member).sum()
    }

    /// The work of a training step, and the least seconds that a device with this roof can take for
    /// it, one dispatch after the other.
    pub fn step_roof(&self, hyper: &[Hyper], roof: &Roof) -> (Work, f64) {
        let dispatches = self.train.per_step.iter().chain(&self.train.per_range);
        let works = dispatches.map(|d| self.work(d, hyper));
        works.fold((Work::default(), 0.0), |(sum, seconds), work| {
            (sum + work, seconds + work.roof_seconds(roof))
        })
    }
}

/// One element's update by the formulas of `src/cpu/optimizer.rs`, without penalties: the gradient
/// and the weight are read and the weight written, and each moment is read and written.
fn update(optimizer: OptimizerKind, clips: f64) -> Work {
    let (flops, moments) = match optimizer {
        OptimizerKind::Sgd => (2.0, 0.0),
        OptimizerKind::Momentum => (4.0, 1.0),
        OptimizerKind::Nesterov => (6.0, 1.0),
        OptimizerKind::Adagrad => (7.0, 1.0),
        OptimizerKind::Rmsprop => (9.0, 1.0),
        OptimizerKind::Adam | OptimizerKind::Adamw => (14.0, 2.0),
    };
    Work::each(1.0, flops + clips, 3.0 + 2.0 * moments)
}

/// Softmax and cross-entropy of outputs that are read, and what replaces them.
fn xent(batch: u32, classes: u32, trains: bool) -> Work {
    let (rows, classes) = (f64::from(batch), f64::from(classes));
    let outputs = rows * classes;
    // The highest, then the sum of exponentials of differences, then each probability.
    let probabilities = Work::each(outputs, 1.0 + 3.0 + 3.0, 2.0);
    // A label, an index, a loss and a hit a row.
    let head = probabilities + Work::moved(4.0 * rows);
    match trains {
        true => head + Work::each(outputs, 8.0, 0.0) + Work::moved(classes),
        false => head,
    }
}

/// One member's share of a dispatch.
fn of_member(kernel: &Kernel, optimizer: OptimizerKind) -> Work {
    let wide = |a: u32, b: u32| f64::from(a) * f64::from(b);
    match kernel {
        Kernel::Gather(p) => {
            let (batch, values) = (f64::from(p.batch), wide(p.batch, p.cols));
            // A u8 sample is a quarter of a word.
            let sample = if p.floats == 0 { 0.25 } else { 1.0 };
            Work::each(values, 2.0, sample + 1.0) + Work::moved(batch + 2.0 * f64::from(p.n_norm))
        }
        Kernel::Matmul {
            shape: p,
            epilogue,
            accumulate,
            bias_grad,
            ..
        } => {
            let (a, b, c) = (wide(p.m, p.k), wide(p.k, p.n), wide(p.m, p.n));
            let product = Work {
                flops: 2.0 * c * f64::from(p.k),
                bytes: (a + b + c) * ELEMENT,
            };
            let epilogue = match epilogue {
                Epilogue::None => Work::default(),
                // A bias and an activation for each element; the bias row is read.
                Epilogue::Bias(_) => Work::each(c, 2.0, 0.0) + Work::moved(f64::from(p.n)),
                Epilogue::ActivationGrad(_) => Work::each(c, 2.0, 1.0),
            };
            // a is read for the product already.
            let bias = match bias_grad {
                true => Work::each(a, 1.0, 0.0) + Work::moved(f64::from(p.m)),
                false => Work::default(),
            };
            let adds = match (accumulate, bias_grad) {
                (false, _) => 0.0,
                (true, false) => c,
                (true, true) => c + f64::from(p.m),
            };
            product + epilogue + bias + Work::each(adds, 1.0, 1.0)
        }
        Kernel::Activation(p, _) => Work::each(wide(p.rows, p.cols), 1.0, 2.0),
        Kernel::ActivationGrad(p, _) => Work::each(wide(p.rows, p.cols), 2.0, 3.0),
        Kernel::Add(p) => Work::each(wide(p.rows, p.cols), 1.0, 3.0),
        Kernel::Dropout(p) => Work::each(wide(p.rows, p.cols), 1.0, 2.0),
        Kernel::SoftmaxXent(p) => xent(p.batch, p.classes, p.eval == 0),
        Kernel::LinearXent(p, _) => {
            let (outputs, weights) = (wide(p.batch, p.classes), wide(p.classes, p.inputs));
            let x = wide(p.batch, p.inputs);
            let product = Work::each(outputs, 2.0 * f64::from(p.inputs) + 1.0, 0.0);
            let read = Work::moved(x + weights + f64::from(p.classes));
            // Of the outputs, which stay inside, only the gradient is written.
            let head = xent(p.batch, p.classes, true) + Work::moved(-outputs);
            let input_grad = match p.input_grad {
                0 => Work::default(),
                _ => Work::each(x, 2.0 * f64::from(p.classes) + 2.0, 1.0),
            };
            product + read + head + input_grad
        }
        Kernel::RegressionLoss(p, ..) => {
            let (rows, outputs) = (f64::from(p.batch), wide(p.batch, p.classes));
            let flops = if p.eval == 0 { 5.0 } else { 3.0 };
            Work::each(outputs, flops, 2.0) + Work::moved(4.0 * rows)
        }
        Kernel::Confusion(p) => {
            // A label, an index, and a count that is read and written a row.
            Work::each(wide(p.batch, p.classes), 1.0, 1.0) + Work::moved(4.0 * f64::from(p.batch))
        }
        Kernel::ReduceMetrics(p) => Work::each(f64::from(p.batch), 2.0, 2.0) + Work::moved(2.0),
        Kernel::GradNorm(p) => {
            let penalties = Work::each(f64::from(p.n_weights), 4.0, 1.0);
            Work::each(f64::from(p.n), 2.0, 1.0) + penalties + Work::moved(f64::from(p.n_partials))
        }
        Kernel::Optimizer(p) => {
            let clips = f64::from(u32::from(p.n_partials > 0));
            update(optimizer, clips) * f64::from(p.n) + Work::moved(f64::from(p.n_partials))
        }
        Kernel::WeightUpdate(p) => {
            let (m, n, k) = (f64::from(p.m), f64::from(p.n), f64::from(p.k));
            let product = Work {
                flops: 2.0 * m * n * k + m * k,
                bytes: (m * k + k * n) * ELEMENT,
            };
            // The gradient is used as it is made.
            let parameters = m * n + m;
            product + update(optimizer, 0.0) * parameters + Work::moved(-parameters)
        }
        Kernel::Accumulate(p) => Work::each(f64::from(p.n), 1.0, 3.0),
        Kernel::Ema(p) => {
            let copied = f64::from(p.stride - p.n);
            Work::each(f64::from(p.n), 3.0, 3.0) + Work::moved(2.0 * copied)
        }
        Kernel::MaxNorm(p) => Work::each(wide(p.rows, p.cols), 3.0, 2.0),
        Kernel::BatchNorm(p) => {
            let statistics = if p.running == 0 { 4.0 } else { 0.0 };
            // Gamma, beta, and the running statistics in; mean and variance out.
            let columns = if p.running == 0 { 8.0 } else { 6.0 };
            Work::each(wide(p.rows, p.cols), statistics + 4.0, 2.0)
                + Work::moved(columns * f64::from(p.cols))
        }
        Kernel::BatchNormGrad(p) => {
            let flops = if p.running == 0 { 11.0 } else { 1.0 };
            Work::each(wide(p.rows, p.cols), flops, 3.0) + Work::moved(5.0 * f64::from(p.cols))
        }
        Kernel::LayerNorm(p) => {
            Work::each(wide(p.rows, p.cols), 8.0, 2.0)
                + Work::moved(2.0 * f64::from(p.cols) + 2.0 * f64::from(p.rows))
        }
        Kernel::LayerNormGrad(p) => {
            let columns = if p.trains == 0 { 0.0 } else { 5.0 };
            Work::each(wide(p.rows, p.cols), 12.0 + columns, 3.0)
                + Work::moved(3.0 * f64::from(p.cols) + 2.0 * f64::from(p.rows))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use super::*;

    /// 6-5-3, each kernel on its own.
    fn plan(members: usize, batch: usize) -> Plan {
        let spec = Spec {
            loss: Loss::Mse,
            stores_grads: true,
            ..spec(members, batch)
        };
        record(&spec)
    }

    fn spec(members: usize, batch: usize) -> Spec {
        Spec {
            members,
            inputs: 6,
            classes: 3,
            n_samples: 10,
            train_batch: batch,
            ..Spec::default()
        }
    }

    fn record(spec: &Spec) -> Plan {
        Plan::record(spec, |rec, x| {
            let hidden = rec.linear(x, "0", 5, Activation::Relu);
            rec.linear(hidden, "2", 3, Activation::None)
        })
    }

    fn works(plan: &Plan, hyper: &[Hyper]) -> Vec<(String, Work)> {
        let dispatches = plan.train.per_step.iter().chain(&plan.train.per_range);
        dispatches
            .map(|d| (d.kernel.to_string(), plan.work(d, hyper)))
            .collect()
    }

    fn found(works: &[(String, Work)], kernel: &str) -> Work {
        let one = works.iter().find(|(name, _)| name.starts_with(kernel));
        one.unwrap_or_else(|| panic!("no {kernel} in {works:?}")).1
    }

    /// 6-5-3 at batch 4, counted by hand.
    #[test]
    fn a_small_step_by_hand() {
        let plan = plan(1, 4);
        let works = works(&plan, &[Hyper::new(OptimizerKind::Adam)]);
        let work = |flops: f64, words: f64| Work {
            flops,
            bytes: words * 4.0,
        };
        // 4x5 outputs of 6 products, a bias and an activation each; x, w, b read, y written.
        let forward = work(4.0 * 5.0 * (12.0 + 2.0), 24.0 + 30.0 + 5.0 + 20.0);
        assert_eq!(found(&works, "matmul NT 4x5x6"), forward);
        // dx of 4x5 from dy 4x3: 3 products, a derivative and its product; dy, w, y read.
        let input = work(4.0 * 5.0 * (6.0 + 2.0), 12.0 + 15.0 + 20.0 + 20.0);
        assert_eq!(found(&works, "matmul NN 4x5x3"), input);
        // dw of 5x6 over 4 rows, and the sum of dy 4x5 for the bias.
        let weight = work(5.0 * 6.0 * 8.0 + 20.0, 20.0 + 24.0 + 30.0 + 5.0);
        assert_eq!(found(&works, "matmul TN 5x6x4"), weight);
        // A pair a row in, a pair out.
        assert_eq!(found(&works, "reduce_metrics"), work(8.0, 8.0 + 2.0));
    }

    /// The same network with what is fused where nobody asks for gradients.
    #[test]
    fn fused_kernels_by_hand() {
        let plan = record(&spec(1, 4));
        let works = works(&plan, &[Hyper::new(OptimizerKind::Adam)]);
        let work = |flops: f64, words: f64| Work {
            flops,
            bytes: words * 4.0,
        };
        // 4x3 outputs of 5 products and a bias, 7 operations of the softmax and 8 of the loss; dx of
        // 4x5 from 3 products, a derivative and its product. x, w, b, weights of classes and four
        // words a row are read or written, and d and dx.
        let flops = 12.0 * (10.0 + 1.0 + 7.0 + 8.0) + 20.0 * (6.0 + 2.0);
        let words = 20.0 + 15.0 + 3.0 + 3.0 + 16.0 + 12.0 + 20.0;
        assert_eq!(found(&works, "linear_xent"), work(flops, words));
        // dw of 5x6 over 4 rows and db; 14 operations of Adam for each of 35 parameters, of which w,
        // m and v are read and written.
        let flops = 5.0 * 6.0 * 8.0 + 20.0 + 14.0 * 35.0;
        let words = 20.0 + 24.0 + 6.0 * 35.0;
        assert_eq!(found(&works, "weight_update 5x6x4"), work(flops, words));
    }

    #[test]
    fn an_update_is_the_optimisers_own() {
        let plan = plan(2, 4);
        let n = plan.n_trainable as f64;
        let of = |a: OptimizerKind, b: OptimizerKind| {
            found(&works(&plan, &[Hyper::new(a), Hyper::new(b)]), "optimizer")
        };
        let sgd = of(OptimizerKind::Sgd, OptimizerKind::Sgd);
        // g and w in, w out; a product and a difference.
        assert_eq!((sgd.flops, sgd.bytes), (2.0 * n * 2.0, 2.0 * n * 12.0));
        let adam = of(OptimizerKind::Adam, OptimizerKind::Adam);
        // g, w, m, v in; w, m, v out.
        assert_eq!(adam.bytes, 2.0 * n * 28.0);
        let mixed = of(OptimizerKind::Sgd, OptimizerKind::Adam);
        assert_eq!(mixed.bytes, (sgd.bytes + adam.bytes) / 2.0);
    }

    #[test]
    fn members_multiply_the_work_and_the_step_is_its_sum() {
        let hyper = vec![Hyper::new(OptimizerKind::Adam); 3];
        let (one, three) = (plan(1, 8), plan(3, 8));
        let roof = Roof {
            bytes_per_second: 1e3,
            flops_per_second: 1e9,
        };
        let (single, seconds) = one.step_roof(&hyper[..1], &roof);
        let (all, _) = three.step_roof(&hyper, &roof);
        assert!((all.flops - 3.0 * single.flops).abs() < 1e-6 * all.flops);
        assert!((all.bytes - 3.0 * single.bytes).abs() < 1e-6 * all.bytes);
        let sum: Work = works(&one, &hyper[..1]).into_iter().map(|w| w.1).sum();
        assert_eq!(single, sum);
        // So slow a memory bounds every dispatch.
        assert!((seconds - single.bytes / 1e3).abs() < 1e-9 * seconds);
        let roof = Roof {
            bytes_per_second: 1e12,
            flops_per_second: 1.0,
        };
        let (_, seconds) = one.step_roof(&hyper[..1], &roof);
        assert!((seconds - single.flops).abs() < 1e-9 * seconds);
    }
}
