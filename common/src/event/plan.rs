//! The paths of all fields, compiled once into a tree that the passes over a record walk along.

use super::fields::{Field, FieldPath, Step};

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
