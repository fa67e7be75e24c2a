use super::*;
use crate::tune::distribution::Distribution;
use crate::tune::sampler::rehearsal::{Study, check_side_by_side};
use crate::tune::sampler::testing::{
    check_fixed, check_reproducible, check_respects, choices, mixed_space, parameter, under,
};
use crate::tune::space::Space;
use crate::tune::trial::Point;

fn branin(point: &Point) -> Vec<f64> {
    use std::f64::consts::PI;
    let (x, y) = (15.0 * point["x00"] - 5.0, 15.0 * point["x01"]);
    let bowl = y - 5.1 / (4.0 * PI * PI) * x * x + 5.0 / PI * x - 6.0;
    let wave = 10.0 * (1.0 - 1.0 / (8.0 * PI)) * libm::cos(x);
    vec![bowl * bowl + wave + 10.0 - 0.397_887_357_729_738_16]
}

fn hartmann6(point: &Point) -> Vec<f64> {
    const A: [[f64; 6]; 4] = [
        [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
        [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
        [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
        [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
    ];
    const P: [[f64; 6]; 4] = [
        [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
        [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
        [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
        [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
    ];
    let peaks = [1.0, 1.2, 3.0, 3.2].iter().zip(A.iter().zip(&P));
    let heights = peaks.map(|(height, (a, p))| {
        let axes = point.values().zip(a.iter().zip(p));
        height * libm::exp(-axes.map(|(x, (a, p))| a * (x - p) * (x - p)).sum::<f64>())
    });
    vec![3.322_368_01 - heights.sum::<f64>()]
}

#[test]
fn what_is_common_to_all_samplers() {
    check_respects(&mut Gp::default(), 200);
    check_fixed(&mut Gp::default(), 10);
    check_reproducible(|| Box::<Gp>::default(), 24);
}

/// As many as the other samplers draw, for whoever has the time.
#[test]
#[ignore = "takes minutes: each draw is a search of its own"]
fn ten_thousand_draws_are_what_they_may_be() {
    check_respects(&mut Gp::default(), 10_000);
}

#[test]
fn it_is_far_better_than_random_on_branin_and_hartmann() {
    for (n, f, bound) in [
        (2, branin as fn(&Point) -> Vec<f64>, 0.01),
        (6, hartmann6, 0.3),
    ] {
        for seed in 0..3 {
            let (mut gp, mut random) = (
                Study::box_of(n, 0.0, 1.0, seed),
                Study::box_of(n, 0.0, 1.0, seed),
            );
            gp.run(&mut Gp::default(), 60, f);
            random.run(&mut Random, 60, f);
            let (gp, random) = (gp.minimum(), random.minimum());
            assert!(gp < bound, "{n} dimensions, seed {seed}: {gp}");
            assert!(
                gp < 0.5 * random,
                "{n} dimensions, seed {seed}: {gp} against {random}"
            );
        }
    }
}

#[test]
fn choices_whole_numbers_and_conditions_are_learnt() {
    let float = |low, high| Distribution::float(low, high, false, None).unwrap();
    let space = Space::new(vec![
        parameter("rate", Distribution::float(1e-5, 1e-1, true, None).unwrap()),
        parameter("width", Distribution::int(16, 512, true, 1).unwrap()),
        parameter("layers", Distribution::int(1, 9, false, 2).unwrap()),
        parameter("opt", choices(&["sgd", "momentum", "adam"])),
        under(
            parameter("momentum", float(0.5, 0.99)),
            "opt",
            &["momentum"],
        ),
    ]);
    let mut study = Study::new(space.unwrap(), 3);
    study.run(&mut Gp::default(), 60, |point| {
        let rate = libm::log10(point["rate"]) + 3.0;
        let width = libm::log2(point["width"]) - 6.0;
        let layers = (point["layers"] - 5.0) / 4.0;
        let opt = point
            .get("momentum")
            .map_or(1.0, |m| 10.0 * (m - 0.9) * (m - 0.9));
        vec![rate * rate + width * width + layers * layers + opt]
    });
    assert!(study.minimum() < 0.01, "{}", study.minimum());
    let with = study.trials[30..]
        .iter()
        .filter(|t| t.params.contains_key("momentum"));
    assert!(with.count() > 20, "the better choice is not preferred");
}

#[test]
fn trials_side_by_side_look_at_different_places() {
    let study = Study::box_of(2, 0.0, 1.0, 5);
    let trials = check_side_by_side::<Gp>(&study, 40, branin);
    for (ix, trial) in trials.iter().enumerate().skip(20) {
        for other in &trials[ix - 3..ix] {
            let apart = trial.params.values().zip(other.params.values());
            let apart = apart.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(apart > 1e-6, "trials {} and {}", other.number, trial.number);
        }
    }
}

#[test]
fn it_survives_losses_that_are_all_the_same_or_no_numbers() {
    let mut study = Study::box_of(2, 0.0, 1.0, 1);
    study.run(&mut Gp::default(), 15, |_| vec![1.0]);
    study.run(&mut Gp::default(), 5, |_| vec![f64::NAN]);
    study.run(&mut Gp::default(), 5, |_| vec![f64::INFINITY]);
    assert!(study.trials.iter().all(|t| t.params.len() == 2));
    let mut study = Study::box_of(2, 0.0, 1.0, 1);
    study.run(&mut Gp::default(), 15, |_| vec![f64::NAN]);
}

#[test]
fn a_long_history_is_thinned_to_the_best_and_the_latest() {
    let observation = |number: u32| Observation {
        number,
        x: Vec::new(),
        loss: f64::from(number),
    };
    let n = MAX_POINTS as u32 * 2;
    let kept = thinned((0..n).map(observation).collect());
    let half = MAX_POINTS as u32 / 2;
    let numbers: Vec<u32> = kept.iter().map(|o| o.number).collect();
    assert_eq!(numbers, (0..half).chain(n - half..n).collect::<Vec<u32>>());
}

#[test]
fn an_anchor_grows_by_quarters() {
    let sizes: Vec<usize> = [1, 10, 12, 13, 16, 17, 60, 1000].map(anchor_size).into();
    assert_eq!(sizes, [1, 10, 10, 13, 13, 17, 55, 528]);
}

#[test]
fn more_than_one_objective_is_refused() {
    let mut study = Study::new(mixed_space(), 0);
    study.directions.push(Direction::Maximize);
    let error = Gp::default().sample(&study.question()).unwrap_err();
    assert!(error.to_string().contains("one objective"), "{error}");
}
