//! The ground that every chart is painted on: size, colours, pens and the way to a PNG.
//!
//! Everything is painted at twice the final size with an embedded font and then averaged down, so
//! a picture is smooth, needs no font of the machine and is the same everywhere. All places and
//! lengths are given in final pixels, x to the right and y down.

pub(crate) mod axis;
pub(crate) mod legend;
pub(crate) mod plane;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod text;

use plotters::coord::Shift;
use plotters::prelude::*;

/// A place in final pixels, or a pair of data values.
pub(crate) type Xy = (f64, f64);
pub(crate) type Rgb = [u8; 3];

/// Width of most charts.
pub(crate) const WIDTH: u32 = 1200;
/// Painted pixels per final pixel, each way.
const SCALE: u32 = 2;
/// Values from here on count as infinite; losses are `f32` at their source.
pub(crate) const HUGE: f64 = 1e100;
/// What lies further from the picture is pulled nearer before it is painted.
const FAR: f64 = 1e4;

pub(crate) const WHITE: Rgb = [255; 3];
pub(crate) const INK: Rgb = [45; 3];
/// Second-rank text and marks.
pub(crate) const FAINT: Rgb = [120; 3];
pub(crate) const GRID: Rgb = [226; 3];
// Okabe and Ito's colours, told apart by colour-blind eyes; the green is a little darker.
pub(crate) const BLUE: Rgb = [0, 114, 178];
pub(crate) const VERMILLION: Rgb = [213, 94, 0];
pub(crate) const GREEN: Rgb = [0, 140, 104];
pub(crate) const PURPLE: Rgb = [204, 121, 167];
pub(crate) const ORANGE: Rgb = [230, 159, 0];
pub(crate) const SKY: Rgb = [86, 180, 233];
/// Blue thinned for the noisy values behind a curve.
pub(crate) const PALE_BLUE: Rgb = [156, 200, 227];
/// Colours of things that lie side by side: Okabe and Ito's without the yellow that white
/// swallows, and three more of other lightness.
pub(crate) const PALETTE: [Rgb; 10] = [
    BLUE,
    VERMILLION,
    GREEN,
    PURPLE,
    ORANGE,
    SKY,
    [20, 20, 20],
    [140, 86, 40],
    [110, 60, 150],
    [140, 140, 140],
];

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stroke {
    pub(crate) colour: Rgb,
    pub(crate) width: f64,
    pub(crate) dashed: bool,
}

impl Stroke {
    pub(crate) const fn solid(colour: Rgb, width: f64) -> Self {
        Self {
            colour,
            width,
            dashed: false,
        }
    }

    pub(crate) const fn dashed(colour: Rgb, width: f64) -> Self {
        Self {
            colour,
            width,
            dashed: true,
        }
    }
}

/// A rectangle in final pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Area {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
}

impl Area {
    pub(crate) const fn new(left: f64, top: f64, right: f64, bottom: f64) -> Self {
        Self {
            left,
            top,
            right,
            bottom,
        }
    }

    pub(crate) fn middle(&self) -> Xy {
        (
            (self.left + self.right) / 2.0,
            (self.top + self.bottom) / 2.0,
        )
    }
}

/// A picture that is being painted.
pub(crate) struct Canvas<'a> {
    area: DrawingArea<BitMapBackend<'a>, Shift>,
}

/// Paints a picture of `size` (width and height in pixels) on white and packs it as PNG.
///
/// # Errors
/// What `paint` returns, or that the picture could not be packed.
pub(crate) fn picture(
    size: (u32, u32),
    paint: impl FnOnce(&Canvas) -> Result<(), String>,
) -> Result<Vec<u8>, String> {
    text::load_font()?;
    let (width, height) = (size.0 * SCALE, size.1 * SCALE);
    let mut pixels = vec![255u8; width as usize * height as usize * 3];
    let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
    let canvas = Canvas { area };
    paint(&canvas)?;
    drop(canvas);
    encode(&pixels, size)
}

/// Averages the painted pixels down to `size` and packs them as PNG.
fn encode(pixels: &[u8], size: (u32, u32)) -> Result<Vec<u8>, String> {
    let (scale, row) = (SCALE as usize, size.0 as usize * SCALE as usize);
    let small = image::RgbImage::from_fn(size.0, size.1, |x, y| {
        let corner = y as usize * scale * row + x as usize * scale;
        image::Rgb(std::array::from_fn(|channel| {
            let at = |i: usize| (corner + i / scale * row + i % scale) * 3 + channel;
            let sum: usize = (0..scale * scale).map(|i| pixels[at(i)] as usize).sum();
            ((sum + scale * scale / 2) / (scale * scale)) as u8
        }))
    });
    png(&small.into())
}

/// A picture's bytes as PNG.
pub(crate) fn png(picture: &image::DynamicImage) -> Result<Vec<u8>, String> {
    let mut png = std::io::Cursor::new(Vec::new());
    picture
        .write_to(&mut png, image::ImageFormat::Png)
        .map_err(|error| error.to_string())?;
    Ok(png.into_inner())
}

