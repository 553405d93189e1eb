//! Which names in a record mean which field: the default names, those of a ready shape, or those of
//! `[source.fields]`; compiled once into a tree that the scan walks along.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What is read of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// The creator's name; without it a record cannot be used.
    Username,
    /// The platform; a record may leave it to the default.
    Platform,
    /// The video; none for a reading of the profile.
    VideoId,
    /// When it was read.
    EventTime,
    /// When the video was made.
    PublishedAt,
    /// Counter of likes: a total of the video or new ones, as `scoring.counters` says.
    Likes,
    /// Counter of comments, like `Likes`.
    Comments,
    /// Counter of shares, like `Likes`.
    Shares,
    /// Counter of views, like `Likes`; not part of the engagement.
    Views,
    /// See `Likes`; of the profile.
    Followers,
}

/// Most paths of one field.
pub const MAX_ALTERNATIVES: usize = 8;
/// Most steps of a path.
const MAX_STEPS: usize = 16;

impl Field {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 10] = [
        Self::Username,
        Self::Platform,
        Self::VideoId,
        Self::EventTime,
        Self::PublishedAt,
        Self::Likes,
        Self::Comments,
        Self::Shares,
        Self::Views,
        Self::Followers,
    ];
    /// The counters among them.
    pub const COUNTERS: [Self; 5] = [
        Self::Likes,
        Self::Comments,
        Self::Shares,
        Self::Views,
        Self::Followers,
    ];

    /// Its key in `[source.fields]`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Username => "username",
            Self::Platform => "platform",
            Self::VideoId => "video_id",
            Self::EventTime => "event_time",
            Self::PublishedAt => "published_at",
            Self::Likes => "likes",
            Self::Comments => "comments",
            Self::Shares => "shares",
            Self::Views => "views",
            Self::Followers => "followers",
        }
    }

    /// Where it is looked for unless a spec says otherwise, the plain names before the raw ones.
    pub fn default_paths(self) -> &'static [&'static str] {
        match self {
            Self::Username => &["username"],
            Self::Platform => &["platform"],
            Self::VideoId => &["video_id"],
            Self::EventTime => &["event_time"],
            Self::PublishedAt => &["published_at"],
            Self::Likes => &[
                "like_count",
                "video_likes",
                "like_count_raw",
                "video_likes_raw",
            ],
            Self::Comments => &[
                "comment_count",
                "video_comments",
                "comment_count_raw",
                "video_comments_raw",
            ],
            Self::Shares => &[
                "share_count",
                "video_shares",
                "share_count_raw",
                "video_shares_raw",
            ],
            Self::Views => &[
                "view_count",
                "video_views",
                "view_count_raw",
                "video_views_raw",
            ],
            Self::Followers => &[
                "followers_count",
                "followers",
                "followers_count_raw",
                "followers_raw",
            ],
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a field stands: `stats.diggCount`, `items[0].id`; with `$.` before it counted from the
/// record as a whole, also where the record is exploded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FieldPath {
    text: String,
    steps: Vec<Step>,
    of_record: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Key(Box<str>),
    Item(u32),
}

impl FieldPath {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it counts from the record as a whole (`$.`).
    pub fn is_of_record(&self) -> bool {
        self.of_record
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }
}

impl FromStr for FieldPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!("`{text}` is not a path like stats.diggCount or items[0].id: {why}")
        };
        let of_record = text.starts_with("$.") || text.starts_with("$[");
        let mut steps = Vec::new();
        let path = text.strip_prefix('$').filter(|_| of_record).unwrap_or(text);
        let path = path.strip_prefix('.').filter(|_| of_record).unwrap_or(path);
        for (number, part) in path.split('.').enumerate() {
            let (key, items) = part.split_at(part.find('[').unwrap_or(part.len()));
            if key.contains(']') {
                return Err(wrong("a `]` without its `[`"));
            }
            if !key.is_empty() {
                steps.push(Step::Key(key.into()));
            } else if items.is_empty() || number > 0 {
                return Err(wrong("a name is missing"));
            }
            let mut rest = items;
            while !rest.is_empty() {
                let item = rest.strip_prefix('[').and_then(|r| r.split_once(']'));
                let (digits, after) = item.ok_or_else(|| wrong("write [0], [1], …"))?;
                let number = digits.parse().map_err(|_| wrong("write [0], [1], …"))?;
                steps.push(Step::Item(number));
                rest = after;
            }
        }
        if steps.len() > MAX_STEPS {
            return Err(wrong("it has too many steps"));
        }
        Ok(Self {
            text: text.to_owned(),
            steps,
            of_record,
        })
    }
}

