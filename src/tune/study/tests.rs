use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::tune::pruner::asha::Asha;
use crate::tune::pruner::hyperband::Hyperband;
use crate::tune::sampler::Question;
use crate::tune::sampler::grid::Grid;
use crate::tune::sampler::random::Random;
use crate::tune::storage::Memory;

/// Draws at random, and keeps the numbers of the trials that it was shown.
struct Shown {
    learns: bool,
    numbers: Arc<Mutex<Vec<Vec<u32>>>>,
}

impl Sampler for Shown {
    fn name(&self) -> &'static str {
        "shown"
    }

    fn sample(&mut self, question: &Question) -> Result<Answer> {
        let numbers = question.trials.iter().map(|t| t.number).collect();
        self.numbers.lock().unwrap().push(numbers);
        Random.sample(question)
    }

    fn is_model_based(&self) -> bool {
        self.learns
    }
}

#[test]
fn a_sampler_that_learns_sees_one_bracket() {
    let bracket = |number| Hyperband::default().bracket("study", number, 9);
    for learns in [true, false] {
        let numbers = Arc::new(Mutex::new(Vec::new()));
        let shown = Shown {
            learns,
            numbers: numbers.clone(),
        };
        let mut study = in_memory(Box::new(shown), Some(Box::new(Hyperband::default())));
        for _ in 0..12 {
            study.ask(99, &mut Vec::new()).unwrap().unwrap();
        }
        for (number, shown) in (0..12).zip(numbers.lock().unwrap().iter()) {
            let wanted: Vec<u32> = (0..number)
                .filter(|&other| !learns || bracket(other) == bracket(number))
                .collect();
            assert_eq!(shown, &wanted, "trial {number}");
        }
    }
}

/// A study in memory whose trials are drawn at random.
fn at_random(pruner: Option<Box<dyn Pruner>>) -> Study {
    in_memory(Box::new(Random), pruner)
}

fn in_memory(sampler: Box<dyn Sampler>, pruner: Option<Box<dyn Pruner>>) -> Study {
    let plan = Plan {
        space: crate::tune::notation::space(["lr=0..1"]).unwrap(),
        sampler,
        pruner,
        seed: 0,
        max_step: 9,
        heartbeat: Duration::from_secs(60),
    };
    let storage = Box::new(Memory::default());
    Study::open(storage, "study", &[Direction::Minimize], plan).unwrap()
}

#[test]
fn a_verdict_sees_those_before_it_in_the_same_transaction() {
    let mut study = at_random(Some(Box::new(Asha::default())));
    let mut trials = study.ask_more(&Point::new(), 3, 3).unwrap();
    let values = [0.5, 1.0, 0.25];
    let reports = trials.iter_mut().zip(values);
    let mut reports: Vec<Report> = reports
        .map(|(trial, value)| Report {
            trial,
            step: 1,
            value,
        })
        .collect();
    let next = study.report(&mut reports).unwrap();
    assert_eq!(next, [Next::GoOn, Next::Prune, Next::GoOn]);
    let stored = study.trials().unwrap();
    for (trial, value) in stored.iter().zip(values) {
        assert_eq!(trial.intermediate[&1], value);
        assert!(trial.system.contains_key("completed_rung_0"));
    }
    assert!(study.ask_more(&Point::new(), 5, 3).unwrap().is_empty());
    assert_eq!(study.ask_more(&Point::new(), 5, 5).unwrap().len(), 2);
}

#[test]
fn what_somebody_else_ended_is_not_queued_again() {
    let mut study = at_random(None);
    let trials = study.ask_more(&Point::new(), 2, 2).unwrap();
    study.fail(trials[0].id, "taken over").unwrap();
    study.put_back(&trials[..1]).unwrap();
    assert!(!study.has_waiting().unwrap());
    study.put_back(&trials).unwrap();
    assert!(study.has_waiting().unwrap());
    assert!(
        study.ask(2, &mut Vec::new()).unwrap().is_some(),
        "the queued one"
    );
    assert!(
        study.ask(2, &mut Vec::new()).unwrap().is_none(),
        "there are enough"
    );
}

#[test]
fn a_study_without_trials_may_become_another() {
    let mut study = at_random(None);
    study.measures(&["val-accuracy"]).unwrap();
    study.measures(&["val-loss"]).unwrap();
    study.ask(1, &mut Vec::new()).unwrap().unwrap();
    study.measures(&["val-loss"]).unwrap();
    let error = study.measures(&["val-accuracy"]).unwrap_err().to_string();
    assert!(error.contains("measures val-loss"), "{error}");
}

fn lr(value: f64) -> BTreeMap<String, Scalar> {
    BTreeMap::from([("lr".to_string(), Scalar::Float(value))])
}

fn states(study: &mut Study) -> Vec<TrialState> {
    let trials = study.trials().unwrap();
    trials.iter().map(|trial| trial.state).collect()
}

#[test]
fn what_a_sampler_cannot_do_is_not_the_queues_fault() {
    let mut study = in_memory(Box::new(Grid::default()), None);
    study.enqueue(&lr(0.5)).unwrap();
    study.enqueue(&lr(0.25)).unwrap();
    let error = study.ask(4, &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("step"), "{error}");
    let [waiting, fail] = [TrialState::Waiting, TrialState::Fail];
    // The first one is queued again.
    assert_eq!(states(&mut study), [fail, waiting, waiting]);
    assert_eq!(study.begun().unwrap(), 0);
}

#[test]
fn a_queued_value_that_is_none_fails_its_trial_alone() {
    let mut study = at_random(None);
    for value in [7.0, 0.5] {
        study
            .storage
            .enqueue(study.id, &lr(value), &Attributes::new())
            .unwrap();
    }
    let mut refused = Vec::new();
    let asked = study.ask(4, &mut refused).unwrap().unwrap();
    assert_eq!((asked.number, asked.params["lr"]), (1, 0.5));
    assert_eq!(refused.len(), 1);
    assert!(refused[0].1.contains("none of"), "{}", refused[0].1);
    let reason = study.trials().unwrap()[0].fail_reason().unwrap();
    assert_eq!(reason, refused[0].1);
}

#[test]
fn of_those_that_claim_the_last_trial_one_keeps_it() {
    let mut study = at_random(None);
    study.enqueue(&lr(0.5)).unwrap();
    study.enqueue(&lr(0.25)).unwrap();
    // Another worker has claimed the first and this one the second, of which one is wanted.
    let [first, second] =
        [(), ()].map(|()| study.storage.claim_waiting(study.id).unwrap().unwrap());
    assert!(!study.is_one_too_many(&first, 1).unwrap());
    assert!(study.is_one_too_many(&second, 1).unwrap());
    assert!(!study.is_one_too_many(&second, 2).unwrap());
}
