//! What a run leaves behind for people to look at.

pub mod curves;
pub mod scores;
