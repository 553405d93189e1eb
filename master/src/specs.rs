//! From the text of a spec to something the controller may take.

use kol_common::KolError;
use kol_common::job::{ParsedSpec, SpecPolicy, parse};

/// Parses a spec and checks it against what the operator allows. `origin` names it in messages.
///
/// # Errors
/// Everything that is wrong with it, in one error.
pub fn read(text: &str, origin: &str, policy: &SpecPolicy) -> Result<ParsedSpec, KolError> {
    let mut parsed = parse(text, origin)?;
    policy.complete(&mut parsed.spec);
    policy.check(&parsed.spec)?;
    Ok(parsed)
}
