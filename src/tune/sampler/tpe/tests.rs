use super::*;
use crate::tune::distribution::Distribution;
use crate::tune::sampler::testing::{
    MINIMIZE, check_conditions, check_fixed, check_reproducible, check_respects, choices, cube,
    finished, loss, mixed_space, parameter, play,
};
use crate::tune::trial::Direction;

#[test]
fn what_is_common_to_all_samplers() {
    check_respects(&mut Tpe::default(), 10_000);
    check_conditions(&mut Tpe::default(), 2000);
    check_fixed(&mut Tpe::default(), 500);
    check_reproducible(|| Box::<Tpe>::default(), 60);
}

fn ask(space: &Space, trials: &[Trial], number: u32, fixed: &[(&str, f64)]) -> Point {
    ask_for(&mut Tpe::default(), space, MINIMIZE, trials, number, fixed)
}

fn ask_for(
    tpe: &mut Tpe,
    space: &Space,
    directions: &[Direction],
    trials: &[Trial],
    number: u32,
    fixed: &[(&str, f64)],
) -> Point {
    let fixed = fixed
        .iter()
        .map(|(name, value)| (name.to_string(), *value))
        .collect();
    let question = Question {
        space,
        directions,
        trials,
        number,
        seed: 1,
        fixed: &fixed,
    };
    tpe.sample(&question).unwrap().point
}

/// `log_pdf` of the `_ParzenEstimator` of Optuna 5.0.0, with the defaults of its TPESampler, for the
/// first n of the observations below (sorted stably: numpy's argsort leaves it open which of equal values
/// gets which width) at the 100th, 203rd and 317th of them.
#[test]
fn densities_are_optunas() {
    let expected: [(u64, [f64; 3]); 5] = [
        (
            0,
            [-13.44406734806111, -13.871416062660991, -14.179464239610994],
        ),
        (
            1,
            [-13.59952586456529, -14.061473045630281, -14.506283091915241],
        ),
        (
            2,
            [
                -12.701087850127191,
                -13.043633698583264,
                -14.062989593438017,
            ],
        ),
        (
            12,
            [-11.204189766624593, -8.52814327561651, -14.517695393054083],
        ),
        (
            130,
            [-1.991462167526964, -18.236989701233306, -18.547692982903463],
        ),
    ];
    let float = |low, high, log, step| Distribution::float(low, high, log, step).unwrap();
    let int = |low, high, log, step| Distribution::int(low, high, log, step).unwrap();
    let space = Space::new(vec![
        parameter("lr", float(1e-5, 1.0, true, None)),
        parameter("dropout", float(-0.5, 0.25, false, None)),
        parameter("decay", float(0.1, 0.9, false, Some(0.2))),
        parameter("layers", int(-3, 11, false, 2)),
        parameter("width", int(1, 300, true, 1)),
        parameter("opt", choices(&["sgd", "momentum", "adam"])),
    ])
    .unwrap();
    let observation = |k: u64| {
        [
            10_f64.powf(-((k * 7 % 11) as f64) / 2.5),
            -0.5 + 0.75 * ((k * 5 % 13) as f64 / 13.0),
            0.1 + 0.2 * (k * 3 % 5) as f64,
            -3.0 + 2.0 * (k * k % 8) as f64,
            (1 + k * k * k * 31 % 300) as f64,
            (k * k % 3) as f64,
        ]
    };
    for (n, expected) in expected {
        let names = || space.parameters().iter().map(|p| p.name.clone());
        let trials: Vec<Trial> = (0..n)
            .map(|k| {
                let point = names().zip(observation(k)).collect();
                finished(k as u32, &space, point, 0.0)
            })
            .collect();
        let mut tpe = Tpe::default();
        tpe.history
            .follow(&space, &trials.iter().collect::<Vec<_>>());
        let all: Vec<usize> = (0..6).collect();
        let sets = tpe.fit(&all, &vec![true; n as usize]);
        let columns: Vec<&Column> = tpe.history.columns.iter().collect();
        let observed = [100, 203, 317].map(observation);
        let points: Vec<Vec<f64>> = (0..6)
            .map(|ix| observed.map(|o| columns[ix].transform(o[ix])).to_vec())
            .collect();
        let weights = recency_weights(n as usize);
        let found = Parzen::new(columns, &sets, Set::Below, weights).log_density(&points);
        for (found, expected) in found.iter().zip(expected) {
            let error = (found - expected).abs();
            assert!(error < 1e-9, "{n} observations: {found}, not {expected}");
        }
    }
}

