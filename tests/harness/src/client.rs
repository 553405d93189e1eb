//! kol-client, as people and scripts run it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::binary;

/// What one run of kol-client left behind.
#[derive(Debug)]
pub struct ClientRun {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub out: String,
    /// What it wrote to standard error.
    pub err: String,
}

impl ClientRun {
    /// Standard output of a run that must have succeeded.
    pub fn done(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self:#?}");
        &self.out
    }

    /// The same, read as JSON.
    pub fn json(&self) -> Value {
        let out = self.done();
        serde_json::from_str(out).unwrap_or_else(|e| panic!("not JSON, {e}: {out}"))
    }

    /// What a run says that must have failed with this exit code.
    pub fn fails(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{self:#?}");
        &self.err
    }
}

/// Runs kol-client in a folder, with variables in its environment.
pub fn client(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> ClientRun {
    let output = Command::new(binary("kol-client"))
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(folder)
        .output()
        .expect("kol-client");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ClientRun {
        code: output.status.code(),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}
