//! A run that was killed, interrupted or out of time goes on as if it had never stopped: the same
//! model, logs and checkpoint to the last bit as those of the run that was left alone.
//!
//! The kills are real ones, at moments that the run's files show or a seeded clock picks.

#![cfg(unix)]

mod common;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use common::process::{End, end, kill_when, refuse, said, signal, start};
use common::program::succeed;
use common::run_files::{OFTEN, RunFiles, SLOW, SMALL, killed, resume, train};
use gpu_train::rng::{Purpose, Stream};
use serde_json::Value;

/// Everything that has a memory: dropout's counters, running statistics, groups of batches, averages,
/// the best weights and the schedule's state.
const RICH: &str = "synthetic:moons:4000 --device cpu --val-split 0.2 --batch 8 --epochs 30 --lr 0.02 \
    --model linear:32,batchnorm,relu,dropout:0.3,linear:32,relu --accumulate 3 --ema 0.9 \
    --schedule plateau:1:0.5 --early-stop 27 --quiet";

#[test]
fn every_schedule_goes_on_where_it_was_killed() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let mut draw = Stream::new(11, Purpose::Shuffle, 0);
    for schedule in [
        "constant",
        "step:2:0.5",
        "exponential:0.8",
        "polynomial:2",
        "cosine",
        "one-cycle",
        "plateau:1:0.5",
    ] {
        for (ix, warmup) in ["0", "100", "15%"].into_iter().enumerate() {
            let what = format!("{schedule} with warm-up {warmup}");
            let of_run = format!("--epochs 10 --schedule {schedule} --warmup {warmup}");
            let alone = RunFiles::new(dir, &format!("{schedule}-{ix}"));
            succeed(dir, &train(&[SMALL, &of_run], &alone.name));
            let moves = alone.rates().len() > 1;
            assert_eq!(moves, schedule != "constant" || ix > 0, "{what}");

            let epochs = 1 + draw.below(9) as usize;
            // Checkpoints wherever one can be, or at the ends of some epochs and in the middle of others.
            let often = if ix == 1 {
                OFTEN
            } else {
                "--checkpoint-minutes 0.0005"
            };
            let run = killed(
                dir,
                &[SMALL, &of_run, often],
                &format!("{schedule}-{ix}-killed"),
                |run| run.lines("metrics.jsonl") >= epochs,
            );
            succeed(dir, &resume(&run.name, ""));
            run.assert_same(&alone, &what);
        }
    }
}

/// Kills at moments that a seeded clock picks, from before the first file to behind the last, and, by
/// turns, when a checkpoint is seen that was not there before, since a quick machine spends most of a
/// run's time outside its epochs: the folder can be used after each, and no kill loses a checkpoint.
fn at_any_moment(dir: &Path, words: &[&str], seed: u64) {
    let alone = RunFiles::new(dir, "alone");
    let began = Instant::now();
    succeed(dir, &train(words, "alone"));
    let whole = began.elapsed();
    let mut draw = Stream::new(seed, Purpose::Shuffle, 0);
    let (mut kills, mut runs, mut inside) = (0, 0, 0);
    while kills < 16 {
        let run = RunFiles::new(dir, &format!("killed-{runs}"));
        runs += 1;
        let mut args = train(words, &run.name);
        let mut before = (0, 0);
        loop {
            let delay = whole.mul_f64(f64::from(draw.uniform(1.0).abs()));
            let began = Instant::now();
            let moment = || match kills % 2 {
                0 => began.elapsed() >= delay,
                _ => run.place() > before,
            };
            if kills == 16 || kill_when(dir, &args, moment) == End::Done {
                break;
            }
            kills += 1;
            if !run.has("config.toml") {
                // Nothing has begun, and there is nothing to resume.
                let _ = fs::remove_dir_all(dir.join(&run.name));
                continue;
            }
            run.assert_usable();
            let place = run.place();
            assert!(place >= before, "{place:?} after {before:?}");
            inside += usize::from(place > (0, 0) && !run.has("result.json"));
            before = place;
            args = resume(&run.name, "");
        }
        if kills == 16 {
            succeed(dir, &args);
        }
        run.assert_same(&alone, &format!("run {runs}, after {kills} kills"));
    }
    assert!(
        inside > 0,
        "no kill of {kills} came between a checkpoint and the end"
    );
}

#[test]
fn kills_at_any_moment_with_all_that_has_a_memory() {
    let temp = tempfile::tempdir().unwrap();
    at_any_moment(temp.path(), &[RICH, OFTEN], 1);
}

/// The samples pass through a window of a few steps, so that checkpoints fall between windows.
const STREAMED: &str = "--data-memory 1KB";

#[test]
fn kills_at_any_moment_of_streamed_data() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    at_any_moment(dir, &[RICH, OFTEN, STREAMED], 2);
    // Where the samples lie changes no bit, so a resume may have another window, or none.
    let run = killed(dir, &[RICH, OFTEN, STREAMED], "another", |run| {
        run.place() >= (4, 7)
    });
    succeed(dir, &resume(&run.name, "--data-memory 100MB"));
    run.assert_same(&RunFiles::new(dir, "alone"), "another window");
}

