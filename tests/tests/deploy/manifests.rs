//! Manifests of Kubernetes: built, checked against the schemas, and looked at as a whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use kol_harness::root;
use serde_json::Value;

use super::output;

/// The version of Kubernetes whose schemas count.
const KUBERNETES: &str = "1.31";
/// Documents of a file as a list in JSON.
const TO_JSON: &str =
    "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
const WORKLOADS: [&str; 2] = ["Deployment", "StatefulSet"];

/// What builds and validates.
pub struct Tools {
    kustomize: PathBuf,
    /// Packages of Python.
    packages: PathBuf,
}

impl Tools {
    /// `None`, loudly, where they are not installed.
    pub fn installed() -> Option<Self> {
        let tools = root().join("target/tools");
        let (kustomize, packages) = (tools.join("kustomize"), tools.join("kubernetes-validate"));
        if kustomize.is_file() && packages.is_dir() {
            return Some(Self {
                kustomize,
                packages,
            });
        }
        eprintln!(
            "NOT TESTED: the manifests of Kubernetes. kustomize and kubernetes-validate are missing (run \
             tests/setup.sh with go and pip3 installed)"
        );
        None
    }

    /// The manifests of a folder, which must be valid.
    pub fn build(&self, folder: &Path) -> Manifests {
        let built = output(Command::new(&self.kustomize).arg("build").arg(folder));
        let file = folder.join("built.yaml");
        std::fs::write(&file, built).unwrap();
        let python = || {
            let mut command = Command::new("python3");
            command.env("PYTHONPATH", &self.packages);
            command
        };
        let mut validate = python();
        validate.arg(self.packages.join("bin/kubernetes-validate"));
        output(
            validate
                .args(["--strict", "--kubernetes-version", KUBERNETES])
                .arg(&file),
        );
        let json = output(python().args(["-c", TO_JSON]).arg(&file));
        std::fs::remove_file(&file).unwrap();
        Manifests(serde_json::from_str(&json).unwrap())
    }
}

/// The manifests of one tier.
pub struct Manifests(Vec<Value>);

impl Manifests {
    fn all(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |one| one["kind"] == kind)
    }

    /// The manifest of this kind and name.
    pub fn one(&self, kind: &str, name: &str) -> &Value {
        let mut found = self.all(kind).filter(|one| one["metadata"]["name"] == name);
        found.next().unwrap_or_else(|| panic!("no {kind} {name}"))
    }

    fn exists(&self, kind: &str, name: &Value) -> bool {
        self.all(kind).any(|one| one["metadata"]["name"] == *name)
    }

    fn workloads(&self) -> impl Iterator<Item = &Value> {
        WORKLOADS.into_iter().flat_map(|kind| self.all(kind))
    }

    /// The templates of pods that a selector of labels chooses.
    fn pods<'m>(&'m self, selector: &'m Value) -> Vec<&'m Value> {
        let templates = self.workloads().map(|one| &one["spec"]["template"]);
        templates
            .filter(|pod| chooses(selector, &pod["metadata"]["labels"]))
            .collect()
    }

    /// All that does not fit together; `image` is what the product's pods must run.
    pub fn problems(&self, image: &str) -> Vec<String> {
        let mut found = Vec::new();
        for one in self.0.iter().filter(|one| one["kind"] != "Namespace") {
            if one["metadata"]["namespace"] != "kol" {
                found.push(format!("{}: no namespace", named(one)));
            }
        }
        for workload in self.workloads() {
            let problems = self.of_workload(workload, image);
            found.extend(
                problems
                    .into_iter()
                    .map(|problem| format!("{}: {problem}", named(workload))),
            );
        }
        for (kind, selector) in [
            ("Service", "selector"),
            ("PodDisruptionBudget", "selector"),
            ("NetworkPolicy", "podSelector"),
        ] {
            for one in self.all(kind) {
                let selector = &one["spec"][selector];
                let pods = self.pods(selector);
                if pods.is_empty() {
                    found.push(format!("{}: chooses no pod", named(one)));
                }
                let ports = ports_of(one);
                for port in ports
                    .iter()
                    .filter(|port| !pods.iter().all(|pod| has_port(pod, port)))
                {
                    found.push(format!(
                        "{}: port {port} is not one of its pods'",
                        named(one)
                    ));
                }
            }
        }
        found
    }

    fn of_workload(&self, workload: &Value, image: &str) -> Vec<String> {
        let mut found = Vec::new();
        let (spec, pod) = (&workload["spec"], &workload["spec"]["template"]);
        if !chooses(&spec["selector"], &pod["metadata"]["labels"]) {
            found.push("its selector is not its template's".to_owned());
        }
        if workload["kind"] == "StatefulSet" && !self.exists("Service", &spec["serviceName"]) {
            found.push("its service does not exist".to_owned());
        }
        if !self.exists("ServiceAccount", &pod["spec"]["serviceAccountName"]) {
            found.push("its account does not exist".to_owned());
        }
        let claimed = list(&spec["volumeClaimTemplates"]).map(|claim| &claim["metadata"]["name"]);
        let volumes: Vec<&Value> = list(&pod["spec"]["volumes"]).collect();
        for volume in &volumes {
            let source = [
                (
                    "ConfigMap",
                    &volume["configMap"]["name"],
                    &volume["configMap"]["optional"],
                ),
                (
                    "Secret",
                    &volume["secret"]["secretName"],
                    &volume["secret"]["optional"],
                ),
                (
                    "PersistentVolumeClaim",
                    &volume["persistentVolumeClaim"]["claimName"],
                    &Value::Null,
                ),
            ];
            let mut sources = source.into_iter().filter(|(_, name, _)| !name.is_null());
            let Some((kind, name, optional)) = sources.next() else {
                continue;
            };
            if *optional != true && !self.exists(kind, name) {
                found.push(format!("{kind} {name} does not exist"));
            }
        }
        let names: Vec<&Value> = volumes.iter().map(|v| &v["name"]).chain(claimed).collect();
        for container in list(&pod["spec"]["containers"]) {
            found.extend(of_container(container, pod, &names, image));
        }
        found
    }
}

