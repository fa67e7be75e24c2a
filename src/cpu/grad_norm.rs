//! Partial sums of g^2 per member, g = data gradient + l1 sign(w) + 2 l2 w: the first half of
//! clipping by global norm (Pascanu, Mikolov and Bengio 2013, arXiv:1211.5063).

use super::Real;
use super::optimizer::penalised;
use super::parallel::for_chunks;
use crate::plan::{GradNorm, MemberRow};

pub fn grad_norm<T: Real>(
    p: &GradNorm,
    parameters: &[T],
    grads: &[T],
    members: &[MemberRow],
    partials: &mut [T],
) {
    let (n, span) = (p.n as usize, p.span as usize * 4);
    let stride = p.stride as usize;
    let n_partials = p.n_partials as usize;
    for_chunks(partials, 1, |ix, out| {
        let (member, part) = (ix / n_partials, ix % n_partials);
        let range = part * span..((part + 1) * span).min(n);
        let mut sum = T::ZERO;
        for i in range {
            let at = member * stride + i;
            let is_weight = i < p.n_weights as usize;
            let g = penalised(&members[member], parameters[at], grads[at], is_weight);
            sum += g * g;
        }
        out[0] = sum;
    });
}
