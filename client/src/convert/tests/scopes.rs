//! Objects, classes and scopes: what may have been changed where it is not followed is requested.

use super::{converted, pyspark, requests, spec};

fn python(before: &str, topic: &str) -> String {
    let options =
        format!(".option(\"kafka.bootstrap.servers\", \"k:9092\").option(\"subscribe\", {topic})");
    pyspark(before, &options)
}

fn scala(before: &str, topic: &str) -> String {
    format!(
        "object J {{\n {before}\n def main(args: Array[String]): Unit = {{ val d = spark.readStream.format(\"kafka\")\
         .option(\"kafka.bootstrap.servers\", \"k:9092\").option(\"subscribe\", {topic}).load() }}\n}}\n"
    )
}

#[test]
fn what_another_scope_changes_is_requested() {
    for (before, topic) in [
        (
            "t = \"dev\"\ndef f():\n    global t\n    t = \"x\"\nf()",
            "t",
        ),
        (
            "def f():\n    global t\n    t = \"x\"\nt = \"dev\"\nf()",
            "t",
        ),
        (
            "m = {\"k\": \"dev\"}\ndef f():\n    m[\"k\"] = \"x\"\nf()",
            "m[\"k\"]",
        ),
        (
            "m = {\"k\": {\"t\": \"dev\"}}\nm[\"k\"][\"t\"] = \"x\"",
            "m[\"k\"][\"t\"]",
        ),
        (
            "m = {\"k\": {\"t\": \"dev\"}}\ndef f(c):\n    c[\"k\"][\"t\"] = \"x\"\nf(m)",
            "m[\"k\"][\"t\"]",
        ),
        (
            "m = {\"k\": \"dev\"}\ndef g(c):\n    c.update(k=\"x\")\ndef f(c):\n    g(c)\nf(m)",
            "m[\"k\"]",
        ),
        ("m = {\"k\": \"dev\"}\nlay_over(m)", "m[\"k\"]"),
        ("m = {\"k\": \"dev\"}\no = m\no[\"k\"] = \"x\"", "m[\"k\"]"),
        ("m = {\"k\": \"dev\"}\no = m\nm[\"k\"] = \"x\"", "o[\"k\"]"),
        (
            "class C:\n    pass\nc = C()\nc.t = \"dev\"\ndef f():\n    c.t = \"x\"\nf()",
            "c.t",
        ),
        ("class C:\n    t = \"dev\"\nsetattr(C, \"t\", \"x\")", "C.t"),
        ("class C:\n    t = \"dev\"\nsetattr(C, name, \"x\")", "C.t"),
        (
            "class C:\n    def __init__(self):\n        self.t = \"dev\"\n        self.__dict__.update(load())\nc = C()",
            "c.t",
        ),
        (
            "class C:\n    t = \"dev\"\n    def set(self):\n        self.t = \"x\"\nc = C()\nc.set()",
            "c.t",
        ),
        ("t = \"dev\"\nglobals()[\"t\"] = \"x\"", "t"),
        ("t = \"dev\"\nglobals().update(load())", "t"),
        ("t = \"dev\"\nexec(load())", "t"),
        ("t = \"dev\"\nfrom overrides import *", "t"),
        ("t = \"dev\"\nfor t in load():\n    pass", "t"),
        ("t = \"dev\"\nt, u = load()", "t"),
        ("t, u = \"dev\", \"x\"\nt, u = u, t", "t"),
        ("t = \"dev\"\nwith load() as t:\n    pass", "t"),
    ] {
        let job = python(before, topic);
        let open = converted(&[("job.py", &job)]);
        assert!(open.fill_in > 0, "{before}: {}", open.spec_toml);
        requests(&open, "topics", "FILL-IN");
    }
}

#[test]
fn a_variable_of_scala_that_a_method_sets_is_requested() {
    for (before, topic) in [
        (
            "var t = \"dev\"\n def set(x: String): Unit = { t = x }",
            "t",
        ),
        (
            "object S { var t = \"dev\" }\n def set(x: String): Unit = { S.t = x }",
            "S.t",
        ),
        (
            "class B { def t = \"dev\" }\n object P extends B { override def t = \"x\" }",
            "new B().u",
        ),
    ] {
        let job = scala(before, topic);
        requests(&converted(&[("J.scala", &job)]), "topics", "FILL-IN");
    }
}

#[test]
fn a_copy_of_an_object_has_the_values_it_is_given() {
    let class = "case class C(t: String = \"dev\", u: String = \"u\")\n val a = C()\n";
    for (copy, topic, is) in [
        ("a.copy(t = \"live\")", "b.t", Some("live")),
        ("a.copy(u = \"x\").copy(t = \"live\")", "b.t", Some("live")),
        ("a.copy(\"live\")", "b.t", None),
        ("a.copy(t = load())", "b.t", None),
    ] {
        let job = scala(&format!("{class} val b = {copy}"), topic);
        let files = [("J.scala", &job[..])];
        match is {
            Some(is) => assert_eq!(spec(&files).source.topics(), [is], "{copy}"),
            None => requests(&converted(&files), "topics", "FILL-IN"),
        }
    }
}

#[test]
fn a_member_that_another_class_overrides_is_requested() {
    let read = "    def read(self):\n        return spark.readStream.format(\"kafka\").option(\"kafka.bootstrap.servers\", \"k:9092\")";
    for (member, value) in [
        ("T = \"{}\"", "self.T"),
        ("def t(self): return \"{}\"", "self.t()"),
    ] {
        let job = |other: &str| {
            let (own, other) = (member.replace("{}", "dev"), member.replace("{}", other));
            format!(
                "class A:\n    {own}\n{read}.option(\"subscribe\", {value}).load()\nclass B(A):\n    {other}\nB().read()\n"
            )
        };
        requests(&converted(&[("job.py", &job("live"))]), "topics", "FILL-IN");
        assert_eq!(spec(&[("job.py", &job("dev"))]).source.topics(), ["dev"]);
    }
}

#[test]
fn a_method_is_that_of_the_class_of_the_object() {
    let classes = "class A:\n    def t(self):\n        return \"a\"\nclass B:\n    def t(self):\n        return \"b\"\n";
    let job = python(&format!("{classes}c = B()"), "c.t()");
    assert_eq!(spec(&[("job.py", &job)]).source.topics(), ["b"]);
    let job = python(&format!("{classes}c = load()"), "c.t()");
    requests(&converted(&[("job.py", &job)]), "topics", "c.t()");
}
