//! What a trial's values mean for a run: options, and layers where width and depth are searched.

mod idle;

use super::distribution::{Distribution, Scalar};
use super::space::{Parameter, Space};
use super::trial::{Point, Trial};
use crate::plan::OptimizerKind;
use crate::train::config::users_of;
use crate::train::file::OF_A_MEMBER;
use crate::train::options::{self, TrainOptions};
use crate::{Error, Result, suggest};

pub use idle::check_given;

/// Parameters that are no option themselves: the layers are made from them.
const OF_LAYERS: [&str; 3] = ["width", "depth", "activation"];

/// Options that are no hyper-parameters.
const OF_A_RUN: [&str; 13] = [
    "folds",
    "init",
    "init-partial",
    "freeze",
    "early-stop",
    "min-delta",
    "until-converged",
    "tol",
    "time",
    "target-accuracy",
    "device",
    "data-memory",
    "log-every",
];

/// Hyper-parameters that may be searched, by name.
pub fn known() -> Vec<String> {
    let of_layers = OF_LAYERS.iter().map(|name| name.to_string());
    let of_options = options::keys::<TrainOptions>().into_iter();
    let of_options = of_options.filter(|key| {
        let of_run = OF_A_RUN.contains(&key.as_str());
        !of_run && !key.contains("deterministic") && !key.starts_with("checkpoint")
    });
    of_layers.chain(of_options).collect()
}

/// Whether all trials of a population have one value of it: what decides the plan, and what such a
/// parameter's existence depends on.
pub fn is_structural(space: &Space, name: &str) -> bool {
    let decides = |p: &Parameter| {
        let depends = p.when.as_ref().is_some_and(|when| when.parameter == name);
        depends && is_structural(space, &p.name)
    };
    !OF_A_MEMBER.contains(&name) || space.parameters().iter().any(decides)
}

/// Refuses parameters that no run has, and those that contradict what is given; `object` makes an error of
/// a parameter's name and what is wrong with it.
///
/// # Errors
/// [`Error::Usage`] with the parameter and a close match.
pub fn check(
    space: &Space,
    given: &TrainOptions,
    object: &dyn Fn(&str, &str) -> Error,
) -> Result<()> {
    let known = known();
    let given_table = toml::Table::try_from(given).expect("options are plain");
    for Parameter { name, .. } in space.parameters() {
        if !known.contains(name) {
            let hint = suggest::hint(name, known.iter().map(String::as_str));
            return Err(object(name, &format!("no such hyper-parameter{hint}")));
        }
        if given_table.contains_key(name) {
            let what = format!("--{name} is given and searched: leave one of the two out");
            return Err(object(name, &what));
        }
    }
    let of_layers = OF_LAYERS.iter().any(|name| space.get(name).is_some());
    if of_layers && names_model(space, given) {
        return Err(Error::Usage(
            "width, depth and activation make the layers, and so does the model: leave one of the two out"
                .to_string(),
        ));
    }
    idle::check_space(space, given)
}

fn names_model(space: &Space, given: &TrainOptions) -> bool {
    given.model.is_some() || space.get("model").is_some()
}

/// Whether a trial's layers are made here: where something of them is searched, or where there is a rate
/// of dropout and no model that it is for.
fn makes_layers(space: &Space, given: &TrainOptions) -> bool {
    let of_layers = OF_LAYERS.iter().any(|name| space.get(name).is_some());
    of_layers || (drops(space, given) && !names_model(space, given))
}

fn drops(space: &Space, given: &TrainOptions) -> bool {
    space.get("dropout").is_some() || given.dropout.is_some()
}

/// Options without the numbers that their optimiser does not have: in a search, those are for the trials
/// of another one.
pub fn of_optimizer(mut options: TrainOptions) -> TrainOptions {
    let kind = OptimizerKind::from_name(&options.opt.as_deref().unwrap_or("adam").to_lowercase());
    for (name, value) in [
        ("momentum", &mut options.momentum),
        ("beta1", &mut options.beta1),
        ("beta2", &mut options.beta2),
        ("eps", &mut options.eps),
        ("alpha", &mut options.alpha),
    ] {
        if kind.is_some_and(|kind| !users_of(name).contains(&kind)) {
            *value = None;
        }
    }
    options
}

