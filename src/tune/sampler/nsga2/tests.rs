use super::*;
use crate::tune::sampler::rehearsal::{Study, check_side_by_side};
use crate::tune::sampler::testing::{
    check_conditions, check_fixed, check_reproducible, check_respects,
};
use crate::tune::trial::Point;

/// ZDT1 (Zitzler, Deb and Thiele 2000): its front is f2 = 1 - sqrt(f1), where all but x1 are 0.
fn zdt1(point: &Point) -> Vec<f64> {
    let x: Vec<f64> = point.values().copied().collect();
    let g = 1.0 + 9.0 * x[1..].iter().sum::<f64>() / (x.len() - 1) as f64;
    vec![x[0], g * (1.0 - (x[0] / g).sqrt())]
}

/// Area that two objectives dominate below (1.1, 7).
fn hypervolume(trials: &[Trial]) -> f64 {
    let values: Vec<Vec<f64>> = trials.iter().map(|trial| trial.values.clone()).collect();
    let front = pareto::front(&values, &[Direction::Minimize; 2]);
    let mut front: Vec<&Vec<f64>> = front.iter().map(|&ix| &values[ix]).collect();
    front.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let mut top = 7.0;
    let mut area = 0.0;
    for row in front {
        area += (1.1 - row[0]) * (top - row[1]).max(0.0);
        top = row[1].min(top);
    }
    area
}

#[test]
fn what_is_common_to_all_samplers() {
    check_respects(&mut Nsga2::default(), 10_000);
    check_conditions(&mut Nsga2::default(), 500);
    check_fixed(&mut Nsga2::default(), 500);
    check_reproducible(|| Box::new(Nsga2::default()), 130);
}

#[test]
fn its_front_of_zdt1_is_larger_than_that_of_random_points() {
    for seed in 0..3 {
        let mut study = Study::box_of(8, 0.0, 1.0, seed);
        study.directions = vec![Direction::Minimize; 2];
        let mut random = study.clone();
        study.run(&mut Nsga2::default(), 800, zdt1);
        random.run(&mut Random, 800, zdt1);
        let (evolved, random) = (hypervolume(&study.trials), hypervolume(&random.trials));
        // The whole front has 7.7 - 1 / 3 = 7.37.
        assert!(
            evolved > random + 0.5,
            "seed {seed}: {evolved} against {random}"
        );
        assert!(evolved > 6.3, "seed {seed}: {evolved}");
    }
}

#[test]
fn a_maximum_of_one_objective_is_found() {
    let mut study = Study::box_of(3, -1.0, 1.0, 1);
    study.directions = vec![Direction::Maximize];
    study.run(&mut Nsga2::default(), 600, |point| {
        vec![-point.values().map(|x| (x - 0.5) * (x - 0.5)).sum::<f64>()]
    });
    let values = study.trials.iter().map(|trial| trial.values[0]);
    let best = values.fold(f64::NEG_INFINITY, f64::max);
    assert!(best > -0.01, "{best}");
    let late = study.trials[500..]
        .iter()
        .map(|trial| trial.values[0])
        .sum::<f64>()
        / 100.0;
    // Random points have a mean of -1.75.
    assert!(late > -0.8, "{late}");
}

#[test]
fn trials_side_by_side_go_on_with_a_new_sampler() {
    let study = Study::box_of(3, 0.0, 1.0, 5);
    let trials = check_side_by_side::<Nsga2>(&study, 200, |point| vec![zdt1(point)[1]]);
    let begun: Vec<&str> = trials
        .iter()
        .filter(|t| t.system.contains_key("nsga2:parents"))
        .map(|t| t.system["nsga2:generation"].as_str())
        .collect();
    assert_eq!(begun, ["1", "2", "3"]);
}

#[test]
fn the_best_survive_and_the_crowded_do_not() {
    let mut study = Study::box_of(2, 0.0, 1.0, 3);
    study.directions = vec![Direction::Minimize; 2];
    let mut sampler = Nsga2::default();
    // 60 in a row on one front, of which 20 stand close together.
    let running: Vec<usize> = (0..60).map(|_| study.start(&mut sampler)).collect();
    for ix in running {
        let x = if ix < 20 {
            0.5 + 1e-4 * ix as f64
        } else {
            (ix - 20) as f64 / 39.0
        };
        study.finish(ix, vec![x, 1.0 - x]);
    }
    sampler.sample(&study.question()).unwrap();
    let survivors = sampler.survivors(&study.question());
    assert_eq!(survivors.len(), POPULATION);
    assert!((20..60).all(|n| survivors.contains(&n)), "{survivors:?}");
}
