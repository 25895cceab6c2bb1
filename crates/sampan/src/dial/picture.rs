//! The picture: a triangle in which each contestant lies where its scores pull it, and the scores themselves.

use std::error::Error;

use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, IntoFont, RGBColor, ShapeStyle, TextStyle, register_font};

use super::png;
use super::score::Scores;
use super::stats::Spread;

pub(crate) const WIDTH: u32 = 1280;
pub(crate) const HEIGHT: u32 = 720;

/// A picture of pixels is drawn so many times larger, and made small again: that smooths its edges.
const OVERSAMPLING: u32 = 3;

type Point = (f64, f64);

/// The corners of the triangle: performance, efficiency, isolation.
const CORNERS: [Point; 3] = [(330.0, 130.0), (600.0, 598.0), (60.0, 598.0)];

/// The names beside the triangle, and where each begins.
const ROWS: Point = (700.0, 168.0);
const ROW_HEIGHT: f64 = 46.0;

/// The scales of the three scores beside the names.
const SCALES: [f64; 3] = [845.0, 990.0, 1135.0];
const SCALE_WIDTH: f64 = 110.0;

const RADIUS: f64 = 5.5;

/// Half the length of the strokes that end a bar: they stand out from a marker.
const STROKE: f64 = 9.0;

const INK: RGBColor = RGBColor(40, 40, 40);
const FAINT: RGBColor = RGBColor(205, 205, 205);

/// Colours that those who do not see all colours tell apart (Okabe and Ito), without the one that is too light for lines.
/// They are given to contestants in the order in which all of them are shown; the last four are told apart by their shapes.
const COLOURS: [RGBColor; 10] = [
    RGBColor(0, 114, 178),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(213, 94, 0),
    RGBColor(0, 0, 0),
    RGBColor(130, 130, 130),
    RGBColor(130, 130, 130),
    RGBColor(0, 0, 0),
];

/// What is to be drawn of one contestant.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    /// One of our own profiles.
    pub(crate) is_ours: bool,
    /// Its place among all contestants.
    pub(crate) place: usize,
    pub(crate) scores: Scores,
}

/// What is to be drawn.
pub(crate) struct Figure {
    pub(crate) title: String,
    pub(crate) subtitle: String,
    pub(crate) entries: Vec<Entry>,
}

impl Figure {
    /// The picture as text, in the format SVG.
    ///
    /// # Errors
    /// When it cannot be drawn.
    pub(crate) fn svg(&self) -> Result<String, Box<dyn Error>> {
        let mut text = String::new();
        let area = SVGBackend::with_string(&mut text, (WIDTH, HEIGHT)).into_drawing_area();
        self.draw(&Canvas { area, scale: 1.0 }).map_err(|error| error.to_string())?;
        Ok(text)
    }

    /// The picture as pixels, in the format PNG.
    ///
    /// # Errors
    /// When it cannot be drawn.
    pub(crate) fn png(&self) -> Result<Vec<u8>, Box<dyn Error>> {
        let (width, height) = (WIDTH * OVERSAMPLING, HEIGHT * OVERSAMPLING);
        let mut pixels = vec![0; (width * height * 3) as usize];
        let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
        self.draw(&Canvas { area, scale: f64::from(OVERSAMPLING) }).map_err(|error| error.to_string())?;
        Ok(png::encode(&smoothed(&pixels), WIDTH, HEIGHT))
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<B>) -> Result<(), Box<dyn Error + '_>>
    where
        B::ErrorType: 'static,
    {
        // Drawn again, it is there already.
        let _ = register_font("sans-serif", FontStyle::Normal, dejavu::sans::regular());
        canvas.area.fill(&plotters::style::colors::WHITE)?;
        canvas.text(&self.title, (40.0, 44.0), 26.0, HPos::Left, INK)?;
        canvas.text(&self.subtitle, (40.0, 76.0), 14.0, HPos::Left, INK)?;
        triangle(canvas)?;
        for entry in &self.entries {
            errors(canvas, entry, style(entry))?;
        }
        for entry in &self.entries {
            canvas.marker(position(&entry.scores), entry, style(entry))?;
        }
        self.names(canvas)?;
        self.scores(canvas)?;
        let note = "Position: the share of each score in the sum of the three. Bars: half of the runs lie between their ends.";
        canvas.text(note, (40.0, 668.0), 13.0, HPos::Left, INK)?;
        let note = "Filled: profiles of Sampan. Score: 1 is the least cost that was measured, and a third less for each factor of ten; of isolation, the layers that stand.";
        canvas.text(note, (40.0, 692.0), 13.0, HPos::Left, INK)?;
        canvas.area.present()?;
        Ok(())
    }

