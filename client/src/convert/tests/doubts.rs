//! What only the run knows is requested, however sure it looks.

use super::{converted, pyspark, requests, spec};

const READER: &str =
    "spark.readStream.format(\"kafka\").option(\"kafka.bootstrap.servers\", \"k:9092\")";

fn with(before: &str, topic: &str) -> String {
    let options =
        format!(".option(\"kafka.bootstrap.servers\", \"k:9092\").option(\"subscribe\", {topic})");
    pyspark(before, &options)
}

#[test]
fn a_number_that_is_formatted_is_not_its_digits() {
    for (topic, is) in [
        ("f\"v{n}\"", Some("v3")),
        ("f\"v{n:d}\"", Some("v3")),
        ("f\"v{n!s}\"", Some("v3")),
        ("\"v%s\" % n", Some("v3")),
        ("\"v%d.%s\" % (n, \"a\")", Some("v3.a")),
        ("\"v{}\".format(n)", Some("v3")),
        ("f\"v{n:03d}\"", None),
        ("f\"v{n!r}\"", None),
        ("f\"{n=}\"", None),
        ("\"v%03d\" % n", None),
        ("\"v%(n)s\" % values", None),
        ("\"v{:03d}\".format(n)", None),
    ] {
        let files = [("job.py", &with("n = 3", topic)[..])];
        match is {
            Some(is) => assert_eq!(spec(&files).source.topics(), [is], "{topic}"),
            None => requests(&converted(&files), "topics", "n"),
        }
    }
    let scala = "object J { val n = 3\n val d = spark.readStream.format(\"kafka\").option(\"kafka.bootstrap.servers\", \"k:9092\")\
                 .option(\"subscribe\", f\"v$n%03d\").load() }";
    requests(&converted(&[("J.scala", scala)]), "topics", "v$n%03d");
}

#[test]
fn options_that_branches_set_differently_are_requested() {
    let branches = |body: &str| {
        format!(
            "r = {READER}.option(\"subscribe\", \"t\").option(\"startingOffsets\", \"latest\")\n{body}df = r.load()\n"
        )
    };
    for body in [
        "if x:\n    r = r.option(\"startingOffsets\", \"earliest\")\n",
        "if x:\n    r.option(\"startingOffsets\", \"earliest\")\n",
        "if x:\n    r = r.option(\"startingOffsets\", \"earliest\")\nelse:\n    r = r.option(\"startingOffsets\", \"latest\")\n",
    ] {
        let converted = converted(&[("job.py", &branches(body))]);
        requests(&converted, "starting_offsets", "sets differently in lines");
    }
    let agreed = "if x:\n    r = r.option(\"startingOffsets\", \"latest\")\n";
    spec(&[("job.py", &branches(agreed))]);
    let later = "if x:\n    r = r.option(\"startingOffsets\", \"earliest\")\nr = r.option(\"startingOffsets\", \"earliest\")\n";
    spec(&[("job.py", &branches(later))]);
    let alone = "if x:\n    r = r.option(\"failOnDataLoss\", \"false\")\n";
    let said = converted(&[("job.py", &branches(alone))]).notes.join("\n");
    assert!(
        said.contains("failOnDataLoss is set in a branch only"),
        "{said}"
    );
}

#[test]
fn readers_that_a_function_returns_in_branches_are_not_one() {
    let job = format!(
        "def reader(old):\n    if old:\n        return {READER}.option(\"subscribe\", \"old\")\n    return {READER}.option(\"subscribe\", \"new\")\n\
         df = reader(x).load()\n"
    );
    let converted = converted(&[("job.py", &job)]);
    requests(&converted, "topics", "sets differently");
}

#[test]
fn a_dictionary_that_a_branch_changes_is_requested() {
    for change in [
        "o[\"subscribe\"] = \"b\"",
        "o.update({\"subscribe\": \"b\"})",
        "o |= {\"subscribe\": \"b\"}",
    ] {
        let job = format!(
            "o = {{\"kafka.bootstrap.servers\": \"k:9092\", \"subscribe\": \"a\"}}\nif x:\n    {change}\n\
             df = spark.readStream.format(\"kafka\").options(**o).load()\n"
        );
        requests(
            &converted(&[("job.py", &job)]),
            "topics",
            "o[subscribe], which job.py changes in a branch",
        );
    }
    let added = "t = \"a\"\nif x:\n    t += \"b\"";
    requests(
        &converted(&[("job.py", &with(added, "t"))]),
        "topics",
        "in a branch",
    );
}

#[test]
fn a_redis_that_names_its_server_otherwise_is_not_the_one_on_this_host() {
    for (before, question) in [
        (
            "r = redis.Redis(unix_socket_path=\"/run/r.sock\")",
            "/run/r.sock",
        ),
        ("r = redis.Redis(**params)", "params"),
        ("r = redis.Redis(**load(\"redis.yml\"), db=1)", "redis.yml"),
    ] {
        let converted = converted(&[("job.py", &with(before, "\"t\""))]);
        requests(&converted, "url", question);
    }
}

#[test]
fn a_login_that_the_client_here_does_not_know_is_requested() {
    for mechanism in ["AWS_MSK_IAM", "GSSAPI", "OAUTHBEARER"] {
        let job = with("", "\"t\"").replace(
            "    .load",
            &format!(".option(\"kafka.sasl.mechanism\", \"{mechanism}\")    .load"),
        );
        let converted = converted(&[("job.py", &job)]);
        requests(&converted, "\"sasl.mechanism\"", mechanism);
    }
}

