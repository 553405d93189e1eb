//! From the text of a spec to something the controller may take.

use kol_common::KolError;
use kol_common::job::{ParsedSpec, SpecPolicy, parse};
use kol_common::secrets::Secrets;

/// What a spec has to fulfil beside being one.
#[derive(Clone, Debug)]
pub struct Admission {
    /// What the operator allows every spec.
    pub policy: SpecPolicy,
    /// Where secrets may be sent.
    pub secrets: Secrets,
}

impl Admission {
    /// Parses a spec and checks it against what the operator allows. `origin` names it in messages.
    ///
    /// # Errors
    /// Everything that is wrong with it, in one error.
    pub fn read(&self, text: &str, origin: &str) -> Result<ParsedSpec, KolError> {
        let mut parsed = parse(text, origin)?;
        self.policy.complete(&mut parsed.spec);
        self.policy.check(&parsed.spec)?;
        self.secrets.check(&parsed.spec)?;
        Ok(parsed)
    }
}