/// `default_weights` of Optuna 5.0.0.
#[test]
fn weights_are_optunas() {
    assert_eq!(recency_weights(25), [1.0; 25]);
    assert_eq!(recency_weights(26)[..2], [1.0 / 26.0, 1.0]);
    let of_30 = recency_weights(30);
    assert_eq!(of_30.len(), 30);
    let ramp = [1.0 / 30.0, 0.275, 0.5166666666666667, 0.7583333333333333];
    for (found, expected) in of_30.iter().zip(ramp) {
        assert!((found - expected).abs() < 1e-15, "{found}");
    }
    assert_eq!(of_30[4..], [1.0; 26]);
}

/// Draws are as frequent as the density says, in every kind of column.
#[test]
fn draws_follow_the_density() {
    let space = mixed_space();
    let mut trials = Vec::new();
    play(&mut Random, &space, 2, 12, &mut trials, loss);
    let mut tpe = Tpe::default();
    tpe.history
        .follow(&space, &trials.iter().collect::<Vec<_>>());
    for ix in 0..7 {
        let sets = tpe.fit(&[ix], &[true; 12]);
        let column = &tpe.history.columns[ix];
        let good = Parzen::new(vec![column], &sets, Set::Below, recency_weights(12));
        let mut stream = Stream::new(1, Purpose::Sampler, ix as u32);
        let n = 20_000;
        let mut draws: Vec<f64> = (0..n)
            .map(|_| good.draw(good.weights(), &[None], &mut stream)[0])
            .collect();
        draws.sort_unstable_by(f64::total_cmp);
        // Of the mass up to some values.
        let mut mass = 0.0;
        let mut check = |below: f64, density: f64| {
            mass += density;
            let share = draws.partition_point(|&x| x <= below) as f64 / f64::from(n);
            // Four standard deviations.
            assert!((share - mass).abs() < 0.015, "{ix}: {share} {mass}");
        };
        match column.distribution.count() {
            Some(count) => {
                let unit = |k: u64| (k as f64 + 0.5) / count as f64;
                for k in 0..count {
                    let internal = match column.distribution {
                        Distribution::Int { log: true, low, .. } => (low + k as i64) as f64,
                        ref other => from_unit(other, unit(k)),
                    };
                    let x = column.transform(internal);
                    check(x + 1e-9, good.log_density(&[vec![x]])[0].exp());
                }
            }
            None => {
                let cells = 2000;
                let width = (column.high - column.low) / f64::from(cells);
                for k in 0..cells {
                    let left = column.low + f64::from(k) * width;
                    let middle = vec![left + 0.5 * width];
                    check(left + width, good.log_density(&[middle])[0].exp() * width);
                }
            }
        }
        assert!((mass - 1.0).abs() < 1e-3, "{ix}: the whole mass is {mass}");
    }
}

#[test]
fn startup_trials_are_random_and_failed_ones_do_not_count() {
    let space = mixed_space();
    let mut trials = Vec::new();
    play(&mut Random, &space, 1, 10, &mut trials, loss);
    let random = {
        let mut longer = trials.clone();
        play(&mut Random, &space, 1, 11, &mut longer, loss);
        longer.pop().unwrap().params
    };
    assert_ne!(ask(&space, &trials, 10, &[]), random);
    for state in [TrialState::Fail, TrialState::Running, TrialState::Waiting] {
        trials[4].state = state;
        assert_eq!(ask(&space, &trials, 10, &[]), random);
    }
    trials[4].state = TrialState::Pruned;
    assert_ne!(ask(&space, &trials, 10, &[]), random);
}

/// The cache follows trials that end out of order, fail, or get their parameters late.
#[test]
fn what_is_kept_changes_no_answer() {
    let space = mixed_space();
    let mut trials = Vec::new();
    play(&mut Random, &space, 1, 40, &mut trials, loss);
    let mut kept = Tpe::default();
    for number in 15..40 {
        let mut seen = trials[..number].to_vec();
        for (ix, trial) in seen.iter_mut().enumerate().skip(number - 5) {
            trial.state =
                [TrialState::Running, TrialState::Complete, TrialState::Fail][(ix * number) % 3];
            if trial.state == TrialState::Running && (ix + number) % 4 == 0 {
                trial.params.clear();
            }
        }
        let number = number as u32;
        let answer = ask_for(&mut kept, &space, MINIMIZE, &seen, number, &[]);
        assert_eq!(answer, ask(&space, &seen, number, &[]), "trial {number}");
    }
    let mut late = trials[..20].to_vec();
    late[19].values = vec![-1.0];
    let done = late[19].clone();
    late[19].state = TrialState::Running;
    late[19].params.clear();
    let mut kept_late = Tpe::default();
    for trial in [late[19].clone(), done] {
        late[19] = trial;
        let answer = ask_for(&mut kept_late, &space, MINIMIZE, &late, 40, &[]);
        assert_eq!(answer, ask(&space, &late, 40, &[]));
    }
    assert_eq!(
        ask_for(&mut kept, &cube(2), MINIMIZE, &trials, 40, &[]),
        ask(&cube(2), &trials, 40, &[])
    );
}

