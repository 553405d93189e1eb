//! `completions SHELL`.

use crate::{complete, print};

/// Arguments of `kol-client completions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// bash, zsh, fish, elvish or powershell.
    shell: clap_complete::Shell,
}

/// Prints the script with which a shell completes this command line.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(args: Args) -> std::io::Result<()> {
    print::text(&complete::script(args.shell)?)
}
