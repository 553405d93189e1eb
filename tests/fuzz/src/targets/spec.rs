//! Job specs, as people send them and as they come back from where they are kept.

use kol_common::job::{JobSpec, parse, with_overrides};
use kol_common::scoring::Scoring;

use super::{Target, kind_of, shown};

pub const SPEC: Target = Target {
    name: "spec",
    read: spec,
    valid: specs,
    memory: (1 << 20, 600),
};

fn spec(data: &[u8]) -> u64 {
    let Ok(text) = std::str::from_utf8(data) else {
        return 0;
    };
    // Text to set, behind the spec.
    let (text, set) = text.split_once("\n--set ").unwrap_or((text, ""));
    let set = set
        .split_once('=')
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let text = with_overrides(text, set.as_slice()).unwrap_or_else(|_| text.to_owned());
    match parse(&text, "spec") {
        Ok(parsed) => {
            let json = serde_json::to_string(&parsed.spec).expect("a spec is JSON");
            let again: JobSpec = serde_json::from_str(&json).expect("JSON of a spec is one");
            assert_eq!(again, parsed.spec, "a spec changes when it is kept");
            let scoring = Scoring::new(&parsed.spec.scoring);
            shown((scoring.panes.leading_zeros(), parsed.warnings.len()))
        }
        Err(errors) => {
            let all = errors.to_string();
            shown(kind_of(
                &all[..all.len().min(400).min(all.find('\n').unwrap_or(all.len()))],
            ))
        }
    }
}

/// The specs that are shipped, and one with most of what there is.
pub fn specs() -> Vec<Vec<u8>> {
    let shipped = [
        include_str!("../../../../deploy/jobs/kol-trending.toml"),
        include_str!("../../../../deploy/jobs/kol-realtime-delta.toml"),
        include_str!("../../../../deploy/jobs/spark-compat.toml"),
    ];
    let small = "name = \"a\"\n[source]\nbootstrap = \"kafka:9092\"\ntopics = [\"t\"]\n[sink]\nurl = \"redis://:env:KOL_SECRET_X@r:6379/2\"\n\
        [source.fields]\nlikes = [\"stats.likes\", \"likes\"]\n[scoring.weights]\npersonal = 0.2\nmarket = 0.3\nmomentum = 0.5\n\
        [checkpoint]\ninterval = \"500ms\"\nlocation = \"file:///tmp/x\"\n[sink.keys]\nranking = \"r:{platform}\"\n--set scoring.window=\"2h\"";
    shipped
        .into_iter()
        .chain([small])
        .map(|text| text.as_bytes().to_vec())
        .collect()
}
