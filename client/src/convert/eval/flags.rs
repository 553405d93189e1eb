//! What the words after the application give the arguments that its source declares: with argparse,
//! or as parameters of a function that click, typer or fire call.

use super::words::{Argument as Word, Given, Takes, given};
use super::{Evaluator, Place, Value};
use crate::convert::model::Text;
use crate::convert::syntax::{Argument, Expr, Kind, Program, Scope};

/// Methods of parsers that read the command line.
const PARSERS: [&str; 3] = ["parse_args", "parse_known_args", "parse_intermixed_args"];

/// Types that leave a word as it is.
const PLAIN: [&str; 7] = ["str", "int", "float", "bool", "Path", "Text", "STRING"];

/// An argument that a source declares.
struct Declared<'e> {
    /// Name of its value.
    dest: String,
    word: Word,
    default: Option<&'e Expr>,
    /// What `action` says.
    action: String,
    /// A function changes what is given, or who declares it also sets it elsewhere.
    is_changed: bool,
    /// The environment variable that gives it as well.
    variable: Option<String>,
    place: Place,
}

impl<'a> Evaluator<'a> {
    /// `parser.parse_args()`.
    pub(super) fn parsed(
        &mut self,
        method: &str,
        arguments: &[Argument],
        place: Place,
    ) -> Option<Value> {
        if !PARSERS.contains(&method) {
            return None;
        }
        let words = match arguments.first().map(|a| self.eval(&a.value, place)) {
            None | Some(Value::Null) => None,
            Some(Value::List(items)) => Some(items.iter().map(Value::to_text).collect()),
            Some(other) => {
                let text = other.to_text();
                let own = matches!(text.first_unknown(), Some("sys.argv[1:]" | "argv[1:]"));
                (!own).then(|| vec![Text::words(text.source)])
            }
        };
        let program = place.program;
        Some(Value::Parsed { program, words })
    }

    /// `args.topic` where a program declares `--topic` or `topic`: what the words give, or the declared default.
    pub(super) fn flag(
        &mut self,
        name: &str,
        program: usize,
        words: Option<&[Text]>,
    ) -> Option<Value> {
        let source: &'a Program = self.world.programs.get(program)?;
        self.work += source.source.len();
        let mut all: Vec<Declared<'a>> = Vec::new();
        let mut parsers = 0;
        let mut is_set = false;
        for (scope, order, expr) in source.expressions() {
            let place = Place {
                program,
                scope,
                order,
            };
            expr.walk(&mut |e| {
                let Kind::Call(callee, arguments) = &e.kind else {
                    return;
                };
                match callee.last_name() {
                    Some("add_argument") => all.extend(declared(arguments, place)),
                    Some("ArgumentParser" | "add_parser" | "add_subparsers") => parsers += 1,
                    Some("set_defaults") => {
                        is_set |= arguments.iter().any(|a| a.name.as_deref() == Some(name));
                    }
                    _ => {}
                }
            });
        }
        all.sort_by_key(|d| d.place.order);
        let index = only(&all, name)?;
        let declared = all.get(index)?;
        if is_set || (parsers > 1 && declared.word.flags.is_empty()) {
            return None;
        }
        let own = self.world.arguments;
        self.value_of(&all, index, words.unwrap_or(own))
    }

