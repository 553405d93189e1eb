//! The ways to the destinations of a job. Each is opened by itself, and again when its secret may have changed.

use std::sync::Arc;

use super::destination::{Destination, Kind, Way};
use super::{Topic, Webhook};
use crate::KolError;
use crate::job::JobSpec;
use crate::job::alerts::webhook_host;
use crate::kafka::Ends;
use crate::secrets::Secrets;

/// Those of a job. Nothing is opened, and no secret read.
pub fn ways(spec: &Arc<JobSpec>, secrets: &Secrets, ends: &Ends) -> Vec<Arc<dyn Way>> {
    let mut all: Vec<Arc<dyn Way>> = Vec::new();
    if spec.alerts.topic.is_some() {
        all.push(Arc::new(ToTopic {
            spec: Arc::clone(spec),
            secrets: secrets.clone(),
            ends: ends.clone(),
        }));
    }
    if spec.alerts.webhook.is_some() {
        all.push(Arc::new(ToWebhook {
            spec: Arc::clone(spec),
            secrets: secrets.clone(),
        }));
    }
    all
}

#[derive(Debug)]
struct ToTopic {
    spec: Arc<JobSpec>,
    secrets: Secrets,
    ends: Ends,
}

#[derive(Debug)]
struct ToWebhook {
    spec: Arc<JobSpec>,
    secrets: Secrets,
}

impl ToTopic {
    fn topic(&self) -> &str {
        self.spec.alerts.topic.as_deref().unwrap_or_default()
    }
}

impl ToWebhook {
    fn url(&self) -> &str {
        self.spec.alerts.webhook.as_deref().unwrap_or_default()
    }
}

impl Way for ToTopic {
    fn kind(&self) -> Kind {
        Kind::Topic
    }

    fn name(&self) -> String {
        format!("topic {}", self.topic())
    }

    fn open(&self) -> Result<Arc<dyn Destination>, KolError> {
        let source = self.spec.source.kafka();
        let topic = Topic::open(self.topic(), source, &self.secrets, &self.ends);
        Ok(Arc::new(topic.map_err(|e| e.job(&self.spec.name))?))
    }
}

impl Way for ToWebhook {
    fn kind(&self) -> Kind {
        Kind::Webhook
    }

    fn name(&self) -> String {
        match webhook_host(self.url()) {
            Ok(host) => format!("webhook at {host}"),
            // Opening it says what is wrong with it.
            Err(_) => "webhook".to_owned(),
        }
    }

    fn open(&self) -> Result<Arc<dyn Destination>, KolError> {
        let webhook = Webhook::open(self.url(), &self.spec.alerts, &self.secrets);
        Ok(Arc::new(webhook.map_err(|e| e.job(&self.spec.name))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::parse;

    #[tokio::test]
    async fn a_way_is_opened_as_often_as_wanted_with_the_secret_of_then() {
        let text = "name = \"kol\"\n[alerts]\ntopic = \"kol-alerts\"\nwebhook = \"http://localhost:1/x\"\n\
            webhook_token = \"file:hook\"\n[[alerts.rules]]\nname = \"viral\"\nlabel = \"Viral\"\n";
        let spec = Arc::new(parse(text, "a").unwrap().spec);
        let dir = tempfile::tempdir().unwrap();
        let secrets = Secrets::new(Some(dir.path().to_owned()));
        let ways = ways(&spec, &secrets, &Ends::default());
        let names: Vec<_> = ways.iter().map(|way| (way.kind(), way.name())).collect();
        assert_eq!(
            names,
            [
                (Kind::Topic, "topic kol-alerts".to_owned()),
                (Kind::Webhook, "webhook at localhost:1".to_owned())
            ]
        );
        let webhook = &ways[1];
        assert_eq!(webhook.open().unwrap_err().code, "SECRET_MISSING");
        std::fs::write(dir.path().join("hook"), "t0ken").unwrap();
        assert!(webhook.open().is_ok());
    }
}
