//! Lettering with the embedded font, and numbers as text.

use std::sync::OnceLock;

use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Area, Canvas, INK, Rgb, SCALE, WHITE, Xy, painted, rgb};

const FONT: &str = "DejaVu Sans";
/// Longer texts are cut before they are measured.
const LONGEST: usize = 300;

/// How a text is set: size in pixels, colour, which end of it `at` is, and whether it climbs.
#[derive(Clone, Copy)]
pub(crate) struct Type {
    size: f64,
    colour: Rgb,
    side: HPos,
    climbs: bool,
}

impl Type {
    pub(crate) const fn new(size: f64) -> Self {
        Self {
            size,
            colour: INK,
            side: HPos::Left,
            climbs: false,
        }
    }

    pub(crate) const fn colour(self, colour: Rgb) -> Self {
        Self { colour, ..self }
    }

    /// The text ends at its place.
    pub(crate) const fn right(self) -> Self {
        Self {
            side: HPos::Right,
            ..self
        }
    }

    pub(crate) const fn centred(self) -> Self {
        Self {
            side: HPos::Center,
            ..self
        }
    }

    /// The text is turned by 90 degrees and reads upwards.
    pub(crate) const fn climbing(self) -> Self {
        Self {
            climbs: true,
            ..self
        }
    }
}

/// Registers the embedded font once.
pub(super) fn load_font() -> Result<(), String> {
    static READY: OnceLock<bool> = OnceLock::new();
    let bytes = include_bytes!("../../../assets/fonts/DejaVuSans-subset.ttf");
    let register = || register_font(FONT, FontStyle::Normal, bytes).is_ok();
    match READY.get_or_init(register) {
        true => Ok(()),
        false => Err("the embedded font is damaged".to_string()),
    }
}

/// Whether the embedded font has this character (assets/fonts/README.md has the list).
pub(crate) fn in_font(c: char) -> bool {
    matches!(c,
        ' '..='~' | '\u{a0}'..='\u{17f}' | '\u{192}' | '\u{218}'..='\u{21b}'
        | '\u{370}'..='\u{377}' | '\u{37a}'..='\u{37f}' | '\u{384}'..='\u{38a}' | '\u{38c}'
        | '\u{38e}'..='\u{3a1}' | '\u{3a3}'..='\u{45f}' | '\u{490}' | '\u{491}' | '\u{1e9e}'
        | '\u{2013}' | '\u{2014}' | '\u{2018}'..='\u{201e}' | '\u{2026}' | '\u{20ac}' | '\u{2212}')
}

/// The text as the font can show it: white space becomes a space, other characters that it lacks
/// a question mark. Combining accents, which some file systems split off, are left out.
pub(crate) fn legible(words: &str) -> String {
    let shown = words.chars().take(LONGEST).filter_map(|c| match c {
        '\u{300}'..='\u{36f}' => None,
        c if c.is_whitespace() || c.is_control() => Some(' '),
        c if in_font(c) => Some(c),
        _ => Some('?'),
    });
    shown.collect()
}

/// Width and height of a text in final pixels.
pub(crate) fn measure(words: &str, size: f64) -> Result<Xy, String> {
    load_font()?;
    let scale = f64::from(SCALE);
    let font = (FONT, size * scale).into_font();
    let (wide, high) = font
        .box_size(&legible(words))
        .map_err(|error| error.to_string())?;
    Ok((f64::from(wide) / scale, f64::from(high) / scale))
}

/// The text, or as much of its two ends as fits into `room` pixels with an ellipsis between.
pub(crate) fn fit(words: &str, size: f64, room: f64) -> Result<String, String> {
    let letters: Vec<char> = legible(words).chars().collect();
    let kept = |count: usize| -> String {
        if count >= letters.len() {
            return letters.iter().collect();
        }
        let tail = &letters[letters.len() - count / 2..];
        let head = letters[..count.div_ceil(2)].iter().collect::<String>();
        format!("{}…{}", head.trim_end(), tail.iter().collect::<String>())
    };
    let (mut fits, mut too_many) = (0, letters.len() + 1);
    while too_many - fits > 1 {
        let middle = (fits + too_many) / 2;
        match measure(&kept(middle), size)?.0 <= room {
            true => fits = middle,
            false => too_many = middle,
        }
    }
    Ok(kept(fits))
}

impl Canvas<'_> {
    /// Writes one line, centred on the height (if it climbs, the column) of `at`.
    pub(crate) fn text(&self, words: &str, at: Xy, set: Type) -> Result<(), String> {
        // The rasteriser sets text a little above its place.
        let down = set.size * 0.17;
        let (at, turn) = match set.climbs {
            true => ((at.0 + down, at.1), FontTransform::Rotate270),
            false => ((at.0, at.1 + down), FontTransform::None),
        };
        let font = (FONT, set.size * f64::from(SCALE)).into_font();
        let style = font.transform(turn).color(&rgb(set.colour));
        let style = style.pos(Pos::new(set.side, VPos::Center));
        self.draw(&Text::new(legible(words), painted(at), style))
    }

    /// Writes a label above or below `place`, moved to stay within `bounds`, on a pale ground.
    pub(crate) fn label(
        &self,
        words: &str,
        place: Xy,
        bounds: Area,
        above: bool,
    ) -> Result<(), String> {
        let (wide, high) = measure(words, 15.0)?;
        let right = (place.0 + wide / 2.0)
            .min(bounds.right - 4.0)
            .max(bounds.left + wide);
        let room = high + 16.0;
        let above = (above && place.1 - room > bounds.top) || place.1 + room > bounds.bottom;
        let middle = place.1 + if above { -1.0 } else { 1.0 } * (12.0 + high / 2.0);
        let (dx, dy) = (4.0, high / 2.0 + 3.0);
        let ground = Area::new(right - wide - dx, middle - dy, right + dx, middle + dy);
        self.fill(ground, WHITE, 0.85)?;
        self.text(words, (right, middle), Type::new(15.0).right())
    }

    /// The title of a picture that is `width` wide.
    pub(crate) fn title(&self, words: &str, width: f64) -> Result<(), String> {
        let words = fit(words, 20.0, width - 40.0)?;
        self.text(&words, (20.0, 20.0), Type::new(20.0))
    }
}

/// Four significant digits.
pub(crate) fn significant(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_string(),
        size @ 1e-3..1e5 => format!(
            "{value:.*}",
            (3 - size.log10().floor() as i32).max(0) as usize
        ),
        _ => format!("{value:.3e}"),
    }
}

/// At most three significant digits, without zeros at the end.
pub(crate) fn brief(value: f64) -> String {
    let rounded: f64 = format!("{value:.2e}").parse().unwrap_or(value);
    match rounded.abs() {
        0.0 | 1e-3..1e5 => format!("{rounded}"),
        _ => format!("{rounded:e}"),
    }
}
