//! Tests of the HTML report.

use super::*;

/// What a hostile data set could be named.
pub(in crate::report) const HOSTILE: &str =
    "<script>alert('x')</script>\"><img src=x onerror=alert(1)>&amp;\u{202e}\0";

/// With `GPU_TRAIN_PICTURES=FOLDER` in the environment the page is kept there, to be looked at.
pub(in crate::report) fn keep(name: &str, page: &str) {
    if let Some(folder) = std::env::var_os("GPU_TRAIN_PICTURES") {
        let path = std::path::Path::new(&folder).join(name);
        std::fs::write(&path, page).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

fn fact<'a>(name: &'a str, value: &'a str) -> Fact<'a> {
    Fact { name, value }
}

fn score(f1: f64, support: u64) -> ClassScore {
    ClassScore {
        precision: 0.75,
        recall: 0.8125,
        f1,
        support,
    }
}

fn digit(index: usize) -> Vec<u8> {
    let ink = |i: usize| {
        let (x, y) = ((i % 28) as f64 - 13.5, (i / 28) as f64 - 13.5);
        let ring = (x.hypot(y * (0.7 + 0.1 * index as f64)) - 8.0).abs();
        (255.0 * (1.5 - ring * 0.6).clamp(0.0, 1.0)) as u8
    };
    let pixels: Vec<u8> = (0..784).map(ink).collect();
    crate::report::thumbnail::thumbnail(&pixels, [1, 28, 28], 112).expect("draws")
}

fn curves() -> Vec<u8> {
    use crate::report::curves::{Curves, Point, draw};
    let at = |epoch: i32| Point {
        epoch: f64::from(epoch),
        loss: 0.05 + f64::from(-epoch).exp(),
        metric: Some(0.98 - 0.3 * f64::from(-epoch).exp()),
    };
    let epochs: Vec<Point> = (1..=9).map(at).collect();
    let curves = Curves {
        title: "mnist-3",
        epochs: &epochs,
        validation: &epochs[..8],
        rates: &[(0.0, 1e-3), (4.0, 1e-3), (9.0, 1e-4)],
        best: Some(6.0),
        ..Curves::default()
    };
    draw(&curves).expect("draws")
}

/// A report with something in every section; `name` is the title, a class, a setting and more.
fn full(name: &str, mistakes: &Mistakes) -> String {
    let png = curves();
    let names: Vec<String> = (0..10).map(|i| format!("digit {i}")).collect();
    let counts: Vec<u32> = (0..100)
        .map(|i| if i % 11 == 0 { 970 } else { i % 7 })
        .collect();
    let confusion = crate::report::confusion::Confusion {
        title: "test part",
        names: &names,
        counts: &counts,
    };
    let matrix = crate::report::confusion::draw(&confusion).expect("draws");
    let mut classes: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), score(0.75, 980)))
        .collect();
    classes[3].0 = name;
    let long = "linear:128,relu,dropout:0.2,".repeat(6);
    render(&HtmlReport {
        title: name,
        results: &[
            fact("test accuracy", "97.82 %"),
            fact("test loss", "0.0713"),
            fact("best epoch", "6 of 9"),
            fact("training", "12.4 s"),
            fact(name, name),
        ],
        stopped: "Stopped early: no better validation loss for 3 epochs; the weights of epoch 6 \
                  were restored.",
        pictures: &[
            Picture {
                caption: "Loss, accuracy and learning rate over the epochs",
                png: &png,
            },
            Picture {
                caption: name,
                png: &matrix,
            },
        ],
        classes: &classes,
        mistakes: *mistakes,
        layers: &[
            Layer {
                name: "0",
                kind: "linear 784 → 128",
                shape: "128",
                parameters: 100_480,
            },
            Layer {
                name: "1",
                kind: "relu",
                shape: "128",
                parameters: 0,
            },
            Layer {
                name: "2",
                kind: name,
                shape: name,
                parameters: 1290,
            },
        ],
        settings: &[
            Setting {
                name: "source",
                value: name,
                default: None,
            },
            Setting {
                name: "model",
                value: &long,
                default: Some("mlp"),
            },
            Setting {
                name: "lr",
                value: "0.003",
                default: Some("0.001"),
            },
            Setting {
                name: "batch",
                value: "128",
                default: Some("128"),
            },
            Setting {
                name: "seed",
                value: "0",
                default: Some("0"),
            },
        ],
        data: &[
            fact("source", "embedded MNIST"),
            fact("training", "60,000 samples"),
            fact(name, name),
        ],
        machine: &[
            fact("device", "llvmpipe (LLVM 19.1.7, 256 bits)"),
            fact("seconds", "12.4"),
            fact("version", "gpu-train 0.1.0"),
            fact(name, name),
        ],
    })
}

