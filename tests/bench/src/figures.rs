//! Figures of several rounds: how they are shown, and kept for later.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::machine::Machine;

/// One figure, as often as it was measured.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
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
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Row {
    name: String,
    figures: Vec<(String, Series)>,
}

/// A table of figures, with its heading.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Section {
    name: String,
    about: String,
    rows: Vec<Row>,
}

/// A section, and on what it was measured: sections of one report may be of several runs.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Measured {
    pub(crate) machine: Machine,
    #[serde(flatten)]
    pub(crate) section: Section,
}

/// Everything that was measured.
#[derive(Debug)]
pub struct Report {
    machine: Machine,
    file: PathBuf,
    sections: Vec<Measured>,
}

impl Section {
    /// Without a row.
    pub fn new(name: &str, about: String) -> Self {
        Self {
            name: name.to_owned(),
            about,
            rows: Vec::new(),
        }
    }

    /// Adds what a round measured.
    pub fn note(&mut self, row: &str, figures: &[(&str, f64)]) {
        for (figure, value) in figures {
            self.series(row, figure).0.push(*value);
        }
    }

    /// One figure of a row, as often as it was measured.
    pub fn of(&self, row: &str, figure: &str) -> Option<&Series> {
        let row = self.rows.iter().find(|known| known.name == row)?;
        let found = row.figures.iter().find(|(name, _)| name == figure);
        found.map(|(_, series)| series)
    }

    fn series(&mut self, row: &str, figure: &str) -> &mut Series {
        let at = self.rows.iter().position(|known| known.name == row);
        let at = at.unwrap_or_else(|| {
            self.rows.push(Row {
                name: row.to_owned(),
                figures: Vec::new(),
            });
            self.rows.len() - 1
        });
        let figures = &mut self.rows[at].figures;
        let at = figures.iter().position(|(name, _)| name == figure);
        let at = at.unwrap_or_else(|| {
            figures.push((figure.to_owned(), Series::default()));
            figures.len() - 1
        });
        &mut figures[at].1
    }

    /// What `make bench` calls it, and a mark on a page.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What was measured, in a sentence.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// The names of figures, and a line of texts for each row, its name first: medians, and half of the way from the lowest
    /// to the highest in per cent of them.
    pub fn table(&self) -> Vec<Vec<String>> {
        let mut columns: Vec<&str> = Vec::new();
        for (name, _) in self.rows.iter().flat_map(|row| &row.figures) {
            if !columns.contains(&name.as_str()) {
                columns.push(name);
            }
        }
        let head = std::iter::once("").chain(columns.iter().copied());
        let mut lines = vec![head.map(str::to_owned).collect()];
        for row in &self.rows {
            let cell = |column: &&str| {
                let of = row.figures.iter().find(|(name, _)| name == column);
                of.map_or_else(String::new, |(_, series)| series.text())
            };
            let cells = columns.iter().map(cell);
            lines.push(std::iter::once(row.name.clone()).chain(cells).collect());
        }
        lines
    }

    fn text(&self) -> String {
        let lines = self.table();
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
    /// Of this machine, with what a file has of earlier runs.
    ///
    /// # Panics
    /// The file is there and holds something else.
    pub fn new(machine: Machine, file: PathBuf) -> Self {
        println!("{machine}");
        Self {
            machine,
            sections: read(&file),
            file,
        }
    }

    /// Shows a table and writes it to the file, in place of an earlier one of its name.
    ///
    /// # Panics
    /// The file cannot be written.
    pub fn add(&mut self, section: Section) {
        print!("{}", section.text());
        let measured = Measured {
            machine: self.machine.clone(),
            section,
        };
        let name = measured.section.name();
        match self.sections.iter().position(|m| m.section.name() == name) {
            Some(place) => self.sections[place] = measured,
            None => self.sections.push(measured),
        }
        if let Some(folder) = self.file.parent() {
            std::fs::create_dir_all(folder).expect("a folder for the figures");
        }
        let json = serde_json::to_string_pretty(&self.sections).expect("JSON");
        std::fs::write(&self.file, json + "\n").expect("the figures are written");
    }
}

/// What a file has, in the order of its sections; nothing, if it is not there.
pub(crate) fn read(file: &Path) -> Vec<Measured> {
    match std::fs::read(file) {
        Ok(json) => serde_json::from_slice(&json).expect("figures of an earlier run"),
        Err(_) => Vec::new(),
    }
}

/// With three digits that count, and at most two behind the point.
pub(crate) fn short(value: f64) -> String {
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

    #[test]
    fn a_report_keeps_what_earlier_runs_measured_and_replaces_what_is_measured_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("figures.json");
        for (name, value) in [("drain", 1.0), ("idle", 2.0), ("drain", 3.0)] {
            let mut report = Report::new(Machine::default(), file.clone());
            let mut section = Section::new(name, "one round".into());
            section.note("ours", &[("events/s", value)]);
            report.add(section);
        }
        let kept = read(&file);
        let figures: Vec<_> = kept
            .iter()
            .map(|m| (m.section.name(), m.section.of("ours", "events/s").unwrap()))
            .map(|(name, series)| (name, series.median()))
            .collect();
        assert_eq!(figures, [("drain", 3.0), ("idle", 2.0)]);
    }
}
