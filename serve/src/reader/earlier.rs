//! Reads rankings as they were.

use std::sync::Arc;

use kol_common::event::parse_time;
use kol_common::redis::history::{MOST, Name, Snapshot};

use super::Reader;
use crate::history::{History, Moment};
use crate::problem::Problem;

/// Snapshots that are read at once: most have some ten kilobytes, none more than 256.
const AT_ONCE: usize = 16;

impl Reader {
    /// What is kept of a ranking. What was read `before` is not read again.
    pub(crate) async fn history(
        &self,
        platform: &str,
        before: Option<&History>,
    ) -> Result<History, Problem> {
        let mut pipeline = redis::pipe();
        pipeline
            .cmd("ZREVRANGE")
            .arg(self.keys.history_key(platform));
        pipeline.arg(0).arg(MOST - 1);
        pipeline.cmd("GET").arg(&self.keys.last_event);
        let (kept, newest): (Vec<String>, Option<String>) = self.link.query(&pipeline).await?;
        let (mut moments, mut missing) = (Vec::new(), Vec::new());
        for name in kept.iter().filter_map(|text| text.parse::<Name>().ok()) {
            match before.and_then(|before| before.named(name)) {
                Some(moment) => moments.push(Arc::clone(moment)),
                None => missing.push(name),
            }
        }
        for names in missing.chunks(AT_ONCE) {
            let texts = self.snapshots(platform, names).await?;
            for (name, text) in names.iter().zip(texts) {
                let snapshot = text.and_then(|text| Snapshot::read(&text));
                if let Some(snapshot) = snapshot {
                    let known = moments.last().map(|moment| &**moment);
                    let moment = Moment::new(*name, snapshot, known);
                    moments.push(Arc::new(moment));
                }
                // Others wait for this thread.
                tokio::task::yield_now().await;
            }
        }
        let newest = newest.as_deref().and_then(parse_time);
        Ok(History::new(moments, newest))
    }

    async fn snapshots(
        &self,
        platform: &str,
        names: &[Name],
    ) -> Result<Vec<Option<Vec<u8>>>, Problem> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("HMGET").arg(self.keys.snapshots_key(platform));
        for name in names {
            pipeline.arg(name.to_string());
        }
        let (texts,): (Vec<Option<Vec<u8>>>,) = self.link.query(&pipeline).await?;
        Ok(texts)
    }
}