/// Every tag of the page that is not in `known`.
fn strange_tags(page: &str) -> Vec<String> {
    let known = [
        "!doctype",
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "h1",
        "h2",
        "dl",
        "div",
        "dt",
        "dd",
        "p",
        "section",
        "figure",
        "figcaption",
        "img",
        "table",
        "thead",
        "tbody",
        "tfoot",
        "tr",
        "th",
        "td",
        "details",
        "summary",
        "ul",
        "li",
        "b",
        "span",
    ];
    let tags = page.split('<').skip(1).map(|rest| {
        let end = rest.find([' ', '>']).unwrap_or(rest.len());
        rest[..end].trim_start_matches('/').to_string()
    });
    tags.filter(|tag| !known.contains(&tag.as_str())).collect()
}

/// Whether every element that is opened is closed again, in order.
pub(in crate::report) fn balanced(page: &str) -> bool {
    let mut open = Vec::new();
    for rest in page.split('<').skip(1) {
        let end = rest.find([' ', '>']).unwrap_or(rest.len());
        match &rest[..end] {
            "!doctype" | "meta" | "img" => {}
            name => match name.strip_prefix('/') {
                Some(name) if open.pop() != Some(name) => return false,
                Some(_) => {}
                None => open.push(name),
            },
        }
    }
    open.is_empty()
}

#[test]
fn hostile_text_stays_text() {
    let png = digit(0);
    let verdict = Verdict {
        truth: HOSTILE,
        prediction: HOSTILE,
        probability: Some(0.99),
        sample: HOSTILE,
    };
    let columns = [HOSTILE.to_string()];
    let values = [HOSTILE.to_string()];
    for mistakes in [
        Mistakes::Pictures(&[(&png, verdict)]),
        Mistakes::Rows {
            columns: &columns,
            rows: &[(&values, verdict)],
        },
    ] {
        let page = full(HOSTILE, &mistakes);
        keep("hostile.html", &page);
        assert_eq!(strange_tags(&page), Vec::<String>::new());
        assert!(balanced(&page));
        assert!(!page.contains("onerror=alert(1)>"));
        assert!(!page.contains("alert('x')") && page.contains("alert(&#39;x&#39;)"));
        assert!(page.contains("&amp;amp;"), "an entity is escaped, not kept");
        assert!(!page.contains(['\u{202e}', '\0']));
    }
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    let png = digit(0);
    let verdict = Verdict {
        truth: "4",
        prediction: "9",
        probability: Some(0.998),
        sample: "mnist:1234",
    };
    let page = full("a run", &Mistakes::Pictures(&[(&png, verdict)]));
    assert!(!page.contains("http:") && !page.contains("https:") && !page.contains("url("));
    assert!(!page.contains("@import") && !page.contains("<link"));
    let sources = page.matches("src=").count();
    assert_eq!(
        sources,
        page.matches("src=\"data:image/png;base64,").count()
    );
    assert_eq!(sources, 3);
    assert!(page.contains("Content-Security-Policy\" content=\"default-src 'none';"));
}

