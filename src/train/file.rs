//! Configuration files: a run folder's `config.toml`, a recipe, or one written by hand. Keys are the
//! long options' names; `[[member]]` tables make a population.

use std::path::Path;

use serde::de::DeserializeOwned;

use super::config::{Config, Facts};
use super::options::{TrainOptions, keys};
use crate::data::options::DataOptions;
use crate::{Error, Result, suggest};

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// The data that the file is for.
    pub source: Option<String>,
    /// A recipe's line about itself.
    pub about: Option<String>,
    pub data: DataOptions,
    pub train: TrainOptions,
    /// What a search looks through: parameters by name.
    pub space: toml::Table,
    /// One table per member: a name, and what it does otherwise.
    pub member: Vec<toml::Table>,
}

/// What a member may do otherwise than the population; all else decides the shared dispatches.
pub const OF_A_MEMBER: [&str; 21] = [
    "opt",
    "lr",
    "momentum",
    "beta1",
    "beta2",
    "eps",
    "alpha",
    "weight-decay",
    "schedule",
    "warmup",
    "l1",
    "l2",
    "dropout",
    "label-smoothing",
    "clip-norm",
    "max-norm",
    "huber-delta",
    "early-stop",
    "min-delta",
    "seed",
    "initializer",
];

impl Options {
    /// Reads a file, or the `config.toml` of a run folder.
    ///
    /// # Errors
    /// [`Error::Usage`] with file, line and what is wrong there.
    pub fn read(path: &Path) -> Result<Options> {
        let inside = path.join("config.toml");
        let path = if path.is_dir() { &inside } else { path };
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", e))?;
        Self::parse(&text, &path.display().to_string())
    }

    /// [`Self::read`] from a text; `name` is said in errors.
    pub fn parse(text: &str, name: &str) -> Result<Options> {
        let table: toml::Table = toml::from_str(text).map_err(|e| {
            let line = e
                .span()
                .map_or(0, |span| text[..span.start].matches('\n').count() + 1);
            Error::Usage(format!("{name} line {line}: {}", e.message()))
        })?;
        let at = |key: &str, what: String| {
            let is_it = |line: &str| {
                let rest = line.trim_start().strip_prefix(key);
                rest.is_some_and(|rest| rest.trim_start().starts_with('='))
            };
            match text.lines().position(is_it) {
                Some(line) => Error::Usage(format!("{name} line {}: {what}", line + 1)),
                None => Error::Usage(format!("{name}: {what}")),
            }
        };
        let (of_data, of_train) = (keys::<DataOptions>(), keys::<TrainOptions>());
        let (mut data, mut train) = (toml::Table::new(), toml::Table::new());
        let mut options = Options::default();
        for (key, value) in table {
            let word = |value: &toml::Value| -> Result<String> {
                let text = value.as_str().map(str::to_string);
                text.ok_or_else(|| at(&key, format!("{key} is no text: {value}")))
            };
            match key.as_str() {
                "source" => options.source = Some(word(&value)?),
                "about" => options.about = Some(word(&value)?),
                "space" => {
                    options.space = value.try_into().map_err(|_| {
                        at(
                            &key,
                            "write the search space as a table [space]".to_string(),
                        )
                    })?;
                }
                "member" => {
                    options.member = value
                        .try_into()
                        .map_err(|_| at(&key, "write members as [[member]] tables".to_string()))?;
                }
                _ if of_data.contains(&key) => {
                    one::<DataOptions>(&key, &value).map_err(|what| at(&key, what))?;
                    data.insert(key, value);
                }
                _ if of_train.contains(&key) => {
                    one::<TrainOptions>(&key, &value).map_err(|what| at(&key, what))?;
                    train.insert(key, value);
                }
                _ => {
                    let known = of_data.iter().chain(&of_train).map(String::as_str);
                    let hint = suggest::hint(&key, known.chain(["source"]));
                    return Err(at(&key, format!("no such option as {key}{hint}")));
                }
            }
        }
        for (ix, member) in options.member.iter().enumerate() {
            let same = |other: &toml::Table| {
                member.contains_key("name") && other.get("name") == member.get("name")
            };
            if options.member[..ix].iter().any(same) {
                return Err(Error::Usage(format!(
                    "{name}: two members are called {}",
                    member_name(ix, Some(member))
                )));
            }
            member_options(ix, member).map_err(|e| Error::Usage(format!("{name}: {e}")))?;
        }
        let whole = |e: toml::de::Error| Error::Usage(format!("{name}: {}", e.message()));
        options.data = data.try_into().map_err(whole)?;
        options.train = train.try_into().map_err(whole)?;
        Ok(options)
    }
}

/// Whether `value` does for `key`.
fn one<T: DeserializeOwned>(key: &str, value: &toml::Value) -> std::result::Result<(), String> {
    let alone = toml::Table::from_iter([(key.to_string(), value.clone())]);
    let parsed: std::result::Result<T, _> = alone.try_into();
    parsed
        .map(drop)
        .map_err(|e: toml::de::Error| format!("{key}: {}", plain(e.message())))
}

