//! `--profile`: what each dispatch of a step took against its roof, and the host's share of an epoch.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::open::Backend;
use super::roof;
use super::setup::Setup;
use super::ui::{Ui, thousands};
use crate::executor::{Measured, PassProfile, Timed};
use crate::gpu::Device;
use crate::plan::{Dispatch, Work};
use crate::train::HostTime;
use crate::{Error, Result};

/// A run whose dispatches are timed.
pub struct Profiling {
    measured: Measured,
    /// The device is the host itself: the CPU path, or a software adapter, whose submits may do the
    /// very work before they return.
    on_host: bool,
    /// Of all epochs, once they are done.
    pub host: HostTime,
}

/// A line of the table: a dispatch, or several together.
struct Row {
    label: String,
    kernel: String,
    variant: &'static str,
    calls: u64,
    seconds: f64,
    /// Of all calls.
    work: Work,
    /// The least that the calls can take.
    roof_seconds: f64,
}

impl Profiling {
    /// Measures the roof and has the executor time its dispatches. Where the device cannot, a line
    /// says so and the run goes on without.
    pub fn start(
        ui: &Ui,
        backend: &mut Backend,
        device: Option<&Arc<Device>>,
    ) -> Result<Option<Profiling>> {
        let on_cpu = backend.device == "cpu";
        let on_host = on_cpu || backend.software;
        match backend.exec.profile(true) {
            Ok(_) => {}
            Err(Error::Device(why)) => {
                ui.say(&format!("no profile: {why}"));
                ui.event(&json!({"event": "profile", "unavailable": why}));
                return Ok(None);
            }
            Err(e) => return Err(e),
        }
        let (side, measured) = match device {
            Some(device) if !on_cpu => ("gpu", crate::gpu::roof::measure(device)?),
            _ => ("cpu", crate::cpu::roof::measure()?),
        };
        roof::say(ui, side, &backend.name, &measured);
        Ok(Some(Profiling {
            measured,
            on_host,
            host: HostTime::default(),
        }))
    }

    /// Stops timing, prints the table and its event.
    pub fn finish(self, ui: &Ui, setup: &Setup, backend: &mut Backend) -> Result<()> {
        let Some(profile) = backend.exec.profile(false)? else {
            return Ok(());
        };
        let plan = &setup.plan;
        let train = self.rows(
            setup,
            &profile.train,
            &plan.train.per_step,
            &plan.train.per_range,
        );
        let eval = self.rows(
            setup,
            &profile.eval,
            &plan.eval.per_step,
            &plan.eval.per_range,
        );
        let eval = Row {
            label: "evaluation".to_string(),
            kernel: "all of it".to_string(),
            variant: "",
            calls: eval.iter().map(|row| row.calls).sum(),
            seconds: eval.iter().map(|row| row.seconds).sum(),
            work: eval.iter().map(|row| row.work).sum(),
            roof_seconds: eval.iter().map(|row| row.roof_seconds).sum(),
        };
        let all = train.iter().chain([&eval]);
        let total: f64 = all.clone().map(|row| row.seconds).sum();
        ui.say(&format!(
            "profile of {} training steps on {}",
            thousands(profile.train.steps as f64),
            backend.name
        ));
        let width = all.clone().map(|row| row.name().len()).max().unwrap_or(0);
        ui.say(&heading(width));
        for row in all {
            ui.say(&row.line(width, total));
        }
        let busy = profile.train.time();
        ui.say(&self.host_line(busy));
        ui.event(&json!({
            "event": "profile",
            "device": backend.device,
            "steps": profile.train.steps,
            "dispatches": train.iter().map(|row| row.json(total)).collect::<Vec<Value>>(),
            "evaluation": eval.json(total),
            "host": self.host_json(busy),
        }));
        Ok(())
    }

