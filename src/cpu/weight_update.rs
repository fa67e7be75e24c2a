//! dw = dz^T * x, db = the column sums of dz, and the optimiser's update by them: each stretch of a
//! row of the gradient moves its weights while it is in the first cache, and is never stored.

use super::Real;
use super::matmul::{Division, column_sums};
use super::optimizer::Update;
use super::parallel::Disjoint;
use super::product::{Product, Sink};
use super::real::Loops;
use super::team::fork;
use crate::plan::{MemberRow, Orientation, StepRow, WeightUpdate};

pub fn weight_update<T: Real>(
    p: &WeightUpdate,
    dz: &[T],
    x: &[T],
    rows: &[MemberRow],
    steps: &[StepRow],
    state: &mut [T],
    parameters: &mut [T],
) {
    let (m, n, stride) = (p.m as usize, p.n as usize, p.stride as usize);
    let members = p.members as usize;
    let division = Division::of_parameters(m, n, p.k as usize, members);
    let (state, parameters) = (Disjoint::new(state), Disjoint::new(parameters));
    fork(members * division.pieces, |task| {
        let (member, piece) = (task / division.pieces, task % division.pieces);
        let (row, step) = (&rows[member], &steps[member]);
        if row.active_flag == 0 || step.applies == 0 {
            return;
        }
        let dz = &dz[p.a_offset as usize + member * p.a_stride as usize..];
        // Rows of the batch past the valid ones are zeros.
        let k = (step.valid as usize).min(p.k as usize);
        let mut apply = Apply {
            row,
            step,
            state: &state,
            parameters: &parameters,
            arena: member * stride,
            stride,
            w_offset: p.w_offset as usize,
            ldc: p.ldc as usize,
        };
        if piece == 0 {
            bias(p, dz, k, &apply);
        }
        let (rows, cols) = division.piece(piece);
        let product = Product {
            orientation: Orientation::TN,
            k,
            a: dz,
            lda: p.lda as usize,
            b: &x[member * p.b_stride as usize..],
            ldb: p.ldb as usize,
            rows,
            cols,
        };
        T::product(&product, &mut apply);
    });
}

/// The bias, in stretches whose sums fit on the stack.
fn bias<T: Real>(p: &WeightUpdate, dz: &[T], k: usize, apply: &Apply<T>) {
    const STRETCH: usize = 256;
    let m = p.m as usize;
    for first in (0..m).step_by(STRETCH) {
        let mut sums = [T::ZERO; STRETCH];
        let sums = &mut sums[..STRETCH.min(m - first)];
        column_sums(&dz[first..], p.lda as usize, k, sums);
        apply.update(p.d_offset as usize + first, sums, false);
    }
}

struct Apply<'a, T> {
    row: &'a MemberRow,
    step: &'a StepRow,
    state: &'a Disjoint<'a, T>,
    parameters: &'a Disjoint<'a, T>,
    /// Where the member's stretch of the parameters begins, and its length.
    arena: usize,
    stride: usize,
    w_offset: usize,
    ldc: usize,
}

impl<T: Real> Apply<'_, T> {
    /// Moves the parameters from `offset` of the member's arena on by their gradient `g`.
    #[inline(always)]
    fn update(&self, offset: usize, g: &[T], is_weight: bool) {
        let at = |first: usize| first + offset..first + offset + g.len();
        // SAFETY: pieces have no weights in common, and one of them alone has the bias.
        let (w, m, v) = unsafe {
            (
                self.parameters.range(at(self.arena)),
                self.state.range(at(2 * self.arena)),
                self.state.range(at(2 * self.arena + self.stride)),
            )
        };
        let update = Update {
            row: self.row,
            step: self.step,
            clip: T::ONE,
            is_weight,
            w,
            m,
            v,
            g,
        };
        update.run();
    }
}

impl<T: Real> Sink<T> for Apply<'_, T> {
    #[inline(always)]
    fn take(&mut self, row: usize, first: usize, values: &[T]) {
        self.update(self.w_offset + row * self.ldc + first, values, true);
    }
}
