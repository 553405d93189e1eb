//! Figures of several rounds: how they are shown, and kept for later.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use super::machine::Machine;

/// One figure, as often as it was measured.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Series(Vec<f64>);

impl Series {
    /// Middle of the sorted values; the mean of the two in the middle, if there are two.
    pub fn median(&self) -> f64 {
        let sorted = self.sorted();
        let Some(last) = sorted.len().checked_sub(1) else {
            return f64::NAN;
        };
        (sorted[last / 2] + sorted[last.div_ceil(2)]) / 2.0
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    fn text(&self) -> String {
        let sorted = self.sorted();
        match (sorted.first(), sorted.last()) {
            (Some(low), Some(high)) if low < high => {
                let median = self.median();
                let spread = 50.0 * (high - low) / median;
                format!("{} ±{spread:.0}%", short(median))
            }
            _ => short(self.median()),
        }
    }
}

/// What was measured of one thing.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    name: String,
    figures: Vec<(&'static str, Series)>,
}

/// A table of figures, with its heading.
#[derive(Clone, Debug, Serialize)]
pub struct Section {
    name: &'static str,
    about: String,
    rows: Vec<Row>,
}

/// Everything that was measured, and on what.
#[derive(Debug, Serialize)]
pub struct Report {
    machine: Machine,
    sections: Vec<Section>,
}

impl Section {
    /// Without a row.
    pub fn new(name: &'static str, about: String) -> Self {
        Self {
            name,
            about,
            rows: Vec::new(),
        }
    }

    /// Adds what a round measured.
    pub fn note(&mut self, row: &str, figures: &[(&'static str, f64)]) {
        for (figure, value) in figures {
            self.series(row, figure).0.push(*value);
        }
    }

    /// One figure of a row, as often as it was measured.
    pub fn of(&self, row: &str, figure: &str) -> Option<&Series> {
        let row = self.rows.iter().find(|known| known.name == row)?;
        let found = row.figures.iter().find(|(name, _)| *name == figure);
        found.map(|(_, series)| series)
    }

    fn series(&mut self, row: &str, figure: &'static str) -> &mut Series {
        let at = self.rows.iter().position(|known| known.name == row);
        let at = at.unwrap_or_else(|| {
            self.rows.push(Row {
                name: row.to_owned(),
                figures: Vec::new(),
            });
            self.rows.len() - 1
        });
        let figures = &mut self.rows[at].figures;
        let at = figures.iter().position(|(name, _)| *name == figure);
        let at = at.unwrap_or_else(|| {
            figures.push((figure, Series::default()));
            figures.len() - 1
        });
        &mut figures[at].1
    }

    /// Medians, and half of the way from the lowest to the highest in per cent of them.
    fn text(&self) -> String {
        let mut columns: Vec<&str> = Vec::new();
        for (name, _) in self.rows.iter().flat_map(|row| &row.figures) {
            if !columns.contains(name) {
                columns.push(name);
            }
        }
        let mut lines = vec![
            std::iter::once("")
                .chain(columns.iter().copied())
                .map(str::to_owned)
                .collect(),
        ];
        for row in &self.rows {
            let cell = |column: &&str| {
                let of = row.figures.iter().find(|(name, _)| name == column);
                of.map_or_else(String::new, |(_, series)| series.text())
            };
            let cells = columns.iter().map(cell);
            lines.push(
                std::iter::once(row.name.clone())
                    .chain(cells)
                    .collect::<Vec<_>>(),
            );
        }
        let mut text = format!("{}: {}\n", self.name, self.about);
        for line in &lines {
            text.push(' ');
            for (place, cell) in line.iter().enumerate() {
                let widest = lines.iter().map(|line| line[place].chars().count()).max();
                let width = widest.unwrap_or_default();
                // Writing to a String cannot fail.
                let _infallible = match place {
                    0 => write!(text, " {cell:<width$}"),
                    _ => write!(text, "  {cell:>width$}"),
                };
            }
            text.push('\n');
        }
        text
    }
}

impl Report {
    /// Of this machine.
    pub fn new(machine: Machine) -> Self {
        println!("{machine}");
        Self {
            machine,
            sections: Vec::new(),
        }
    }

    /// Shows a table and keeps it.
    pub fn add(&mut self, section: Section) {
        print!("{}", section.text());
        self.sections.push(section);
    }

    /// Writes everything as JSON.
    pub fn write(&self, file: &Path) {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).expect("a folder for the figures");
        }
        let json = serde_json::to_string_pretty(self).expect("JSON");
        std::fs::write(file, json + "\n").expect("the figures are written");
        println!("all figures: {}", file.display());
    }
}

/// With three digits that count, and at most two behind the point.
fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 1e6 => format!("{:.2} M", value / 1e6),
        large if large >= 10_000.0 => format!("{:.0} k", value / 1e3),
        large if large >= 100.0 => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_shows_the_median_of_its_rounds_and_how_far_they_are_apart() {
        let mut section = Section::new("drain", "three rounds".into());
        for value in [180_000.0, 2_000_000.0, 160_000.0] {
            section.note("ours", &[("events/s", value), ("ratio", 0.5)]);
        }
        section.note("bare", &[("events/s", 3.0)]);
        section.note("bare", &[("events/s", 4.0)]);
        assert_eq!(section.of("bare", "events/s").unwrap().median(), 3.5);
        assert!(section.of("bare", "ratio").is_none());
        let text = section.text();
        assert!(text.contains("180 k ±511%   0.50"), "{text}");
        assert!(text.contains("3.50 ±14%"), "{text}");
    }
}