    /// Writes the names into the triangle, each where it covers least.
    fn names<B: DrawingBackend>(&self, canvas: &Canvas<B>) -> Result<(), Box<dyn Error + '_>>
    where
        B::ErrorType: 'static,
    {
        const SIZE: f64 = 14.0;
        let points: Vec<Point> = self.entries.iter().map(|entry| position(&entry.scores)).collect();
        let mut taken: Vec<Frame> =
            points.iter().map(|&point| Frame::around(point, (2.0 * RADIUS, 2.0 * RADIUS))).collect();
        for (entry, &point) in self.entries.iter().zip(&points) {
            let size = (canvas.width(entry.name, SIZE)? + 6.0, SIZE + 4.0);
            let frames = places(point, size);
            let cover = |frame: &Frame| taken.iter().map(|other| frame.overlap(other)).sum::<f64>();
            let Some((_, frame)) = frames
                .map(|(distance, frame)| (cover(&frame) * 10.0 + distance, frame))
                .min_by(|(one, _), (other, _)| one.total_cmp(other))
            else {
                continue;
            };
            let middle = frame.middle();
            let edge = (
                middle.0.clamp(point.0 - RADIUS, point.0 + RADIUS),
                middle.1.clamp(point.1 - RADIUS, point.1 + RADIUS),
            );
            canvas.line(&[edge, frame.nearest(edge)], FAINT.stroke_width(1))?;
            canvas.text(entry.name, middle, SIZE, HPos::Center, INK)?;
            taken.push(frame);
        }
        Ok(())
    }

    /// The three scores of each, on scales from 0 to 1.
    fn scores<B: DrawingBackend>(&self, canvas: &Canvas<B>) -> Result<(), Box<dyn Error + '_>>
    where
        B::ErrorType: 'static,
    {
        let (left, top) = ROWS;
        let bottom = top + ROW_HEIGHT * self.entries.len() as f64 - ROW_HEIGHT / 2.0;
        for (scale, name) in SCALES.into_iter().zip(["performance", "efficiency", "isolation"]) {
            canvas.text(name, (scale + SCALE_WIDTH / 2.0, top - 52.0), 14.0, HPos::Center, INK)?;
            for (part, mark) in [(0.0, "0"), (0.5, "½"), (1.0, "1")] {
                let x = scale + part * SCALE_WIDTH;
                canvas.line(&[(x, top - 24.0), (x, bottom)], FAINT.stroke_width(1))?;
                canvas.text(mark, (x, top - 33.0), 11.0, HPos::Center, INK)?;
            }
        }
        for (index, entry) in self.entries.iter().enumerate() {
            let y = top + ROW_HEIGHT * index as f64;
            canvas.marker((left, y), entry, style(entry))?;
            canvas.text(entry.name, (left + 18.0, y), 14.0, HPos::Left, INK)?;
            for (scale, (_, score)) in SCALES.into_iter().zip(entry.scores.named()) {
                let x = |score: f64| scale + score * SCALE_WIDTH;
                canvas.line(&[(x(score.low), y), (x(score.high), y)], colour(entry).stroke_width(3))?;
                for end in [x(score.low), x(score.high)].into_iter().filter(|_| score.low < score.high) {
                    canvas.line(&[(end, y - STROKE), (end, y + STROKE)], colour(entry).stroke_width(1))?;
                }
                canvas.marker((x(score.median), y), entry, style(entry))?;
            }
        }
        Ok(())
    }
}

/// Where scores pull a contestant: to each corner by that score's share.
fn position(scores: &Scores) -> Point {
    weighed(scores.named().map(|(_, score)| score.median))
}

