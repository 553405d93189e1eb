//! The live ranking, as text and on a terminal.

use std::time::Duration;

use kol_common::Millis;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Row as Cells, Table as Widget};

use super::{Table, age};

/// A creator in the ranking.
#[derive(Clone, Debug)]
pub struct Row {
    /// From 1.
    pub place: usize,
    /// Name.
    pub kol: String,
    /// Not rounded.
    pub score: f64,
    /// Label.
    pub label: String,
    /// Engagements a minute.
    pub velocity: String,
    /// Momentum.
    pub momentum: String,
    /// Engagements in the window.
    pub engagement: String,
    /// When Redis was last told.
    pub updated: Option<Millis>,
}

const HEADINGS: [&str; 8] = [
    "RANK",
    "KOL",
    "SCORE",
    "LABEL",
    "VELOCITY",
    "MOMENTUM",
    "ENGAGEMENT",
    "UPDATED",
];

impl Row {
    fn cells(&self) -> [String; 8] {
        let updated = self.updated.map_or_else(String::new, |at| {
            format!("{} ago", age(Millis::now().since(at).0))
        });
        [
            self.place.to_string(),
            self.kol.clone(),
            format!("{:.2}", self.score),
            self.label.clone(),
            self.velocity.clone(),
            self.momentum.clone(),
            self.engagement.clone(),
            updated,
        ]
    }

    fn color(&self) -> Color {
        match self.label.as_str() {
            "Viral" => Color::Red,
            "Hot" => Color::LightRed,
            "Warm" => Color::Yellow,
            "Normal" => Color::Green,
            _ => Color::Blue,
        }
    }
}

/// Plain lines.
pub fn table(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "The ranking is empty.\n".into();
    }
    let mut table = Table::new(&HEADINGS);
    for row in rows {
        table.row(row.cells());
    }
    table.render()
}

/// A terminal that is drawn in place, and restored when this is dropped.
#[derive(Debug)]
pub struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// It cannot be taken.
    pub fn open() -> std::io::Result<Self> {
        Ok(Self {
            terminal: ratatui::try_init()?,
        })
    }

    /// Draws the ranking.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn draw(&mut self, title: &str, rows: &[Row]) -> std::io::Result<()> {
        self.terminal.draw(|frame| {
            let layout = Layout::vertical([Constraint::Length(2), Constraint::Min(1)]);
            let [head, body] = layout.areas(frame.area());
            frame.render_widget(Line::from(format!("{title}   (q ends)")).bold(), head);
            let cells = rows.iter().map(|row| {
                Cells::new(row.cells().map(Cell::from)).style(Style::new().fg(row.color()))
            });
            let widths = [5, 26, 8, 8, 12, 9, 12, 12].map(Constraint::Length);
            let heading = Cells::new(HEADINGS.map(Cell::from)).bold();
            frame.render_widget(Widget::new(cells, widths).header(heading), body);
        })?;
        Ok(())
    }

    /// Waits for the next time to draw; true when the person wants to end.
    ///
    /// # Errors
    /// The terminal is gone.
    pub async fn wait_or_quit(&mut self, wait: Duration) -> std::io::Result<bool> {
        let polled = tokio::task::spawn_blocking(move || -> std::io::Result<bool> {
            if !event::poll(wait)? {
                return Ok(false);
            }
            let Event::Key(key) = event::read()? else {
                return Ok(false);
            };
            let interrupted =
                key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
            Ok(interrupted || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc))
        });
        polled.await.unwrap_or(Ok(true))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ranking_reads_from_the_top_with_two_decimals() {
        let row = Row {
            place: 1,
            kol: "creator_000003".into(),
            score: 84.127_56,
            label: "Viral".into(),
            velocity: "23.77".into(),
            momentum: "-0.68".into(),
            engagement: "34233".into(),
            updated: None,
        };
        let text = table(&[row]);
        assert!(text.contains("creator_000003  84.13  Viral"), "{text}");
        assert_eq!(table(&[]), "The ranking is empty.\n");
    }
}
