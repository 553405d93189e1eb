//! What the words after an application give the arguments that it declares, as parsers of command lines
//! read them. Where the number of words is not known, or who takes one, nothing is said to be given.

use crate::convert::model::Text;

/// What an argument takes of the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// Nothing: a switch.
    Nothing,
    /// One word, in any case.
    One,
    /// One word, or none.
    Optional,
    /// All words up to the next flag, at least so many.
    Many(usize),
    /// So many words.
    Exactly(usize),
    /// One word each time that it is given.
    Each,
    /// What it takes is not known.
    Unknown,
}

/// An argument that a source declares.
#[derive(Clone, Debug)]
pub(super) struct Argument {
    /// `--topic`, `-t`; none if it is known by its position.
    pub flags: Vec<String>,
    /// What it takes.
    pub takes: Takes,
}

/// What the words give an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// They do not give it.
    Absent,
    /// Its flag stands alone.
    Alone,
    /// One word, as it stands.
    Word(Text),
    /// Any number of words.
    Words(Vec<Text>),
    /// This is not known.
    Unknown,
}

/// What the words give the argument with this index, and how many words no flag takes.
pub(super) fn given(all: &[Argument], wanted: usize, words: &[Text]) -> (Given, usize) {
    let mut reader = Reader {
        all,
        wanted,
        words,
        at: 0,
        found: Given::Absent,
        plain: Vec::new(),
        runs: 0,
        is_open: false,
        is_loose: false,
    };
    reader.read();
    let count = reader.plain.len();
    let is_flag = all.get(wanted).is_some_and(|a| !a.flags.is_empty());
    let given = match () {
        () if is_flag && reader.is_open => Given::Unknown,
        () if is_flag => reader.found,
        () if reader.is_open || reader.is_loose => Given::Unknown,
        () => reader.by_position(),
    };
    (given, count)
}

struct Reader<'a> {
    all: &'a [Argument],
    wanted: usize,
    words: &'a [Text],
    at: usize,
    found: Given,
    /// Words that no flag takes.
    plain: Vec<&'a Text>,
    /// How many times such words begin.
    runs: usize,
    /// Any flag may stand behind what was found.
    is_open: bool,
    /// It is not known which words no flag takes.
    is_loose: bool,
}

impl<'a> Reader<'a> {
    fn read(&mut self) {
        let (mut only_plain, mut in_run) = (false, false);
        while let Some(word) = self.words.get(self.at) {
            self.at += 1;
            if word.splits {
                self.is_open = true;
                continue;
            }
            if !only_plain && word.value().as_deref() == Some("--") {
                only_plain = true;
                continue;
            }
            if only_plain || !is_flag(word) {
                self.plain.push(word);
                self.runs += usize::from(!in_run);
                in_run = true;
                continue;
            }
            in_run = false;
            match self.flag(word) {
                Some((index, own)) => self.take(index, own),
                // Whether the next word is its value is not known.
                None => self.is_loose = true,
            }
        }
    }

    /// The argument that a flag is of, and the value in the same word.
    fn flag(&self, word: &Text) -> Option<(usize, Option<Text>)> {
        let (name, own) = match word.split('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word.value()?, None),
        };
        let at = |name: &str| {
            let mut all = self.all.iter();
            all.position(|a| a.flags.iter().any(|flag| flag == name))
        };
        if let Some(index) = at(&name) {
            return Some((index, own));
        }
        // `--top` for `--topic`, if no other flag begins so.
        let begins = |a: &Argument| a.flags.iter().any(|flag| flag.starts_with(&name));
        let mut all = self.all.iter().enumerate().filter(|(_, a)| begins(a));
        if name.starts_with("--") {
            let only = all.next().filter(|_| all.next().is_none());
            return only.map(|(index, _)| (index, own));
        }
        // `-tvalue`
        let short = name.get(..2)?;
        let index = at(short)?;
        let rest = word.value()?;
        Some((index, Some(Text::known(rest.get(2..)?))))
    }

    fn take(&mut self, index: usize, own: Option<Text>) {
        let takes = self.all.get(index).map_or(Takes::Unknown, |a| a.takes);
        let given = match (takes, own) {
            (Takes::Nothing, None) => Given::Alone,
            (Takes::Nothing | Takes::Unknown, _) => {
                self.is_loose = true;
                Given::Unknown
            }
            (Takes::Each, own) => match (own.or_else(|| self.next()), &mut self.found) {
                (None, _) => Given::Unknown,
                (Some(word), Given::Words(words)) if index == self.wanted => {
                    words.push(word);
                    return;
                }
                (Some(word), _) => Given::Words(vec![word]),
            },
            (Takes::Many(_) | Takes::Exactly(_), Some(own)) => Given::Words(vec![own]),
            (Takes::Many(_), None) => Given::Words(self.run(usize::MAX)),
            (Takes::Exactly(count), None) => Given::Words(self.run(count)),
            (Takes::One | Takes::Optional, Some(own)) => Given::Word(own),
            (Takes::One, None) => self.next().map_or(Given::Unknown, Given::Word),
            (Takes::Optional, None) => match self.run(1).pop() {
                Some(word) => Given::Word(word),
                None => Given::Alone,
            },
        };
        if index == self.wanted {
            self.found = given;
            // What stood before it counts no more: the last one does.
            self.is_open &= takes == Takes::Each;
        }
    }

