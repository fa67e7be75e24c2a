//! Trials as rows of a table.

use std::fmt::Write;

use super::scale::words;
use super::view::{View, value_of};
use crate::report::canvas::text::significant;
use crate::report::html::escape::escape;
use crate::tune::distribution::Scalar;
use crate::tune::trial::{Trial, TrialState};

/// A table of trials, by their places in the view. The table of `all` trials can be sorted and
/// has the anchors that the charts lead to.
pub(super) fn table(view: &View, trials: &[usize], all: bool) -> String {
    if trials.is_empty() {
        return String::new();
    }
    let rows: String = trials.iter().map(|&ix| row(view, ix, all)).collect();
    let class = if all { " class=\"sortable\"" } else { "" };
    format!(
        "<div class=\"wide trials\"><table{class}>\n<thead><tr>{}</tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table></div>\n",
        head(view)
    )
}

fn head(view: &View) -> String {
    let heading = |name: &str| format!("<th scope=\"col\">{}</th>", escape(name));
    let mut head = heading("trial") + &heading("state");
    for objective in 0..view.axes.len() {
        let metric = view.metric(objective);
        let best_first = match metric.higher_is_better {
            true => "descending",
            false => "ascending",
        };
        let _ = write!(
            head,
            "<th scope=\"col\" data-first=\"{best_first}\">{}</th>",
            escape(&metric.heading())
        );
        if objective == 0 && view.in_folds {
            head += &heading("deviation over folds");
        }
    }
    for parameter in view.study.space.parameters() {
        head += &heading(&parameter.name);
    }
    head + &heading("epochs") + &heading("seconds")
}

fn row(view: &View, ix: usize, anchored: bool) -> String {
    let trial = view.trials[ix];
    let anchor = match anchored {
        true => format!(" id=\"trial-{}\"", trial.number),
        false => String::new(),
    };
    let class = match trial.state {
        _ if anchored && view.winners.contains(&ix) => " class=\"best\"",
        TrialState::Complete => "",
        _ => " class=\"dim\"",
    };
    let mut row = format!(
        "<tr{anchor}{class}><th scope=\"row\" data-v=\"{0}\">{0}</th><td>{1}</td>",
        trial.number,
        state(trial)
    );
    for objective in 0..view.axes.len() {
        row += &objective_cell(view, trial, objective);
        if objective == 0 && view.in_folds {
            row += &view
                .deviation(trial)
                .map_or("<td></td>".to_string(), |d| number(d, &significant(d)));
        }
    }
    for parameter in view.study.space.parameters() {
        row += &match value_of(trial, parameter) {
            Some(value) => parameter_cell(&value),
            None => "<td></td>".to_string(),
        };
    }
    row += &trial.last_step().map_or("<td></td>".to_string(), |step| {
        number(step as f64, &step.to_string())
    });
    row += &trial.seconds().map_or("<td></td>".to_string(), |seconds| {
        number(seconds, &format!("{seconds:.1}"))
    });
    let _ = writeln!(row, "</tr>");
    row
}

/// Where a trial stands, and why it failed.
fn state(trial: &Trial) -> String {
    let name = trial.state.name().to_lowercase();
    match trial.fail_reason() {
        Some(reason) if trial.state == TrialState::Fail => format!("{name}: {}", escape(&reason)),
        _ => name,
    }
}

/// The value as it is drawn; what is not finite is said as it is.
fn objective_cell(view: &View, trial: &Trial, objective: usize) -> String {
    match view.value(trial, objective) {
        Some(value) => number(value, &significant(value)),
        None => match trial.values.get(objective) {
            Some(value) => format!("<td>{value}</td>"),
            None => "<td></td>".to_string(),
        },
    }
}

fn parameter_cell(value: &Scalar) -> String {
    match value {
        Scalar::Float(x) => number(*x, &words(value)),
        Scalar::Int(n) => number(*n as f64, &n.to_string()),
        value => format!("<td>{}</td>", escape(&value.to_string())),
    }
}

/// A cell whose full value is what the table is sorted by.
fn number(value: f64, words: &str) -> String {
    match value.is_finite() {
        true => format!("<td data-v=\"{value}\">{words}</td>"),
        false => format!("<td>{words}</td>"),
    }
}
