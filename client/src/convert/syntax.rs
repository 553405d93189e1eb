//! What Python and Scala sources have in common here: names that are bound to expressions, in scopes.
//! The front-ends translate their syntax trees into this; the evaluator reads nothing else.

use std::ops::Range;

/// One source file.
#[derive(Debug, Default)]
pub struct Program {
    /// Name of the file, as messages show it.
    pub file: String,
    /// Its text; expressions refer to ranges of it.
    pub source: String,
    /// Scope 0 is the file itself.
    pub scopes: Vec<Scope>,
    /// Everything that gives a name a value, in the order of the file.
    pub bindings: Vec<Binding>,
    /// Expressions that stand alone.
    pub statements: Vec<Statement>,
    /// Targets of assignments that no name leads to: `settings()["topic"] = …`.
    pub unfollowed: Vec<Statement>,
    /// Modules of which all names are imported, with the position in the order of the file.
    pub stars: Vec<(usize, usize, String)>,
    /// Line at which the file could not be read as this language.
    pub broken_at: Option<usize>,
}

/// A file, class or function.
#[derive(Debug)]
pub struct Scope {
    /// Scope around this one.
    pub parent: Option<usize>,
    /// Name of the class or function.
    pub name: String,
    /// What kind of scope it is.
    pub kind: ScopeKind,
    /// Parameters and their defaults.
    pub params: Vec<(String, Option<Expr>)>,
    /// The parameter that takes all other named arguments: `**rest`.
    pub rest: Option<String>,
    /// Names of the classes that a class extends.
    pub bases: Vec<String>,
    /// Decorators of a function or class, with their position in the file's order.
    pub decorators: Vec<(usize, Expr)>,
    /// What the function returns, with its position in the file's order.
    pub returns: Vec<(usize, Expr)>,
}

/// What kind of scope it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeKind {
    /// The whole file.
    File,
    /// A class, or a Scala object.
    Class,
    /// A function or method.
    Function,
}

/// Gives a name a value, or changes the one it has.
#[derive(Debug)]
pub struct Binding {
    /// Scope that the name belongs to.
    pub scope: usize,
    /// Position in the order of the file.
    pub order: usize,
    /// Dotted name: `topic`, `self.topic`.
    pub name: String,
    /// What happens to the name.
    pub change: Change,
    /// What the name gets, or is changed by.
    pub value: Expr,
    /// It stands in a branch or loop and may not be executed.
    pub conditional: bool,
    /// The name belongs to the scope by this binding; otherwise it may be that of a scope around it.
    pub declares: bool,
}

/// What a binding does to its name.
#[derive(Debug)]
pub enum Change {
    /// `name = value`.
    Set,
    /// `name[key] = value`.
    Insert(Expr),
    /// `name.update(value)`, `name |= value`, `name ++= value`.
    Merge,
    /// `name += value`; an element is added to a list.
    Append,
    /// `name.setdefault(key, value)`.
    Default(Expr),
    /// `name.pop(key)`; without a key, a change that is not followed.
    Remove(Option<Expr>),
}

/// An expression that stands alone.
#[derive(Debug)]
pub struct Statement {
    /// Scope it stands in.
    pub scope: usize,
    /// Position in the order of the file.
    pub order: usize,
    /// What is evaluated; its result is dropped.
    pub expr: Expr,
    /// It stands in a branch or loop and may not be executed.
    pub conditional: bool,
}

/// An expression and where it stands.
#[derive(Debug)]
pub struct Expr {
    /// What it is.
    pub kind: Kind,
    /// Line, from 1.
    pub line: usize,
    /// Bytes of the source.
    pub span: Range<usize>,
}

/// Kinds of expressions that matter here.
#[derive(Debug)]
pub enum Kind {
    /// A text without expressions in it.
    Literal(String),
    /// A number, truth value or null, as Spark's options spell it.
    Atom(String),
    /// What another module calls by this name; the module itself if that is empty.
    Import(String, String),
    /// Nothing: `None`, `null`.
    Null,
    /// A text with expressions in it.
    Pieces(Vec<Expr>),
    /// A name that a scope gives a value.
    Name(String),
    /// `base.name`.
    Member(Box<Expr>, String),
    /// `base[key]`.
    Index(Box<Expr>, Box<Expr>),
    /// `callee(arguments)`.
    Call(Box<Expr>, Vec<Argument>),
    /// Pairs; a key that is `None` merges the value, a dictionary, in.
    Map(Vec<(Option<Expr>, Expr)>),
    /// A list, tuple or set.
    List(Vec<Expr>),
    /// `a + b`.
    Sum(Box<Expr>, Box<Expr>),
    /// The first that has a value: `a or b`.
    Either(Box<Expr>, Box<Expr>),
    /// One of several, depending on what only the run knows.
    Choice(Vec<Expr>),
    /// Anything else, with what it contains.
    Other(Vec<Expr>),
}

