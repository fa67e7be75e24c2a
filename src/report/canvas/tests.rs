//! Tests of the canvas, and what the tests of the charts share.

use std::ops::Range;

use super::*;

/// Decodes a PNG of a chart. With `GPU_TRAIN_PICTURES=FOLDER` in the environment it is kept there
/// as NAME.png, to be looked at.
pub(crate) fn decode(name: &str, png: &[u8]) -> image::RgbImage {
    if let Some(folder) = std::env::var_os("GPU_TRAIN_PICTURES") {
        let path = std::path::Path::new(&folder).join(format!("{name}.png"));
        std::fs::write(&path, png).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    let image = image::load_from_memory_with_format(png, image::ImageFormat::Png);
    image.expect("decodes").to_rgb8()
}

/// How many pixels of a part of the picture have exactly this colour.
pub(crate) fn count(
    image: &image::RgbImage,
    colour: Rgb,
    columns: Range<u32>,
    rows: Range<u32>,
) -> usize {
    within(image, colour, 0, columns, rows)
}

/// How many have it nearly: thin slopes are mixed with what lies around them.
pub(crate) fn about(
    image: &image::RgbImage,
    colour: Rgb,
    columns: Range<u32>,
    rows: Range<u32>,
) -> usize {
    within(image, colour, 24, columns, rows)
}

fn within(
    image: &image::RgbImage,
    colour: Rgb,
    bound: u8,
    columns: Range<u32>,
    rows: Range<u32>,
) -> usize {
    let hit = |at: &(u32, u32, &image::Rgb<u8>)| {
        let near = |channel: usize| at.2.0[channel].abs_diff(colour[channel]) <= bound;
        columns.contains(&at.0) && rows.contains(&at.1) && (0..3).all(near)
    };
    image.enumerate_pixels().filter(hit).count()
}

/// A picture of 200 by 100 pixels.
fn painted_by(paint: impl FnOnce(&Canvas) -> Result<(), String>) -> image::RgbImage {
    let png = picture((200, 100), paint).expect("draws");
    let image = decode("canvas", &png);
    assert_eq!(image.dimensions(), (200, 100));
    image
}

/// The sum of all ink, in pixels of full colour.
fn ink(image: &image::RgbImage) -> f64 {
    let dark = image.pixels().map(|at| 255.0 - f64::from(at.0[1]));
    dark.sum::<f64>() / 255.0
}

#[test]
fn lines_are_as_wide_as_they_say_in_every_direction() {
    let black = [0; 3];
    for (dx, dy) in [
        (60.0, 0.0),
        (0.0, 60.0),
        (36.0, 48.0),
        (-48.0, 36.0),
        (42.4, -42.4),
    ] {
        let (from, to) = ((100.3, 50.7), (100.3 + dx, 50.7 + dy / 2.0));
        let length = f64::hypot(dx, dy / 2.0);
        for width in [1.0, 2.0, 5.0] {
            let image = painted_by(|canvas| canvas.line(from, to, black, width));
            // Two half discs at the ends.
            let area = length * width + std::f64::consts::FRAC_PI_4 * width * width;
            let found = ink(&image);
            assert!(
                (found / area - 1.0).abs() < 0.06,
                "{dx} {dy} {width}: {found} {area}"
            );
        }
    }
    let point = painted_by(|canvas| canvas.line((50.0, 50.0), (50.0, 50.0), black, 6.0));
    assert!(
        (ink(&point) - 9.0 * std::f64::consts::PI).abs() < 1.0,
        "a point is a disc"
    );
}

#[test]
fn rules_are_crisp_and_dashes_leave_gaps() {
    let image = painted_by(|canvas| canvas.rule((20.6, 50.4), (120.2, 50.4), INK));
    assert_eq!(count(&image, INK, 20..121, 50..51), 101);
    assert_eq!(count(&image, WHITE, 0..200, 0..100), 200 * 100 - 101);
    let corner = [(10.0, 10.5), (110.0, 10.5), (110.0, 90.5)];
    let dashed = painted_by(|canvas| canvas.path(&corner, Stroke::dashed(INK, 1.0)));
    let pieces = dashes(&corner);
    assert_eq!(pieces.len(), 18, "{pieces:?}");
    let bend = [(110.0, 10.5), (110.0, 16.5)];
    assert!(pieces.contains(&bend), "a dash goes on around the corner");
    let drawn: f64 = pieces
        .iter()
        .map(|[a, b]| (b.0 - a.0).hypot(b.1 - a.1))
        .sum();
    assert!((drawn - 180.0 * 7.0 / 11.0).abs() < 4.0, "{drawn}");
    assert!(ink(&dashed) > 90.0 && ink(&dashed) < 160.0);
}

#[test]
fn the_smallest_area_is_seen() {
    let speck = Area::new(50.0, 50.0, 50.01, 50.01);
    let image = painted_by(|canvas| canvas.fill(speck, [0; 3], 1.0));
    assert_eq!(ink(&image), 64.0 / 255.0, "a quarter of a pixel, rounded");
}

#[test]
fn far_away_and_strange_places_are_harmless() {
    let strange = [f64::NAN, f64::INFINITY, -f64::INFINITY, 1e300, -1e9];
    let image = painted_by(|canvas| {
        for far in strange {
            canvas.line((50.0, 50.0), (far, far), INK, 1.0)?;
            canvas.line((far, 20.0), (100.0, far), INK, 1.0)?;
            canvas.dot((far, 50.0), 3.0, INK)?;
            canvas.diamond((50.0, far), INK)?;
            canvas.fill(Area::new(far, far, far, far), INK, 1.0)?;
            canvas.text("words", (far, far), text::Type::new(12.0))?;
        }
        Ok(())
    });
    assert!(ink(&image) > 10.0);
}

/// The picture of a text, to be compared with another's.
fn lettered(words: &str) -> image::RgbImage {
    painted_by(|canvas| canvas.text(words, (10.0, 50.0), text::Type::new(40.0)))
}

#[test]
fn the_font_has_every_letter_it_says() {
    let missing = lettered("\u{fffd}");
    assert_eq!(
        missing,
        lettered("?"),
        "what it lacks becomes a question mark"
    );
    let blank = lettered(" ");
    let mut letters = 0;
    for c in ('!'..='\u{2fff}').filter(|c| text::in_font(*c)) {
        letters += 1;
        // White space and marks without width of their own leave nothing.
        let empty = matches!(c, '\u{a0}' | '\u{ad}');
        let shown = lettered(&c.to_string());
        assert!(empty || shown != blank, "{c:?} {:x}", c as u32);
        // The glyph of a missing letter is a box: high, wide and hollow.
        assert!(c == '?' || shown != missing, "{c:?}");
    }
    assert!(letters > 500, "{letters}");
    let table = glyphs();
    let listed = (' '..='\u{ffff}').filter(|c| text::in_font(*c));
    assert_eq!(listed.collect::<Vec<_>>(), table);
}

/// The characters of the embedded font, from the format 4 table in its `cmap` (OpenType
/// specification, chapter cmap): segments of first and last code, the sentinel U+FFFF left out.
fn glyphs() -> Vec<char> {
    let font = include_bytes!("../../../assets/fonts/DejaVuSans-subset.ttf");
    let u16_at = |at: usize| usize::from(u16::from_be_bytes([font[at], font[at + 1]]));
    let u32_at = |at: usize| u16_at(at) << 16 | u16_at(at + 2);
    let tables = u16_at(4);
    let cmap = (0..tables)
        .map(|table| 12 + 16 * table)
        .find(|at| &font[*at..*at + 4] == b"cmap")
        .map(|at| u32_at(at + 8))
        .expect("a cmap");
    let format4 = (0..u16_at(cmap + 2))
        .map(|record| cmap + u32_at(cmap + 4 + 8 * record + 4))
        .find(|at| u16_at(*at) == 4)
        .expect("a table of format 4");
    let segments = u16_at(format4 + 6) / 2;
    let mut found = Vec::new();
    for segment in 0..segments {
        let last = u16_at(format4 + 14 + 2 * segment);
        let first = u16_at(format4 + 16 + 2 * segments + 2 * segment);
        let codes = (first..=last).filter(|code| *code != 0xffff);
        found.extend(codes.filter_map(|code| char::from_u32(code as u32)));
    }
    found.sort_unstable();
    found.dedup();
    found
}

#[test]
fn text_is_made_legible_and_fits() {
    assert_eq!(text::legible("a\tb\n\u{7}c"), "a b  c");
    assert_eq!(
        text::legible("日本 ☃ é e\u{301} кот γάτα ž"),
        "?? ? é e кот γάτα ž"
    );
    assert_eq!(text::legible(&"x".repeat(1000)).len(), 300);
    let wide = |words: &str| text::measure(words, 15.0).expect("measures").0;
    for words in [
        "",
        "short",
        "a name that is far too long for its place",
        "ééééééééééééééé",
    ] {
        for room in [0.0, 20.0, 60.0, 150.0, 1e6] {
            let fit = text::fit(words, 15.0, room).expect("fits");
            assert!(wide(&fit) <= room.max(wide("…")), "{words} {room}: {fit}");
            assert!(fit == words || fit.contains('…'));
            let kept: Vec<&str> = fit.split('…').collect();
            assert!(words.starts_with(kept[0]) && words.ends_with(kept[kept.len() - 1]));
        }
    }
    assert_eq!(text::fit("short", 15.0, 1e6).expect("fits"), "short");
}

#[test]
fn numbers_are_short() {
    for (value, words) in [
        (0.0, "0"),
        (0.01, "0.01"),
        (0.012345, "0.0123"),
        (1234.5, "1230"),
        (1e-7, "1e-7"),
        (-2.345e9, "-2.34e9"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "inf"),
    ] {
        assert_eq!(text::brief(value), words);
    }
    assert_eq!(text::significant(0.5), "0.5000");
    assert_eq!(text::significant(12345.6), "12346");
}

#[test]
fn axes_of_any_range_have_two_ticks_within() {
    let ends = [
        (0.0, 1.0),
        (-1.0, 1.0),
        (1e-300, 2e-300),
        (-1e99, 1e99),
        (1e9, 1e9 + 1.0),
        (0.0, 0.0),
        (-5.0, -5.0),
        (1e38, 1e38),
        (123_456.0, 123_457.0),
        (1.0, 0.0),
    ];
    for ends in ends {
        let axis = axis::Axis::linear("", ends, (-HUGE, HUGE));
        assert!(axis.low < axis.high, "{ends:?}");
        let within = axis
            .ticks
            .iter()
            .filter(|tick| (-0.01..1.01).contains(&axis.share(tick.0)));
        assert!(
            (2..=21).contains(&within.count()),
            "{ends:?}: {:?}",
            axis.ticks
        );
        let mut labels: Vec<&String> = axis.ticks.iter().map(|tick| &tick.1).collect();
        let count = labels.len();
        labels.dedup();
        assert_eq!(labels.len(), count, "labels differ: {:?}", axis.ticks);
    }
    for ends in [
        (1e-300, 1e99),
        (2.1, 2.9),
        (1.0, 1.0),
        (1e-7, 10.0),
        (0.9, 11.0),
        (5.0, 5.001),
    ] {
        let axis = axis::Axis::logarithmic("", ends, 0.01);
        let within = axis
            .ticks
            .iter()
            .filter(|tick| (0.0..=1.0).contains(&axis.share(tick.0)));
        assert!(
            (1..=14).contains(&within.count()),
            "{ends:?}: {:?}",
            axis.ticks
        );
    }
}

#[test]
fn crowded_ticks_are_thinned() {
    let mut axis = axis::Axis::logarithmic("", (0.001, 1.0), 0.0);
    let labels = |axis: &axis::Axis| -> Vec<String> {
        axis.ticks.iter().map(|tick| tick.1.clone()).collect()
    };
    axis.thin(1000.0, 18.0);
    assert_eq!(labels(&axis).len(), 10);
    axis.thin(120.0, 18.0);
    assert_eq!(labels(&axis), ["0.001", "0.01", "0.1", "1"]);
    let mut linear = axis::Axis::linear("", (0.0, 1.0), (0.0, 1.0));
    linear.thin(50.0, 18.0);
    assert_eq!(labels(&linear), ["0", "0.4", "0.8"]);
}
