//! Tests of the layer notation.

use super::*;
use crate::plan::{Plan, Spec};

#[test]
fn notation_round_trips() {
    for text in [
        "",
        "linear:128,relu",
        "linear:3,gelu,dropout:0.25,linear:4,tanh",
        "linear:8,batchnorm,relu,layernorm",
        "linear:8,residual(linear:4,relu,residual(layernorm,linear:4),linear:8),relu",
    ] {
        let model = Sequential::parse(text, 10).unwrap();
        assert_eq!(model.to_string(), text);
        assert_eq!(model.layers().last(), Some(&Layer::Linear(10)));
    }
    let loud = Sequential::parse("Linear:3, GELU", 10).unwrap();
    assert_eq!(loud.to_string(), "linear:3,gelu");
    let spaced = " Linear:8 , Residual( LINEAR:8 ,Relu,dropout : 0.5 ) , BatchNorm";
    let spaced = Sequential::parse(spaced, 10).unwrap();
    assert_eq!(
        spaced.to_string(),
        "linear:8,residual(linear:8,relu,dropout:0.5),batchnorm"
    );
    for (name, text) in PRESETS {
        let preset = Sequential::parse(name, 10).unwrap();
        assert_eq!(preset.to_string(), text, "{name}");
        preset.check(7).unwrap();
        assert!(preset_list().contains(name));
    }
    let preset = Sequential::parse("mlp", 10).unwrap();
    assert_eq!(preset.to_string(), "linear:128,relu");
    assert_eq!(preset.n_parameters(784), 101_770);
}

/// A small step is latency-bound: its dispatches are its time.
#[test]
fn the_default_step_is_five_dispatches() {
    let model = Sequential::parse("mlp", 10).unwrap();
    let mut spec = Spec {
        inputs: 784,
        classes: 10,
        n_samples: 256,
        train_batch: 128,
        train_capacity: 2,
        eval_batch: 128,
        eval_capacity: 2,
        ..Spec::default()
    };
    let plan = Plan::record(&spec, |rec, x| model.forward(rec, x));
    assert_eq!(plan.train.per_step.len(), 5, "{plan}");
    assert_eq!(plan.eval.per_step.len(), 5, "{plan}");
    assert_eq!(plan.n_parameters(), 101_770);
    spec.clips = true;
    let plan = Plan::record(&spec, |rec, x| model.forward(rec, x));
    assert_eq!(plan.train.per_step.len(), 7, "{plan}");
}