impl TryFrom<String> for FieldPath {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<FieldPath> for String {
    fn from(path: FieldPath) -> Self {
        path.text
    }
}

/// The paths of each field that a spec names; the others keep theirs.
pub type FieldPaths = BTreeMap<Field, Vec<FieldPath>>;

/// A field, and which of its paths this is: lower ones are preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    pub field: Field,
    pub rank: u8,
}

/// What a key or an item leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Nothing that is read.
    Skip,
    /// One field, and nothing below.
    Leaf(Leaf),
    /// The node of this number.
    Node(u16),
}

/// The number of the node that stands for the whole.
pub(super) const ROOT: u16 = 0;

/// The tree of all paths.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    nodes: Vec<Node>,
}

/// A place in the tree. Keys are sorted by length: of the many keys of a record that mean nothing,
/// nearly all are recognized by their length alone.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    keys: Vec<Key>,
    /// Where the keys of each length begin; the last place is for all longer ones.
    begins: [u8; LENGTHS + 1],
    items: Vec<(u32, Target)>,
    /// Fields whose value stands here.
    pub leaves: Vec<Leaf>,
}

/// A key of an object that leads somewhere.
#[derive(Clone, Debug)]
struct Key {
    /// See [`head`]: most names differ there, which is quickly compared.
    head: u64,
    name: Box<str>,
    target: Target,
}

/// The first eight bytes of a name, as a number.
#[inline]
fn head(name: &[u8]) -> u64 {
    match name.first_chunk() {
        Some(eight) => u64::from_le_bytes(*eight),
        None => name.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    }
}

/// Names of up to 29 bytes are recognized by their length, all longer ones together.
const LENGTHS: usize = 31;

impl Node {
    /// Where a name leads.
    #[inline]
    pub fn key(&self, name: &[u8]) -> Target {
        self.known_key(name)
            .map_or(Target::Skip, |(_, target)| target)
    }

    /// The number of the key with a name, among the keys of this place, and where it leads.
    #[inline]
    pub fn known_key(&self, name: &[u8]) -> Option<(usize, Target)> {
        let length = name.len().min(LENGTHS - 1);
        let first = usize::from(self.begins[length]);
        let keys = &self.keys[first..usize::from(self.begins[length + 1])];
        if keys.is_empty() {
            return None;
        }
        let head = head(name);
        let is_it = |key: &Key| key.head == head && key.name.as_bytes() == name;
        let found = keys.iter().position(is_it)?;
        Some((first + found, keys[found].target))
    }

    pub fn item(&self, number: u32) -> Target {
        let found = self.items.iter().find(|(item, _)| *item == number);
        found.map_or(Target::Skip, |(_, target)| *target)
    }

    pub fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    pub fn has_items(&self) -> bool {
        !self.items.is_empty()
    }

    fn child(&self, step: &Step) -> Option<u16> {
        let target = match step {
            Step::Key(name) => self.keys.iter().find(|key| key.name == *name)?.target,
            Step::Item(number) => self.item(*number),
        };
        match target {
            Target::Node(node) => Some(node),
            _ => None,
        }
    }
}

