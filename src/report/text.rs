//! Metrics as lines of text, for a terminal or a file.

use std::fmt::Write;

use crate::metrics::{ClassScore, ClassificationReport, RegressionReport};

/// Confusion counts of more classes than this are shown as the most frequent mistakes.
const WHOLE_MATRIX: usize = 20;
/// So many mistakes then.
const MISTAKES: usize = 10;

/// Precision, recall, F1 and samples of every class, then their averages; a line each, without
/// a line end at the end.
pub fn class_table(report: &ClassificationReport) -> String {
    let averages = [
        ("micro average", &report.micro_average),
        ("macro average", &report.macro_average),
        ("weighted average", &report.weighted_average),
    ];
    let rows = report.classes.iter().map(|r| (r.class.as_str(), &r.score));
    let width = name_width(rows.clone().chain(averages).map(|(name, _)| name));
    let row = |(name, s): (&str, &ClassScore)| {
        format!(
            "{name:<width$}  {:>9.4}  {:>9.4}  {:>9.4}  {:>7}",
            s.precision, s.recall, s.f1, s.support
        )
    };
    let head = format!(
        "{:<width$}  {:>9}  {:>9}  {:>9}  {:>7}",
        "class", "precision", "recall", "F1", "samples"
    );
    let mut lines = vec![head];
    lines.extend(rows.map(row));
    lines.push(String::new());
    lines.extend(averages.into_iter().map(row));
    lines.join("\n")
}

/// Counts by label (rows) and prediction (columns); of many classes the most frequent mistakes.
pub fn confusion(report: &ClassificationReport) -> String {
    let names: Vec<&str> = report.classes.iter().map(|r| r.class.as_str()).collect();
    if names.len() > WHOLE_MATRIX {
        return mistakes(&names, &report.confusion);
    }
    let width = name_width(names.iter().copied());
    let counts = report.confusion.iter().flatten();
    let digits = counts.map(|n| n.to_string().len()).max();
    let cell = name_width(names.iter().copied()).max(digits.unwrap_or(1));
    let mut text = "confusion counts (rows: label, columns: prediction)\n".to_string();
    text += &" ".repeat(width + 1);
    for name in &names {
        let _ = write!(text, " {name:>cell$}");
    }
    for (name, row) in names.iter().zip(&report.confusion) {
        let _ = write!(text, "\n{name:<width$} ");
        for count in row {
            let _ = write!(text, " {count:>cell$}");
        }
    }
    text
}

/// The largest counts off the diagonal.
fn mistakes(names: &[&str], confusion: &[Vec<u32>]) -> String {
    let mut cells: Vec<(u32, usize, usize)> = Vec::new();
    for (label, row) in confusion.iter().enumerate() {
        for (prediction, &count) in row.iter().enumerate() {
            if count > 0 && label != prediction {
                cells.push((count, label, prediction));
            }
        }
    }
    if cells.is_empty() {
        return "no mistakes".to_string();
    }
    // Equal counts keep the order of the classes.
    cells.sort_by_key(|&(count, ..)| std::cmp::Reverse(count));
    let mut text = "most frequent mistakes".to_string();
    for &(count, label, prediction) in cells.iter().take(MISTAKES) {
        let (label, prediction) = (names[label], names[prediction]);
        let _ = write!(text, "\n{count:>7}  {label} taken for {prediction}");
    }
    text
}

/// What the numbers beside the table say, in one line.
pub fn class_summary(report: &ClassificationReport) -> String {
    let mut text = format!("accuracy {:.2} %", report.accuracy * 100.0);
    if let Some(top) = report.top_k {
        let _ = write!(text, ", top-{} {:.2} %", top.k, top.accuracy * 100.0);
    }
    if let Some(auc) = report.roc_auc {
        let _ = write!(text, ", ROC-AUC {auc:.4}");
    }
    text
}

/// The errors of predicted numbers in one line.
pub fn regression_summary(report: &RegressionReport) -> String {
    let (mse, rmse, mae) = (report.mse, report.rmse, report.mae);
    let r2 = report
        .r2
        .map_or("undefined".to_string(), |r2| format!("{r2:.4}"));
    let [mse, rmse, mae] = [mse, rmse, mae].map(number);
    format!("R² {r2}, MSE {mse}, RMSE {rmse}, MAE {mae}")
}

/// Five significant digits, whatever the targets' unit.
fn number(x: f64) -> String {
    if x == 0.0 || !x.is_finite() {
        return x.to_string();
    }
    let exponent = x.abs().log10().floor() as i32;
    match exponent {
        -4..=4 => format!("{x:.*}", (4 - exponent) as usize),
        5..=9 => format!("{x:.0}"),
        _ => format!("{x:.4e}"),
    }
}

fn name_width<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    names.map(|name| name.chars().count()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Ranking;

    #[test]
    fn a_report_of_two_classes() {
        let classes = ["Katze".to_string(), "Bärchen".to_string()];
        let ranking = Ranking {
            labels: &[0, 0, 1],
            scores: &[0.9, 0.1, 0.4, 0.6, 0.3, 0.7],
        };
        let report = ClassificationReport::new(&classes, &[1, 1, 0, 1], Some(ranking));
        assert_eq!(
            class_table(&report),
            "\
class             precision     recall         F1  samples
Katze                1.0000     0.5000     0.6667        2
Bärchen              0.5000     1.0000     0.6667        1

micro average        0.6667     0.6667     0.6667        3
macro average        0.7500     0.7500     0.6667        3
weighted average     0.8333     0.6667     0.6667        3"
        );
        assert_eq!(
            confusion(&report),
            "\
confusion counts (rows: label, columns: prediction)
           Katze Bärchen
Katze          1       1
Bärchen        0       1"
        );
        assert_eq!(class_summary(&report), "accuracy 66.67 %, ROC-AUC 1.0000");
    }

    #[test]
    fn many_classes_show_their_mistakes() {
        let classes: Vec<String> = (0..21).map(|ix| format!("c{ix}")).collect();
        let mut counts = vec![0; 21 * 21];
        (counts[0], counts[3], counts[21 + 2]) = (9, 2, 4);
        let report = ClassificationReport::new(&classes, &counts, None);
        assert_eq!(
            confusion(&report),
            "most frequent mistakes\n      4  c1 taken for c2\n      2  c0 taken for c3"
        );
        let right = ClassificationReport::new(&classes, &[0; 441], None);
        assert_eq!(confusion(&right), "no mistakes");
    }

    #[test]
    fn errors_in_any_unit() {
        let report = RegressionReport::new(&[1e6, 3e6], &[1e6, 3.5e6]);
        assert_eq!(
            regression_summary(&report),
            "R² 0.8750, MSE 1.2500e11, RMSE 353553, MAE 250000"
        );
        assert_eq!(number(0.001234567), "0.0012346");
        assert_eq!(number(99999.96), "100000");
        assert_eq!(number(12.5), "12.500");
    }
}
