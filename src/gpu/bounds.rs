//! The proof that a product's indices stay inside of its buffers, which its shader does not check.

use super::shader::Shader;
use crate::plan::{Dispatch, Epilogue, Kernel, MemberRow, Orientation, Plan, StepRow};

/// Whether a shader's indices are what [`check`] proves. `linear_xent` is not among them: it reads
/// labels by indices that are data.
pub fn covers(shader: &Shader) -> bool {
    !shader.tile.is_empty()
}

/// A matrix in every member's stretch of a buffer.
struct Matrix {
    what: &'static str,
    offset: u32,
    /// Elements from one member to the next.
    stride: u32,
    rows: u32,
    /// Columns that are read or written, rounded up to whole vec4s.
    cols: u32,
    ld: u32,
}

impl Matrix {
    /// # Panics
    /// If the last element of the last member lies past `len`, if a vec4 would straddle rows, or if
    /// an index does not fit the shader's u32.
    fn check(&self, members: usize, len: u64) {
        let Matrix {
            what,
            offset,
            stride,
            rows,
            cols,
            ld,
        } = *self;
        let wide = |a: u32, b: u32| u64::from(a) * u64::from(b);
        let (last_member, last_row) = (members as u64 - 1, rows.saturating_sub(1));
        let cols = cols.next_multiple_of(4);
        let end = u64::from(offset)
            + last_member * u64::from(stride)
            + wide(last_row, ld)
            + u64::from(cols);
        assert!(
            rows > 0 && cols > 0 && cols <= ld && end <= len && end <= u64::from(u32::MAX),
            "{what}: {rows}x{cols} with rows of {ld} from {offset} on, {members} members {stride} apart, passes the buffer's {len} elements"
        );
        assert!(
            offset % 4 == 0 && stride % 4 == 0 && ld % 4 == 0,
            "{what}: offset {offset}, stride {stride} and row length {ld} must be multiples of 4"
        );
    }
}

/// Holds every index of a product's shader to the lengths of its buffers; other kernels check theirs
/// as they run.
///
/// # Panics
/// Where an index may pass its buffer: a programmer's error, of whoever recorded the kernel.
pub fn check(plan: &Plan, dispatch: &Dispatch) {
    let members = plan.members;
    let lens: Vec<u64> = dispatch
        .buffers
        .iter()
        .map(|&id| plan.buffer(id).len as u64)
        .collect();
    let matrix = |what, offset, stride, rows, cols, ld| Matrix {
        what,
        offset,
        stride,
        rows,
        cols,
        ld,
    };
    match &dispatch.kernel {
        Kernel::Matmul {
            shape: p,
            orientation,
            epilogue,
            bias_grad,
            ..
        } => {
            let (a_rows, a_cols) = match orientation {
                Orientation::NN | Orientation::NT => (p.m, p.k),
                Orientation::TN => (p.k, p.m),
            };
            let (b_rows, b_cols) = match orientation {
                Orientation::NN | Orientation::TN => (p.k, p.n),
                Orientation::NT => (p.n, p.k),
            };
            matrix("a", p.a_offset, p.a_stride, a_rows, a_cols, p.lda).check(members, lens[0]);
            matrix("b", p.b_offset, p.b_stride, b_rows, b_cols, p.ldb).check(members, lens[1]);
            let e_rows = match epilogue {
                Epilogue::None => None,
                Epilogue::Bias(_) => Some(1),
                Epilogue::ActivationGrad(_) => Some(p.m),
            };
            if let Some(rows) = e_rows {
                let e = matrix("e", p.e_offset, p.e_stride, rows, p.n, p.ldc);
                e.check(members, lens[2]);
            }
            matrix("c", p.c_offset, p.c_stride, p.m, p.n, p.ldc).check(members, lens[3]);
            if *bias_grad {
                let ld = p.m.next_multiple_of(4);
                let d = matrix("bias gradient", p.d_offset, p.c_stride, 1, p.m, ld);
                d.check(members, lens[3]);
            }
        }
        Kernel::WeightUpdate(p) => {
            assert_eq!(p.members as usize, members, "members of a weight update");
            matrix("dz", p.a_offset, p.a_stride, p.k, p.m, p.lda).check(members, lens[0]);
            matrix("x", 0, p.b_stride, p.k, p.n, p.ldb).check(members, lens[1]);
            let rows = members * size_of::<MemberRow>() / 4;
            assert!(rows as u64 <= lens[2], "a member table that is too short");
            let steps = plan.train.capacity * members * size_of::<StepRow>() / 4;
            assert!(steps as u64 <= lens[3], "a step table that is too short");
            let ld = p.m.next_multiple_of(4);
            let arena = u64::from(p.stride);
            matrix("weights", p.w_offset, p.stride, p.m, p.n, p.ldc).check(1, arena);
            matrix("bias", p.d_offset, p.stride, 1, p.m, ld).check(1, arena);
            // An arena of parameters a member, and two of moments.
            let arenas = members as u64 * arena;
            assert!(2 * arenas <= lens[4], "moments that are too short");
            assert!(arenas <= lens[5], "parameters that are too short");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify;

    /// The check of a case with one of its buffers short by `less`.
    fn with_short(kernel: &str, at: usize, less: usize) -> bool {
        let case = verify::cases_of(kernel).swap_remove(1);
        let mut plan = (*case.plan).clone();
        let id = case.dispatch().buffers[at];
        plan.buffers[id.0].len -= less;
        std::panic::catch_unwind(|| check(&plan, case.dispatch())).is_ok()
    }

    #[test]
    fn a_buffer_that_is_too_short_is_refused() {
        for (kernel, operands) in [("matmul", 0..4), ("weight_update", 0..6)] {
            for at in operands {
                // The epilogue's operand is not read without one.
                let case = verify::cases_of(kernel).swap_remove(1);
                let unread = matches!(case.kernel(), Kernel::Matmul { .. }) && at == 2;
                let len = case.plan.buffer(case.dispatch().buffers[at]).len;
                assert!(
                    with_short(kernel, at, 0),
                    "{kernel}: buffer {at} is refused"
                );
                let held = with_short(kernel, at, len.min(200));
                assert_eq!(held, unread, "{kernel}: buffer {at} is too short");
            }
        }
    }
}
