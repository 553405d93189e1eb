//! Compares instructions with those that are committed: none may become more or fewer unnoticed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::count::{Counted, Failure, count};
use crate::parts::{Counters, Load, Part};

/// How far a figure may be from the one that is committed.
pub const TOLERANCE: f64 = 0.03;

/// The committed figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// The toolchain that they are of.
    toolchain: String,
    /// The kind of processor that they are of.
    processor: String,
    /// Instructions by the meaning of counters and the part.
    #[serde(flatten)]
    instructions: BTreeMap<String, BTreeMap<String, f64>>,
}

/// What came of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All are near.
    Same,
    /// What is not.
    Differs(Vec<String>),
    /// Figures of this machine cannot be compared with those that are committed, and why.
    Incomparable(String),
}

/// Counts, prints, and compares with the committed figures, or replaces them. Whether that is fine.
///
/// # Errors
/// Nothing was counted, or the file cannot be read or written.
pub fn guard(load: &Load, update: bool) -> Result<Verdict, Failure> {
    if cfg!(debug_assertions) {
        return Err(Failure::Failed("only a release build is compared".into()));
    }
    let found = Figures::counted(load)?;
    print!("{}", found.text());
    let file = file();
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        Failure::Failed(format!("{} cannot be {what}: {error}", file.display()))
    };
    if update {
        std::fs::write(&file, found.text()).map_err(|e| failed("written", &e))?;
        return Ok(Verdict::Same);
    }
    let text = std::fs::read_to_string(&file).map_err(|e| failed("read", &e))?;
    let committed = toml::from_str(&text).map_err(|e| failed("read", &e))?;
    Ok(found.compared_with(&committed))
}

/// Where the committed figures are.
pub fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("figures.toml")
}

impl Figures {
    fn counted(load: &Load) -> Result<Self, Failure> {
        let mut instructions = BTreeMap::new();
        for counters in Counters::ALL {
            let counted = count(load, counters, None)?;
            instructions.insert(counters.to_string(), by_name(&counted));
        }
        Ok(Self {
            toolchain: toolchain(),
            processor: processor(),
            instructions,
        })
    }

    fn text(&self) -> String {
        let figures = toml::to_string(self).unwrap();
        format!(
            "# Instructions of the executor for an event of the fixed input; of `flush` and `advance` for a creator.\n\
             # `make bench-guard` compares with them, `make bench-guard UPDATE=1` replaces them.\n{figures}"
        )
    }

    fn compared_with(&self, committed: &Self) -> Verdict {
        if self.toolchain != committed.toolchain {
            return Verdict::Differs(vec![format!(
                "the figures are of toolchain {}, this is {}",
                committed.toolchain, self.toolchain
            )]);
        }
        if self.processor != committed.processor {
            return Verdict::Incomparable(format!(
                "the figures are of {}, this is {}",
                committed.processor, self.processor
            ));
        }
        let flat = |figures: &Self| -> BTreeMap<String, f64> {
            let all = figures.instructions.iter();
            let named = all.flat_map(|(counters, parts)| {
                parts
                    .iter()
                    .map(move |(part, figure)| (format!("{counters}, {part}"), *figure))
            });
            named.collect()
        };
        let (found, committed) = (flat(self), flat(committed));
        if !found.keys().eq(committed.keys()) {
            return Verdict::Differs(vec!["the figures are of other parts".into()]);
        }
        let far = found.iter().filter_map(|(name, found)| {
            let committed = committed[name];
            let change = found / committed - 1.0;
            (change.abs() > TOLERANCE).then(|| {
                format!(
                    "{name}: {found:.1} instead of {committed:.1}, {:+.1} %",
                    100.0 * change
                )
            })
        });
        let far: Vec<String> = far.collect();
        if far.is_empty() {
            Verdict::Same
        } else {
            Verdict::Differs(far)
        }
    }
}

fn by_name(counted: &Counted) -> BTreeMap<String, f64> {
    let figures = [
        ("decode", counted.of(Part::Decode)),
        ("apply", counted.apply()),
        ("tend", counted.of(Part::Tend)),
        ("flush", counted.of(Part::Flush)),
        ("advance", counted.of(Part::Advance)),
    ];
    let rounded = |figure: f64| (figure * 10.0).round() / 10.0;
    figures
        .map(|(name, figure)| (name.to_owned(), rounded(figure)))
        .into()
}

/// The toolchain of the repository, which cargo uses.
fn toolchain() -> String {
    let text = include_str!("../../../rust-toolchain.toml");
    let table: toml::Table = text.parse().unwrap();
    table["toolchain"]["channel"].as_str().unwrap().to_owned()
}

/// What libraries look at when they choose their code.
fn processor() -> String {
    #[cfg(target_arch = "x86_64")]
    let features = [("avx2", is_x86_feature_detected!("avx2"))];
    #[cfg(not(target_arch = "x86_64"))]
    let features: [(&str, bool); 0] = [];
    let present = features.iter().filter(|(_, present)| *present);
    let names: Vec<&str> = std::iter::once(std::env::consts::ARCH)
        .chain(present.map(|(name, _)| *name))
        .collect();
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(decode: f64) -> Figures {
        let parts = BTreeMap::from([("decode".to_owned(), decode), ("flush".to_owned(), 70.0)]);
        Figures {
            toolchain: "1".into(),
            processor: "x86_64 avx2".into(),
            instructions: BTreeMap::from([("delta".to_owned(), parts)]),
        }
    }

    #[test]
    fn figures_that_are_far_from_the_committed_ones_are_named_in_both_directions() {
        let committed = figures(1_000.0);
        for near in [971.0, 1_000.0, 1_029.0] {
            assert_eq!(figures(near).compared_with(&committed), Verdict::Same);
        }
        for (far, percent) in [(960.0, "-4.0 %"), (1_031.0, "+3.1 %")] {
            let what = format!("delta, decode: {far:.1} instead of 1000.0, {percent}");
            let differs = Verdict::Differs(vec![what]);
            assert_eq!(figures(far).compared_with(&committed), differs);
        }
    }

    #[test]
    fn a_part_without_a_figure_is_not_overlooked() {
        let (mut found, committed) = (figures(1_000.0), figures(1_000.0));
        let parts = found.instructions.get_mut("delta").unwrap();
        parts.insert("more".into(), 5.0);
        let differs = Verdict::Differs(vec!["the figures are of other parts".into()]);
        assert_eq!(found.compared_with(&committed), differs);
        assert_eq!(committed.compared_with(&found), differs);
    }

    #[test]
    fn figures_of_another_kind_of_processor_are_not_compared() {
        let (found, committed) = (figures(1_000.0), figures(5.0));
        let other = Figures {
            processor: "aarch64".into(),
            ..committed
        };
        assert!(matches!(
            found.compared_with(&other),
            Verdict::Incomparable(_)
        ));
        let older = Figures {
            toolchain: "0".into(),
            ..found.clone()
        };
        assert!(matches!(found.compared_with(&older), Verdict::Differs(_)));
    }

    #[test]
    fn the_committed_figures_can_be_read_and_are_of_this_toolchain() {
        let text = std::fs::read_to_string(file()).unwrap();
        let committed: Figures = toml::from_str(&text).unwrap();
        assert_eq!(committed.toolchain, toolchain());
        assert_eq!(committed.text(), text);
    }
}
