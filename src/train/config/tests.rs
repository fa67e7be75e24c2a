//! Tests of what options come to.

use super::*;
use crate::train::file::Options;

fn facts(n_train: usize, n_val: usize) -> Facts<'static> {
    Facts {
        source: "mnist",
        data: DataOptions::default(),
        n_train,
        n_val,
        outputs: 10,
        regression: false,
    }
}

fn resolve(change: impl FnOnce(&mut TrainOptions)) -> Result<Config> {
    let mut options = TrainOptions::default();
    change(&mut options);
    options.resolve(&options, &facts(60_000, 0))
}

#[test]
fn defaults_follow_the_optimiser_and_the_data() {
    let config = resolve(|_| {}).unwrap();
    assert_eq!(
        (config.opt.as_str(), config.lr, config.batch, config.epochs),
        ("adam", 0.001, 128, 5)
    );
    let config = resolve(|o| o.opt = Some("adamw".into())).unwrap();
    assert_eq!(config.weight_decay, 0.01);
    let config = resolve(|o| o.opt = Some("adagrad".into())).unwrap();
    assert_eq!(config.eps, 1e-10);
    let none = TrainOptions::default();
    let small = none.resolve(&none, &facts(20, 0)).unwrap();
    assert_eq!((small.batch, small.epochs), (20, 200));
    let values = Facts {
        regression: true,
        outputs: 1,
        ..facts(1000, 0)
    };
    let config = none.resolve(&none, &values).unwrap();
    assert_eq!((config.loss.as_str(), config.batch), ("mse", 32));
    let full = resolve(|o| o.batch = Some("full".parse().unwrap())).unwrap();
    assert_eq!(full.batch, 60_000);
}

#[test]
fn absurd_numbers_are_refused_by_name() {
    type Change = fn(&mut TrainOptions);
    let cases: [(Change, &str); 29] = [
        (|o| o.lr = Some(0.0), "--lr 0"),
        (|o| o.lr = Some(-1.0), "--lr -1"),
        (|o| o.lr = Some(f64::NAN), "--lr NaN"),
        (|o| o.lr = Some(f64::INFINITY), "--lr inf"),
        (|o| o.lr = Some(1e-60), "32-bit"),
        (|o| o.batch = Some(BatchSize::Samples(0)), "--batch 0"),
        (|o| o.batch = Some(BatchSize::Samples(60_001)), "1 to 60000"),
        (|o| o.epochs = Some(0), "--epochs 0"),
        (|o| o.epochs = Some(-3), "--epochs -3"),
        (|o| o.opt = Some("adma".into()), "did you mean adam"),
        (|o| o.loss = Some("hubr".into()), "did you mean huber"),
        (|o| o.label_smoothing = Some(1.0), "[0, 1)"),
        (|o| o.alpha = Some(0.9), "belongs to rmsprop"),
        (|o| o.clip_norm = Some(-1.0), "from 0 up"),
        (|o| o.max_norm = Some(-1.0), "from 0 up"),
        (|o| o.accumulate = Some(0), "--accumulate 0"),
        (|o| o.ema = Some(1.0), "--ema 1"),
        (
            |o| o.schedule = Some("stp:3:0.1".into()),
            "did you mean step",
        ),
        (|o| o.warmup = Some("200%".into()), "200"),
        (|o| o.early_stop = Some(3), "--val-split 0.1"),
        (|o| o.min_delta = Some(0.1), "belongs to --early-stop"),
        (|o| o.tol = Some(0.1), "belongs to --until-converged"),
        (|o| o.huber_delta = Some(0.5), "belongs to --loss huber"),
        (|o| o.init_partial = Some(true), "belongs to --init"),
        (|o| o.dropout = Some(0.5), "dropout layers"),
        (|o| o.time = Some("soon".into()), "soon"),
        (
            |o| o.data_memory = Some("lots".into()),
            "--data-memory lots",
        ),
        (|o| o.target_accuracy = Some(1.5), "--target-accuracy"),
        (|o| o.initializer = Some("he".into()), "he"),
    ];
    for (change, part) in cases {
        let error = resolve(change).unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
    }
    let smoothed = resolve(|o| {
        o.loss = Some("mse".into());
        o.label_smoothing = Some(0.1);
    });
    assert!(
        smoothed
            .unwrap_err()
            .to_string()
            .contains("cross-entropy only")
    );
}

#[test]
fn another_optimiser_drops_the_files_numbers_and_idle_ones_are_refused() {
    let file = TrainOptions {
        opt: Some("adamw".into()),
        lr: Some(0.5),
        weight_decay: Some(0.01),
        ..TrainOptions::default()
    };
    let typed = TrainOptions {
        opt: Some("adagrad".into()),
        ..TrainOptions::default()
    };
    assert_eq!(typed.drops_of(&file), ["lr 0.5", "weight-decay 0.01"]);
    let config = typed.over(&file).resolve(&typed, &facts(1000, 0)).unwrap();
    assert_eq!(
        (config.lr, config.weight_decay, config.eps),
        (0.01, 0.0, 1e-10)
    );
    let idle = TrainOptions {
        alpha: Some(0.5),
        ..file
    };
    let none = TrainOptions::default();
    let error = none
        .over(&idle)
        .resolve(&none, &facts(1000, 0))
        .unwrap_err();
    assert!(error.to_string().contains("belongs to rmsprop"));
}

#[test]
fn a_written_configuration_resolves_to_itself() {
    let none = TrainOptions::default();
    for opt in OptimizerKind::ALL {
        let options = TrainOptions {
            opt: Some(opt.name().into()),
            lr: Some(0.03),
            device: Some("cpu".into()),
            early_stop: Some(3),
            time: Some("5m".into()),
            schedule: Some("one-cycle:0.3".into()),
            ..none.clone()
        };
        let facts = Facts {
            data: DataOptions {
                val_split: Some(0.1),
                ..DataOptions::default()
            },
            ..facts(1000, 100)
        };
        let config = options.resolve(&options, &facts).unwrap();
        let text = toml::to_string(&config).unwrap();
        let file = Options::parse(&text, "config.toml").unwrap();
        assert_eq!(file.data, config.data);
        assert_eq!(
            none.over(&file.train).resolve(&none, &facts).unwrap(),
            config
        );
    }
}

#[test]
fn sizes_are_read() {
    for (text, bytes) in [
        ("64MB", 64_000_000),
        ("128MiB", 134_217_728),
        ("1.5 GB", 1_500_000_000),
        ("1000", 1000),
    ] {
        assert_eq!(parse_bytes(text).unwrap(), bytes, "{text}");
    }
    for text in ["", "0", "-1MB", "MB", "3 apples", "nan"] {
        assert!(parse_bytes(text).is_err(), "{text}");
    }
}
