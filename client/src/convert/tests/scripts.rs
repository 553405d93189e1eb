//! Scripts, containers and objects that say different things at different places.

use super::{converted, pyspark, requests, spec};

const JOB: &str = "import os\ndf = (spark.readStream.format(\"kafka\").option(\"kafka.bootstrap.servers\", \"k:9092\")\n    \
                   .option(\"subscribe\", os.getenv(\"TOPIC\", \"dev\")).load())\n";

#[track_caller]
fn gives(name: &str, text: &str, is: Option<&str>) {
    let files = [("job.py", JOB), (name, text)];
    match is {
        Some(is) => assert_eq!(spec(&files).source.topics(), [is], "{text}"),
        None => requests(&converted(&files), "topics", "FILL-IN"),
    }
}

#[test]
fn a_command_has_the_variables_that_are_set_where_it_stands() {
    for (script, is) in [
        (
            "export TOPIC=a\nspark-submit job.py\nexport TOPIC=b\nspark-submit other.py",
            Some("a"),
        ),
        (
            "TOPIC=a spark-submit job.py\nTOPIC=b spark-submit other.py",
            Some("a"),
        ),
        (
            "spark-submit job.py\nexport TOPIC=b\nspark-submit other.py",
            None,
        ),
        (
            "TOPIC=a spark-submit job.py\nTOPIC=b spark-submit job.py",
            None,
        ),
        (
            "run() { spark-submit job.py; }\nexport TOPIC=a\nrun\n",
            Some("a"),
        ),
        (
            "set_up() { export TOPIC=a; }\nset_up\nspark-submit job.py\n",
            Some("a"),
        ),
        (
            ": \"${TOPIC:=a}\"\nexport TOPIC\nspark-submit job.py\n",
            Some("a"),
        ),
        ("export TOPIC=a\nread TOPIC\nspark-submit job.py\n", None),
        ("A=a\nexport TOPIC=${A^^}\nspark-submit job.py\n", None),
        ("A=a\nexport TOPIC=${!A}\nspark-submit job.py\n", None),
        (
            "A=$(cat x)\nexport TOPIC=${A:-b}\nspark-submit job.py\n",
            None,
        ),
    ] {
        gives("run.sh", script, is);
    }
}

#[test]
fn a_variable_that_a_branch_sets_is_requested() {
    for (script, is) in [
        ("if [ \"$1\" = prod ]; then export TOPIC=a; fi", None),
        ("case $1 in prod) export TOPIC=a ;; esac", None),
        ("[ \"$1\" = prod ] && export TOPIC=a", None),
        ("[[ $1 == prod ]] && TOPIC=a; export TOPIC", None),
        ("if [ -z \"$TOPIC\" ]; then export TOPIC=a; fi", Some("a")),
        ("[ -z \"$TOPIC\" ] && export TOPIC=a", Some("a")),
        (
            "export TOPIC=b\nif [ -z \"$TOPIC\" ]; then TOPIC=a; fi",
            Some("b"),
        ),
        ("cd /app && export TOPIC=a", Some("a")),
    ] {
        gives("run.sh", &format!("{script}\nspark-submit job.py\n"), is);
    }
}

#[test]
fn files_that_a_script_reads_or_writes_are_named() {
    let script = "source ./prod.env\ncat > job.env <<END\nTOPIC=x\nEND\nspark-submit job.py\n";
    let said = converted(&[("job.py", JOB), ("run.sh", script)])
        .notes
        .join("\n");
    assert!(said.contains("run.sh:1: ./prod.env is read here"), "{said}");
    assert!(said.contains("run.sh:2: job.env is written here"), "{said}");
    let given = [
        ("job.py", JOB),
        ("prod.env", "TOPIC=a\n"),
        ("run.sh", script),
    ];
    let said = converted(&given).notes.join("\n");
    assert!(!said.contains("prod.env"), "{said}");
    assert_eq!(spec(&given).source.topics(), ["a"]);
}

#[test]
fn what_the_source_sets_in_its_environment_counts_more() {
    for (before, is) in [
        ("os.environ[\"TOPIC\"] = \"own\"", Some("own")),
        ("os.environ.update(TOPIC=\"own\")", Some("own")),
        ("if x:\n    os.environ[\"TOPIC\"] = \"own\"", None),
        ("if x:\n    os.environ[\"TOPIC\"] = \"file\"", Some("file")),
        ("pass", Some("file")),
    ] {
        let options = ".option(\"kafka.bootstrap.servers\", \"k:9092\").option(\"subscribe\", os.getenv(\"TOPIC\", \"dev\"))";
        let job = pyspark(before, options);
        let files = [(".env", "TOPIC=file\n"), ("job.py", &job[..])];
        match is {
            Some(is) => assert_eq!(spec(&files).source.topics(), [is], "{before}"),
            None => requests(&converted(&files), "topics", "TOPIC"),
        }
    }
}

