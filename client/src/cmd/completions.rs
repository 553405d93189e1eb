//! `completions SHELL`.

use clap::CommandFactory as _;

use crate::Context;
use crate::cli::Cli;

/// Flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// bash, zsh, fish, elvish or powershell.
    shell: clap_complete::Shell,
}

/// Prints the completion script.
///
/// # Errors
/// None.
pub async fn run(args: Args, _ctx: &Context) -> anyhow::Result<()> {
    let mut command = Cli::command();
    clap_complete::generate(
        args.shell,
        &mut command,
        "kol-client",
        &mut std::io::stdout(),
    );
    Ok(())
}
