//! Lines over a logarithmic axis, as SVG.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

/// A line: its name, and points in the order of their first coordinate.
pub type Line = (&'static str, Vec<(f64, f64)>);

const SIZE: (u32, u32) = (640, 400);
const COLOURS: [RGBColor; 3] = [
    RGBColor(0, 90, 160),
    RGBColor(190, 90, 0),
    RGBColor(90, 90, 90),
];

/// Draws lines from 0 up.
///
/// # Errors
/// The file cannot be written.
pub fn draw(
    file: &Path,
    title: &str,
    axes: [&str; 2],
    lines: &[Line],
) -> Result<(), Box<dyn Error>> {
    let points = || lines.iter().flat_map(|(_, points)| points);
    let least = points().map(|(x, _)| *x).fold(f64::INFINITY, f64::min);
    let most = points().map(|(x, _)| *x).fold(0.0, f64::max);
    let highest = points().map(|(_, y)| *y).fold(0.0, f64::max);
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d((least..most * 1.01).log_scale(), 0.0..highest * 1.15)?;
    let [x, y] = axes;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc(x)
        .y_desc(y)
        .draw()?;
    for ((name, points), colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let style = ShapeStyle::from(colour).stroke_width(2);
        chart
            .draw_series(LineSeries::new(points.iter().copied(), style))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        let dots = points
            .iter()
            .map(|point| Circle::new(*point, 3, colour.filled()));
        chart.draw_series(dots)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .border_style(BLACK.mix(0.3))
        .background_style(WHITE)
        .draw()?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_has_its_title_its_axes_and_the_names_of_its_lines() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plot.svg");
        let lines = [
            ("ours", vec![(1_000.0, 5.0), (1e6, 9.0)]),
            ("bare", vec![(1_000.0, 2.0)]),
        ];
        draw(&file, "Growth", ["creators", "ns an event"], &lines).unwrap();
        let text = std::fs::read_to_string(file).unwrap();
        for wanted in [
            "Growth",
            "creators",
            "ns an event",
            "ours",
            "bare",
            "<polyline",
        ] {
            assert!(text.contains(wanted), "{wanted}");
        }
    }
}
