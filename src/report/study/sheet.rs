//! The contact sheet: the most important charts in one picture.

use super::view::{View, counted};
use super::{Study, curves, history, importances, parallel, pareto};
use crate::report::canvas::{Area, WIDTH, picture};

/// Height of the title and of the two rows.
const TITLE: f64 = 44.0;
const UPPER: f64 = 400.0;
const LOWER: f64 = 440.0;
/// Where the lower row is divided.
const DIVIDE: f64 = 400.0;

/// Draws history (of several objectives the Pareto front) and learning curves above importances
/// and parallel coordinates; the bytes of a PNG, 1200 pixels wide. A chart takes the room of the
/// one beside it where that has nothing to show.
///
/// # Errors
/// The picture could not be drawn or packed; never because of the values in it.
pub fn sheet(study: &Study) -> Result<Vec<u8>, String> {
    let view = View::new(study);
    let width = f64::from(WIDTH);
    let with_parameters = !view.shown.is_empty();
    let with_bars = importances::height(&view) > 0;
    let lower = if with_parameters || with_bars {
        LOWER
    } else {
        0.0
    };
    let height = TITLE + UPPER + lower;
    picture((WIDTH, height as u32), |canvas| {
        canvas.title(&title(&view), width)?;
        let area = |left, right| Area::new(left, TITLE, right, TITLE + UPPER);
        let first = match study.objectives.len() {
            2.. => pareto::paint,
            _ => history::paint,
        };
        if view.has_curves() {
            first(canvas, area(0.0, width / 2.0), &view)?;
            curves::paint(canvas, area(width / 2.0, width), &view)?;
        } else {
            first(canvas, area(0.0, width), &view)?;
        }
        let area = |left, right| Area::new(left, TITLE + UPPER, right, height);
        let divide = match (with_bars, with_parameters) {
            (true, true) => DIVIDE,
            (true, false) => width,
            (false, _) => 0.0,
        };
        if with_bars {
            importances::paint(canvas, area(0.0, divide), &view)?;
        }
        if with_parameters {
            parallel::paint(canvas, area(divide, width), &view)?;
        }
        Ok(())
    })
}

fn title(view: &View) -> String {
    let best = match view.winners[..] {
        [winner] if view.axes.len() == 1 => format!(" · best {}", view.name(winner)),
        _ => String::new(),
    };
    let trials = counted(view.trials.len(), "trial");
    format!("{} · {trials}{best}", view.study.name)
}
