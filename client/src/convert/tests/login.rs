//! Logins and Redis: names are kept, secrets never.

use super::{converted, pyspark, requests, spec};

const JAAS: &str = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\\\"scraper\\\" password=\\\"hunter2\\\";";

fn job(before: &str, more: &str) -> String {
    pyspark(
        before,
        &format!(
            ".option(\"kafka.bootstrap.servers\", \"k:9092\").option(\"subscribe\", \"t\"){more}"
        ),
    )
}

#[track_caller]
fn redis(before: &str) -> (String, bool) {
    let converted = converted(&[("job.py", &job(before, ""))]);
    assert!(
        !format!("{converted:?}").contains("hunter2"),
        "{converted:?}"
    );
    let spec = spec(&[("job.py", &job(before, ""))]);
    (spec.sink.url, spec.sink.password.is_some())
}

#[test]
fn a_login_of_kafka_keeps_its_user_and_loses_its_password() {
    let more = format!(
        ".option(\"kafka.security.protocol\", \"SASL_SSL\").option(\"kafka.sasl.mechanism\", \"PLAIN\")\
         .option(\"kafka.sasl.jaas.config\", \"{JAAS}\")\
         .option(\"kafka.ssl.truststore.location\", \"/etc/kafka/trust.jks\").option(\"kafka.ssl.truststore.password\", \"hunter2\")"
    );
    let text = job("", &more);
    let converted = converted(&[("job.py", &text)]);
    assert!(
        !format!("{converted:?}").contains("hunter2"),
        "{converted:?}"
    );
    for line in ["export KOL_SECRET_KAFKA_PASSWORD=", "/etc/kafka/trust.jks"] {
        assert!(
            converted.spec_toml.contains(line),
            "{line} in {}",
            converted.spec_toml
        );
    }
    let properties = spec(&[("job.py", &text)]).source.kafka().properties.clone();
    for (key, value) in [
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.username", "scraper"),
        ("sasl.password", "env:KOL_SECRET_KAFKA_PASSWORD"),
        ("ssl.ca.pem", "file:kafka-ca.pem"),
    ] {
        assert_eq!(
            properties.get(key).map(String::as_str),
            Some(value),
            "{key}"
        );
    }
}

#[test]
fn a_login_that_is_put_together_is_followed() {
    let more = ".option(\"kafka.sasl.jaas.config\", f'org.PlainLoginModule required username=\"{USER}\" password=\"{PASSWORD}\";')";
    let properties = spec(&[(
        "job.py",
        &job("USER = \"me\"\nPASSWORD = \"hunter2\"", more),
    )])
    .source
    .kafka()
    .properties
    .clone();
    assert_eq!(properties["sasl.username"], "me");
    assert_eq!(properties["sasl.mechanism"], "PLAIN");
    let open = converted(&[("job.py", &job("PASSWORD = \"hunter2\"", more))]);
    requests(&open, "\"sasl.username\"", "USER");
    assert!(!format!("{open:?}").contains("hunter2"), "{open:?}");
    let scram = more
        .replace("PlainLoginModule", "ScramLoginModule")
        .replace("{USER}", "me");
    requests(
        &converted(&[("job.py", &job("", &scram))]),
        "\"sasl.mechanism\"",
        "SCRAM-SHA-256",
    );
}

#[test]
fn passwords_of_other_systems_are_never_written() {
    let before = "spark = SparkSession.builder.config(\"spark.hadoop.fs.s3a.secret.key\", \"hunter2\")\\\n    \
        .config(\"spark.cassandra.auth.password\", \"hunter2\").config(\"spark.mongodb.output.uri\", \"mongodb://me:hunter2@m/db\")\\\n    \
        .config(\"spark.executor.extraJavaOptions\", \"-Djavax.net.ssl.trustStorePassword=hunter2\").getOrCreate()\n\
        df.write.format(\"jdbc\").option(\"password\", \"hunter2\").save()\n";
    let converted = converted(&[
        (
            "job.py",
            &job(
                before,
                ".option(\"kafka.ssl.keystore.password\", \"hunter2\").option(\"unknown.token\", \"hunter2\")",
            ),
        ),
        (
            "compose.yml",
            "services:\n  db:\n    environment:\n      POSTGRES_PASSWORD: hunter2\n      MYSQL_PASS: ${X:-hunter2}\n",
        ),
        (
            "run.sh",
            "export DB_PASSWORD=${DB_PASSWORD:-hunter2}\nspark-submit --conf spark.redis.auth=hunter2 --conf spark.redis.host=r job.py\n",
        ),
    ]);
    let all = format!("{converted:?}");
    assert!(!all.contains("hunter2"), "{all}");
    assert!(all.contains("spark.cassandra.auth.password"), "{all}");
}

#[test]
fn questions_hold_no_password() {
    let job = pyspark(
        "",
        ".option(\"kafka.bootstrap.servers\", decrypt_password(\"hunter2\")).option(\"subscribe\", \"t\")",
    );
    let converted = converted(&[("job.py", &job)]);
    requests(&converted, "bootstrap", "decrypt_password");
    assert!(
        !format!("{converted:?}").contains("hunter2"),
        "{converted:?}"
    );
}

