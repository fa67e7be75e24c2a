//! One update of all that trains: penalties, clipping, decay, moments and step in one pass.
//!
//! g = data gradient + l1 sign(w) + 2 l2 w over weights; g *= min(1, c / (norm + 1e-6)); then the
//! optimiser's own decay (decoupled for AdamW, added to g elsewhere); then its moments and step.
//! [`crate::plan::OptimizerKind`] names the papers; formulas and order of operations are PyTorch's.

use super::Real;
use super::parallel::Disjoint;
use super::real::Loops;
use super::team::fork;
use crate::plan::{MemberRow, Optimizer, OptimizerKind, StepRow};

/// Elements that one task updates.
const CHUNK: usize = 8 * 1024;

/// The data gradient with the gradients of l1 |w| and l2 w^2; sign(0) = 0.
#[inline(always)]
pub fn penalised<T: Real>(row: &MemberRow, w: T, g: T, is_weight: bool) -> T {
    if !is_weight || (row.l1 == 0.0 && row.l2 == 0.0) {
        return g;
    }
    let sign = if w > T::ZERO {
        T::ONE
    } else if w < T::ZERO {
        -T::ONE
    } else {
        T::ZERO
    };
    g + T::from_f32(row.l1) * sign + T::from_f32(2.0 * row.l2) * w
}

pub fn optimizer<T: Real>(
    p: &Optimizer,
    grads: &[T],
    members: &[MemberRow],
    steps: &[StepRow],
    partials: &[T],
    state: &mut [T],
    parameters: &mut [T],
) {
    let (n, n_weights) = (p.n as usize, p.n_weights as usize);
    let stride = p.stride as usize;
    for (member, ((w, state), row)) in parameters
        .chunks_exact_mut(stride)
        .zip(state.chunks_exact_mut(2 * stride))
        .zip(members)
        .enumerate()
    {
        let step = &steps[member];
        if row.active_flag == 0 || step.applies == 0 {
            continue;
        }
        let g = &grads[member * stride..][..n];
        let clip = clip_factor(p, row, member, partials);
        let (m, v) = state.split_at_mut(stride);
        let (w, m, v) = (&mut w[..n], &mut m[..n], &mut v[..n]);
        let (w, m, v) = (Disjoint::new(w), Disjoint::new(m), Disjoint::new(v));
        fork(n.div_ceil(CHUNK), |ix| {
            let range = ix * CHUNK..((ix + 1) * CHUNK).min(n);
            let weights = n_weights.clamp(range.start, range.end);
            for (range, is_weight) in [(range.start..weights, true), (weights..range.end, false)] {
                // SAFETY: each chunk belongs to one task.
                let (w, m, v) = unsafe {
                    (
                        w.range(range.clone()),
                        m.range(range.clone()),
                        v.range(range.clone()),
                    )
                };
                T::wide(Update {
                    row,
                    step,
                    clip,
                    is_weight,
                    w,
                    m,
                    v,
                    g: &g[range],
                });
            }
        });
    }
}

/// min(1, c / (norm + 1e-6)), 1 where this member does not clip.
fn clip_factor<T: Real>(p: &Optimizer, row: &MemberRow, member: usize, partials: &[T]) -> T {
    if p.n_partials == 0 || row.clip_norm == 0.0 {
        return T::ONE;
    }
    let count = p.n_partials as usize;
    let mut sum = T::ZERO;
    for &partial in &partials[member * count..][..count] {
        sum += partial;
    }
    let factor = T::from_f32(row.clip_norm) / (sum.sqrt() + T::from_f32(1e-6));
    if factor < T::ONE { factor } else { T::ONE }
}

/// The update of some parameters `w` of a member, with their moments `m` and `v`, by the gradient `g`.
pub struct Update<'a, T> {
    pub row: &'a MemberRow,
    pub step: &'a StepRow,
    pub clip: T,
    pub is_weight: bool,
    pub w: &'a mut [T],
    pub m: &'a mut [T],
    pub v: &'a mut [T],
    pub g: &'a [T],
}

impl<T: Real> Loops for Update<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Update {
            row,
            clip,
            is_weight,
            ..
        } = self;
        let coupled = match OptimizerKind::ALL[row.optimizer as usize] {
            OptimizerKind::Adamw => T::ZERO,
            _ => T::from_f32(row.weight_decay),
        };
        let penalises = is_weight && (row.l1 != 0.0 || row.l2 != 0.0);
        // Most runs add nothing to the data gradient; what a loop asks of each element costs time.
        if penalises || clip != T::ONE || coupled != T::ZERO {
            self.by(|w, g| penalised(row, w, g, is_weight) * clip + coupled * w);
        } else {
            self.by(|_, g| g);
        }
    }
}

impl<T: Real> Update<'_, T> {
    /// With the gradient proper of a weight and its data gradient. The optimiser's kind is matched
    /// outside the loops, so that each loop vectorises.
    #[inline(always)]
    fn by(self, gradient: impl Fn(T, T) -> T) {
        let Update {
            row,
            step,
            w,
            m,
            v,
            g,
            ..
        } = self;
        let real = T::from_f32;
        let (lr, step_size) = (real(step.lr), real(step.step_size));
        let (mu, eps) = (real(row.momentum), real(row.eps));
        let elements = w.iter_mut().zip(m).zip(v).zip(g);
        match OptimizerKind::ALL[row.optimizer as usize] {
            OptimizerKind::Sgd => {
                for (((w, _), _), &g) in elements {
                    *w = *w - lr * gradient(*w, g);
                }
            }
            OptimizerKind::Momentum => {
                for (((w, m), _), &g) in elements {
                    *m = mu * *m + gradient(*w, g);
                    *w = *w - lr * *m;
                }
            }
            OptimizerKind::Nesterov => {
                for (((w, m), _), &g) in elements {
                    let g = gradient(*w, g);
                    *m = mu * *m + g;
                    *w = *w - lr * (g + mu * *m);
                }
            }
            OptimizerKind::Adagrad => {
                for (((w, _), v), &g) in elements {
                    let g = gradient(*w, g);
                    *v += g * g;
                    *w = *w - lr * g / (v.sqrt() + eps);
                }
            }
            OptimizerKind::Rmsprop => {
                let (alpha, rest) = (real(row.alpha), real(row.one_minus_alpha));
                for (((w, _), v), &g) in elements {
                    let g = gradient(*w, g);
                    *v = alpha * *v + rest * g * g;
                    *w = *w - lr * g / (v.sqrt() + eps);
                }
            }
            OptimizerKind::Adam | OptimizerKind::Adamw => {
                let (beta1, rest1) = (real(row.beta1), real(row.one_minus_beta1));
                let (beta2, rest2) = (real(row.beta2), real(row.one_minus_beta2));
                let (inv_sqrt_bias2, decay) = (real(step.inv_sqrt_bias2), real(step.decay));
                for (((w, m), v), &g) in elements {
                    let g = gradient(*w, g);
                    *m = beta1 * *m + rest1 * g;
                    *v = beta2 * *v + rest2 * g * g;
                    let denominator = v.sqrt() * inv_sqrt_bias2 + eps;
                    *w = *w * decay - step_size * *m / denominator;
                }
            }
        }
    }
}
