//! The calls of the scripts: which keys and arguments each takes, in which order. The first lines of a script give them
//! their names, and who calls it goes through the same list: neither side knows a position. Those of a merge are in
//! `merge_call`.

use std::fmt::Write as _;

/// An enum of keys or arguments, in the order of a call, each with its name in the script.
macro_rules! in_order {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $item:ident = $lua:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$doc])* $item,)+
        }

        impl $name {
            /// In the order of a call.
            pub const ALL: [Self; [$($lua),+].len()] = [$(Self::$item),+];

            /// Its name in the script.
            pub(super) const fn lua(self) -> &'static str {
                match self {
                    $(Self::$item => $lua,)+
                }
            }
        }
    };
}
pub(super) use in_order;

in_order! {
    /// An argument of a claim, whose one key is the fence record.
    ClaimArgument {
        /// Generation of the job.
        Generation = "ARG_GENERATION",
        /// Assignment epoch of the owner.
        AssignmentEpoch = "ARG_ASSIGNMENT_EPOCH",
        /// Name of the log; empty where it is not known.
        Log = "ARG_LOG",
    }
}

in_order! {
    /// An argument of the beginning of a flush, whose one key is the fence record.
    BeginArgument {
        /// Generation of the job.
        Generation = "ARG_GENERATION",
        /// Assignment epoch of the owner.
        AssignmentEpoch = "ARG_ASSIGNMENT_EPOCH",
        /// Sequence of the flush.
        Sequence = "ARG_SEQUENCE",
        /// Offset up to which Redis may show the partition from here on.
        Offset = "ARG_OFFSET",
        /// Window end up to which it may.
        WindowEnd = "ARG_WINDOW_END",
        /// Sequence that Redis confirmed last.
        Confirmed = "ARG_CONFIRMED",
        /// What the next owner is to know of the record before the offset.
        Last = "ARG_LAST",
    }
}

in_order! {
    /// A key of the end of a flush.
    DoneKey {
        /// Fence record of the partition.
        Fence = "KEY_FENCE",
        /// Wall time of the newest flush.
        LastUpdate = "KEY_LAST_UPDATE",
        /// Event time of the newest event.
        LastEvent = "KEY_LAST_EVENT",
        /// Set of all platforms that have a ranking.
        Platforms = "KEY_PLATFORMS",
    }
}

in_order! {
    /// An argument of the end of a flush.
    DoneArgument {
        /// Generation of the job.
        Generation = "ARG_GENERATION",
        /// Assignment epoch of the owner.
        AssignmentEpoch = "ARG_ASSIGNMENT_EPOCH",
        /// Sequence of the flush.
        Sequence = "ARG_SEQUENCE",
        /// The time now, ISO 8601.
        Now = "ARG_NOW",
        /// Newest event time of the job, ISO 8601; empty where the partition does not know it.
        NewestEvent = "ARG_NEWEST_EVENT",
        /// How many merges the flush has.
        Merges = "ARG_MERGES",
    }
}

in_order! {
    /// A key of a comparison, behind those of a merge.
    StampKey {
        /// Wall time of the newest flush.
        LastUpdate = "KEY_LAST_UPDATE",
        /// Event time of the newest event.
        LastEvent = "KEY_LAST_EVENT",
    }
}

in_order! {
    /// An argument of a comparison, behind whose keys stand the hashes of KOLs; then the name of each of them.
    CompareArgument {
        /// Generation of the job.
        Generation = "ARG_GENERATION",
        /// Assignment epoch of the owner.
        AssignmentEpoch = "ARG_ASSIGNMENT_EPOCH",
        /// Sequence that Redis confirmed last.
        Confirmed = "ARG_CONFIRMED",
        /// Platform of the KOLs.
        Platform = "ARG_PLATFORM",
        /// How many KOLs there are.
        Count = "ARG_COUNT",
        /// Where a piece of the ranking begins, and how many members it has.
        Place = "ARG_PLACE",
        /// See `Place`.
        Piece = "ARG_PIECE",
    }
}

in_order! {
    /// An argument of the removal of hashes that nothing names, behind whose keys, which are those of a merge, stand the
    /// hashes of KOLs; then the name of each of them.
    ForgetArgument {
        /// Generation of the job.
        Generation = "ARG_GENERATION",
        /// Assignment epoch of the owner.
        AssignmentEpoch = "ARG_ASSIGNMENT_EPOCH",
        /// Sequence of the flush.
        Sequence = "ARG_SEQUENCE",
        /// Place in the flush, from 1.
        Place = "ARG_PLACE",
        /// Platform of the KOLs.
        Platform = "ARG_PLATFORM",
        /// How many KOLs there are.
        Count = "ARG_COUNT",
    }
}

