//! What the front-ends with syntax trees share: parsing within bounds, and translating into the
//! common model.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tree_sitter::{Language, Node, ParseOptions, Parser, Tree};

use crate::convert::syntax::{Binding, Change, Expr, Kind, Program, Scope, ScopeKind, Statement};

/// Longest time for one file.
const PARSE_TIME: Duration = Duration::from_secs(5);
/// Deepest nesting that is translated; the conversion has a stack for it.
const MAX_DEPTH: usize = 1_500;

/// Parses a text; `None` if that takes too long.
pub(super) fn parse(language: &Language, source: &str) -> Option<Tree> {
    let mut parser = Parser::new();
    parser.set_language(language).ok()?;
    let end = Instant::now() + PARSE_TIME;
    let mut in_time = |_: &tree_sitter::ParseState| {
        if Instant::now() > end {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let options = ParseOptions::new().progress_callback(&mut in_time);
    let bytes = source.as_bytes();
    let mut read = |at: usize, _: tree_sitter::Point| bytes.get(at..).unwrap_or(&[]);
    parser.parse_with_options(&mut read, None, Some(options))
}

/// Line of the first place that could not be read as this language.
pub(super) fn first_error(root: Node<'_>) -> Option<usize> {
    let mut node = root;
    if !node.has_error() {
        return None;
    }
    loop {
        let mut cursor = node.walk();
        let inner = node
            .children(&mut cursor)
            .find(|child| child.has_error() || child.is_missing());
        match inner {
            Some(inner) if !node.is_error() => node = inner,
            _ => return Some(line(node)),
        }
    }
}

/// Line of a node, from 1.
pub(super) fn line(node: Node<'_>) -> usize {
    node.start_position().row + 1
}

/// Named children without comments.
pub(super) fn children<'t>(node: Node<'t>) -> Vec<Node<'t>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor)
        .filter(|child| !child.kind().contains("comment"))
        .collect()
}

/// What the nodes of a language mean; the walk through them is the same.
#[derive(Clone, Copy)]
pub(super) struct Words {
    /// Notes what a statement does.
    pub(super) statement: fn(&mut Builder, Node<'_>),
    /// Translates an expression.
    pub(super) kind: fn(&mut Builder, Node<'_>) -> Kind,
}

/// Translates a source; `None` if parsing takes too long.
pub(super) fn program(
    grammar: &Language,
    words: Words,
    file: &str,
    source: &str,
) -> Option<Program> {
    let tree = parse(grammar, source)?;
    let mut b = Builder::new(file, source, words);
    b.program.broken_at = first_error(tree.root_node());
    b.block(tree.root_node());
    Some(b.program)
}

/// Both sides of an assignment.
pub(super) fn sides<'t>(node: Node<'t>) -> Option<(Node<'t>, Node<'t>)> {
    let side = |name| node.child_by_field_name(name);
    side("left").zip(side("right"))
}

/// Writes a program while a syntax tree is walked.
pub(super) struct Builder {
    words: Words,
    pub(super) program: Program,
    scope: usize,
    order: usize,
    depth: usize,
    branches: usize,
    /// Names that a function declares to be those of the file, with its scope.
    globals: Vec<(usize, String)>,
    /// Names that a function declares to be those of the function around it, with its scope.
    outer: Vec<(usize, String)>,
}

impl Builder {
    fn new(file: &str, source: &str, words: Words) -> Self {
        Self {
            words,
            program: Program::new(file, source),
            scope: 0,
            order: 0,
            depth: 0,
            branches: 0,
            globals: Vec::new(),
            outer: Vec::new(),
        }
    }

    /// The text of a node.
    pub(super) fn text(&self, node: Node<'_>) -> &str {
        self.program.source.get(node.byte_range()).unwrap_or("")
    }

    /// The name of what a node defines.
    pub(super) fn named(&self, node: Node<'_>) -> String {
        let name = node.child_by_field_name("name");
        name.map_or_else(String::new, |name| self.text(name).to_owned())
    }

    /// Walks through statements.
    pub(super) fn block(&mut self, node: Node<'_>) {
        for child in children(node) {
            self.one(child);
        }
    }

    /// Notes what one statement does.
    pub(super) fn one(&mut self, node: Node<'_>) {
        let statement = self.words.statement;
        self.deeper(|b| statement(b, node));
    }

    /// Walks through the body of a class or function.
    pub(super) fn body(&mut self, node: Node<'_>) {
        if let Some(body) = node.child_by_field_name("body") {
            self.block(body);
        }
    }

    /// Translates an expression.
    pub(super) fn expression(&mut self, node: Node<'_>) -> Expr {
        let kind = self.words.kind;
        let kind = self.deeper(|b| kind(b, node));
        self.expr(node, kind.unwrap_or(Kind::Other(Vec::new())))
    }

    /// Translates all expressions in a node.
    pub(super) fn all(&mut self, node: Node<'_>) -> Vec<Expr> {
        let children = children(node).into_iter();
        children.map(|child| self.expression(child)).collect()
    }

