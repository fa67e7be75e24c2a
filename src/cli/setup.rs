//! What a run is, whatever executes it: data, resolved configuration, plan and first weights.

use std::cell::OnceCell;
use std::sync::Arc;

use super::memory;
use super::ui::{Ui, thousands};
use crate::Result;
use crate::data::Dataset;
use crate::models::file::{ModelInfo, Normalization};
use crate::models::initial_parameters;
use crate::plan::{Hyper, Plan};
use crate::train::compare::Start;
use crate::train::{Config, TrainOptions, feed};

/// Data, plan and weights of a run, whatever executes it.
pub struct Setup {
    pub data: Dataset,
    pub config: Config,
    pub plan: Arc<Plan>,
    pub hyper: Vec<Hyper>,
    norm: Vec<f32>,
    normalization: Normalization,
    /// Drawn when first asked for: a model too large for the device needs none.
    initial: OnceCell<Vec<f32>>,
}

impl Setup {
    pub fn new(
        data: Dataset,
        typed: TrainOptions,
        file: TrainOptions,
        name: &str,
    ) -> Result<Setup> {
        let (n_train, classes) = (data.train.len(), data.classes.len());
        let config = typed.resolve(file, name, n_train, classes)?;
        let model = config.sequential(classes)?;
        let clips = config.clip_norm > 0.0;
        let spec = feed::spec(&data, 1, config.batch as usize, clips, config.loss());
        let plan = memory::record(&spec, &model)?;
        let normalization = Normalization::unit(data.shape.len());
        Ok(Setup {
            hyper: vec![config.hyper(&plan.dropout)],
            norm: normalization.table(),
            normalization,
            data,
            config,
            plan,
            initial: OnceCell::new(),
        })
    }

    /// What an executor starts from.
    pub fn start(&self) -> Start<'_> {
        Start {
            data: &self.data,
            norm: &self.norm,
            hyper: &self.hyper,
            arenas: self
                .initial
                .get_or_init(|| initial_parameters(&self.plan, self.config.seed)),
        }
    }

    pub fn model_info(&self) -> Result<ModelInfo> {
        Ok(ModelInfo::new(
            &self.config.sequential(self.data.classes.len())?,
            &self.data.classes,
            self.data.shape,
            self.config.loss(),
            self.normalization.clone(),
            &self.config.source,
        ))
    }

    pub fn describe(&self, ui: &Ui) {
        let (data, config) = (&self.data, &self.config);
        let model = match config.model.as_str() {
            "" => String::new(),
            layers => format!("{layers} -> "),
        };
        ui.say(&format!(
            "{}: {} training and {} test samples of {}, {} classes",
            data.name,
            thousands(data.train.len() as f64),
            thousands(data.test.len() as f64),
            data.shape,
            data.classes.len()
        ));
        ui.say(&format!(
            "model: {} -> {model}{}, {} parameters; {}, {} lr {:?}, batch {}, {} epoch{}, seed {}",
            data.shape.len(),
            data.classes.len(),
            thousands(self.plan.n_parameters() as f64),
            config.loss,
            config.opt,
            config.lr,
            config.batch,
            config.epochs,
            if config.epochs == 1 { "" } else { "s" },
            config.seed
        ));
        let extras: Vec<String> = [
            ("l1", config.l1),
            ("l2", config.l2),
            ("weight decay", config.weight_decay),
            (
                "label smoothing (training loss only)",
                config.label_smoothing,
            ),
            ("clip norm", config.clip_norm),
        ]
        .iter()
        .filter(|(_, value)| *value != 0.0)
        .map(|(name, value)| format!("{name} {value:?}"))
        .chain(config.no_shuffle.then(|| "no shuffle".to_string()))
        .collect();
        if !extras.is_empty() {
            ui.say(&format!("with {}", extras.join(", ")));
        }
    }
}