    /// The next word, whatever it looks like.
    fn next(&mut self) -> Option<Text> {
        let word = self.words.get(self.at)?;
        self.at += 1;
        self.is_open |= word.splits;
        (!word.splits).then(|| word.clone())
    }

    /// The next words up to a flag.
    fn run(&mut self, most: usize) -> Vec<Text> {
        let rest = self.words.get(self.at..).unwrap_or_default();
        let run = rest.iter().take_while(|w| !w.splits && !is_flag(w));
        let run: Vec<Text> = run.take(most).cloned().collect();
        self.at += run.len();
        run
    }

    /// The words without flags go to the arguments without flags in their order; each takes as many as
    /// leave enough for those behind it.
    fn by_position(&self) -> Given {
        let plain = self.all.iter().enumerate();
        let places: Vec<(usize, Takes)> = plain
            .filter(|(_, a)| a.flags.is_empty())
            .map(|(index, a)| (index, a.takes))
            .collect();
        let is_fixed = |takes: Takes| matches!(takes, Takes::One | Takes::Exactly(_));
        // Parsers differ in what they do with words between flags.
        if self.runs > 1 && !places.iter().all(|(_, takes)| is_fixed(*takes)) {
            return Given::Unknown;
        }
        let least = |takes: Takes| match takes {
            Takes::One => 1,
            Takes::Many(least) | Takes::Exactly(least) => least,
            _ => 0,
        };
        let mut words = &self.plain[..];
        let mut found = Given::Absent;
        for (number, (index, takes)) in places.iter().enumerate() {
            let behind: usize = places[number + 1..].iter().map(|(_, t)| least(*t)).sum();
            let free = words.len().saturating_sub(behind);
            let count = match takes {
                Takes::One => 1,
                Takes::Optional => free.min(1),
                Takes::Many(_) => free,
                Takes::Exactly(count) => *count,
                Takes::Nothing | Takes::Each | Takes::Unknown => return Given::Unknown,
            };
            if count > words.len() || count < least(*takes) {
                return Given::Unknown;
            }
            let (own, rest) = words.split_at(count);
            words = rest;
            if *index == self.wanted {
                found = match (takes, own) {
                    (Takes::One | Takes::Optional, [word]) => Given::Word((*word).clone()),
                    (_, []) => Given::Absent,
                    (_, own) => Given::Words(own.iter().map(|w| (*w).clone()).collect()),
                };
            }
        }
        // Words that none takes: a command of several, or a mistake.
        if words.is_empty() {
            found
        } else {
            Given::Unknown
        }
    }
}

/// Whether a word is a flag and no number.
fn is_flag(word: &Text) -> bool {
    let head = word.head();
    head.len() > 1 && head.starts_with('-') && head.parse::<f64>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argument(flags: &[&str], takes: Takes) -> Argument {
        Argument {
            flags: flags.iter().map(|f| (*f).to_owned()).collect(),
            takes,
        }
    }

    fn words(line: &str) -> Vec<Text> {
        let word = |word: &str| match word.strip_prefix('$') {
            Some(_) => Text::words(word),
            None => Text::known(word),
        };
        line.split_whitespace().map(word).collect()
    }

    #[test]
    fn words_go_to_the_arguments_that_a_parser_would_give_them() {
        let all = [
            argument(&[], Takes::One),
            argument(&[], Takes::Optional),
            argument(&["--topic", "-t"], Takes::One),
            argument(&["--dry"], Takes::Nothing),
            argument(&["--all"], Takes::Many(1)),
            argument(&["--each"], Takes::Each),
        ];
        let word = |text: &str| Given::Word(Text::known(text));
        for (line, index, is) in [
            ("a b", 0, word("a")),
            ("a b", 1, word("b")),
            ("a", 1, Given::Absent),
            ("", 0, Given::Unknown),
            ("a b c", 0, Given::Unknown),
            ("--dry a --topic t", 0, word("a")),
            ("a --topic t b", 1, Given::Unknown),
            ("-- -a", 0, word("-a")),
            ("-1", 0, word("-1")),
            ("--other x a", 0, Given::Unknown),
            ("$x a", 0, Given::Unknown),
            ("a $x", 0, Given::Unknown),
            ("a --topic t", 2, word("t")),
            ("a --topic=t", 2, word("t")),
            ("a --top t", 2, word("t")),
            ("a -tx", 2, word("x")),
            ("a -t x --topic y", 2, word("y")),
            ("a --other x -t y", 2, word("y")),
            ("a", 2, Given::Absent),
            ("a --topic", 2, Given::Unknown),
            ("a -t x $y", 2, Given::Unknown),
            ("$y -t x", 2, word("x")),
            ("$y", 2, Given::Unknown),
            ("--topic $y", 2, Given::Unknown),
            ("a --dry", 3, Given::Alone),
            ("--all a b --dry", 4, Given::Words(words("a b"))),
            ("--each a --each b", 5, Given::Words(words("a b"))),
        ] {
            assert_eq!(given(&all, index, &words(line)).0, is, "{line} {index}");
        }
    }
}
