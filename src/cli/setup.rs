//! What a run is, whatever executes it: data, resolved configuration, plan and first weights.

use std::cell::OnceCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::memory;
use super::ui::{Ui, thousands};
use crate::data::Parts;
use crate::data::load::Loaded;
use crate::data::normalize::fit;
use crate::models::file::{ModelInfo, Target};
use crate::models::{Sequential, init, pretrained};
use crate::plan::{Hyper, Plan};
use crate::train::class_weights::ClassWeights;
use crate::train::compare::Start;
use crate::train::config::{Facts, TrainOptions};
use crate::train::feed::{self, Feed, Fold, Residence, Sizing};
use crate::train::file::{self, whom};
use crate::train::schedule::Planned;
use crate::train::score::Score;
use crate::train::{Config, Job, State};
use crate::{Error, Result};

/// Bytes of the window through which a data set is streamed, where a device could hold more.
const WINDOW: u64 = 64 << 20;

/// Data, plan and weights of a run, whatever executes it.
pub struct Setup {
    pub loaded: Arc<Loaded>,
    pub config: Config,
    /// One per member: with folds, that many in a row for each configuration.
    pub members: Vec<Config>,
    pub sequential: Sequential,
    pub plan: Arc<Plan>,
    pub hyper: Vec<Hyper>,
    pub schedules: Vec<Planned>,
    /// One per member, or one for them all.
    pub scores: Vec<Score>,
    residence: Residence,
    class_weights: Vec<f64>,
    /// Parts of the members' own, one each; empty where they share one.
    folds: Vec<Fold>,
    /// Drawn when first asked for: a model too large for the device needs none.
    initial: OnceCell<Vec<f32>>,
    /// What `--init` found.
    taken: Option<pretrained::Taken>,
    pretrained: Option<pretrained::Tensors>,
}

/// The options of a run, as typed over those of its file.
pub struct Wanted<'a> {
    pub source: &'a str,
    pub typed: &'a TrainOptions,
    pub file: &'a file::Options,
    /// The weights come from a checkpoint: those of `--init` are not looked for.
    pub resumes: bool,
}

/// Configurations that are resolved, and what else decides their plan.
pub struct Settings<'a> {
    pub members: Vec<Config>,
    pub room: Room,
    /// Each configuration is trained on each of these; empty: on the data's own parts.
    pub folds: &'a [Parts],
    /// As [`Wanted::resumes`].
    pub resumes: bool,
}

/// What the plan is to have room for, though no member may want it yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Room {
    pub clips: bool,
    pub max_norm: bool,
}

impl Setup {
    /// `limit`: the most bytes that the samples' buffer may have, where there is a limit.
    pub fn new(loaded: Arc<Loaded>, wanted: &Wanted, limit: Option<u64>) -> Result<Setup> {
        let merged = wanted.typed.over(&wanted.file.train);
        let folds = folds(&loaded, &merged, !wanted.file.member.is_empty())?;
        let facts = facts(&loaded, wanted.source, &folds);
        let (config, members) = file::resolve(&merged, wanted.typed, &wanted.file.member, &facts)?;
        let set = Settings {
            members,
            room: Room::default(),
            folds: &folds,
            resumes: wanted.resumes,
        };
        Setup::of(loaded, config, set, limit)
    }

