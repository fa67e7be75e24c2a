//! What a run leaves behind for people to look at.
//!
//! Every chart takes plain data and returns the bytes of a PNG: [`curves`], [`compare`],
//! [`confusion`], [`scatter`], [`roc`], [`lr_find`] and [`throughput`], all painted on one canvas. [`html`] puts
//! them and the numbers of a run into one page.

pub(crate) mod canvas;
pub mod compare;
pub mod confusion;
pub mod contact_sheet;
pub mod curves;
pub mod html;
pub mod lr_find;
pub mod metric;
pub mod roc;
pub mod scatter;
pub mod study;
pub mod tensorboard;
pub mod text;
pub mod throughput;
pub mod thumbnail;
