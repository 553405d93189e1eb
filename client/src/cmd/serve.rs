//! `serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use kol_common::KolError;
use kol_common::job::{Counters, Profile, RedisTopology, RedisUrl, ScoringSpec, SinkSpec, parse};
use kol_common::net::Protection;
use kol_common::secrets::Secrets;
use kol_serve::{Options, Server};
use tokio::signal::unix::{SignalKind, signal};

use crate::Context;
use crate::input::spec::read_spec;
use crate::print;

/// How long requests that are under way may take when the process ends.
const END: Duration = Duration::from_secs(5);

/// Arguments of `kol-client serve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Redis to read, with its login; that of the spec when left out.
    #[arg(long, env = "KOL_REDIS", hide_env_values = true)]
    redis: Option<String>,
    /// The spec of the job that writes there, TOML: needed where it has keys, labels or a default platform of its own, and
    /// for a Redis Cluster.
    #[arg(long, value_name = "FILE")]
    spec: Option<PathBuf>,
    /// Address of the HTTP server; port 0 takes a free one. Others than loopback need --tls with a folder that has ca.crt,
    /// tls.crt, tls.key and tokens (as that of kol-master), or --insecure.
    #[arg(long, default_value = "127.0.0.1:8000", value_name = "ADDR")]
    listen: SocketAddr,
    /// Allows other addresses than loopback without TLS and login. For networks where only trusted hosts can connect.
    #[arg(long)]
    insecure: bool,
    /// Host under which it is called, besides loopback, where a proxy or a tunnel leads to it; may be given several times,
    /// or with commas. Without a login other names are refused.
    #[arg(
        long,
        env = "KOL_SERVE_ALLOW_HOST",
        value_name = "HOST",
        value_delimiter = ','
    )]
    allow_host: Vec<String>,
    /// Folder of `file:` secrets.
    #[arg(long, env = "KOL_SECRETS_DIR")]
    secrets_dir: Option<PathBuf>,
}

/// Serves until SIGTERM or SIGINT. Prints one line when it listens.
///
/// # Errors
/// The spec is wrong, or the address cannot be listened on. A Redis that cannot be read is none: requests learn that.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = Server::start(options(args, ctx)?).await?;
    print::line(&format!("kol-client serve ready http={}", server.address()))?;
    tokio::select! {
        biased;
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    server.stop(END).await;
    Ok(())
}

fn options(args: Args, ctx: &Context) -> Result<Options, KolError> {
    if args.redis.is_none() && args.spec.is_none() {
        return Err(KolError::user("CONFIG_INVALID", "no Redis to read is given").help(
            "Give --redis URL (KOL_REDIS), or --spec FILE: the spec of the job that writes there.",
        ));
    }
    let (sink, scoring) = match &args.spec {
        Some(file) => {
            let text = read_spec(file, &[])?;
            let parsed = parse(&text, &file.display().to_string()).map_err(KolError::from)?;
            (parsed.spec.sink, parsed.spec.scoring)
        }
        None => {
            let scoring = ScoringSpec::defaults(Profile::Default, Counters::Cumulative);
            (SinkSpec::default(), scoring)
        }
    };
    let sink = match args.redis {
        // Its login is part of the URL.
        Some(url) => SinkSpec {
            url,
            keys: sink.keys,
            ..SinkSpec::default()
        },
        None => sink,
    };
    let url: RedisUrl = sink
        .url
        .parse()
        .map_err(|why| KolError::user("SINK_URL", why).help("Correct --redis."))?;
    if args.spec.is_none() && url.topology == RedisTopology::Cluster {
        let what = "the keys of a job in a Redis Cluster are those of its spec";
        return Err(KolError::user("CONFIG_INVALID", what).help("Give --spec FILE, too."));
    }
    Ok(Options {
        listen: args.listen,
        protection: Protection::new(ctx.tls.as_deref(), args.insecure)?
            .allow_hosts(&args.allow_host)?,
        sink,
        secrets: Secrets::new(args.secrets_dir),
        labels: scoring.labels,
        default_platform: scoring.default_platform,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::{Cli, Command};

    #[test]
    fn without_a_redis_both_ways_to_name_one_are_said() {
        let cli = Cli::try_parse_from(["kol-client", "serve"]).unwrap();
        let ctx = crate::Context {
            master: cli.master,
            output: cli.output,
            tls: None,
            stores: kol_common::checkpoint::Stores::of_this_machine(),
        };
        let Command::Serve(args) = cli.command else {
            unreachable!()
        };
        let error = super::options(args, &ctx).err().unwrap();
        let text = error.to_string();
        assert!(
            text.contains("--redis") && text.contains("--spec"),
            "{text}"
        );
    }
}
