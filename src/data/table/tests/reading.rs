//! What is read, and how it is described.

use super::*;

#[test]
fn numbers_and_classes_are_read() {
    let source = good("a,b,kind\n1,2.5,x\n-3,4e2,y\n 5 ,\" 6\",x\n");
    assert_eq!(classes(&source), (&[0, 1, 0][..], vec!["x", "y"]));
    noted(&source.notes, &["header"]);
    noted(&source.notes, &["target \"kind\": 2 classes (x, y)"]);
    noted(&source.notes, &["inputs: 2 columns of numbers"]);
    assert!(source.test.is_none() && source.val.is_none() && source.names.is_empty());
    let raw = raw(source);
    assert_eq!(
        (raw.len(), raw.is_empty(), raw.width, raw.header),
        (3, false, 3, true)
    );
    assert_eq!(raw.matrix, [1.0, 2.5, -3.0, 400.0, 5.0, 6.0]);
    let encoder = raw.fit(&all(&raw)).unwrap();
    assert_eq!(
        (encoder.inputs(), encoder.input_names()),
        (2, vec!["a".into(), "b".into()])
    );
    let (matrix, notes) = encoder.encode(raw).unwrap();
    assert_eq!(matrix, [1.0, 2.5, -3.0, 400.0, 5.0, 6.0]);
    assert!(notes.is_empty());
}

#[test]
fn every_spelling_of_the_same_table_is_the_same() {
    let plain = good("a,b,y\n1,,x\n2,u v,z\n3,w,z\n");
    for text in [
        "\u{feff}a,b,y\r\n1,,x\r\n2,u v,z\r\n3,w,z",
        "\"a\",\"b\",\"y\"\n\"1\",\"\",\"x\"\n\"2\",\"u v\",\"z\"\n3,w,z\n\n",
        "a;b;y\n1;;x\n2;u v;z\n3;w;z\n",
        "a\tb\ty\r1\t?\tx\r2\tu v\tz\r3\tw\tz\r",
        "a , b, y\n 1 , NA,x \n2,u v ,z\n3,w,z\n",
    ] {
        let source = good(text);
        assert_eq!(source.targets, plain.targets, "{text:?}");
        let (raw, plain) = (raw(source), raw(plain.clone()));
        assert_eq!(raw.columns, plain.columns, "{text:?}");
        let bits = |m: &[f32]| m.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&raw.matrix), bits(&plain.matrix), "{text:?}");
    }
    let tsv = table_in("t.tsv", "a\tb\n1\t2,5\n3\t4,5\n");
    let error = read(&tsv.path, &TableOptions::default()).unwrap_err();
    assert!(error.to_string().contains("decimal point"), "{error}");
}

#[test]
fn without_a_header_columns_go_by_number() {
    let source = read_with("1,2,0\n3,4,1\n5,6,0\n", &with_target("1")).unwrap();
    noted(&source.notes, &["no header"]);
    assert_eq!(classes(&source).1, ["1", "3", "5"]);
    let raw = raw(source);
    assert_eq!(raw.columns[0].name, "column 2");
    assert_eq!(raw.columns[1].position, 2);
    assert_eq!(raw.matrix, [2.0, 0.0, 4.0, 1.0, 6.0, 0.0]);
}

#[test]
fn the_target_is_named_numbered_or_last() {
    let text = "a,b,c\n1,2,3.5\n2,3,4.5\n";
    assert_eq!(values(&good(text)), [3.5, 4.5]);
    let source = read_with(text, &with_target("b")).unwrap();
    assert_eq!(classes(&source), (&[0, 1][..], vec!["2", "3"]));
    assert_eq!(raw(source).matrix, [1.0, 3.5, 2.0, 4.5]);
    assert_eq!(
        classes(&read_with(text, &with_target("1")).unwrap()).1,
        ["1", "2"]
    );
    refused_with(
        text,
        &with_target("bb"),
        &["--target bb", "did you mean b?"],
    );
    refused_with(text, &with_target("4"), &["--target 4", "no such column"]);
    refused_with(text, &with_target("0"), &["no such column"]);
    // A separator at each line's end makes no target.
    let source = good("a,b,\n1,x,\n2,z,\n3,x,\n");
    assert_eq!(classes(&source).1, ["x", "z"]);
    noted(&source.notes, &["\"column 3\" is empty"]);
    assert_eq!(raw(source).columns.len(), 1);
}