/// The space where none is given, with what is fixed by an option left out.
pub fn default_space(given: &TrainOptions, n_train: usize) -> Result<Space> {
    let batches = match n_train {
        0..64 => "batch=8|16",
        64..5000 => "batch=16|32|64",
        _ => "batch=64|128|256",
    };
    let mut texts = vec![
        "lr=log:1e-4..1e-1",
        batches,
        "opt=adam|adamw|momentum",
        "weight-decay=log:1e-6..1e-2",
    ];
    if given.model.is_none() {
        texts.extend(["width=int:32..512:32", "depth=1|2|3", "dropout=0..0.5"]);
    }
    let given = toml::Table::try_from(given).expect("options are plain");
    texts.retain(|text| {
        let name = text.split('=').next().unwrap_or_default();
        !given.contains_key(name)
    });
    super::notation::space(texts)
}

/// A trial's values as the options of a run, by name; `given` has what is not searched.
///
/// # Errors
/// [`Error::Usage`] where a value is none for its option.
pub fn table(space: &Space, point: &Point, given: &TrainOptions) -> Result<toml::Table> {
    let value = |name: &str| -> Option<Scalar> {
        let parameter = space.get(name)?;
        Some(parameter.distribution.external(*point.get(name)?))
    };
    let mut table = toml::Table::new();
    for name in point.keys().filter(|n| !OF_LAYERS.contains(&n.as_str())) {
        if let Some(value) = value(name).and_then(|value| toml_value(name, &value)) {
            table.insert(name.clone(), value);
        }
    }
    if makes_layers(space, given) {
        let model = layers(&value, drops(space, given))?;
        table.insert("model".to_string(), toml::Value::String(model));
    }
    Ok(table)
}

/// The values of a trial by name as a person reads them: "lr 0.003, opt adam".
pub fn words(trial: &Trial, space: &Space) -> String {
    let of = |p: &Parameter| {
        let value = trial.value_of(&p.name)?;
        Some(format!("{} {}", p.name, short(&value, &p.distribution)))
    };
    let words: Vec<String> = space.parameters().iter().filter_map(of).collect();
    words.join(", ")
}

/// A value with as many digits as tell it apart.
fn short(value: &Scalar, distribution: &Distribution) -> String {
    match (value, distribution) {
        (Scalar::Float(x), Distribution::Float { step: None, .. }) => match x.abs() {
            size if size == 0.0 || (1e-3..1e4).contains(&size) => {
                let digits = (3 - size.log10().floor().max(-3.0) as i32).clamp(0, 6) as usize;
                format!("{x:.digits$}")
            }
            _ => format!("{x:.2e}"),
        },
        _ => value.to_string(),
    }
}

/// Whole numbers where the option has them; `None` for "none".
fn toml_value(name: &str, value: &Scalar) -> Option<toml::Value> {
    let takes_text = ["model", "schedule", "warmup", "class-weights"].contains(&name);
    Some(match value {
        Scalar::None => return None,
        value if takes_text => toml::Value::String(value.to_string()),
        Scalar::Bool(on) => toml::Value::Boolean(*on),
        Scalar::Int(n) => toml::Value::Integer(*n),
        Scalar::Float(x) => toml::Value::Float(*x),
        Scalar::Text(text) => toml::Value::String(text.clone()),
    })
}