/// An argument of a call.
#[derive(Debug)]
pub struct Argument {
    /// Its name, if it is passed by name.
    pub name: Option<String>,
    /// `**value`: a dictionary of arguments.
    pub spread: bool,
    /// The expression that is passed.
    pub value: Expr,
}

impl Argument {
    /// One that is passed by its position.
    pub fn plain(value: Expr) -> Self {
        Self {
            name: None,
            spread: false,
            value,
        }
    }
}

impl Program {
    /// A program without anything in it.
    pub fn new(file: &str, source: &str) -> Self {
        Self {
            file: file.to_owned(),
            source: source.to_owned(),
            scopes: vec![Scope {
                parent: None,
                name: String::new(),
                kind: ScopeKind::File,
                params: Vec::new(),
                rest: None,
                bases: Vec::new(),
                decorators: Vec::new(),
                returns: Vec::new(),
            }],
            ..Self::default()
        }
    }

    /// All expressions with their scope and their position in the order of the file; defaults of
    /// parameters are not among them.
    pub fn expressions(&self) -> impl Iterator<Item = (usize, usize, &Expr)> {
        let bound = self.bindings.iter().map(|b| (b.scope, b.order, &b.value));
        let returned = self.scopes.iter().enumerate().flat_map(|(scope, s)| {
            s.returns
                .iter()
                .map(move |(order, expr)| (scope, *order, expr))
        });
        let decorating = self.scopes.iter().flat_map(|s| {
            let around = s.parent.unwrap_or(0);
            let all = s.decorators.iter();
            all.map(move |(order, expr)| (around, *order, expr))
        });
        let alone = self.statements.iter().map(|s| (s.scope, s.order, &s.expr));
        bound.chain(returned).chain(decorating).chain(alone)
    }

    /// The source of an expression.
    pub fn text(&self, expr: &Expr) -> &str {
        self.source.get(expr.span.clone()).unwrap_or("")
    }

    /// The innermost scope of a kind around `scope`, itself included.
    pub fn enclosing(&self, scope: usize, kind: ScopeKind) -> Option<usize> {
        let mut at = Some(scope);
        while let Some(index) = at {
            let scope = self.scopes.get(index)?;
            if scope.kind == kind {
                return Some(index);
            }
            at = scope.parent;
        }
        None
    }
}

impl Expr {
    /// `a.b.c` for names and members of names.
    pub fn path(&self) -> Option<String> {
        match &self.kind {
            Kind::Name(name) => Some(name.clone()),
            Kind::Member(base, name) => Some(format!("{}.{name}", base.path()?)),
            _ => None,
        }
    }

    /// The name whose value is changed when this is assigned to: `a.b` for `a.b["c"]["d"]`.
    pub fn root_path(&self) -> Option<String> {
        match &self.kind {
            Kind::Index(base, _) => base.root_path(),
            Kind::Member(base, _) => self.path().or_else(|| base.root_path()),
            _ => self.path(),
        }
    }

    /// The last name of what is called: `load` for `a.b.load()`.
    pub fn last_name(&self) -> Option<&str> {
        match &self.kind {
            Kind::Name(name) | Kind::Member(_, name) => Some(name),
            _ => None,
        }
    }

    /// Calls `visit` for this expression and all in it, innermost last.
    pub fn walk<'e>(&'e self, visit: &mut dyn FnMut(&'e Expr)) {
        visit(self);
        self.children(&mut |child| child.walk(visit));
    }

    fn children<'e>(&'e self, visit: &mut dyn FnMut(&'e Expr)) {
        match &self.kind {
            Kind::Literal(_) | Kind::Atom(_) | Kind::Null | Kind::Import(..) | Kind::Name(_) => {}
            Kind::Member(base, _) => visit(base),
            Kind::Index(a, b) | Kind::Sum(a, b) | Kind::Either(a, b) => {
                visit(a);
                visit(b);
            }
            Kind::Call(callee, arguments) => {
                visit(callee);
                arguments.iter().for_each(|a| visit(&a.value));
            }
            Kind::Map(pairs) => {
                for (key, value) in pairs {
                    key.iter().for_each(&mut *visit);
                    visit(value);
                }
            }
            Kind::Pieces(all) | Kind::List(all) | Kind::Choice(all) | Kind::Other(all) => {
                all.iter().for_each(visit);
            }
        }
    }
}
