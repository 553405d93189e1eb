//! Files are input: nothing in them may crash, hang or leak.

use proptest::prelude::*;

use crate::convert::{Input, convert};

/// Files of every kind, to be cut, mixed and broken.
const SAMPLES: [(&str, &str); 6] = [
    (
        "job.py",
        "import os\nclass C:\n    T = os.getenv(\"T\", \"t\")\ndef f(a, b=\"x\"):\n    return a + f\"{b}\"\n\
         o = {\"subscribe\": f(C.T), **{}}\nr = redis.Redis(host=\"r\", password=\"hunter2\")\n\
         df = spark.readStream.format(\"kafka\").options(**o).option(\"kafka.sasl.jaas.config\", f'username=\"{u}\" password=\"hunter2\"').load()\n",
    ),
    (
        "J.scala",
        "object J {\n  val a = s\"$b ${c + \"d\"}\" /* /* x */ */\n  val m = Map(\"a\" -> 1) ++ Map(\"b\" -> a)\n  \
         val d = spark.readStream format \"kafka\" option(\"subscribe\", sys.env.getOrElse(\"T\", \"\"\"t\"\"\")) load()\n}\n",
    ),
    (
        "run.sh",
        "X=${Y:-a}\nA=(--conf spark.redis.auth=hunter2)\nif [ 1 ]; then spark-submit \"${A[@]}\" $X <<E\nx\nE\nfi\nbash -c \"spark-submit --name a b\"\n",
    ),
    (
        "a.properties",
        "spark.app.name = a\\\n b\\u0041\nspark.redis.host: r\n",
    ),
    (
        "c.yml",
        "a: &a\n  environment: {REDIS_URL: \"redis://:hunter2@r:1/2\", K: \"${X:-y}\"}\nb: *a\nservices:\n  s:\n    <<: *a\n    command: [bash, -c, \"spark-submit x\"]\n---\nkind: SparkApplication\n",
    ),
    (
        "job",
        "spark-submit --conf spark.executor.memory=1g x.py --a b\n",
    ),
];

fn holds(files: &[(String, String)]) {
    let inputs: Vec<Input> = files
        .iter()
        .map(|(name, text)| Input {
            name: name.clone(),
            text: text.clone(),
        })
        .collect();
    if let Ok(converted) = convert(&inputs, &[]) {
        if converted.fill_in == 0 {
            let parsed = kol_common::job::parse(&converted.spec_toml, "converted");
            assert!(parsed.is_ok(), "{parsed:?}\n{}", converted.spec_toml);
        } else {
            assert!(
                kol_common::job::parse(&converted.spec_toml, "x").is_err(),
                "{}",
                converted.spec_toml
            );
            converted.spec_toml.parse::<toml::Table>().unwrap();
        }
    } else if let Err(error) = convert(&inputs, &[]) {
        assert!(!error.message.contains("panicked"), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_bytes_crash_a_front_end(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        for (name, _) in SAMPLES {
            holds(&[(name.to_owned(), text.clone())]);
        }
    }

    #[test]
    fn no_broken_job_crashes_or_yields_a_spec_that_a_check_refuses(
        edits in prop::collection::vec((0usize..6, 0usize..600, 0usize..60, "[\\PC\n]{0,12}"), 1..12),
    ) {
        let mut files: Vec<(String, String)> =
            SAMPLES.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        for (file, at, cut, insert) in edits {
            let chars: Vec<char> = files[file].1.chars().collect();
            let at = at.min(chars.len());
            let end = (at + cut).min(chars.len());
            let text: String = chars[..at].iter().copied().chain(insert.chars()).chain(chars[end..].iter().copied()).collect();
            files[file].1 = text;
        }
        holds(&files);
        for file in &files {
            holds(std::slice::from_ref(file));
        }
    }
}

#[test]
fn the_samples_are_whole_and_keep_their_passwords_to_themselves() {
    for (name, text) in SAMPLES {
        let input = [Input {
            name: name.into(),
            text: text.into(),
        }];
        let converted = convert(&input, &[]).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(
            !format!("{converted:?}").contains("hunter2"),
            "{name}: {converted:?}"
        );
        assert!(
            !converted
                .notes
                .iter()
                .any(|n| n.contains("could not be read")),
            "{name}: {:?}",
            converted.notes
        );
    }
}

#[test]
fn deep_and_wide_files_end_soon() {
    let begun = std::time::Instant::now();
    let deep =
        |open: &str, close: &str, n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
    let mut doubling = String::from("a0 = 'x'\n");
    for i in 0..40 {
        doubling.push_str(&format!("a{} = a{i} + a{i}\n", i + 1));
    }
    doubling.push_str("df = spark.readStream.format('kafka').option('subscribe', a40).load()\n");
    let mut aliases = String::from("a0: &a0 [x, x]\n");
    for i in 0..40 {
        aliases.push_str(&format!("a{}: &a{} [*a{i}, *a{i}]\n", i + 1, i + 1));
    }
    let chained = format!(
        "x = spark.readStream{}.load()\n",
        ".option('a', b)".repeat(20_000)
    );
    let recursive = "def f(x):\n    return f(x + f(x))\nt = f(f('a'))\ndf = spark.readStream.format('kafka').option('subscribe', t).load()\nr = r.option('a', r)\nr.load()\n";
    for (name, text) in [
        ("a.py", deep("(", ")", 100_000)),
        ("a.py", deep("f(", ")", 100_000)),
        ("a.py", "a = ".repeat(100_000) + "1\n"),
        ("a.py", doubling),
        ("a.py", chained),
        ("a.py", recursive.to_owned()),
        (
            "a.py",
            "x = y\ndf = spark.readStream.option('a', x).load()\n".repeat(10_000),
        ),
        ("A.scala", deep("(", ")", 100_000)),
        ("A.scala", deep("{", "}", 100_000)),
        ("A.scala", "/*".repeat(200_000)),
        ("a.sh", deep("$(", ")", 50_000)),
        ("a.sh", deep("\"${a:-", "}\"", 20_000)),
        ("a.yml", aliases),
        ("a.yml", deep("[", "]", 100_000)),
        ("a.yml", "- ".repeat(100_000)),
        ("a.conf", "a\\\n".repeat(100_000)),
    ] {
        holds(&[(name.to_owned(), text)]);
    }
    assert!(begun.elapsed().as_secs() < 120, "{:?}", begun.elapsed());
}
