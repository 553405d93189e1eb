//! What is shipped for Prometheus and Grafana, `deploy/monitoring`: alerts fire when they should, each is explained, and all of
//! it names series that the processes really have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::{has_promtool, page_of_a_master, root};

/// What Prometheus puts on each series that it scrapes.
const OF_SCRAPES: [&str; 2] = ["instance", "job"];
/// What a name of a series may end with, behind that of a histogram.
const OF_HISTOGRAMS: [&str; 3] = ["_bucket", "_sum", "_count"];

/// Alerts and what they are made of, as `rules.yml` has them: one key a line.
struct Alert {
    name: String,
    expression: String,
    runbook: String,
}

fn kit(file: &str) -> PathBuf {
    root().join("deploy/monitoring").join(file)
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn alerts() -> Vec<Alert> {
    let text = read(kit("rules.yml"));
    let rules: Vec<&str> = text.split("- alert: ").skip(1).collect();
    let all = rules.into_iter().map(|rule| {
        let (name, rest) = rule.split_once('\n').unwrap();
        let (_, rest) = rest.split_once(" expr: ").unwrap();
        let (expression, rest) = rest.split_once("\n        labels: ").unwrap();
        let expression = expression.split("\n        for: ").next().unwrap();
        let expression = expression.trim_start_matches(">-");
        let runbook = rest.split_once("runbook: ").unwrap().1;
        Alert {
            name: name.to_owned(),
            expression: expression.split_whitespace().collect::<Vec<_>>().join(" "),
            runbook: runbook.lines().next().unwrap().to_owned(),
        }
    });
    all.collect()
}

fn dashboard() -> Value {
    serde_json::from_str(&read(kit("grafana.json"))).unwrap()
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// Panels that show something: rows are headings.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    let all = list(dashboard, "panels").iter();
    all.filter(|panel| panel["type"] != "row")
}

/// Expressions of the dashboard and, for each, what its legend names. Grafana fills in variables.
fn of_dashboard(dashboard: &Value) -> Vec<(String, Vec<String>)> {
    let targets = panels(dashboard).flat_map(|panel| list(panel, "targets"));
    let all = targets.map(|target| {
        let expression = target["expr"].as_str().unwrap();
        let expression = expression
            .replace("$job", ".*")
            .replace("$__rate_interval", "1m");
        assert!(!expression.contains('$'), "{expression}");
        let legend = target["legendFormat"].as_str().unwrap();
        let labels = legend.split("{{").skip(1);
        let labels = labels.map(|rest| rest.split("}}").next().unwrap().to_owned());
        (expression, labels.collect())
    });
    all.collect()
}

/// Runs promtool, which must be content.
fn promtool(arguments: &[&str]) {
    let ran = Command::new("promtool").args(arguments).output().unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(ran.status.success(), "promtool {arguments:?}: {said}");
}

#[test]
fn promtool_takes_the_alerts_their_tests_the_configuration_and_the_dashboard() {
    if !has_promtool() {
        return;
    }
    let rules = kit("rules.yml");
    promtool(&["check", "rules", "--lint-fatal", rules.to_str().unwrap()]);
    promtool(&["test", "rules", kit("rules.test.yml").to_str().unwrap()]);

    // With the files that containers have.
    let folder = tempfile::tempdir().unwrap();
    let at = |file: &str| folder.path().join(file);
    std::fs::copy(&rules, at("rules.yml")).unwrap();
    for file in ["token", "ca.crt"] {
        std::fs::write(at(file), "").unwrap();
    }
    let tls = folder.path().to_str().unwrap();
    let configuration = read(kit("prometheus.yml")).replace("/etc/kol/tls", tls);
    std::fs::write(at("prometheus.yml"), configuration).unwrap();
    promtool(&["check", "config", at("prometheus.yml").to_str().unwrap()]);

    let expressions = of_dashboard(&dashboard()).into_iter();
    let recorded = expressions.map(|(expr, _)| json!({"record": "of:dashboard", "expr": expr}));
    let groups = json!({"groups": [{"name": "dashboard", "rules": recorded.collect::<Vec<_>>()}]});
    // JSON is YAML.
    std::fs::write(at("dashboard.yml"), groups.to_string()).unwrap();
    promtool(&[
        "check",
        "rules",
        "--lint=none",
        at("dashboard.yml").to_str().unwrap(),
    ]);
}

#[test]
fn each_alert_is_seen_quiet_and_firing_and_has_its_lines_in_the_documents() {
    let (tests, page) = (
        read(kit("rules.test.yml")),
        read(root().join("docs/operations/monitoring.md")),
    );
    let alerts = alerts();
    assert!(alerts.len() > 15, "found only {} alerts", alerts.len());
    for Alert { name, runbook, .. } in &alerts {
        let test = tests.split(&format!("\n  - name: {name}\n")).nth(1);
        let test = test.unwrap_or_else(|| panic!("{name} has no test"));
        let test = test.split("\n  - name: ").next().unwrap();
        assert!(test.contains("exp_alerts: []\n"), "{name} is never quiet");
        assert!(test.contains("exp_labels: "), "{name} never fires");
        let own = test.matches(&format!("alertname: {name}\n")).count();
        assert_eq!(own, test.matches("alertname: ").count(), "{name}");
        let heading = name.to_lowercase();
        assert_eq!(*runbook, format!("docs/operations/monitoring.md#{heading}"));
    }
    let explained = page.lines().filter_map(|line| line.strip_prefix("### Kol"));
    let explained: Vec<String> = explained.map(|name| format!("Kol{name}")).collect();
    let names: Vec<String> = alerts.into_iter().map(|alert| alert.name).collect();
    assert_eq!(explained, names, "one section an alert, in the same order");
}

/// Labels of each family, by the list in the documents.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let page = read(root().join("docs/operations/metrics.md"));
    let rows = page.lines().filter(|line| line.starts_with("| `kol_"));
    let all = rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let labels = cells[3].split(", ").filter(|label| !label.is_empty());
        let labels = labels.map(|label| label.trim_matches('`').to_owned());
        (cells[1].trim_matches('`').to_owned(), labels.collect())
    });
    all.collect()
}