#[test]
fn a_client_of_redis_is_the_sink() {
    for (before, url, password) in [
        (
            "r = redis.Redis(host=\"r\", port=6380)",
            "redis://r:6380/0",
            false,
        ),
        (
            "r = redis.StrictRedis('r', 6380, 2)",
            "redis://r:6380/2",
            false,
        ),
        ("r = redis.Redis()", "redis://localhost:6379/0", false),
        (
            "r = Redis(host=\"r\", password=\"hunter2\", ssl=True)",
            "rediss://r:6379/0",
            true,
        ),
        (
            "r = redis.Redis(host=\"r\", password=os.environ[\"REDIS_PASSWORD\"])",
            "redis://r:6379/0",
            true,
        ),
        (
            "r = redis.Redis(host=\"r\", password=None)",
            "redis://r:6379/0",
            false,
        ),
        (
            "r = redis.from_url(\"redis://:hunter2@r:6380/1\")",
            "redis://r:6380/1",
            true,
        ),
        (
            "r = redis.Redis.from_url(\"rediss://me:hunter2@r\")",
            "rediss://me@r:6379/0",
            true,
        ),
        (
            "pool = redis.ConnectionPool(host=\"r\", port=6380)\nr = redis.Redis(connection_pool=pool)",
            "redis://r:6380/0",
            false,
        ),
        (
            "cfg = {\"host\": \"r\", \"port\": 6380}\nr = redis.Redis(**cfg)",
            "redis://r:6380/0",
            false,
        ),
        (
            "HOST = \"r\"\ndef f(rows):\n    c = redis.Redis(host=HOST, port=int(os.getenv(\"P\", \"6380\")))",
            "redis://r:6380/0",
            false,
        ),
        (
            "url = os.environ.get(\"REDIS_URL\", \"redis://r:6380/0\")",
            "redis://r:6380/0",
            false,
        ),
        (
            "spark.conf.set(\"spark.redis.host\", \"r\")\nspark.conf.set(\"spark.redis.port\", \"6380\")\nspark.conf.set(\"spark.redis.db\", 3)",
            "redis://r:6380/3",
            false,
        ),
        (
            "b = SparkSession.builder.config(\"spark.redis.host\", \"r\").config(\"spark.redis.auth\", \"hunter2\")",
            "redis://r:6379/0",
            true,
        ),
        (
            "df.write.format(\"org.apache.spark.sql.redis\").option(\"host\", \"r\").option(\"port\", \"6380\").save()",
            "redis://r:6380/0",
            false,
        ),
    ] {
        assert_eq!(redis(before), (url.to_owned(), password), "{before}");
    }
    let scala = "object J { val c = new Jedis(\"r\", 6380)\n val d = spark.readStream.format(\"kafka\").option(\"kafka.bootstrap.servers\", \"k:9092\").option(\"subscribe\", \"t\").load() }";
    assert_eq!(spec(&[("J.scala", scala)]).sink.url, "redis://r:6380/0");
}

#[test]
fn a_redis_that_is_not_known_is_requested() {
    requests(
        &converted(&[("job.py", &job("r = redis.Redis(host=conf.host)", ""))]),
        "url",
        "conf.host",
    );
    let two = "a = redis.Redis(host=\"one\")\nb = redis.Redis(host=\"two\")";
    let two = converted(&[("job.py", &job(two, ""))]);
    requests(
        &two,
        "url",
        "redis://one:6379/0 (job.py:3), redis://two:6379/0 (job.py:4)",
    );
}

#[test]
fn a_redis_without_a_host_is_taken_for_one_on_the_same_host_and_the_notes_say_so() {
    let (none, password) = (
        job("", ""),
        job("r = redis.Redis(password=\"hunter2\")", ""),
    );
    let cases: [(&[(&str, &str)], bool); 5] = [
        (&[("job.py", &none)], false),
        (&[("job.py", &password)], true),
        (
            &[("job.py", &none), ("a.conf", "spark.redis.auth hunter2\n")],
            true,
        ),
        (
            &[("job.py", &none), ("a.conf", "spark.redis.port 6379\n")],
            false,
        ),
        (
            &[
                ("job.py", &none),
                ("a.sh", "export REDIS_PASSWORD=hunter2\n"),
            ],
            true,
        ),
    ];
    for (files, has_password) in cases {
        let converted = converted(files);
        let text = &converted.spec_toml;
        assert!(
            text.contains("url = \"redis://localhost:6379/0\""),
            "{text}"
        );
        let is_said = converted.notes.iter().any(|n| n.contains("name no Redis"));
        assert!(is_said, "{files:?}: {:?}", converted.notes);
        let reference = text.contains("env:KOL_SECRET_REDIS_PASSWORD");
        assert_eq!(reference, has_password, "{files:?}: {text}");
    }
    let named = converted(&[("job.py", &job("r = redis.Redis(host=\"r\")", ""))]);
    let is_said = named.notes.iter().any(|n| n.contains("name no Redis"));
    assert!(!is_said, "{:?}", named.notes);
}

#[test]
fn servers_that_sentinels_or_nodes_name_are_requested_by_what_the_source_says() {
    for source in [
        "Sentinel([(\"s1\", 26379)], socket_timeout=1)",
        "RedisCluster(startup_nodes=nodes)",
    ] {
        let converted = converted(&[("job.py", &job(&format!("r = {source}"), ""))]);
        let requested = converted
            .notes
            .iter()
            .find(|n| n.contains("url is not known"));
        let requested = requested.unwrap();
        assert!(requested.contains(source), "{requested}");
        assert!(!requested.contains("None"), "{requested}");
    }
}

#[test]
fn settings_of_sparks_own_kafka_client_are_named_as_such() {
    let conf = "spark.kafka.consumer.cache.capacity 64\nspark.locality.wait 3s\n";
    let text = converted(&[("job.py", &job("", "")), ("a.conf", conf)]).spec_toml;
    let line = |key: &str| text.lines().find(|l| l.contains(key)).unwrap().to_owned();
    assert!(
        line("spark.kafka.").contains("[source.properties]"),
        "{text}"
    );
    assert!(
        line("spark.locality").contains("tunes Spark itself"),
        "{text}"
    );
}
