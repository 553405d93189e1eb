//! What a command line gives a source: flags, positional arguments, parameters of functions.

use super::{converted, pyspark, requests, spec};

fn python(before: &str, topic: &str) -> String {
    let options =
        format!(".option(\"kafka.bootstrap.servers\", \"k:9092\").option(\"subscribe\", {topic})");
    pyspark(before, &options)
}

/// Asserts what the topics are with these words behind the source; `None` if they are requested.
#[track_caller]
fn gives(job: &str, words: &str, is: Option<&str>) {
    let script = format!("spark-submit job.py {words}\n");
    let files = [("job.py", job), ("run.sh", &script[..])];
    match is {
        Some(is) => assert_eq!(spec(&files).source.topics().join(","), is, "{words}"),
        None => requests(&converted(&files), "topics", "FILL-IN"),
    }
}

#[test]
fn positional_arguments_of_a_parser_are_given_in_their_order() {
    let one = python(
        "p = argparse.ArgumentParser()\np.add_argument(\"topic\", nargs=\"?\", default=\"dev\")\n\
         p.add_argument(\"--dry\", action=\"store_true\")\na = p.parse_args()",
        "a.topic",
    );
    gives(&one, "live", Some("live"));
    gives(&one, "--dry live", Some("live"));
    gives(&one, "", Some("dev"));
    gives(&one, "\"$1\"", None);
    gives(&one, "$REST", None);
    gives(&one, "\"$@\"", None);
    gives(&one, "--other live", None);
    gives(&one, "a b", None);
    let many = python(
        "p = argparse.ArgumentParser()\np.add_argument(\"brokers\")\np.add_argument(\"topics\", nargs=\"+\")\na = p.parse_args()",
        "\",\".join(a.topics)",
    );
    gives(&many, "k:9092 a b", Some("a,b"));
    gives(&many, "k:9092", None);
    let said = converted(&[("job.py", &one)]).notes.join("\n");
    assert!(
        said.contains("topic is not set in the files given"),
        "{said}"
    );
}

#[test]
fn a_flag_is_known_however_it_is_written() {
    let job = python(
        "p = argparse.ArgumentParser()\np.add_argument(\"--topic\", default=\"dev\")\na, rest = p.parse_known_args()",
        "a.topic",
    );
    for words in [
        "--topic live",
        "--topic=live",
        "--to live",
        "--x y --topic live",
    ] {
        gives(&job, words, Some("live"));
    }
    gives(&job, "--topic=\"$T\"", None);
    gives(&job, "--topic live \"$@\"", None);
    gives(&job, "\"$@\" --topic live", Some("live"));
    let changed = job.replace("default=\"dev\"", "type=str.upper, default=\"dev\"");
    gives(&changed, "--topic live", None);
    let twice = job.replace(
        "a, rest",
        "p.add_argument(\"--other\", dest=\"topic\")\na, rest",
    );
    gives(&twice, "", None);
    let set = job.replace("a, rest", "p.set_defaults(topic=\"live\")\na, rest");
    gives(&set, "", None);
    let of_another = job.replace("a.topic", "load().topic");
    gives(&of_another, "", None);
}

#[test]
fn words_of_a_list_that_the_source_parses_itself_count() {
    let parser = "p = argparse.ArgumentParser()\np.add_argument(\"--topic\", default=\"dev\")\n";
    for (parse, is) in [
        ("a = p.parse_args([\"--topic\", \"own\"])", Some("own")),
        ("a = p.parse_args([])", Some("dev")),
        ("a = p.parse_args(sys.argv[1:])", Some("live")),
        ("a = p.parse_args(None)", Some("live")),
        ("a = p.parse_args(load())", None),
        ("a = vars(p.parse_args())\nclass X:\n    pass", Some("live")),
    ] {
        let topic = if parse.contains("vars") {
            "a[\"topic\"]"
        } else {
            "a.topic"
        };
        let job = python(&format!("{parser}{parse}"), topic);
        gives(&job, "--topic live", is);
    }
}

