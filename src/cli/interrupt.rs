//! Ctrl-C: the first asks the work to save and stop, the second ends the program at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::ui::err;

/// A flag that the first Ctrl-C sets; `doing` is what then is said to happen.
pub fn flag(doing: &'static str) -> Arc<AtomicBool> {
    // A command that trains several times has one flag.
    static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    FLAG.get_or_init(|| install(doing)).clone()
}

fn install(doing: &'static str) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let set = stop.clone();
    let installed = ctrlc::set_handler(move || {
        if set.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        err(&format!("{doing}; press Ctrl-C again to quit at once"));
    });
    // Without a handler Ctrl-C ends the program as it does any other: the last checkpoint stays.
    drop(installed);
    stop
}
