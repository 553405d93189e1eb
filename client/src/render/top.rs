//! The live ranking, as text and drawn in place on a terminal.

use std::time::Duration;

use kol_common::Millis;
use kol_common::actor::Group;
use kol_common::redis::ranking::Ranked;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Paragraph, Row, Table as Widget, Wrap};
use ratatui::{DefaultTerminal, Frame};
use tokio::sync::mpsc;

use super::{Table, age};
use crate::print::visible;

/// How long the thread that reads keys may outlive those who want them.
const LOOK: Duration = Duration::from_millis(200);
/// Keys that may wait.
const WAITING: usize = 16;

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
    let mut table = Table::new(&HEADINGS);
    for row in rows {
        table.row(cells(row));
    }
    table.render()
}

/// What is drawn on a terminal.
#[derive(Debug)]
pub struct Drawn<'a> {
    /// Lines above the ranking.
    pub head: Vec<String>,
    /// Rows, as many as fit.
    pub rows: &'a [Ranked],
    /// What stands in place of rows where there are none.
    pub instead: String,
}

/// A key that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Show something else.
    Move(Move),
    /// Draw again: the terminal has another size.
    Redraw,
    /// The person wants to end.
    Quit,
}

/// What to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// As many rows up as there are on the terminal.
    PageUp,
    /// As many rows down.
    PageDown,
    /// The best creators.
    First,
    /// The last that were read.
    Last,
    /// The next platform.
    NextPlatform,
    /// The platform before.
    PreviousPlatform,
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

    /// Draws, and answers how many rows there is room for.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn draw(&mut self, drawn: &Drawn<'_>) -> std::io::Result<usize> {
        let mut room = 0;
        self.terminal.draw(|frame| room = draw(frame, drawn))?;
        Ok(room)
    }

    /// The keys that are pressed, until nobody wants them.
    pub fn keys(&self, tasks: &Group) -> mpsc::Receiver<Key> {
        let (pressed, keys) = mpsc::channel(WAITING);
        let _runs_by_itself = tasks.spawn("keys", async move {
            // A terminal that is gone closes the channel, which ends the command.
            let _gone = tokio::task::spawn_blocking(move || read_keys(&pressed)).await;
            Ok(())
        });
        keys
    }
}

fn read_keys(pressed: &mpsc::Sender<Key>) -> std::io::Result<()> {
    while !pressed.is_closed() {
        if !event::poll(LOOK)? {
            continue;
        }
        let key = match event::read()? {
            Event::Key(key) => meaning(key),
            Event::Resize(..) => Some(Key::Redraw),
            _ => None,
        };
        if key.is_some_and(|key| pressed.blocking_send(key).is_err()) {
            break;
        }
    }
    Ok(())
}

fn meaning(key: KeyEvent) -> Option<Key> {
    let key = match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Key::Quit,
        KeyCode::Char('q') | KeyCode::Esc => Key::Quit,
        KeyCode::Up | KeyCode::Char('k') => Key::Move(Move::Up),
        KeyCode::Down | KeyCode::Char('j') => Key::Move(Move::Down),
        KeyCode::PageUp => Key::Move(Move::PageUp),
        KeyCode::PageDown | KeyCode::Char(' ') => Key::Move(Move::PageDown),
        KeyCode::Home => Key::Move(Move::First),
        KeyCode::End => Key::Move(Move::Last),
        KeyCode::Tab | KeyCode::Right => Key::Move(Move::NextPlatform),
        KeyCode::BackTab | KeyCode::Left => Key::Move(Move::PreviousPlatform),
        _ => return None,
    };
    Some(key)
}