#[test]
fn words_are_counted_from_the_script() {
    let job = python("from sys import argv as words", "words[2]");
    gives(&job, "x live", Some("live"));
    gives(&job, "x", None);
    gives(&job, "$X live", None);
    let script = "ARGS=(x live)\nspark-submit job.py \"${ARGS[@]}\"\n";
    let files = [("job.py", &job[..]), ("run.sh", script)];
    assert_eq!(spec(&files).source.topics(), ["live"]);
    for line in ["python job.py x live", "python3 -m app.job x live"] {
        let files = [("job.py", &job[..]), ("run.sh", line)];
        assert_eq!(spec(&files).source.topics(), ["live"], "{line}");
    }
}

#[test]
fn words_of_scala_are_those_of_main() {
    let job = |main: &str| {
        format!(
            "object J {{\n {main}\n def read(topic: String) = spark.readStream.format(\"kafka\")\
             .option(\"kafka.bootstrap.servers\", \"k:9092\").option(\"subscribe\", topic).load()\n}}\n"
        )
    };
    let run = "spark-submit --class J j.jar first second\n";
    for (main, is) in [
        (
            "def main(args: Array[String]): Unit = { read(args(1)) }",
            Some("second"),
        ),
        (
            "def main(argv: Array[String]): Unit = { read(argv(0)) }",
            Some("first"),
        ),
        (
            "def main(args: Array[String]): Unit = { run(args) }\n def run(words: Array[String]) = { read(words(0)) }",
            Some("first"),
        ),
        (
            "def main(args: Array[String]): Unit = { run(args.drop(1)) }\n def run(args: Array[String]) = { read(args(0)) }",
            None,
        ),
        (
            "def main(words: Array[String]): Unit = { val args = words.drop(1)\n read(args(0)) }",
            None,
        ),
    ] {
        let job = job(main);
        let files = [("J.scala", &job[..]), ("run.sh", run)];
        match is {
            Some(is) => assert_eq!(spec(&files).source.topics(), [is], "{main}"),
            None => requests(&converted(&files), "topics", "FILL-IN"),
        }
    }
}

/// A job whose stream a function reads.
fn function(before: &str, params: &str, after: &str) -> String {
    format!(
        "{before}\ndef main({params}):\n    spark.readStream.format(\"kafka\").option(\"kafka.bootstrap.servers\", \"k:9092\")\
         .option(\"subscribe\", topic).load()\n{after}\n"
    )
}

#[test]
fn a_function_that_a_library_starts_has_what_the_words_give_it() {
    let fire = function("import fire", "topic=\"dev\"", "fire.Fire(main)");
    gives(&fire, "--topic=live", Some("live"));
    gives(&fire, "--topic live", Some("live"));
    gives(&fire, "", Some("dev"));
    gives(&fire, "live", None);
    gives(&fire, "--other=live", Some("dev"));
    let typer = function("import typer", "topic: str = \"dev\"", "typer.run(main)");
    gives(&typer, "--topic live", Some("live"));
    gives(&typer, "$REST", None);
    let option = "topic: str = typer.Option(\"dev\", \"--kafka-topic\", \"-t\", envvar=\"TOPIC\")";
    let app = function("import typer\n@app.command()", option, "app()");
    gives(&app, "-t live", Some("live"));
    gives(&app, "", Some("dev"));
    let env = [(".env", "TOPIC=set\n"), ("job.py", &app[..])];
    assert_eq!(spec(&env).source.topics(), ["set"]);
    let click = "@click.command()\n@click.option(\"--kafka-topic\", \"-t\", \"topic\", default=\"dev\")\n@click.option(\"--dry\", is_flag=True)";
    let click = function(click, "topic, dry", "main()");
    gives(&click, "--dry -t live", Some("live"));
    gives(&click, "--dry", Some("dev"));
    gives(&click, "--kafka-topic \"$T\"", None);
    let argument = function(
        "@click.command()\n@click.argument(\"topic\")",
        "topic",
        "main()",
    );
    gives(&argument, "live", Some("live"));
    gives(&argument, "", None);
}

#[test]
fn a_function_that_another_one_is_passed_has_no_default() {
    for after in [
        "pool.submit(main, \"live\")",
        "partial(main, topic=\"live\")()",
        "Thread(target=main, args=(\"live\",)).start()",
        "list(map(main, topics))",
    ] {
        let job = function("", "topic=\"dev\"", after);
        requests(&converted(&[("job.py", &job)]), "topics", "topic");
    }
    let alone = function("", "topic=\"dev\"", "x.foreachBatch(main)");
    assert_eq!(spec(&[("job.py", &alone)]).source.topics(), ["dev"]);
}