#[test]
fn columns_can_be_left_out() {
    let text = rows("id,a,when,y", 12, |n| {
        format!("k{n},{n},2024-01-{:02},{}", n + 1, n % 2)
    });
    let ignore =
        |names: &[&str]| options(|o| o.ignore = names.iter().map(|s| s.to_string()).collect());
    let source = read_with(&text, &ignore(&["id", "3"])).unwrap();
    noted(&source.notes, &["left out: id, when"]);
    assert_eq!(raw(source).columns.len(), 1);
    refused_with(
        &text,
        &ignore(&["idd"]),
        &["--ignore idd", "did you mean id?"],
    );
    refused_with(&text, &ignore(&["id", "a", "when"]), &["no column is left"]);
    let both = options(|o| {
        o.target = Some("y".to_string());
        o.ignore = vec!["y".to_string()];
    });
    refused_with(&text, &both, &["--ignore y", "is the target"]);
}

#[test]
fn text_after_numbers_makes_a_column_of_categories() {
    // The numbers before the first text are categories too, and rows left out do not shift them.
    let text =
        "a,size,y\n1,10,0\n2,9,1\n9,10,\n3,10.0,0\n4,L,1\n5,9,0\n6,,1\n7,L,1\n8,XL,0\n9,M,0\n";
    for options in [TableOptions::default(), with_missing(Missing::Drop)] {
        let dropped = options.missing == Missing::Drop;
        let raw = raw(read_with(text, &options).unwrap());
        let names = ["10", "9", "10.0", "L", "XL", "M"]
            .map(String::from)
            .to_vec();
        assert_eq!(raw.columns[1].kind, ColumnKind::Category(names));
        let mut want = vec![0.0, 1.0, 2.0, 3.0, 1.0, f32::NAN, 3.0, 4.0, 5.0];
        if dropped {
            want.remove(5);
        }
        let codes: Vec<f32> = raw.matrix.iter().skip(1).step_by(2).copied().collect();
        assert_eq!(format!("{codes:?}"), format!("{want:?}"));
        let first: Vec<f32> = raw.matrix.iter().step_by(2).copied().collect();
        assert_eq!(first.len(), want.len());
        assert_eq!(first[..5], [1.0, 2.0, 3.0, 4.0, 5.0]);
    }
    // Beyond the rows that the header is judged by, and without a header.
    let late: String = (0..2000)
        .map(|n| format!("{n},{},{}\n", if n < 1000 { "1" } else { "one" }, n % 2))
        .collect();
    let source = good(late);
    noted(&source.notes, &["column 1", "only counts the rows"]);
    let raw = raw(source);
    let codes: Vec<f32> = raw.matrix.iter().skip(1).step_by(2).copied().collect();
    assert_eq!((codes[999], codes[1000], codes.len()), (0.0, 1.0, 2000));
}

#[test]
fn a_table_describes_itself() {
    let raw = raw(good("a,c,y\n1,u,0\n,v,1\n3,v,0\n8,,1\n"));
    let report = raw.describe();
    assert_eq!((&report[0].name[..], report[0].missing), ("a", 1));
    let stats = report[0].numbers.unwrap();
    assert_eq!(
        (stats.count, stats.mean, stats.min, stats.max),
        (3, 4.0, 1.0, 8.0)
    );
    assert!((stats.std - (26.0f64 / 3.0).sqrt()).abs() < 1e-15);
    assert_eq!(report[0].categories, None);
    assert_eq!((report[1].missing, report[1].numbers), (1, None));
    let categories = [("v".to_string(), 2), ("u".to_string(), 1)];
    assert_eq!(report[1].categories.as_deref(), Some(&categories[..]));
}
