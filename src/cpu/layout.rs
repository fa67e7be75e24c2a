//! How the buffers of a population lie in those of its members.

use std::ops::Range;

use crate::plan::{BufferId, PassKind, Plan};

/// A buffer with a member axis, as a list of blocks that belong to the members in turn: one block a
/// member \[P, ...\], one a member and slot of a table \[S, P, ...\], or two such stretches one behind
/// the other.
pub struct Layout {
    members: usize,
    stretches: Vec<Stretch>,
}

/// Blocks of `block` elements, `blocks` a member.
struct Stretch {
    block: usize,
    blocks: usize,
}

impl Layout {
    /// Of a buffer of `plan`, `alone` being the same for one member; `None` where all share it.
    pub fn of(plan: &Plan, alone: &Plan, id: BufferId) -> Option<Layout> {
        if id == plan.pixels || id == plan.labels {
            return None;
        }
        let len = alone.buffer(id).len;
        debug_assert_eq!(plan.buffer(id).len, plan.members * len);
        let stretch = |len: usize, blocks: usize| Stretch {
            block: len / blocks.max(1),
            blocks,
        };
        let passes = [PassKind::Train, PassKind::Eval].map(|kind| alone.pass(kind));
        let of_slots = passes.iter().find(|pass| {
            [pass.indices, pass.steps, pass.samples, pass.metrics].contains(&id)
                && pass.capacity > 0
        });
        let split = passes.iter().find(|p| p.head == id && p.head_offset > 0);
        let stretches = match (of_slots, split) {
            (Some(pass), _) => vec![stretch(len, pass.capacity)],
            (None, Some(pass)) => vec![
                stretch(pass.head_offset, 1),
                stretch(len - pass.head_offset, 1),
            ],
            (None, None) => vec![stretch(len, 1)],
        };
        Some(Layout {
            members: plan.members,
            stretches,
        })
    }

    /// Calls `f(member, elements of the member's buffer)` for each block, in the buffer's order.
    pub fn pieces(&self, mut f: impl FnMut(usize, Range<usize>)) {
        let mut before = 0;
        for stretch in &self.stretches {
            for block in 0..stretch.blocks {
                let start = before + block * stretch.block;
                for member in 0..self.members {
                    f(member, start..start + stretch.block);
                }
            }
            before += stretch.block * stretch.blocks;
        }
    }

    /// Calls `f(member, elements of the member's buffer, elements of the range)` for what of each
    /// block lies in a range of the whole buffer.
    pub fn pieces_of(
        &self,
        range: Range<usize>,
        mut f: impl FnMut(usize, Range<usize>, Range<usize>),
    ) {
        let mut at = 0;
        self.pieces(|member, block| {
            let first = range.start.max(at);
            let last = range.end.min(at + block.len());
            if first < last {
                let to = block.start + first - at..block.start + last - at;
                f(member, to, first - range.start..last - range.start);
            }
            at += block.len();
        });
    }
}
