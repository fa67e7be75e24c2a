use super::*;
use crate::tune::sampler::rehearsal::{Study, check_side_by_side};
use crate::tune::sampler::testing::{
    check_conditions, check_fixed, check_reproducible, check_respects, choices, parameter,
};
use crate::tune::trial::Point;

fn sphere(point: &Point) -> Vec<f64> {
    vec![point.values().map(|x| (x - 1.5) * (x - 1.5)).sum()]
}

#[test]
fn what_is_common_to_all_samplers() {
    check_respects(&mut CmaEs::default(), 10_000);
    check_conditions(&mut CmaEs::default(), 500);
    check_fixed(&mut CmaEs::default(), 500);
    check_reproducible(|| Box::new(CmaEs::default()), 100);
}

#[test]
fn it_finds_the_minimum_of_the_sphere() {
    let mut study = Study::box_of(5, -5.0, 5.0, 1);
    study.run(&mut CmaEs::default(), 1500, sphere);
    assert!(study.minimum() < 1e-10, "{}", study.minimum());
}

#[test]
fn it_finds_a_maximum_where_that_is_asked_for() {
    let mut study = Study::box_of(3, -5.0, 5.0, 1);
    study.directions = vec![Direction::Maximize];
    study.run(&mut CmaEs::default(), 600, |x| vec![-sphere(x)[0]]);
    let values = study.trials.iter().map(|t| t.values[0]);
    let best = values.fold(f64::NEG_INFINITY, f64::max);
    assert!(best > -1e-6, "{best}");
}

#[test]
fn it_finds_whole_numbers_and_scales() {
    let space = Space::new(vec![
        parameter("width", Distribution::int(16, 512, true, 1).unwrap()),
        parameter("layers", Distribution::int(1, 9, false, 2).unwrap()),
        parameter("rate", Distribution::float(1e-5, 1e-1, true, None).unwrap()),
        parameter("opt", choices(&["sgd", "adam"])),
    ]);
    let mut study = Study::new(space.unwrap(), 3);
    study.run(&mut CmaEs::default(), 300, |point| {
        let width = libm::log2(point["width"]) - 6.0;
        let layers = (point["layers"] - 5.0) / 4.0;
        let rate = libm::log10(point["rate"]) + 3.0;
        vec![width * width + layers * layers + rate * rate]
    });
    assert!(study.minimum() < 1e-2, "{}", study.minimum());
    let adam = study
        .trials
        .iter()
        .filter(|t| t.params["opt"] == 1.0)
        .count();
    assert!((110..190).contains(&adam), "{adam} of 300 random choices");
}

#[test]
fn trials_side_by_side_go_on_with_a_new_sampler() {
    for n in [20, 33, 60] {
        let study = Study::box_of(3, -1.0, 2.0, 5);
        let trials = check_side_by_side::<CmaEs>(&study, n, sphere);
        let begun = trials
            .iter()
            .filter(|t| t.system.contains_key("cmaes:told"));
        assert!(begun.count() >= n / 14, "too few generations");
    }
}

#[test]
fn an_answer_that_was_not_used_changes_nothing() {
    let mut study = Study::box_of(2, -1.0, 2.0, 5);
    let (first, population) = (study.start(&mut CmaEs::default()), 6);
    study.run(&mut CmaEs::default(), population, sphere);
    let mut sampler = CmaEs::default();
    let unused = sampler.sample(&study.question()).unwrap();
    assert_eq!(unused.system["cmaes:told"], "[1, 2, 3, 4, 5, 6]");
    study.finish(first, vec![0.0]);
    let answer = sampler.sample(&study.question()).unwrap();
    assert_eq!(answer.system["cmaes:told"], "[0, 1, 2, 3, 4, 5]");
    assert_eq!(answer, CmaEs::default().sample(&study.question()).unwrap());
}

#[test]
fn what_was_pruned_counts_as_worse_than_what_was_not() {
    let ended = |state, step, value| {
        let mut trial = Trial::new(0, 0, state);
        trial.values = vec![value];
        trial.intermediate.insert(step, value);
        trial
    };
    let mut trials = [
        ended(TrialState::Pruned, 2, 0.1),
        ended(TrialState::Complete, 9, f64::NAN),
        ended(TrialState::Pruned, 5, 0.7),
        ended(TrialState::Pruned, 5, 0.3),
        ended(TrialState::Complete, 9, 0.9),
    ];
    trials.sort_by(|a, b| compare(a, b, Direction::Minimize));
    let order: Vec<String> = trials
        .iter()
        .map(|t| format!("{:?}", t.values[0]))
        .collect();
    assert_eq!(order, ["0.9", "NaN", "0.3", "0.7", "0.1"]);
}

#[test]
fn spaces_and_studies_that_are_not_for_it_are_refused() {
    let space = Space::new(vec![parameter("choice", choices(&["a", "b"]))]).unwrap();
    let study = Study::new(space, 0);
    let error = CmaEs::default().sample(&study.question()).unwrap_err();
    assert!(error.to_string().contains("ranges"), "{error}");

    let mut study = Study::box_of(2, 0.0, 1.0, 0);
    study.directions.push(Direction::Maximize);
    let error = CmaEs::default().sample(&study.question()).unwrap_err();
    assert!(error.to_string().contains("one objective"), "{error}");
}
