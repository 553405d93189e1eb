//! Reads the text of a module: what it names. No more of the language than that needs.

use std::collections::BTreeSet;

/// What the text of one module names.
#[derive(Debug, Default)]
pub struct Module {
    /// Its `use` declarations, one for each name.
    pub uses: Vec<Use>,
    /// Paths that begin with `crate`, `super`, `self` or a child, and what is no `use`.
    pub paths: Vec<Vec<String>>,
    /// Every identifier outside of `use`.
    pub words: BTreeSet<String>,
    /// Names of what it declares.
    pub items: BTreeSet<String>,
    /// Modules that it declares and that are files of their own.
    pub children: Vec<String>,
}

/// One name of a `use`.
#[derive(Debug)]
pub struct Use {
    /// `pub`, of whichever kind.
    pub public: bool,
    /// The whole path, without an alias.
    pub path: Vec<String>,
    /// What the name is in this module; `None` for a glob.
    pub name: Option<String>,
}

impl Module {
    /// From its source. What is for tests alone does not count.
    pub fn read(text: &str) -> Self {
        read(&tokens(text))
    }
}

/// Identifiers, `::` and single signs, without comments, literals and what is for tests alone.
fn tokens(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("r#\"") {
            rest.find("\"#").map_or(rest.len(), |end| end + 2)
        } else if first == '"' {
            literal(rest, '"')
        } else if first == '\'' && is_char(rest) {
            literal(rest, '\'')
        } else if first.is_alphanumeric() || first == '_' {
            let word = |c: char| c.is_alphanumeric() || c == '_';
            let length = rest.find(|c| !word(c)).unwrap_or(rest.len());
            all.push(rest[..length].to_owned());
            length
        } else if rest.starts_with("::") {
            all.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                all.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    without_tests(&all)
}

/// The length of a literal with its signs.
fn literal(text: &str, end: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == end && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

/// A character, and not a lifetime.
fn is_char(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    matches!(
        (chars.next(), chars.next()),
        (Some('\\'), _) | (Some(_), Some('\''))
    )
}

fn without_tests(all: &[String]) -> Vec<String> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < all.len() {
        if all[at..].iter().map(String::as_str).take(7).eq(MARK) {
            at += item(&all[at..]);
        } else {
            kept.push(all[at].clone());
            at += 1;
        }
    }
    kept
}

/// How many tokens an item has: to its `;`, or to the end of its block.
fn item(all: &[String]) -> usize {
    let mut depth = 0;
    for (at, token) in all.iter().enumerate() {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 && (token == ";" || token == "}") {
            return at + 1;
        }
    }
    all.len()
}

fn read(tokens: &[String]) -> Module {
    let mut module = Module::default();
    let mut at = 0;
    while at < tokens.len() {
        // Not the captures of a type, `use<'a>`.
        if tokens[at] == "use" && tokens.get(at + 1).is_none_or(|next| next != "<") {
            let length = item_of_use(&tokens[at..]);
            let before = at.checked_sub(1).map(|i| tokens[i].as_str());
            let public = matches!(before, Some("pub" | ")"));
            let mut tree = &tokens[at + 1..at + length - 1];
            read_tree(&mut tree, &mut Vec::new(), public, &mut module.uses);
            at += length;
            continue;
        }
        module.words.insert(tokens[at].clone());
        declaration(&tokens[at..], &mut module);
        let starts = at == 0 || tokens[at - 1] != "::";
        let mut path = vec![tokens[at].clone()];
        let mut end = at + 1;
        while starts && end + 1 < tokens.len() && tokens[end] == "::" && is_word(&tokens[end + 1]) {
            path.push(tokens[end + 1].clone());
            end += 2;
        }
        if path.len() > 1 {
            module.paths.push(path);
        }
        at += 1;
    }
    module
}

fn declaration(tokens: &[String], module: &mut Module) {
    const KINDS: [&str; 8] = [
        "const", "enum", "fn", "mod", "static", "struct", "trait", "type",
    ];
    let [kind, name, rest @ ..] = tokens else {
        return;
    };
    if KINDS.contains(&kind.as_str()) && is_word(name) {
        module.items.insert(name.clone());
        if kind == "mod" && rest.first().is_some_and(|sign| sign == ";") {
            module.children.push(name.clone());
        }
    }
}

fn item_of_use(tokens: &[String]) -> usize {
    tokens.iter().position(|t| t == ";").unwrap() + 1
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Reads one tree of a `use`, up to a comma or the end of its braces.
fn read_tree(tree: &mut &[String], path: &mut Vec<String>, public: bool, uses: &mut Vec<Use>) {
    let depth = path.len();
    while let Some((token, rest)) = tree.split_first() {
        *tree = rest;
        match token.as_str() {
            "::" => {}
            "{" => {
                while tree.first().is_some_and(|t| t != "}") {
                    read_tree(tree, path, public, uses);
                    if tree.first().is_some_and(|t| t == ",") {
                        *tree = &tree[1..];
                    }
                }
                *tree = tree.get(1..).unwrap_or_default();
                path.truncate(depth);
                return;
            }
            _ => path.push(token.clone()),
        }
        if tree.first().is_none_or(|t| t == "," || t == "}") {
            break;
        }
    }
    let name = path.last().cloned();
    if path.len() > 2 && path[path.len() - 2] == "as" {
        path.truncate(path.len() - 2);
    }
    uses.push(Use {
        public,
        name: name.filter(|n| n != "*"),
        path: path.clone(),
    });
    path.truncate(depth);
}