#[test]
fn running_trials_keep_others_away() {
    let space = cube(1);
    let mut trials = Vec::new();
    let distance = |point: &Point| (point["x00"] - 0.3).abs();
    play(&mut Random, &space, 1, 40, &mut trials, distance);
    let best = *trials
        .iter()
        .min_by(|a, b| a.values[0].total_cmp(&b.values[0]))
        .map(|trial| &trial.params["x00"])
        .unwrap();
    let mut crowded = trials.clone();
    for number in 40..50 {
        let point = Point::from([("x00".to_string(), best)]);
        let mut trial = finished(number, &space, point, 0.0);
        trial.state = TrialState::Running;
        crowded.push(trial);
    }
    let mean = |trials: &[Trial]| {
        let away = |number| (ask(&space, trials, number, &[])["x00"] - best).abs();
        (100..200).map(away).sum::<f64>() / 100.0
    };
    let (alone, among) = (mean(&trials), mean(&crowded));
    assert!(
        among > 1.5 * alone,
        "{among} among running trials, {alone} alone"
    );
}

/// Good trials lie on the diagonal, so one fixed coordinate says where the other should be.
#[test]
fn fixed_values_are_conditions() {
    let space = cube(2);
    let mut trials = Vec::new();
    let off_diagonal = |point: &Point| (point["x00"] - point["x01"]).abs();
    play(&mut Random, &space, 1, 200, &mut trials, off_diagonal);
    // One candidate shows the density itself, which is wider than what is chosen of many.
    for (n_candidates, tolerance) in [(1, 0.3), (24, 0.15)] {
        let mut tpe = Tpe {
            n_candidates,
            ..Tpe::default()
        };
        for fixed in [-0.8, 0.0, 0.8] {
            let known = [("x01", fixed)];
            let mut free =
                |number| ask_for(&mut tpe, &space, MINIMIZE, &trials, number, &known)["x00"];
            let mean = (200..300).map(&mut free).sum::<f64>() / 100.0;
            assert!((mean - fixed).abs() < tolerance, "{mean} beside {fixed}");
        }
    }
}

#[test]
fn parameters_under_one_condition_have_one_density() {
    let names = |apart| {
        let space = mixed_space();
        let name = |ix: usize| space.parameters()[ix].name.clone();
        let of = |group: Vec<usize>| group.into_iter().map(name).collect::<Vec<_>>().join(" ");
        groups(&space, apart)
            .into_iter()
            .map(of)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(false),
        [
            "lr dropout decay layers width opt amsgrad single",
            "momentum kind",
            "lag"
        ]
    );
    assert_eq!(names(true).len(), 11);
}

#[test]
fn it_is_much_better_than_chance() {
    let median = |sampler: fn() -> Box<dyn Sampler>| {
        let mut best: Vec<f64> = (0..9)
            .map(|seed| {
                let mut trials = Vec::new();
                play(&mut *sampler(), &cube(4), seed, 80, &mut trials, loss);
                let values = trials.iter().map(|trial| trial.values[0]);
                values.fold(f64::INFINITY, f64::min)
            })
            .collect();
        best.sort_unstable_by(f64::total_cmp);
        best[4]
    };
    let (tpe, random) = (
        median(|| Box::<Tpe>::default()),
        median(|| Box::new(Random)),
    );
    assert!(tpe < 0.3 * random, "{tpe}, random {random}");
}

/// x^2 against (x - 1)^2 in one coordinate, nothing in the others: the good ones are x in [0, 1].
#[test]
fn several_objectives() {
    let space = cube(3);
    let directions = [Direction::Minimize, Direction::Maximize];
    let mut tpe = Tpe::default();
    let mut trials: Vec<Trial> = Vec::new();
    for number in 0..120 {
        let point = ask_for(&mut tpe, &space, &directions, &trials, number, &[]);
        let (x, y) = (2.0 * point["x00"], point["x01"]);
        let mut trial = finished(number, &space, point, 0.0);
        trial.values = vec![x * x + y * y, -(x - 1.0).powi(2) - y * y];
        trials.push(trial);
    }
    let good = trials[60..].iter().filter(|trial| {
        let (x, y) = (trial.params["x00"], trial.params["x01"]);
        (-0.1..0.6).contains(&x) && y.abs() < 0.3
    });
    // By chance 10 % of 60.
    assert!(good.clone().count() > 25, "{}", good.count());
}
