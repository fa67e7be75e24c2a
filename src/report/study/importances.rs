//! A bar per parameter: how much of the objective it explains.

use super::heading::heading;
use super::spots::Spot;
use super::view::View;
use crate::report::canvas::text::{Type, fit, measure};
use crate::report::canvas::{Area, BLUE, Canvas, FAINT, INK};

/// At most so many bars.
const MOST: usize = 20;
/// Height of a bar with the gap to the next.
const ROW: f64 = 30.0;
const LETTERS: f64 = 15.0;
/// Room above and below the bars.
const TOP: f64 = 44.0;
const BOTTOM: f64 = 20.0;

pub(super) fn height(view: &View) -> u32 {
    let (bars, more) = bars(view, MOST);
    match bars.len() {
        0 => 0,
        count => (TOP + BOTTOM + ROW * (count + usize::from(more > 0)) as f64) as u32,
    }
}

/// Parameters and finite shares, the greatest first, and how many there are beyond `most`.
fn bars<'a>(view: &View<'a>, most: usize) -> (Vec<(&'a str, f64)>, usize) {
    let all = view.study.importances.iter();
    let mut bars: Vec<(&str, f64)> = all
        .filter(|(_, share)| share.is_finite())
        .map(|(name, share)| (name.as_str(), share.max(0.0)))
        .collect();
    bars.sort_by(|a, b| b.1.total_cmp(&a.1));
    let more = bars.len().saturating_sub(most);
    bars.truncate(most);
    (bars, more)
}

pub(super) fn paint(canvas: &Canvas, area: Area, view: &View) -> Result<Vec<Spot>, String> {
    let title = format!("Importance for {}", view.metric(0).name);
    heading(canvas, area, &title, &[])?;
    let room = area.bottom - area.top - TOP - BOTTOM;
    let rows = ((room / (ROW * 0.75)) as usize).clamp(1, MOST);
    let (mut bars, mut more) = bars(view, rows);
    if more > 0 && bars.len() == rows && rows < MOST {
        // The last row says how many are left out.
        bars.pop();
        more += 1;
    }
    let step = (room / (bars.len() + usize::from(more > 0)).max(1) as f64).min(ROW * 1.7);
    let most_wide = (area.right - area.left) * 0.4;
    let mut names = Vec::new();
    let mut widest: f64 = 0.0;
    for (name, share) in &bars {
        let name = fit(name, LETTERS, most_wide)?;
        widest = widest.max(measure(&name, LETTERS)?.0);
        names.push((name, *share));
    }
    let left = area.left + 20.0 + widest + 10.0;
    let longest = area.right - 74.0 - left;
    let greatest = bars.first().map_or(1.0, |bar| bar.1).max(f64::MIN_POSITIVE);
    let mut y = area.top + TOP + step / 2.0;
    for (name, share) in &names {
        let right = left + longest * share / greatest;
        let half = (step * 0.34).min(13.0);
        canvas.text(name, (left - 10.0, y), Type::new(LETTERS).right())?;
        canvas.fill(Area::new(left, y - half, right, y + half), BLUE, 1.0)?;
        canvas.text(&percent(*share), (right + 8.0, y), Type::new(LETTERS))?;
        y += step;
    }
    let ends = [area.top + TOP, y - step / 2.0];
    canvas.rule((left - 1.0, ends[0]), (left - 1.0, ends[1]), INK)?;
    if more > 0 {
        let words = format!("and {more} more");
        canvas.text(
            &words,
            (left - 10.0, y),
            Type::new(LETTERS).right().colour(FAINT),
        )?;
    }
    Ok(Vec::new())
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        0.0 => "0 %".to_string(),
        ..1.0 => "< 1 %".to_string(),
        1e4.. => format!("{percent:.0e} %"),
        _ => format!("{percent:.0} %"),
    }
}
