//! What the old job does to columns and keys is said, and so is how its clients of Redis log in.

use super::{converted, pyspark, requests, spec};

fn job(more: &str) -> String {
    pyspark(
        "",
        ".option(\"kafka.bootstrap.servers\", \"k:9092\").option(\"subscribe\", \"t\")",
    ) + more
}

#[track_caller]
fn says(job: &str, file: &str, lines: &[&str]) {
    let text = converted(&[(file, job)]).spec_toml;
    let (_, list) = text.split_once("# Not carried over:").unwrap_or(("", ""));
    for line in lines {
        assert!(list.contains(line), "{line} in {text}");
    }
    if lines.is_empty() {
        assert!(
            !list.contains("column") && !list.contains("here it is"),
            "{text}"
        );
    }
}

#[test]
fn columns_with_other_names_are_said() {
    for (more, line) in [
        (
            "df.select(col(\"v.channelName\").alias(\"username\"))",
            "column v.channelName as username",
        ),
        (
            "df.withColumnRenamed(\"diggCount\", \"like_count\")",
            "name it in [source.fields] as likes",
        ),
        (
            "df.withColumn(\"video_id\", F.col(\"id\").cast(\"string\"))",
            "column id as video_id",
        ),
        (
            "df.selectExpr(\"v.views AS view_count\")",
            "column v.views as view_count",
        ),
        (
            "s = StructType([StructField(\"channelName\", StringType())])\ndf.select(from_json(col(\"value\"), s))",
            "schema of from_json with channelName",
        ),
        (
            "df.select(from_json(col(\"value\"), \"author STRING, likes2 LONG\"))",
            "schema of from_json with author, likes2",
        ),
        (
            "df.withColumn(\"platform\", lit(\"youtube\"))",
            "scoring.default_platform = \"youtube\"",
        ),
        (
            "r.zadd(\"board:youtube\", x)",
            "rankings in board:youtube: here it is ranking:{platform}:trending",
        ),
        ("r.zadd(f\"board:{p}\", x)", "rankings in f"),
        (
            "r.hset(\"user:1\", \"a\", 1)",
            "hashes in user:1: here it is trending:{platform}:{kol}",
        ),
    ] {
        says(&job(more), "job.py", &[line]);
    }
}

#[test]
fn columns_and_keys_of_the_same_names_are_not() {
    for more in [
        "df.select(col(\"v.username\").alias(\"username\"), col(\"v.x\").alias(\"y\"))",
        "df.withColumn(\"platform\", col(\"v.platform\"))",
        "s = \"username STRING, like_count BIGINT, extra STRING\"\ndf.select(from_json(col(\"value\"), s))",
        "r.zadd(f\"ranking:{p}:trending\", x)",
        "r.hset(f\"streaming_scores:{u}\", x)",
    ] {
        says(&job(more), "job.py", &[]);
    }
}

#[test]
fn columns_of_scala_are_said_once_each() {
    let text = "object J {\n val d = spark.readStream.format(\"kafka\").option(\"kafka.bootstrap.servers\", \"k:9092\").option(\"subscribe\", \"t\").load()\n \
        d.select($\"d.author.id\".as(\"username\"), $\"d.digg\" as \"like_count\", lit(\"youtube\") as \"platform\")\n \
        d.select($\"d.author.id\".as(\"username\"))\n}\n";
    says(
        text,
        "J.scala",
        &[
            "column d.author.id as username",
            "column d.digg as like_count",
            "platform \"youtube\" for all",
        ],
    );
    let all = converted(&[("J.scala", text)]).spec_toml;
    assert_eq!(all.matches("d.author.id").count(), 1, "{all}");
}

#[test]
fn a_client_of_another_name_is_that_client() {
    for client in [
        "from redis import Redis as R\nr = R(\"h\", 6380)",
        "import redis as rd\nr = rd.Redis(host=\"h\", port=6380)",
        "from redis.asyncio import from_url\nr = from_url(\"redis://h:6380/0\")",
        "import redis as rd\nr = rd.from_url(\"redis://h:6380\")",
    ] {
        let job = job(client);
        assert_eq!(
            spec(&[("job.py", &job)]).sink.url,
            "redis://h:6380/0",
            "{client}"
        );
    }
    let scala = "import redis.clients.jedis.{Jedis => J}\nobject A { val j = new J(\"h\", 6380)\n val d = spark.readStream.format(\"kafka\")\
        .option(\"kafka.bootstrap.servers\", \"k:9092\").option(\"subscribe\", \"t\").load() }";
    assert_eq!(spec(&[("A.scala", scala)]).sink.url, "redis://h:6380/0");
}

#[test]
fn a_client_that_logs_in_has_a_password() {
    let scala = |login: &str| {
        format!(
            "object A {{ val jedis = new Jedis(\"h\", 6380)\n {login}\n val d = spark.readStream.format(\"kafka\")\
             .option(\"kafka.bootstrap.servers\", \"k:9092\").option(\"subscribe\", \"t\").load() }}"
        )
    };
    for login in [
        "jedis.auth(\"hunter22\")",
        "jedis.auth(sys.env(\"PW\"))",
        "jedis.auth(\"me\", \"hunter22\")",
    ] {
        let text = scala(login);
        let files = [("A.scala", &text[..])];
        let password = spec(&files).sink.password.unwrap();
        assert_eq!(password.0, "env:KOL_SECRET_REDIS_PASSWORD", "{login}");
        assert!(!format!("{:?}", converted(&files)).contains("hunter22"));
    }
    assert_eq!(
        spec(&[("A.scala", &scala("jedis.ping()"))]).sink.password,
        None
    );
}

#[test]
fn the_database_that_a_client_selects_counts() {
    for (client, is) in [
        (
            "r = redis.Redis(host=\"h\")\nr.select(4)",
            Some("redis://h:6379/4"),
        ),
        ("r = redis.Redis(host=\"h\")\nr.select(DB)", None),
        ("r = redis.Redis(host=\"h\", db=2)\nr.select(4)", None),
        (
            "r = redis.Redis(host=\"h\", db=4)\nr.select(4)",
            Some("redis://h:6379/4"),
        ),
        (
            "r = redis.from_url(\"redis://h\")\nr.execute_command(\"SELECT\", 4)",
            Some("redis://h:6379/4"),
        ),
        (
            "r = redis.from_url(\"redis://h/2\")\nr.execute_command(\"SELECT\", 4)",
            None,
        ),
        (
            "r = redis.Redis(host=\"h\")\nr.select(4)\nr.select(5)",
            None,
        ),
        (
            "r = redis.Redis(host=\"h\")\ndf.select(4)",
            Some("redis://h:6379/0"),
        ),
        ("r = redis.Redis(host=\"h\", ssl=TLS)", None),
        ("r = redis.RedisCluster(host=\"h\", port=6380)", None),
    ] {
        let job = job(client);
        let files = [("job.py", &job[..])];
        match is {
            Some(is) => assert_eq!(spec(&files).sink.url, is, "{client}"),
            None => requests(&converted(&files), "url", "FILL-IN"),
        }
    }
}