    /// From configurations that are resolved; `config` says what all members share.
    pub fn of(
        loaded: Arc<Loaded>,
        config: Config,
        set: Settings,
        limit: Option<u64>,
    ) -> Result<Setup> {
        let data = &loaded.data;
        let sequential = config.sequential(data.outputs())?;
        sequential.check(data.shape.len())?;
        sequential.check_frozen(&config.frozen())?;
        let k = set.folds.len().max(1);
        let members: Vec<Config> = set
            .members
            .into_iter()
            .flat_map(|config| vec![config; k])
            .collect();
        let weights: ClassWeights = config.class_weights.parse()?;
        let weights_of = |train: &[u32]| -> Result<Vec<f64>> {
            Ok(weights.resolve(&data.counts(train))?.unwrap_or_default())
        };
        let class_weights = weights_of(&data.parts.train)?;
        let normalize = loaded.options.normalize()?;
        let fold = |parts: &Parts| -> Result<Fold> {
            Ok(Fold {
                norm: fit(data, &parts.train, normalize, loaded.table.as_ref()),
                class_weights: weights_of(&parts.train)?,
                parts: parts.clone(),
            })
        };
        let of_one: Vec<Fold> = set.folds.iter().map(fold).collect::<Result<_>>()?;
        let folds: Vec<Fold> = match of_one.is_empty() {
            true => Vec::new(),
            false => (0..members.len())
                .map(|ix| of_one[ix % k].clone())
                .collect(),
        };
        let limit = memory::for_samples(limit);
        let residence = residence(feed::bytes(data), config.data_memory(), limit);
        let any = |f: fn(&Config) -> bool| members.iter().any(f);
        let mut spec = feed::spec(
            data,
            &Sizing {
                members: members.len(),
                batch: config.batch as usize,
                loss: config.loss(),
                norm: &loaded.normalization,
                residence,
                folds: &folds,
            },
        );
        spec.clips = set.room.clips || any(|c| c.clip_norm > 0.0);
        spec.max_norm = set.room.max_norm || any(|c| c.max_norm > 0.0);
        spec.accumulates = config.accumulate > 1;
        spec.ema = config.ema > 0.0;
        spec.frozen = config.frozen();
        let plan = memory::record(&spec, &sequential)?;
        let n_train = |ix: usize| {
            let parts = folds.get(ix).map_or(&data.parts, |fold| &fold.parts);
            parts.train.len()
        };
        let members_of = members.iter().enumerate();
        let schedules: Result<Vec<Planned>> =
            members_of.map(|(ix, c)| c.planned(n_train(ix))).collect();
        let pretrained = match &config.init {
            Some(path) if !set.resumes => Some(pretrained::read(Path::new(path))?),
            _ => None,
        };
        let taken = match &pretrained {
            Some(tensors) => {
                let mut arena = vec![0.0; plan.arena_len];
                Some(pretrained::apply(
                    tensors,
                    &plan,
                    &mut arena,
                    config.init_partial,
                )?)
            }
            None => None,
        };
        Ok(Setup {
            hyper: members.iter().map(|c| c.hyper(&plan.dropout)).collect(),
            schedules: schedules?,
            scores: match folds.is_empty() {
                true => vec![Score::of(data, loaded.target, &data.parts)],
                false => folds
                    .iter()
                    .map(|fold| Score::of(data, loaded.target, &fold.parts))
                    .collect(),
            },
            loaded,
            config,
            members,
            sequential,
            plan,
            residence,
            class_weights,
            folds,
            initial: OnceCell::new(),
            taken,
            pretrained,
        })
    }

