//! Text for people: tables and details, as strings, so that tests can read them.

pub mod checkpoint;
pub mod cluster;
pub mod job;
pub mod plan;
pub mod state;
mod table;
pub mod top;

pub use table::Table;

/// Facts, one a line, with their names; those that are empty are left out.
pub fn facts(rows: &[(&str, String)]) -> String {
    let rows = rows.iter().filter(|(_, value)| !value.is_empty());
    let rows: Vec<_> = rows
        .map(|(name, value)| format!("{name:<11} {value}"))
        .collect();
    crate::print::lines(&rows)
}

/// A number with separators: `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The same of one that may not be known.
pub fn known(number: Option<u64>) -> String {
    number.map_or_else(|| "unknown".to_owned(), grouped)
}

/// A length of time in its largest unit that keeps one decimal: `3.2 h`.
pub fn age(ms: u64) -> String {
    let (unit, name) = match ms {
        0..1_000 => return format!("{ms} ms"),
        1_000..60_000 => (1_000, "s"),
        60_000..3_600_000 => (60_000, "min"),
        3_600_000..86_400_000 => (3_600_000, "h"),
        _ => (86_400_000, "d"),
    };
    format!("{:.1} {name}", ms as f64 / unit as f64)
}

/// Bytes in binary units.
pub fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{} KiB", bytes / 1_024),
        1_048_576..1_073_741_824 => format!("{:.0} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_times_and_sizes_read_well() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(
            (age(5), age(90_000), age(90_000_000)),
            ("5 ms".into(), "1.5 min".into(), "1.0 d".into())
        );
        assert_eq!(bytes(3 << 30), "3.0 GiB");
    }
}
