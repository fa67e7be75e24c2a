//! Studies that are empty, odd or enormous.

use super::fake::{Dice, choices, draw, parameter, range, set};
use super::*;
use crate::tune::distribution::Distribution;
use crate::tune::space::{Parameter, Space};
use crate::tune::trial::Trial;

/// Charts, sheet and page of a study; none of them may fail.
fn all(name: &str, fake: &Fake) -> (Vec<(Chart, image::RgbImage)>, String) {
    let study = fake.study();
    let drawn = drawn(name, &study);
    decode(&format!("{name}-sheet"), &sheet(&study).expect("draws"));
    let charts: Vec<Chart> = drawn.iter().map(|(chart, _)| chart.clone()).collect();
    let page = page(&study, &charts);
    crate::report::html::tests::keep(&format!("{name}.html"), &page);
    assert!(crate::report::html::tests::balanced(&page), "{name}");
    (drawn, page)
}

/// Complete trials over a space, their values decided by the first parameter.
fn over(parameters: Vec<Parameter>, count: u32) -> Fake {
    let mut fake = search(0);
    fake.space = Space::new(parameters).expect("a space");
    fake.importances.clear();
    let mut dice = Dice(3);
    fake.trials = (0..count)
        .map(|number| {
            let mut trial = Trial::new(0, number, TrialState::Complete);
            for parameter in fake.space.parameters() {
                set(
                    &mut trial,
                    parameter,
                    draw(&parameter.distribution, dice.unit()),
                );
            }
            trial.values = vec![0.9 + 0.05 * dice.unit()];
            trial
        })
        .collect();
    fake
}

#[test]
fn nothing_at_all() {
    let mut fake = search(0);
    let (charts, page) = all("none", &fake);
    assert_eq!(
        names(&charts),
        ["history", "importances", "parallel", "slices"]
    );
    assert!(!page.contains("<script") && !page.contains("Best trial"));
    (fake.space, fake.importances) = (Space::default(), Vec::new());
    fake.objectives.clear();
    let (charts, page) = all("nothing", &fake);
    assert_eq!(names(&charts), ["history"]);
    assert!(page.contains("over 0 parameters in 0 trials."));
}

#[test]
fn one_trial_and_failures_only() {
    let mut fake = search(1);
    let (charts, page) = all("one", &fake);
    assert_eq!(charts.len(), 5);
    assert_eq!(of_trial(&charts[0].0, 0).len(), 1);
    assert!(page.contains("in 1 trial: 1 complete."));
    fake.trials[0].intermediate.retain(|step, _| *step == 1);
    all("one-epoch", &fake);
    let mut fake = search(20);
    for trial in &mut fake.trials {
        trial.state = TrialState::Fail;
        (trial.values, trial.intermediate) = Default::default();
    }
    let (charts, page) = all("failed", &fake);
    assert!(charts.iter().all(|(chart, _)| chart.spots.is_empty()));
    assert!(page.contains("20 failed."));
    for (trial, state) in fake.trials.iter_mut().zip(TrialState::ALL) {
        trial.state = state;
    }
    let (_, page) = all("every-state", &fake);
    assert!(page.contains("1 running, 1 complete, 1 pruned, 16 failed, 1 waiting."));
}

#[test]
fn values_that_are_no_numbers() {
    let strange = [
        f64::NAN,
        f64::INFINITY,
        -f64::INFINITY,
        1e300,
        -1e300,
        0.0,
        -0.0,
        1e-300,
    ];
    let spoilt = |count| {
        let mut fake = search(count);
        for (trial, value) in fake.trials.iter_mut().zip(strange) {
            (trial.state, trial.values) = (TrialState::Complete, vec![value]);
            trial.intermediate = [(-1, 0.5), (1, value), (2, 0.5), (i64::MAX, value)].into();
            for parameter in ["lr", "batch", "opt"] {
                trial.params.insert(parameter.to_string(), value);
            }
        }
        fake.importances[1].1 = f64::NAN;
        fake.importances[2].1 = f64::INFINITY;
        fake.importances[3].1 = -1.0;
        fake
    };
    let (charts, page) = all("strange", &spoilt(20));
    assert_eq!(charts.len(), 5);
    assert!(page.contains("<td>NaN</td>") && page.contains("<td>-inf</td>"));
    // Nothing else, and the lowest is best.
    let mut fake = spoilt(8);
    fake.objectives[0] = Metric {
        name: "loss",
        unit: "",
        scale: 1.0,
        bounds: (0.0, f64::INFINITY),
        higher_is_better: false,
    };
    all("strange-loss", &fake);
    fake.objectives.push(super::fake::SIZE);
    all("strange-two", &fake);
}

