use super::*;
use crate::tune::distribution::Distribution;

#[test]
fn every_form_is_read() {
    let float = |low, high, log, step| Distribution::Float {
        low,
        high,
        log,
        step,
    };
    let int = |low, high, log, step| Distribution::Int {
        low,
        high,
        log,
        step,
    };
    for (text, name, expected) in [
        ("lr=log:1e-4..1e-1", "lr", float(1e-4, 1e-1, true, None)),
        ("dropout=0..0.5", "dropout", float(0.0, 0.5, false, None)),
        (
            "dropout = 0..0.5:0.1",
            "dropout",
            float(0.0, 0.5, false, Some(0.1)),
        ),
        ("width=int:32..512:32", "width", int(32, 512, false, 32)),
        ("width=32..512", "width", int(32, 512, false, 1)),
        ("batch=log:16..1024", "batch", int(16, 1024, true, 1)),
        ("x=-1..1", "x", float(-1.0, 1.0, false, None)),
    ] {
        let read = parameter(text).unwrap();
        assert_eq!(
            (read.name.as_str(), read.distribution),
            (name, expected),
            "{text}"
        );
    }
    let read = parameter("batch=64|128|256").unwrap();
    let ints = [64, 128, 256].map(Scalar::Int).to_vec();
    assert_eq!(
        read.distribution,
        Distribution::Categorical { choices: ints }
    );
    let read = parameter("momentum=0.5..0.99 if opt=momentum|nesterov").unwrap();
    let when = read.when.unwrap();
    assert_eq!(when.parameter, "opt");
    let words = ["momentum", "nesterov"].map(|w| Scalar::Text(w.to_string()));
    assert_eq!(when.any_of, words);
}

/// An error of `source` that says `what`, and has these carets below the text.
fn assert_points(error: &crate::Error, source: &str, text: &str, what: &str, carets: &str) {
    let error = error.to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert!(lines[0].starts_with(source), "{error}");
    assert!(lines[0].contains(what), "{text}: {error}");
    assert_eq!(&lines[1][2..], text);
    assert_eq!(lines[2], carets, "{error}");
}

#[test]
fn a_caret_points_at_what_is_wrong() {
    for (text, what, carets) in [
        ("lr=1..0", "above the upper", "     ^^^^"),
        ("lr=log:0..1", "above 0", "         ^^^^"),
        ("lr=0..x", "no number", "        ^"),
        ("width=1..2.5", "whole number", "           ^^^"),
        ("opt=sgd||adam", "missing", "          ^"),
        ("opt=sgd|sgd", "twice", "      ^^^^^^^"),
        ("lr", "such as lr=log", "  ^^"),
        ("=0..1", "has no name", "  ^"),
        ("\u{a0}=0..1", "has no name", "  ^"),
        ("lr=0..1:1e-310", "too many steps", "     ^^^^^^^^^^^"),
        ("x=log:3", "before a range", "        ^"),
        ("x=0..1:0", "above 0", "    ^^^^^^"),
        ("m=0..1 if opt", "a condition", "            ^^^"),
    ] {
        let error = parameter(text).unwrap_err();
        assert_points(&error, "--space: ", text, what, carets);
    }
}

#[test]
fn a_caret_points_at_what_does_not_go_with_the_others() {
    let opt = "opt=sgd|adam";
    for (texts, at_fault, what, carets) in [
        (
            [opt, "opt=adam|sgd"],
            1,
            "opt is in the search space twice",
            "  ^^^",
        ),
        (
            [opt, "m=0..1 if op=sgd"],
            1,
            "did you mean opt",
            "            ^^^^^^",
        ),
        (
            ["m=0..1 if opt=sdg", opt],
            0,
            "did you mean sgd",
            "            ^^^^^^^",
        ),
        (
            ["m=0..1 if lr=1", "lr=0..1"],
            0,
            "which is a range",
            "            ^^^^",
        ),
        (
            // The first one only waits for the second.
            ["a=1|2 if b=1", "b=1|2 if b=2"],
            1,
            "of b leads back",
            "           ^^^",
        ),
    ] {
        let error = space(texts).unwrap_err();
        assert_points(&error, "--space: ", texts[at_fault], what, carets);
    }
}

