//! What records are made of: how many can be used, what they lack, and which names would fit them.

use std::collections::BTreeMap;

use kol_common::event::{Decoder, Event, Explode, Field, FieldPath, Lack, Reject, read_at};

use super::cluster::Cluster;
use super::names::{Candidate, candidate, leaves};

/// Most paths of one field that are proposed.
const MAX_PROPOSED: usize = 4;
/// Most events by which names are proposed, and most bytes of them.
const MAX_PARTS: usize = 100;
const MAX_PART_BYTES: usize = 2 << 20;
/// From this share on (1/100) a lack deserves a warning.
const WARN_SHARE: usize = 100;

/// What is known of some records. Records are added one after the other.
#[derive(Debug)]
pub struct Survey {
    cluster: Cluster,
    decoder: Decoder,
    /// What became of the events.
    pub tally: Tally,
    /// Events by which names are proposed.
    parts: Vec<String>,
    /// Bytes of `parts`.
    part_bytes: usize,
}

/// Lines for a job spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The lines, as TOML.
    pub lines: String,
    /// Whether records can be used with them. Otherwise no name in the records is known for the creator's, and
    /// `FILL-IN` stands for it in the lines.
    pub names_creator: bool,
}

/// What became of events.
#[derive(Debug, Default)]
pub struct Tally {
    /// Events and rejected records.
    pub events: usize,
    /// Those that can be used.
    pub usable: usize,
    lacks: BTreeMap<Lack, Example>,
    rejects: BTreeMap<&'static str, (Reject, Example)>,
}

#[derive(Clone, Debug, Default)]
struct Example {
    count: usize,
    place: String,
}

/// What one event of a record is read as.
#[derive(Debug)]
pub struct Reading {
    /// The event, or why there is none.
    pub outcome: Result<Event<'static>, Reject>,
    /// Which field was taken from where.
    pub taken: Vec<(Field, FieldPath)>,
    /// What is missing and could be read elsewhere.
    pub instead: Vec<(Field, Candidate)>,
}

impl Survey {
    /// Of records that are read as this cluster's.
    pub fn new(cluster: &Cluster) -> Self {
        Self {
            decoder: cluster.decoder(),
            cluster: cluster.clone(),
            tally: Tally::default(),
            parts: Vec::new(),
            part_bytes: 0,
        }
    }

    /// Adds a record; `place` is what messages call it.
    pub fn add(&mut self, value: Option<&[u8]>, place: &str) {
        let Self {
            decoder,
            tally,
            parts,
            part_bytes,
            ..
        } = self;
        decoder.decode_each(value, |part, outcome| {
            let part = part.and_then(text).unwrap_or_default();
            let fits = *part_bytes + part.len() <= MAX_PART_BYTES;
            if fits && !part.is_empty() && parts.len() < MAX_PARTS {
                *part_bytes += part.len();
                parts.push(part.to_owned());
            }
            tally.add(&outcome, || place.to_owned());
        });
    }

    /// What deserves a warning: with its share, its reason, an example and the remedy.
    pub fn warnings(&self) -> Vec<String> {
        let tally = &self.tally;
        let rejected = tally.rejected_from(WARN_SHARE);
        rejected.chain(tally.lacking()).collect()
    }

    /// Lines for a job spec that fit these records better than what is there; `None` when there are
    /// none to propose.
    pub fn proposal(&self) -> Option<Proposal> {
        let explode = self.tally.rejected().first().and_then(|(reject, count)| {
            let explode = match reject {
                Reject::EventsInLines => "lines",
                Reject::EventsInArray => "items",
                _ => return None,
            };
            (2 * count > self.tally.events).then_some(explode)
        });
        let Some(Ok(explode)) = explode.map(str::parse::<Explode>) else {
            return self.with_fields("");
        };
        let mut cluster = self.cluster.clone();
        let line = format!("[source]\nexplode = \"{explode}\"\n");
        cluster.source.explode = Some(explode);
        Self::of(&cluster, &self.parts).with_fields(&line)
    }

