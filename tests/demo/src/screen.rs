//! What a person sees: drawn in place on a terminal, line by line elsewhere.

use std::io::IsTerminal as _;
use std::time::Duration;

use kol_client::render::{Table, grouped};
use kol_common::redis::ranking::Ranked;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::style::Stylize as _;
use ratatui::text::{Line, Text};
use ratatui::widgets::Paragraph;

/// Everything that is on the screen at one moment.
pub(super) struct Frame {
    /// Since the live part began.
    pub(super) elapsed: Duration,
    /// Events a second that were read.
    pub(super) rate: u64,
    /// Records not read yet.
    pub(super) lag: u64,
    /// The master does not answer: neither of them is known.
    pub(super) is_silent: bool,
    /// Age of the newest event when it appears in Redis.
    pub(super) latency: Option<u64>,
    /// `executor-0 32 partitions`.
    pub(super) executors: Vec<String>,
    /// State of the job and why.
    pub(super) state: String,
    /// Creators in the ranking.
    pub(super) size: u64,
    /// The upper end of the ranking.
    pub(super) rows: Vec<Ranked>,
    /// The creator whose video goes viral.
    pub(super) followed: Option<Ranked>,
    /// What happened last.
    pub(super) messages: Vec<String>,
}

/// What a person wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Kill an executor.
    Kill,
    /// Kill the master.
    KillMaster,
    /// Start one more executor.
    Add,
    /// Delete everything in Redis.
    Empty,
    /// Compare, say goodbye and end.
    Quit,
    /// End at once.
    Interrupt,
}

/// Where it is shown.
pub(super) enum Screen {
    /// Redrawn in place.
    Terminal(Box<DefaultTerminal>),
    /// A line now and then.
    Lines,
}

impl Screen {
    /// Takes the terminal when there is one.
    pub(super) fn open() -> std::io::Result<Self> {
        let interactive = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
        if interactive {
            return Ok(Self::Terminal(Box::new(ratatui::try_init()?)));
        }
        Ok(Self::Lines)
    }

    /// How often it is worth showing something.
    pub(super) fn interval(&self) -> Duration {
        match self {
            Self::Terminal(_) => Duration::from_millis(250),
            Self::Lines => Duration::from_secs(2),
        }
    }

    /// Shows a moment.
    pub(super) fn show(&mut self, frame: &Frame) -> std::io::Result<()> {
        match self {
            Self::Terminal(terminal) => {
                let text = page(frame);
                terminal.draw(|area| area.render_widget(Paragraph::new(text), area.area()))?;
            }
            Self::Lines => println!("{}", summary(frame)),
        }
        Ok(())
    }

    /// Shows what happened; on a terminal it is part of every frame.
    pub(super) fn tell(&self, text: &str) {
        if matches!(self, Self::Lines) {
            println!("{text}");
        }
    }

    /// Waits for a wish, at most so long.
    pub(super) fn wait(&self, limit: Duration) -> std::io::Result<Option<Wish>> {
        if matches!(self, Self::Lines) {
            std::thread::sleep(limit);
            return Ok(None);
        }
        if !event::poll(limit)? {
            return Ok(None);
        }
        let Event::Key(key) = event::read()? else {
            return Ok(None);
        };
        Ok(match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                Some(Wish::Interrupt)
            }
            KeyCode::Char('k') => Some(Wish::Kill),
            KeyCode::Char('m') => Some(Wish::KillMaster),
            KeyCode::Char('a') => Some(Wish::Add),
            KeyCode::Char('e') => Some(Wish::Empty),
            KeyCode::Char('q') | KeyCode::Esc => Some(Wish::Quit),
            _ => None,
        })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if matches!(self, Self::Terminal(_)) {
            ratatui::restore();
        }
    }
}

/// The old job read counters under names that its producers did not use: everybody had no engagement
/// at all, which its formula turns into this.
pub(super) const OLD_JOB: f64 = 19.15;

