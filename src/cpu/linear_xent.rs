//! The output layer of a classifier with its loss: outputs, softmax, cross-entropy, its gradient d
//! and that of the layer's input, for a stretch of the batch at a time.

use super::Real;
use super::loss::{Row, Tables};
use super::matmul::through;
use super::parallel::Disjoint;
use super::product::{Product, Sink};
use super::softmax_xent::xent;
use super::team::{fork, threads};
use crate::plan::{Activation, LINEAR_XENT_CLASSES, LinearXent, Orientation};

/// Multiplications below which waking other threads costs more than it saves.
const SERIAL_BELOW: usize = 16 * 1024;

pub fn linear_xent<T: Real>(
    p: &LinearXent,
    activation: Activation,
    x: &[T],
    parameters: &[T],
    tables: &Tables<T>,
    grads: &mut [T],
    samples: &mut [T],
) {
    let (members, batch) = (p.members as usize, p.batch as usize);
    let (inputs, classes) = (p.inputs as usize, p.classes as usize);
    let (ldx, ld) = (p.ldx as usize, p.ld as usize);
    let pieces = match batch * inputs * classes < SERIAL_BELOW {
        true => 1,
        false => threads().div_ceil(members).min(batch.div_ceil(4)),
    };
    let (dx, d) = grads.split_at_mut(p.d_offset as usize);
    let (dx, d, samples) = (Disjoint::new(dx), Disjoint::new(d), Disjoint::new(samples));
    fork(members * pieces, |task| {
        let (member, piece) = (task / pieces, task % pieces);
        let first = member * batch + batch * piece / pieces;
        let end = member * batch + batch * (piece + 1) / pieces;
        let of = |ld: usize| first * ld..end * ld;
        let dx_rows = of(ldx * p.input_grad as usize);
        // SAFETY: each row of a batch belongs to one piece.
        let (dx, d, samples) =
            unsafe { (dx.range(dx_rows), d.range(of(ld)), samples.range(of(2))) };
        let step = &tables.steps[member];
        let valid = (step.valid as usize)
            .saturating_sub(first - member * batch)
            .min(end - first);
        d[valid * ld..].fill(T::ZERO);
        samples[valid * 2..].fill(T::ZERO);
        let arena = &parameters[member * p.stride as usize..][..p.stride as usize];
        let x = &x[of(ldx)];
        // The outputs lie where their gradient will.
        let outputs = Product {
            orientation: Orientation::NT,
            k: inputs,
            a: x,
            lda: ldx,
            b: &arena[p.w_offset as usize..],
            ldb: ldx,
            rows: 0..valid,
            cols: 0..classes,
        };
        let bias = &arena[p.b_offset as usize..][..classes];
        T::product(&outputs, &mut AddBias { c: d, ld, bias });
        for (ix, (d, pair)) in d
            .chunks_exact_mut(ld)
            .zip(samples.chunks_exact_mut(2))
            .enumerate()
            .take(valid)
        {
            let mut outputs = [T::ZERO; LINEAR_XENT_CLASSES];
            let outputs = &mut outputs[..classes];
            outputs.copy_from_slice(&d[..classes]);
            let row = Row {
                outputs,
                label: tables.labels[tables.indices[first + ix] as usize],
                member: None,
                step,
                weights: Some(&tables.class_weights[member * classes..][..classes]),
                grad_scale: T::from_f32(step.grad_scale),
            };
            let [loss, correct] = xent(&row, &mut d[..classes]);
            pair.copy_from_slice(&[loss * T::from_f32(step.loss_scale), correct]);
        }
        if p.input_grad == 0 {
            return;
        }
        dx[valid * ldx..].fill(T::ZERO);
        let input_grad = Product {
            orientation: Orientation::NN,
            k: classes,
            a: d,
            lda: ld,
            b: &arena[p.w_offset as usize..],
            ldb: ldx,
            rows: 0..valid,
            cols: 0..inputs,
        };
        let mut through = Through {
            activation,
            x,
            dx,
            ldx,
        };
        T::product(&input_grad, &mut through);
    });
}

struct AddBias<'a, T> {
    c: &'a mut [T],
    ld: usize,
    bias: &'a [T],
}

impl<T: Real> Sink<T> for AddBias<'_, T> {
    #[inline(always)]
    fn take(&mut self, row: usize, first: usize, values: &[T]) {
        let c = &mut self.c[row * self.ld + first..][..values.len()];
        for ((c, &value), &bias) in c.iter_mut().zip(values).zip(&self.bias[first..]) {
            *c = value + bias;
        }
    }
}

struct Through<'a, T> {
    activation: Activation,
    x: &'a [T],
    dx: &'a mut [T],
    ldx: usize,
}

impl<T: Real> Sink<T> for Through<'_, T> {
    #[inline(always)]
    fn take(&mut self, row: usize, first: usize, values: &[T]) {
        let at = row * self.ldx + first..row * self.ldx + first + values.len();
        let dx = &mut self.dx[at.clone()];
        through(self.activation, dx, values, &self.x[at]);
    }
}