    /// Translates a part of a node.
    pub(super) fn field(&mut self, node: Node<'_>, name: &str) -> Option<Box<Expr>> {
        let child = node.child_by_field_name(name)?;
        Some(Box::new(self.expression(child)))
    }

    /// An expression at a node.
    pub(super) fn expr(&self, node: Node<'_>, kind: Kind) -> Expr {
        Expr {
            kind,
            line: line(node),
            span: node.byte_range(),
        }
    }

    /// Runs `inner` one level deeper; `None` if that is too deep.
    pub(super) fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.depth >= MAX_DEPTH {
            self.program.broken_at.get_or_insert(1);
            return None;
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        Some(result)
    }

    /// Runs `inner` for what may not be executed.
    pub(super) fn branch(&mut self, inner: impl FnOnce(&mut Self)) {
        self.branches += 1;
        inner(self);
        self.branches -= 1;
    }

    /// Runs `inner` in a scope of its own.
    pub(super) fn scoped(
        &mut self,
        name: String,
        kind: ScopeKind,
        params: Vec<(String, Option<Expr>)>,
        inner: impl FnOnce(&mut Self),
    ) {
        let (outside, branches) = (self.scope, std::mem::take(&mut self.branches));
        self.program.scopes.push(Scope {
            parent: Some(outside),
            name,
            kind,
            params,
            rest: None,
            bases: Vec::new(),
            decorators: Vec::new(),
            returns: Vec::new(),
        });
        self.scope = self.program.scopes.len() - 1;
        inner(self);
        self.scope = outside;
        self.branches = branches;
    }

    /// In this scope the name is that of the file.
    pub(super) fn global(&mut self, name: String) {
        self.globals.push((self.scope, name));
    }

    /// In this scope the name is that of a function around it.
    pub(super) fn outer(&mut self, name: String) {
        self.outer.push((self.scope, name));
    }

    /// The classes that this class extends.
    pub(super) fn bases(&mut self, bases: Vec<String>) {
        if let Some(scope) = self.program.scopes.get_mut(self.scope) {
            scope.bases = bases;
        }
    }

    /// The decorators of this function or class.
    pub(super) fn decorators(&mut self, decorators: Vec<Expr>) {
        for decorator in decorators {
            self.order += 1;
            let order = self.order;
            if let Some(scope) = self.program.scopes.get_mut(self.scope) {
                scope.decorators.push((order, decorator));
            }
        }
    }

    /// All names of a module are imported.
    pub(super) fn star(&mut self, module: String) {
        self.order += 1;
        self.program.stars.push((self.scope, self.order, module));
    }

    /// The parameter of this function that takes all other named arguments.
    pub(super) fn rest(&mut self, name: Option<String>) {
        if let Some(scope) = self.program.scopes.get_mut(self.scope) {
            scope.rest = name;
        }
    }

    /// Notes that a name gets a value that is not followed: the variable of a loop, a part of a pattern.
    pub(super) fn bind_unknown(&mut self, node: Node<'_>) {
        let name = self.text(node).to_owned();
        let value = self.expr(node, Kind::Other(Vec::new()));
        self.bind(name, Change::Set, value);
    }

    /// Notes a change of what `target` leads to that is not followed.
    pub(super) fn change_unknown(&mut self, target: Expr) {
        let Expr { line, span, .. } = &target;
        let (line, span) = (*line, span.clone());
        let kind = Kind::Null;
        match target.root_path() {
            Some(name) => self.bind(name, Change::Remove(None), Expr { kind, line, span }),
            None => {
                self.order += 1;
                self.program.unfollowed.push(Statement {
                    scope: self.scope,
                    order: self.order,
                    expr: target,
                    conditional: true,
                });
            }
        }
    }

    /// Notes that a name gets a value.
    pub(super) fn bind(&mut self, name: String, change: Change, value: Expr) {
        let is_outer = self.outer.contains(&(self.scope, name.clone()));
        let declares = matches!(change, Change::Set) && !name.contains('.') && !is_outer;
        self.bind_as(name, change, value, declares);
    }

    /// Notes that a name gets a value; `declares` if the name belongs to this scope by that.
    pub(super) fn bind_as(&mut self, name: String, change: Change, value: Expr, declares: bool) {
        self.order += 1;
        let mut globals = self.globals.iter();
        let is_global = globals.any(|(scope, global)| *scope == self.scope && *global == name);
        self.program.bindings.push(Binding {
            scope: if is_global { 0 } else { self.scope },
            order: self.order,
            name,
            change,
            value,
            // When a function is called, only the run knows.
            conditional: self.branches > 0 || is_global,
            declares: declares && !is_global,
        });
    }

    /// Notes an expression that stands alone.
    pub(super) fn statement(&mut self, expr: Expr) {
        self.order += 1;
        self.program.statements.push(Statement {
            scope: self.scope,
            order: self.order,
            expr,
            conditional: self.branches > 0,
        });
    }

    /// Notes what the function returns.
    pub(super) fn returns(&mut self, expr: Expr) {
        self.order += 1;
        let order = self.order;
        if let Some(scope) = self.program.scopes.get_mut(self.scope) {
            scope.returns.push((order, expr));
        }
    }
}
