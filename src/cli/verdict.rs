//! What `--device auto` found, kept on disk: both sides' time for a step of a plan on an adapter.

use serde::{Deserialize, Serialize};

use crate::cache::{Cache, fnv1a};
use crate::gpu::adapter::describe;
use crate::plan::Plan;

/// What the files are called.
const KIND: &str = "auto";

/// Milliseconds a step on either side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    pub cpu_ms_per_step: f64,
    pub gpu_ms_per_step: f64,
    /// "2026-11-24", in UTC.
    pub date: String,
}

impl Verdict {
    pub fn new(cpu_ms_per_step: f64, gpu_ms_per_step: f64) -> Verdict {
        Verdict {
            cpu_ms_per_step,
            gpu_ms_per_step,
            date: today(),
        }
    }

    /// Whether the CPU path is the faster, or as fast.
    pub fn takes_cpu(&self) -> bool {
        self.cpu_ms_per_step <= self.gpu_ms_per_step
    }

    /// What an earlier run measured under this key; numbers that are none are not believed.
    pub fn read(cache: &Cache, key: &str) -> Option<Verdict> {
        let verdict: Verdict = serde_json::from_slice(&cache.read(KIND, key)?).ok()?;
        let times = [verdict.cpu_ms_per_step, verdict.gpu_ms_per_step];
        times
            .iter()
            .all(|ms| ms.is_finite() && *ms > 0.0)
            .then_some(verdict)
    }

    pub fn write(&self, cache: &Cache, key: &str) {
        let json = serde_json::to_vec(self).expect("plain data");
        cache.write(KIND, key, &json);
    }
}

/// Everything that a verdict depends on: the kernels of a step with their sizes, the members, the
/// adapter and its driver, the processor and the threads that compute on it, and whether the kernels'
/// variants were measured.
pub fn key(plan: &Plan, info: &wgpu::AdapterInfo, cpu: &str, deterministic: bool) -> String {
    let kernels = plan.train.per_step.iter().map(|d| &d.kernel);
    let shape = format!("{:?}", kernels.collect::<Vec<_>>());
    format!(
        "plan {:016x}, {} members\n{}\n{} {}\n{cpu}, {}\ndeterministic {deterministic}",
        fnv1a(shape.as_bytes()),
        plan.members,
        describe(info),
        info.driver,
        info.driver_info,
        processor()
    )
}

/// The processor's name where the system tells it in a file (Linux), else its architecture.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':'));
    name.map_or(std::env::consts::ARCH, |(_, name)| name.trim())
        .to_string()
}

fn today() -> String {
    let seconds = crate::report::tensorboard::seconds_since_epoch();
    let (year, month, day) = civil((seconds / 86_400.0) as u64);
    format!("{year}-{month:02}-{day:02}")
}

/// Year, month and day, the given days after 1970-01-01 (Howard Hinnant, chrono-compatible
/// low-level date algorithms: civil_from_days).
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_513), (2026, 3, 1));
        assert_eq!(civil(20_781), (2026, 11, 24));
    }

    #[test]
    fn numbers_that_are_none_are_not_believed() {
        let temp = tempfile::tempdir().unwrap();
        let cache = Cache::at(temp.path());
        let verdict = Verdict::new(1.5, 20.0);
        verdict.write(&cache, "key");
        assert_eq!(Verdict::read(&cache, "key"), Some(verdict));
        Verdict::new(0.0, 20.0).write(&cache, "key");
        assert_eq!(Verdict::read(&cache, "key"), None);
        cache.write(KIND, "key", b"{\"cpu_ms_per_step\":");
        assert_eq!(Verdict::read(&cache, "key"), None);
    }
}