/// Draws on a frame, and answers how many rows there is room for.
fn draw(frame: &mut Frame<'_>, drawn: &Drawn<'_>) -> usize {
    let lines = drawn.head.iter().enumerate().map(|(number, line)| {
        let line = Line::from(visible(line).into_owned());
        if number == 0 { line.bold() } else { line }
    });
    let lines: Vec<Line<'_>> = lines.collect();
    let wide = usize::from(frame.area().width).max(1);
    let height: usize = lines.iter().map(|line| lines_of(line.width(), wide)).sum();
    // A long problem takes several lines, but leaves room for the ranking.
    let height = u16::try_from(height)
        .unwrap_or(u16::MAX)
        .min(frame.area().height / 2);
    let head = Paragraph::new(lines).wrap(Wrap { trim: false });
    let layout = Layout::vertical([Constraint::Length(height + 1), Constraint::Min(1)]);
    let [above, body] = layout.areas(frame.area());
    frame.render_widget(head, above);
    if drawn.rows.is_empty() {
        let instead = Paragraph::new(visible(&drawn.instead).into_owned());
        frame.render_widget(instead.wrap(Wrap { trim: false }), body);
    } else {
        let cells = drawn.rows.iter().map(|row| {
            let style = Style::new().fg(color(&row.label));
            let shown = cells(row).map(|cell| Cell::from(visible(&cell).into_owned()));
            Row::new(shown).style(style)
        });
        let widths = [5, 26, 8, 8, 12, 9, 12, 12].map(Constraint::Length);
        let heading = Row::new(HEADINGS.map(Cell::from)).bold();
        frame.render_widget(Widget::new(cells, widths).header(heading), body);
    }
    usize::from(body.height.saturating_sub(1))
}

/// How many lines a text takes on a terminal, at most: words that do not fit leave the end of a line free.
fn lines_of(text: usize, wide: usize) -> usize {
    if text <= wide {
        return 1;
    }
    1 + (text * 5).div_ceil(wide * 4)
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    fn row(place: u64) -> Ranked {
        Ranked {
            place,
            kol: format!("creator_{place:06}"),
            score: 84.127_56,
            label: "Viral".into(),
            velocity: "23.77".into(),
            momentum: "-0.68".into(),
            engagement: "34233".into(),
            ..Ranked::default()
        }
    }

    /// What stands on a terminal, and how many rows there is room for.
    fn drawn(head: &[&str], rows: &[Ranked], instead: &str) -> (String, usize) {
        let mut terminal = Terminal::new(TestBackend::new(100, 10)).unwrap();
        let drawn = Drawn {
            head: head.iter().map(|line| (*line).to_owned()).collect(),
            rows,
            instead: instead.into(),
        };
        let mut room = 0;
        terminal.draw(|frame| room = draw(frame, &drawn)).unwrap();
        (terminal.backend().to_string(), room)
    }

    #[test]
    fn the_ranking_reads_from_the_top_with_two_decimals() {
        let text = table(&[row(3)]);
        assert!(text.contains("creator_000003  84.13  Viral"), "{text}");
    }

    #[test]
    fn a_terminal_shows_the_head_and_as_many_rows_as_there_is_room_for() {
        let rows: Vec<_> = (1..=20).map(row).collect();
        let (text, room) = drawn(&["kol: running", "trending on tiktok"], &rows, "");
        assert!(
            text.contains("kol: running") && text.contains("creator_000001"),
            "{text}"
        );
        assert_eq!(room, 6);
        assert!(
            text.contains("creator_000006") && !text.contains("creator_000007"),
            "{text}"
        );
        let (text, _) = drawn(&["kol: running"], &[], "The ranking is empty");
        assert!(text.contains("The ranking is empty"), "{text}");
    }

    #[test]
    fn a_long_problem_is_wrapped_and_leaves_room_for_the_ranking() {
        let problem = "x".repeat(2_000);
        let (text, room) = drawn(&["kol: degraded", &problem], &[row(1)], "");
        assert!(text.contains("creator_000001"), "{text}");
        assert!(room >= 1);
    }

    #[test]
    fn keys_mean_what_they_mean_elsewhere() {
        let of = |code| meaning(KeyEvent::new(code, KeyModifiers::NONE));
        assert_eq!(of(KeyCode::Tab), Some(Key::Move(Move::NextPlatform)));
        assert_eq!(
            of(KeyCode::BackTab),
            Some(Key::Move(Move::PreviousPlatform))
        );
        assert_eq!(of(KeyCode::PageDown), Some(Key::Move(Move::PageDown)));
        assert_eq!(of(KeyCode::Char('q')), Some(Key::Quit));
        assert_eq!(of(KeyCode::Char('c')), None);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(meaning(interrupt), Some(Key::Quit));
    }
}
