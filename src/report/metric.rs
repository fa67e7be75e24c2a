//! What a second panel beside the loss shows.

/// A quantity that a chart draws: what it is called, and where its values lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric<'a> {
    pub name: &'a str,
    /// Behind every value, such as `%`; may be empty.
    pub unit: &'a str,
    /// Values are multiplied by this before they are drawn: 100 for shares shown in per cent.
    pub scale: f64,
    /// The smallest and the largest value there can be, as drawn; may be infinite.
    pub bounds: (f64, f64),
    pub higher_is_better: bool,
}

impl Metric<'static> {
    /// Shares from 0 to 1, drawn in per cent.
    pub const ACCURACY: Self = Self {
        name: "accuracy",
        unit: "%",
        scale: 100.0,
        bounds: (0.0, 100.0),
        higher_is_better: true,
    };
    /// The coefficient of determination: 1 is perfect, 0 as good as the mean.
    pub const R2: Self = Self {
        name: "R²",
        unit: "",
        scale: 1.0,
        bounds: (f64::NEG_INFINITY, 1.0),
        higher_is_better: true,
    };
}

impl Metric<'_> {
    /// The name with the unit in brackets.
    pub(crate) fn heading(&self) -> String {
        match self.unit {
            "" => self.name.to_string(),
            unit => format!("{} ({unit})", self.name),
        }
    }
}

impl Default for Metric<'_> {
    fn default() -> Self {
        Metric::ACCURACY
    }
}