/// Whether a state stands between the batches of one update.
fn is_mid_update(run: &RunFiles) -> bool {
    run.state()
        .is_some_and(|s| s.step_in_epoch % 3 != 0 && s.step_in_epoch < s.steps_per_epoch)
}

/// Runs and resumes until three stops have come, to the end each time. A run that was done before
/// all three is followed by another.
fn stopped_thrice(dir: &Path, words: &[&str], stop: impl Fn(&RunFiles, &[&str]) -> End) {
    let alone = RunFiles::new(dir, "alone");
    succeed(dir, &train(words, "alone"));
    let (mut stops, mut runs) = (0, 0);
    while stops < 3 {
        assert!(runs < 20, "{words:?} was never stopped in time");
        let run = RunFiles::new(dir, &format!("stopped-{runs}"));
        runs += 1;
        let mut args = train(words, &run.name);
        while stops < 3 && stop(&run, &args) == End::Stopped {
            run.assert_usable();
            stops += 1;
            args = resume(&run.name, "");
        }
        if stops == 3 {
            succeed(dir, &args);
        }
        run.assert_same(&alone, &format!("run {runs}, after {stops} stops"));
    }
}

#[test]
fn a_kill_between_the_batches_of_an_update() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    stopped_thrice(dir, &[SLOW, "--epochs 3", OFTEN], |run, args| {
        let before = run.place();
        let mut child = start(dir, args);
        while child.try_wait().unwrap().is_none() {
            if run.place() > before && is_mid_update(run) {
                // It stands still while it is looked at again.
                signal(&child, "STOP");
                if run.place() > before && is_mid_update(run) {
                    child.kill().unwrap();
                    break;
                }
                signal(&child, "CONT");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let end = end(child, args);
        if end == End::Stopped {
            assert!(is_mid_update(run));
            // As where the kill came in the middle of a line.
            run.append("steps.csv", "99,1,0.0");
            run.append("metrics.jsonl", "{\"epoch\":");
        }
        end
    });
}

#[test]
fn before_the_first_checkpoint_a_run_begins_again() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let alone = RunFiles::new(dir, "alone");
    succeed(dir, &train(&[SLOW, "--epochs 3"], "alone"));
    let mut n = 0;
    let run = loop {
        n += 1;
        assert!(n < 20, "never killed before the first checkpoint");
        let name = format!("killed-{n}");
        let run = killed(dir, &[SLOW, "--epochs 3"], &name, |run| {
            run.len("steps.csv") > 100
        });
        if !run.has("checkpoint") {
            break run;
        }
    };
    run.assert_usable();
    // It is the run of its configuration nevertheless.
    refuse(
        dir,
        &resume(&run.name, "--lr 0.5"),
        &["lr is 0.01 in the run and 0.5 now"],
    );
    let text = succeed(dir, &["train", "--resume", &run.name]);
    assert!(text.contains("no checkpoint yet"), "{text}");
    run.assert_same(&alone, "begun again");
}

#[test]
fn an_interrupted_run_goes_on() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let inside = std::cell::Cell::new(0);
    stopped_thrice(dir, &[SLOW, "--epochs 3"], |run, args| {
        let before = run.len("steps.csv");
        let mut child = start(dir, args);
        while child.try_wait().unwrap().is_none() {
            if run.len("steps.csv") > before + 100 {
                signal(&child, "INT");
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            return End::Done;
        }
        let words = said(&output);
        assert_eq!(output.status.code(), Some(130), "{words}");
        assert!(words.contains(&format!("--resume {}", run.name)), "{words}");
        assert!(run.has("model.safetensors"));
        inside.set(inside.get() + usize::from(run.place().1 > 0));
        End::Stopped
    });
    assert!(inside.get() > 0, "no interrupt came inside an epoch");
}

#[test]
fn a_run_that_was_out_of_time_goes_on() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let alone = RunFiles::new(dir, "alone");
    succeed(dir, &train(&[SLOW, "--epochs 3"], "alone"));
    let run = RunFiles::new(dir, "timed");
    let text = succeed(
        dir,
        &train(&[SLOW, "--epochs 3 --time 0.02s --json"], "timed"),
    );
    let stopped = |text: &str| {
        let events = text
            .lines()
            .map(|l| serde_json::from_str::<Value>(l).unwrap());
        let result = events.into_iter().find(|e| e["event"] == "result");
        result.expect("a result")["stopped"].clone()
    };
    assert_eq!(stopped(&text), "time");
    assert!(
        run.place() > (0, 0) && run.place() < (3, 0),
        "{:?}",
        run.place()
    );
    run.assert_usable();
    // No more time than it has had: it stops again, where it stands.
    let place = run.place();
    assert_eq!(stopped(&succeed(dir, &resume("timed", "--json"))), "time");
    assert_eq!(run.place(), place);
    let text = succeed(dir, &resume("timed", "--time 1h --json"));
    assert_eq!(stopped(&text), "epochs");
    run.assert_same(&alone, "out of time");
}