/// The ranking beside what the old job would have shown.
pub(super) fn ranking(rows: &[Ranked]) -> String {
    let mut table = Table::new(&[
        "RANK",
        "KOL",
        "SCORE",
        "LABEL",
        "PER MINUTE",
        "EVENTS",
        "OLD JOB",
    ]);
    for row in rows {
        table.row([
            row.place.to_string(),
            row.kol.clone(),
            format!("{:.2}", row.score),
            row.label.clone(),
            row.velocity.clone(),
            row.events.clone(),
            format!("{OLD_JOB:.2}"),
        ]);
    }
    table.render()
}

fn summary(frame: &Frame) -> String {
    let latency = frame
        .latency
        .map_or_else(String::new, |ms| format!(", Redis {ms} ms behind"));
    let followed = frame.followed.as_ref().map_or_else(String::new, |row| {
        format!(
            "; {} is number {} of {} ({:.2} {}, old job {OLD_JOB:.2})",
            row.kol,
            grouped(row.place),
            grouped(frame.size),
            row.score,
            row.label
        )
    });
    let leader = frame.rows.first().map_or_else(String::new, |row| {
        format!("; first: {} {:.2}", row.kol, row.score)
    });
    let reading = if frame.is_silent {
        "kol-master does not answer".to_owned()
    } else {
        format!(
            "{} events/s, lag {}",
            grouped(frame.rate),
            grouped(frame.lag)
        )
    };
    format!(
        "{:>4} s  {reading}{latency}{followed}{leader}",
        frame.elapsed.as_secs()
    )
}

fn page(frame: &Frame) -> Text<'static> {
    let latency = frame
        .latency
        .map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms"));
    let (reading, state) = if frame.is_silent {
        ("kol-master does not answer".to_owned(), "")
    } else {
        let (rate, lag) = (grouped(frame.rate), grouped(frame.lag));
        let reading = format!("{rate} events/s   lag {lag} records");
        (reading, frame.state.as_str())
    };
    let mut lines = vec![
        Line::from("Who is trending on TikTok right now").bold(),
        Line::from(format!(
            "{reading}   an event is in Redis after {latency}   {state}"
        )),
        Line::from(frame.executors.join("   ")),
        Line::default(),
    ];
    let followed = frame.followed.as_ref();
    for (number, text) in ranking(&frame.rows).lines().enumerate() {
        let line = Line::from(text.to_owned());
        let row = number.checked_sub(1).and_then(|n| frame.rows.get(n));
        lines.push(match row {
            None => line.bold(),
            Some(row) if followed.is_some_and(|f| f.kol == row.kol) => line.light_magenta().bold(),
            Some(row) => match row.label.as_str() {
                "Viral" => line.red(),
                "Hot" => line.light_red(),
                "Warm" => line.yellow(),
                "Normal" => line.green(),
                _ => line.blue(),
            },
        });
    }
    if let Some(row) = followed {
        let text = format!(
            "a video of {} goes viral: number {} of {}, {:.2} {} (the old job: {OLD_JOB:.2}, like everybody)",
            row.kol,
            grouped(row.place),
            grouped(frame.size),
            row.score,
            row.label
        );
        lines.extend([Line::default(), Line::from(text).light_magenta().bold()]);
    }
    lines.push(Line::default());
    lines.extend(frame.messages.iter().map(|m| Line::from(m.clone())));
    lines.push(Line::default());
    lines.push(
        Line::from(
            "k kills an executor   a adds one   m kills the master   e empties Redis   q ends",
        )
        .dim(),
    );
    Text::from(lines)
}

#[cfg(test)]
mod tests {
    use kol_common::job::{Counters, Profile, ScoringSpec};
    use kol_common::scoring::{Scoring, Sums};

    use super::*;

    #[test]
    fn the_old_jobs_score_is_its_formula_without_any_engagement() {
        let spec = ScoringSpec::defaults(Profile::SparkCompat, Counters::Delta);
        let score = Scoring::new(&spec).score(&Sums::default(), 0.0).score;
        assert!((score - OLD_JOB).abs() < 0.005, "{score}");
    }
}
