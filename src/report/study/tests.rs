//! Tests of the study's charts and page.

mod degenerate;
mod fake;
mod of_page;

use super::spots::Mark;
use super::*;
use crate::report::canvas::tests::{about, decode};
use crate::report::canvas::{BLUE, ORANGE, PALE_BLUE, Rgb, VERMILLION, Xy};
use crate::tune::trial::TrialState;
use fake::{Fake, search, two_objectives};

/// The charts of a study; every one has the size that it says.
fn drawn(name: &str, study: &Study) -> Vec<(Chart, image::RgbImage)> {
    let all = charts(study).expect("draws").into_iter();
    let seen = all.map(|chart| {
        let image = decode(&format!("{name}-{}", chart.name), &chart.png);
        assert_eq!(image.dimensions(), chart.size);
        let inside = |at: &Xy| {
            let (width, height) = (f64::from(chart.size.0), f64::from(chart.size.1));
            (0.0..=width).contains(&at.0) && (0.0..=height).contains(&at.1)
        };
        assert!(
            chart.spots.iter().flat_map(places).all(|at| inside(&at)),
            "{name}: {}",
            chart.name
        );
        (chart, image)
    });
    seen.collect()
}

fn places(spot: &Spot) -> Vec<Xy> {
    match &spot.mark {
        Mark::Dot(at) => vec![*at],
        Mark::Line(points) => points.clone(),
    }
}

fn names(charts: &[(Chart, image::RgbImage)]) -> Vec<&str> {
    charts.iter().map(|(chart, _)| chart.name).collect()
}

/// The place of a trial's only dot or the points of its line.
fn of_trial(chart: &Chart, trial: usize) -> Vec<Xy> {
    let found = chart.spots.iter().find(|spot| spot.trial == trial);
    found.map(places).expect("the trial is drawn")
}

/// The colour of a dot that lets 15 % of the white ground through.
fn veiled(colour: Rgb) -> Rgb {
    colour.map(|channel| (f64::from(channel) * 0.85 + 255.0 * 0.15) as u8)
}

#[test]
fn a_search_in_five_charts() {
    let fake = search(80);
    let study = fake.study();
    let charts = drawn("search", &study);
    let again = super::charts(&study).expect("draws").into_iter();
    assert!(again.zip(&charts).all(|(a, (b, _))| a.png == b.png));
    assert_eq!(
        names(&charts),
        [
            "history",
            "importances",
            "parallel",
            "slices",
            "learning-curves"
        ]
    );
    let found = |ix: usize, colour| about(&charts[ix].1, colour, 0..1200, 62..1000);
    assert!(found(0, VERMILLION) > 1000, "the best so far");
    assert!(found(0, veiled(BLUE)) > 500 && found(0, veiled(PALE_BLUE)) > 500);
    assert!(found(1, BLUE) > 5000, "bars");
    assert!(found(2, VERMILLION) > 2000, "the best line");
    assert!(found(4, VERMILLION) > 1000 && found(4, ORANGE) > 200);

    // Every trial with a value is in the history, and the winner above all others.
    let view = View::new(&study);
    let history = &charts[0].0;
    let with_value = view.trials.iter().filter(|t| view.value(t, 0).is_some());
    assert_eq!(history.spots.len(), with_value.count());
    let winner = of_trial(history, view.winners[0])[0];
    assert!(
        history
            .spots
            .iter()
            .flat_map(places)
            .all(|at| winner.1 <= at.1)
    );
    // A pruned curve ends where it was pruned, left of the complete ones.
    let curves = &charts[4].0;
    let ends = |state: TrialState| -> Vec<f64> {
        let of = curves.spots.iter();
        let of = of.filter(|spot| view.trials[spot.trial].state == state);
        of.map(|spot| places(spot).last().expect("points").0)
            .collect()
    };
    let (pruned, complete) = (ends(TrialState::Pruned), ends(TrialState::Complete));
    let last_pruned = pruned.iter().copied().fold(0.0, f64::max);
    assert!(complete.iter().all(|x| *x > last_pruned));
    let sheet = decode("search-sheet", &sheet(&study).expect("draws"));
    assert_eq!(sheet.dimensions(), (1200, 884));
    for (columns, rows) in [
        (0..600, 100..444),
        (600..1200, 100..444),
        (400..1200, 500..884),
    ] {
        assert!(about(&sheet, VERMILLION, columns, rows) > 200);
    }
    assert!(about(&sheet, BLUE, 0..400, 490..884) > 5000);
}

