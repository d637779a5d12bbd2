//! The chart: a year on three axes, and the hours of the storm, as one SVG that works on light and dark ground. Pure.

use chrono::{DateTime, TimeDelta, Utc};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::books::{Books, Day, SLICE};

/// Its size.
const SIZE: (u32, u32) = (1200, 1000);
/// Text in the colour of the ground is not seen: these stand for what the style sheet says.
const GROUND: RGBColor = RGBColor(255, 255, 255);
const INK: RGBColor = RGBColor(31, 41, 55);
const GRID: RGBColor = RGBColor(229, 231, 235);
const FAINT: RGBColor = RGBColor(107, 114, 128);
const OPEN: RGBColor = RGBColor(37, 99, 235);
const FILED: RGBColor = RGBColor(13, 148, 136);
const BREACHED: RGBColor = RGBColor(220, 38, 38);
/// The same on dark ground, by how the library writes them.
const DARK: &[(RGBColor, &str)] = &[
    (GROUND, "#0f172a"),
    (INK, "#e5e7eb"),
    (GRID, "#263245"),
    (FAINT, "#9ca3af"),
    (OPEN, "#60a5fa"),
    (FILED, "#2dd4bf"),
    (BREACHED, "#f87171"),
];
/// Above so many times the third largest day a day is cut, so that it does not flatten all others.
const FAR: u32 = 2;

/// The grid and the labels of a chart.
macro_rules! mesh {
    ($chart:expr, $labels:expr, $label:expr) => {
        $chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(GRID)
            .x_labels($labels)
            .y_labels(4)
            .x_label_formatter(&$label)
            .y_label_formatter(&|value| thousands(whole(*value)))
            .label_style(font(13, FAINT))
            .draw()
            .map_err(said)?
    };
}
/// From so many days on columns stand close: gaps of part of a pixel would be seen here and not there.
const CLOSE: i64 = 100;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), String>;

/// A series of days, one value each.
struct Series {
    title: &'static str,
    colour: RGBColor,
    values: Vec<u32>,
}

/// Draws the books of a simulation; `title` is said at the top.
pub fn draw(
    books: &Books,
    from: DateTime<Utc>,
    storm: Option<DateTime<Utc>>,
    title: &str,
) -> Result<String, String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&GROUND).map_err(said)?;
        let (head, rest) = root.split_vertically(64);
        headline(
            &head,
            title,
            "requests by day, UTC; a day that stands far out is cut off, and its value written beside it",
        )?;
        if let Some(storm) = storm {
            let (year, gale) = rest.split_vertically(620);
            of_year(&year, books, from)?;
            of_storm(&gale, books, storm)?;
        } else {
            of_year(&rest, books, from)?;
        }
        root.present().map_err(said)?;
    }
    Ok(dressed(&svg))
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn font(size: u32, colour: RGBColor) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&colour)
}

fn headline(area: &Area<'_>, title: &str, subtitle: &str) -> Drawn {
    area.draw(&Text::new(title.to_owned(), (24, 14), font(22, INK)))
        .map_err(said)?;
    area.draw(&Text::new(subtitle.to_owned(), (24, 42), font(14, FAINT)))
        .map_err(said)
}

/// The axes of the year, one below the other.
fn of_year(area: &Area<'_>, books: &Books, from: DateTime<Utc>) -> Drawn {
    let series = |title, colour, value: fn(&Day) -> u32| Series {
        title,
        colour,
        values: books.days.iter().map(value).collect(),
    };
    let all = [
        series("open, at most", OPEN, |day| day.open),
        series("filed", FILED, |day| day.filed),
        series("promises broken", BREACHED, |day| day.breached),
    ];
    for (panel, series) in area.split_evenly((3, 1)).iter().zip(&all) {
        of_days(panel, series, from)?;
    }
    Ok(())
}

/// One axis of the year: a column for each day.
fn of_days(area: &Area<'_>, series: &Series, from: DateTime<Utc>) -> Drawn {
    let days = i64::try_from(series.values.len()).unwrap_or_default();
    let top = top(&series.values);
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .margin_right(28)
        .set_label_area_size(LabelAreaPosition::Left, 64)
        .set_label_area_size(LabelAreaPosition::Bottom, 26)
        .build_cartesian_2d(from..from + TimeDelta::days(days), 0.0..top)
        .map_err(said)?;
    let labels = series.values.len().clamp(1, 13);
    mesh!(chart, labels, |at: &DateTime<Utc>| at
        .format("%-d %b")
        .to_string());
    let column = |(place, value): (i64, &u32)| {
        let (left, right) = (from + TimeDelta::days(place), from + TimeDelta::days(place + 1));
        let gap = if days > CLOSE {
            TimeDelta::zero()
        } else {
            (right - left) / 12
        };
        Rectangle::new(
            [(left + gap, 0.0), (right - gap, f64::from(*value).min(top))],
            series.colour.filled(),
        )
    };
    chart
        .draw_series((0..).zip(&series.values).map(column))
        .map_err(said)?;
    let cut = (0..)
        .zip(&series.values)
        .filter(|(_, value)| f64::from(**value) > top);
    let beside = cut.map(|(place, value): (i64, &u32)| {
        let is_late = place > days * 4 / 5;
        let at = from + TimeDelta::days(if is_late { place } else { place + 1 });
        let anchor = Pos::new(if is_late { HPos::Right } else { HPos::Left }, VPos::Top);
        let label = format!(" {} ↑ ", thousands(u64::from(*value)));
        Text::new(label, (at, top), font(14, series.colour).pos(anchor))
    });
    chart.draw_series(beside).map_err(said)?;
    area.draw(&Text::new(
        series.title.to_owned(),
        (76, 0),
        font(15, series.colour),
    ))
    .map_err(said)
}