    /// A row for each dispatch of a pass.
    fn rows(
        &self,
        setup: &Setup,
        pass: &PassProfile,
        per_step: &[Dispatch],
        per_range: &[Dispatch],
    ) -> Vec<Row> {
        let row = |dispatch: &Dispatch, timed: &Timed| {
            let steps = pass.steps as f64;
            let work = setup.plan.work(dispatch, &setup.hyper);
            Row {
                label: dispatch.label.clone(),
                kernel: dispatch.kernel.to_string(),
                variant: timed.variant,
                calls: timed.calls,
                seconds: timed.time.as_secs_f64(),
                work: work * steps,
                roof_seconds: work.roof_seconds(&self.measured.roof) * steps,
            }
        };
        let of_steps = per_step.iter().zip(&pass.per_step);
        let of_ranges = per_range.iter().zip(&pass.per_range);
        of_steps.chain(of_ranges).map(|(d, t)| row(d, t)).collect()
    }

    /// Wall time in which the host did not wait for the device; where it is the device, in which it
    /// did other things than the dispatches.
    fn host_time(&self, busy: Duration) -> Duration {
        match self.on_host {
            true => self.idle(busy),
            false => self.host.wall.saturating_sub(self.host.blocked),
        }
    }

    fn idle(&self, busy: Duration) -> Duration {
        self.host.wall.saturating_sub(busy)
    }

    fn host_line(&self, busy: Duration) -> String {
        let epochs = self.host.epochs.max(1);
        let ms = |time: Duration| (time / epochs).as_secs_f64() * 1e3;
        let (host, wall) = (self.host_time(busy), self.host.wall);
        let idle = match self.on_host {
            true => String::new(),
            false => format!("; device idle {:.1} ms", ms(self.idle(busy))),
        };
        format!(
            "host: {:.1} ms of an epoch of {:.1} ms ({:.1} %){idle}",
            ms(host),
            ms(wall),
            percent(host.as_secs_f64(), wall.as_secs_f64())
        )
    }

    fn host_json(&self, busy: Duration) -> Value {
        let HostTime {
            epochs,
            wall,
            packing,
            submitting,
            blocked,
        } = self.host;
        let host = self.host_time(busy).as_secs_f64();
        json!({
            "epochs": epochs,
            "wall_seconds": wall.as_secs_f64(),
            "host_seconds": host,
            "host_share": percent(host, wall.as_secs_f64()) / 100.0,
            "packing_seconds": packing.as_secs_f64(),
            "submitting_seconds": submitting.as_secs_f64(),
            "blocked_seconds": blocked.as_secs_f64(),
            "device_busy_seconds": busy.as_secs_f64(),
            "device_idle_seconds": self.idle(busy).as_secs_f64(),
        })
    }
}

/// 100 a / b; 0 where nothing was measured.
fn percent(a: f64, b: f64) -> f64 {
    if b > 0.0 { 100.0 * a / b } else { 0.0 }
}

fn heading(width: usize) -> String {
    format!(
        "{:<32} {:<width$} {:>9} {:>10} {:>7} {:>9} {:>8} {:>7}",
        "dispatch", "kernel", "calls", "ms", "share", "GFLOP/s", "GB/s", "roof"
    )
}

impl Row {
    /// A speed over all calls; 0 where the clock saw nothing.
    fn speed(&self, amount: f64) -> f64 {
        percent(amount, self.seconds) / 100.0
    }

    /// The kernel with its shape, and its variant where there are several.
    fn name(&self) -> String {
        match self.variant {
            "" => self.kernel.clone(),
            variant => format!("{}, tile {variant}", self.kernel),
        }
    }

    fn line(&self, width: usize, total: f64) -> String {
        format!(
            "{:<32} {:<width$} {:>9} {:>10.3} {:>5.1} % {:>9.1} {:>8.1} {:>5.1} %",
            self.label,
            self.name(),
            thousands(self.calls as f64),
            self.seconds * 1e3,
            percent(self.seconds, total),
            self.speed(self.work.flops) / 1e9,
            self.speed(self.work.bytes) / 1e9,
            percent(self.roof_seconds, self.seconds)
        )
    }

    fn json(&self, total: f64) -> Value {
        json!({
            "label": self.label,
            "kernel": self.kernel,
            "variant": self.variant,
            "calls": self.calls,
            "seconds": self.seconds,
            "share": percent(self.seconds, total) / 100.0,
            "gflops": self.speed(self.work.flops) / 1e9,
            "gb_per_second": self.speed(self.work.bytes) / 1e9,
            "percent_of_roof": percent(self.roof_seconds, self.seconds),
        })
    }
}