#[test]
fn the_best_line_lies_on_top() {
    let mut fake = search(30);
    let winner = View::new(&fake.study()).winners[0];
    // Another trial with the same parameters, and a little worse.
    let mut twin = fake.trials[winner].clone();
    (twin.number, twin.values[0]) = (30, twin.values[0] - 0.003);
    let alone = drawn("alone", &fake.study());
    fake.trials.push(twin);
    let both = drawn("twins", &fake.study());
    let red =
        |charts: &[(Chart, image::RgbImage)]| about(&charts[2].1, VERMILLION, 0..950, 62..540);
    assert!(red(&both) * 20 > red(&alone) * 19);
}

#[test]
fn parallel_axes_have_their_scales() {
    let mut fake = search(12);
    for (ix, (opt, lr)) in [(0.0, 1e-5), (0.0, 10f64.powf(-2.5)), (2.0, 1.0)]
        .into_iter()
        .enumerate()
    {
        let trial = &mut fake.trials[ix];
        trial.state = TrialState::Complete;
        trial.values = vec![0.9];
        trial.params.insert("opt".to_string(), opt);
        trial.params.insert("lr".to_string(), lr);
        trial.params.insert("momentum".to_string(), 0.0);
    }
    fake.trials[0].params.remove("momentum");
    let charts = drawn("scales", &fake.study());
    let line = |trial| of_trial(&charts[2].0, trial);
    let [low, middle, high] = [line(0)[1].1, line(1)[1].1, line(2)[1].1];
    assert!(
        (middle - (low + high) / 2.0).abs() < 1.0,
        "half way on the log scale"
    );
    assert_eq!(line(0)[0], line(1)[0], "the same choice");
    assert!(line(2)[0].1 < line(0)[0].1 - 50.0, "another choice");
    assert!(line(0)[2].1 > line(1)[2].1 + 20.0, "not set lies below 0");
    // Over the same axis in the slices.
    let slices = &charts[3].0;
    let of_lr = slices
        .spots
        .iter()
        .filter(|spot| (370.0..790.0).contains(&places(spot)[0].0));
    let x = |trial| {
        let spot = of_lr
            .clone()
            .find(|spot| spot.trial == trial && places(spot)[0].1 < 350.0);
        places(spot.expect("drawn"))[0].0
    };
    assert!((x(1) - (x(0) + x(2)) / 2.0).abs() < 1.0);
}

#[test]
fn two_objectives_have_a_front() {
    let mut fake = two_objectives(60);
    let charts = drawn("front", &fake.study());
    assert_eq!(
        names(&charts),
        ["history", "pareto", "importances", "parallel", "slices"]
    );
    assert!(about(&charts[1].1, VERMILLION, 0..1200, 62..560) > 200);
    // By hand: the second is worse in both than the first; the last two are equal.
    let values = [
        [0.9, 500.0],
        [0.8, 600.0],
        [0.95, 900.0],
        [0.7, 100.0],
        [0.7, 100.0],
    ];
    fake.trials.truncate(values.len());
    for (trial, values) in fake.trials.iter_mut().zip(values) {
        (trial.state, trial.values) = (TrialState::Complete, values.to_vec());
    }
    let study = fake.study();
    assert_eq!(View::new(&study).winners, [2, 0, 3, 4]);
    decode("front-sheet", &sheet(&study).expect("draws"));
    // With one objective the first of equals wins, in its direction.
    fake.objectives.truncate(1);
    let study = fake.study();
    assert_eq!(View::new(&study).winners, [2]);
    fake.objectives[0].higher_is_better = false;
    let study = fake.study();
    assert_eq!(View::new(&study).winners, [3]);
}

#[test]
fn a_few_bad_trials_do_not_squeeze_the_good_ones() {
    let mut fake = search(40);
    for trial in &mut fake.trials[..3] {
        (trial.state, trial.values) = (TrialState::Complete, vec![0.1]);
    }
    let charts = drawn("outliers", &fake.study());
    let view_of = fake.study();
    let view = View::new(&view_of);
    let good = charts[0].0.spots.iter().filter(|spot| {
        let trial = view.trials[spot.trial];
        trial.state == TrialState::Complete && trial.values[0] > 0.9
    });
    let rows: Vec<f64> = good.map(|spot| places(spot)[0].1).collect();
    let ends = rows
        .iter()
        .fold((1e9, 0.0f64), |e: Xy, y| (e.0.min(*y), e.1.max(*y)));
    assert!(ends.1 - ends.0 > 60.0, "{ends:?}");
}
