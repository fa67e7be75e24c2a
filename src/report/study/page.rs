//! The page of a study: what was searched, what came of it, and every trial.
//!
//! Unlike the page of a run it has a script, which sorts the table of trials. The page's security
//! policy names the script's hash, so that no other one runs, and all is there without it.

use super::spots::layer;
use super::trials::table;
use super::view::{View, counted, value_of};
use super::{Chart, Study};
use crate::report::html::escape::escape;
use crate::report::html::parts::{facts, grouped, image, results, section, stopped};
use crate::report::html::{self, Fact};
use crate::tune::space::{Condition, Parameter};
use crate::tune::trial::TrialState;

const STYLE: &str = include_str!("page/style.css");
pub(super) const SCRIPT: &str = include_str!("page/sort.js");
/// SHA-256 of [`SCRIPT`] in base64.
pub(super) const SCRIPT_HASH: &str = "4qhT9eyA1IS12rgNX1dAVmyW4JamnuYRgX6Susl7VEU=";

/// The page as text, with the study's [`charts`](super::charts).
pub fn page(study: &Study, charts: &[Chart]) -> String {
    let view = View::new(study);
    let figures: String = charts.iter().map(|chart| figure(chart, &view)).collect();
    let all: Vec<usize> = (0..view.trials.len()).collect();
    let policy = format!("{}; script-src 'sha256-{SCRIPT_HASH}'", html::POLICY);
    let script = match all.is_empty() {
        true => String::new(),
        false => format!("<script>{SCRIPT}</script>\n"),
    };
    let sections = [
        cards(&view),
        stopped(&summary(&view)),
        stopped(study.stopped),
        section(winner_heading(&view), winner(&view)),
        section("Charts", figures),
        section("Search space", space(&view)),
        section("Search", facts(study.facts)),
        section("Trials", table(&view, &all, true)),
        script,
    ];
    html::page(study.name, &policy, STYLE, &sections.concat())
}

/// The best value, how many trials, and what the caller adds.
fn cards(view: &View) -> String {
    let mut cards: Vec<(String, String)> = Vec::new();
    match view.winners[..] {
        [] => {}
        [ix] if view.axes.len() == 1 => {
            let trial = view.trials[ix];
            let words = |value: Option<f64>| value.map(|value| view.worded(value, 0));
            let value = words(view.value(trial, 0)).unwrap_or_default();
            let name = format!("best {}", view.metric(0).name);
            cards.push(match words(view.deviation(trial)) {
                None => (name, value),
                Some(deviation) => (name + ", mean over folds", format!("{value} ± {deviation}")),
            });
            cards.push(("in trial".to_string(), trial.number.to_string()));
        }
        _ => {
            let name = "trials on the Pareto front".to_string();
            cards.push((name, view.winners.len().to_string()));
        }
    }
    cards.push(("trials".to_string(), grouped(view.trials.len() as u64)));
    let own = cards.iter().map(|(name, value)| Fact { name, value });
    let all: Vec<Fact> = own.chain(view.study.results.iter().copied()).collect();
    results(&all)
}

/// "Searched for the highest validation accuracy over 6 parameters in 80 trials: 52 complete, ..."
fn summary(view: &View) -> String {
    let aims: Vec<String> = (0..view.axes.len())
        .map(|objective| {
            let metric = view.metric(objective);
            let aim = if metric.higher_is_better {
                "highest"
            } else {
                "lowest"
            };
            format!("the {aim} {}", metric.name)
        })
        .collect();
    let states: Vec<String> = TrialState::ALL
        .into_iter()
        .map(|state| (view.count(state), state.name().to_lowercase()))
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{} {name}", grouped(count as u64)))
        .collect();
    let states = match states.is_empty() {
        true => String::new(),
        false => format!(": {}", states.join(", ").replace("fail", "failed")),
    };
    format!(
        "Searched for {} over {} in {}{states}.",
        aims.join(" and "),
        counted(view.study.space.parameters().len(), "parameter"),
        counted(view.trials.len(), "trial")
    )
}

fn winner_heading(view: &View) -> &'static str {
    match view.axes.len() {
        1 => "Best trial",
        _ => "Pareto front",
    }
}

/// The parameters of the best trial, or the trials of the front; the configuration and its use.
fn winner(view: &View) -> String {
    let mut text = match view.winners[..] {
        [ix] if view.axes.len() == 1 => {
            let trial = view.trials[ix];
            let parameters = view.study.space.parameters().iter();
            let values: Vec<(&str, String)> = parameters
                .filter_map(|p| Some((p.name.as_str(), value_of(trial, p)?.to_string())))
                .collect();
            let values = values.iter().map(|(name, value)| Fact { name, value });
            facts(&values.collect::<Vec<Fact>>())
        }
        _ => table(view, &view.winners, false),
    };
    if !view.study.commands.is_empty() {
        text += &preformatted(&view.study.commands.join("\n"));
    }
    if !view.study.config.is_empty() {
        text += &format!(
            "<details open>\n<summary>Configuration file</summary>\n{}</details>\n",
            preformatted(view.study.config.trim_end())
        );
    }
    text
}

/// Text with its line breaks.
fn preformatted(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(escape).collect();
    format!("<pre><code>{}</code></pre>\n", lines.join("\n"))
}

fn figure(chart: &Chart, view: &View) -> String {
    let caption = escape(chart.caption);
    let links = layer(chart, view);
    let hint = match links.is_empty() {
        true => "",
        false => ". Point at a trial to see its values; click to find it in the table.",
    };
    format!(
        "<figure>\n<div class=\"layers\">{}\n{links}</div>\n\
         <figcaption>{caption}{hint}</figcaption>\n</figure>\n",
        image(&chart.png, &caption)
    )
}

/// Every parameter with its range, its condition and its importance.
fn space(view: &View) -> String {
    let parameters = view.study.space.parameters();
    if parameters.is_empty() {
        return String::new();
    }
    let importance = |parameter: &Parameter| {
        let found = view
            .study
            .importances
            .iter()
            .find(|i| i.0 == parameter.name);
        found.map_or(String::new(), |i| format!("{:.3}", i.1))
    };
    let row = |parameter: &Parameter| {
        format!(
            "<tr><th scope=\"row\">{}</th><td class=\"text\">{}</td><td class=\"text\">{}</td>\
             <td>{}</td></tr>\n",
            escape(&parameter.name),
            escape(&parameter.distribution.to_string()),
            escape(&parameter.when.as_ref().map_or(String::new(), condition)),
            importance(parameter)
        )
    };
    let rows: String = parameters.iter().map(row).collect();
    format!(
        "<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">parameter</th>\
         <th scope=\"col\" class=\"text\">values</th><th scope=\"col\" class=\"text\">where</th>\
         <th scope=\"col\">importance</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    )
}

/// "opt is momentum or nesterov".
fn condition(when: &Condition) -> String {
    let values: Vec<String> = when.any_of.iter().map(|value| value.to_string()).collect();
    format!("{} is {}", when.parameter, values.join(" or "))
}
