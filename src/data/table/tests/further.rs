//! Further tables for a model: `read_like`.

use super::*;

fn like(text: &str, further: &str, want_target: bool, missing: Missing) -> Result<LikeTable> {
    let raw = raw(read_with(text, &with_missing(missing)).unwrap());
    let encoder = raw.fit(&all(&raw)).unwrap();
    read_like(
        &table_in("u.csv", further).path,
        &encoder,
        &raw.target,
        want_target,
    )
}

#[track_caller]
fn unlike(text: &str, further: &str, want_target: bool, parts: &[&str]) {
    let message = like(text, further, want_target, Missing::Mean)
        .unwrap_err()
        .to_string();
    for part in parts.iter().chain(&["u.csv"]) {
        assert!(message.contains(part), "no {part:?} in {message:?}");
    }
}

const TRAINED: &str = "a,colour,b,y\n1,red,2,yes\n3,blue,4,no\n5,red,6,yes\n";

#[test]
fn a_further_table_is_read_by_names() {
    let further = "more,b,y,colour,a\n9,20,no,blue,10\n9,,yes,mauve,30\n9,60,,red,50\n";
    let table = like(TRAINED, further, true, Missing::Mean).unwrap();
    let Some(Targets::Classes { labels, names }) = &table.targets else {
        panic!("{:?}", table.targets);
    };
    assert_eq!((&labels[..], &names.join(" ")[..]), (&[0, 1][..], "no yes"));
    noted(
        &table.notes,
        &["1 column that the model does not use: more"],
    );
    noted(&table.notes, &["1 row without a target"]);
    noted(&table.notes, &["1 value missing"]);
    let raw = raw(good(TRAINED));
    let encoder = raw.fit(&all(&raw)).unwrap();
    let (matrix, notes) = encoder.encode(table.raw).unwrap();
    assert_eq!(matrix, [10.0, 1.0, 0.0, 20.0, 30.0, 0.0, 0.0, 4.0]);
    noted(&notes, &["\"colour\"", "\"mauve\""]);

    // To predict, every row counts and the target need not be there.
    let table = like(TRAINED, further, false, Missing::Mean).unwrap();
    assert_eq!((table.raw.len(), table.targets.is_none()), (3, true));
    let table = like(TRAINED, "b,colour,a\n6,red,1\n", false, Missing::Mean).unwrap();
    assert_eq!(table.raw.matrix, [1.0, 1.0, 6.0]);
    // One column serves where the model needs no more.
    let table = like("a,y\n1,x\n2,z\n", "a\n3\n4\n", false, Missing::Mean).unwrap();
    assert_eq!(table.raw.matrix, [3.0, 4.0]);
}

#[test]
fn a_further_table_is_read_by_place_where_there_are_no_names() {
    let table = like(TRAINED, "7,red,8,no\n", true, Missing::Mean).unwrap();
    noted(&table.notes, &["no header"]);
    assert_eq!(table.raw.matrix, [7.0, 1.0, 8.0]);
    let middle = "1,0,2.5\n3,1,4.5\n4,0,4.5\n";
    let raw = raw(read_with(middle, &with_target("2")).unwrap());
    let encoder = raw.fit(&all(&raw)).unwrap();
    for (further, want) in [
        ("5,6.5\n", true),
        ("5,1,6.5\n", true),
        ("x,y,z\n5,1,6.5\n7,0,8\n", true),
        ("5\n", false),
    ] {
        let table = read_like(
            &table_in("u.csv", further).path,
            &encoder,
            &raw.target,
            false,
        );
        match table {
            Ok(table) => assert_eq!((&table.raw.matrix[..2], want), (&[5.0, 6.5][..], true)),
            Err(error) => assert!(
                !want && error.to_string().contains("1 column where"),
                "{error}"
            ),
        }
    }
    let error = read_like(
        &table_in("u.csv", "5,6.5\n").path,
        &encoder,
        &raw.target,
        true,
    );
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("2 columns where the model's table has 3")
    );
}

#[test]
fn a_further_table_that_does_not_fit_is_refused() {
    unlike(
        TRAINED,
        "a,color,b\n1,red,2\n",
        false,
        &["\"colour\"", "did you mean color?"],
    );
    unlike(TRAINED, "a,colour,b\n1,red,2\n", true, &["no column \"y\""]);
    unlike(
        TRAINED,
        "p,q\n1,2\n3,4\n",
        false,
        &["\"a\", \"colour\", \"b\""],
    );
    unlike(
        TRAINED,
        "a,colour,b,y\n1,red,2,maybe\n",
        true,
        &["line 2, column \"y\"", "\"maybe\"", "no, yes"],
    );
    unlike(
        TRAINED,
        "a,colour,b,y\n\n1,red,2,no\nx,red,2,no\n",
        true,
        &["line 4, column \"a\"", "\"x\""],
    );
    unlike(
        TRAINED,
        "a,colour,b,y\n1,red,inf,no\n",
        true,
        &["line 2, column \"b\"", "\"inf\""],
    );
    unlike(
        TRAINED,
        "a,colour,b,y\n1,red,2,no\n1,red\n",
        true,
        &["line 3 has 2 cells"],
    );
    unlike(TRAINED, "a,colour,b,y\n", true, &["no rows"]);
    unlike(
        TRAINED,
        "a,colour,b,y\n1,red,2,\n",
        true,
        &["no row has a value in the target"],
    );
    let numbers = "a,y\n1,0.5\n2,1.5\n";
    unlike(
        numbers,
        "a,y\n1,x\n",
        true,
        &["line 2, column \"y\"", "\"x\""],
    );
    let table = like(numbers, "a,y\n1,7\n", true, Missing::Mean).unwrap();
    assert_eq!(
        table.targets,
        Some(Targets::Values {
            values: vec![7.0],
            name: "y".to_string()
        })
    );
    let table = like("a,y\n1,0\n2,1\n", "a,y\n1,1.0\n2,0\n", true, Missing::Mean).unwrap();
    assert!(matches!(table.targets, Some(Targets::Classes { labels, .. }) if labels == [1, 0]));

    let holes = "a,colour,b,y\n1,red,2,no\n,red,2,no\n";
    for (missing, want_target, rows) in [
        (Missing::Drop, true, Some(1)),
        (Missing::Drop, false, None),
        (Missing::Error, true, None),
        (Missing::Error, false, None),
        (Missing::Median, false, Some(2)),
    ] {
        match (like(TRAINED, holes, want_target, missing), rows) {
            (Ok(table), Some(rows)) => assert_eq!(table.raw.len(), rows, "{missing:?}"),
            (Err(error), None) => assert!(error.to_string().contains("line 3, column \"a\"")),
            (other, _) => panic!("{missing:?} {want_target}: {other:?}"),
        }
    }
}
