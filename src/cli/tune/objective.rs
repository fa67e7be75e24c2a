//! What a study makes large or small.

use crate::train::EpochRecord;
use crate::train::score::Scores;
use crate::tune::trial::Direction;
use crate::{Error, Result, suggest};

/// A number that a trial is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    ValAccuracy,
    ValLoss,
    ValMse,
    ValR2,
    TrainAccuracy,
    TrainLoss,
    /// Of one model.
    Parameters,
    /// A training step's share of its population's time.
    MsPerStep,
}

impl Measure {
    const ALL: [(&'static str, Measure); 8] = [
        ("val-accuracy", Measure::ValAccuracy),
        ("val-loss", Measure::ValLoss),
        ("val-mse", Measure::ValMse),
        ("val-r2", Measure::ValR2),
        ("train-accuracy", Measure::TrainAccuracy),
        ("train-loss", Measure::TrainLoss),
        ("parameters", Measure::Parameters),
        ("ms", Measure::MsPerStep),
    ];

    pub fn name(self) -> &'static str {
        let named = Self::ALL.iter().find(|(_, measure)| *measure == self);
        named.map_or("", |(name, _)| name)
    }

    /// As a person reads it.
    pub fn words(self) -> &'static str {
        match self {
            Measure::ValAccuracy => "validation accuracy",
            Measure::ValLoss => "validation loss",
            Measure::ValMse => "validation MSE",
            Measure::ValR2 => "validation R²",
            Measure::TrainAccuracy => "training accuracy",
            Measure::TrainLoss => "training loss",
            Measure::Parameters => "parameters",
            Measure::MsPerStep => "ms a step",
        }
    }

    /// Whether it changes from epoch to epoch.
    pub fn is_learned(self) -> bool {
        !matches!(self, Measure::Parameters | Measure::MsPerStep)
    }

    /// Whether it is a share, shown in percent.
    pub fn is_share(self) -> bool {
        matches!(self, Measure::ValAccuracy | Measure::TrainAccuracy)
    }

    fn usual_direction(self) -> Direction {
        match self {
            Measure::ValAccuracy | Measure::ValR2 | Measure::TrainAccuracy => Direction::Maximize,
            _ => Direction::Minimize,
        }
    }

    /// A value in the words of a table: 97.61 %, 0.0842, 101,770.
    pub fn show(self, value: f64) -> String {
        match self {
            _ if !value.is_finite() => format!("{value}"),
            measure if measure.is_share() => format!("{:.2} %", value * 100.0),
            Measure::Parameters => crate::cli::ui::thousands(value),
            _ if value.abs() >= 1000.0 => format!("{value:.1}"),
            _ => format!("{value:.4}"),
        }
    }

    fn of(self, record: &EpochRecord) -> Option<f64> {
        let val = |of: fn(&Scores) -> Option<f64>| record.val.as_ref().and_then(of);
        match self {
            Measure::ValAccuracy => val(|s| s.accuracy),
            Measure::ValLoss => val(|s| Some(s.loss)),
            Measure::ValMse => val(|s| s.mse),
            Measure::ValR2 => val(|s| s.r2),
            Measure::TrainAccuracy => record.train.accuracy,
            Measure::TrainLoss => Some(record.train.loss),
            Measure::Parameters | Measure::MsPerStep => None,
        }
    }
}

/// What is made large or small, and in which direction. The first one is learned: it is what pruners
/// and learning curves look at.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    pub measures: Vec<Measure>,
    pub directions: Vec<Direction>,
}