    pub fn feed(&self) -> Feed<'_> {
        Feed::new(
            &self.loaded.data,
            &self.loaded.normalization,
            self.loaded.target,
            &self.class_weights,
            self.residence,
        )
        .with_folds(&self.folds)
    }

    /// The weights that a run of this configuration starts from \[arena_len\].
    pub fn initial_of(&self, config: &Config) -> Vec<f32> {
        let mut arena = init::fill(config.initializer(), config.seed, &self.plan);
        if let Some(tensors) = &self.pretrained {
            pretrained::apply(tensors, &self.plan, &mut arena, true)
                .expect("it was applied once already");
        }
        arena
    }

    /// The weights that all members start from \[P, arena_len\].
    pub fn initial(&self) -> &[f32] {
        self.initial.get_or_init(|| {
            let mut arenas = Vec::with_capacity(self.plan.arena_len * self.members.len());
            for config in &self.members {
                arenas.extend(self.initial_of(config));
            }
            arenas
        })
    }

    /// Steps of the longest member's epoch.
    pub fn steps_per_epoch(&self) -> usize {
        let parts = || self.folds.iter().map(|fold| fold.parts.train.len());
        let own = self.loaded.data.parts.train.len();
        let n_train = parts().max().unwrap_or(own);
        n_train.div_ceil(self.config.batch as usize)
    }

    /// The state of a run that has not begun.
    pub fn state(&self) -> Result<State> {
        let members: Result<Vec<_>> = self.members.iter().map(Config::member_state).collect();
        Ok(State::new(self.steps_per_epoch(), members?))
    }

    pub fn job<'a>(
        &'a self,
        feed: &'a Feed<'a>,
        stop: &'a std::sync::atomic::AtomicBool,
    ) -> Job<'a> {
        let config = &self.config;
        Job {
            hyper: &self.hyper,
            schedules: &self.schedules,
            feed,
            scores: &self.scores,
            epochs: config.epochs,
            shuffle: !config.no_shuffle,
            accumulate: config.accumulate as usize,
            ema: config.ema,
            time: config.time(),
            target_accuracy: config.target_accuracy,
            checkpoint_every: Duration::try_from_secs_f64(config.checkpoint_minutes * 60.0)
                .unwrap_or(Duration::MAX),
            stop,
        }
    }

    /// What a comparison of two executors starts from.
    pub fn start<'a>(&'a self, feed: &'a Feed<'a>) -> Start<'a> {
        Start {
            feed,
            hyper: &self.hyper,
            accumulate: self.config.accumulate as usize,
            ema: self.config.ema,
            arenas: self.initial(),
        }
    }

    pub fn is_population(&self) -> bool {
        self.members.len() > 1
    }

    /// What the configuration would be if no option but the data's had been given.
    pub fn default_config(&self) -> Result<Config> {
        let none = TrainOptions::default();
        none.resolve(&none, &facts(&self.loaded, &self.config.source, &[]))
    }

    /// The name of a member in tables and charts.
    pub fn member_name(&self, ix: usize) -> String {
        self.config.member_name(ix)
    }

    /// What is told beside a member's weights.
    pub fn model_info(&self, member: usize) -> ModelInfo {
        let fold = self.folds.get(member);
        let data = &self.loaded.data;
        let target = match &data.targets {
            crate::data::Targets::Values { name, .. } => Some(Target {
                name: name.clone(),
                scale: self.loaded.target,
            }),
            crate::data::Targets::Classes { .. } => None,
        };
        ModelInfo {
            format: ModelInfo::FORMAT,
            architecture: self.sequential.to_string(),
            classes: data.classes().to_vec(),
            input: data.shape,
            loss: self.config.loss().name().to_string(),
            normalization: match fold {
                Some(fold) => fold.norm.clone(),
                None => self.loaded.normalization.clone(),
            },
            source: self.config.source.clone(),
            data: self.loaded.options.clone(),
            target,
            table: self.loaded.table.clone(),
        }
    }

    /// "streamed through a window of 67.1 MB (550.0 MB in all)".
    pub fn residence_words(&self) -> String {
        let all = feed::bytes(&self.loaded.data) as f64 / 1e6;
        match self.residence {
            Residence::Whole => format!("resident on the device, {all:.1} MB"),
            Residence::Streamed(_) => {
                // One batch at least, however little was asked for.
                let window = self.plan.buffer(self.plan.pixels).len as f64 * 4.0 / 1e6;
                format!(
                    "streamed ahead of the steps through a window of {window:.1} MB ({all:.1} MB in all)"
                )
            }
        }
    }

    /// The data, the split, and what was noted of them.
    pub fn describe_data(&self, ui: &Ui) {
        let loaded = &self.loaded;
        let (data, parts) = (&loaded.data, &loaded.data.parts);
        let count = |part: &[u32]| thousands(part.len() as f64);
        let val = match parts.val.len() {
            0 => String::new(),
            _ => format!(", {} validation", count(&parts.val)),
        };
        let what = match &data.targets {
            crate::data::Targets::Classes { names, .. } => format!("{} classes", names.len()),
            crate::data::Targets::Values { name, .. } => format!("predicting the value {name}"),
        };
        ui.say(&format!(
            "{}: {} training{val} and {} test samples of {}, {what}; {}",
            data.name,
            count(&parts.train),
            count(&parts.test),
            data.shape,
            self.residence_words()
        ));
        for note in &loaded.notes {
            ui.say(&format!("  {note}"));
        }
    }

    /// What is known before the first step.
    pub fn describe(&self, ui: &Ui) {
        let config = &self.config;
        self.describe_data(ui);
        self.describe_model(ui);
        let epochs = if config.epochs == 1 { "" } else { "s" };
        let members = match self.members.len() {
            1 => String::new(),
            n => format!(", {n} members"),
        };
        ui.say(&format!(
            "{}, {} lr {:?}{}, batch {}, {} epoch{epochs}, seed {}{members}",
            config.loss,
            config.opt,
            config.lr,
            match config.schedule.as_str() {
                "constant" => String::new(),
                schedule => format!(" ({schedule})"),
            },
            config.batch,
            config.epochs,
            config.seed
        ));
        let extras = self.extras();
        if !extras.is_empty() {
            ui.say(&format!("with {}", extras.join(", ")));
        }
        if let Some(taken) = &self.taken {
            self.describe_pretrained(ui, taken);
        }
        for (ix, table) in config.member.iter().enumerate() {
            let said: Vec<String> = table
                .iter()
                .filter(|(key, _)| *key != "name")
                .map(|(key, value)| format!("{key} {value}"))
                .collect();
            let said = match said.is_empty() {
                true => "as above".to_string(),
                false => said.join(", "),
            };
            ui.say(&format!("  {}: {said}", self.member_name(ix)));
        }
    }

    /// Layers, shapes, parameters, memory.
    pub fn describe_model(&self, ui: &Ui) {
        let data = &self.loaded.data;
        ui.say(&format!(
            "{:<8} {:<34} {:>9} {:>12}",
            "layer", "", "outputs", "parameters"
        ));
        for row in self.sequential.summary(data.shape.len()) {
            ui.say(&format!(
                "{:<8} {:<34} {:>9} {:>12}",
                row.name,
                row.layer,
                row.output,
                thousands(row.parameters as f64)
            ));
        }
        ui.say(&format!(
            "model: {} -> {}, {} parameters{}; {:.1} MB on the device, data included",
            data.shape.len(),
            data.outputs(),
            thousands(self.plan.n_parameters() as f64),
            match self.plan.n_trainable_parameters() {
                n if n == self.plan.n_parameters() => String::new(),
                n => format!(" ({} of them train)", thousands(n as f64)),
            },
            self.plan.bytes() as f64 / 1e6
        ));
    }

    fn describe_pretrained(&self, ui: &Ui, taken: &pretrained::Taken) {
        let file = self.config.init.as_deref().unwrap_or_default();
        ui.say(&format!("weights from {file}: {}", taken.taken.join(", ")));
        if !taken.missing.is_empty() {
            ui.say(&format!("  drawn anew: {}", taken.missing.join("; ")));
        }
        if !taken.unused.is_empty() {
            ui.say(&format!("  not used: {}", taken.unused.join(", ")));
        }
    }

    /// The options that are not at their usual values, in words.
    fn extras(&self) -> Vec<String> {
        let config = &self.config;
        let mut extras: Vec<String> = [
            ("l1", config.l1),
            ("l2", config.l2),
            ("weight decay", config.weight_decay),
            (
                "label smoothing (training loss only)",
                config.label_smoothing,
            ),
            ("clip norm", config.clip_norm),
            ("max norm", config.max_norm),
            ("a moving average of the weights, decay", config.ema),
        ]
        .iter()
        .filter(|(_, value)| *value != 0.0)
        .map(|(name, value)| format!("{name} {value:?}"))
        .collect();
        let mut add = |on: bool, words: String| {
            if on {
                extras.push(words);
            }
        };
        add(
            config.accumulate > 1,
            format!("updates of {} batches", config.accumulate),
        );
        add(config.warmup != "0", format!("warm-up {}", config.warmup));
        add(
            config.class_weights != "none",
            format!("class weights {}", config.class_weights),
        );
        add(
            config.initializer != "pytorch",
            format!("initializer {}", config.initializer),
        );
        add(config.no_shuffle, "no shuffle".to_string());
        if let Some(k) = config.folds {
            add(true, format!("{k} folds, a member each"));
        }
        let frozen = config.frozen();
        add(!frozen.is_empty(), format!("frozen: {}", frozen.join(", ")));
        if let Some(patience) = config.early_stop {
            add(true, format!("early stopping, patience {patience}"));
        }
        if let Some(time) = &config.time {
            add(true, format!("at most {time} of training"));
        }
        if let Some(target) = config.target_accuracy {
            add(true, format!("a target of validation accuracy {target}"));
        }
        add(
            config.until_converged,
            format!("a stop at convergence (tol {:?})", config.tol),
        );
        extras
    }
}

