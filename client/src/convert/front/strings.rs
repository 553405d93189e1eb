//! Literals as all languages here write them.

/// Resolves the escapes of a string literal.
pub(super) fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('0') => out.push('\0'),
            Some('\n') | None => {}
            Some(escaped @ ('x' | 'u')) => {
                let digits = if escaped == 'x' { 2 } else { 4 };
                let hex: String = chars.clone().take(digits).collect();
                match u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32) {
                    Some(decoded) => {
                        out.push(decoded);
                        for _ in 0..digits {
                            chars.next();
                        }
                    }
                    None => out.push(escaped),
                }
            }
            Some(quoted) => out.push(quoted),
        }
    }
    out
}