fn weighed(weights: [f64; 3]) -> Point {
    let sum: f64 = weights.iter().sum();
    let weights = if sum > 0.0 { weights.map(|weight| weight / sum) } else { [1.0 / 3.0; 3] };
    let along = |axis: fn(&Point) -> f64| {
        CORNERS.iter().zip(weights).map(|(corner, weight)| axis(corner) * weight).sum()
    };
    (along(|corner| corner.0), along(|corner| corner.1))
}

/// The ends of the bars of one contestant: those of each score, with the others as they are.
fn ends(scores: &Scores) -> [[Point; 2]; 3] {
    let all = scores.named().map(|(_, score)| score);
    let with = |index: usize, pick: fn(&Spread) -> f64| {
        let mut weights = all.map(|score| score.median);
        weights[index] = pick(&all[index]);
        weighed(weights)
    };
    [0, 1, 2].map(|index| [with(index, |score| score.low), with(index, |score| score.high)])
}

fn triangle<B: DrawingBackend>(canvas: &Canvas<B>) -> Result<(), Box<dyn Error>>
where
    B::ErrorType: 'static,
{
    for part in [0.25, 0.5, 0.75] {
        for corner in 0..3 {
            let end = |other: usize| {
                let mut weights = [0.0; 3];
                weights[corner] = part;
                weights[(corner + other) % 3] = 1.0 - part;
                weighed(weights)
            };
            canvas.line(&[end(1), end(2)], FAINT.stroke_width(1))?;
        }
    }
    let [top, right, left] = CORNERS;
    canvas.line(&[top, right, left, top], INK.stroke_width(2))?;
    canvas.text("performance", (top.0, top.1 - 16.0), 17.0, HPos::Center, INK)?;
    canvas.text("efficiency", (right.0 - 10.0, right.1 + 22.0), 17.0, HPos::Center, INK)?;
    canvas.text("isolation", (left.0 + 10.0, left.1 + 22.0), 17.0, HPos::Center, INK)
}

fn errors<B: DrawingBackend>(
    canvas: &Canvas<B>,
    entry: &Entry,
    style: ShapeStyle,
) -> Result<(), Box<dyn Error>>
where
    B::ErrorType: 'static,
{
    ends(&entry.scores).iter().try_for_each(|ends| canvas.line(ends, style.stroke_width(3)))
}

fn colour(entry: &Entry) -> RGBColor {
    COLOURS[entry.place % COLOURS.len()]
}

fn style(entry: &Entry) -> ShapeStyle {
    colour(entry).stroke_width(2)
}

/// Frames for a name of this size near a point, and how far away each is.
fn places(point: Point, size: Point) -> impl Iterator<Item = (f64, Frame)> {
    const DIRECTIONS: u32 = 16;
    let distances = [4.0, 12.0, 24.0, 40.0, 60.0];
    distances.into_iter().flat_map(move |distance| {
        (0..DIRECTIONS).map(move |direction| {
            let (y, x) = (std::f64::consts::TAU * f64::from(direction) / f64::from(DIRECTIONS)).sin_cos();
            let middle = (
                point.0 + x * (RADIUS + distance + size.0 / 2.0),
                point.1 + y * (RADIUS + distance + size.1 / 2.0),
            );
            (distance, Frame::around(middle, size))
        })
    })
}

/// A rectangle by two of its corners.
#[derive(Clone, Copy)]
struct Frame {
    from: Point,
    to: Point,
}

impl Frame {
    fn around(middle: Point, (width, height): Point) -> Self {
        let from = (middle.0 - width / 2.0, middle.1 - height / 2.0);
        Self { from, to: (from.0 + width, from.1 + height) }
    }

    fn middle(&self) -> Point {
        ((self.from.0 + self.to.0) / 2.0, (self.from.1 + self.to.1) / 2.0)
    }

    /// The place in it that is nearest to a point.
    fn nearest(&self, point: Point) -> Point {
        (point.0.clamp(self.from.0, self.to.0), point.1.clamp(self.from.1, self.to.1))
    }

    fn overlap(&self, other: &Self) -> f64 {
        let width = self.to.0.min(other.to.0) - self.from.0.max(other.from.0);
        let height = self.to.1.min(other.to.1) - self.from.1.max(other.from.1);
        width.max(0.0) * height.max(0.0)
    }
}

