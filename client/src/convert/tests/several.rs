//! Several containers, commands and modules that say different things.

use super::{converted, requests, spec};

const JOB: &str = "import os\ndf = (spark.readStream.format(\"kafka\").option(\"kafka.bootstrap.servers\", os.environ[\"BROKERS\"])\n    \
                   .option(\"subscribe\", os.getenv(\"TOPIC\", \"t\")).load())\n";
const ARGUMENTS: &str = "df = spark.readStream.format(\"kafka\").option(\"kafka.bootstrap.servers\", sys.argv[1]).option(\"subscribe\", sys.argv[2]).load()\n";

fn topics(files: &[(&str, &str)]) -> Vec<String> {
    spec(files).source.topics().to_vec()
}

#[test]
fn what_one_container_sets_is_not_what_a_compose_file_is_filled_in_with() {
    let compose = "services:\n  producer:\n    environment:\n      TOPIC: other\n  job:\n    image: spark\n    environment:\n      \
                   BROKERS: k:9092\n      TOPIC: ${TOPIC:-own}\n";
    let files = [("job.py", JOB), ("compose.yml", compose)];
    assert_eq!(topics(&files), ["own"]);
    let set = [
        (".env", "TOPIC=set\n"),
        ("job.py", JOB),
        ("compose.yml", compose),
    ];
    assert_eq!(topics(&set), ["set"]);
}

#[test]
fn a_container_has_an_environment_of_its_own() {
    let compose = "services:\n  producer:\n    environment:\n      TOPIC: other\n  job:\n    image: spark\n    environment:\n      BROKERS: k:9092\n";
    assert_eq!(topics(&[("job.py", JOB), ("compose.yml", compose)]), ["t"]);
    let pod = "apiVersion: batch/v1\nkind: CronJob\nspec:\n  containers:\n    - name: side\n      env: [{name: TOPIC, value: side}]\n    \
               - name: main\n      image: spark\n      env: [{name: TOPIC, value: main}, {name: BROKERS, value: 'k:9092'}]\n      command: [spark-submit, job.py]\n    \
               - name: metrics\n      env: [{name: TOPIC, value: metrics}]\n";
    assert_eq!(topics(&[("job.py", JOB), ("pod.yml", pod)]), ["main"]);
    let holes = pod.replace("k:9092", "k-$(TOPIC):9092");
    let files = [("job.py", JOB), ("pod.yml", &holes)];
    assert_eq!(spec(&files).source.kafka().bootstrap, "k-main:9092");
    let holes = pod.replace("k:9092", "k-$(POD):9092");
    let files = [("job.py", JOB), ("pod.yml", &holes)];
    requests(&converted(&files), "bootstrap", "$(POD)");
}

#[test]
fn of_several_containers_the_one_that_starts_the_source_counts() {
    let service = |name: &str, file: &str| {
        format!(
            "  {name}:\n    command: spark-submit {file}\n    environment:\n      BROKERS: k:9092\n      TOPIC: {name}\n"
        )
    };
    let three = |file: &str| {
        format!(
            "services:\n{}{}{}",
            service("a", "a.py"),
            service("b", file),
            service("c", "c.py")
        )
    };
    let named = three("/app/job.py");
    assert_eq!(topics(&[("job.py", JOB), ("compose.yml", &named)]), ["b"]);
    let unnamed = three("b.py").replace("  c:", "  d:")
        + &service("c", "c.py").replace("TOPIC: c", "TOPIC: a");
    let files = [("job.py", JOB), ("compose.yml", &unnamed)];
    requests(&converted(&files), "topics", "set differently");
}

#[test]
fn of_several_commands_the_one_that_starts_the_source_counts() {
    let script =
        "spark-submit --name one other.py a:1 x\nspark-submit --name two app/job.py b:2 y\n";
    let files = [("job.py", ARGUMENTS), ("run.sh", script)];
    let spec = spec(&files);
    assert_eq!(
        (&*spec.name, &*spec.source.kafka().bootstrap),
        ("two", "b:2")
    );
    let notes = converted(&files).notes.join("\n");
    assert!(
        notes.contains("run.sh:1: this command starts none of the files given"),
        "{notes}"
    );
}

