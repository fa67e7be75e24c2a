//! A device's roof in words.

use serde_json::json;

use super::ui::Ui;
use crate::executor::Measured;

/// One line, and its event; `side` is `cpu` or `gpu`.
pub fn say(ui: &Ui, side: &str, name: &str, measured: &Measured) {
    let Measured {
        roof,
        dispatch,
        submit,
    } = measured;
    ui.say(&format!(
        "roof of {name}: copies {:.1} GB/s, multiply-adds {:.0} GFLOP/s; a dependent dispatch costs {:.1} us, a submit with its wait {:.0} us",
        roof.bytes_per_second / 1e9,
        roof.flops_per_second / 1e9,
        dispatch * 1e6,
        submit * 1e6
    ));
    ui.event(&json!({
        "event": "roof",
        "side": side,
        "device": name,
        "copy_gb_per_second": roof.bytes_per_second / 1e9,
        "multiply_add_gflops": roof.flops_per_second / 1e9,
        "dispatch_us": dispatch * 1e6,
        "submit_us": submit * 1e6,
    }));
}