impl Canvas<'_> {
    /// A level or upright line of whole pixels, such as an axis.
    pub(crate) fn rule(&self, from: Xy, to: Xy, colour: Rgb) -> Result<(), String> {
        let corner = |at: Xy| (at.0.floor(), at.1.floor());
        let (a, b) = (corner(from), corner(to));
        let (left, top) = (a.0.min(b.0), a.1.min(b.1));
        let (right, bottom) = (a.0.max(b.0) + 1.0, a.1.max(b.1) + 1.0);
        self.fill(Area::new(left, top, right, bottom), colour, 1.0)
    }

    /// A straight line with round ends. A painted pixel is covered by how near its centre lies to
    /// the line, so that slopes are as wide and smooth as levels.
    pub(crate) fn line(&self, from: Xy, to: Xy, colour: Rgb, width: f64) -> Result<(), String> {
        let scale = f64::from(SCALE);
        let near = |at: Xy| (at.0.clamp(-FAR, FAR) * scale, at.1.clamp(-FAR, FAR) * scale);
        let (a, b, radius) = (near(from), near(to), width * scale / 2.0);
        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let square = (dx * dx + dy * dy).max(1e-12);
        // Walks the longer side, one row or column of pixels at a time.
        let steep = dy.abs() > dx.abs();
        let turn = |at: Xy| if steep { (at.1, at.0) } else { at };
        let (start, end) = (turn(a), turn(b));
        let slope = (end.1 - start.1) / (end.0 - start.0 + f64::from(start.0 == end.0));
        let reach = (radius + 1.0) * 1.5;
        let first = (start.0.min(end.0) - radius - 1.0).floor() as i32;
        let last = (start.0.max(end.0) + radius + 1.0).ceil() as i32;
        for u in first..last {
            let along = f64::from(u) + 0.5;
            let on = along.clamp(start.0.min(end.0), start.0.max(end.0));
            let middle = start.1 + (on - start.0) * slope;
            for v in (middle - reach).floor() as i32..(middle + reach).ceil() as i32 {
                let (x, y) = turn((along, f64::from(v) + 0.5));
                let share = ((x - a.0) * dx + (y - a.1) * dy) / square;
                let share = share.clamp(0.0, 1.0);
                let distance = (x - a.0 - share * dx).hypot(y - a.1 - share * dy);
                let cover = (radius + 0.5 - distance).min(1.0);
                if cover > 0.0 {
                    let place = (x.floor() as i32, y.floor() as i32);
                    let pixel = self.area.draw_pixel(place, &rgb(colour).mix(cover));
                    pixel.map_err(message)?;
                }
            }
        }
        Ok(())
    }

    /// A line through all points.
    pub(crate) fn path(&self, points: &[Xy], stroke: Stroke) -> Result<(), String> {
        let draw = |[from, to]: [Xy; 2]| self.line(from, to, stroke.colour, stroke.width);
        match stroke.dashed {
            true => dashes(points).into_iter().try_for_each(draw),
            false => points
                .windows(2)
                .try_for_each(|ends| draw([ends[0], ends[1]])),
        }
    }

    pub(crate) fn dot(&self, at: Xy, radius: f64, colour: Rgb) -> Result<(), String> {
        let radius = (radius * f64::from(SCALE)).round() as i32;
        self.draw(&Circle::new(painted(at), radius, rgb(colour).filled()))
    }

    /// A dot that lets what lies under it shine through.
    pub(crate) fn veil(
        &self,
        at: Xy,
        radius: f64,
        colour: Rgb,
        opacity: f64,
    ) -> Result<(), String> {
        let radius = (radius * f64::from(SCALE)).round() as i32;
        let style = rgb(colour).mix(opacity).filled();
        self.draw(&Circle::new(painted(at), radius, style))
    }

    /// A circle with a white heart.
    pub(crate) fn ring(&self, at: Xy, colour: Rgb) -> Result<(), String> {
        self.dot(at, 6.0, colour)?;
        self.dot(at, 3.5, WHITE)
    }

    /// A diamond with a white rim.
    pub(crate) fn diamond(&self, (x, y): Xy, colour: Rgb) -> Result<(), String> {
        for (size, colour) in [(8.0, WHITE), (6.0, colour)] {
            let corners = [(x - size, y), (x, y - size), (x + size, y), (x, y + size)];
            self.draw(&Polygon::new(corners.map(painted), rgb(colour).filled()))?;
        }
        Ok(())
    }

    pub(crate) fn fill(&self, area: Area, colour: Rgb, opacity: f64) -> Result<(), String> {
        let (from, to) = (
            painted((area.left, area.top)),
            painted((area.right, area.bottom)),
        );
        // Never so small that it vanishes.
        let corners = [from, (to.0.max(from.0 + 1), to.1.max(from.1 + 1))];
        self.draw(&Rectangle::new(corners, rgb(colour).mix(opacity).filled()))
    }

    fn draw<'b, E>(&self, element: &'b E) -> Result<(), String>
    where
        for<'e> &'e E: plotters::element::PointCollection<'e, (i32, i32)>,
        for<'c> E: plotters::element::Drawable<BitMapBackend<'c>>,
    {
        self.area.draw(element).map_err(message)
    }
}

fn message(error: impl std::fmt::Display) -> String {
    format!("drawing a chart: {error}")
}

fn rgb([r, g, b]: Rgb) -> RGBColor {
    RGBColor(r, g, b)
}

/// The painted pixel of a place.
fn painted((x, y): Xy) -> (i32, i32) {
    let place = |at: f64| (at.clamp(-FAR, FAR) * f64::from(SCALE)).round() as i32;
    (place(x), place(y))
}

/// The drawn pieces of a dashed line through all points: 7 pixels of line, 4 of gap.
fn dashes(points: &[Xy]) -> Vec<[Xy; 2]> {
    const DASH: f64 = 7.0;
    const PERIOD: f64 = 11.0;
    let (mut pieces, mut phase) = (Vec::new(), 0.0);
    for pair in points.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        let on = |at: f64| {
            let share = at / length;
            (
                from.0 + (to.0 - from.0) * share,
                from.1 + (to.1 - from.1) * share,
            )
        };
        let mut start = -phase;
        while start < length {
            let (first, last) = (start.max(0.0), (start + DASH).min(length));
            if first < last {
                pieces.push([on(first), on(last)]);
            }
            start += PERIOD;
        }
        phase = (phase + length) % PERIOD;
    }
    pieces
}