fn of_container(container: &Value, pod: &Value, volumes: &[&Value], image: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mounts = list(&container["volumeMounts"]).map(|mount| &mount["name"]);
    let unknown = mounts.filter(|name| !volumes.contains(name));
    found.extend(unknown.map(|name| format!("the volume {name} does not exist")));
    for probe in ["readinessProbe", "livenessProbe"] {
        let port = &container[probe]["httpGet"]["port"];
        if !port.is_null() && !has_port(pod, port) {
            found.push(format!("{probe}: there is no port {port}"));
        }
    }
    if container["readinessProbe"].is_null() {
        found.push("no readiness probe".to_owned());
    }
    let name = container["name"].as_str().unwrap();
    if name.starts_with("kol-") && container["image"] != image {
        found.push(format!("runs {}, not {image}", container["image"]));
    }
    let own = &container["securityContext"];
    let is_locked = own["readOnlyRootFilesystem"] == true
        && own["allowPrivilegeEscalation"] == false
        && own["capabilities"]["drop"][0] == "ALL"
        && pod["spec"]["securityContext"]["runAsNonRoot"] == true;
    if !is_locked {
        found.push(format!("{name} may do more than it needs"));
    }
    if container["resources"]["limits"]["memory"].is_null() {
        found.push(format!("{name} has no limit of memory"));
    }
    found
}

/// Kind and name.
fn named(one: &Value) -> String {
    format!("{} {}", one["kind"], one["metadata"]["name"])
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Ports that a Service or NetworkPolicy names.
fn ports_of(one: &Value) -> Vec<&Value> {
    let rules = list(&one["spec"]["ingress"]).flat_map(|rule| list(&rule["ports"]));
    list(&one["spec"]["ports"])
        .chain(rules)
        .map(|port| &port["port"])
        .collect()
}

/// Whether a pod has a port of this name or number.
fn has_port(pod: &Value, port: &Value) -> bool {
    let mut ports = list(&pod["spec"]["containers"]).flat_map(|c| list(&c["ports"]));
    ports.any(|own| own["name"] == *port || own["containerPort"] == *port)
}

/// Whether a selector chooses what has these labels. A plain map is one, as those of services are.
fn chooses(selector: &Value, labels: &Value) -> bool {
    let is_plain = selector["matchLabels"].is_null() && selector["matchExpressions"].is_null();
    let plain: BTreeMap<String, Value> = match selector {
        Value::Object(map) if is_plain => map.clone().into_iter().collect(),
        _ => {
            let labels = selector["matchLabels"].as_object();
            labels.cloned().unwrap_or_default().into_iter().collect()
        }
    };
    let equal = plain.iter().all(|(name, value)| labels[name] == *value);
    equal
        && list(&selector["matchExpressions"]).all(|expression| {
            assert_eq!(expression["operator"], "In", "{expression}");
            let value = &labels[expression["key"].as_str().unwrap()];
            list(&expression["values"]).any(|one| one == value)
        })
}