/// Labels that a series of that name has; `None` if no process has one.
fn labels_of(series: &str, known: &BTreeMap<String, BTreeSet<String>>) -> Option<BTreeSet<String>> {
    let own = OF_SCRAPES.map(str::to_owned);
    if series == "up" {
        return Some(own.into());
    }
    let of_histogram = OF_HISTOGRAMS.iter();
    let mut of_histogram =
        of_histogram.filter_map(|suffix| known.get(series.strip_suffix(suffix)?));
    let (labels, le) = match known.get(series) {
        Some(labels) => (labels, None),
        None => (of_histogram.next()?, Some("le".to_owned())),
    };
    Some(labels.iter().cloned().chain(own).chain(le).collect())
}

/// Labels of a selector, each with the values that it takes, if they are written out.
type Matchers = Vec<(String, Vec<String>)>;

/// Names of series in an expression with what they are selected by, and the labels that it groups by.
fn parts(expression: &str) -> (Vec<(String, Matchers)>, Vec<String>) {
    let (mut series, mut grouped) = (Vec::new(), Vec::new());
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut rest = expression;
    while let Some(at) = rest.find(is_part) {
        let end = rest[at..]
            .find(|c| !is_part(c))
            .map_or(rest.len(), |end| at + end);
        let word = &rest[at..end];
        rest = &rest[end..];
        if matches!(word, "by" | "on" | "without" | "ignoring") {
            let (labels, after) = rest.split_once(')').unwrap();
            let labels = labels.trim_start().trim_start_matches('(').split(',');
            grouped.extend(labels.map(|label| label.trim().to_owned()));
            rest = after;
        } else if word.starts_with("kol_") || word == "up" {
            let selected = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
            let (selected, after) = selected.unwrap_or(("", rest));
            rest = after;
            let each = selected.split(',').filter(|one| !one.is_empty());
            series.push((word.to_owned(), each.map(matcher).collect()));
        }
    }
    (series, grouped)
}

fn matcher(text: &str) -> (String, Vec<String>) {
    let (label, value) = text.split_once('=').unwrap();
    let value = value.trim_start_matches('~').trim_matches('"');
    let values = value.split('|').map(str::to_owned).collect();
    (label.trim_end_matches('!').to_owned(), values)
}

