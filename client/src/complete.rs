//! Completions: a shell calls kol-client with the words of the line so far, and it answers what can follow. So flags are
//! those of this version, and the names of jobs, executors and platforms those of the cluster.
//!
//! Nothing is printed when the cluster cannot be reached within [`PATIENCE`]: a person is typing.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Shells, Zsh};
use clap_complete::{ArgValueCandidates, CompleteEnv, CompletionCandidate, Shell};
use kol_common::checkpoint::Stores;
use kol_common::job::JobSpec;
use kol_common::proto::{JobStatus, ListExecutorsRequest, ListJobsRequest};
use kol_common::view::{executor_word, job_state};

use crate::context::{Context, MASTER, OutputFormat};

/// Set to the name of a shell by its script when it wants to know what can follow.
const VARIABLE: &str = "KOL_COMPLETE";
/// Longest time for the answer of a master.
const PATIENCE: Duration = Duration::from_secs(1);
/// Longest name that is offered.
const LONGEST: usize = 100;

const SHELLS: Shells<'static> = Shells(&[&WholeWords, &Elvish, &Fish, &Powershell, &Zsh]);

/// Answers the shell and ends the process, if it is a shell that calls. Nothing may be printed before.
pub fn answer(command: fn() -> clap::Command) {
    CompleteEnv::with_factory(command)
        .var(VARIABLE)
        .shells(SHELLS)
        .complete();
}

/// The script that makes a shell call.
///
/// # Errors
/// There is none for that shell.
pub fn script(shell: Shell) -> io::Result<String> {
    let name = shell.to_string();
    let completer = SHELLS.completer(&name);
    let completer = completer.ok_or_else(|| io::Error::other(format!("no script for {name}")))?;
    let (mut script, program) = (Vec::new(), "kol-client");
    completer.write_registration(VARIABLE, program, program, program, &mut script)?;
    Ok(String::from_utf8_lossy(&script).into_owned())
}

/// Bash, which takes a line apart at `=` and `:` as well: an address of a master would be three words, and all that
/// stands behind it would be in a wrong place. Here words end at spaces only.
struct WholeWords;

const BASH: &str = r#"_kol_client() {
    local IFS=$' \t\n' line=${COMP_LINE:0:COMP_POINT} words
    read -ra words <<< "$line"
    if [[ $line == *[[:space:]] ]]; then words+=(""); fi
    local last=$((${#words[@]} - 1))
    local before=${words[last]%"$2"}
    IFS=$'\013'
    if COMPREPLY=($(_CLAP_IFS="$IFS" _CLAP_COMPLETE_INDEX=$last VARIABLE=bash COMPLETER -- "${words[@]}" 2> /dev/null)); then
        # Bash replaces only what it takes for the word.
        COMPREPLY=("${COMPREPLY[@]#"$before"}")
        if [[ ${COMPREPLY-} =~ [=/]$ ]]; then compopt -o nospace 2> /dev/null; fi
    else
        unset COMPREPLY
    fi
}
if [[ ${BASH_VERSINFO[0]} -gt 4 || ${BASH_VERSINFO[0]} -eq 4 && ${BASH_VERSINFO[1]} -ge 4 ]]; then
    complete -o bashdefault -o nosort -F _kol_client BIN
else
    complete -o bashdefault -F _kol_client BIN
fi
"#;

impl EnvCompleter for WholeWords {
    fn name(&self) -> &'static str {
        Bash.name()
    }

    fn is(&self, name: &str) -> bool {
        Bash.is(name)
    }

    fn write_registration(
        &self,
        var: &str,
        _name: &str,
        bin: &str,
        completer: &str,
        script: &mut dyn Write,
    ) -> io::Result<()> {
        let text = BASH.replace("VARIABLE", var).replace("BIN", bin);
        script.write_all(text.replace("COMPLETER", completer).as_bytes())
    }

    fn write_complete(
        &self,
        command: &mut clap::Command,
        words: Vec<OsString>,
        folder: Option<&Path>,
        answer: &mut dyn Write,
    ) -> io::Result<()> {
        Bash.write_complete(command, words, folder, answer)
    }
}

/// Completes the name of a job.
pub fn jobs() -> ArgValueCandidates {
    ArgValueCandidates::new(job_names)
}

/// Completes the id of an executor.
pub fn executors() -> ArgValueCandidates {
    ArgValueCandidates::new(executor_ids)
}

/// Completes the name of a platform.
pub fn platforms() -> ArgValueCandidates {
    ArgValueCandidates::new(platform_names)
}

/// The newest first; of several jobs of a name that one.
fn job_names() -> Vec<CompletionCandidate> {
    let mut seen = Vec::new();
    let mut candidates = Vec::new();
    for job in jobs_of_cluster() {
        if !seen.contains(&job.name) {
            candidates.extend(candidate(&job.name, job_state(job.state())));
            seen.push(job.name);
        }
    }
    candidates
}

fn executor_ids() -> Vec<CompletionCandidate> {
    let executors = query(async |ctx: Context| {
        let mut jobs = ctx.jobs().await.ok()?;
        let reply = jobs.list_executors(ListExecutorsRequest {}).await.ok()?;
        Some(reply.into_inner().executors)
    });
    let executors = executors.unwrap_or_default().into_iter();
    let candidates = executors.filter_map(|executor| {
        let what = format!("{} on {}", executor_word(&executor), executor.host);
        candidate(&executor.executor_id, &what)
    });
    candidates.collect()
}

/// Those of the specs of all jobs, and those that have creators.
fn platform_names() -> Vec<CompletionCandidate> {
    let mut platforms: Vec<String> = jobs_of_cluster().iter().flat_map(platforms_of).collect();
    platforms.sort_unstable();
    platforms.dedup();
    platforms
        .iter()
        .filter_map(|name| candidate(name, ""))
        .collect()
}

/// The platforms of one job that are known to the master.
pub(crate) fn platforms_of(job: &JobStatus) -> Vec<String> {
    let spec: Option<JobSpec> = serde_json::from_str(&job.spec_json).ok();
    let of_spec = spec.iter().flat_map(|spec| spec.scoring.always_admitted());
    let seen = job.market.iter().map(|market| market.platform.as_str());
    of_spec.chain(seen).map(str::to_owned).collect()
}

fn jobs_of_cluster() -> Vec<JobStatus> {
    let jobs = query(async |ctx: Context| {
        let mut jobs = ctx.jobs().await.ok()?;
        let reply = jobs.list_jobs(ListJobsRequest {}).await.ok()?;
        Some(reply.into_inner().jobs)
    });
    jobs.unwrap_or_default()
}

/// A name that can stand on a command line as it is. Others are not offered: platforms come from records.
fn candidate(name: &str, what: &str) -> Option<CompletionCandidate> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    let is_plain = !name.is_empty() && name.len() <= LONGEST && !name.starts_with('-');
    if !is_plain || !name.chars().all(allowed) {
        return None;
    }
    let what = crate::print::visible(what).into_owned();
    let help = (!what.is_empty()).then(|| what.into());
    Some(CompletionCandidate::new(name).help(help))
}

