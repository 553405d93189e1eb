//! A pass over the text of one object, straight along its bytes, for what nearly all records are: keys and the values
//! that are read without escapes, plain numbers, no key twice, nothing nested where a field is read.
//!
//! It knows no errors. Whatever is different, or no JSON, it declines, and `scan` decides. What it takes it reads
//! as `scan` does; the tests compare the two on valid, changed and random input.
//!
//! Places in the text are passed on by value: they stay in registers.
//!
//! | file | does |
//! |---|---|
//! | `text` | tokens, strings and numbers at a place of the text |
//! | `block` | where a string may end, sixteen bytes at a time |
//! | `skip` | passes over values that nobody reads, and checks them |
//! | `order` | which key comes next, most likely |
//! | `seen` | what was found |

mod block;
mod order;
mod seen;
mod skip;
mod text;

use super::plan::{Leaf, Node, Plan, ROOT, Target};
use order::{Key, NONE, Number, Order};
use seen::is_of_texts;
use text::{Behind, Next, Text};

pub(super) use order::Orders;
pub(super) use seen::Seen;

/// Notes what a plan looks for in a text; `None`: this pass does not say what it is.
pub(super) fn scan<'a>(
    text: &'a str,
    plan: &Plan,
    orders: &Orders,
    seen: &mut Seen<'a>,
) -> Option<()> {
    let mut walk = Walk {
        text: Text::new(text),
        plan,
        orders,
        seen,
    };
    let (first, at) = walk.text.token(0)?;
    if first != b'{' {
        return None;
    }
    let end = walk.object(ROOT, at)?;
    walk.text.is_end(end).then_some(())
}

struct Walk<'p, 's, 'a> {
    text: Text<'a>,
    plan: &'p Plan,
    orders: &'p Orders,
    seen: &'s mut Seen<'a>,
}

impl Walk<'_, '_, '_> {
    /// The rest of an object behind its bracket. Nested no deeper than the paths of the plan are long.
    fn object(&mut self, node: u16, at: usize) -> Behind {
        let (text, order) = (self.text, self.orders.of(node)?);
        let node = self.plan.node(node);
        let mut next = text.first_key(at)?;
        let mut last = NONE;
        loop {
            let begin = match next {
                Next::Key(begin) => begin,
                Next::End(behind) => return Some(behind),
            };
            let key = match order.guess(last, text, begin) {
                Some(key) => key,
                None => self.other_key(node, order, last, begin)?,
            };
            last = key.number;
            let (first, at) = (text.byte(key.value)?, key.value + 1);
            let behind = match key.target {
                Target::Skip => text.skip_value(first, at)?,
                Target::Leaf(leaf) => self.leaf(leaf, first, at)?,
                Target::Node(below) => self.below(below, first, at)?,
            };
            next = text.behind_value(behind)?;
        }
    }

    /// A key that does not follow the one before as it did the last time.
    #[inline(never)]
    fn other_key(&self, node: &Node, order: &Order, last: Number, begin: usize) -> Option<Key> {
        let text = self.text;
        let end = text.content(begin);
        let value = text.value_of_key(end)?.1 - 1;
        let known = node.known_key(text.bytes_between(begin, end)?);
        Some(Key {
            number: order.learn(last, text.bytes_between(begin, value)?, known),
            target: known.map_or(Target::Skip, |(_, target)| target),
            value,
        })
    }

    /// A value that has fields in it, or is one.
    #[inline(never)]
    fn below(&mut self, node: u16, first: u8, at: usize) -> Behind {
        let leaves = &self.plan.node(node).leaves;
        match first {
            b'{' => self.object(node, at),
            b'"' if leaves.is_empty() => Some(self.text.string(at)?.1),
            b'[' => None,
            _ if leaves.is_empty() => None,
            _ => {
                // The same value for each of them.
                let mut behind = at;
                for leaf in leaves {
                    behind = self.one_of_leaves(*leaf, first, at)?;
                }
                Some(behind)
            }
        }
    }

    #[inline(never)]
    fn one_of_leaves(&mut self, leaf: Leaf, first: u8, at: usize) -> Behind {
        self.leaf(leaf, first, at)
    }

    /// The value of a field.
    #[inline(always)]
    fn leaf(&mut self, leaf: Leaf, first: u8, at: usize) -> Behind {
        self.seen.first_time(leaf)?;
        match first {
            b'"' => {
                let (value, behind) = self.text.string(at)?;
                self.seen.set_text(leaf, value);
                Some(behind)
            }
            b'0'..=b'9' => {
                let number = self.text.number(at - 1)?;
                if self.text.is_decimal(number.behind) {
                    return self.rare(leaf, first, at);
                }
                if is_of_texts(leaf.field) {
                    self.seen
                        .set_digits(leaf, self.text.between(at - 1, number.behind)?)?;
                } else {
                    self.seen.set_whole(leaf, number.value);
                }
                Some(number.behind)
            }
            _ => self.rare(leaf, first, at),
        }
    }

    /// What few values are.
    #[inline(never)]
    fn rare(&mut self, leaf: Leaf, first: u8, at: usize) -> Behind {
        match first {
            b'n' => self.text.literal("ull", at),
            b'-' => {
                let behind = self.text.negative(at)?;
                if is_of_texts(leaf.field) {
                    self.seen
                        .set_digits(leaf, self.text.between(at - 1, behind)?)?;
                } else {
                    self.seen.set_negative(leaf);
                }
                Some(behind)
            }
            b'0'..=b'9' if !is_of_texts(leaf.field) => {
                let (decimal, behind) = self.text.decimal(at - 1)?;
                self.seen.set_decimal(leaf, decimal);
                Some(behind)
            }
            _ => None,
        }
    }
}
