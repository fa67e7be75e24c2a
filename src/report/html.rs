//! The report of a run: one HTML page that needs nothing but itself.
//!
//! Pictures are `data:` URIs, the style is plain CSS, there is no script, and the page's own
//! security policy forbids any. All text is escaped: class names and cells come from data.

pub(super) mod escape;
pub(super) mod parts;
#[cfg(test)]
pub(super) mod tests;

use crate::metrics::ClassScore;
use escape::{base64, escape};

const STYLE: &str = include_str!("html/style.css");
/// Nothing is loaded, nothing runs, even if some text slipped through.
pub(super) const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/// A name and its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fact<'a> {
    pub name: &'a str,
    pub value: &'a str,
}

/// A picture with what it shows, for those who cannot see it too.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    pub caption: &'a str,
    pub png: &'a [u8],
}

/// One layer: its place or name, what it is, the shape of one sample behind it, and its weights.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    pub name: &'a str,
    pub kind: &'a str,
    pub shape: &'a str,
    pub parameters: u64,
}

/// A line of the configuration and what it would be if nobody said anything.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    pub name: &'a str,
    pub value: &'a str,
    /// None where there is no default, such as the data's place.
    pub default: Option<&'a str>,
}

/// What was true of a sample and what was predicted, with the predicted class' probability.
#[derive(Clone, Copy, Debug)]
pub struct Verdict<'a> {
    pub truth: &'a str,
    pub prediction: &'a str,
    /// Share in 0..=1; none for a regression.
    pub probability: Option<f64>,
    /// Which sample it is: a file's name, a row's number.
    pub sample: &'a str,
}

/// The samples that the model got most wrong, worst first.
#[derive(Clone, Copy, Debug, Default)]
pub enum Mistakes<'a> {
    #[default]
    None,
    /// PNG bytes of each sample, for example of [`super::thumbnail::thumbnail`].
    Pictures(&'a [(&'a [u8], Verdict<'a>)]),
    /// Rows of a table: the columns' names, and per sample one value for each.
    Rows {
        columns: &'a [String],
        rows: &'a [(&'a [String], Verdict<'a>)],
    },
}

/// All that the page shows; what is empty is left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct HtmlReport<'a> {
    pub title: &'a str,
    /// The numbers that matter, such as accuracy and loss of the test part; the first is largest.
    pub results: &'a [Fact<'a>],
    /// Why the training ended, in a sentence.
    pub stopped: &'a str,
    /// Curves, confusion matrix, scatter plot.
    pub pictures: &'a [Picture<'a>],
    /// Class names and scores, in the same order.
    pub classes: &'a [(&'a str, ClassScore)],
    pub mistakes: Mistakes<'a>,
    pub layers: &'a [Layer<'a>],
    pub settings: &'a [Setting<'a>],
    /// Source, parts and sizes, preprocessing.
    pub data: &'a [Fact<'a>],
    /// Machine and device, seconds, version.
    pub machine: &'a [Fact<'a>],
}

/// The page as text.
pub fn render(report: &HtmlReport) -> String {
    let sections = [
        parts::results(report.results),
        parts::stopped(report.stopped),
        report.pictures.iter().map(parts::picture).collect(),
        parts::section("Classes", parts::classes(report.classes)),
        parts::section("Worst mistakes", parts::mistakes(&report.mistakes)),
        parts::section("Model", parts::layers(report.layers)),
        parts::section("Configuration", parts::settings(report.settings)),
        parts::section("Data", parts::facts(report.data)),
        parts::section("Machine", parts::facts(report.machine)),
    ];
    page(report.title, POLICY, "", &sections.concat())
}

/// A whole page around its sections, which are HTML: title, security policy, and style rules
/// beside those of every page.
pub(super) fn page(title: &str, policy: &str, style: &str, sections: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>\n{STYLE}{style}</style>\n</head>\n<body>\n<main>\n\
         <h1>{title}</h1>\n{sections}</main>\n</body>\n</html>\n"
    )
}
