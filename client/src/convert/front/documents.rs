//! YAML documents as trees of bounded size.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser};

/// Most nodes, also after aliases are replaced.
const MAX_NODES: usize = 100_000;
/// Deepest nesting that is read.
const MAX_DEPTH: usize = 100;

/// A part of a document.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Scalar(String, usize),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// Reads all documents.
pub(super) fn documents(source: &str) -> Result<Vec<Node>, (usize, String)> {
    let mut reader = Reader {
        parser: Parser::new_from_str(source),
        anchors: BTreeMap::new(),
        nodes: 0,
        line: 1,
    };
    let mut all = Vec::new();
    while let Some(event) = reader.next()? {
        match event {
            Event::StreamEnd => break,
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
            event => all.push(reader.node(event, 0)?),
        }
    }
    Ok(all)
}

struct Reader<'s> {
    parser: Parser<'s, saphyr_parser::StrInput<'s>>,
    anchors: BTreeMap<usize, (Node, usize)>,
    nodes: usize,
    line: usize,
}

impl<'s> Reader<'s> {
    fn next(&mut self) -> Result<Option<Event<'s>>, (usize, String)> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok((event, span))) => {
                self.line = span.start.line();
                Ok(Some(event))
            }
            Some(Err(error)) => Err((error.marker().line(), error.info().to_owned())),
        }
    }

    fn count(&mut self, nodes: usize) -> Result<(), (usize, String)> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err((self.line, format!("more than {MAX_NODES} values")));
        }
        Ok(())
    }

    fn node(&mut self, event: Event<'s>, depth: usize) -> Result<Node, (usize, String)> {
        if depth > MAX_DEPTH {
            return Err((self.line, format!("nested more than {MAX_DEPTH} deep")));
        }
        self.count(1)?;
        let before = self.nodes;
        let (node, anchor) = match event {
            Event::Scalar(text, _, anchor, _) => {
                (Node::Scalar(text.into_owned(), self.line), anchor)
            }
            Event::SequenceStart(anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(depth)?, anchor),
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor).cloned();
                let (node, size) = known.unwrap_or((Node::List(Vec::new()), 1));
                self.count(size)?;
                (node, 0)
            }
            _ => (Node::List(Vec::new()), 0),
        };
        if anchor > 0 {
            self.anchors
                .insert(anchor, (node.clone(), 1 + self.nodes - before));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Node, (usize, String)> {
        let mut items = Vec::new();
        while let Some(event) = self.next()? {
            if matches!(event, Event::SequenceEnd) {
                break;
            }
            items.push(self.node(event, depth + 1)?);
        }
        Ok(Node::List(items))
    }

    fn map(&mut self, depth: usize) -> Result<Node, (usize, String)> {
        let mut pairs = Vec::new();
        while let Some(event) = self.next()? {
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = self.node(event, depth + 1)?;
            let Some(event) = self.next()? else { break };
            let value = self.node(event, depth + 1)?;
            match (key, value) {
                // `<<: *anchor` merges another mapping in.
                (Node::Scalar(key, _), Node::Map(merged)) if key == "<<" => pairs.extend(merged),
                (Node::Scalar(key, _), value) => pairs.push((key, value)),
                _ => {}
            }
        }
        Ok(Node::Map(pairs))
    }
}

impl Node {
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        match self {
            Self::Map(pairs) => pairs.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// What kind of object of Kubernetes it is.
    pub(super) fn kind(&self) -> &str {
        let kind = self.get("kind").and_then(Node::scalar);
        kind.map_or("", |(kind, _)| kind)
    }

    /// The name of such an object, and its line.
    pub(super) fn name(&self) -> Option<(&str, usize)> {
        self.get("metadata")?.get("name")?.scalar()
    }

    /// Whether it is an application of Spark's operator.
    pub(super) fn is_application(&self) -> bool {
        matches!(
            self.kind(),
            "SparkApplication" | "ScheduledSparkApplication"
        )
    }

    /// Line of the first value in it.
    pub(super) fn line(&self) -> usize {
        match self {
            Self::Scalar(_, line) => *line,
            Self::List(items) => items.first().map_or(1, Self::line),
            Self::Map(pairs) => pairs.first().map_or(1, |(_, value)| value.line()),
        }
    }

    pub(super) fn scalar(&self) -> Option<(&str, usize)> {
        match self {
            Self::Scalar(text, line) => Some((text, *line)),
            _ => None,
        }
    }

    /// Whether a file of this name is named anywhere in it.
    pub(super) fn names(&self, file: &str) -> bool {
        match self {
            Self::Scalar(text, _) => text
                .split(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | ','))
                .any(|word| word == file),
            Self::List(items) => items.iter().any(|item| item.names(file)),
            Self::Map(pairs) => pairs.iter().any(|(_, value)| value.names(file)),
        }
    }

    /// Whether a word stands anywhere in it.
    pub(super) fn mentions(&self, word: &str) -> bool {
        match self {
            Self::Scalar(text, _) => text.contains(word),
            Self::List(items) => items.iter().any(|i| i.mentions(word)),
            Self::Map(pairs) => pairs
                .iter()
                .any(|(k, v)| k.contains(word) || v.mentions(word)),
        }
    }
}