/// The hours around the storm: what is open as an area, what is filed as a line.
fn of_storm(area: &Area<'_>, books: &Books, storm: DateTime<Utc>) -> Drawn {
    let begin = storm - TimeDelta::hours(1);
    let at = |place: i32| begin + SLICE * place;
    let slices = i32::try_from(books.slices.len()).unwrap_or_default();
    let most = books
        .slices
        .iter()
        .map(|slice| slice.open.max(slice.filed))
        .max()
        .unwrap_or_default();
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .margin_right(28)
        .margin_top(34)
        .set_label_area_size(LabelAreaPosition::Left, 64)
        .set_label_area_size(LabelAreaPosition::Bottom, 26)
        .build_cartesian_2d(begin..at(slices), 0.0..f64::from(most.max(1)) * 1.08)
        .map_err(said)?;
    mesh!(chart, 13, |at: &DateTime<Utc>| at.format("%H:%M").to_string());
    let open = (0..)
        .zip(&books.slices)
        .map(|(place, slice)| (at(place + 1), f64::from(slice.open)));
    chart
        .draw_series(AreaSeries::new(open, 0.0, OPEN.mix(0.18)).border_style(OPEN.stroke_width(2)))
        .map_err(said)?;
    let filed = (0..)
        .zip(&books.slices)
        .map(|(place, slice)| (at(place + 1), f64::from(slice.filed)));
    chart
        .draw_series(LineSeries::new(filed, FILED.stroke_width(2)))
        .map_err(said)?;
    let day = storm.format("the storm of %-d %B %Y, in steps of five minutes:");
    area.draw(&Text::new(day.to_string(), (76, 12), font(15, INK)))
        .map_err(said)?;
    area.draw(&Text::new("open", (430, 12), font(15, OPEN)))
        .map_err(said)?;
    area.draw(&Text::new("filed", (480, 12), font(15, FILED)))
        .map_err(said)
}

/// Where the axis ends: a little above the largest day of those that do not stand far out.
fn top(values: &[u32]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(|one, other| other.cmp(one));
    let usual = sorted.get(2).copied().unwrap_or_default().max(4);
    let is_near = |value: &u32| *value <= usual.saturating_mul(FAR);
    let most = sorted.into_iter().find(is_near).unwrap_or_default().max(4);
    f64::from(most) * 1.08
}

/// With commas between the thousands.
fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut said = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            said.push(',');
        }
        said.push(digit);
    }
    said
}

/// The whole number next to a value that is none below zero.
fn whole(value: f64) -> u64 {
    std::time::Duration::try_from_secs_f64(value.max(0.0) + 0.5).map_or(0, |seconds| seconds.as_secs())
}

/// A count as a real number; exact below four thousand millions.
pub fn real(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

/// The same with a style sheet that turns the colours where the reader's ground is dark.
fn dressed(svg: &str) -> String {
    let mut rules = String::new();
    for (RGBColor(red, green, blue), dark) in DARK {
        let light = format!("#{red:02X}{green:02X}{blue:02X}");
        for (attribute, property) in [("fill", "fill"), ("stroke", "stroke")] {
            rules.push_str(&format!("[{attribute}=\"{light}\"]{{{property}:{dark}}}"));
        }
    }
    let style = format!(
        "<style>text{{font-family:system-ui,-apple-system,\"Segoe UI\",sans-serif}}\
         @media(prefers-color-scheme:dark){{{rules}}}</style>"
    );
    match svg.split_once('>') {
        Some((opening, rest)) => format!("{opening}>\n{style}{rest}"),
        None => svg.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_days_that_stand_out_do_not_flatten_the_others() {
        for (values, expected) in [
            (vec![], 4.32),
            (vec![10, 50, 48, 40], 54.0),
            (vec![10, 20_000, 48, 40], 51.84),
            (vec![0, 300, 0], 4.32),
            (vec![7, 65, 6, 3], 7.56),
        ] {
            assert!(
                (top(&values) - expected).abs() < 1e-9,
                "{values:?}: {}",
                top(&values)
            );
        }
    }

    #[test]
    fn numbers_are_said_as_people_write_them() {
        for (value, said) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(value), said);
        }
        assert_eq!((whole(2.4), whole(2.6), whole(-1.0)), (2, 3, 0));
    }

    #[test]
    fn the_chart_has_what_was_seen_and_a_dress_for_the_night() {
        let from: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
        let storm = from + TimeDelta::hours(60);
        let mut books = Books::new(from, 9, 1, Some(storm));
        for hour in 0..200 {
            books.filed(from + TimeDelta::hours(hour));
        }
        for _ in 0..5_000 {
            books.filed(storm);
        }
        books.open(storm, 4_321);
        let svg = draw(&books, from, Some(storm), "A year").unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        for word in [
            "A year",
            "open, at most",
            "filed",
            "promises broken",
            "prefers-color-scheme",
            "5,024",
            "the storm of 3 January 2026",
        ] {
            assert!(svg.contains(word), "{word}");
        }
        let calm = draw(&Books::new(from, 9, 1, None), from, None, "A year").unwrap();
        assert!(!calm.contains("the storm"), "nothing is said of what was not");
    }
}
