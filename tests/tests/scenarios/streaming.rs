//! `make streaming-start`, `streaming-status` and `streaming-stop`: the habits of the old job.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use kol_harness::{Kafka, Key, RedisServer, Topic, binary, free_port, generated, root, wait_for};

struct Streaming {
    run: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Streaming {
    fn call(&self, verb: &str) -> (Option<i32>, String) {
        let output = Command::new(root().join("deploy/local/streaming"))
            .arg(verb)
            .current_dir(self.run.path().parent().unwrap())
            .env("KOL_RUN_DIR", self.run.path().file_name().unwrap())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .output()
            .expect("the script");
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&text).into())
    }

    /// Process ids by name.
    fn pids(&self) -> Vec<(String, String)> {
        let files = std::fs::read_dir(self.run.path()).unwrap().flatten();
        let mut pids: Vec<_> = files
            .map(|file| file.path())
            .filter(|path| path.extension().is_some_and(|e| e == "pid"))
            .map(|path| {
                let pid = std::fs::read_to_string(&path).unwrap().trim().to_owned();
                (
                    path.file_stem().unwrap().to_string_lossy().into_owned(),
                    pid,
                )
            })
            .collect();
        pids.sort();
        pids
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        let (code, text) = self.call("stop");
        assert!(code == Some(0) || std::thread::panicking(), "{text}");
    }
}

#[test]
fn the_old_commands_start_show_and_stop_a_cluster_and_may_be_repeated() {
    let topic = Topic::create(Kafka::shared(), "streaming", 2);
    let redis = RedisServer::start();
    let job = tempfile::NamedTempFile::new().unwrap();
    let shipped = root().join("deploy/jobs/kol-trending.toml");
    let spec = std::fs::read_to_string(shipped).unwrap();
    let spec = spec.replace("kol.videos.raw", &topic.name);
    std::fs::write(job.path(), spec.replace("\"latest\"", "\"earliest\"")).unwrap();
    let streaming = Streaming {
        run: tempfile::tempdir().unwrap(),
        variables: vec![
            (
                "KOL_BIN",
                binary("kol-master").parent().unwrap().display().to_string(),
            ),
            ("KOL_LISTEN", format!("127.0.0.1:{}", free_port())),
            ("KOL_HTTP", format!("127.0.0.1:{}", free_port())),
            ("EXECUTORS", "2".into()),
            ("JOB", job.path().display().to_string()),
            ("BOOTSTRAP", topic.kafka().bootstrap().to_owned()),
            ("REDIS", redis.url()),
        ],
    };
    let (code, text) = streaming.call("status");
    assert!(
        code == Some(3) && text.contains("make streaming-start"),
        "{text}"
    );

    let (code, text) = streaming.call("start");
    assert_eq!(code, Some(0), "{text}");
    let pids = streaming.pids();
    assert_eq!(pids.len(), 3, "{pids:?}");
    topic.produce(&generated(Key::Username, 20, 500, 3));
    // The old health commands, word for word.
    wait_for("a ranking", Duration::from_secs(30), || {
        let ranking = redis.cli("ZREVRANGE ranking:tiktok:trending 0 9 WITHSCORES");
        let lines = ranking.lines().count();
        if lines == 20 { Ok(()) } else { Err(ranking) }
    });
    wait_for(
        "the time of the last update",
        Duration::from_secs(5),
        || {
            let last_update = redis.cli("GET streaming:last_update");
            let is_time = last_update.starts_with("20");
            is_time.then_some(()).ok_or(last_update)
        },
    );

    let (code, text) = streaming.call("start");
    assert!(
        code == Some(0) && text.contains("master runs already"),
        "{text}"
    );
    assert_eq!(streaming.pids(), pids, "nothing was started twice");
    let (code, text) = streaming.call("status");
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("running") && text.contains("executor-2"),
        "{text}"
    );

    let (code, text) = streaming.call("stop");
    assert!(
        code == Some(0) && text.contains("nothing of it runs any more"),
        "{text}"
    );
    for (name, pid) in &pids {
        // Empty for one that has ended and was not reaped yet.
        let command = std::fs::read(Path::new("/proc").join(pid).join("cmdline"));
        assert_eq!(command.unwrap_or_default(), b"", "{name} still runs");
    }
    let (code, text) = streaming.call("stop");
    assert_eq!(code, Some(0), "{text}");
}