impl Plan {
    /// Of these paths, each with the field and rank it is for. At most 2^8 keys lie in one place:
    /// fields and their alternatives are fewer.
    pub fn new<'p>(paths: impl IntoIterator<Item = (Leaf, &'p FieldPath)>) -> Self {
        let mut nodes = vec![Node::default()];
        for (leaf, path) in paths {
            let mut at = 0;
            for step in path.steps() {
                at = match nodes[at].child(step) {
                    Some(node) => usize::from(node),
                    None => {
                        let new = nodes.len();
                        nodes.push(Node::default());
                        let target = Target::Node(new as u16);
                        match step {
                            Step::Key(name) => nodes[at].keys.push(Key {
                                head: head(name.as_bytes()),
                                name: name.clone(),
                                target,
                            }),
                            Step::Item(number) => nodes[at].items.push((*number, target)),
                        }
                        new
                    }
                };
            }
            nodes[at].leaves.push(leaf);
        }
        let short: Vec<Option<Leaf>> = nodes.iter().map(only_leaf).collect();
        for node in &mut nodes {
            let keys = node.keys.iter_mut().map(|key| &mut key.target);
            for target in keys.chain(node.items.iter_mut().map(|(_, target)| target)) {
                if let Target::Node(number) = *target
                    && let Some(leaf) = short[usize::from(number)]
                {
                    *target = Target::Leaf(leaf);
                }
            }
            node.keys.sort_by_key(|key| key.name.len().min(LENGTHS - 1));
            for length in 0..=LENGTHS {
                let shorter = |key: &Key| key.name.len().min(LENGTHS - 1) < length;
                node.begins[length] = node.keys.partition_point(shorter) as u8;
            }
        }
        Self { nodes }
    }

    /// Whether it looks for nothing.
    pub fn is_empty(&self) -> bool {
        let root = self.root();
        !root.has_keys() && !root.has_items() && root.leaves.is_empty()
    }

    pub fn root(&self) -> &Node {
        self.node(ROOT)
    }

    /// All nodes, by number.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    pub fn node(&self, number: u16) -> &Node {
        &self.nodes[usize::from(number)]
    }
}

/// The one field of a node with nothing below it.
fn only_leaf(node: &Node) -> Option<Leaf> {
    match node.leaves.as_slice() {
        [leaf] if node.keys.is_empty() && node.items.is_empty() => Some(*leaf),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_and_nonsense_is_refused_with_its_reason() {
        for text in [
            "a",
            "stats.diggCount",
            "items[0].id",
            "a[1][2].b",
            "[0].id",
            "$.at",
            "$[0].a",
        ] {
            let path: FieldPath = text.parse().unwrap();
            assert_eq!(path.as_str(), text);
            assert_eq!(path.is_of_record(), text.starts_with('$'), "{text}");
        }
        assert!(!"$price".parse::<FieldPath>().unwrap().is_of_record());
        for text in [
            "", ".", "a.", ".a", "a..b", "a[", "a[x]", "a[-1]", "a]", "a[0]b", "a.[0]", "$.",
        ] {
            let error = text.parse::<FieldPath>().unwrap_err();
            assert!(error.contains("is not a path"), "{text}: {error}");
        }
    }

    #[test]
    fn a_key_leads_to_its_field_whatever_its_length() {
        let long = "a".repeat(50);
        let names = ["a", "bb", "b2", &long, "x.y", "x.z", "x"];
        let paths: Vec<FieldPath> = names.iter().map(|n| n.parse().unwrap()).collect();
        let leaf = |rank| Leaf {
            field: Field::Likes,
            rank,
        };
        let plan = Plan::new((0..).map(leaf).zip(&paths));
        for (rank, name) in (0..).zip(&names[..4]) {
            assert_eq!(
                plan.root().key(name.as_bytes()),
                Target::Leaf(leaf(rank)),
                "{name}"
            );
        }
        assert_eq!(plan.root().key(b"c"), Target::Skip);
        assert_eq!(plan.root().key(&[b'b'; 50]), Target::Skip);
        let Target::Node(below) = plan.root().key(b"x") else {
            panic!("x has fields below");
        };
        let below = plan.node(below);
        assert_eq!(below.key(b"z"), Target::Leaf(leaf(5)));
        assert_eq!(below.leaves, [leaf(6)]);
    }
}
