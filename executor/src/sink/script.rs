//! The Lua scripts that run in Redis.

use std::sync::LazyLock;

use kol_common::job::Profile;
use kol_common::redis::RedisConnection;
use kol_common::scoring::schema;
use redis::{ErrorKind, RedisError, Script, ServerErrorKind};

use super::calls::{
    ALERT_FIELDS, AlertArgument, AlertKey, BeginArgument, ClaimArgument, CompareArgument,
    DoneArgument, DoneKey, ForgetArgument, HistoryArgument, HistoryKey, StampKey, list, names,
    names_of_kols, names_of_more,
};
use super::merge_call::{self, Key};

/// Claims a partition: see `lua/claim.lua`.
pub static CLAIM: LazyLock<Script> = LazyLock::new(|| Script::new(&CLAIM_SOURCE));
/// Begins a flush: see `lua/begin.lua`.
pub static BEGIN: LazyLock<Script> = LazyLock::new(|| Script::new(&BEGIN_SOURCE));
/// Merges slots of the profiles `default` and `spark-compat`: see `lua/merge.lua`.
static MERGE: LazyLock<Script> = LazyLock::new(|| Script::new(&MERGE_SOURCE));
/// The same of the profile `rising`.
static MERGE_RISING: LazyLock<Script> = LazyLock::new(|| Script::new(&MERGE_RISING_SOURCE));
/// Ends a flush: see `lua/done.lua`.
pub static DONE: LazyLock<Script> = LazyLock::new(|| Script::new(&DONE_SOURCE));
/// Removes hashes that nothing names: see `lua/forget.lua`.
pub static FORGET: LazyLock<Script> = LazyLock::new(|| Script::new(&FORGET_SOURCE));

/// Compares what was sent with what is there: see `lua/compare.lua`.
static COMPARE: LazyLock<Script> = LazyLock::new(|| Script::new(&COMPARE_SOURCE));
/// The same of the profile `rising`.
static COMPARE_RISING: LazyLock<Script> = LazyLock::new(|| Script::new(&COMPARE_RISING_SOURCE));
/// Keeps the first of a ranking: see `lua/history.lua`.
pub static HISTORY: LazyLock<Script> = LazyLock::new(|| Script::new(&HISTORY_SOURCE));

/// Looks at the rules of alerts: see `lua/alerts.lua`.
pub static ALERTS: LazyLock<Script> = LazyLock::new(|| Script::new(&ALERTS_SOURCE));

/// What merges slots of a profile.
pub fn merge(profile: Profile) -> &'static Script {
    match profile {
        Profile::Default | Profile::SparkCompat => &MERGE,
        Profile::Rising => &MERGE_RISING,
    }
}

/// Source of what merges slots of a profile.
pub fn merge_source(profile: Profile) -> &'static str {
    match profile {
        Profile::Default | Profile::SparkCompat => &MERGE_SOURCE,
        Profile::Rising => &MERGE_RISING_SOURCE,
    }
}

/// What compares what was sent by a profile.
pub fn compare(profile: Profile) -> &'static Script {
    match profile {
        Profile::Default | Profile::SparkCompat => &COMPARE,
        Profile::Rising => &COMPARE_RISING,
    }
}

/// Source of the claim script: the names of its key and arguments, then `lua/claim.lua`.
pub static CLAIM_SOURCE: LazyLock<String> = LazyLock::new(|| {
    let arguments = ClaimArgument::ALL.map(ClaimArgument::lua);
    names(&[Key::Fence.lua()], &arguments) + include_str!("lua/claim.lua")
});
/// Source of the begin script: the names of its key and arguments, what scripts share, then `lua/begin.lua`.
pub static BEGIN_SOURCE: LazyLock<String> = LazyLock::new(|| {
    let arguments = BeginArgument::ALL.map(BeginArgument::lua);
    let source = concat!(include_str!("lua/owner.lua"), include_str!("lua/begin.lua"));
    names(&[Key::Fence.lua()], &arguments) + source
});
/// Source of the merge script: the names of keys, arguments, slots and fields, then what scripts share, then
/// `lua/merge.lua`.
pub static MERGE_SOURCE: LazyLock<String> = LazyLock::new(|| {
    let shared = concat!(
        include_str!("lua/errors.lua"),
        include_str!("lua/owner.lua"),
        include_str!("lua/score.lua"),
        include_str!("lua/biggest.lua"),
        include_str!("lua/merge.lua")
    );
    merge_call::script(Profile::Default, shared)
});
/// The same of the profile `rising`.
pub static MERGE_RISING_SOURCE: LazyLock<String> = LazyLock::new(|| {
    let shared = concat!(
        include_str!("lua/errors.lua"),
        include_str!("lua/owner.lua"),
        include_str!("lua/score.lua"),
        include_str!("lua/rising.lua"),
        include_str!("lua/merge.lua")
    );
    merge_call::script(Profile::Rising, shared)
});
/// Source of the done script: the names of its keys and arguments, what scripts share, then `lua/done.lua`.
pub static DONE_SOURCE: LazyLock<String> = LazyLock::new(|| {
    let arguments = DoneArgument::ALL.map(DoneArgument::lua);
    let source = concat!(
        include_str!("lua/errors.lua"),
        include_str!("lua/owner.lua"),
        include_str!("lua/done.lua")
    );
    let first_hash = DoneKey::ALL.len() + 1;
    let names = names(&DoneKey::ALL.map(DoneKey::lua), &arguments);
    names + &format!("local FIRST_HASH = {first_hash}\n") + source
});

