//! A panel's frame: axes, grid and labels, and the plane inside them.

use super::axis::Axis;
use super::text::{Type, fit, measure};
use super::{Area, Canvas, GRID, HUGE, INK, Rgb, Stroke, Xy};

/// Size of the tick labels.
const LABEL: f64 = 15.0;
/// Room around the frame.
const ABOVE: f64 = 10.0;
const BELOW: f64 = 58.0;
const RIGHT: f64 = 20.0;

/// A rectangle of the picture with an axis each way.
pub(crate) struct Plane {
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    /// What lies within the frame.
    pub(crate) inside: Area,
}

impl Plane {
    /// Draws grid, ticks, labels and axis titles within `area`.
    pub(crate) fn frame(
        canvas: &Canvas,
        area: Area,
        x: Axis,
        mut y: Axis,
    ) -> Result<Plane, String> {
        y.thin(area.bottom - area.top - ABOVE - BELOW, LABEL + 3.0);
        let mut widest: f64 = 0.0;
        for (_, label) in &y.ticks {
            widest = widest.max(measure(label, LABEL)?.0);
        }
        let inside = Area::new(
            area.left + widest + 60.0,
            area.top + ABOVE,
            area.right - RIGHT,
            area.bottom - BELOW,
        );
        let plane = Plane { x, y, inside };
        plane.grid(canvas)?;
        let (x, y) = plane.inside.middle();
        let title = fit(&plane.x.title, 16.0, inside.right - inside.left)?;
        canvas.text(&title, (x, inside.bottom + 42.0), Type::new(16.0).centred())?;
        let title = fit(&plane.y.title, 16.0, inside.bottom - inside.top)?;
        let climbing = Type::new(16.0).centred().climbing();
        canvas.text(&title, (area.left + 24.0, y), climbing)?;
        Ok(plane)
    }

    fn grid(&self, canvas: &Canvas) -> Result<(), String> {
        let Area {
            left,
            top,
            right,
            bottom,
        } = self.inside;
        // Labels along x that would run into the one before are left out.
        let mut taken = f64::NEG_INFINITY;
        for (at, label) in &self.x.ticks {
            let x = left + self.x.share(*at) * (right - left);
            canvas.rule((x, top), (x, bottom), GRID)?;
            canvas.rule((x, bottom), (x, bottom + 4.0), INK)?;
            let half = measure(label, LABEL)?.0 / 2.0;
            let middle = x.min(right + RIGHT - 2.0 - half);
            if middle - half > taken {
                canvas.text(label, (middle, bottom + 17.0), Type::new(LABEL).centred())?;
                taken = middle + half + 8.0;
            }
        }
        for (at, label) in &self.y.ticks {
            let y = bottom - self.y.share(*at) * (bottom - top);
            canvas.rule((left, y), (right, y), GRID)?;
            canvas.rule((left - 4.0, y), (left, y), INK)?;
            canvas.text(label, (left - 9.0, y), Type::new(LABEL).right())?;
        }
        canvas.rule((left, top), (left, bottom), INK)?;
        canvas.rule((left, bottom), (right, bottom), INK)
    }

    /// The picture's place of a pair of values.
    pub(crate) fn at(&self, (x, y): Xy) -> Xy {
        self.spot((self.x.place(x), self.y.place(y)))
    }

    /// The picture's place of shares of the axes.
    fn spot(&self, (x, y): Xy) -> Xy {
        let Area {
            left,
            top,
            right,
            bottom,
        } = self.inside;
        (left + x * (right - left), bottom - y * (bottom - top))
    }

    /// The same, moved up or down into the frame.
    pub(crate) fn nearest(&self, (x, y): Xy) -> Xy {
        self.spot((self.x.place(x), self.y.place(y).clamp(0.0, 1.0)))
    }

    pub(crate) fn shows(&self, (x, y): Xy) -> bool {
        let within = |share: f64| (-1e-9..=1.0 + 1e-9).contains(&share);
        within(self.x.place(x)) && within(self.y.place(y))
    }

    /// A line through finite points, cut at the top and bottom of the frame.
    pub(crate) fn curve(
        &self,
        canvas: &Canvas,
        points: &[Xy],
        stroke: Stroke,
    ) -> Result<(), String> {
        let shares: Vec<Xy> = points
            .iter()
            .map(|(x, y)| (self.x.place(*x), self.y.place(*y)))
            .collect();
        // Runs of pieces that hang together, so that dashes go on across the joints.
        let mut run: Vec<Xy> = Vec::new();
        for pair in shares.windows(2) {
            let Some([from, to]) = clip(pair[0], pair[1]) else {
                continue;
            };
            if run.last() != Some(&from) {
                self.stroke(canvas, &run, stroke)?;
                run = vec![from];
            }
            run.push(to);
        }
        self.stroke(canvas, &run, stroke)
    }

    fn stroke(&self, canvas: &Canvas, run: &[Xy], stroke: Stroke) -> Result<(), String> {
        let spots: Vec<Xy> = run.iter().map(|at| self.spot(*at)).collect();
        canvas.path(&spots, stroke)
    }

    /// Dots at the points within the frame.
    pub(crate) fn dots(
        &self,
        canvas: &Canvas,
        points: &[Xy],
        radius: f64,
        colour: Rgb,
    ) -> Result<(), String> {
        let seen = points.iter().filter(|at| self.shows(**at));
        seen.copied()
            .try_for_each(|at| canvas.dot(self.at(at), radius, colour))
    }

    /// A dashed vertical line at `x` through the whole frame.
    pub(crate) fn upright(&self, canvas: &Canvas, x: f64, colour: Rgb) -> Result<(), String> {
        let column = self.spot((self.x.place(x), 0.0)).0.floor() + 0.5;
        let ends = [(column, self.inside.top), (column, self.inside.bottom)];
        canvas.path(&ends, Stroke::dashed(colour, 1.0))
    }

    /// Says in the middle that there is nothing to see.
    pub(crate) fn empty(&self, canvas: &Canvas) -> Result<(), String> {
        let set = Type::new(16.0).centred();
        canvas.text("no finite values", self.inside.middle(), set)
    }
}

/// The pairs of which both values can be drawn.
pub(crate) fn finite(points: impl Iterator<Item = Xy>) -> Vec<Xy> {
    points
        .filter(|(x, y)| x.abs() < HUGE && y.abs() < HUGE)
        .collect()
}

/// The part of a line that lies within shares 0 to 1 of the height.
fn clip(a: Xy, b: Xy) -> Option<[Xy; 2]> {
    let cut = |y: f64| (a.0 + (b.0 - a.0) * ((y - a.1) / (b.1 - a.1)), y);
    let keep = |at: Xy| match at.1 {
        y if y < 0.0 => cut(0.0),
        y if y > 1.0 => cut(1.0),
        _ => at,
    };
    (a.1.max(b.1) >= 0.0 && a.1.min(b.1) <= 1.0).then(|| [keep(a), keep(b)])
}
