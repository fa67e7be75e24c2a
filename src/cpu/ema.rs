//! The exponential moving average of the weights: average += (1 - decay) (w - average), as
//! `torch.optim.swa_utils.get_ema_multi_avg_fn` has it. What does not train is copied.

use super::Real;
use super::parallel::for_rows;
use crate::plan::{Ema, MemberRow, StepRow};

/// Elements that one task averages.
const CHUNK: usize = 64;

pub fn ema<T: Real>(
    p: &Ema,
    parameters: &[T],
    members: &[MemberRow],
    steps: &[StepRow],
    averages: &mut [T],
) {
    let (n, stride) = (p.n as usize, p.stride as usize);
    let arenas = averages
        .chunks_exact_mut(stride)
        .zip(parameters.chunks_exact(stride));
    for ((averages, parameters), (member, step)) in arenas.zip(members.iter().zip(steps)) {
        if member.active_flag == 0 || step.applies == 0 {
            continue;
        }
        let rest = T::from_f32(step.ema_rest);
        // Arenas are whole stretches of 64.
        for_rows(averages, CHUNK, |chunk, averages| {
            let parameters = &parameters[chunk * CHUNK..][..CHUNK];
            if chunk * CHUNK >= n || step.ema_rest >= 1.0 {
                averages.copy_from_slice(parameters);
                return;
            }
            for (average, &w) in averages.iter_mut().zip(parameters) {
                *average = *average + rest * (w - *average);
            }
        });
    }
}
