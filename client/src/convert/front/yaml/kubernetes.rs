//! What objects of Kubernetes say by their kinds.

use super::Walker;
use crate::convert::front::documents::Node;
use crate::convert::front::java_properties;
use crate::convert::model::{Command, Setting, Text};

impl Walker<'_> {
    pub(super) fn application(&mut self, document: &Node) {
        if let Some((name, line)) = document.name() {
            let mut setting = Setting {
                key: "metadata.name".into(),
                value: Text::known(name).filled(),
                origin: self.origin(line),
                notes: Vec::new(),
            };
            let before = self.facts.object_name.take();
            if let Some(before) = before.filter(|before| before.value != setting.value) {
                let ask = format!("metadata.name, of which {} has another", before.origin);
                setting.value = Text::unknown(ask);
            }
            self.facts.object_name = Some(setting);
        }
        let Some(spec) = document.get("spec") else {
            return;
        };
        let spec = spec.get("template").unwrap_or(spec);
        let mut command = Command {
            origin: self.origin(spec.line()),
            settings: Vec::new(),
            application: None,
        };
        for (part, key, setting) in [
            ("executor", "instances", "spark.executor.instances"),
            ("executor", "memory", "spark.executor.memory"),
            ("executor", "cores", "spark.executor.cores"),
            ("driver", "memory", "spark.driver.memory"),
            ("driver", "cores", "spark.driver.cores"),
        ] {
            if let Some((value, _)) = spec
                .get(part)
                .and_then(|p| p.get(key))
                .and_then(Node::scalar)
            {
                let value = Text::known(value).filled();
                command.settings.push((setting.to_owned(), value));
            }
        }
        let file = spec.get("mainApplicationFile").and_then(Node::scalar);
        let arguments = match spec.get("arguments") {
            Some(Node::List(arguments)) => arguments.iter().filter_map(Node::scalar).collect(),
            _ => Vec::new(),
        };
        let arguments = arguments.into_iter();
        let arguments: Vec<Text> = arguments
            .map(|(text, _)| Text::known(text).filled())
            .collect();
        let file = file.map_or_else(|| Text::unknown("its file"), |(file, _)| Text::known(file));
        command.application = Some((file, arguments));
        self.facts.commands.push(command);
    }

    /// Names of secrets are known, their values are not looked at.
    pub(super) fn secret(&mut self, document: &Node) {
        for part in ["data", "stringData"] {
            if let Some(Node::Map(pairs)) = document.get(part) {
                for (name, value) in pairs {
                    let line = value.scalar().map_or(0, |(_, line)| line);
                    let origin = self.origin(line);
                    self.facts
                        .property(name, Text::unknown(format!("the secret {name}")), origin);
                }
            }
        }
    }

    pub(super) fn config_map(&mut self, document: &Node) {
        let Some(Node::Map(pairs)) = document.get("data") else {
            return;
        };
        let map = document.name().map_or("", |(name, _)| name).to_owned();
        for (name, value) in pairs {
            let Some((text, line)) = value.scalar() else {
                continue;
            };
            if text.contains('\n') && (name.ends_with(".conf") || name.ends_with(".properties")) {
                java_properties::read(self.file, text, self.facts);
            } else if text.contains("-submit") {
                self.script(text, line);
            } else {
                let value = Text::known(text).filled();
                let key = format!("{map}/{name}");
                self.facts.config_maps.insert(key, value.clone());
                // Two maps may be for two jobs.
                let own = self.container.replace(format!("ConfigMap {map}"));
                self.of_owner("ConfigMap ", name, value, line);
                self.container = own;
            }
        }
    }

    /// `configMapKeyRef: {name: settings, key: topic}`
    pub(super) fn referred(&self, from: &Node) -> Option<Text> {
        let of = from.get("configMapKeyRef")?;
        let (map, _) = of.get("name")?.scalar()?;
        let (key, _) = of.get("key")?.scalar()?;
        self.facts.config_maps.get(&format!("{map}/{key}")).cloned()
    }
}
