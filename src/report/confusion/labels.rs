//! The class names along the two sides of the matrix.

use super::super::canvas::text::{Type, fit, measure};
use super::super::canvas::{Area, Canvas};

/// The longest a name may be, in pixels.
const LONGEST: f64 = 170.0;

/// Names as they are written, and the room they take.
pub(super) struct Labels {
    /// Each name, shortened; those without room between their neighbours are left out.
    names: Vec<Option<String>>,
    size: f64,
    /// The names across are turned, because some are wider than their columns.
    climbing: bool,
    pub(super) left: f64,
    pub(super) below: f64,
}

impl Labels {
    pub(super) fn new(names: &[String], cell: f64) -> Result<Labels, String> {
        let size = (cell * 0.8).clamp(11.0, 15.0);
        let every = (11.0 / cell).ceil().max(1.0) as usize;
        let (mut shown, mut widest) = (Vec::new(), 0.0f64);
        for (index, name) in names.iter().enumerate() {
            let fits = (index % every == 0).then(|| fit(name, size, LONGEST));
            let fits = fits.transpose()?;
            if let Some(name) = &fits {
                widest = widest.max(measure(name, size)?.0);
            }
            shown.push(fits);
        }
        let climbing = widest > cell - 6.0;
        Ok(Labels {
            names: shown,
            size,
            climbing,
            // Room for the words "precision (%)" too.
            left: widest.max(64.0) + 16.0,
            below: if climbing { widest } else { size } + 16.0,
        })
    }

    pub(super) fn paint(&self, canvas: &Canvas, matrix: Area, cell: f64) -> Result<(), String> {
        let set = Type::new(self.size);
        for (index, name) in self.names.iter().enumerate() {
            let Some(name) = name else {
                continue;
            };
            let middle = cell * (index as f64 + 0.5);
            let at = (matrix.left - 8.0, matrix.top + middle);
            canvas.text(name, at, set.right())?;
            let x = matrix.left + middle;
            match self.climbing {
                true => {
                    let set = set.right().climbing();
                    canvas.text(name, (x, matrix.bottom + 8.0), set)?;
                }
                false => {
                    let at = (x, matrix.bottom + 8.0 + self.size / 2.0);
                    canvas.text(name, at, set.centred())?;
                }
            }
        }
        let (x, y) = matrix.middle();
        let title = Type::new(16.0).centred();
        canvas.text("predicted", (x, matrix.bottom + self.below + 14.0), title)?;
        let at = (matrix.left - self.left - 14.0, y);
        canvas.text("true", at, title.climbing())
    }
}
