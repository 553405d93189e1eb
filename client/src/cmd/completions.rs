//! `completions SHELL`.

/// Arguments of `kol-client completions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// bash, zsh, fish, elvish or powershell.
    shell: clap_complete::Shell,
}

/// Prints the script with which a shell completes this command line.
pub fn run(args: Args, mut command: clap::Command) {
    clap_complete::generate(
        args.shell,
        &mut command,
        "kol-client",
        &mut std::io::stdout(),
    );
}