in_order! {
    /// A key of a look at the rules of alerts, behind which stand the hashes of KOLs.
    AlertKey {
        /// What rules know of the KOLs of the platform.
        Known = "KEY_KNOWN",
        /// Alerts of the partition that wait for the topic.
        Topic = "KEY_TOPIC",
        /// Alerts of the partition that wait for the webhook.
        Webhook = "KEY_WEBHOOK",
        /// Which generation the ranking is of.
        Record = "KEY_RECORD",
        /// Ranking of the platform.
        Ranking = "KEY_RANKING",
        /// Names of the snapshots of it that are kept.
        History = "KEY_HISTORY",
        /// Each of them as JSON, by its name.
        Snapshots = "KEY_SNAPSHOTS",
    }
}

in_order! {
    /// An argument of a look at the rules of alerts, behind which stands the name of each KOL.
    AlertArgument {
        /// The rules: see `lua/alerts.lua`.
        Rules = "ARG_RULES",
        /// Platform of the KOLs.
        Platform = "ARG_PLATFORM",
        /// The time now, ISO 8601.
        Now = "ARG_NOW",
        /// How many KOLs there are.
        Count = "ARG_COUNT",
        /// "1": there is a topic.
        Topic = "ARG_TOPIC",
        /// "1": there is a webhook.
        Webhook = "ARG_WEBHOOK",
        /// Most alerts of a partition that wait for a destination.
        Most = "ARG_MOST",
        /// How long they wait, ms.
        Keep = "ARG_KEEP",
        /// How long what rules know is remembered after it changed last, ms.
        Remember = "ARG_REMEMBER",
        /// Generation of the job.
        Generation = "ARG_GENERATION",
        /// Time of the newest event, ms; empty where there is none.
        Clock = "ARG_CLOCK",
        /// Creators of a snapshot, at most.
        Places = "ARG_PLACES",
    }
}

in_order! {
    /// A key of a snapshot.
    HistoryKey {
        /// Fence record of the partition.
        Fence = "KEY_FENCE",
        /// Which generation the ranking is of.
        Record = "KEY_RECORD",
        /// Ranking of the platform.
        Ranking = "KEY_RANKING",
        /// Names of the snapshots that are kept.
        History = "KEY_HISTORY",
        /// Each of them as JSON, by its name.
        Snapshots = "KEY_SNAPSHOTS",
    }
}

in_order! {
    /// An argument of a snapshot; behind them stand the names of those that are dropped.
    HistoryArgument {
        /// Generation of the job.
        Generation = "ARG_GENERATION",
        /// Assignment epoch of the owner.
        AssignmentEpoch = "ARG_ASSIGNMENT_EPOCH",
        /// Name of the snapshot.
        Name = "ARG_NAME",
        /// Its time, ms.
        At = "ARG_AT",
        /// Window end of the ranking, ISO 8601.
        WindowEnd = "ARG_WINDOW_END",
        /// Creators that are kept.
        Places = "ARG_PLACES",
        /// Bytes of a snapshot, at most.
        Bytes = "ARG_BYTES",
        /// When everything expires, ms.
        Expiry = "ARG_EXPIRY",
    }
}

/// The fields of a hash that a look at rules reads, in the order of their places there, from 1.
pub const ALERT_FIELDS: [&str; 7] = [
    "window_end",
    "trending_label",
    "trending_score",
    "velocity",
    "personal_growth",
    "event_count",
    "total_engagement",
];

/// The first lines of a script: its keys and arguments by name.
pub(super) fn names(keys: &[&str], arguments: &[&str]) -> String {
    let mut lua = String::new();
    locals(&mut lua, keys, |at| format!("KEYS[{at}]"));
    locals(&mut lua, arguments, |at| format!("ARGV[{at}]"));
    lua
}

/// The same of a script that has keys and an argument for each KOL behind those.
pub(super) fn names_of_kols(keys: &[&str], arguments: &[&str]) -> String {
    let (first_hash, first) = (keys.len() + 1, arguments.len() + 1);
    let lua = names(keys, arguments);
    lua + &format!("local FIRST_HASH, FIRST = {first_hash}, {first}\n")
}

/// The same of a script that has arguments without a name behind those.
pub(super) fn names_of_more(keys: &[&str], arguments: &[&str]) -> String {
    let first = arguments.len() + 1;
    names(keys, arguments) + &format!("local FIRST = {first}\n")
}

pub(super) fn locals<S: AsRef<str>>(
    lua: &mut String,
    names: &[S],
    value: impl Fn(usize) -> String,
) {
    let values = list((1..=names.len()).map(value));
    let names = list(names.iter().map(|name| name.as_ref().to_owned()));
    push(lua, format_args!("local {names} = {values}\n"));
}

pub(super) fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

pub(super) fn push(lua: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _infallible = lua.write_fmt(text);
}