    fn of(cluster: &Cluster, records: &[String]) -> Self {
        let mut survey = Self::new(cluster);
        for record in records {
            survey.add(Some(record.as_bytes()), "");
        }
        survey
    }

    /// The lines before, and a table of fields. Whether they fit is seen by reading the records with them.
    fn with_fields(&self, before: &str) -> Option<Proposal> {
        let table = self.fields();
        if before.is_empty() && table.is_empty() {
            return None;
        }
        let mut cluster = self.cluster.clone();
        cluster.source.fields.extend(table.iter().cloned());
        let tally = Self::of(&cluster, &self.parts).tally;
        let names_creator = tally.usable > 0;
        let rejected = tally.rejected();
        let most = rejected.first().map(|(reject, _)| *reject);
        if !names_creator && most != Some(Reject::NoUsername) {
            return None;
        }
        let open = (!names_creator).then(|| format!("{} = [\"FILL-IN\"]\n", Field::Username));
        let known = table
            .iter()
            .filter(|(field, _)| names_creator || *field != Field::Username);
        let known = known.map(|(field, paths)| {
            let paths = paths.iter().map(|path| path.as_str());
            let paths: Vec<_> = paths.map(|p| toml::Value::from(p).to_string()).collect();
            format!("{field} = [{}]\n", paths.join(", "))
        });
        let fields: String = open.into_iter().chain(known).collect();
        let mut lines = before.to_owned();
        if !fields.is_empty() {
            lines.push_str("[source.fields]\n");
            lines.push_str(&fields);
        }
        Some(Proposal {
            lines,
            names_creator,
        })
    }

    /// For each field that could be read in more of the records: the paths that fit.
    fn fields(&self) -> Vec<(Field, Vec<FieldPath>)> {
        let leaves: Vec<_> = self.parts.iter().map(|part| leaves(part)).collect();
        let mut table = Vec::new();
        for field in Field::ALL {
            let mut open: Vec<usize> = (0..self.parts.len()).collect();
            let mut paths = Vec::new();
            for path in self.cluster.source.paths(field) {
                let before = open.len();
                open.retain(|at| read_at(&self.parts[*at], field, &path).is_none());
                if open.len() < before {
                    paths.push(path);
                }
            }
            let mut found = false;
            while paths.len() < MAX_PROPOSED {
                let propose = |at: &usize| candidate(&self.parts[*at], &leaves[*at], field);
                let proposed = open.iter().find_map(propose);
                let Some(Candidate { path, .. }) = proposed else {
                    break;
                };
                open.retain(|at| read_at(&self.parts[*at], field, &path).is_none());
                paths.push(path);
                found = true;
            }
            if found {
                table.push((field, paths));
            }
        }
        table
    }
}

impl Tally {
    /// Adds an event; `place` is what messages call it.
    pub fn add(&mut self, outcome: &Result<Event<'_>, Reject>, place: impl Fn() -> String) {
        self.events += 1;
        match outcome {
            Err(reject) => {
                let kind = self.rejects.entry(reject.as_str());
                kind.or_insert((*reject, Example::default())).1.add(&place);
            }
            Ok(event) => {
                self.usable += 1;
                for lack in Lack::ALL.into_iter().filter(|lack| lack.is_of(event)) {
                    self.lacks.entry(lack).or_default().add(&place);
                }
            }
        }
    }

    /// Counts of what cannot be used, by reason, the most frequent first.
    pub fn rejected(&self) -> Vec<(Reject, usize)> {
        let mut all: Vec<_> = self.rejects.values().map(|(r, e)| (*r, e.count)).collect();
        all.sort_by_key(|(reject, count)| (usize::MAX - count, reject.as_str()));
        all
    }

