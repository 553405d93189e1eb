//! Examples that the help of each command ends with; a test reads every one of them as a command line.

macro_rules! examples {
    ($($name:ident: $($line:literal)+;)+) => {
        $(pub(crate) const $name: &str = concat!("Examples:", $("\n  kol-client ", $line),+);)+
    };
}

examples! {
    SUBMIT: "submit job.toml --wait"
        "submit job.toml --set scoring.window=12h --replace"
        "submit job.toml --from-savepoint sav_01a20ff1a1c4733a9841ca3c84557311";
    JOBS: "jobs --state live"
        "jobs --name kol-trending -o json";
    STATUS: "status"
        "status kol-trending --wait caught-up --timeout 10m";
    STOP: "stop kol-trending --wait"
        "stop kol-trending --savepoint --to file:///backup";
    CANCEL: "cancel kol-trending";
    EXECUTORS: "executors"
        "executors -o json";
    DRAIN: "drain exe_01a20ff1a1c4733a9841ca3c84557311"
        "drain web-7 --cancel";
    CHECKPOINTS: "checkpoints kol-trending";
    SAVEPOINT: "savepoint kol-trending --to s3://backup/kol"
        "savepoint --delete sav_01a20ff1a1c4733a9841ca3c84557311";
    REWIND: "rewind kol-trending --to-epoch 4711 --wait"
        "rewind kol-trending --to-timestamp 2025-07-01T08:00:00Z";
    ROLLBACK: "rollback kol-trending --wait";
    STATE: "state inspect file:///var/lib/kol/checkpoints"
        "state verify s3://backup/kol/sav_01a20ff1a1c4733a9841ca3c84557311";
    PARTITIONS: "partitions"
        "partitions kol-trending --why";
    AUTOSCALE_ADVICE: "autoscale-advice kol-trending -o json";
    PLAN: "plan --rate 500k --kols 1m --videos-per-kol 20";
    EXPLAIN: "explain mia --platform tiktok";
    TOP: "top"
        "top --job kol-trending --platform youtube"
        "top --redis redis://127.0.0.1:6379/0 -n 20 -o json";
    SERVE: "serve --redis redis://127.0.0.1:6379/0 --listen 127.0.0.1:8000"
        "serve --spec job.toml";
    CHECK: "check job.toml --connect"
        "check job.toml --show";
    ALERTS: "alerts test job.toml"
        "alerts test job.toml --rule viral --dry-run -o json";
    SCHEMA: "schema"
        "schema --markdown";
    PEEK: "peek kol.videos.raw --bootstrap localhost:9092"
        "peek kol.videos.raw --spec job.toml -n 1 --from start";
    REPLAY: "replay events.jsonl.gz --topic kol.videos.raw"
        "replay crawl.json --topic kol.videos.raw --spec job.toml --speed 60 --create-topic";
    GENERATE: "generate --count 1000"
        "generate --to kafka --history 8d --rate 1000 --create-topic";
    CONVERT_SPARK: "convert-spark job.py submit.sh";
    CERTS: "certs init certs --host kol.example"
        "certs token certs --name ann --role viewer"
        "certs renew certs --revoke";
    DOCTOR: "doctor"
        "doctor kol-trending -o json"
        "doctor --spec job.toml";
    HEALTH: "health http://127.0.0.1:4040/readyz";
    COMPLETIONS: "completions bash";
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use crate::cli::Cli;

    #[test]
    fn the_help_of_every_command_ends_with_examples_that_can_be_run() {
        let cli = Cli::command();
        for command in cli.get_subcommands() {
            let name = command.get_name();
            let after = command.get_after_help().map(ToString::to_string);
            let after = after.unwrap_or_else(|| panic!("{name} has no examples"));
            let lines = after.strip_prefix("Examples:\n").unwrap().lines();
            for line in lines {
                let words: Vec<&str> = line.split_whitespace().collect();
                assert_eq!(words[..2], ["kol-client", name], "{line}");
                if let Err(error) = Cli::try_parse_from(&words) {
                    panic!("{line}: {error}");
                }
            }
        }
    }
}