    /// What the words give one of these arguments.
    fn value_of(&mut self, all: &[Declared<'_>], index: usize, words: &[Text]) -> Option<Value> {
        let declared = all.get(index)?;
        let of_words: Vec<Word> = all.iter().map(|d| d.word.clone()).collect();
        let list = |words: Vec<Text>| Value::List(words.into_iter().map(Value::Text).collect());
        match given(&of_words, index, words).0 {
            Given::Word(_) | Given::Words(_) if declared.is_changed => None,
            Given::Word(word) => Some(Value::Text(word)),
            Given::Words(words) => Some(list(words)),
            Given::Alone => match declared.action.as_str() {
                "store_true" => Some(Value::Text(Text::known("true"))),
                "store_false" => Some(Value::Text(Text::known("false"))),
                _ => None,
            },
            Given::Absent => self.not_given(declared),
            // Without any words the files say nothing about how it was started.
            Given::Unknown if words.is_empty() => self.not_given(declared),
            Given::Unknown => {
                let open = words.iter().find(|word| word.splits)?;
                Some(Value::Text(Text::unknown(open.source.as_str())))
            }
        }
    }

    /// The value of an argument that the words do not give.
    fn not_given(&mut self, declared: &Declared<'_>) -> Option<Value> {
        let variable = declared.variable.as_deref();
        if let Some(value) = variable.and_then(|name| self.environment(name, declared.place)) {
            return Some(value);
        }
        let Some(default) = declared.default else {
            return match declared.action.as_str() {
                "store_true" => Some(Value::Text(Text::known("false"))),
                "store_false" => Some(Value::Text(Text::known("true"))),
                _ => None,
            };
        };
        let value = self.eval(default, declared.place);
        let longest = declared.word.flags.iter().max_by_key(|flag| flag.len());
        let shown = longest.map_or(&*declared.dest, String::as_str);
        let shown = if crate::convert::secrets::is_secret(&declared.dest) {
            // A short flag may not speak of the secret that it gives.
            &declared.dest
        } else {
            shown
        };
        self.note_default(shown, &value, default, declared.place);
        Some(value)
    }

    /// A parameter of a function that a library calls with the words of the command line. `None` if no library
    /// does, `Some(None)` if what it passes is not known.
    pub(super) fn started_with(
        &mut self,
        program: usize,
        scope: usize,
        name: &str,
        is_uncalled: bool,
    ) -> Option<Option<Value>> {
        let source: &'a Program = self.world.programs.get(program)?;
        let function: &'a Scope = source.scopes.get(scope)?;
        let place = Place {
            program,
            scope: function.parent.unwrap_or(0),
            order: usize::MAX,
        };
        let class = function.parent.and_then(|p| source.scopes.get(p));
        let called = match (function.name.as_str(), class) {
            ("__init__", Some(class)) => class.name.as_str(),
            (name, _) => name,
        };
        let all: Vec<Declared<'a>> = if is_command(function) {
            of_click(function, place)
        } else if !is_uncalled {
            return None;
        } else if self.doubts.is_entry(called) {
            of_parameters(function, place)
        } else if self.doubts.is_passed_on(called) {
            return Some(None);
        } else {
            return None;
        };
        let Some(index) = only(&all, name) else {
            return Some(None);
        };
        let words = self.world.arguments;
        let of_words: Vec<Word> = all.iter().map(|d| d.word.clone()).collect();
        let (_, plain) = given(&of_words, index, words);
        // Fire also gives parameters by their position.
        if plain > 0 && !is_command(function) {
            return Some(None);
        }
        Some(self.value_of(&all, index, words))
    }
}

/// The only argument of this name.
fn only(all: &[Declared<'_>], name: &str) -> Option<usize> {
    let mut found = all.iter().enumerate().filter(|(_, d)| d.dest == name);
    let (index, _) = found.next()?;
    found.next().is_none().then_some(index)
}

/// What `add_argument`, `click.option` or `click.argument` declares.
fn declared<'e>(arguments: &'e [Argument], place: Place) -> Option<Declared<'e>> {
    let names: Vec<&str> = arguments.iter().filter_map(literal_in_place).collect();
    let text = |name: &str| match named(arguments, name).map(|e| &e.kind) {
        Some(Kind::Literal(text)) => Some(text.as_str()),
        _ => None,
    };
    let flags = names.iter().filter(|name| name.starts_with('-'));
    let flags: Vec<String> = flags.map(|flag| (*flag).to_owned()).collect();
    let long = flags.iter().find(|flag| flag.starts_with("--"));
    let plain = names.iter().find(|name| !name.starts_with('-'));
    let from_flag = || {
        Some(
            long.or(flags.first())?
                .trim_start_matches('-')
                .replace('-', "_"),
        )
    };
    let dest = text("dest").or(plain.copied()).map(str::to_owned);
    let dest = dest.or_else(from_flag)?;
    let action = match (text("action"), named(arguments, "action")) {
        (Some(action), _) => action,
        (None, Some(_)) => "",
        (None, None) if named(arguments, "flag_value").is_some() => "",
        (None, None) if named(arguments, "is_flag").is_some() => "store_true",
        (None, None) => "store",
    };
    let takes = takes(arguments, action, &flags);
    let is_plain = named(arguments, "type")
        .is_none_or(|e| e.last_name().is_some_and(|name| PLAIN.contains(&name)));
    let is_choice = named(arguments, "type").is_some_and(
        |e| matches!(&e.kind, Kind::Call(c, _) if matches!(c.last_name(), Some("Choice" | "Path"))),
    );
    Some(Declared {
        dest,
        word: Word { flags, takes },
        default: named(arguments, "default"),
        action: action.to_owned(),
        is_changed: !(is_plain || is_choice) || named(arguments, "callback").is_some(),
        variable: text("envvar").map(str::to_owned),
        place,
    })
}

