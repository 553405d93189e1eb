//! JSON as producers write it: RFC 8259, and the `NaN` and `Infinity` of other writers, which stand for a
//! missing value. Numbers keep their digits.

/// Arrays and objects within each other.
const DEEPEST: usize = 127;

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    /// `null`, or what is not a number.
    Null,
    /// `true`, `false`, or a text with half of a surrogate pair.
    Other,
    /// As it was written.
    Number(String),
    Text(String),
    List(Vec<Json>),
    /// Keys may occur twice: the last one counts.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Json> {
        let Self::Object(entries) = self else {
            return None;
        };
        let found = entries.iter().rev().find(|(name, _)| name == key);
        found.map(|(_, value)| value)
    }
}

/// The one value of a text; `None` when it is not JSON.
pub fn parse(text: &str) -> Option<Json> {
    let mut parser = Parser { rest: text };
    let value = parser.value(0)?;
    parser.skip_blanks();
    parser.rest.is_empty().then_some(value)
}

struct Parser<'t> {
    rest: &'t str,
}

impl Parser<'_> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take(&mut self, word: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        self.skip_blanks();
        match self.rest.chars().next()? {
            '{' if depth < DEEPEST => self.object(depth + 1),
            '[' if depth < DEEPEST => self.list(depth + 1),
            '"' => self.text().map(|text| text.map_or(Json::Other, Json::Text)),
            'n' => self.take("null").map(|()| Json::Null),
            't' => self.take("true").map(|()| Json::Other),
            'f' => self.take("false").map(|()| Json::Other),
            'N' => self.take("NaN").map(|()| Json::Null),
            'I' => self.take("Infinity").map(|()| Json::Null),
            '-' if self.rest.starts_with("-I") => self.take("-Infinity").map(|()| Json::Null),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<Json> {
        self.take("{")?;
        let mut entries = Vec::new();
        self.skip_blanks();
        if self.take("}").is_some() {
            return Some(Json::Object(entries));
        }
        loop {
            self.skip_blanks();
            let key = self.text()?.unwrap_or_default();
            self.skip_blanks();
            self.take(":")?;
            entries.push((key, self.value(depth)?));
            self.skip_blanks();
            if self.take("}").is_some() {
                return Some(Json::Object(entries));
            }
            self.take(",")?;
        }
    }

    fn list(&mut self, depth: usize) -> Option<Json> {
        self.take("[")?;
        let mut items = Vec::new();
        self.skip_blanks();
        if self.take("]").is_some() {
            return Some(Json::List(items));
        }
        loop {
            items.push(self.value(depth)?);
            self.skip_blanks();
            if self.take("]").is_some() {
                return Some(Json::List(items));
            }
            self.take(",")?;
        }
    }

    /// `Some(None)`: a text that is no Unicode.
    fn text(&mut self) -> Option<Option<String>> {
        self.take("\"")?;
        let mut text = String::new();
        let mut whole = true;
        loop {
            let plain = self.rest.find(['"', '\\'])?;
            let (before, after) = self.rest.split_at(plain);
            if before.bytes().any(|b| b < 0x20) {
                return None;
            }
            text.push_str(before);
            self.rest = after;
            if self.take("\"").is_some() {
                return Some(whole.then_some(text));
            }
            self.take("\\")?;
            match self.escaped()? {
                Some(c) => text.push(c),
                None => whole = false,
            }
        }
    }

    /// `Some(None)`: half of a surrogate pair.
    fn escaped(&mut self) -> Option<Option<char>> {
        let kind = self.rest.chars().next()?;
        self.rest = &self.rest[kind.len_utf8()..];
        Some(Some(match kind {
            '"' | '\\' | '/' => kind,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let unit = self.hex()?;
                if !(0xd800..0xdc00).contains(&unit) {
                    return Some(char::from_u32(unit));
                }
                let before = self.rest;
                let low = self.take("\\u").and_then(|()| self.hex());
                let low = low.filter(|low| (0xdc00..0xe000).contains(low));
                let Some(low) = low else {
                    self.rest = before;
                    return Some(None);
                };
                return Some(char::from_u32(
                    0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00),
                ));
            }
            _ => return None,
        }))
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.rest.get(..4)?;
        self.rest = &self.rest[4..];
        let all = digits.bytes().all(|b| b.is_ascii_hexdigit());
        all.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
    }

    fn number(&mut self) -> Option<Json> {
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c))
            .unwrap_or(self.rest.len());
        let (number, after) = self.rest.split_at(end);
        self.rest = after;
        is_number(number).then(|| Json::Number(number.to_owned()))
    }
}

/// The grammar of RFC 8259.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let whole_holds = digits(whole) && (whole == "0" || !whole.starts_with('0'));
    let unsigned = |e: &str| digits(e.strip_prefix(['+', '-']).unwrap_or(e));
    whole_holds && fraction.is_none_or(digits) && exponent.is_none_or(unsigned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_with_their_digits() {
        let text = r#" {"a":[1,-2.50e+3,{}],"b":"x\n\u00e9\ud83d\ude00","c":null,"d":true,"a":7} "#;
        let json = parse(text).unwrap();
        assert_eq!(json.get("a"), Some(&Json::Number("7".into())));
        assert_eq!(json.get("b"), Some(&Json::Text("x\né😀".into())));
        assert_eq!(json.get("c"), Some(&Json::Null));
        assert_eq!(json.get("d"), Some(&Json::Other));
        assert_eq!(json.get("e"), None);
        let list = parse("[ 1 , NaN, -Infinity , Infinity, 12345678901234567890123 ]").unwrap();
        let number = |digits: &str| Json::Number(digits.into());
        let (first, last) = (number("1"), number("12345678901234567890123"));
        let expected = [first, Json::Null, Json::Null, Json::Null, last];
        assert_eq!(list, Json::List(expected.into()));
    }

    #[test]
    fn half_a_surrogate_pair_spoils_its_text_alone() {
        let json =
            parse(r#"{"a":"x\ud83d","b":"\ude00\n","c":"\ud83d\ud83d\ude00","\ud800":1,"d":"y"}"#);
        let json = json.unwrap();
        for key in ["a", "b", "c"] {
            assert_eq!(json.get(key), Some(&Json::Other), "{key}");
        }
        assert_eq!(json.get("d"), Some(&Json::Text("y".into())));
    }

    #[test]
    fn what_is_not_json_is_refused() {
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        let cases = [
            "",
            "{",
            "{}}",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "'a'",
            "nul",
            "NaNs",
            "-NaN",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "1 2",
            "\"\\x\"",
            "\"\\u12\"",
            "\"a\nb\"",
            "\u{feff}{}",
            &deep,
        ];
        for case in cases {
            assert_eq!(parse(case), None, "{}", &case[..case.len().min(40)]);
        }
    }
}
