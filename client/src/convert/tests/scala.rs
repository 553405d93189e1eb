//! Jobs that are written in Scala.

use super::{converted, requests, spec};

fn job(before: &str, chain: &str) -> String {
    format!(
        "import org.apache.spark.sql.SparkSession\nobject Job {{\n  {before}\n  def main(args: Array[String]): Unit = {{\n    \
         val spark = SparkSession.builder().appName(\"old\").getOrCreate()\n    val df = {chain}\n  }}\n}}\n"
    )
}

fn dotted(value: &str) -> String {
    format!(
        "spark.readStream\n      .format(\"kafka\")\n      .option(\"kafka.bootstrap.servers\", \"k:9092\")\n      \
         .option(\"subscribe\", {value})\n      .load()"
    )
}

#[test]
fn comments_do_not_count() {
    for comment in [
        "// .option(\"subscribe\", \"dead\")\n",
        "/* .option(\"subscribe\", \"dead\") */\n",
        "/* /* .option(\"subscribe\", \"dead\") */ .option(\"subscribe\", \"dead\") */\n",
        "/** .option(\"subscribe\", \"dead\") */\n",
    ] {
        let chain = format!(
            "spark.readStream.format(\"kafka\")\n.option(\"kafka.bootstrap.servers\", \"k:9092\")\n{comment}\
             .option(\"subscribe\", \"live\")\n{comment}.load()"
        );
        let spec = spec(&[("Job.scala", &job("", &chain))]);
        assert_eq!(spec.source.topics(), ["live"], "{comment}");
    }
}

#[test]
fn options_are_found_with_and_without_dots() {
    for chain in [
        "spark.readStream format \"kafka\" option(\"kafka.bootstrap.servers\", \"k:9092\") option(\"subscribe\", \"t\") load()",
        "spark.readStream.format(\"kafka\") option (\"kafka.bootstrap.servers\", \"k:9092\") option (\"subscribe\", \"t\") load",
        "(spark.readStream\n    format \"kafka\"\n    option(\"kafka.bootstrap.servers\", \"k:9092\")\n    option(\"subscribe\", \"t\")\n    load())",
        "spark.readStream.format(\"kafka\").options(Map(\"kafka.bootstrap.servers\" -> \"k:9092\", \"subscribe\" -> \"t\")).load()",
        "spark.readStream.format(\"kafka\").options(common ++ Map(\"subscribe\" -> \"t\")).load()",
        "spark.readStream.format(\"kafka\").options(common + (\"subscribe\" -> \"t\")).load()",
        "spark\n  .readStream\n  .format(\"kafka\")\n  .options(common)\n  .option(\"subscribe\", \"t\")\n  .load",
    ] {
        let text = job(
            "val common = Map(\"kafka.bootstrap.servers\" -> \"k:9092\")",
            chain,
        );
        let converted = converted(&[("Job.scala", &text)]);
        assert!(
            converted.spec_toml.contains("topics = [\"t\"]"),
            "{chain}: {}",
            converted.spec_toml
        );
        assert!(
            converted.spec_toml.contains("bootstrap = \"k:9092\""),
            "{chain}: {}",
            converted.spec_toml
        );
    }
}

#[test]
fn literals_and_defaults_are_followed() {
    for (before, value) in [
        ("val topic = \"t\"", "topic"),
        ("val topic: String = \"t\"", "topic"),
        ("private val Topic = \"t\"", "Topic"),
        ("def topic = \"t\"", "topic"),
        ("val a = \"t\"", "s\"$a\""),
        ("val a = \"t\"", "s\"${a}\""),
        ("object Config { val topic = \"t\" }", "Config.topic"),
        (
            "case class Conf(topic: String = \"t\")\n  val conf = Conf()",
            "conf.topic",
        ),
        (
            "case class Conf(topic: String)\n  val conf = Conf(topic = \"t\")",
            "conf.topic",
        ),
        ("val conf = Map(\"topic\" -> \"t\")", "conf(\"topic\")"),
        (
            "val conf = Map(\"a\" -> \"b\")",
            "conf.getOrElse(\"topic\", \"t\")",
        ),
        ("", "sys.env.getOrElse(\"T\", \"t\")"),
        ("", "sys.env.get(\"T\").getOrElse(\"t\")"),
        ("", "Option(System.getenv(\"T\")).getOrElse(\"t\")"),
        ("", "scala.util.Properties.envOrElse(\"T\", \"t\")"),
        ("", "Seq(\"t\").mkString(\",\")"),
        ("val topics = List(\"t\")", "topics.mkString(\",\")"),
        ("", "\"\"\"t\"\"\""),
        ("val a = \"t\"", "\"\" + a"),
    ] {
        let converted = converted(&[("Job.scala", &job(before, &dotted(value)))]);
        assert!(
            converted.spec_toml.contains("topics = [\"t\"]"),
            "{before} {value}: {}",
            converted.spec_toml
        );
    }
}

#[test]
fn what_only_the_run_knows_is_to_be_filled_in() {
    for value in [
        "args(0)",
        "conf.getString(\"topic\")",
        "sys.env(\"T\")",
        "if (args.length > 0) args(0) else \"b\"",
        "s\"$env.videos\"",
    ] {
        let converted = converted(&[("Job.scala", &job("", &dotted(value)))]);
        requests(&converted, "topics", "FILL-IN");
    }
    let given = spec(&[
        ("Job.scala", &job("", &dotted("args(1)"))),
        ("run.sh", "spark-submit --class Job job.jar a given\n"),
    ]);
    assert_eq!(given.source.topics(), ["given"]);
}

#[test]
fn methods_that_read_are_followed_to_their_calls() {
    let text = "object Job {\n  def read(spark: SparkSession, topic: String) =\n    spark.readStream.format(\"kafka\")\n      \
                .option(\"kafka.bootstrap.servers\", \"k:9092\")\n      .option(\"subscribe\", topic)\n      .load()\n  \
                def main(args: Array[String]): Unit = {\n    val a = read(spark, \"a\")\n    val b = read(spark, \"b\")\n  }\n}\n";
    assert_eq!(spec(&[("Job.scala", text)]).source.topics(), ["a", "b"]);
}
