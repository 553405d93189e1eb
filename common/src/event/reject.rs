//! Why a record, or an event of it, cannot be used.

use std::fmt;

/// Why a record cannot be used. [`Reject::as_str`] is stable: it counts, labels metrics and stands in
/// the headers of dead letters. `Display` adds what the bytes look like and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reject {
    /// The record has no value.
    Tombstone,
    /// The value is longer than [`super::MAX_VALUE`].
    TooLarge,
    /// The value is not UTF-8.
    InvalidUtf8,
    /// The value is not JSON.
    NotJson,
    /// The value is JSON, but not an object.
    NotAnObject,
    /// There is no username.
    NoUsername,
    /// Username, video id or platform are longer than any real one.
    IdTooLong,
    /// The platform contains `:`, which separates platform and creator in keys.
    PlatformColon,
    /// Neither the event nor Kafka says when it happened.
    NoTime,
    /// It happened further ahead of the present than `source.max_ahead` allows.
    Ahead,
    /// It is older than its partition's clock allows.
    Late,
    /// It names one platform too many.
    TooManyPlatforms,
    /// Compressed by the producer itself, not by Kafka.
    Gzip,
    /// Compressed by the producer itself, as `Gzip`.
    Zstd,
    /// Compressed by the producer itself, as `Gzip`.
    Lz4,
    /// Text in UTF-16; only UTF-8 is read.
    Utf16,
    /// Binary (Avro or Protobuf) behind the prefix of a schema registry, with its schema id.
    RegistryBinary(u32),
    /// JSON behind the prefix of a schema registry, with its schema id.
    RegistryJson(u32),
    /// An Avro container file.
    AvroFile,
    /// A JSON string that holds JSON.
    JsonInString,
    /// An envelope of Debezium or Kafka Connect around the event.
    Envelope,
    /// One JSON value a line.
    EventsInLines,
    /// An array of events, or an object with one in `items`.
    EventsInArray,
}

impl Reject {
    /// One of each.
    const ALL: [Self; 23] = [
        Self::Tombstone,
        Self::TooLarge,
        Self::InvalidUtf8,
        Self::NotJson,
        Self::NotAnObject,
        Self::NoUsername,
        Self::IdTooLong,
        Self::PlatformColon,
        Self::NoTime,
        Self::Ahead,
        Self::Late,
        Self::TooManyPlatforms,
        Self::Gzip,
        Self::Zstd,
        Self::Lz4,
        Self::Utf16,
        Self::RegistryBinary(0),
        Self::RegistryJson(0),
        Self::AvroFile,
        Self::JsonInString,
        Self::Envelope,
        Self::EventsInLines,
        Self::EventsInArray,
    ];

    /// What to do about records that were rejected with this code.
    pub fn help_of(code: &str) -> &'static str {
        let reject = Self::ALL.into_iter().find(|r| r.as_str() == code);
        reject.map_or("", Self::help)
    }

    /// Stable code, for counters, headers and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tombstone => "tombstone",
            Self::TooLarge => "too_large",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::NotJson => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::NoUsername => "no_username",
            Self::IdTooLong => "id_too_long",
            Self::PlatformColon => "platform_colon",
            Self::NoTime => "no_time",
            Self::Ahead => "ahead",
            Self::Late => "late",
            Self::TooManyPlatforms => "too_many_platforms",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
            Self::Utf16 => "utf16",
            Self::RegistryBinary(_) => "registry_binary",
            Self::RegistryJson(_) => "registry_json",
            Self::AvroFile => "avro_file",
            Self::JsonInString => "json_in_string",
            Self::Envelope => "envelope",
            Self::EventsInLines => "events_in_lines",
            Self::EventsInArray => "events_in_array",
        }
    }

    /// What to do about it; empty where there is nothing to say.
    pub fn help(self) -> &'static str {
        match self {
            Self::Tombstone | Self::Late => "",
            Self::TooLarge => "values may have up to 1 MiB",
            Self::InvalidUtf8 | Self::NotJson | Self::NotAnObject => {
                "values must be JSON objects in UTF-8"
            }
            Self::NoUsername => {
                "name the field of the creator: [source.fields] username = [\"…\"], or source.shape"
            }
            Self::IdTooLong => "names and ids have up to 1,024 bytes, platforms up to 64",
            Self::PlatformColon => "platform names cannot contain `:`",
            Self::NoTime => {
                "name the field of the time: [source.fields] event_time = [\"…\"], or let Kafka's \
                 timestamps be right"
            }
            Self::Ahead => {
                "set the producer's clock; source.max_ahead says how far ahead of the present an \
                 event may be"
            }
            Self::TooManyPlatforms => {
                "1,000 platforms were there in the last scoring.retire_after: correct what fills `platform`, \
                 or name those that must be admitted in scoring.platforms"
            }
            Self::Gzip | Self::Zstd | Self::Lz4 => {
                "send plain JSON and let Kafka compress it: compression.type of the producer"
            }
            Self::Utf16 => "send UTF-8",
            Self::RegistryBinary(_) => {
                "use a JSON converter without schemas (JsonConverter, schemas.enable=false), or \
                 convert the topic, for example with ksqlDB: VALUE_FORMAT='JSON'"
            }
            Self::RegistryJson(_) => {
                "use a JSON serializer without a schema registry (JsonConverter, \
                 schemas.enable=false)"
            }
            Self::AvroFile => "send one JSON object a record, no files",
            Self::JsonInString => {
                "the producer serializes twice: let it send the inner text itself"
            }
            Self::Envelope => {
                "name the fields inside it: [source.fields] username = [\"payload.after.username\"] \
                 and so on (kol-client peek prints the table), or unwrap it in the connector"
            }
            Self::EventsInLines => "set [source] explode = \"lines\"",
            Self::EventsInArray => "set [source] explode = \"items\"",
        }
    }

    /// What the value looks like, where the code alone does not say it.
    fn looks(self) -> Option<String> {
        let text = match self {
            Self::Gzip | Self::Zstd | Self::Lz4 => format!("{self:?} data").to_lowercase(),
            Self::Utf16 => "UTF-16 text".to_owned(),
            Self::RegistryBinary(id) => {
                format!("Avro (or Protobuf) of a schema registry, schema id {id}")
            }
            Self::RegistryJson(id) => {
                format!("JSON behind the prefix of a schema registry, schema id {id}")
            }
            Self::AvroFile => "an Avro file".to_owned(),
            Self::JsonInString => "JSON inside a JSON string".to_owned(),
            Self::Envelope => "an envelope of Debezium or Kafka Connect".to_owned(),
            Self::EventsInLines => "several events, one a line".to_owned(),
            Self::EventsInArray => "several events in an array".to_owned(),
            _ => return None,
        };
        Some(text)
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        if let Some(looks) = self.looks() {
            write!(f, ": it looks like {looks}")?;
        }
        match self.help() {
            "" => Ok(()),
            help => write!(f, "; {help}"),
        }
    }
}