#[test]
fn queued_values_are_read() {
    let space = space([
        "lr=log:1e-3..1",
        "opt=sgd|adam",
        "model=linear:64,relu,linear:8|mlp",
        "width=8..64:8",
        "momentum=0.5..0.9 if opt=sgd",
    ])
    .unwrap();
    let read = values("lr=0.01, model = linear:64,relu,linear:8,opt=adam", &space).unwrap();
    let text = |word: &str| Scalar::Text(word.to_string());
    let expected = [
        ("lr".to_string(), Scalar::Float(0.01)),
        ("model".to_string(), text("linear:64,relu,linear:8")),
        ("opt".to_string(), text("adam")),
    ];
    assert_eq!(read, BTreeMap::from(expected));
    let read = values("momentum=0.6,opt=sgd", &space).unwrap();
    assert_eq!(read["momentum"], Scalar::Float(0.6));
    for (text, what, carets) in [
        ("adam", "names and values", "  ^^^^"),
        ("opt=adam,lrr=1", "did you mean lr", "           ^^^"),
        ("lr=5", "it is none of", "     ^"),
        (
            "lr=0.1,width= 12,opt=sgd",
            "it is none of",
            "                ^^",
        ),
        ("lr=0.1,lr=0.2", "a value already", "         ^^"),
        ("", "names and values", "  ^"),
        ("momentum=0.6", "only where opt=sgd", "  ^^^^^^^^"),
        ("momentum=0.6,opt=adam", "only where opt=sgd", "  ^^^^^^^^"),
    ] {
        let error = values(text, &space).unwrap_err();
        assert_points(&error, "--enqueue: ", text, what, carets);
    }
}

#[test]
fn a_table_says_the_same() {
    let text = "lr = \"log:1e-4..1e-1\"\nbatch = [64, 128]\nwidth = {low = 32, high = 512, step = 32}\n\
                opt = [\"sgd\", \"momentum\"]\nmomentum = {low = 0.5, high = 0.99, if = \"opt=momentum\"}\n";
    let read = table(&toml::from_str(text).unwrap()).unwrap();
    let same = [
        "batch=64|128",
        "lr=log:1e-4..1e-1",
        "momentum=0.5..0.99 if opt=momentum",
        "opt=sgd|momentum",
        "width=int:32..512:32",
    ];
    assert_eq!(read, space(same).unwrap());
    let read = table(
        &toml::from_str(
            "dropout = {low = 0, high = 1}\nwidth = {low = 32.0, high = 64}\nfolds = {low = 2, high = 9, int = true}\n",
        )
        .unwrap(),
    );
    let same = ["dropout=0..1", "folds=int:2..9", "width=32..64"];
    assert_eq!(read.unwrap(), space(same).unwrap());
    for (text, what) in [
        ("width = {low = 0.5, high = 8}", "0.5 is no whole number"),
        ("lr = {low = 0, high = 1, int = 1}", "int is true or false"),
        ("lr = {low = 1}", "high is missing"),
        ("lr = {hihg = 1}", "did you mean high"),
        ("lr = true", "neither a range"),
        ("lr = \"1..0\"", "[space]: "),
        ("lr = \"1..0\"", "lr=1..0\n     ^^^^"),
        ("m = {low = 0, high = 1, if = \"opt\"}", "[space] m: "),
        (
            "m = {low = 0, high = 1, if = \"opt=a\"}",
            "[space] m depends on opt",
        ),
    ] {
        let error = table(&toml::from_str(text).unwrap())
            .unwrap_err()
            .to_string();
        assert!(error.contains(what), "{error}");
    }
}
