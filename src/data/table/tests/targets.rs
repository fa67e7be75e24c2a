//! The target: which column, which task, which classes.

use super::*;

#[test]
fn few_integers_are_classes_and_more_are_numbers() {
    let integers = |n: usize| rows("a,y", 200, |row| format!("{row}.5,{}", 7 * (row % n)));
    let source = good(integers(20));
    assert_eq!(classes(&source).1.len(), 20);
    // By number, not by text.
    assert_eq!(classes(&source).1[..4], ["0", "7", "14", "21"]);
    noted(&source.notes, &["--task regression"]);
    let source = good(integers(21));
    assert_eq!(values(&source)[..3], [0.0, 7.0, 14.0]);
    noted(&source.notes, &["regression", "--task classification"]);
    // One number that is no integer.
    let text = integers(3).replace(",14", ",14.5");
    assert_eq!(values(&good(text)).len(), 200);

    let classification = options(|o| o.task = Some(TaskKind::Classification));
    let source = read_with(integers(150), &classification).unwrap();
    assert_eq!(classes(&source).1.len(), 150);
    let regression = options(|o| o.task = Some(TaskKind::Regression));
    assert_eq!(
        values(&read_with(integers(2), &regression).unwrap())[1],
        7.0
    );

    let many = |n: usize| rows("a,y", 2 * n, |row| format!("{row}.5,{}.5", row % n));
    let source = read_with(many(MAX_CLASSES), &classification).unwrap();
    assert_eq!(classes(&source).1.len(), MAX_CLASSES);
    refused_with(
        many(MAX_CLASSES + 1),
        &classification,
        &["\"y\"", "more than 1000"],
    );
    refused_with("a,y\n1,x\n2,z\n", &regression, &["\"y\" holds text"]);
}

#[test]
fn numbers_that_are_equal_are_one_class() {
    let source = good("a,y\n1,1\n2,1.0\n3,-0\n4,0\n5,1e1\n6,-3\n");
    assert_eq!(
        classes(&source),
        (&[2, 2, 1, 1, 3, 0][..], vec!["-3", "0", "1", "10"])
    );
}

#[test]
fn a_target_that_teaches_nothing_is_refused() {
    refused(
        "a,y\n1,x\n2,x\n",
        &["one class only", "\"x\"", "nothing to learn"],
    );
    refused("a,y\n1,4\n2,4.0\n", &["one class only", "\"4\""]);
    refused("a,y\n1,4.5\n2,4.5\n", &["4.5 in every row"]);
    refused("a,y\n1,\n2,NA\n", &["no row has a value", "\"y\""]);
    let text = rows("a,y", 50, |n| format!("{n}.5,name {n}"));
    refused(
        &text,
        &["\"y\"", "50 distinct texts in 50 rows", "--target"],
    );
    let forced = options(|o| o.task = Some(TaskKind::Classification));
    assert_eq!(classes(&read_with(&text, &forced).unwrap()).1.len(), 50);
    let dates = rows("a,y", 5, |n| format!("{n}.5,2024-01-0{}", n + 1));
    refused(dates, &["y (target)", "dates"]);
}

#[test]
fn rows_without_a_target_are_left_out_and_counted() {
    let source = good("a,y\n1,x\n2,\n3,NA\n4,z\n");
    assert_eq!(classes(&source).0, [0, 1]);
    noted(&source.notes, &["2 rows without a target"]);
    assert_eq!(raw(source).matrix, [1.0, 4.0]);
}