    /// What cannot be used and why, each with the first of them.
    pub fn all_rejected(&self) -> Vec<String> {
        self.rejected_from(usize::MAX).collect()
    }

    /// The same, of reasons that one in so many records has.
    fn rejected_from(&self, share: usize) -> impl Iterator<Item = String> {
        let many = move |e: &Example| e.count.saturating_mul(share) >= self.events;
        let many = self.rejects.values().filter(move |(_, e)| many(e));
        many.map(|(reject, example)| {
            format!(
                "{} of {} records cannot be used, e.g. {}: {reject}",
                example.count, self.events, example.place
            )
        })
    }

    fn lacking(&self) -> impl Iterator<Item = String> {
        let many = |e: &Example| e.count * WARN_SHARE >= self.events;
        let many = self.lacks.iter().filter(move |(_, e)| many(e));
        many.map(|(lack, example)| {
            format!(
                "{} of {} records {}, e.g. {}; {}",
                example.count,
                self.events,
                lack.what(),
                example.place,
                lack.help()
            )
        })
    }
}

impl Example {
    fn add(&mut self, place: impl Fn() -> String) {
        self.count += 1;
        if self.place.is_empty() {
            self.place = place();
        }
    }
}

/// Reads each event of a record, and says what was taken from where.
pub fn read(cluster: &Cluster, decoder: &Decoder, value: Option<&[u8]>) -> Vec<Reading> {
    let mut readings = Vec::new();
    let whole = value.and_then(text).unwrap_or_default();
    let has_around = matches!(cluster.source.explode, Some(Explode::Items(_)));
    let of_whole = |path: &FieldPath| has_around && path.is_of_record();
    // Read once, however many events the record holds.
    let around: Vec<(Field, FieldPath)> = Field::ALL
        .into_iter()
        .flat_map(|field| {
            cluster
                .source
                .paths(field)
                .into_iter()
                .map(move |p| (field, p))
        })
        .filter(|(field, path)| of_whole(path) && read_at(whole, *field, path).is_some())
        .collect();
    decoder.decode_each(value, |part, outcome| {
        let part = part.and_then(text).unwrap_or_default();
        let is_video = outcome.as_ref().is_ok_and(|event| event.video_id.is_some());
        let places = leaves(part);
        let (mut taken, mut instead) = (Vec::new(), Vec::new());
        for field in Field::ALL {
            let mut paths = cluster.source.paths(field).into_iter();
            let is_there = |path: &FieldPath| match of_whole(path) {
                true => around.iter().any(|(of, p)| *of == field && p == path),
                false => read_at(part, field, path).is_some(),
            };
            if let Some(path) = paths.find(is_there) {
                taken.push((field, path));
            } else if field != Field::Platform && (field != Field::Followers || !is_video) {
                let likeliest = candidate(part, &places, field);
                instead.extend(likeliest.map(|candidate| (field, candidate)));
            }
        }
        readings.push(Reading {
            outcome: outcome.map(Event::into_owned),
            taken,
            instead,
        });
    });
    readings
}

