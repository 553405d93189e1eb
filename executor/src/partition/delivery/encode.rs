//! From slots to merge calls.

use kol_common::job::{KeyTemplates, SinkSpec};
use kol_common::scoring::{Fields, Scoring, Slot, merge};
use redis::Cmd;

use crate::sink::{Fence, script};

/// KOLs in one merge call: enough to share one ZADD, few enough not to hold Redis up for more than a
/// millisecond or two.
pub const KOLS_A_CALL: usize = 100;

/// What to send for a KOL.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outgoing {
    /// Put this slot in place of what Redis has. Partition and generation are filled in here.
    Put(Slot),
    /// Take the slot out.
    Remove,
}

/// Makes merge calls for one partition of one job. Buffers are reused.
#[derive(Debug)]
pub struct Encoder {
    keys: KeyTemplates,
    ttl_ms: u64,
    legacy_platform: Option<String>,
    ordinal: u32,
    fields: Fields,
    packed: Vec<u8>,
}

/// What all KOLs of one merge call have in common.
#[derive(Clone, Copy, Debug)]
pub struct CallContext<'a> {
    /// Constants of the score.
    pub scoring: &'a Scoring,
    /// Fence of the partition.
    pub fence: &'a Fence,
    /// Sequence of the flush.
    pub sequence: u64,
    /// Platform of the KOLs.
    pub platform: &'a str,
    /// Its market measure.
    pub market: f64,
    /// The version of that.
    pub market_version: u64,
    /// The time now, ISO 8601.
    pub now: &'a str,
    /// The rankings of this generation may be shown.
    pub live: bool,
}

impl Encoder {
    /// For the partition with this ordinal in its job.
    pub fn new(sink: &SinkSpec, default_platform: &str, ordinal: u32) -> Self {
        Self {
            keys: sink.keys.clone(),
            ttl_ms: sink.ttl.map_or(0, |t| t.0),
            legacy_platform: sink.legacy_hashes.then(|| default_platform.to_owned()),
            ordinal,
            fields: Fields::default(),
            packed: Vec::new(),
        }
    }

    /// One merge call for up to [`KOLS_A_CALL`] KOLs of one platform; without any it only says whether
    /// the ranking may be shown.
    pub fn call(&mut self, context: &CallContext<'_>, kols: &[(&str, Outgoing)]) -> Cmd {
        let legacy = self.legacy_platform.as_deref() == Some(context.platform);
        let keys = 6 + kols.len() * if legacy { 2 } else { 1 };
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(script::MERGE.get_hash())
            .arg(keys)
            .arg(&context.fence.key)
            .arg(self.keys.ranking_key(context.platform))
            .arg(&self.keys.flip_keys(context.platform))
            .arg(self.keys.platforms_key());
        for (kol, _) in kols {
            cmd.arg(self.keys.hash_key(context.platform, kol));
        }
        if legacy {
            for (kol, _) in kols {
                cmd.arg(self.keys.legacy_key(kol));
            }
        }
        cmd.arg(context.fence.generation)
            .arg(context.fence.epoch)
            .arg(context.sequence)
            .arg(&self.ordinal.to_le_bytes())
            .arg(context.platform)
            .arg(context.now)
            .arg(kols.len())
            .arg(self.ttl_ms)
            .arg(script::constants(
                context.scoring,
                context.market,
                context.market_version,
            ))
            .arg(if context.live { "live" } else { "next" });
        for (kol, outgoing) in kols {
            self.kol(context, &mut cmd, kol, outgoing);
        }
        cmd
    }

    fn kol(&mut self, context: &CallContext<'_>, cmd: &mut Cmd, kol: &str, outgoing: &Outgoing) {
        self.packed.clear();
        cmd.arg(kol);
        match outgoing {
            Outgoing::Remove => {
                for _ in 0..13 {
                    cmd.arg("");
                }
            }
            Outgoing::Put(slot) => {
                let slot = Slot {
                    partition: self.ordinal,
                    generation: u32::try_from(context.fence.generation).unwrap_or(u32::MAX),
                    ..*slot
                };
                slot.pack_into(&mut self.packed);
                let sums = merge(context.scoring, std::slice::from_ref(&slot));
                let terms = context.scoring.score(&sums, context.market);
                self.fields.fill(context.scoring, &sums, &terms);
                let f = &self.fields;
                cmd.arg(&self.packed)
                    .arg(&f.rank)
                    .arg(&f.trending_score)
                    .arg(f.trending_label)
                    .arg(&f.velocity)
                    .arg(&f.momentum)
                    .arg(&f.personal_growth)
                    .arg(&f.market_position)
                    .arg(&f.raw_score)
                    .arg(&f.baseline)
                    .arg(&f.event_count)
                    .arg(&f.total_engagement)
                    .arg(context.scoring.time(slot.window_end).iso());
            }
        }
    }
}