/// Source of the compare script: the names of its keys and arguments, what scripts share, then `lua/compare.lua` with
/// the fields of hashes in place of two words.
pub static COMPARE_SOURCE: LazyLock<String> = LazyLock::new(|| compare_source(Profile::Default));
/// The same of the profile `rising`.
pub static COMPARE_RISING_SOURCE: LazyLock<String> =
    LazyLock::new(|| compare_source(Profile::Rising));

fn compare_source(profile: Profile) -> String {
    let arguments = CompareArgument::ALL.map(CompareArgument::lua);
    let source = concat!(
        include_str!("lua/errors.lua"),
        include_str!("lua/owner.lua"),
        include_str!("lua/compare.lua")
    );
    let stamps = StampKey::ALL.map(StampKey::lua);
    let keys = [&Key::ALL.map(Key::lua)[..], &stamps].concat();
    // As arguments of a call: a table of them would be unpacked for each KOL.
    let source = source
        .replace("HASH_FIELDS", &quoted(schema::hash_fields(profile)))
        .replace("LEGACY_FIELDS", &quoted(schema::LEGACY_FIELDS));
    names_of_kols(&keys, &arguments) + &source
}

/// Source of the forget script: the names of its keys and arguments, what scripts share, then `lua/forget.lua` with the
/// fields that say whose a hash is in place of two words.
pub static FORGET_SOURCE: LazyLock<String> = LazyLock::new(|| {
    let arguments = ForgetArgument::ALL.map(ForgetArgument::lua);
    let source = concat!(
        include_str!("lua/errors.lua"),
        include_str!("lua/owner.lua"),
        include_str!("lua/forget.lua")
    );
    let source = source
        .replace("LEGACY_IDENTITY", &quoted(schema::LEGACY_IDENTITY))
        .replace("IDENTITY", &quoted(schema::IDENTITY));
    names_of_kols(&Key::ALL.map(Key::lua), &arguments) + &source
});

fn quoted(names: impl IntoIterator<Item = &'static str>) -> String {
    list(names.into_iter().map(|name| format!("'{name}'")))
}

/// Source of the script of alerts: the names of its keys and arguments, what scripts share, then `lua/alerts.lua` with the
/// fields of hashes in place of a word, and how many they are in place of another.
pub static ALERTS_SOURCE: LazyLock<String> = LazyLock::new(|| {
    let arguments = AlertArgument::ALL.map(AlertArgument::lua);
    let source = concat!(
        include_str!("lua/errors.lua"),
        include_str!("lua/alerts.lua")
    );
    let fields = list(ALERT_FIELDS.iter().map(|name| format!("'{name}'")));
    let source = source
        .replace("HASH_FIELDS", &fields)
        .replace("HASH_COUNT", &ALERT_FIELDS.len().to_string());
    names_of_kols(&AlertKey::ALL.map(AlertKey::lua), &arguments) + &source
});

/// Source of the history script: the names of its keys and arguments, what scripts share, then `lua/history.lua`.
pub static HISTORY_SOURCE: LazyLock<String> = LazyLock::new(|| {
    let arguments = HistoryArgument::ALL.map(HistoryArgument::lua);
    let source = concat!(
        include_str!("lua/owner.lua"),
        include_str!("lua/history.lua")
    );
    names_of_more(&HistoryKey::ALL.map(HistoryKey::lua), &arguments) + source
});

/// All of them, to load after Redis lost them.
pub fn all() -> [&'static Script; 10] {
    [
        &CLAIM,
        &BEGIN,
        &MERGE,
        &MERGE_RISING,
        &FORGET,
        &DONE,
        &COMPARE,
        &COMPARE_RISING,
        &ALERTS,
        &HISTORY,
    ]
}

/// Loads all scripts if this error says that Redis has forgotten one. The request must be sent again.
pub(super) async fn load_forgotten(error: RedisError, open: &mut RedisConnection) -> RedisError {
    if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) {
        for script in all() {
            if let Err(failed) = script.prepare_invoke().load_async(open).await {
                return failed;
            }
        }
    }
    error
}
