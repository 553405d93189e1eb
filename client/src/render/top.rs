//! The live ranking, as text and drawn in place on a terminal.

use std::time::Duration;

use kol_common::Millis;
use kol_common::redis::ranking::Ranked;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Row, Table as Widget};

use super::{Table, age};
use crate::print::visible;

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

fn cells(row: &Ranked) -> [String; 8] {
    let updated = row.updated.map_or_else(String::new, |at| {
        format!("{} ago", age(Millis::now().since(at).0))
    });
    [
        row.place.to_string(),
        row.kol.clone(),
        format!("{:.2}", row.score),
        row.label.clone(),
        row.velocity.clone(),
        row.momentum.clone(),
        row.engagement.clone(),
        updated,
    ]
}

fn color(label: &str) -> Color {
    match label {
        "Viral" => Color::Red,
        "Hot" => Color::LightRed,
        "Warm" => Color::Yellow,
        "Normal" => Color::Green,
        _ => Color::Blue,
    }
}

/// The ranking as aligned lines without color, for pipes and files.
pub fn table(rows: &[Ranked]) -> String {
    if rows.is_empty() {
        return "The ranking is empty.\n".into();
    }
    let mut table = Table::new(&HEADINGS);
    for row in rows {
        table.row(cells(row));
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
    pub fn draw(&mut self, title: &str, rows: &[Ranked]) -> std::io::Result<()> {
        self.terminal.draw(|frame| {
            let layout = Layout::vertical([Constraint::Length(2), Constraint::Min(1)]);
            let [head, body] = layout.areas(frame.area());
            frame.render_widget(
                Line::from(format!("{}   (q ends)", visible(title))).bold(),
                head,
            );
            let cells = rows.iter().map(|row| {
                let style = Style::new().fg(color(&row.label));
                let shown = cells(row).map(|cell| Cell::from(visible(&cell).into_owned()));
                Row::new(shown).style(style)
            });
            let widths = [5, 26, 8, 8, 12, 9, 12, 12].map(Constraint::Length);
            let heading = Row::new(HEADINGS.map(Cell::from)).bold();
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
        let row = Ranked {
            place: 1,
            kol: "creator_000003".into(),
            score: 84.127_56,
            label: "Viral".into(),
            velocity: "23.77".into(),
            momentum: "-0.68".into(),
            engagement: "34233".into(),
            ..Ranked::default()
        };
        let text = table(&[row]);
        assert!(text.contains("creator_000003  84.13  Viral"), "{text}");
        assert_eq!(table(&[]), "The ranking is empty.\n");
    }
}
