//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use futures::future::LocalBoxFuture;
use kol_common::checkpoint::Stores;
use kol_common::telemetry::LogFormat;

use crate::cmd;
use crate::context::{Context, MASTER, OutputFormat};
use crate::examples;

/// Submits and watches jobs on a KOL cluster.
#[derive(Debug, Parser)]
#[command(name = "kol-client", version, about, after_help = crate::exit::HELP)]
pub struct Cli {
    /// Address of the master, as HOST:PORT or a URL; of several masters all, separated by commas: the leader is found
    /// among them.
    #[arg(
        long,
        global = true,
        env = "KOL_MASTER",
        default_value = MASTER
    )]
    pub master: String,
    /// Folder with ca.crt and token, for a master with https.
    #[arg(long, global = true, env = "KOL_TLS", value_name = "DIR")]
    pub tls: Option<PathBuf>,
    /// How answers are printed.
    #[arg(short, long, global = true, value_enum, default_value_t)]
    pub output: OutputFormat,
    /// How log lines are written: text or json.
    #[arg(long, global = true, default_value = "text")]
    pub log_format: LogFormat,
    /// What is logged, as `info` or `warn,kol_executor::sink=debug` [default: info].
    #[arg(long, env = "KOL_LOG", value_name = "FILTER", global = true)]
    pub log_level: Option<String>,
    /// Send a trace of the submission to this collector of OpenTelemetry, over OTLP/gRPC, as http://127.0.0.1:4317.
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        value_name = "URL",
        global = true
    )]
    pub otlp_endpoint: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// One variant a command; its doc comment is the command's help.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Submit a job spec; submitting the same one again changes nothing.
    #[command(after_help = examples::SUBMIT)]
    Submit(cmd::submit::Args),
    /// List jobs, newest first.
    #[command(after_help = examples::JOBS)]
    Jobs(cmd::jobs::Args),
    /// Show one job; can wait for a state.
    #[command(after_help = examples::STATUS)]
    Status(cmd::status::Args),
    /// Stop a job: no more input, everything confirmed by Redis, a last checkpoint.
    #[command(after_help = examples::STOP)]
    Stop(cmd::stop::Args),
    /// Cancel a job at once.
    #[command(after_help = examples::CANCEL)]
    Cancel(cmd::cancel::Args),
    /// List executors, also those that were lost in the last minutes.
    #[command(after_help = examples::EXECUTORS)]
    Executors(cmd::executors::Args),
    /// Move all partitions of an executor to others, before it is stopped or its host is.
    #[command(after_help = examples::DRAIN)]
    Drain(cmd::drain::Args),
    /// List the checkpoints of a job that are kept, with what they cost, and its savepoints.
    #[command(after_help = examples::CHECKPOINTS)]
    Checkpoints(cmd::checkpoints::Args),
    /// Save the whole state of a running job in a folder of its own, from which another job can start.
    #[command(after_help = examples::SAVEPOINT)]
    Savepoint(cmd::savepoint::Args),
    /// Restart a job from an earlier point.
    #[command(after_help = examples::REWIND)]
    Rewind(cmd::rewind::Args),
    /// Restart the job that had this name before, with its spec.
    #[command(after_help = examples::ROLLBACK)]
    Rollback(cmd::rollback::Args),
    /// Inspect or verify state files without a cluster.
    #[command(after_help = examples::STATE)]
    State(cmd::state::Args),
    /// List the partitions of a job.
    #[command(after_help = examples::PARTITIONS)]
    Partitions(cmd::partitions::Args),
    /// Say how many executors a job wants now, by its lag and by how busy they are.
    #[command(after_help = examples::AUTOSCALE_ADVICE)]
    AutoscaleAdvice(cmd::autoscale_advice::Args),
    /// Say how large a cluster must be: executors, memory, partitions, Redis.
    #[command(after_help = examples::PLAN)]
    Plan(cmd::plan::Args),
    /// Show every term of a creator's score and what it was made of.
    #[command(after_help = examples::EXPLAIN)]
    Explain(cmd::explain::Args),
    /// Show the live ranking.
    #[command(after_help = examples::TOP)]
    Top(cmd::top::Args),
    /// Serve rankings and creators over HTTP, from Redis alone.
    #[command(after_help = examples::SERVE)]
    Serve(cmd::serve::Args),
    /// Check a job spec; with --connect also whether Kafka, topics and Redis can be reached.
    #[command(after_help = examples::CHECK)]
    Check(cmd::check::Args),
    /// Try out where the alerts of a job spec go.
    #[command(after_help = examples::ALERTS)]
    Alerts(cmd::alerts::Args),
    /// Print the JSON Schema of a job spec, or its reference page.
    #[command(after_help = examples::SCHEMA)]
    Schema(cmd::schema::Args),
    /// Show records of a topic, raw beside decoded.
    #[command(after_help = examples::PEEK)]
    Peek(cmd::peek::Args),
    /// Write a file of events to a topic.
    #[command(after_help = examples::REPLAY)]
    Replay(cmd::replay::Args),
    /// Generate realistic events.
    #[command(after_help = examples::GENERATE)]
    Generate(cmd::generate::Args),
    /// Turn the settings of a Spark job into a job spec.
    #[command(after_help = examples::CONVERT_SPARK)]
    ConvertSpark(cmd::convert_spark::Args),
    /// Make certificates and tokens for a cluster.
    #[command(after_help = examples::CERTS)]
    Certs(cmd::certs::Args),
    /// Look at everything, and say what is wrong in the order in which to mend it.
    #[command(after_help = examples::DOCTOR)]
    Doctor(cmd::doctor::Args),
    /// Check whether a process is well, by its page /healthz or /readyz.
    #[command(after_help = examples::HEALTH)]
    Health(cmd::health::Args),
    /// Print completions for a shell.
    #[command(after_help = examples::COMPLETIONS)]
    Completions(cmd::completions::Args),
}