#[test]
fn a_constant_objective() {
    let mut fake = over(vec![parameter("only", range(0.5, 0.5, false))], 10);
    for trial in &mut fake.trials {
        trial.values = vec![0.5];
    }
    let (charts, _) = all("constant", &fake);
    assert_eq!(names(&charts), ["history", "parallel", "slices"]);
    let rows: Vec<f64> = (0..10).map(|ix| of_trial(&charts[0].0, ix)[0].1).collect();
    assert!(rows.iter().all(|y| *y == rows[0]));
    fake.objectives.push(super::fake::SIZE);
    fake.trials
        .iter_mut()
        .for_each(|trial| trial.values.push(7.0));
    all("constant-two", &fake);
}

#[test]
fn many_parameters_choices_and_long_names() {
    let long = "a parameter of a very long name that says everything about itself ".repeat(4);
    let words: Vec<String> = (0..20)
        .map(|i| format!("choice {i} of twenty, all long"))
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut parameters: Vec<Parameter> = (0..28)
        .map(|i| parameter(&format!("{long} {i}"), range(1e-9, 1e9, i % 2 == 0)))
        .collect();
    parameters.push(parameter("twenty", choices(&words)));
    let wide = Distribution::int(i64::MIN / 2, i64::MAX / 2, false, 1).expect("a range");
    parameters.push(parameter("huge", wide));
    let mut fake = over(parameters, 60);
    let study = fake.study();
    assert_eq!(View::new(&study).shown.len(), 12, "the first ones");
    let all_names = fake.space.parameters().iter().map(|p| p.name.clone());
    fake.importances = all_names
        .zip((0..30).map(|i| f64::from(i) / 435.0))
        .collect();
    let (_, page) = all("thirty", &fake);
    let study = fake.study();
    let shown = View::new(&study).shown;
    let first = &shown[0].parameter.name;
    assert!(shown.len() == 12 && first.ends_with(" 18"), "{first}");
    assert_eq!(shown[11].parameter.name, "huge");
    assert_eq!(page.matches("<tr id=\"trial-").count(), 60);
}

#[test]
fn a_thousand_trials() {
    let (charts, page) = all("thousand", &search(1000));
    let spots = |ix: usize| charts[ix].0.spots.len();
    assert!(spots(0) > 900 && spots(2) == spots(0) && spots(3) > 2000);
    // All but the importances and, of too many spots, the slices have their layer.
    assert_eq!(page.matches("<svg").count(), 3);
    assert_eq!(page.matches("<tr id=\"trial-").count(), 1000);
}

#[test]
fn a_space_that_has_changed_since() {
    let mut fake = search(10);
    let mut other = over(vec![parameter("opt", choices(&["adam", "lion"]))], 2);
    (other.trials[0].number, other.trials[1].number) = (10, 11);
    for (trial, choice) in other.trials.iter_mut().zip([1.0, 7.0]) {
        trial.params.insert("opt".to_string(), choice);
    }
    fake.trials.extend(other.trials);
    fake.trials.reverse();
    let (charts, page) = all("changed", &fake);
    // Other choices have places of their own; those that never were have none.
    let [lion, never] = [10, 11].map(|trial| of_trial(&charts[2].0, trial)[0].1);
    let others = (0..10).filter(|ix| charts[2].0.spots.iter().any(|s| s.trial == *ix));
    assert!(
        others
            .map(|ix| of_trial(&charts[2].0, ix)[0].1)
            .all(|y| y > lion && y < never)
    );
    assert!(page.contains("<td>lion</td>"));
    assert!(
        page.find("id=\"trial-0\"") < page.find("id=\"trial-11\""),
        "by number"
    );
}
