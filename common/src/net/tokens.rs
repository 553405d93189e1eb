//! Tokens of people and scrapers. A file has a line for each: `ROLE NAME SHA256`, in hexadecimal digits.
//!
//! A token has 256 bits from the system's random numbers, so a plain hash is enough: there is nothing to guess
//! that a slow hash would protect, unlike with passwords, and a request costs one hash.

use std::str::FromStr;

use ring::digest::{SHA256, digest};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

use super::random::{hex, random, unhex};
use crate::KolError;

/// Bytes of chance in a token.
const LENGTH: usize = 32;
/// What every token begins with, so that scanners of sources can find one that leaked.
const PREFIX: &str = "kol_";
/// Most tokens in a file.
const MOST: usize = 1_000;

/// What a person or a process may do; each role may also do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look at everything.
    Viewer,
    /// Start, change and stop jobs, and take savepoints.
    Operator,
    /// Delete what cannot be made again.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// Its name, as a tokens file and `--role` have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| format!("`{text}` is not a role: viewer, operator or admin"))
    }
}

/// Who sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Name of the token.
    pub name: String,
    /// What it may do.
    pub role: Role,
}

/// The tokens that are valid. Only hashes: who reads the file cannot log in.
#[derive(Clone, Debug, Default)]
pub struct Tokens(Vec<(Principal, [u8; LENGTH])>);

impl Tokens {
    /// Reads a file.
    ///
    /// # Errors
    /// A line that is not a token, by its number; never what stands there.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().enumerate();
        let lines = lines.map(|(number, line)| (number + 1, line.trim()));
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let mut tokens = Vec::new();
        for (number, line) in lines {
            let mut words = line.split_ascii_whitespace();
            let (role, name, hash) = (words.next(), words.next(), words.next().and_then(unhex));
            let role = role.and_then(|role| role.parse().ok());
            let (Some(role), Some(name), Some(hash), None) = (role, name, hash, words.next())
            else {
                return Err(format!("line {number} is not `ROLE NAME SHA256`"));
            };
            let name = name.to_owned();
            tokens.push((Principal { name, role }, hash));
        }
        if tokens.len() > MOST {
            return Err(format!("more than {MOST} tokens"));
        }
        Ok(Self(tokens))
    }

    /// Whose token this is. Takes as long whichever it is, and whether it is one.
    pub fn holder(&self, token: &str) -> Option<&Principal> {
        let shown = digest(&SHA256, token.as_bytes());
        let mut found = (Choice::from(0), 0_u64);
        for (number, (_, hash)) in (0_u64..).zip(&self.0) {
            let same = hash[..].ct_eq(shown.as_ref());
            found.1 = u64::conditional_select(&found.1, &number, same);
            found.0 |= same;
        }
        let (is_one, number) = (bool::from(found.0), usize::try_from(found.1).ok()?);
        is_one.then(|| self.0.get(number).map(|(who, _)| who))?
    }
}

/// A new token, and the line of the file that makes it valid.
///
/// # Errors
/// The system gives no random numbers.
pub fn new_token(name: &str, role: Role) -> Result<(String, String), KolError> {
    let token = format!("{PREFIX}{}", hex(&random::<LENGTH>()?));
    let hash = hex(digest(&SHA256, token.as_bytes()).as_ref());
    Ok((token, format!("{} {name} {hash}", role.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash_alone_and_no_other_is() {
        let (ann, line_of_ann) = new_token("ann", Role::Admin).unwrap();
        let (bob, line_of_bob) = new_token("bob", Role::Viewer).unwrap();
        let file = format!("# people\n\n{line_of_bob}\n{line_of_ann}\n");
        assert!(!file.contains(&ann) && ann != bob && ann.starts_with(PREFIX));
        let tokens = Tokens::parse(&file).unwrap();
        let holder = |token: &str| {
            let holder = tokens.holder(token);
            holder.map(|who| (who.name.as_str(), who.role))
        };
        assert_eq!(holder(&ann), Some(("ann", Role::Admin)));
        assert_eq!(holder(&bob), Some(("bob", Role::Viewer)));
        let hash_of_ann = line_of_ann.rsplit(' ').next().unwrap();
        for other in ["", "kol_", &ann[1..], &format!("{ann} "), hash_of_ann] {
            assert_eq!(holder(other), None, "{other}");
        }
        assert_eq!(Tokens::default().holder(&ann), None);
    }

    #[test]
    fn a_line_that_is_no_token_is_named_by_its_number_and_not_repeated() {
        for line in [
            "admin ann",
            "root ann aa",
            "admin ann zz",
            "kol_abc",
            "admin a b c d",
        ] {
            let error = Tokens::parse(&format!("# x\n{line}\n")).unwrap_err();
            assert!(error.contains("line 2") && !error.contains(line), "{error}");
        }
    }

    #[test]
    fn each_role_may_what_the_ones_before_it_may() {
        assert!(Role::Admin > Role::Operator && Role::Operator > Role::Viewer);
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
    }
}
