//! Job specs with mistakes.

use kol_harness::client;

/// Ten mistakes, one in each line that is named beside it.
const MISTAKES: &str = r#"name = "kol trending"
[source]
bootstrap = "localhost"
topics = []
starting_offsets = "newest"
topic = "x"
[source.properties]
"plugin.library.paths" = "/tmp/x.so"
"sasl.password" = "hunter2"
[scoring]
slide = "7h"
[sink]
url = "redis://user:hunter2@localhost"
flush_interval = "1ms"
"#;

#[test]
fn all_ten_mistakes_of_a_spec_are_listed_with_their_lines_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("job.toml"), MISTAKES).unwrap();
    for command in ["submit", "check"] {
        // What is wrong is found before a master is called: there is none.
        let nobody = [("KOL_MASTER", "http://127.0.0.1:1")];
        let answer = client(folder.path(), &[command, "job.toml"], &nobody);
        let text = answer.fails(2);
        let listed: Vec<_> = text.lines().filter_map(line_number).collect();
        assert_eq!(listed, [1, 3, 4, 5, 6, 8, 9, 11, 13, 14], "{text}");
        assert!(text.contains("the job spec has 10 problems"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

/// The number in `  job.toml:7: what is wrong`.
fn line_number(line: &str) -> Option<u32> {
    let rest = line.trim_start().strip_prefix("job.toml:")?;
    rest.split(':').next()?.parse().ok()
}
