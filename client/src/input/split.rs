//! Whether readings of one video come through several partitions of a topic: then its gains are counted
//! more than once.

use std::collections::BTreeMap;

use super::cluster::Cluster;
use super::newest::Sample;

/// From this share on (1/100) it deserves a warning.
const WARN_SHARE: usize = 100;

/// A warning, if more than a few of the videos in these records have readings in two partitions.
pub fn warning(cluster: &Cluster, samples: &[Sample]) -> Option<String> {
    let decoder = cluster.decoder();
    let mut first_seen: BTreeMap<(String, String, String), i32> = BTreeMap::new();
    let mut split = BTreeMap::new();
    for sample in samples {
        decoder.decode_each(sample.value.as_deref(), |_, outcome| {
            let Ok(event) = outcome else { return };
            let Some(video) = &event.video_id else { return };
            let names = [&*event.platform, &*event.kol, &**video].map(str::to_owned);
            let [platform, kol, video] = names;
            let video = (platform, kol, video);
            let first = *first_seen.entry(video.clone()).or_insert(sample.partition);
            if first != sample.partition {
                split.entry(video).or_insert((first, sample.partition));
            }
        });
    }
    let ((platform, kol, video), (one, other)) = split.first_key_value()?;
    let (count, all) = (split.len(), first_seen.len());
    (count * WARN_SHARE >= all).then(|| {
        format!(
            "gains will be wrong: readings of one video come through several partitions and are counted \
             more than once ({count} of {all} videos, e.g. video {video} of {platform}/{kol} through \
             partitions {one} and {other}): key the producers by username or video_id, or have the job do it: \
             rekey = true in [source]"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::cluster::ClusterArgs;

    fn sample(partition: i32, kol: &str, video: &str) -> Sample {
        Sample {
            partition,
            offset: 0,
            key: Some(b"whatever".to_vec()),
            value: Some(format!(r#"{{"username":"{kol}","video_id":"{video}"}}"#).into_bytes()),
            timestamp_ms: None,
        }
    }

    #[test]
    fn videos_in_two_partitions_are_warned_of_whatever_the_keys_look_like() {
        let cluster = ClusterArgs::default().open().unwrap();
        let apart = [
            sample(0, "mia", "1"),
            sample(0, "mia", "1"),
            sample(1, "bo", "1"),
        ];
        assert_eq!(warning(&cluster, &apart), None);
        let mixed = [
            sample(0, "mia", "1"),
            sample(2, "mia", "1"),
            sample(1, "bo", "1"),
        ];
        let warning = warning(&cluster, &mixed).unwrap();
        assert!(warning.contains("1 of 2 videos"), "{warning}");
        let example = "video 1 of tiktok/mia through partitions 0 and 2";
        assert!(warning.contains(example), "{warning}");
        assert!(warning.ends_with("rekey = true in [source]"), "{warning}");
    }
}
