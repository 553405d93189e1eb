//! Hashes that are in Redis before the job is: those of others, whose keys look like those of the job, and one that an
//! older generation of it left behind.

use super::db::Db;

/// Keys and fields of hashes that nobody may touch.
const FOREIGN: [(&str, &[&str]); 3] = [
    // As the system before this one wrote it.
    ("trending:tiktok:before", &["platform", "tiktok"]),
    // Of another job, which has another template.
    (
        "trending:tiktok:other:ann",
        &["kol_id", "ann", "platform", "tiktok", "generation", "0"],
    ),
    // Of one that has taken over the keys once, and will again.
    (
        "trending:tiktok:newer",
        &["kol_id", "newer", "platform", "tiktok", "generation", "999"],
    ),
];
/// What an older generation left behind.
const LEFT: (&str, &[&str]) = (
    "trending:tiktok:left",
    &["kol_id", "left", "platform", "tiktok", "generation", "0"],
);

/// Puts them there.
pub fn put(db: &mut Db) {
    for (key, fields) in FOREIGN.iter().chain([&LEFT]) {
        let words = ["HSET", key].into_iter().chain(fields.iter().copied());
        let command: Vec<_> = words.map(|word| word.as_bytes().to_vec()).collect();
        db.run(&command);
    }
}

/// Whether a key is one of those that nobody may touch.
pub fn is_foreign(key: &str) -> bool {
    FOREIGN.iter().any(|(of, _)| *of == key)
}

/// How those that nobody may touch differ from what they were; `lost`: Redis may have lost all of them together.
pub fn differences(db: &Db, lost: bool) -> Vec<String> {
    let mut before = Db::default();
    put(&mut before);
    let of = |db: &Db| {
        let mut hashes = db.hashes("trending:");
        hashes.retain(|key, _| is_foreign(key));
        hashes
    };
    let (before, now) = (of(&before), of(db));
    if now == before || (lost && now.is_empty()) {
        return Vec::new();
    }
    vec![format!("hashes of others were {before:?} and are {now:?}")]
}