#[test]
fn of_several_spark_applications_the_one_that_starts_the_source_counts() {
    let application = |name: &str, file: &str, topic: &str| {
        format!(
            "apiVersion: x\nkind: SparkApplication\nmetadata: {{name: {name}}}\nspec:\n  mainApplicationFile: local:///app/{file}\n  \
             driver:\n    env:\n    - {{name: TOPIC, value: {topic}}}\n  executor: {{instances: 2}}\n---\n"
        )
    };
    let two = application("mine", "job.py", "a") + &application("other", "other.py", "b");
    gives("apps.yaml", &two, Some("a"));
    let read = spec(&[("job.py", JOB), ("apps.yaml", &two)]);
    assert_eq!(read.name, "mine");
    let both = application("a", "job.py", "a") + &application("b", "job.py", "b");
    gives("apps.yaml", &both, None);
    requests(
        &converted(&[("job.py", JOB), ("apps.yaml", &both)]),
        "name",
        "another",
    );
}

#[test]
fn two_maps_that_differ_leave_a_variable_open() {
    let map = |name: &str, topic: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{TOPIC: {topic}, t: {topic}}}\n---\n"
        )
    };
    gives("maps.yaml", &(map("dev", "a") + &map("prod", "b")), None);
    gives(
        "maps.yaml",
        &(map("dev", "a") + &map("prod", "a")),
        Some("a"),
    );
    let pod = "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: spark\n    image: spark\n    env:\n    - {name: TOPIC, VALUE}\n---\n";
    let own = pod.replace("VALUE", "value: own");
    gives("maps.yaml", &(own + &map("prod", "b")), Some("own"));
    let referred = pod.replace(
        "VALUE",
        "valueFrom: {configMapKeyRef: {name: prod, key: t}}",
    );
    gives(
        "maps.yaml",
        &(referred.clone() + &map("dev", "a") + &map("prod", "b")),
        Some("b"),
    );
    gives("maps.yaml", &referred, None);
}

#[test]
fn holes_of_templates_are_requested() {
    let yaml =
        "services:\n  job:\n    image: spark\n    environment:\n      TOPIC: \"{{ topic }}\"\n";
    gives("compose.yml", yaml, None);
    let files = [
        ("spark.conf", "spark.app.name=${env:STAGE}-kol\n"),
        ("job.py", JOB),
    ];
    requests(&converted(&files), "name", "${env:STAGE}");
    let pipeline = "jobs:\n  deploy:\n    steps:\n    - run: TOPIC=a spark-submit job.py\n";
    gives("ci.yml", pipeline, Some("a"));
}

#[test]
fn files_that_are_not_read_are_named() {
    for name in ["app.ini", "conf.json", "Dockerfile", "application.conf"] {
        let said = converted(&[("job.py", JOB), (name, "kafka {\n")])
            .notes
            .join("\n");
        assert!(
            said.contains(&format!("{name}: files of this kind are not read")),
            "{said}"
        );
    }
}

#[test]
fn notebooks_are_read() {
    let notebook = |cells: &str| {
        format!(
            "{{\"cells\": [{{\"cell_type\": \"code\", \"source\": [{cells}]}}], \"metadata\": {{}}}}"
        )
    };
    let read = "\"spark.readStream.format('kafka').option('kafka.bootstrap.servers', 'k:9092').option('subscribe', T).load()\"";
    let plain = notebook(&format!("\"%pip install x\\n\", \"T = 'a'\\n\", {read}"));
    assert_eq!(spec(&[("job.ipynb", &plain)]).source.topics(), ["a"]);
    let changed = notebook(&format!("\"T = 'a'\\n\", \"%run ./prod\\n\", {read}"));
    requests(&converted(&[("job.ipynb", &changed)]), "topics", "T");
    let magic = JOB
        .replace("os.getenv(\"TOPIC\", \"dev\")", "T")
        .replace("import os", "T = \"a\"\n# MAGIC %run ./prod");
    requests(&converted(&[("job.py", &magic)]), "topics", "T");
}

#[test]
fn a_container_counts_more_than_a_file_that_it_reads() {
    let compose = "services:\n  job:\n    image: spark\n    env_file: [prod.env]\n    environment: {TOPIC: own}\n";
    let files = [("job.py", JOB), ("compose.yml", compose)];
    assert_eq!(spec(&files).source.topics(), ["own"]);
    let said = converted(&files).notes.join("\n");
    assert!(
        said.contains("prod.env is read here: give it as well"),
        "{said}"
    );
    let given = [files[0], files[1], ("prod.env", "TOPIC=file\n")];
    assert_eq!(spec(&given).source.topics(), ["own"]);
    let said = converted(&given).notes.join("\n");
    assert!(
        said.contains("TOPIC is what its container sets in compose.yml"),
        "{said}"
    );
}
