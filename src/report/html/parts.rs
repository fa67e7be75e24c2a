//! The sections of the report, each as HTML; an empty string where there is nothing to show.

use super::{Fact, Layer, Mistakes, Picture, Setting, Verdict, base64, escape};
use crate::metrics::{ClassScore, macro_average};

/// Larger tables of classes are folded away behind the weakest ones.
const OPEN_CLASSES: usize = 30;

/// A heading over `body`, nothing if that is empty.
pub(in crate::report) fn section(heading: &str, body: String) -> String {
    match body.is_empty() {
        true => body,
        false => format!("<section>\n<h2>{heading}</h2>\n{body}</section>\n"),
    }
}

/// The numbers up front, as large cards.
pub(in crate::report) fn results(facts: &[Fact]) -> String {
    if facts.is_empty() {
        return String::new();
    }
    let card = |fact: &Fact| {
        format!(
            "<div><dt>{}</dt><dd>{}</dd></div>\n",
            escape(fact.name),
            escape(fact.value)
        )
    };
    let cards: String = facts.iter().map(card).collect();
    format!("<dl class=\"results\">\n{cards}</dl>\n")
}

pub(in crate::report) fn stopped(why: &str) -> String {
    match why.is_empty() {
        true => String::new(),
        false => format!("<p class=\"stopped\">{}</p>\n", escape(why)),
    }
}

pub(super) fn picture(picture: &Picture) -> String {
    let caption = escape(picture.caption);
    format!(
        "<figure>\n{}\n<figcaption>{caption}</figcaption>\n</figure>\n",
        image(picture.png, &caption)
    )
}

/// An image; `alt` is escaped already.
pub(in crate::report) fn image(png: &[u8], alt: &str) -> String {
    let data = base64(png);
    format!("<img alt=\"{alt}\" src=\"data:image/png;base64,{data}\">")
}

/// Precision, recall and F1 of every class and their mean; where there are many classes, the ten
/// of the lowest F1 first and all of them folded.
pub(super) fn classes(classes: &[(&str, ClassScore)]) -> String {
    if classes.is_empty() {
        return String::new();
    }
    let scores: Vec<ClassScore> = classes.iter().map(|class| class.1).collect();
    let mean = score_row("mean of all classes", &macro_average(&scores));
    let scores_of = |classes: &[(&str, ClassScore)]| {
        let rows: String = classes
            .iter()
            .map(|(name, at)| score_row(name, at))
            .collect();
        let numbers = ["precision", "recall", "F1", "samples"].map(|name| (name, NUMBERS));
        table(&[&[("class", WORDS)][..], &numbers].concat(), &rows, &mean)
    };
    if classes.len() <= OPEN_CLASSES {
        return scores_of(classes);
    }
    let mut weakest = classes.to_vec();
    weakest.sort_by(|a, b| a.1.f1.total_cmp(&b.1.f1));
    format!(
        "<p>The ten classes of the lowest F1:</p>\n{}<details>\n<summary>All {} classes</summary>\n\
         {}</details>\n",
        scores_of(&weakest[..10]),
        classes.len(),
        scores_of(classes)
    )
}

fn score_row(name: &str, score: &ClassScore) -> String {
    format!(
        "<tr><th scope=\"row\">{}</th><td>{:.4}</td><td>{:.4}</td><td>{:.4}</td><td>{}</td></tr>\n",
        escape(name),
        score.precision,
        score.recall,
        score.f1,
        score.support
    )
}

/// A column's heading, and whether its cells are words, which stand on the left.
type Column<'a> = (&'a str, bool);
const WORDS: bool = true;
const NUMBERS: bool = false;

/// A table whose first column names the rows; `rows` and `foot` are HTML already.
fn table(head: &[Column], rows: &str, foot: &str) -> String {
    let heading = |(name, words): &Column| {
        let class = if *words { " class=\"text\"" } else { "" };
        format!("<th scope=\"col\"{class}>{}</th>", escape(name))
    };
    let head: String = head.iter().map(heading).collect();
    let foot = match foot.is_empty() {
        true => String::new(),
        false => format!("<tfoot>\n{foot}</tfoot>\n"),
    };
    format!(
        "<div class=\"wide\"><table>\n<thead><tr>{head}</tr></thead>\n\
         <tbody>\n{rows}</tbody>\n{foot}</table></div>\n"
    )
}

