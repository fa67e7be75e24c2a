//! Missing values and categories, as the training rows say.

use super::*;

const HOLES: &str = "a,b,colour,y\n1,10,red,0\n,20,,1\n3,NA,red,0\n8,40,blue,1\n5,?,blue,1\n";

#[test]
fn missing_values_are_filled_from_the_training_rows() {
    for (missing, a, b) in [(Missing::Mean, 3.0, 15.0), (Missing::Median, 3.0, 15.0)] {
        let source = read_with(HOLES, &with_missing(missing)).unwrap();
        noted(
            &source.notes,
            &["4 values missing in 3 columns", "line 3, column \"a\""],
        );
        let raw = raw(source);
        // The blue rows are not for training.
        let encoder = raw.fit(&[0, 1, 2, 4]).unwrap();
        let fills: Vec<&Encoding> = encoder.columns.iter().map(|c| &c.encoding).collect();
        assert_eq!(fills[0], &Encoding::Number { fill: a }, "{missing:?}");
        assert_eq!(fills[1], &Encoding::Number { fill: b });
        let Encoding::OneHot { categories, fill } = fills[2] else {
            panic!("{:?}", fills[2]);
        };
        assert_eq!(
            (&categories[..], *fill),
            (&["blue".to_string(), "red".to_string()][..], 1)
        );
        let (matrix, _) = encoder.encode(raw).unwrap();
        let red = [0.0, 1.0];
        let blue = [1.0, 0.0];
        let want = [
            [1.0, 10.0, red[0], red[1]],
            [a, 20.0, red[0], red[1]],
            [3.0, b, red[0], red[1]],
            [8.0, 40.0, blue[0], blue[1]],
            [5.0, b, blue[0], blue[1]],
        ];
        assert_eq!(matrix, want.concat(), "{missing:?}");
    }
    let raw = raw(read_with(HOLES, &with_missing(Missing::Median)).unwrap());
    let fills = |rows: &[u32]| match raw.fit(rows).unwrap().columns[0].encoding {
        Encoding::Number { fill } => fill,
        _ => panic!(),
    };
    assert_eq!(fills(&[0, 2, 3, 1]), 3.0);
    assert_eq!(fills(&[3, 0]), 4.5);
    let error = raw.fit(&[1, 1]).unwrap_err().to_string();
    assert!(
        error.contains("\"a\" has no value in the 2 rows"),
        "{error}"
    );
    assert!(raw.fit(&[]).is_err());
}

#[test]
fn the_first_of_equally_frequent_categories_fills_in() {
    let raw = raw(good("c,y\nz,0\nb,1\nb,0\nz,1\na,0\n,1\n"));
    let encoder = raw.fit(&all(&raw)).unwrap();
    let (matrix, _) = encoder.encode(raw).unwrap();
    assert_eq!(encoder.input_names(), ["c=a", "c=b", "c=z"]);
    assert_eq!(matrix[15..], [0.0, 1.0, 0.0]);
}

#[test]
fn rows_with_missing_values_can_be_dropped_or_refused() {
    let source = read_with(HOLES, &with_missing(Missing::Drop)).unwrap();
    noted(&source.notes, &["3 rows with missing values left out"]);
    assert_eq!(classes(&source).0, [0, 1]);
    assert_eq!(raw(source).matrix, [1.0, 10.0, 0.0, 8.0, 40.0, 1.0]);
    refused_with(
        HOLES,
        &with_missing(Missing::Error),
        &["line 3, column \"a\"", "4 values missing in 3 columns"],
    );
    let none = "a,b,y\n1,,x\n,2,z\n";
    refused_with(
        none,
        &with_missing(Missing::Drop),
        &["every row has a missing value"],
    );
    for missing in [Missing::Drop, Missing::Error] {
        let raw = raw(read_with("a,y\n1,x\n2,z\n", &with_missing(missing)).unwrap());
        assert_eq!(raw.fit(&all(&raw)).unwrap().missing, missing);
    }
}

#[test]
fn an_empty_column_is_left_out() {
    let source = good("a,e,b,f,y\n1,,u,NA,0\n2,?,v,,1\n,,u,,0\n");
    noted(&source.notes, &["\"e\" is empty"]);
    noted(&source.notes, &["\"f\" is empty"]);
    let raw = raw(source);
    assert_eq!(
        raw.columns.iter().map(|c| c.position).collect::<Vec<_>>(),
        [0, 2]
    );
    assert_eq!(raw.matrix[..4], [1.0, 0.0, 2.0, 1.0]);
    refused("a,y\n,0\n,1\n", &["no input column holds a value"]);
}

#[test]
fn one_hot_inputs_follow_the_training_rows() {
    let text = "colour,a,shape,y\nred,1,o,0\nblue,2,x,1\ngreen,3,o,0\nblue,4,x,1\n";
    let raw = raw(good(text));
    let encoder = raw.fit(&[0, 1]).unwrap();
    let names = ["colour=blue", "colour=red", "a", "shape=o", "shape=x"];
    assert_eq!(
        (encoder.inputs(), encoder.input_names()),
        (5, names.map(String::from).to_vec())
    );
    let (matrix, notes) = encoder.encode(raw).unwrap();
    let want = [
        [0.0, 1.0, 1.0, 1.0, 0.0],
        [1.0, 0.0, 2.0, 0.0, 1.0],
        [0.0, 0.0, 3.0, 1.0, 0.0],
        [1.0, 0.0, 4.0, 0.0, 1.0],
    ];
    assert_eq!(matrix, want.concat());
    assert_eq!(notes.len(), 1);
    noted(&notes, &["\"colour\"", "1 row with", "\"green\""]);
}

#[test]
fn an_encoder_survives_its_json_and_refuses_other_tables() {
    let raw_a = raw(read_with(HOLES, &with_missing(Missing::Median)).unwrap());
    let encoder = raw_a.fit(&all(&raw_a)).unwrap();
    let json = serde_json::to_value(&encoder).unwrap().to_string();
    assert_eq!(
        serde_json::from_str::<TableEncoder>(&json).unwrap(),
        encoder
    );
    let target = serde_json::to_value(&raw_a.target).unwrap().to_string();
    assert_eq!(
        serde_json::from_str::<TargetInfo>(&target).unwrap(),
        raw_a.target
    );
    for other in [
        "a,y\n1,0\n2,1\n",
        "a,b,colour,y\n1,2,3,0\n2,3,4,1\n",
        "a,c,colour,y\n1,2,u,0\n2,3,u,1\n",
    ] {
        let error = encoder.encode(raw(good(other))).unwrap_err();
        assert!(error.to_string().contains("other columns"), "{error}");
    }
}

#[test]
fn encoding_keeps_the_tables_memory() {
    let raw = raw(good(rows("a,b,y", 1000, |n| {
        format!("{n}.5,{},{}", n * 3, n % 2)
    })));
    let encoder = raw.fit(&all(&raw)).unwrap();
    let before = raw.matrix.as_ptr();
    let (matrix, _) = encoder.encode(raw).unwrap();
    assert_eq!(matrix.as_ptr(), before);
}