#[test]
fn the_parts_of_an_expression_are_found() {
    let (series, grouped) =
        parts(r#"sum by (a, le) (rate(kol_b_bucket{c=~"x|y",d="z"}[5m])) / on (e) up == 0"#);
    let matchers = [("c", vec!["x", "y"]), ("d", vec!["z"])];
    let matchers = matchers.map(|(label, values)| {
        let values = values.into_iter().map(str::to_owned).collect();
        (label.to_owned(), values)
    });
    let wanted = [
        ("kol_b_bucket".to_owned(), matchers.to_vec()),
        ("up".to_owned(), Vec::new()),
    ];
    assert_eq!(series, wanted);
    assert_eq!(grouped, ["a", "le", "e"]);
}

#[test]
fn alerts_and_dashboard_name_metrics_labels_and_states_that_the_processes_have() {
    let (known, page) = (documented(), page_of_a_master());
    let of_alerts = alerts().into_iter();
    let of_alerts = of_alerts.map(|alert| (alert.expression, Vec::new()));
    let of_dashboard = of_dashboard(&dashboard());
    assert!(of_dashboard.len() > 25);
    for (expression, legend) in of_alerts.chain(of_dashboard) {
        let (series, grouped) = parts(&expression);
        assert!(!series.is_empty(), "{expression}");
        let mut all = BTreeSet::new();
        for (name, matchers) in series {
            let labels = labels_of(&name, &known);
            let labels = labels.unwrap_or_else(|| panic!("no process has {name}: {expression}"));
            for (label, values) in matchers {
                assert!(
                    labels.contains(&label),
                    "{name} has no {label}: {expression}"
                );
                for value in values.iter().filter(|_| label == "state") {
                    let series = format!("{name}{{state=\"{value}\"}} ");
                    assert!(page.contains(&series), "{series}: {expression}");
                }
            }
            all.extend(labels);
        }
        for label in grouped.iter().chain(&legend) {
            assert!(all.contains(label), "nothing has {label}: {expression}");
        }
    }
}

#[test]
fn the_list_in_the_documents_has_the_type_and_the_labels_of_each_family() {
    let page = read(root().join("docs/operations/metrics.md"));
    let known = documented();
    let shown = page_of_a_master() + &super::page_of_an_executor();
    let mut compared = 0;
    for family in shown.split("# HELP ").skip(1) {
        let name = family.split(' ').next().unwrap();
        let kind = family.split_once(&format!("# TYPE {name} ")).unwrap().1;
        let kind = kind.lines().next().unwrap();
        let row = format!("| `{name}` | {kind} | ");
        assert!(page.contains(&row), "{row}");
        let series = family.lines().skip(1);
        let series = series.filter(|line| line.starts_with("kol_"));
        for line in series {
            let inside = line.split_once('{').map_or("", |(_, rest)| rest);
            let labels = inside
                .split("=\"")
                .map(|part| part.rsplit([',', '"']).next().unwrap());
            let labels = labels.filter(|label| !label.is_empty() && !label.starts_with('}'));
            let labels: BTreeSet<String> = labels.map(str::to_owned).collect();
            let labels = labels.into_iter().filter(|label| label != "le");
            assert_eq!(labels.collect::<BTreeSet<_>>(), known[name], "{line}");
            compared += 1;
        }
    }
    assert!(compared > 50, "compared only {compared} series");
}

#[test]
fn the_dashboard_is_one_that_grafana_shows_as_it_is_meant() {
    let dashboard = dashboard();
    let source = &list(&dashboard["templating"], "list")[0];
    assert_eq!(source["name"], "datasource");
    assert_eq!(source["type"], "datasource");
    assert_eq!(source["query"], "prometheus");
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    let mut titles = BTreeSet::new();
    for panel in list(&dashboard, "panels") {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id");
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{title} is too wide");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(taken.insert((x, y)), "{title} covers another one");
            }
        }
    }
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().unwrap();
        assert!(titles.insert(title), "{title} twice");
        let text = |value: &Value| value.as_str().map(str::to_owned).unwrap_or_default();
        assert!(text(&panel["description"]).ends_with('.'), "{title}");
        assert!(
            !text(&panel["fieldConfig"]["defaults"]["unit"]).is_empty(),
            "{title}: its unit"
        );
        assert!(!list(panel, "targets").is_empty(), "{title} shows nothing");
        let sources = list(panel, "targets").iter().chain([panel]);
        for of in sources {
            assert_eq!(of["datasource"]["uid"], "${datasource}", "{title}");
        }
    }
    assert!(titles.len() > 20);
}

#[test]
fn the_compose_file_gives_prometheus_its_configuration_and_what_that_names() {
    let compose = read(root().join("deploy/docker-compose.yml"));
    let configuration = read(kit("prometheus.yml"));
    let rules = configuration
        .lines()
        .find_map(|line| line.strip_prefix("rule_files: "));
    let rules: Vec<String> = serde_json::from_str(rules.unwrap()).unwrap();
    assert!(!rules.is_empty());
    for file in rules.iter().map(String::as_str).chain(["prometheus.yml"]) {
        let mount = format!("- ./monitoring/{file}:/etc/prometheus/{file}:ro\n");
        assert!(compose.contains(&mount), "{mount}");
        assert!(kit(file).is_file(), "{file}");
    }
}