/// A value as text, without a byte order mark.
fn text(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    Some(text.strip_prefix('\u{feff}').unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::cluster::ClusterArgs;

    fn survey(values: &[&str]) -> Survey {
        let mut survey = Survey::new(&ClusterArgs::default().open().unwrap());
        for (number, value) in values.iter().enumerate() {
            survey.add(Some(value.as_bytes()), &format!("0/{number}"));
        }
        survey
    }

    #[test]
    fn a_table_is_proposed_that_fits_the_records_and_parses() {
        let apify = r#"{"authorMeta":{"name":"mia"},"id":"7","diggCount":5,"commentCount":2}"#;
        let other = r#"{"username":"bo","id":"8","likes":"1.2K","scrapedAt":1795669200}"#;
        let survey = survey(&[apify, apify, other]);
        assert_eq!((survey.tally.events, survey.tally.usable), (3, 1));
        let Proposal {
            lines: table,
            names_creator,
        } = survey.proposal().unwrap();
        assert!(names_creator);
        let expected = "[source.fields]\nusername = [\"username\", \"authorMeta.name\"]\n\
                        video_id = [\"id\"]\nevent_time = [\"scrapedAt\"]\n\
                        likes = [\"diggCount\", \"likes\"]\ncomments = [\"commentCount\"]\n";
        assert_eq!(table, expected);
        let spec = kol_common::job::parse(&format!("name = \"x\"\n{table}"), "x").unwrap();
        let decoder = Decoder::of(&spec.spec.source, "tiktok");
        let event = decoder.decode(Some(apify.as_bytes())).unwrap();
        assert_eq!((&*event.kol, event.likes), ("mia", Some(5)));
    }

    #[test]
    fn records_of_several_events_get_the_key_that_takes_them_apart_and_their_names() {
        let array = r#"[{"ownerUsername":"mia","likesCount":5},{"ownerUsername":"bo"}]"#;
        let table = survey(&[array]).proposal().unwrap().lines;
        let expected = "[source]\nexplode = \"items\"\n[source.fields]\n\
                        username = [\"ownerUsername\"]\nlikes = [\"likesCount\"]\n";
        assert_eq!(table, expected);
    }

    #[test]
    fn a_creator_that_no_known_name_has_is_left_to_be_filled_in() {
        let unknown = r#"{"handle_of_her":"mia","diggCount":5}"#;
        let array = format!("[{unknown},{unknown}]");
        let fields = "[source.fields]\nusername = [\"FILL-IN\"]\nlikes = [\"diggCount\"]\n";
        let explode = "[source]\nexplode = \"items\"\n";
        for (record, expected) in [
            (unknown, fields.to_owned()),
            (&array, format!("{explode}{fields}")),
            (
                r#"[{"a":1},{"a":2}]"#,
                format!("{explode}[source.fields]\nusername = [\"FILL-IN\"]\n"),
            ),
        ] {
            let proposal = survey(&[record]).proposal().unwrap();
            assert!(!proposal.names_creator, "{record}");
            assert_eq!(proposal.lines, expected);
            let spec = format!("name = \"x\"\n{expected}");
            let refused = kol_common::job::parse(&spec, "x").unwrap_err();
            assert!(refused.to_string().contains("filled in"), "{refused}");
        }
    }

    #[test]
    fn records_that_fit_need_no_table_and_no_warning() {
        let good = r#"{"username":"a","video_id":"1","event_time":1795669200,"like_count":1}"#;
        let survey = survey(&[good; 3]);
        assert_eq!(survey.proposal(), None);
        assert_eq!(survey.warnings(), Vec::<String>::new());
    }

    #[test]
    fn a_lack_is_warned_of_from_one_in_a_hundred_on_with_reason_example_and_remedy() {
        let good = r#"{"username":"a","event_time":1795669200,"like_count":1}"#;
        let mut values = vec![good; 150];
        values.push(r#"{"like_count":1}"#);
        assert_eq!(survey(&values).warnings(), Vec::<String>::new());
        values.push(r#"{"like_count":2}"#);
        values.push(r#"{"username":"a","event_time":"yesterday"}"#);
        values.push(r#"{"username":"a","event_time":"noon"}"#);
        values.push(r#"{"username":"a","event_time":null}"#);
        let warnings = survey(&values).warnings().join("\n");
        assert!(
            warnings.contains("2 of 155 records cannot be used, e.g. 0/150: no_username"),
            "{warnings}"
        );
        assert!(warnings.contains("[source.fields] username"), "{warnings}");
        assert!(
            !warnings.contains("do not say when"),
            "one of 155: {warnings}"
        );
        assert!(warnings.contains("ISO 8601"), "{warnings}");
        assert!(warnings.contains("no counter"), "{warnings}");
    }
}