/// How many words an argument takes.
fn takes(arguments: &[Argument], action: &str, flags: &[String]) -> Takes {
    // Of click: `--topic/--no-topic`.
    let is_pair = flags.iter().any(|flag| flag.contains('/'));
    if is_pair || arguments.iter().any(|a| a.spread) {
        return Takes::Unknown;
    }
    let is_many = named(arguments, "multiple").is_some();
    // An argument of click that has a default may be left out.
    let may_be_absent = flags.is_empty()
        && ["required", "default"]
            .iter()
            .any(|name| named(arguments, name).is_some());
    match (action, named(arguments, "nargs").map(|e| &e.kind)) {
        ("store", None) if is_many => Takes::Each,
        ("store", None) if may_be_absent => Takes::Optional,
        ("store", None) => Takes::One,
        ("store", Some(Kind::Literal(n))) if n == "?" => Takes::Optional,
        ("store", Some(Kind::Literal(n))) if n == "*" => Takes::Many(0),
        ("store", Some(Kind::Literal(n))) if n == "+" => Takes::Many(1),
        ("store", Some(Kind::Atom(n))) => n.parse().map_or(Takes::Unknown, Takes::Exactly),
        ("append", None) => Takes::Each,
        ("store_true" | "store_false" | "store_const" | "count" | "help" | "version", None) => {
            Takes::Nothing
        }
        _ => Takes::Unknown,
    }
}

/// The options and arguments that click's decorators declare.
fn of_click<'e>(function: &'e Scope, place: Place) -> Vec<Declared<'e>> {
    let calls = function
        .decorators
        .iter()
        .filter_map(|(_, e)| match &e.kind {
            Kind::Call(callee, arguments) => Some((callee.last_name()?, arguments)),
            _ => None,
        });
    let of_decorators: Vec<Declared<'e>> = calls
        .filter(|(name, _)| matches!(*name, "option" | "argument"))
        .filter_map(|(_, arguments)| declared(arguments, place))
        .collect();
    match of_decorators.is_empty() {
        // Typer reads the function itself.
        true => of_parameters(function, place),
        false => of_decorators,
    }
}

/// The parameters of a function as flags of the same names.
fn of_parameters<'e>(function: &'e Scope, place: Place) -> Vec<Declared<'e>> {
    let params = function.params.iter();
    let params = params.filter(|(name, _)| !matches!(name.as_str(), "self" | "cls" | "ctx"));
    params
        .map(|(name, default)| of_parameter(name, default.as_ref(), place))
        .collect()
}

fn of_parameter<'e>(name: &str, default: Option<&'e Expr>, place: Place) -> Declared<'e> {
    let own = vec![format!("--{name}"), format!("--{}", name.replace('_', "-"))];
    let mut declared = Declared {
        dest: name.to_owned(),
        word: Word {
            flags: own,
            takes: Takes::One,
        },
        default,
        action: "store".into(),
        is_changed: false,
        variable: None,
        place,
    };
    let Some(default) = default else {
        return declared;
    };
    match &default.kind {
        Kind::Atom(text) if text == "true" || text == "false" => {
            declared.word.takes = Takes::Unknown;
        }
        // `typer.Option("default", "--flag", envvar="X")`
        Kind::Call(callee, arguments)
            if matches!(callee.last_name(), Some("Option" | "Argument")) =>
        {
            let first = arguments.first().filter(|a| a.name.is_none() && !a.spread);
            declared.default = named(arguments, "default").or(first.map(|a| &a.value));
            let flags = arguments.iter().skip(1).filter_map(literal_in_place);
            let flags: Vec<String> = flags.map(str::to_owned).collect();
            if !flags.is_empty() {
                declared.word.flags = flags;
            }
            if callee.last_name() == Some("Argument") {
                declared.word = Word {
                    flags: Vec::new(),
                    takes: Takes::Optional,
                };
            }
            match named(arguments, "envvar").map(|e| &e.kind) {
                Some(Kind::Literal(variable)) => declared.variable = Some(variable.clone()),
                Some(_) => declared.is_changed = true,
                None => {}
            }
        }
        _ => {}
    }
    declared
}

/// Whether decorators make a function a command: `@click.command()`, `@app.command`.
fn is_command(function: &Scope) -> bool {
    function.decorators.iter().any(|(_, e)| {
        let name = match &e.kind {
            Kind::Call(callee, _) => callee.last_name(),
            _ => e.last_name(),
        };
        matches!(name, Some("command" | "callback" | "group"))
    })
}

fn literal_in_place(argument: &Argument) -> Option<&str> {
    match &argument.value.kind {
        Kind::Literal(text) if argument.name.is_none() => Some(text),
        _ => None,
    }
}

fn named<'e>(arguments: &'e [Argument], name: &str) -> Option<&'e Expr> {
    let mut all = arguments.iter();
    all.find(|a| a.name.as_deref() == Some(name))
        .map(|a| &a.value)
}