fn query<T>(call: impl AsyncFnOnce(Context) -> Option<T>) -> Option<T> {
    let words = std::env::args().skip_while(|word| word != "--").skip(1);
    let ctx = context(&words.collect::<Vec<_>>());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let answer = async { tokio::time::timeout(PATIENCE, call(ctx)).await.ok()? };
    runtime.ok()?.block_on(answer)
}

/// Where the master is by the line so far, or else by the environment.
fn context(words: &[String]) -> Context {
    let given = |flag: &str, variable: &str| {
        let of_line = words.iter().enumerate().rev().find_map(|(at, word)| {
            match word.strip_prefix(flag)? {
                "" => words.get(at + 1).cloned(),
                rest => rest.strip_prefix('=').map(str::to_owned),
            }
        });
        of_line.or_else(|| std::env::var(variable).ok())
    };
    Context {
        master: given("--master", "KOL_MASTER").unwrap_or_else(|| MASTER.to_owned()),
        tls: given("--tls", "KOL_TLS").map(PathBuf::from),
        output: OutputFormat::Text,
        stores: Stores::of_this_machine(),
    }
}

#[cfg(test)]
mod tests {
    use kol_common::proto::PlatformMarket;

    use super::*;

    #[test]
    fn the_master_of_the_line_is_called() {
        let ctx = |line: &str| {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            context(&words)
        };
        let named = ctx("kol-client --master kol-1:7077 --tls=certs/ann status ");
        assert_eq!(named.master, "kol-1:7077");
        assert_eq!(named.tls, Some(PathBuf::from("certs/ann")));
        assert_eq!(ctx("kol-client --master=kol-2:1 jobs").master, "kol-2:1");
    }

    #[test]
    fn every_shell_has_a_script_that_calls_the_client() {
        for shell in [
            Shell::Bash,
            Shell::Zsh,
            Shell::Fish,
            Shell::Elvish,
            Shell::PowerShell,
        ] {
            let script = script(shell).unwrap();
            assert!(
                script.contains(VARIABLE) && script.contains("kol-client"),
                "{script}"
            );
        }
    }

    #[test]
    fn a_name_that_a_shell_would_read_otherwise_is_not_offered() {
        assert!(candidate("kol-trending", "running").is_some());
        for name in [
            "",
            "a b",
            "$(reboot)",
            "a;b",
            "-x",
            "a\u{1b}",
            &"a".repeat(101),
        ] {
            assert!(candidate(name, "").is_none(), "{name}");
        }
    }

    #[test]
    fn platforms_are_those_of_the_spec_and_those_that_have_creators() {
        let spec =
            kol_common::job::parse("name = \"a\"\n[scoring]\nplatforms = [\"youtube\"]", "a");
        let job = JobStatus {
            spec_json: serde_json::to_string(&spec.unwrap().spec).unwrap(),
            market: vec![PlatformMarket {
                platform: "instagram".into(),
                ..PlatformMarket::default()
            }],
            ..JobStatus::default()
        };
        assert_eq!(platforms_of(&job), ["tiktok", "youtube", "instagram"]);
    }
}