/// The parts of each member where the options ask for folds; none else.
///
/// # Errors
/// [`Error::Usage`] of [`Parts::folds`], and where there are members besides.
pub fn folds(loaded: &Loaded, options: &TrainOptions, has_members: bool) -> Result<Vec<Parts>> {
    let Some(k) = options.folds else {
        return Ok(Vec::new());
    };
    if has_members {
        return Err(Error::Usage(format!(
            "--folds {k}: the folds are members of their own, and the run has members already"
        )));
    }
    let seed = loaded.options.split_seed.unwrap_or(0);
    let k = usize::try_from(k)
        .map_err(|_| Error::Usage(format!("--folds {k}: it must be 2 or more")))?;
    loaded.data.parts.folds(&loaded.data.targets, k, seed)
}

/// What the data say of a run on each of `folds`, or on their own parts.
pub fn facts<'a>(loaded: &Loaded, source: &'a str, folds: &[Parts]) -> Facts<'a> {
    let data = &loaded.data;
    let least = |len: fn(&Parts) -> usize| {
        let of_folds = folds.iter().map(len).min();
        of_folds.unwrap_or_else(|| len(&data.parts))
    };
    Facts {
        source,
        data: loaded.options.clone(),
        n_train: least(|parts| parts.train.len()),
        n_val: least(|parts| parts.val.len()),
        outputs: data.outputs(),
        regression: data.is_regression(),
    }
}