#[test]
fn brokers_with_holes_are_requested() {
    for odd in [
        "k-$(POD):9092",
        "${HOST}:9092",
        "{{host}}:9092",
        "<host>:9092",
    ] {
        let job = with("", "\"t\"").replace("k:9092", odd);
        requests(&converted(&[("job.py", &job)]), "bootstrap", odd);
    }
}

#[test]
fn texts_that_methods_change_are_what_they_become() {
    for (before, topic, is) in [
        ("", "\"dev.t.\".rstrip(\".\")", Some("dev.t")),
        ("", "\"/t/\".strip(\"/\")", Some("t")),
        ("", "\"a:b:c\".split(\":\")[1]", Some("b")),
        ("", "\"a:b:c\".split(\":\", 1)[1]", None),
        ("", "\"{}\".format(*[\"a\"])", None),
        ("n = 1", "\"v\" + str(n + 1)", None),
        ("n = 1", "\"v\" + str(n)", Some("v1")),
    ] {
        let files = [("job.py", &with(before, topic)[..])];
        match is {
            Some(is) => assert_eq!(spec(&files).source.topics(), [is], "{topic}"),
            None => requests(&converted(&files), "topics", "FILL-IN"),
        }
    }
    let scala = |topic: &str| {
        format!(
            "object J {{ val d = spark.readStream.format(\"kafka\").option(\"kafka.bootstrap.servers\", \"k:9092\").option(\"subscribe\", {topic}).load() }}"
        )
    };
    for topic in [
        "\"a.b\".split(\".\").mkString(\",\")",
        "\"t\".split(\"\\\\|\")(0)",
        "\"v%d\".format(3)",
    ] {
        requests(
            &converted(&[("J.scala", &scala(topic))]),
            "topics",
            "FILL-IN",
        );
    }
}

#[test]
fn a_function_of_scala_has_all_of_its_results() {
    let job = |body: &str| {
        format!(
            "object J {{ def t(e: String): String = {{ {body} }}\n val d = spark.readStream.format(\"kafka\")\
             .option(\"kafka.bootstrap.servers\", \"k:9092\").option(\"subscribe\", t(\"x\")).load() }}"
        )
    };
    let early =
        "if (e == \"a\") return \"test\"\n e match { case \"p\" => \"prod\"; case _ => \"dev\" }";
    requests(
        &converted(&[("J.scala", &job(early))]),
        "topics",
        "t(\"x\")",
    );
    assert_eq!(
        spec(&[("J.scala", &job("\"live\""))]).source.topics(),
        ["live"]
    );
}

#[test]
fn settings_of_spark_that_a_source_sets_twice_are_requested() {
    let builder = |name: &str, host: &str| {
        let before = format!(
            "b = SparkSession.builder.appName(\"a\").config(\"spark.redis.host\", \"r\")\nif x:\n    b = b.appName(\"{name}\").config(\"spark.redis.host\", \"{host}\")"
        );
        with(&before, "\"t\"").replace(".appName(\"old\")", "")
    };
    let open = converted(&[("job.py", &builder("b", "other"))]);
    requests(&open, "url", "set differently");
    requests(&open, "name", "set differently");
    let same = spec(&[("job.py", &builder("a", "r"))]);
    assert_eq!(same.sink.url, "redis://r:6379/0");
}

#[test]
fn what_streams_of_one_cluster_set_differently_is_requested() {
    let stream = |topic: &str, more: &str| {
        format!("df = {READER}.option(\"subscribe\", \"{topic}\"){more}.load()\n")
    };
    let group = |name: &str| format!(".option(\"kafka.group.id\", \"{name}\")");
    let open = stream("a", &group("g")) + &stream("b", &group("h"));
    requests(&converted(&[("job.py", &open)]), "group_id", "differ");
    let isolation = ".option(\"kafka.isolation.level\", \"read_committed\")";
    let open = stream("a", isolation) + &stream("b", "");
    requests(
        &converted(&[("job.py", &open)]),
        "\"isolation.level\"",
        "differ",
    );
    let agreed = stream("a", &group("g")) + &stream("b", &group("g"));
    assert_eq!(spec(&[("job.py", &agreed)]).source.kafka().group_id, "g");
}

#[test]
fn a_default_behind_or_is_said() {
    for topic in [
        "os.environ.get(\"T\", None) or \"d\"",
        "os.getenv(\"T\", \"\") or \"d\"",
        "os.getenv(\"T\") or \"d\"",
    ] {
        let files = [("job.py", &with("", topic)[..])];
        assert_eq!(spec(&files).source.topics(), ["d"], "{topic}");
        let said = converted(&files).notes.join("\n");
        assert!(
            said.contains("T is not set in the files given: its default \"d\""),
            "{said}"
        );
    }
    let given = [
        (".env", "T=e\n"),
        ("job.py", &with("", "os.getenv(\"T\", \"\") or \"d\"")[..]),
    ];
    assert_eq!(spec(&given).source.topics(), ["e"]);
}

#[test]
fn a_setting_that_may_be_missing_does_not_replace_that_of_a_command() {
    let job = with("conf.setIfMissing(\"spark.redis.host\", \"dev\")", "\"t\"");
    assert_eq!(spec(&[("job.py", &job)]).sink.url, "redis://dev:6379/0");
    let run = "spark-submit --conf spark.redis.host=live job.py\n";
    assert_eq!(
        spec(&[("job.py", &job), ("run.sh", run)]).sink.url,
        "redis://live:6379/0"
    );
}
