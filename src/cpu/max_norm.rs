//! Bounds the norm of each unit's incoming weights, a row of its layer's weight matrix, after the
//! update (Srivastava et al. 2014, "Dropout", section 5.1): w *= c / |w| where |w| > c.

use super::Real;
use super::parallel::for_rows;
use crate::plan::{MaxNorm, MemberRow, StepRow};

pub fn max_norm<T: Real>(
    p: &MaxNorm,
    members: &[MemberRow],
    steps: &[StepRow],
    parameters: &mut [T],
) {
    let (rows, ld) = (p.rows as usize, p.ld as usize);
    let arenas = parameters.chunks_exact_mut(p.stride as usize);
    for (arena, (member, step)) in arenas.zip(members.iter().zip(steps)) {
        if member.active_flag == 0 || step.applies == 0 || member.max_norm <= 0.0 {
            continue;
        }
        let bound = T::from_f32(member.max_norm);
        let weights = &mut arena[p.offset as usize..][..rows * ld];
        for_rows(weights, ld, |_, row| {
            let mut squares = T::ZERO;
            for &w in row.iter() {
                squares += w * w;
            }
            let norm = squares.sqrt();
            if norm > bound {
                let scale = bound / norm;
                for w in row.iter_mut() {
                    *w = *w * scale;
                }
            }
        });
    }
}