/// `depth` layers of `width` units, each with its activation and, where a rate is set, its dropout.
fn layers(value: &dyn Fn(&str) -> Option<Scalar>, drops: bool) -> Result<String> {
    let whole = |name: &str, usual: i64| match value(name) {
        None => Ok(usual),
        Some(Scalar::Int(n)) if n > 0 => Ok(n),
        Some(other) => Err(Error::Usage(format!(
            "--space {name}: {other} is no number of {}",
            if name == "width" { "units" } else { "layers" }
        ))),
    };
    let (width, depth) = (whole("width", 128)?, whole("depth", 1)?);
    let activation = value("activation").map_or("relu".to_string(), |a| a.to_string());
    let dropout = if drops { ",dropout:0" } else { "" };
    let layer = format!("linear:{width},{activation}{dropout}");
    Ok(vec![layer; depth as usize].join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::notation;

    fn object(name: &str, what: &str) -> Error {
        Error::Usage(format!("{name}: {what}"))
    }

    fn point(space: &Space, values: &[(&str, Scalar)]) -> Point {
        let of = |(name, value): &(&str, Scalar)| {
            let distribution = &space.get(name).unwrap().distribution;
            (name.to_string(), distribution.internal(value).unwrap())
        };
        values.iter().map(of).collect()
    }

    #[test]
    fn values_become_options_and_layers() {
        let space = notation::space([
            "lr=log:1e-4..1e-1",
            "width=32..64:32",
            "depth=1|2",
            "dropout=0..0.5",
            "batch=64|128",
            "warmup=0|100",
        ])
        .unwrap();
        let values = [
            ("lr", Scalar::Float(0.01)),
            ("width", Scalar::Int(64)),
            ("depth", Scalar::Int(2)),
            ("dropout", Scalar::Float(0.25)),
            ("batch", Scalar::Int(128)),
            ("warmup", Scalar::Int(100)),
        ];
        let made = table(&space, &point(&space, &values), &TrainOptions::default()).unwrap();
        let options: TrainOptions = made.try_into().unwrap();
        let model = "linear:64,relu,dropout:0,linear:64,relu,dropout:0";
        assert_eq!(options.model.as_deref(), Some(model));
        assert_eq!((options.lr, options.dropout), (Some(0.01), Some(0.25)));
        assert_eq!(options.warmup.as_deref(), Some("100"));
    }

    #[test]
    fn dropout_has_layers_and_numbers_have_their_optimiser() {
        let space = notation::space(["dropout=0..0.5", "opt=adam|sgd|momentum"]).unwrap();
        let given = TrainOptions {
            momentum: Some(0.7),
            beta1: Some(0.8),
            ..TrainOptions::default()
        };
        check(&space, &given, &object).unwrap();
        for (opt, momentum, beta1) in [
            ("adam", None, Some(0.8)),
            ("momentum", Some(0.7), None),
            ("sgd", None, None),
        ] {
            let values = [
                ("dropout", Scalar::Float(0.25)),
                ("opt", Scalar::Text(opt.to_string())),
            ];
            let made = table(&space, &point(&space, &values), &given).unwrap();
            let made: TrainOptions = made.try_into().unwrap();
            assert_eq!(made.model.as_deref(), Some("linear:128,relu,dropout:0"));
            let options = of_optimizer(made.over(&given));
            assert_eq!(
                (options.momentum, options.beta1),
                (momentum, beta1),
                "{opt}"
            );
        }
    }

    #[test]
    fn what_a_structure_depends_on_belongs_to_it() {
        let space = notation::space([
            "opt=adam|sgd",
            "lr=log:1e-4..1e-1",
            "batch=16|64 if opt=adam",
            "momentum=0..0.9 if opt=sgd",
        ])
        .unwrap();
        let structural = |name: &str| is_structural(&space, name);
        assert!(structural("batch") && structural("opt"));
        assert!(!structural("lr") && !structural("momentum"));
    }

    #[test]
    fn unknown_and_doubled_parameters_are_refused() {
        let given = TrainOptions {
            lr: Some(0.1),
            model: Some("mlp".to_string()),
            ..TrainOptions::default()
        };
        for (text, what) in [
            ("lrr=0..1", "did you mean lr"),
            ("lr=0.1..1", "given and searched"),
            ("width=32..64", "make the layers"),
            ("momentum=0..0.9", "belongs to momentum, nesterov"),
            ("huber-delta=0.1..1", "--loss huber"),
            ("dropout=0..0.5", "mlp has none"),
            ("device=cpu|gpu", "no such hyper-parameter"),
        ] {
            let space = notation::space([text]).unwrap();
            let error = check(&space, &given, &object).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
        let default = default_space(&given, 60_000).unwrap();
        let names: Vec<&str> = default
            .parameters()
            .iter()
            .map(|p| p.name.as_str())
            .collect();
        assert_eq!(names, ["batch", "opt", "weight-decay"]);
        check(&default, &given, &object).unwrap();
    }
}