impl Cli {
    /// Whether the command answers signals itself: others end at once.
    pub fn ends_by_itself(&self) -> bool {
        matches!(self.command, Command::Serve(_))
    }

    /// Runs the command. Boxed, so that what it awaits is compiled here and not in each program that calls it.
    ///
    /// # Errors
    /// Whatever the command reports; see [`crate::exit`].
    pub fn run(self) -> LocalBoxFuture<'static, anyhow::Result<()>> {
        Box::pin(self.run_here())
    }

    async fn run_here(self) -> anyhow::Result<()> {
        let ctx = Context {
            master: self.master,
            tls: self.tls,
            output: self.output,
            stores: Stores::of_this_machine(),
        };
        match self.command {
            Command::Submit(args) => cmd::submit::run(args, &ctx).await,
            Command::Jobs(args) => cmd::jobs::run(args, &ctx).await,
            Command::Status(args) => cmd::status::run(args, &ctx).await,
            Command::Stop(args) => cmd::stop::run(args, &ctx).await,
            Command::Cancel(args) => cmd::cancel::run(args, &ctx).await,
            Command::Executors(args) => cmd::executors::run(args, &ctx).await,
            Command::Drain(args) => cmd::drain::run(args, &ctx).await,
            Command::Checkpoints(args) => cmd::checkpoints::run(args, &ctx).await,
            Command::Savepoint(args) => cmd::savepoint::run(args, &ctx).await,
            Command::Rewind(args) => cmd::rewind::run(args, &ctx).await,
            Command::Rollback(args) => cmd::rollback::run(args, &ctx).await,
            Command::State(args) => cmd::state::run(args, &ctx).await,
            Command::Partitions(args) => cmd::partitions::run(args, &ctx).await,
            Command::AutoscaleAdvice(args) => cmd::autoscale_advice::run(args, &ctx).await,
            Command::Plan(args) => cmd::plan::run(&args, &ctx),
            Command::Explain(args) => cmd::explain::run(args, &ctx).await,
            Command::Top(args) => cmd::top::run(args, &ctx).await,
            Command::Serve(args) => cmd::serve::run(args, &ctx).await,
            Command::Check(args) => cmd::check::run(args, &ctx).await,
            Command::Alerts(args) => cmd::alerts::run(args, &ctx).await,
            Command::Schema(args) => Ok(cmd::schema::run(&args)?),
            Command::Peek(args) => cmd::peek::run(args, &ctx).await,
            Command::Replay(args) => cmd::replay::run(args, &ctx).await,
            Command::Generate(args) => cmd::generate::run(args, &ctx).await,
            Command::ConvertSpark(args) => cmd::convert_spark::run(args, &ctx).await,
            Command::Certs(args) => cmd::certs::run(args, &ctx),
            Command::Doctor(args) => cmd::doctor::run(args, &ctx).await,
            Command::Health(args) => cmd::health::run(args, &ctx).await,
            Command::Completions(args) => Ok(cmd::completions::run(args)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed_and_documents_its_exit_codes() {
        Cli::command().debug_assert();
        let help = Cli::command().render_long_help().to_string();
        assert!(help.contains("5 a wait timed out"));
        let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("7 doctor found something wrong"));
    }

    #[test]
    fn commands_that_read_take_the_only_job_and_those_that_change_something_want_its_name() {
        let parses = |line: &str| Cli::try_parse_from(line.split(' ')).map(|_| ());
        for reads in [
            "status",
            "partitions",
            "checkpoints",
            "autoscale-advice",
            "top",
            "doctor",
            "explain kol",
            "explain kol job",
            "top job -n 1",
        ] {
            let parsed = parses(&format!("kol-client {reads}"));
            assert!(parsed.is_ok(), "{reads}: {parsed:?}");
        }
        for changes in [
            "stop",
            "cancel",
            "savepoint",
            "rewind --to-earliest",
            "rollback",
        ] {
            let refused = parses(&format!("kol-client {changes}")).unwrap_err();
            let missing = clap::error::ErrorKind::MissingRequiredArgument;
            assert_eq!(refused.kind(), missing, "{changes}");
            let (command, flags) = changes.split_once(' ').unwrap_or((changes, ""));
            let named = parses(format!("kol-client {command} a {flags}").trim_end());
            assert!(named.is_ok(), "{changes}: {named:?}");
        }
    }

    #[test]
    fn a_ranking_of_no_creators_is_no_ranking() {
        let refused = Cli::try_parse_from("kol-client top -n 0".split(' ')).unwrap_err();
        assert_eq!(refused.kind(), clap::error::ErrorKind::ValueValidation);
    }

    /// Files of the repository, from its root.
    fn file(path: &str) -> String {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../");
        std::fs::read_to_string(format!("{root}{path}")).unwrap()
    }

    /// What is wrong with a command that a document shows.
    fn wrong(line: &str) -> Option<String> {
        let mut cli = Cli::command();
        cli.build();
        let mut words = line.split_whitespace();
        let name = words.next().filter(|word| !word.starts_with('-'))?;
        let Some(command) = cli.find_subcommand(name) else {
            return Some(format!("{name} is no command"));
        };
        let inner = command.get_subcommands().flat_map(|c| c.get_arguments());
        let flags: Vec<_> = command.get_arguments().chain(inner).collect();
        let has = |flag: &str| flags.iter().any(|a| a.get_long() == Some(flag));
        let given = words.filter_map(|word| word.strip_prefix("--"));
        let names = given.map(|word| word.split(['=', ',', ';', ')']).next().unwrap_or(word));
        let unknown = names
            .filter(|name| !name.is_empty())
            .find(|name| !has(name));
        unknown.map(|flag| format!("{name} has no --{flag}"))
    }

    #[test]
    fn commands_and_flags_in_the_documents_exist() {
        assert_eq!(wrong("top --platform x --follow"), None);
        assert_eq!(wrong("gone"), Some("gone is no command".into()));
        assert_eq!(wrong("top --gone=1"), Some("top has no --gone".into()));
        let mut shown = 0;
        for path in [
            "README.md",
            "ARCHITECTURE.md",
            "CONTRIBUTING.md",
            "docs/alerts.md",
            "docs/errors.md",
            "docs/job-spec.md",
            "docs/json.md",
            "docs/serving.md",
            "docs/operations/README.md",
            "docs/operations/containers.md",
            "docs/operations/hosts.md",
            "docs/operations/kubernetes.md",
            "docs/operations/scaling.md",
            "docs/operations/upgrade.md",
            "docs/operations/backup.md",
            "docs/operations/disaster.md",
            "docs/operations/monitoring.md",
        ] {
            let text = file(path).replace("\\\n", " ");
            for begin in ["`kol-client ", "\nkol-client "] {
                for after in text.split(begin).skip(1) {
                    let line = after
                        .split(['`', '\n', '#', '|'])
                        .next()
                        .unwrap_or_default();
                    assert_eq!(wrong(line), None, "{path}: kol-client {line}");
                    shown += 1;
                }
            }
        }
        assert!(shown > 20, "found only {shown} commands");
    }
}