#[test]
fn what_several_commands_give_differently_is_requested() {
    let script = "spark-submit --name one job.py a:1 t\nspark-submit --name two job.py b:2 t\nspark-submit --name one job.py a:1 t\n";
    let converted = converted(&[("job.py", ARGUMENTS), ("run.sh", script)]);
    requests(
        &converted,
        "bootstrap",
        "argument 1, which the commands in run.sh:1",
    );
    requests(&converted, "name", "give differently");
    assert!(
        converted.spec_toml.contains("topics = [\"t\"]"),
        "{}",
        converted.spec_toml
    );
}

#[test]
fn names_of_other_modules_are_followed_also_by_other_names() {
    let settings = "import os\nclass Settings:\n    NAME = \"n\"\n    HOST = os.getenv(\"RH\", \"r\")\nsettings = Settings()\nTOPICS = {\"a\": \"t.a\"}\n";
    let job = "from conf import settings as S, TOPICS as T\nimport conf as c\nspark = SparkSession.builder.appName(S.NAME).getOrCreate()\n\
               r = redis.Redis(host=c.settings.HOST)\n\
               df = spark.readStream.format(\"kafka\").option(\"kafka.bootstrap.servers\", \"k:9092\").option(\"subscribe\", T[\"a\"]).load()\n";
    let spec = spec(&[("job.py", job), ("conf.py", settings)]);
    assert_eq!(spec.name, "n");
    assert_eq!(spec.source.topics(), ["t.a"]);
    assert_eq!(spec.sink.url, "redis://r:6379/0");
}

#[test]
fn a_fallback_for_a_module_that_was_not_given_is_not_taken() {
    let job = "try:\n    from settings import TOPIC\nexcept ImportError:\n    TOPIC = \"fallback\"\n\
               df = spark.readStream.format(\"kafka\").option(\"kafka.bootstrap.servers\", \"k:9092\").option(\"subscribe\", TOPIC).load()\n";
    requests(&converted(&[("job.py", job)]), "topics", "TOPIC");
}

#[test]
fn flags_are_known_by_all_their_names() {
    let job = "p.add_argument(\"-t\", \"--topics\", dest=\"topic_names\", default=\"none\")\na = p.parse_args()\n\
               df = spark.readStream.format(\"kafka\").option(\"kafka.bootstrap.servers\", \"k:9092\").option(\"subscribe\", a.topic_names).load()\n";
    for given in ["-t x", "--topics x", "--topics=x"] {
        let script = format!("spark-submit job.py {given}");
        assert_eq!(
            topics(&[("job.py", job), ("run.sh", &script)]),
            ["x"],
            "{given}"
        );
    }
}

#[test]
fn the_default_of_a_password_is_not_said_whatever_its_variable_is_called() {
    let job = "r = redis.from_url(\"redis://:%s@%s:%d/3\" % (os.getenv(\"RPW\", \"hunter2\"), \"cache\", 6390))\n\
               x = os.getenv(\"KPW\", \"hunter3\")\n\
               df = spark.readStream.format(\"kafka\").option(\"kafka.bootstrap.servers\", \"k:9092\").option(\"subscribe\", \"t\")\
               .option(\"kafka.sasl.jaas.config\", f'PlainLoginModule required username=\"u\" password=\"{x}\";').load()\n";
    let files = [("job.py", job)];
    assert_eq!(spec(&files).sink.url, "redis://cache:6390/3");
    let compose = "services:\n  job:\n    image: spark\n    environment:\n      RPW: ${RPW:-hunter2}\n      KPW: ${KPW:-hunter3}\n";
    for files in [&files[..], &[files[0], ("compose.yml", compose)]] {
        let all = format!("{:?}", converted(files));
        assert!(!all.contains("hunter"), "{all}");
    }
}