/// Where is drawn, in units of which the picture is [`WIDTH`] wide.
struct Canvas<B: DrawingBackend> {
    area: DrawingArea<B, Shift>,
    scale: f64,
}

impl<B: DrawingBackend> Canvas<B>
where
    B::ErrorType: 'static,
{
    fn pixel(&self, (x, y): Point) -> (i32, i32) {
        ((x * self.scale).round() as i32, (y * self.scale).round() as i32)
    }

    fn scaled(&self, style: ShapeStyle) -> ShapeStyle {
        ShapeStyle { stroke_width: (f64::from(style.stroke_width) * self.scale) as u32, ..style }
    }

    fn line(&self, points: &[Point], style: ShapeStyle) -> Result<(), Box<dyn Error>> {
        let points: Vec<_> = points.iter().map(|&point| self.pixel(point)).collect();
        Ok(self.area.draw(&PathElement::new(points, self.scaled(style)))?)
    }

    /// Ours are filled circles, others open squares and triangles.
    fn marker(&self, point: Point, entry: &Entry, style: ShapeStyle) -> Result<(), Box<dyn Error>> {
        let white = plotters::style::colors::WHITE;
        if entry.is_ours {
            let radius = |more: f64| ((RADIUS + more) * self.scale) as i32;
            self.area.draw(&Circle::new(self.pixel(point), radius(1.5), white.filled()))?;
            return Ok(self.area.draw(&Circle::new(self.pixel(point), radius(0.0), style.filled()))?);
        }
        let (x, y) = point;
        let corners: Vec<Point> = match entry.name {
            "native" | "unshare" => vec![(x, y - RADIUS), (x + RADIUS, y + RADIUS), (x - RADIUS, y + RADIUS)],
            "bwrap" => vec![
                (x, y - RADIUS - 1.0),
                (x + RADIUS + 1.0, y),
                (x, y + RADIUS + 1.0),
                (x - RADIUS - 1.0, y),
            ],
            _ => {
                let (from, to) = (self.pixel((x - RADIUS, y - RADIUS)), self.pixel((x + RADIUS, y + RADIUS)));
                self.area.draw(&Rectangle::new([from, to], white.filled()))?;
                vec![
                    (x - RADIUS, y - RADIUS),
                    (x + RADIUS, y - RADIUS),
                    (x + RADIUS, y + RADIUS),
                    (x - RADIUS, y + RADIUS),
                ]
            }
        };
        let pixels: Vec<_> = corners.iter().map(|&corner| self.pixel(corner)).collect();
        self.area.draw(&Polygon::new(pixels, white.filled()))?;
        let closed: Vec<Point> = corners.iter().chain(&corners[..1]).copied().collect();
        self.line(&closed, style)
    }

    fn style(&self, size: f64) -> TextStyle<'static> {
        TextStyle::from(("sans-serif", size * self.scale).into_font())
    }

    fn text(
        &self,
        text: &str,
        at: Point,
        size: f64,
        to: HPos,
        colour: RGBColor,
    ) -> Result<(), Box<dyn Error>> {
        let style = self.style(size).color(&colour).pos(Pos::new(to, VPos::Center));
        Ok(self.area.draw(&Text::new(text.to_owned(), self.pixel(at), style))?)
    }

    fn width(&self, text: &str, size: f64) -> Result<f64, Box<dyn Error>> {
        let (width, _) = self.area.estimate_text_size(text, &self.style(size))?;
        Ok(f64::from(width) / self.scale)
    }
}

/// The same picture, with the mean of so many pixels for each.
fn smoothed(pixels: &[u8]) -> Vec<u8> {
    let (width, times) = (WIDTH as usize, OVERSAMPLING as usize);
    let mut small = Vec::with_capacity(pixels.len() / (times * times));
    for y in 0..HEIGHT as usize {
        for x in 0..width {
            for colour in 0..3 {
                let row = |dy: usize| ((y * times + dy) * width * times + x * times) * 3 + colour;
                let sum: usize = (0..times)
                    .flat_map(|dy| (0..times).map(move |dx| row(dy) + dx * 3))
                    .map(|at| usize::from(pixels[at]))
                    .sum();
                small.push((sum / (times * times)) as u8);
            }
        }
    }
    small
}
