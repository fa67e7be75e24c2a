//! The best trial so far, and the model that it left.

use serde_json::Value;

use super::running::Running;
use super::trainer::Trainer;
use crate::Result;
use crate::cli::setup::{Room, Settings, Setup};
use crate::models::file::encode;
use crate::train::{self, Config};

/// The best complete trial of a study of one objective.
pub struct Winner {
    pub number: u32,
    pub value: f64,
    /// Over its folds.
    pub deviation: Option<f64>,
    /// The epoch that the value is of.
    pub epoch: u32,
    pub config: Config,
    /// Whether population-based training changed it up to its best epoch: `config` is what it had there, and
    /// alone comes to something else.
    pub evolved: bool,
    /// `model.safetensors`; none where it was not trained here, or in folds.
    pub model: Option<Vec<u8>>,
}

impl Winner {
    /// The best of what a study has had before, or elsewhere.
    pub fn stored(trainer: &mut Trainer) -> Result<Option<Winner>> {
        let Some(best) = trainer.study.best()? else {
            return Ok(None);
        };
        let config: Option<Config> = best.user.get("config").and_then(|text| {
            let text: String = serde_json::from_str(text).ok()?;
            toml::from_str(&text).ok()
        });
        // A worker of another kind notes no configuration.
        let config = config.or_else(|| trainer.config_of(&best).ok());
        let noted = |key: &str| best.user.get(key);
        let epoch: Option<u32> = noted("best_epoch").and_then(|n| n.parse().ok());
        let changes: Option<Vec<Value>> =
            noted("pbt").and_then(|text| serde_json::from_str(text).ok());
        let before = |change: &Value| change["epoch"].as_u64() < epoch.map(u64::from);
        Ok(config.map(|config| Winner {
            number: best.number,
            value: best.values[0],
            deviation: noted("deviation").and_then(|n| n.parse().ok()),
            epoch: epoch.unwrap_or(config.epochs),
            config: Config {
                // Where the data lie is another matter on another machine.
                source: trainer.source.to_string(),
                data: trainer.loaded.options.clone(),
                ..config
            },
            evolved: changes.is_some_and(|changes| changes.iter().any(before)),
            model: None,
        }))
    }

    /// Trains it again up to its best epoch, for a trial of which only the configuration is known: what
    /// it came to there, and `model.safetensors`.
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`], and what the device says.
    pub fn again(&self, trainer: &mut Trainer) -> Result<(f64, Vec<u8>)> {
        let set = Settings {
            members: vec![self.config.clone()],
            room: Room::default(),
            folds: &[],
            resumes: false,
        };
        let limit = trainer.machine.largest_buffer();
        let mut setup = Setup::of(trainer.loaded.clone(), self.config.clone(), set, limit)?;
        let mut backend = trainer
            .machine
            .backend(&trainer.board.ui, &setup, trainer.stop)?;
        setup.config.device = backend.device.clone();
        let feed = setup.feed();
        let members = vec![self.config.member_state()?];
        let mut running = Running::new(&setup, &feed, &mut backend, members, 1, None, 1)?;
        let mut last = Vec::new();
        for _ in 0..self.epoch {
            let (records, diverged) = trainer.epoch(&mut running)?;
            if diverged {
                break;
            }
            last = records;
        }
        let records: Vec<_> = last.iter().collect();
        let value = trainer.objective.of_epoch(&records)[0];
        let weights = train::weights(running.exec)?;
        Ok((value, encode(&setup.model_info(0), &setup.plan, &weights)))
    }
}