impl Objective {
    /// From `--metric` and `--direction`; without them the best validation accuracy, or the lowest
    /// validation loss where values are predicted.
    ///
    /// # Errors
    /// [`Error::Usage`] for a name that is not known here, or one that the data do not have.
    pub fn new(metrics: &[String], directions: &[String], regression: bool) -> Result<Objective> {
        let named = |name: &String| {
            let found = Measure::ALL.iter().find(|(known, _)| known == name);
            found.map(|(_, measure)| *measure).ok_or_else(|| {
                let known = Measure::ALL.iter().map(|(known, _)| *known);
                Error::Usage(format!(
                    "--metric {name}: no such metric{}",
                    suggest::hint(name, known)
                ))
            })
        };
        let mut measures: Vec<Measure> = metrics.iter().map(named).collect::<Result<_>>()?;
        if measures.is_empty() {
            measures.push(match regression {
                true => Measure::ValLoss,
                false => Measure::ValAccuracy,
            });
        }
        for (ix, measure) in measures.iter().enumerate() {
            let of_values = matches!(measure, Measure::ValMse | Measure::ValR2);
            let what = if measure.is_share() && regression {
                "this target is a value and has no accuracy"
            } else if of_values && !regression {
                "it is for values, and these data have classes"
            } else if measures[..ix].contains(measure) {
                "it is named twice"
            } else if ix == 0 && !measure.is_learned() {
                "the first metric must be one that training changes, such as val-accuracy"
            } else {
                continue;
            };
            return Err(Error::Usage(format!("--metric {}: {what}", measure.name())));
        }
        let of = |(ix, measure): (usize, &Measure)| match directions.get(ix) {
            None => Ok(measure.usual_direction()),
            Some(word) => match word.to_lowercase().as_str() {
                "maximize" | "maximise" | "max" => Ok(Direction::Maximize),
                "minimize" | "minimise" | "min" => Ok(Direction::Minimize),
                _ => Err(Error::Usage(format!(
                    "--direction {word}: it is maximize or minimize"
                ))),
            },
        };
        if directions.len() > measures.len() {
            return Err(Error::Usage(format!(
                "--direction: {} for {} of --metric",
                directions.len(),
                measures.len()
            )));
        }
        let directions = measures.iter().enumerate().map(of).collect::<Result<_>>()?;
        Ok(Objective {
            measures,
            directions,
        })
    }

    pub fn is_single(&self) -> bool {
        self.measures.len() == 1
    }

    /// What pruners and learning curves look at.
    pub fn first(&self) -> (Measure, Direction) {
        (self.measures[0], self.directions[0])
    }

    /// The learned measures of one epoch, the mean over the folds; NaN for those that are not learned.
    pub fn of_epoch(&self, records: &[&EpochRecord]) -> Vec<f64> {
        let mean = |measure: &Measure| {
            let all: Vec<f64> = records.iter().filter_map(|r| measure.of(r)).collect();
            all.iter().sum::<f64>() / all.len() as f64
        };
        self.measures.iter().map(mean).collect()
    }

    /// Standard deviation (of a sample, with n - 1) of the first measure over the folds; `None` of fewer
    /// than two.
    pub fn deviation(&self, records: &[&EpochRecord]) -> Option<f64> {
        let all: Vec<f64> = records
            .iter()
            .filter_map(|r| self.measures[0].of(r))
            .collect();
        let n = all.len() as f64;
        let mean = all.iter().sum::<f64>() / n;
        let squares: f64 = all.iter().map(|v| (v - mean) * (v - mean)).sum();
        (all.len() > 1).then(|| (squares / (n - 1.0)).sqrt())
    }

    /// "92.10 %", over folds "92.10 % ± 0.41 %".
    pub fn words(&self, value: f64, deviation: Option<f64>) -> String {
        let show = |value: f64| self.measures[0].show(value);
        match deviation {
            None => show(value),
            Some(deviation) => format!("{} ± {}", show(value), show(deviation)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_and_refusals() {
        let words = |list: &[&str]| -> Vec<String> { list.iter().map(|w| w.to_string()).collect() };
        let of = |metrics: &[&str], directions: &[&str], regression| {
            Objective::new(&words(metrics), &words(directions), regression)
        };
        let classes = of(&[], &[], false).unwrap();
        assert_eq!(classes.first(), (Measure::ValAccuracy, Direction::Maximize));
        let values = of(&[], &[], true).unwrap();
        assert_eq!(values.first(), (Measure::ValLoss, Direction::Minimize));
        let two = of(&["val-accuracy", "parameters"], &[], false).unwrap();
        assert_eq!(two.directions, [Direction::Maximize, Direction::Minimize]);
        for (metrics, directions, regression, what) in [
            (
                &["val-acuracy"][..],
                &[][..],
                false,
                "did you mean val-accuracy",
            ),
            (&["val-accuracy"], &[], true, "no accuracy"),
            (&["val-r2"], &[], false, "for values"),
            (&["parameters"], &[], false, "the first metric"),
            (&["val-loss", "val-loss"], &[], false, "twice"),
            (&["val-loss"], &["up"], false, "maximize or minimize"),
            (&["val-loss"], &["min", "max"], false, "2 for 1"),
        ] {
            let error = of(metrics, directions, regression).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }
}
