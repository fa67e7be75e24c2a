//! Studies that look like real ones.

use std::time::{Duration, SystemTime};

use crate::report::metric::Metric;
use crate::report::study::Study;
use crate::tune::distribution::{Distribution, Scalar};
use crate::tune::space::{Condition, Parameter, Space};
use crate::tune::trial::{Trial, TrialState};

/// What a study borrows from.
pub(super) struct Fake {
    pub(super) objectives: Vec<Metric<'static>>,
    pub(super) space: Space,
    pub(super) trials: Vec<Trial>,
    pub(super) importances: Vec<(String, f64)>,
}

pub(super) const ACCURACY: Metric<'static> = Metric {
    name: "validation accuracy",
    ..Metric::ACCURACY
};
pub(super) const SIZE: Metric<'static> = Metric {
    name: "model size",
    unit: "kB",
    scale: 1.0,
    bounds: (0.0, f64::INFINITY),
    higher_is_better: false,
};

/// Numbers in 0..1 that look random.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / (1u64 << 31) as f64
    }
}

pub(super) fn choices(words: &[&str]) -> Distribution {
    let choices = words.iter().map(|word| Scalar::from_word(word)).collect();
    Distribution::categorical(choices).expect("choices")
}

pub(super) fn parameter(name: &str, distribution: Distribution) -> Parameter {
    Parameter {
        name: name.to_string(),
        distribution,
        when: None,
    }
}

pub(super) fn range(low: f64, high: f64, log: bool) -> Distribution {
    Distribution::float(low, high, log, None).expect("a range")
}

/// A value of a distribution, by a number in 0..1.
pub(super) fn draw(distribution: &Distribution, unit: f64) -> f64 {
    let raw = match distribution {
        Distribution::Float { low, high, log, .. } if *log => low * (high / low).powf(unit),
        Distribution::Float { low, high, .. } => low + (high - low) * unit,
        Distribution::Int { low, high, log, .. } if *log => {
            *low as f64 * (*high as f64 / *low as f64).powf(unit)
        }
        Distribution::Int { low, high, .. } => *low as f64 + (high - low) as f64 * unit,
        Distribution::Categorical { choices } => (choices.len() as f64 * unit).floor(),
    };
    distribution.nearest(raw)
}

pub(super) fn set(trial: &mut Trial, parameter: &Parameter, value: f64) {
    trial.params.insert(parameter.name.clone(), value);
    let distribution = parameter.distribution.clone();
    trial
        .distributions
        .insert(parameter.name.clone(), distribution);
}

/// A search over seven parameters of a small network, one of them conditional, that closes in on
/// what is good; a good third of the trials is pruned and a few fail.
pub(super) fn search(count: u32) -> Fake {
    let int = |low, high, log, step| Distribution::int(low, high, log, step).expect("a range");
    let mut momentum = parameter("momentum", range(0.0, 0.99, false));
    momentum.when = Some(Condition {
        parameter: "opt".to_string(),
        any_of: ["momentum", "nesterov"].map(Scalar::from_word).to_vec(),
    });
    let space = Space::new(vec![
        parameter("opt", choices(&["adam", "sgd", "momentum", "nesterov"])),
        parameter("lr", range(1e-5, 1.0, true)),
        momentum,
        parameter("batch", int(16, 512, true, 1)),
        parameter("hidden", int(32, 512, false, 32)),
        parameter("dropout", range(0.0, 0.5, false)),
        parameter("activation", choices(&["relu", "gelu", "tanh"])),
    ])
    .expect("a space");
    let mut dice = Dice(7);
    let mut trials: Vec<Trial> = Vec::new();
    for number in 0..count {
        let mut trial = Trial::new(i64::from(number), number, TrialState::Complete);
        // Later trials draw nearer to what is best.
        let pull = 0.75 * (f64::from(number) / f64::from(count.max(10))).min(1.0);
        for (ix, parameter) in space.parameters().iter().enumerate() {
            if !space.is_active(parameter, &trial.params) {
                continue;
            }
            let target = [0.1, 0.5, 0.9, 0.4, 0.7, 0.3, 0.4][ix];
            let unit = dice.unit() * (1.0 - pull) + target * pull;
            set(&mut trial, parameter, draw(&parameter.distribution, unit));
        }
        train(&mut trial, &mut dice, &trials);
        trials.push(trial);
    }
    let importances = [
        ("lr", 0.58),
        ("opt", 0.21),
        ("hidden", 0.11),
        ("dropout", 0.06),
        ("batch", 0.03),
        ("activation", 0.008),
        ("momentum", 0.002),
    ];
    Fake {
        objectives: vec![ACCURACY],
        space,
        trials,
        importances: importances
            .map(|(name, share)| (name.to_string(), share))
            .to_vec(),
    }
}

/// Twenty epochs of a pretended training, pruned where the trial is below the median.
fn train(trial: &mut Trial, dice: &mut Dice, before: &[Trial]) {
    let at = |name: &str| trial.params.get(name).copied();
    let adam = at("opt") == Some(0.0);
    let rate = at("lr").unwrap_or(1e-3).log10() + if adam { 2.6 } else { 1.2 };
    let size = (at("hidden").unwrap_or(128.0) / 512.0).sqrt();
    let lost = 0.02 * rate * rate + 0.02 * (1.0 - size) + 0.01 * dice.unit();
    let limit = (0.985 - lost - 0.03 * (at("dropout").unwrap_or(0.0) - 0.2).abs()).max(0.1);
    let pace = 0.5 + 2.0 * dice.unit();
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(trial.number) * 30);
    trial.started = Some(start);
    if dice.unit() < 0.04 {
        trial.state = TrialState::Fail;
        return;
    }
    for epoch in 1..=20 {
        let rise = 1.0 - (-f64::from(epoch) / pace).exp();
        let value = 0.1 + (limit - 0.1) * rise + 0.004 * (dice.unit() - 0.5);
        trial.intermediate.insert(i64::from(epoch), value);
        let mut others: Vec<f64> = before
            .iter()
            .filter_map(|t| t.intermediate.get(&i64::from(epoch)).copied())
            .collect();
        others.sort_by(f64::total_cmp);
        if epoch > 3 && others.len() > 8 && value < others[others.len() / 2] - 0.02 {
            trial.state = TrialState::Pruned;
            break;
        }
    }
    let epochs = trial.intermediate.len() as u64;
    trial.completed = Some(start + Duration::from_millis(900 * epochs));
    if trial.state == TrialState::Complete {
        trial.values = vec![trial.intermediate[&20]];
    }
}

/// The same search with the size of the network as a second objective.
pub(super) fn two_objectives(count: u32) -> Fake {
    let mut fake = search(count);
    fake.objectives.push(SIZE);
    for trial in &mut fake.trials {
        let hidden = trial.params["hidden"];
        trial.intermediate.clear();
        if trial.state == TrialState::Pruned {
            trial.state = TrialState::Complete;
            trial.values = vec![0.5 + hidden / 2000.0];
        }
        if trial.state == TrialState::Complete {
            trial.values.push(hidden * 795.0 * 4.0 / 1000.0);
        }
    }
    fake
}

impl Fake {
    pub(super) fn study(&self) -> Study<'_> {
        Study {
            name: "mnist-tune-3",
            objectives: &self.objectives,
            space: &self.space,
            trials: &self.trials,
            importances: &self.importances,
            results: &[],
            facts: &[],
            stopped: "",
            config: "",
            commands: &[],
        }
    }
}