#[test]
fn the_page_says_what_it_was_given() {
    let thumbnails: Vec<Vec<u8>> = (0..8).map(digit).collect();
    let names: Vec<String> = (0..8).map(|i| format!("mnist:{}", 1234 * i)).collect();
    let verdicts: Vec<(&[u8], Verdict)> = (0..8)
        .map(|i| {
            let verdict = Verdict {
                truth: "4",
                prediction: "9",
                probability: Some(0.998 - 0.05 * i as f64),
                sample: &names[i],
            };
            (thumbnails[i].as_slice(), verdict)
        })
        .collect();
    let page = full(
        "mnist-3: linear:128,relu · adam",
        &Mistakes::Pictures(&verdicts),
    );
    keep("report.html", &page);
    for words in [
        "<title>mnist-3: linear:128,relu · adam</title>",
        "<dt>test accuracy</dt><dd>97.82 %</dd>",
        "Stopped early",
        "<td>0.7500</td><td>0.8125</td><td>0.7500</td><td>980</td>",
        "mean of all classes</th><td>0.7500</td><td>0.8125</td><td>0.7500</td><td>9800</td>",
        "predicted <b>9</b> <span>99.8 %</span>",
        "<td>100,480</td>",
        "total</th><td></td><td></td><td>101,770</td>",
        "lr</th><td class=\"text\">0.003</td><td class=\"text\">0.001</td>",
        "<summary>2 settings as by default</summary>",
        "gpu-train 0.1.0",
    ] {
        assert!(page.contains(words), "{words}");
    }
    let (told, folded) = page.split_once("<details>").expect("a fold");
    assert!(told.contains(">model</th>") && !told.contains(">batch</th>"));
    assert!(folded.contains(">batch</th>"));
    assert!(balanced(&page));
    assert_eq!(
        page,
        full(
            "mnist-3: linear:128,relu · adam",
            &Mistakes::Pictures(&verdicts)
        )
    );
}

#[test]
fn an_empty_report_is_a_page_without_sections() {
    let page = render(&HtmlReport::default());
    assert!(balanced(&page) && page.contains("<h1></h1>"));
    assert!(!page.contains("<h2>") && !page.contains("<table") && !page.contains("<dl"));
    let none = HtmlReport {
        mistakes: Mistakes::Pictures(&[]),
        ..HtmlReport::default()
    };
    assert_eq!(render(&none), page);
}

#[test]
fn many_classes_show_the_weakest_first() {
    let names: Vec<String> = (0..100).map(|i| format!("class {i}")).collect();
    let classes: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(i, name)| (name.as_str(), score(((i * 37) % 100) as f64 / 100.0, 5)))
        .collect();
    let page = render(&HtmlReport {
        classes: &classes,
        ..HtmlReport::default()
    });
    let (first, all) = page.split_once("<details>").expect("a fold");
    assert_eq!(first.matches(">class ").count(), 10);
    assert_eq!(all.matches(">class ").count(), 100);
    assert!(first.contains(">class 0<") && first.contains(">class 73<"));
    assert!(!first.contains(">class 1<"));
}

#[test]
fn rows_of_a_regression_have_no_probability() {
    let columns = ["rooms".to_string(), "area".to_string()];
    let values = ["3".to_string(), "71.5".to_string()];
    let verdict = Verdict {
        truth: "310",
        prediction: "190.4",
        probability: None,
        sample: "row 17",
    };
    let mistakes = Mistakes::Rows {
        columns: &columns,
        rows: &[(&values, verdict)],
    };
    let page = full("houses", &mistakes);
    keep("rows.html", &page);
    assert!(page.contains("row 17</th><td>310</td><td>190.4</td><td>3</td><td>71.5</td>"));
    assert!(!page.contains("probability"));
}

/// The test vectors of RFC 4648, section 10, and every byte.
#[test]
fn base64_by_the_book() {
    for (plain, coded) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ] {
        assert_eq!(base64(plain.as_bytes()), coded);
    }
    assert_eq!(base64(&[0xfb, 0xff, 0xbf]), "+/+/");
}