pub(super) fn mistakes(mistakes: &Mistakes) -> String {
    match mistakes {
        Mistakes::None | Mistakes::Pictures([]) | Mistakes::Rows { rows: [], .. } => String::new(),
        Mistakes::Pictures(pictures) => {
            let cards: String = pictures.iter().map(|(png, at)| card(png, at)).collect();
            format!("<ul class=\"mistakes\">\n{cards}</ul>\n")
        }
        Mistakes::Rows { columns, rows } => {
            let certain = rows.iter().any(|(_, at)| at.probability.is_some());
            let mut head = vec![("sample", WORDS), ("true", NUMBERS), ("predicted", NUMBERS)];
            if certain {
                head.push(("probability", NUMBERS));
            }
            head.extend(columns.iter().map(|name| (name.as_str(), NUMBERS)));
            let body: String = rows
                .iter()
                .map(|(values, at)| table_row(values, at, certain))
                .collect();
            table(&head, &body, "")
        }
    }
}

fn card(png: &[u8], verdict: &Verdict) -> String {
    let (truth, prediction) = (escape(verdict.truth), escape(verdict.prediction));
    let alt = format!("{truth}, taken for {prediction}");
    let sure = match verdict.probability {
        Some(_) => format!(" <span>{}</span>", percent(verdict.probability)),
        None => String::new(),
    };
    let sample = escape(verdict.sample);
    format!(
        "<li>{}<p>true <b>{truth}</b></p><p>predicted <b>{prediction}</b>{sure}</p>\
         <p class=\"sample\">{sample}</p></li>\n",
        image(png, &alt)
    )
}

fn table_row(values: &[String], verdict: &Verdict, certain: bool) -> String {
    let mut cells = vec![escape(verdict.truth), escape(verdict.prediction)];
    if certain {
        cells.push(percent(verdict.probability));
    }
    cells.extend(values.iter().map(|value| escape(value)));
    let cells: String = cells
        .iter()
        .map(|cell| format!("<td>{cell}</td>"))
        .collect();
    let sample = escape(verdict.sample);
    format!("<tr><th scope=\"row\">{sample}</th>{cells}</tr>\n")
}

fn percent(share: Option<f64>) -> String {
    share.map_or(String::new(), |share| format!("{:.1} %", share * 100.0))
}

pub(super) fn layers(layers: &[Layer]) -> String {
    if layers.is_empty() {
        return String::new();
    }
    let row = |layer: &Layer| {
        format!(
            "<tr><th scope=\"row\">{}</th><td class=\"text\">{}</td><td>{}</td><td>{}</td></tr>\n",
            escape(layer.name),
            escape(layer.kind),
            escape(layer.shape),
            grouped(layer.parameters)
        )
    };
    let rows: String = layers.iter().map(row).collect();
    let total = layers
        .iter()
        .fold(0u64, |sum, layer| sum.saturating_add(layer.parameters));
    let total = format!(
        "<tr><th scope=\"row\">total</th><td></td><td></td><td>{}</td></tr>\n",
        grouped(total)
    );
    let words = ["layer", "kind"].map(|name| (name, WORDS));
    let numbers = ["output shape", "parameters"].map(|name| (name, NUMBERS));
    table(&[words, numbers].concat(), &rows, &total)
}

/// Thousands set apart: 101,770.
pub(in crate::report) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What differs from its default, and the rest folded.
pub(super) fn settings(settings: &[Setting]) -> String {
    let changed = |setting: &&Setting| setting.default != Some(setting.value);
    let (told, usual): (Vec<&Setting>, Vec<&Setting>) = settings.iter().partition(changed);
    let mut text = String::new();
    if !told.is_empty() {
        let row = |setting: &&Setting| {
            format!(
                "<tr><th scope=\"row\">{}</th><td class=\"text\">{}</td>\
                 <td class=\"text\">{}</td></tr>\n",
                escape(setting.name),
                escape(setting.value),
                escape(setting.default.unwrap_or("–"))
            )
        };
        let rows: String = told.iter().map(row).collect();
        let head = ["setting", "value", "default"].map(|name| (name, WORDS));
        text += &table(&head, &rows, "");
    }
    if !usual.is_empty() {
        let pairs = usual.iter().map(|setting| (setting.name, setting.value));
        let usual: Vec<Fact> = pairs.map(|(name, value)| Fact { name, value }).collect();
        text += &format!(
            "<details>\n<summary>{} settings as by default</summary>\n{}</details>\n",
            usual.len(),
            facts(&usual)
        );
    }
    text
}

/// Names and values in two columns.
pub(in crate::report) fn facts(facts: &[Fact]) -> String {
    if facts.is_empty() {
        return String::new();
    }
    let row = |fact: &Fact| {
        format!(
            "<tr><th scope=\"row\">{}</th><td class=\"text\">{}</td></tr>\n",
            escape(fact.name),
            escape(fact.value)
        )
    };
    let rows: String = facts.iter().map(row).collect();
    format!(
        "<div class=\"wide\"><table class=\"facts\">\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    )
}
