//! What records are made of: how many can be used, what they lack, and which names would fit them.

use std::collections::BTreeMap;

use kol_common::event::{Decoder, Event, Explode, Field, FieldPath, Lack, Reject, read_at};

use super::cluster::Cluster;
use super::names::{Candidate, candidates, leaves};

/// Most paths of one field that are proposed.
const MAX_PROPOSED: usize = 4;
/// Most events by which names are proposed.
const MAX_PARTS: usize = 100;
/// From this share on (1/100) a lack deserves a warning.
const WARN_SHARE: usize = 100;

/// What is known of some records. Records are added one after the other.
#[derive(Debug)]
pub struct Survey {
    cluster: Cluster,
    decoder: Decoder,
    /// Events and rejected records.
    pub events: usize,
    /// Those that can be used.
    pub usable: usize,
    lacks: BTreeMap<Lack, Example>,
    rejects: BTreeMap<&'static str, (Reject, Example)>,
    parts: Vec<String>,
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
            events: 0,
            usable: 0,
            lacks: BTreeMap::new(),
            rejects: BTreeMap::new(),
            parts: Vec::new(),
        }
    }

    /// Adds a record; `place` is what messages call it.
    pub fn add(&mut self, value: Option<&[u8]>, place: &str) {
        let Self {
            decoder,
            events,
            usable,
            lacks,
            rejects,
            parts,
            ..
        } = self;
        decoder.decode_each(value, |part, outcome| {
            *events += 1;
            if parts.len() < MAX_PARTS {
                parts.extend(part.and_then(text).map(str::to_owned));
            }
            match outcome {
                Err(reject) => {
                    let kind = rejects.entry(reject.as_str());
                    kind.or_insert((reject, Example::default())).1.add(place);
                }
                Ok(event) => {
                    *usable += 1;
                    for lack in Lack::ALL.into_iter().filter(|lack| lack.is_of(&event)) {
                        lacks.entry(lack).or_default().add(place);
                    }
                }
            }
        });
    }

    /// What deserves a warning: with its share, its reason, an example and the remedy.
    pub fn warnings(&self) -> Vec<String> {
        let of = |example: &Example| format!("{} of {} records", example.count, self.events);
        let mut warnings = Vec::new();
        for (reject, example) in self.rejects.values().filter(|(_, e)| self.is_many(e)) {
            warnings.push(format!(
                "{} cannot be used, e.g. {}: {reject}",
                of(example),
                example.place
            ));
        }
        for (lack, example) in self.lacks.iter().filter(|(_, e)| self.is_many(e)) {
            warnings.push(format!(
                "{} {}, e.g. {}; {}",
                of(example),
                lack.what(),
                example.place,
                lack.help()
            ));
        }
        warnings
    }

    /// Counts of what cannot be used, by reason, the most frequent first.
    pub fn rejected(&self) -> Vec<(Reject, usize)> {
        let mut all: Vec<_> = self.rejects.values().map(|(r, e)| (*r, e.count)).collect();
        all.sort_by_key(|(reject, count)| (usize::MAX - count, reject.as_str()));
        all
    }

    fn is_many(&self, example: &Example) -> bool {
        example.count * WARN_SHARE >= self.events
    }

    /// Lines for a job spec that fit these records better than what is there; `None` when there are
    /// none to propose.
    pub fn proposal(&self) -> Option<String> {
        let explode = self.rejected().first().and_then(|(reject, count)| {
            let explode = match reject {
                Reject::EventsInLines => "lines",
                Reject::EventsInArray => "items",
                _ => return None,
            };
            (2 * count > self.events).then_some(explode)
        });
        if let Some(Ok(explode)) = explode.map(str::parse::<Explode>) {
            let mut cluster = self.cluster.clone();
            let line = format!("[source]\nexplode = \"{explode}\"\n");
            cluster.source.explode = Some(explode);
            let mut taken_apart = Self::new(&cluster);
            for part in &self.parts {
                taken_apart.add(Some(part.as_bytes()), "");
            }
            let fields = taken_apart.proposal().unwrap_or_default();
            return Some(line + &fields);
        }
        let table = self.fields();
        let lines = table.iter().map(|(field, paths)| {
            let paths: Vec<_> = paths
                .iter()
                .map(|p| format!("\"{}\"", p.as_str()))
                .collect();
            format!("{field} = [{}]\n", paths.join(", "))
        });
        let lines: String = lines.collect();
        (!lines.is_empty()).then(|| format!("[source.fields]\n{lines}"))
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
                let proposed = open.iter().find_map(|at| {
                    candidates(&self.parts[*at], &leaves[*at], field)
                        .into_iter()
                        .next()
                });
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

impl Example {
    fn add(&mut self, place: &str) {
        self.count += 1;
        if self.place.is_empty() {
            place.clone_into(&mut self.place);
        }
    }
}

/// Reads each event of a record, and says what was taken from where.
pub fn read(cluster: &Cluster, decoder: &Decoder, value: Option<&[u8]>) -> Vec<Reading> {
    let mut readings = Vec::new();
    let whole = value.and_then(text).unwrap_or_default();
    let has_around = matches!(cluster.source.explode, Some(Explode::Items(_)));
    decoder.decode_each(value, |part, outcome| {
        let part = part.and_then(text).unwrap_or_default();
        let is_video = outcome.as_ref().is_ok_and(|event| event.video_id.is_some());
        let places = leaves(part);
        let (mut taken, mut instead) = (Vec::new(), Vec::new());
        for field in Field::ALL {
            let paths = cluster.source.paths(field);
            let of_whole = |path: &FieldPath| has_around && path.is_of_record();
            let place = |path: &FieldPath| if of_whole(path) { whole } else { part };
            let mut readable = paths.into_iter();
            if let Some(path) = readable.find(|p| read_at(place(p), field, p).is_some()) {
                taken.push((field, path));
            } else if field != Field::Platform && (field != Field::Followers || !is_video) {
                let likeliest = candidates(part, &places, field).into_iter().next();
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
        assert_eq!((survey.events, survey.usable), (3, 1));
        let table = survey.proposal().unwrap();
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
        let table = survey(&[array]).proposal().unwrap();
        let expected = "[source]\nexplode = \"items\"\n[source.fields]\n\
                        username = [\"ownerUsername\"]\nlikes = [\"likesCount\"]\n";
        assert_eq!(table, expected);
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