#[test]
fn a_population_goes_on_with_each_members_own_rules() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let text = "source = \"synthetic:spiral\"\ndevice = \"cpu\"\nval-split = 0.2\nbatch = 8\nepochs = 40\n\
        model = \"linear:32,batchnorm,relu,dropout:0.2\"\nema = 0.5\n\
        [[member]]\nname = \"hasty\"\nlr = 0.5\nearly-stop = 1\n\
        [[member]]\nname = \"steady\"\nlr = 0.002\nseed = 7\nschedule = \"cosine\"\n\
        [[member]]\nname = \"patient\"\nlr = 0.3\nearly-stop = 3\nmin-delta = 0.01\nopt = \"sgd\"\nschedule = \"plateau:0:0.5\"\nseed = 3\n";
    fs::write(dir.join("all.toml"), text).unwrap();
    let words = ["--config all.toml --quiet"];
    let alone = RunFiles::new(dir, "alone");
    succeed(dir, &train(&words, "alone"));
    let state = alone.state().unwrap();
    assert!(state.members[0].stopped.is_some() && state.members[1].stopped.is_none());

    // Killed early, and again when one has stopped while the others learn.
    let some_stopped = |run: &RunFiles| {
        run.state()
            .is_some_and(|s| s.members[0].stopped.is_some() && s.epoch < 40)
    };
    let run = killed(dir, &[words[0], OFTEN], "killed", |run| {
        run.place() >= (2, 0)
    });
    run.assert_usable();
    let again = kill_when(dir, &resume("killed", ""), || some_stopped(&run));
    assert_eq!(again, End::Stopped);
    run.assert_usable();
    let words = ["cosine of member steady was planned over 40 epochs"];
    refuse(dir, &resume("killed", "--epochs 50"), &words);
    succeed(dir, &resume("killed", ""));
    run.assert_same(&alone, "a population");
}

/// A table of `rows` with numbers, words and holes, and a value to predict.
fn table(path: &Path, rows: usize, seed: u64) {
    let mut draw = Stream::new(seed, Purpose::Synthetic, 0);
    let mut text = "size,colour,age,price\n".to_string();
    for _ in 0..rows {
        let (size, age) = (draw.normal(1.0), draw.normal(1.0));
        let colour = draw.below(3);
        let price = 3.0 * size - age * age + colour as f32;
        let age = if draw.below(10) == 0 {
            String::new()
        } else {
            age.to_string()
        };
        text += &format!(
            "{size},{},{age},{price}\n",
            ["red", "green", "blue"][colour as usize]
        );
    }
    fs::write(path, text).unwrap();
}

#[test]
fn a_table_goes_on_and_a_changed_one_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    table(&dir.join("prices.csv"), 800, 1);
    let words = "prices.csv --target price --device cpu --val-split 0.2 --batch 8 --epochs 12 \
        --model linear:64,relu,linear:64,relu --early-stop 12 --loss huber --quiet";
    let alone = RunFiles::new(dir, "alone");
    succeed(dir, &train(&[words], "alone"));
    let run = killed(dir, &[words, OFTEN], "killed", |run| run.place() >= (3, 10));
    run.assert_usable();
    table(&dir.join("prices.csv"), 800, 2);
    refuse(
        dir,
        &resume("killed", ""),
        &["prices.csv", "not what the run was trained on"],
    );
    table(&dir.join("prices.csv"), 500, 1);
    refuse(
        dir,
        &resume("killed", ""),
        &["512 training samples then, 320 now"],
    );
    // Even fewer rows than a batch takes: it is the data that are at fault.
    table(&dir.join("prices.csv"), 11, 1);
    refuse(dir, &resume("killed", ""), &["512 training samples then"]);
    table(&dir.join("prices.csv"), 800, 1);
    succeed(dir, &resume("killed", ""));
    run.assert_same(&alone, "a table");
}

#[test]
fn a_gpu_run_goes_on() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let words = "synthetic:moons:400 --device gpu --val-split 0.2 --batch 8 --epochs 20 --lr 0.02 \
        --model linear:16,batchnorm,relu,dropout:0.3 --accumulate 3 --ema 0.9 --schedule cosine \
        --warmup 10% --early-stop 10 --quiet";
    let alone = RunFiles::new(dir, "alone");
    succeed(dir, &train(&[words], "alone"));
    let run = killed(dir, &[words, OFTEN], "killed", |run| run.place() >= (1, 1));
    run.assert_usable();
    refuse(
        dir,
        &resume("killed", "--device cpu"),
        &["device is", "\"cpu\" now"],
    );
    let place = run.place();
    let again = kill_when(dir, &resume("killed", "--device gpu"), || {
        run.place().0 > place.0 + 1
    });
    assert_eq!(again, End::Stopped);
    succeed(dir, &resume("killed", ""));
    run.assert_same(&alone, "on the GPU");
}
