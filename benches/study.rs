//! What a population saves: a study of random trials with all of them together, and one after another,
//! alternating, each a run of the program from its start to its end.
//!
//! `cargo bench --bench study` is the benchmark of docs/tune.md: 64 trials of the default MNIST network, an
//! epoch each, three rounds, on the CPU path. `-- --device gpu --limit 2000 --rounds 5` asks
//! for another; what is printed is a line a run, and the medians.

use std::process::{Command, Stdio};
use std::time::Instant;

struct Asked {
    device: String,
    trials: u32,
    /// Training samples; all of them where it is 0.
    limit: u32,
    rounds: u32,
}

fn asked() -> Asked {
    let mut asked = Asked {
        device: "cpu".to_string(),
        trials: 64,
        limit: 0,
        rounds: 3,
    };
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    while let Some(name) = args.next() {
        let value = args.next().expect("an option has a value");
        let number = || value.parse().expect("a whole number");
        match name.as_str() {
            "--device" => asked.device = value,
            "--trials" => asked.trials = number(),
            "--limit" => asked.limit = number(),
            "--rounds" => asked.rounds = number(),
            _ => panic!("{name}: known are --device, --trials, --limit and --rounds"),
        }
    }
    asked
}

/// Seconds of a study whose trials train so many at a time.
fn seconds(asked: &Asked, population: u32, out: &str) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpu-train"));
    command
        .current_dir(&folder)
        .args(["tune", "mnist", "--model", "mlp", "--epochs", "1"])
        .args(["--space", "lr=log:1e-4..1e-2", "--sampler", "random"])
        .args(["--pruner", "none", "--quiet", "--out", out])
        .args(["--device", &asked.device])
        .args(["--trials", &asked.trials.to_string()])
        .args(["--population", &population.to_string()])
        .stdout(Stdio::null());
    if asked.limit > 0 {
        command.args(["--limit", &asked.limit.to_string()]);
    }
    let started = Instant::now();
    let status = command.status().expect("the program starts");
    assert!(status.success(), "{status}");
    started.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() % 2 {
        1 => values[half],
        _ => (values[half - 1] + values[half]) / 2.0,
    }
}

fn main() {
    let asked = asked();
    let (mut together, mut alone) = (Vec::new(), Vec::new());
    for round in 1..=asked.rounds {
        together.push(seconds(&asked, asked.trials, "together"));
        alone.push(seconds(&asked, 1, "alone"));
        println!(
            "round {round}: together {:.1} s, one after another {:.1} s",
            together[together.len() - 1],
            alone[alone.len() - 1]
        );
    }
    let (together, alone) = (median(together), median(alone));
    println!(
        "{} trials on {}, medians of {}: together {together:.1} s, one after another {alone:.1} s, {:.2} times as fast",
        asked.trials,
        asked.device,
        asked.rounds,
        alone / together
    );
}
