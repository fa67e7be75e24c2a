//! `gpu-train bench` through the real program: its events, its chart, and what it refuses.

mod common;

use common::program::{event, events, is_picture, number, refuse, succeed, words};
use tempfile::tempdir;

/// What a side's fields of a `bench` event are called, behind `cpu_` and `gpu_`.
const FIELDS: [&str; 5] = [
    "ms_per_step",
    "samples_per_second",
    "gflops",
    "percent_of_roof",
    "latency_floor_ms",
];

#[test]
fn quick_measures_both_sides_against_their_roofs() {
    let dir = tempdir().unwrap();
    let said = succeed(dir.path(), &words("bench --quick --json"));
    let starts = events(&said, "start_up");
    assert_eq!(starts.len(), 2, "the adapter's and the CPU's");
    assert_eq!(starts[1]["device"], "cpu");
    for start in &starts {
        assert!(number(start, "seconds") > 0.0);
        assert!(number(start, "dispatches_per_step") >= 1.0);
    }
    let roofs = events(&said, "roof");
    let sides: Vec<_> = roofs.iter().map(|r| r["side"].as_str().unwrap()).collect();
    assert_eq!(sides, ["cpu", "gpu"]);
    for roof in &roofs {
        for field in ["copy_gb_per_second", "multiply_add_gflops", "submit_us"] {
            assert!(number(roof, field) > 0.0, "{field}: {roof}");
        }
        assert!(number(roof, "dispatch_us") >= 0.0, "{roof}");
    }
    let point = event(&said, "bench");
    assert_eq!(point["network"], "784-128-10");
    assert_eq!(
        (number(&point, "batch"), number(&point, "population")),
        (128.0, 1.0)
    );
    for side in ["cpu", "gpu"] {
        for field in FIELDS {
            assert!(
                number(&point, &format!("{side}_{field}")) > 0.0,
                "{side}_{field}: {point}"
            );
        }
        // The floor is the roof and more, and the step took at least the roof's part of it.
        let ms = number(&point, &format!("{side}_ms_per_step"));
        let roof = number(&point, &format!("{side}_percent_of_roof")) / 100.0 * ms;
        let floor = number(&point, &format!("{side}_latency_floor_ms"));
        assert!(floor >= roof * 0.999, "{side}: {point}");
    }
    let ratio = number(&point, "cpu_ms_per_step") / number(&point, "gpu_ms_per_step");
    assert!((number(&point, "speedup") - ratio).abs() < 1e-9 * ratio);
    // Samples, time and operations belong together.
    let samples = number(&point, "cpu_samples_per_second");
    assert!((samples * number(&point, "cpu_ms_per_step") / 1e3 - 128.0).abs() < 1e-6);
    // Both sides trained the same steps.
    assert!(number(&point, "max_relative_difference") < 0.05, "{point}");
    assert_eq!(
        event(&said, "crossover")["batches"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(event(&said, "plot")["plot"], "bench.png");
    is_picture(&dir.path().join("bench.png"), 1200);
}

#[test]
fn the_cpu_alone_is_measured_where_it_is_asked_for() {
    let dir = tempdir().unwrap();
    let line = "bench --device cpu --networks 784-10,784-8-10 --batches 64 --populations 1,3 --plot chart.png --json";
    let said = succeed(dir.path(), &words(line));
    let points = events(&said, "bench");
    let names: Vec<_> = points
        .iter()
        .map(|p| (p["network"].as_str().unwrap(), number(p, "population")))
        .collect();
    let wanted = [
        ("784-10", 1.0),
        ("784-10", 3.0),
        ("784-8-10", 1.0),
        ("784-8-10", 3.0),
    ];
    assert_eq!(names, wanted);
    for point in &points {
        assert!(number(point, "cpu_ms_per_step") > 0.0);
        assert!(point["gpu"].is_null() && point["gpu_ms_per_step"].is_null());
        assert!(point["speedup"].is_null());
        assert!(point.get("gpu_left_out").is_none(), "nobody asked for it");
    }
    // Nothing to compare with; but a population to compare with one member.
    let crossover = event(&said, "crossover");
    assert!(crossover["sentence"].is_null());
    let gain = crossover["populations"].as_str().unwrap();
    assert!(
        gain.contains("on the CPU") && gain.contains("P 3"),
        "{gain}"
    );
    assert_eq!(events(&said, "start_up").len(), 1);
    is_picture(&dir.path().join("chart.png"), 1200);
    assert!(!dir.path().join("bench.png").exists());
}

#[test]
fn what_takes_too_long_is_left_out_with_its_reason() {
    let dir = tempdir().unwrap();
    // Hours of work: no side can take eight steps of it within a second.
    let line = "bench --device cpu --networks 784-4096-4096-10 --batches 60000 --populations 1 --budget 1 --json";
    let said = succeed(dir.path(), &words(line));
    let point = event(&said, "bench");
    assert!(point["cpu_ms_per_step"].is_null(), "{point}");
    let why = point["cpu_left_out"].as_str().unwrap();
    assert!(why.contains("--budget") || why.contains("memory"), "{why}");
}

#[test]
fn bad_lists_are_refused_in_a_line() {
    let dir = tempdir().unwrap();
    let cases: [(&str, &[&str]); 8] = [
        (
            "bench --networks 784-x",
            &["--networks", "\"x\" is no width"],
        ),
        ("bench --networks 3-5", &["--networks", "784 inputs"]),
        ("bench --networks 784-0-10", &["--networks", "no width"]),
        ("bench --populations 0", &["--populations", "0"]),
        ("bench --batches 0", &["--batches", "0"]),
        ("bench --batches 32,many", &["--batches", "many"]),
        ("bench --quick --batches 32", &["--quick"]),
        ("bench --budget 0", &["--budget"]),
    ];
    for (line, said) in cases {
        refuse(dir.path(), &words(line), 2, said);
    }
    assert!(!dir.path().join("bench.png").exists());
}
