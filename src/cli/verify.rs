//! `gpu-train verify`: every kernel against the f64 oracle.

use serde_json::json;

use super::open::adapter_or_cpu;
use super::ui::Ui;
use crate::gpu::adapter::describe;
use crate::plan::Kernel;
use crate::verify::{Outcome, Row, run as verify};
use crate::{Error, Result, suggest};

#[derive(clap::Args)]
pub struct Args {
    /// gpu (the best adapter), an adapter's number or name, or cpu for the CPU twins alone
    #[arg(long, value_name = "WHICH", default_value = "gpu")]
    device: String,
    /// Only kernels with this in their name
    #[arg(long, value_name = "NAME", default_value = "")]
    kernel: String,
    /// One JSON object a line on standard output; prose goes to standard error
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &Args) -> Result<()> {
    let ui = Ui {
        json: args.json,
        quiet: false,
        silent: false,
    };
    if !Kernel::NAMES.iter().any(|name| name.contains(&args.kernel)) {
        return Err(Error::Usage(format!(
            "--kernel {}: no kernel has that in its name{}",
            args.kernel,
            suggest::hint(&args.kernel, Kernel::NAMES)
        )));
    }
    let device = adapter_or_cpu(&args.device)?;
    let adapter = device.as_ref().map(|d| describe(&d.info));
    ui.say(&format!(
        "every kernel against the f64 oracle, on {}",
        match &adapter {
            Some(adapter) => format!("{adapter}, and on the CPU path at f32"),
            None => "the CPU path at f32".to_string(),
        }
    ));
    let mut failures: Vec<Outcome> = Vec::new();
    let summary = verify(device, &args.kernel, &mut |outcome| {
        if !outcome.passed() {
            failures.push(outcome.clone());
        }
    })?;
    ui.say(&format!(
        "{:<24} {:<4} {:>6}  {:>22}",
        "kernel (variant)", "on", "cases", "worst error / bound"
    ));
    for row in &summary.rows {
        report(&ui, row);
    }
    if summary.skipped > 0 {
        ui.say(&format!(
            "{} cases need subgroups of one size, which this adapter does not offer",
            summary.skipped
        ));
    }
    for failure in &failures {
        ui.say(&format!("FAILED {failure}"));
    }
    ui.event(&json!({
        "event": "verify",
        "adapter": adapter,
        "cases": summary.cases(),
        "failed": summary.failed(),
        "skipped": summary.skipped,
    }));
    if summary.failed() > 0 {
        return Err(Error::Check(format!(
            "{} of {} cases are outside their bounds: do not trust this adapter's results, and please report the lines above",
            summary.failed(),
            summary.cases()
        )));
    }
    ui.result(&format!(
        "{} cases, every result within its derived bound",
        summary.cases()
    ));
    Ok(())
}

fn report(ui: &Ui, row: &Row) {
    let name = match row.variant {
        "" => row.kernel.to_string(),
        variant => format!("{} ({variant})", row.kernel),
    };
    let on = if row.on_gpu { "gpu" } else { "cpu" };
    let verdict = if row.failed == 0 {
        String::new()
    } else {
        format!("  {} FAILED", row.failed)
    };
    ui.say(&format!(
        "{name:<24} {on:<4} {:>6}  {:>22.4}{verdict}",
        row.cases, row.worst
    ));
    ui.event(&json!({
        "event": "kernel",
        "kernel": row.kernel,
        "variant": row.variant,
        "on": on,
        "cases": row.cases,
        "failed": row.failed,
        "worst_error_over_bound": row.worst,
    }));
}