/// Whether the samples lie on the device as a whole, or pass through a window.
fn residence(bytes: u64, wanted: Option<u64>, limit: u64) -> Residence {
    match wanted {
        Some(wanted) if bytes > wanted => Residence::Streamed(wanted.min(limit)),
        _ if bytes > limit => Residence::Streamed(WINDOW.min(limit)),
        _ => Residence::Whole,
    }
}

/// Refuses to go on with a run under another configuration, naming every difference.
pub fn check_resumed(was: &Config, now: &Config) -> Result<()> {
    // What may change without changing a bit of what was trained so far.
    const FREE: [&str; 5] = [
        "epochs",
        "time",
        "checkpoint-minutes",
        "log-every",
        "data-memory",
    ];
    let table = |config: &Config| toml::Table::try_from(config).expect("a configuration is plain");
    let (was, now) = (table(was), table(now));
    let mut keys: std::collections::BTreeSet<&String> = was.keys().chain(now.keys()).collect();
    keys.retain(|key| !FREE.contains(&key.as_str()) && was.get(*key) != now.get(*key));
    if keys.is_empty() {
        return Ok(());
    }
    let word = |value: Option<&toml::Value>| value.map_or("unset".to_string(), |v| v.to_string());
    let difference = |key: &&String| {
        let (was, now) = (word(was.get(*key)), word(now.get(*key)));
        format!("{key} is {was} in the run and {now} now")
    };
    let differences: Vec<String> = keys.iter().map(difference).collect();
    Err(Error::Usage(format!(
        "--resume: {}; a resumed run goes on as it began: start a new one for anything else",
        differences.join(", ")
    )))
}

/// Refuses another number of epochs where a rate depends on it.
pub fn check_horizon(was: u32, setup: &Setup) -> Result<()> {
    let now = setup.config.epochs;
    let planned = setup.schedules.iter().position(|s| s.has_horizon());
    let Some(member) = planned.filter(|_| was != now) else {
        return Ok(());
    };
    let config = &setup.members[member];
    let who = match setup.is_population() {
        true => match setup.config.member.get(member) {
            Some(table) => format!(" of {}", whom(member, table)),
            None => format!(" of {}", setup.member_name(member)),
        },
        false => String::new(),
    };
    let warmup = match config.warmup.ends_with('%') {
        true => " with a warm-up in %",
        false => "",
    };
    Err(Error::Usage(format!(
        "--resume: the schedule {}{warmup}{who} was planned over {was} epochs and cannot become one over {now}; constant, step, exponential and plateau can",
        config.schedule
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_set_larger_than_the_limit_is_streamed() {
        assert_eq!(residence(100, None, u64::MAX), Residence::Whole);
        assert_eq!(residence(100, Some(100), 100), Residence::Whole);
        assert_eq!(residence(200, None, 100), Residence::Streamed(100));
        assert_eq!(
            residence(1 << 40, None, 1 << 30),
            Residence::Streamed(WINDOW)
        );
        assert_eq!(residence(200, Some(50), 100), Residence::Streamed(50));
    }
}
