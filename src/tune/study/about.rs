//! What a study measures, and on which data: noted in its attributes, and the same for all workers.

use serde::{Deserialize, Serialize};

use super::Study;
use crate::data::fingerprint::Fingerprint;
use crate::tune::storage::AttributeKind;
use crate::{Error, Result};

/// What a study's trials are trained on.
#[derive(Serialize, Deserialize)]
struct About {
    #[serde(flatten)]
    fingerprint: Fingerprint,
    folds: Option<i64>,
}

impl Study {
    /// Notes by which metrics trials are judged, for people and for the next worker.
    ///
    /// # Errors
    /// [`Error::Usage`] where the study's trials are judged by others.
    pub fn measures(&mut self, metrics: &[&str]) -> Result<()> {
        let names = serde_json::json!(metrics).to_string();
        let stored = self.noted("metrics", &names)?;
        // A list of names, or else somebody else's note.
        let stored: Option<Vec<String>> = serde_json::from_str(&stored).ok();
        if let Some(stored) = stored.filter(|stored| stored != metrics) {
            return Err(Error::Usage(format!(
                "study {} measures {}, and this measures {}: choose another --study, or its --metric",
                self.name,
                stored.join(", "),
                metrics.join(", ")
            )));
        }
        // As Optuna's `Study.set_metric_names`.
        let (kind, key) = (AttributeKind::System, "study:metric_names");
        match self
            .storage
            .study_attributes(self.id, kind)?
            .contains_key(key)
        {
            true => Ok(()),
            false => self.storage.set_study_attribute(self.id, kind, key, &names),
        }
    }

    /// Notes on which data trials are trained.
    ///
    /// # Errors
    /// [`Error::Usage`] where the study's trials have others, or other parts of them.
    pub fn is_about(&mut self, data: &str, now: &Fingerprint, folds: Option<i64>) -> Result<()> {
        let about = About {
            fingerprint: now.clone(),
            folds,
        };
        let text = serde_json::to_string(&about).expect("plain data");
        let stored: Option<About> = serde_json::from_str(&self.noted("data", &text)?).ok();
        let difference = match stored {
            // Somebody else's note.
            None => None,
            Some(stored) if stored.folds != folds => {
                let words = |folds: Option<i64>| match folds {
                    Some(folds) => format!("{folds} folds"),
                    None => "no folds".to_string(),
                };
                Some(format!(
                    "{} then, {} now",
                    words(stored.folds),
                    words(folds)
                ))
            }
            Some(stored) => stored.fingerprint.difference(now),
        };
        match difference {
            None => Ok(()),
            Some(what) => Err(Error::Usage(format!(
                "study {} is about other data than {data} as it is split here: {what}; choose another --study, or the same data and options",
                self.name
            ))),
        }
    }

    /// What the study has noted under a key, which is `json` where it had nothing, or no trial.
    fn noted(&mut self, key: &str, json: &str) -> Result<String> {
        let noted = self
            .storage
            .study_attributes(self.id, AttributeKind::User)?;
        let is_empty = self.storage.trials(self.id)?.is_empty();
        if let Some(stored) = noted.get(key).filter(|_| !is_empty) {
            return Ok(stored.clone());
        }
        self.storage
            .set_study_attribute(self.id, AttributeKind::User, key, json)?;
        Ok(json.to_string())
    }
}