#[test]
fn bad_notation_names_the_layer() {
    for (text, part) in [
        ("linear:128,rlu", "did you mean relu"),
        ("linear", "linear:128"),
        ("linear:0", "at least 1"),
        ("linear:99999999999", "2^24"),
        ("linear:abc", "not a number"),
        ("dropout:1", "[0, 1)"),
        ("dropout:nan", "[0, 1)"),
        ("relu:3", "no argument"),
        ("linear:8,,relu", "layer 1"),
        ("linear:8,", "comma"),
        ("batchnorm:3", "no argument"),
        ("batch-norm", "did you mean batchnorm"),
        ("linear:8,residual", "residual(linear:64"),
        ("linear:8,residual()", "layer 1"),
        ("linear:8,residual(linear:8,relu", "no closing"),
        ("linear:8,relu)", "no opening"),
        ("linear:8,residual(linear:8)relu", "comma"),
        ("linear:8,residual(linear:8,,relu)", "layer 1.1"),
        (
            "linear:8,residual(relu,linear:9),relu",
            "8 columns enter and 9 leave",
        ),
        ("linear:8,residual(residual(linear:7))", "layer 1.0"),
        (&"residual(".repeat(9000), "no closing"),
        (
            &format!("{}relu{}", "residual(".repeat(9000), ")".repeat(9000)),
            "deep",
        ),
    ] {
        let error = Sequential::parse(text, 10).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn a_block_that_the_inputs_enter_is_checked_against_them() {
    let model = Sequential::parse("residual(linear:64,relu,linear:32),relu", 10).unwrap();
    model.check(32).unwrap();
    let error = model.check(784).unwrap_err().to_string();
    assert!(error.contains("784 columns enter and 32 leave"), "{error}");
    assert!(error.contains("layer 0"), "{error}");
}

#[test]
fn a_summary_adds_up() {
    let text = "linear:8,batchnorm,residual(linear:4,relu,linear:8),layernorm,dropout:0.5";
    let model = Sequential::parse(text, 3).unwrap();
    let rows = model.summary(5);
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["0", "1", "2", "2.0", "2.1", "2.2", "3", "4", "5"]);
    let parameters: Vec<usize> = rows.iter().map(|row| row.parameters).collect();
    assert_eq!(parameters, [48, 16, 0, 36, 0, 40, 16, 0, 27]);
    let widths: Vec<usize> = rows.iter().map(|row| row.output).collect();
    assert_eq!(widths, [8, 8, 8, 4, 4, 8, 8, 8, 3]);
    assert_eq!(rows[2].layer, "residual");
    assert_eq!(rows[3].layer, "linear:4");
    assert_eq!(model.n_parameters(5), 183);
    let plan = record(&model, 5, &[]);
    assert_eq!(plan.n_parameters(), 183);
}

fn record(model: &Sequential, inputs: usize, frozen: &[&str]) -> Plan {
    let spec = Spec {
        inputs,
        classes: 3,
        n_samples: 4,
        train_batch: 4,
        train_capacity: 1,
        frozen: frozen.iter().map(|name| name.to_string()).collect(),
        ..Spec::default()
    };
    Plan::record(&spec, |rec, x| model.forward(rec, x))
}

#[test]
fn frozen_layers_are_layers() {
    let text = "linear:8,relu,residual(linear:8,layernorm),linear:4";
    let model = Sequential::parse(text, 3).unwrap();
    let check = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        model.check_frozen(&names).map_err(|e| e.to_string())
    };
    check(&[]).unwrap();
    check(&["0", "2", "3"]).unwrap();
    check(&["2.1"]).unwrap();
    for wrong in ["1", "9", "2.2", "", "linear", "0.weight"] {
        let error = check(&[wrong]).unwrap_err();
        assert!(error.contains("0, 2.0, 2.1, 3, 4"), "{error}");
    }
    let error = check(&["0", "2", "3", "4"]).unwrap_err();
    assert!(error.contains("nothing is left"), "{error}");
}

/// The tensors of PyTorch's modules, what trains before what does not, weights first.
#[test]
fn tensors_are_named_and_laid_out() {
    let text = "linear:8,batchnorm,relu,residual(linear:8,layernorm)";
    let model = Sequential::parse(text, 3).unwrap();
    let plan = record(&model, 5, &["0"]);
    let mut params: Vec<_> = plan.params.iter().collect();
    params.sort_by_key(|param| param.offset);
    let names: Vec<&str> = params.iter().map(|param| param.name.as_str()).collect();
    let trainable = [
        "3.0.weight",
        "4.weight",
        "1.weight",
        "1.bias",
        "3.0.bias",
        "3.1.weight",
        "3.1.bias",
        "4.bias",
    ];
    let others = ["0.weight", "0.bias", "1.running_mean", "1.running_var"];
    assert_eq!(names, [&trainable[..], &others].concat());
    assert_eq!(plan.n_trainable, params[8].offset);
    assert!(
        params
            .iter()
            .all(|p| p.trainable == (p.offset < plan.n_trainable))
    );
    assert_eq!(plan.params[2].shape(), [8]);
    // The input layer is frozen: no gradient of it, and none that leads to it alone.
    let labels = plan.train.per_step.iter().map(|d| d.label.as_str());
    assert!(
        labels.clone().any(|l| l == "grad of 3.0.weight and bias"),
        "{plan}"
    );
    assert!(
        labels
            .clone()
            .all(|l| !l.contains("0.weight and bias") || l.contains("3.0"))
    );
    let arena = initial_parameters(&plan, 1);
    let of = |name: &str| {
        let found = plan.params.iter().find(|param| param.name == name);
        found.expect("a tensor").unpack(&arena)
    };
    assert_eq!(of("1.weight"), [1.0; 8]);
    assert_eq!(of("1.running_var"), [1.0; 8]);
    assert_eq!(of("1.bias"), [0.0; 8]);
    assert!(of("3.0.bias").iter().all(|b| *b != 0.0 && b.abs() <= 0.354));
}