/// A message about types in the words of a person.
fn plain(message: &str) -> String {
    [
        ("i64", "a whole number"),
        ("u64", "a whole number"),
        ("f64", "a number"),
    ]
    .iter()
    .fold(message.to_string(), |text, (from, to)| {
        text.replace(from, to)
    })
}

/// Every member's table as options.
///
/// # Errors
/// [`Error::Usage`] with the member at fault.
pub fn members(tables: &[toml::Table]) -> Result<Vec<TrainOptions>> {
    let numbered = tables.iter().enumerate();
    numbered
        .map(|(ix, table)| member_options(ix, table))
        .collect()
}

/// Refuses what was typed where members say otherwise: it would do nothing for them.
///
/// # Errors
/// [`Error::Usage`] with the option and the member.
pub fn refuse_overridden(typed: &TrainOptions, members: &[toml::Table]) -> Result<()> {
    let typed = toml::Table::try_from(typed).expect("options are plain");
    for (ix, table) in members.iter().enumerate() {
        if let Some(key) = table.keys().find(|key| typed.contains_key(*key)) {
            return Err(Error::Usage(format!(
                "--{key} does nothing for {}, which has its own {key} in the file: change it there",
                whom(ix, table)
            )));
        }
    }
    Ok(())
}

/// A member's table as options.
fn member_options(ix: usize, table: &toml::Table) -> Result<TrainOptions> {
    let mut options = table.clone();
    options.remove("name");
    let allowed = |key: &&String| !OF_A_MEMBER.contains(&key.as_str());
    if let Some(key) = options.keys().find(allowed) {
        return Err(Error::Usage(format!(
            "member {ix}: {key} is not for one member alone: a member may have its own {}",
            OF_A_MEMBER.join(", ")
        )));
    }
    options
        .try_into()
        .map_err(|e: toml::de::Error| Error::Usage(format!("member {ix}: {}", plain(e.message()))))
}

/// The name of member `ix`: its own, or "member" and its number.
pub fn member_name(ix: usize, table: Option<&toml::Table>) -> String {
    let name = table.and_then(|t| t.get("name")?.as_str());
    name.map_or_else(|| format!("member {ix}"), str::to_string)
}

/// A member in an error's words: "member fast", or "member 2".
pub fn whom(ix: usize, table: &toml::Table) -> String {
    match table.contains_key("name") {
        true => format!("member {}", member_name(ix, Some(table))),
        false => member_name(ix, None),
    }
}

/// A run's configuration and that of each member, `merged` being what was typed over the file.
///
/// # Errors
/// [`Error::Usage`] as [`TrainOptions::resolve`], with the member's name.
pub fn resolve(
    merged: &TrainOptions,
    typed: &TrainOptions,
    member: &[toml::Table],
    facts: &Facts,
) -> Result<(Config, Vec<Config>)> {
    let mut config = merged.resolve(typed, facts)?;
    if member.is_empty() {
        return Ok((config.clone(), vec![config]));
    }
    config.member = member.to_vec();
    // Named, as it is in the file that this becomes: a member with another optimiser does without
    // the population's numbers for it, now and when the run is resumed.
    let base = TrainOptions {
        opt: Some(config.opt.clone()),
        ..merged.clone()
    };
    let mut configs = Vec::with_capacity(member.len());
    for (ix, table) in member.iter().enumerate() {
        let options = member_options(ix, table)?.over(&base);
        let one = options.resolve(&TrainOptions::default(), facts);
        configs.push(one.map_err(|e| Error::Usage(format!("{}: {e}", whom(ix, table))))?);
    }
    Ok((config, configs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_its_errors_have_lines() {
        let text = "source = \"a.csv\"\nopt = \"sgd\"\nval-split = 0.1\nbatch = \"full\"\n\n[[member]]\nname = \"slow\"\nlr = 0.01\n";
        let options = Options::parse(text, "x.toml").unwrap();
        assert_eq!(options.source.as_deref(), Some("a.csv"));
        assert_eq!(options.data.val_split, Some(0.1));
        assert_eq!(options.train.opt.as_deref(), Some("sgd"));
        assert_eq!(member_name(0, options.member.first()), "slow");
        for (text, words) in [
            (
                "opt = \"sgd\"\nlearning-rate = 1\n",
                ["line 2", "learning-rate"],
            ),
            ("opt = \"sgd\"\n\nlr = \"fast\"\n", ["line 3", "lr"]),
            ("opt = \"sgd\nlr = 1\n", ["line 1", "x.toml"]),
            ("eposh = 3\n", ["line 1", "did you mean epochs"]),
            ("[[member]]\nmodel = \"mlp\"\n", ["member 0", "model"]),
            ("[[member]]\nlr = \"fast\"\n", ["member 0", "a number"]),
        ] {
            let error = Options::parse(text, "x.toml").unwrap_err().to_string();
            for word in words {
                assert!(error.contains(word), "{word}: {error}");
            }
        }
    }
}
