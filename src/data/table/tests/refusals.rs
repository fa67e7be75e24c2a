//! What is refused, with its place.

use super::*;

#[test]
fn a_wrong_number_is_refused_with_its_place() {
    let bad = |cell: &str| {
        rows("a,y", 100, |n| {
            let cell = if n == 41 {
                cell.to_string()
            } else {
                format!("{n}.5")
            };
            format!("{cell},{}", n % 2)
        })
    };
    refused(
        bad("4x"),
        &[
            "line 43, column \"a\"",
            "\"4x\" is not a number",
            "99 other",
        ],
    );
    refused(
        bad("\"1,5\""),
        &["line 43, column \"a\"", "\"1,5\"", "thousands separators"],
    );
    refused(
        bad("inf"),
        &["line 43, column \"a\"", "\"inf\" is not a finite number"],
    );
    refused(bad("-1e39"), &["line 43", "-1e39", "32 bits"]);
    assert!(
        good(bad("nan"))
            .notes
            .iter()
            .any(|n| n.contains("1 value missing"))
    );
    // The wrong one first: the column began as text.
    let text = rows("z,a,y", 2000, |n| {
        format!(
            "{n},{},{}",
            if n == 0 { "?x".into() } else { n.to_string() },
            n % 2
        )
    });
    refused(text, &["line 2, column \"a\"", "\"?x\" is not a number"]);
    // In the target.
    let text = rows("a,y", 100, |n| {
        format!(
            "{n}.5,{}",
            if n == 7 {
                "much".into()
            } else {
                format!("{n}.25")
            }
        )
    });
    refused(
        &text,
        &[
            "line 9, column \"y (target)\"",
            "\"much\"",
            "--task classification",
        ],
    );
    let text = rows("a,y", 50, |n| {
        format!(
            "{n}.5,{}",
            if n == 7 {
                "inf".into()
            } else {
                format!("{n}.25")
            }
        )
    });
    refused(&text, &["line 9", "y (target)", "\"inf\""]);
    // Half of the cells are texts: categories, infinity or not.
    let text = rows("a,y", 100, |n| {
        format!("{},{}", ["inf", "low", "1", "high"][n % 4], n % 2)
    });
    assert!(
        matches!(&raw(good(text)).columns[0].kind, ColumnKind::Category(names) if names.len() == 4)
    );
}

#[test]
fn what_is_no_category_is_refused_by_name() {
    let column = |cell: &dyn Fn(usize) -> String, n: usize| {
        rows("size,what,y", n, |row| {
            format!("{row}.5,{},{}", cell(row), row % 2)
        })
    };
    refused(
        column(&|n| format!("2024-01-{:02}", n % 28 + 1), 50),
        &["\"what\"", "dates", "\"2024-01-01\"", "--ignore"],
    );
    refused(
        column(&|n| format!("{}:30", n % 24), 5),
        &["\"what\"", "dates or times"],
    );
    refused(
        column(&|n| format!("id{n}"), 50),
        &[
            "\"what\"",
            "50 distinct texts in 50 rows",
            "--ignore",
            "--target",
        ],
    );
    refused(
        column(&|n| format!("id{}", n / 2), 2002),
        &["\"what\"", "more than 1000 distinct"],
    );
    refused(
        column(&|n| format!("\"{},5\"", n % 3), 50),
        &["line 2, column \"what\"", "decimal point"],
    );
    // Numbers before the texts count among the distinct.
    refused(
        column(
            &|n| {
                if n < 1000 {
                    n.to_string()
                } else {
                    format!("id{n}")
                }
            },
            1100,
        ),
        &["\"what\"", "distinct"],
    );
    let many = raw(good(column(&|n| format!("id{}", n / 2), 2000)));
    assert_eq!(many.fit(&all(&many)).unwrap().inputs(), 1 + MAX_CATEGORIES);
    assert_eq!(raw(good(column(&|n| format!("id{n}"), 9))).columns.len(), 2);
}

#[test]
fn malformed_files_are_refused_with_their_place() {
    refused("a,b,y\n1,2,x\n3,4\n", &["line 3 has 2 cells", "have 3"]);
    refused("a,b,y\r\n1,2,x\r\n\r\n3,4,5,6\r\n", &["line 4 has 4 cells"]);
    let late = rows("a,y", 1000, |n| {
        if n == 900 {
            "1".into()
        } else {
            format!("{n},{}", n % 2)
        }
    });
    refused(late, &["line 902 has 1 cell where"]);
    refused(
        "a,b,y\n1,\"2,x\n3,4,z\n5,6,x\n",
        &["line 2", "a quote that is not closed"],
    );
    refused("", &["empty"]);
    refused("a,b,y\n", &["one row only"]);
    refused("a,b,y\n1,2,\n,,\n", &["no row has a value"]);
    refused("a\n1\n2\n", &["one column only"]);
    refused(b"a,y\n1,x\n2,\xffz\n", &["line 3, column \"y\"", "UTF-8"]);
    refused(
        b"a,c,y\n1,x,0\n2,\xe9t\xe9,1\n",
        &["line 3, column \"c\"", "UTF-8"],
    );
    refused(
        b"\xe9,y\n1,0\n2,1\n",
        &["line 1, column \"column 1\"", "UTF-8"],
    );
    let wide = format!("{}\n", ",".repeat(100_000));
    refused(wide.repeat(2), &["100001 columns"]);
    let long = format!("a,{},y\n1,2,0\n2,3,1\n", "b".repeat(1001));
    refused(long, &["column 2 has a name of 1001 bytes"]);
    let folder = tempfile::tempdir().unwrap();
    let missing = read(&folder.path().join("no.csv"), &TableOptions::default()).unwrap_err();
    assert!(missing.to_string().contains("no.csv"), "{missing}");
}
