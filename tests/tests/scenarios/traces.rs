//! Traces of how a job comes to run.

use std::time::Duration;

use kol_harness::{
    Cluster, Collector, Job, Kafka, Key, RedisServer, SentSpan, Topic, free_port, generated,
    wait_for,
};

const LIMIT: Duration = Duration::from_secs(60);
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const EVENTS: u32 = 200;
const PARTITIONS: usize = 3;
const SECRET: &str = "s3cret-of-the-trace";

/// A job of a topic, its file, and what it writes to.
struct Submitted {
    id: String,
    topic: Topic,
    redis: RedisServer,
}

impl Submitted {
    /// Submits it as a person does.
    fn to(cluster: &Cluster) -> Self {
        let topic = Topic::create(Kafka::shared(), "traces", PARTITIONS as u32);
        topic.produce(&generated(Key::Username, 20, EVENTS, 3));
        let redis = RedisServer::start();
        let spec = Job::replay("window = \"24h\"\nslide = \"1h\"");
        let spec = spec.toml(topic.kafka().bootstrap(), &[&topic.name], &redis.url());
        std::fs::write(cluster.folder().join("job.toml"), spec).unwrap();
        let run = cluster.client(&["submit", "job.toml", "--wait"]);
        let id = run.done().split_whitespace().nth(1).unwrap().to_owned();
        Self { id, topic, redis }
    }
}

fn named<'s>(spans: &'s [SentSpan], process: &str, name: &str) -> Vec<&'s SentSpan> {
    let fits = |span: &&SentSpan| span.process == process && span.name == name;
    spans.iter().filter(fits).collect()
}

#[test]
fn the_submission_of_a_job_its_partitions_and_its_first_epoch_are_one_trace_of_three_processes() {
    let collector = Collector::start();
    let url = collector.url();
    let environment = [
        (ENDPOINT, url.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("KOL_SECRET_TRACE", SECRET),
    ];
    let cluster = Cluster::start_with(1, &environment);
    let job = Submitted::to(&cluster);
    let spans = wait_for("the spans", LIMIT, || {
        let spans = collector.spans();
        let epoch = named(&spans, "kol-master", "first epoch").len();
        let started = named(&spans, "kol-executor", "start partition").len();
        if (epoch, started) == (1, PARTITIONS) {
            return Ok(spans);
        }
        Err(format!("{spans:#?}"))
    });
    let one = |process, name| {
        let found = named(&spans, process, name);
        let [one] = found[..] else {
            panic!("{name} of {process}: {spans:#?}");
        };
        one
    };
    let submit = one("kol-client", "submit");
    let accept = one("kol-master", "accept");
    let epoch = one("kol-master", "first epoch");
    assert!(submit.parent.is_empty());
    assert_eq!(accept.parent, submit.ids.1);
    assert_eq!(epoch.parent, accept.ids.1);
    for partition in named(&spans, "kol-executor", "start partition") {
        assert_eq!(partition.parent, epoch.ids.1, "{partition:?}");
    }
    for span in &spans {
        assert_eq!(span.ids.0, submit.ids.0, "another trace: {span:?}");
        assert!(!span.failed, "{span:?}");
        assert!(!format!("{span:?}").contains(SECRET));
    }
    let partition = format!("{}/{}", job.topic.name, PARTITIONS - 1);
    let about = ("kol.partition".to_owned(), partition);
    assert!(
        spans.iter().any(|s| s.attributes.contains(&about)),
        "{about:?} {spans:#?}"
    );
    cluster.assert_no_complaints();
}

#[test]
fn a_collector_that_does_not_answer_holds_up_nothing_and_is_said_once() {
    let url = format!("http://127.0.0.1:{}", free_port());
    let environment = [(ENDPOINT, url.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    let mut cluster = Cluster::start_with(1, &environment);
    cluster.allow("TRACES_NOT_SENT", "nobody listens there");
    let job = Submitted::to(&cluster);
    cluster.wait_caught_up(&job.id, EVENTS.into(), LIMIT);
    cluster.assert_equals_fold(&job.id, &job.topic, &job.redis, LIMIT);
    cluster.master.wait_code("TRACES_NOT_SENT", 0, LIMIT);
    cluster.executors[0].wait_code("TRACES_NOT_SENT", 0, LIMIT);
    let said = |log: String| log.matches("TRACES_NOT_SENT").count();
    assert_eq!(said(cluster.master.log()), 1);
    cluster.assert_no_complaints();
}
